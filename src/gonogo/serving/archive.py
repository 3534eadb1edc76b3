"""How does the log become tables that anybody can read, without losing a row or keeping it twice?

Closed segments are rewritten as Parquet, some at a time; the file that says so (a manifest, written last and at once) is the moment from
which their rows are in the archive and no longer in the log. A killed archive leaves files that no manifest names: they are removed before
the next step. A segment is deleted once it is archived, and everybody who reads the log has passed it.

    archive/manifests/w0-00000003-00000009.json       what is archived of whom, and in which files
    archive/predictions/<shape>/w0-….parquet           shadows/, outcomes/, events/ and lost/ likewise
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.backends.disk import clean, incoming, storage_errors, write_whole
from gonogo.serving import segments
from gonogo.serving.log import close_orphans
from gonogo.serving.predictionlog import Event, Outcome, Prediction, Shape, decoded, read_shapes
from gonogo.serving.segments import FRAME_BYTES, Map
from gonogo.serving.tail import Position
from gonogo.types.errors import LogFailed
from gonogo.types.traffic import AnswerStatus, Arm, FrameKind

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

SEGMENTS_AT_ONCE = 16  # one file holds as many at most: 128 MB of log, some 15 MB of Parquet
_FOLDERS = {
    FrameKind.PREDICTION: "predictions",
    FrameKind.SHADOW: "shadows",
    FrameKind.OUTCOME: "outcomes",
    FrameKind.EVENT: "events",
    FrameKind.LOST: "lost",
}
KEPT_US = 3_600_000_000
_GONE = ".gone"
_DAY_US = 86_400_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What is archived of one writer: these segments, whole."""

    writer: str
    segments: Sequence[int]  # their numbers, rising
    first_seq: int
    last_seq: int
    from_us: int  # wall clock of the first row and the last
    to_us: int
    rows: Mapping[str, int]  # folder → rows
    lost: int  # rows that could not be written, or could not be read again
    unfit: int  # values that were not of their column's type, and are null there
    files: Mapping[str, int]  # path below the archive → bytes

    @property
    def name(self) -> str:
        """Of its file, without ending."""
        return _name(self.writer, self.segments)


@dataclass(frozen=True, kw_only=True, slots=True)
class Archived:
    """What one step did."""

    manifests: tuple[Manifest, ...] = ()
    n_deleted: int = 0  # segments

    @property
    def n_rows(self) -> int:
        """Rows that are now in the archive."""
        return sum(sum(manifest.rows.values()) for manifest in self.manifests)


def archive(
    log: Path,
    folder: Path,
    passed: Sequence[Position] = (),
    *,
    at_once: int = SEGMENTS_AT_ONCE,
    at_least: int = 1,
    kept_us: int = KEPT_US,
    orphans: bool = True,
) -> Archived:
    """Archive every closed segment of the log, then delete what nobody needs there any more.

    passed:   the oldest position from which each reader may have to start again; a segment is kept until all of them are behind it.
    at_once:  segments in one file; at_least: fewer than so many of a writer wait for more.
    kept_us:  a segment stays so long after its last row at least: a worker that has had no request for a while reads it late.
    orphans:  close what killed writers left open first.
    Nothing is done where another process archives. Raises StorageFailed, LogFailed. Safe to be killed anywhere, and to be run again.
    """
    with storage_errors(folder):
        (folder / "manifests").mkdir(parents=True, exist_ok=True)
    with _alone(folder) as alone:
        if not alone:
            return Archived()
        if orphans:
            close_orphans(log)
        _finish(folder)
        made = list(_archive_all(log, folder, at_once=at_once, at_least=at_least))
        return Archived(manifests=tuple(made), n_deleted=_delete(log, folder, passed, kept_us))


def retain(log: Path, folder: Path, *, now_us: int, days: float | None = None, n_bytes: int | None = None) -> int:
    """Delete what is older than so many days, and the oldest until the archive holds at most so many bytes; how many files went."""
    n = 0
    with _alone(folder) as alone:
        if not alone:
            return 0
        _finish(folder)
        there = segments.segments_of(log)
        # While its segments are still in the log, an archive that is deleted would be made again.
        kept = [m for m in manifests(folder) if not set(m.segments) & set(there.get(m.writer, ()))]
        size = sum(sum(m.files.values()) for m in manifests(folder))
        for manifest in sorted(kept, key=lambda m: (m.to_us, m.name)):
            is_old = days is not None and manifest.to_us < now_us - days * _DAY_US
            if not is_old and (n_bytes is None or size <= n_bytes):
                continue
            path = _manifest_path(folder, manifest.name)
            path.rename(path.with_suffix(_GONE))  # written down first, so that a kill cannot leave half of it for ever
            size -= sum(manifest.files.values())
            n += len(manifest.files)
        _finish(folder)
    return n


def manifests(folder: Path) -> list[Manifest]:
    """What is archived, by writer and segment. Raises LogFailed for a manifest that cannot be read."""
    found = []
    for path in sorted((folder / "manifests").glob("*.json")):
        try:
            found.append(Manifest(**json.loads(path.read_bytes())))
        except (ValueError, TypeError) as error:
            raise LogFailed(
                "A manifest of the archive cannot be read.",
                found=str(error),
                where=str(path),
                next="restore it, or move it away with its files",
            ) from error
    return found


def files(folder: Path, kind: FrameKind) -> list[Path]:
    """The archive's files of that kind: each row of the archived log once, and of nothing else."""
    below = _FOLDERS[kind] + "/"
    return [folder / path for manifest in manifests(folder) for path in manifest.files if path.startswith(below)]


def archived_events(folder: Path, *, since_us: int = 0) -> Iterator[Event]:
    """The events that are in the archive and no longer in the log for sure, oldest file first. Some may be in the log still."""
    import pyarrow.parquet as pq

    for manifest in sorted(manifests(folder), key=lambda m: (m.from_us, m.name)):
        if manifest.to_us >= since_us:
            for path in manifest.files:
                if path.startswith("events/"):
                    for payload in pq.read_table(folder / path, columns=["payload"])["payload"].to_pylist():
                        yield decoded(FrameKind.EVENT, payload)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _finish(folder: Path) -> None:
    """Remove what a killed step left: files that no manifest names, and those whose manifest is to go."""
    for path in (folder / "manifests").glob(f"*{_GONE}"):
        for file in json.loads(path.read_bytes())["files"]:
            (folder / file).unlink(missing_ok=True)
        path.unlink()
    named = {folder / path for manifest in manifests(folder) for path in manifest.files}
    clean(folder / "manifests")
    for below in _FOLDERS.values():
        for path in (folder / below).rglob("*.parquet"):
            if path not in named:
                path.unlink()
        for shape in (folder / below).glob("**/"):
            clean(shape)


def _archive_all(log: Path, folder: Path, *, at_once: int, at_least: int) -> Iterator[Manifest]:
    shapes = read_shapes(log)
    done = {(m.writer, number) for m in manifests(folder) for number in m.segments}
    for writer, numbers in segments.segments_of(log).items():
        new = [number for number in numbers if (writer, number) not in done]
        closed = [number for number in new if _is_closed(segments.segment_path(log, writer, number))]
        for start in range(0, len(closed), at_once):
            some = closed[start : start + at_once]
            if len(some) >= at_least:
                yield _archive_some(log, folder, writer, some, shapes)


def _is_closed(path: Path) -> bool:
    """One whose head is spoilt is not: it stays where it is, and the reader of the log tells its rows as lost."""
    map_ = segments.open_to_read(path)
    if map_ is None:
        return False
    with map_, contextlib.suppress(LogFailed):
        return segments.header(map_, path) is not None and segments.sealed_end(map_) is not None
    return False


def _archive_some(log: Path, folder: Path, writer: str, numbers: Sequence[int], shapes: Mapping[str, Shape]) -> Manifest:
    name = _name(writer, numbers)
    rows: Counter[str] = Counter()
    lost = unfit = 0
    first_seq = last_seq = from_us = to_us = 0
    with ExitStack() as open_files:
        out = _Files(folder, name, open_files)
        for number in numbers:
            path = segments.segment_path(log, writer, number)
            map_ = segments.open_to_read(path)
            if map_ is None:
                raise LogFailed("A segment of the log went away while it was archived.", where=str(path))
            begun, closed = segments.header(map_, path), segments.sealed_end(map_)
            assert closed is not None
            starts = list(segments.whole_frames(map_, closed[0]))
            frames = segments.frames_at(map_, starts)
            lost += closed[1] - begun.first_seq + 1 - len(frames) + int(frames["unit"][frames["kind"] == FrameKind.LOST].sum())
            first_seq, last_seq = first_seq or begun.first_seq, closed[1]
            if len(frames):
                from_us = min(from_us or int(frames["wall_us"].min()), int(frames["wall_us"].min()))
                to_us = max(to_us, int(frames["wall_us"].max()))
            for below, table, n_unfit in _tables(map_, starts, frames, writer, shapes):
                out.add(below, table)
                rows[below.split("/")[0]] += table.num_rows
                unfit += n_unfit
        manifest = Manifest(
            writer=writer,
            segments=tuple(numbers),
            first_seq=first_seq,
            last_seq=last_seq,
            from_us=from_us,
            to_us=to_us,
            rows=dict(sorted(rows.items())),
            lost=lost,
            unfit=unfit,
            files=out.keep(),
        )
    write_whole(_manifest_path(folder, name), json.dumps(asdict(manifest)).encode())
    return manifest


class _Files:
    """The Parquet files of one step, under temporary names until all are whole."""

    def __init__(self, folder: Path, name: str, stack: ExitStack) -> None:
        self._folder, self._name, self._stack = folder, name, stack
        self._open: dict[tuple[str, str], tuple[Any, Any]] = {}

    def add(self, below: str, table: pa.Table) -> None:
        """One row group more of that file. Rows of another schema, as for a shape that nobody declared, get a file of their own."""
        import pyarrow.parquet as pq

        which = (below, str(table.schema))
        if which not in self._open:
            path = self._folder / below
            with storage_errors(path):
                path.mkdir(parents=True, exist_ok=True)
                temporary = self._stack.enter_context(incoming(path))
            writer = pq.ParquetWriter(temporary.file, table.schema, compression="zstd")
            self._stack.callback(_let_go, writer)
            self._open[which] = (temporary, writer)
        with storage_errors(self._folder):
            self._open[which][1].write_table(table)

    def keep(self) -> dict[str, int]:
        """Give them their names; path below the archive → bytes."""
        kept = {}
        for i, ((below, _), (temporary, writer)) in enumerate(sorted(self._open.items(), key=lambda item: item[0])):
            path = f"{below}/{self._name}-{i}.parquet"
            with storage_errors(self._folder / path):
                writer.close()
                temporary.keep_as(Path(path).name)
                kept[path] = (self._folder / path).stat().st_size
        return kept


def _let_go(writer: Any) -> None:
    """Close a writer whose file is given up; one that is closed already stays so."""
    with contextlib.suppress(OSError):
        writer.close()


def _delete(log: Path, folder: Path, passed: Sequence[Position], kept_us: int) -> int:
    """Segments that are archived and passed by all. A writer's last one stays: its numbers go on from there."""
    n = 0
    now_us = time.time_ns() // 1000
    done = {(m.writer, number) for m in manifests(folder) if m.to_us <= now_us - kept_us for number in m.segments}
    for writer, numbers in segments.segments_of(log).items():
        in_use = [number for number in numbers if _is_in_use(segments.segment_path(log, writer, number))]
        for number in in_use[:-1]:
            places = [position.places.get(writer) for position in passed]
            if (writer, number) in done and all(place is not None and place.segment > number for place in places):
                with contextlib.suppress(FileNotFoundError):
                    segments.segment_path(log, writer, number).unlink()
                    n += 1
    return n


def _is_in_use(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8) == segments.MAGIC
    except FileNotFoundError:
        return False


def _tables(
    map_: Map, starts: Sequence[int], frames: NDArray[np.void], writer: str, shapes: Mapping[str, Shape]
) -> Iterator[tuple[str, pa.Table, int]]:
    """(folder, table, values that did not fit) of each kind and shape of the frames."""
    import pyarrow as pa

    kinds = frames["kind"].tolist()
    lengths = frames["length"].tolist()
    groups: dict[str, tuple[list[int], list[Any]]] = {}
    for i, start in enumerate(starts):
        payload = map_[start + FRAME_BYTES : start + FRAME_BYTES + lengths[i]]
        below, row = _understood(kinds[i], payload, shapes)
        chosen, rows = groups.setdefault(below, ([], []))
        chosen.append(i)
        rows.append(row)
    for below, (chosen, rows) in sorted(groups.items()):
        unfit = Counter[str]()
        kind, _, shape = below.partition("/")
        columns = _header_columns(frames[chosen], writer)
        if shape:
            columns |= _answer_columns(frames[chosen])
        columns |= _MAKERS[kind](rows, shapes.get(shape), unfit)
        yield below, pa.table(columns), unfit.total()


def _understood(kind: int, payload: bytes, shapes: Mapping[str, Shape]) -> tuple[str, Any]:
    """Where a row belongs, and its payload; what cannot be understood is kept as it is."""
    folder = _FOLDERS.get(FrameKind(kind), "lost") if kind in _FOLDERS else "lost"
    if folder == "lost":
        return folder, payload
    try:
        row = decoded(kind, payload)
    except LogFailed:
        return "lost", payload
    if isinstance(row, Prediction):
        return (f"{folder}/{row.shape}", row) if row.shape in shapes else (f"{folder}/unknown", payload)
    return folder, (row, payload)


def _header_columns(frames: NDArray[np.void], writer: str) -> dict[str, pa.Array]:
    import numpy as np
    import pyarrow as pa

    names = {
        "seq": "seq",
        "request": "request",
        "key": "key_hash",
        "unit": "unit",
        "bucket": "bucket",
        "slices": "slices",
        "epoch": "epoch",
    }
    plain = {said: pa.array(np.ascontiguousarray(frames[name])) for name, said in names.items()}
    return {
        "time": pa.array(np.ascontiguousarray(frames["wall_us"]).view("datetime64[us]"), pa.timestamp("us", "UTC")),
        "writer": pa.array([writer] * len(frames)),
        **plain,
        "monotonic_ns": pa.array(np.ascontiguousarray(frames["at_ns"])),
    }


def _answer_columns(frames: NDArray[np.void]) -> dict[str, pa.Array]:
    import numpy as np
    import pyarrow as pa

    words = {
        name: pa.DictionaryArray.from_arrays(pa.array(np.ascontiguousarray(frames[name])), [each.name.lower() for each in of]).cast(
            pa.string()
        )
        for name, of in (("arm", Arm), ("status", AnswerStatus))
    }
    plain = {name: pa.array(np.ascontiguousarray(frames[name])) for name in ("propensity", "latency_us", "score")}
    return words | plain


def _predictions(rows: Sequence[Prediction], shape: Shape | None, unfit: Counter[str]) -> dict[str, pa.Array]:
    import pyarrow as pa

    if shape is None:  # nobody declared it
        return {"payload": pa.array(rows, pa.binary())}
    columns = {
        "request_id": pa.array([row.request_id for row in rows], pa.string()),
        "candidate": pa.array([shape.candidate] * len(rows), pa.string()),
        "why": pa.array([row.why for row in rows], pa.string()),
        "decided_at": _column([row.decided_us for row in rows], "time", unfit),
    }
    for name in ("key", "question", "inputs", "answer"):
        of = shape.outputs if name == "answer" else getattr(shape, name)
        if of:
            columns[name] = _struct([getattr(row, name) for row in rows], of, unfit)
    return columns


def _outcomes(rows: Sequence[tuple[Outcome, bytes]], shape: Shape | None, unfit: Counter[str]) -> dict[str, pa.Array]:
    import pyarrow as pa

    return {
        "key": pa.array([json.dumps(row.key, default=str) for row, _ in rows], pa.string()),
        "outcome": pa.array([json.dumps(row.values, default=str) for row, _ in rows], pa.string()),
        "known_at": _column([row.known_us for row, _ in rows], "time", unfit),
        "source": pa.array([row.source for row, _ in rows], pa.string()),
        "payload": pa.array([payload for _, payload in rows], pa.binary()),
    }


def _events(rows: Sequence[tuple[Event, bytes]], shape: Shape | None, unfit: Counter[str]) -> dict[str, pa.Array]:
    import pyarrow as pa

    return {
        "source": pa.array([row.source for row, _ in rows], pa.string()),
        "event": pa.array([json.dumps(row.values, default=str) for row, _ in rows], pa.string()),
        "payload": pa.array([payload for _, payload in rows], pa.binary()),
    }


def _lost(rows: Sequence[bytes], shape: Shape | None, unfit: Counter[str]) -> dict[str, pa.Array]:
    import pyarrow as pa

    return {"payload": pa.array(rows, pa.binary())}


_MAKERS: Mapping[str, Callable[[Any, Shape | None, Counter[str]], dict[str, Any]]] = {
    "predictions": _predictions,
    "shadows": _predictions,
    "outcomes": _outcomes,
    "events": _events,
    "lost": _lost,
}


def _struct(rows: Sequence[tuple[Any, ...]], of: Mapping[str, str], unfit: Counter[str]) -> pa.Array:
    import pyarrow as pa

    width = len(of)
    whole = [row if len(row) == width else (*row, *[None] * width)[:width] for row in rows]
    arrays = [_column(values, kind, unfit) for values, kind in zip(zip(*whole, strict=True), of.values(), strict=True)]
    return pa.StructArray.from_arrays(arrays, names=list(of))


def _column(values: Sequence[Any], kind: str, unfit: Counter[str]) -> pa.Array:
    """The values as a column of their declared type; what is of another is null there, and counted."""
    import pyarrow as pa

    wanted = {
        "number": pa.float64(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
        "text": pa.string(),
        "time": pa.timestamp("us", "UTC"),
    }.get(kind)
    if wanted is None:
        return pa.array([None if value is None else json.dumps(value, default=str) for value in values], pa.string())
    try:
        return pa.array(values, wanted)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([_fitting(value, wanted, unfit) for value in values], wanted)


def _fitting(value: Any, wanted: pa.DataType, unfit: Counter[str]) -> Any:
    import pyarrow as pa

    if pa.types.is_floating(wanted) and isinstance(value, int):
        return float(value)  # beyond 2⁵³: to the nearest
    if pa.types.is_string(wanted) and isinstance(value, bool | int | float | datetime):
        return str(value)
    try:
        pa.scalar(value, wanted)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        unfit[str(wanted)] += 1
        return None
    return value


def _name(writer: str, numbers: Sequence[int]) -> str:
    return f"{writer}-{numbers[0]:08d}-{numbers[-1]:08d}"


def _manifest_path(folder: Path, name: str) -> Path:
    return folder / "manifests" / f"{name}.json"
