"""How is a join done whose tables do not fit into memory, and how does it go on after a kill?

    1. labels and events are read once, a slab of rows at a time, and each slab is written with its rows told apart by bucket
    2. each bucket is worked on alone: its rows of every slab are read, joined in memory, and written as one part
    3. the parts are merged slab by slab into the order of the labels

Every file appears under its name only when it is whole, so what stands on disk is done and what does not is done again. The manifest holds
the digest of each part, and a part that no longer has it is computed again. Nothing depends on when or how often the job was killed.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.data.buckets import bucket_of, bucket_order, key_hashes
from gonogo.data.buffers import as_column, words
from gonogo.data.content import digest_of_file
from gonogo.data.joining import Join, compute
from gonogo.data.streams import HeldStream, ParquetStream, Stream
from gonogo.data.writing import ROW_GROUP, cut, whole_file, write_joined
from gonogo.types.errors import BlobCorrupt, UsageError, UserError
from gonogo.types.record import canonical, digest

if TYPE_CHECKING:
    import pyarrow as pa

PLACE = "gng_place"  # where in its slab a label stood


def join_by_buckets(
    join: Join,
    labels: ParquetStream,
    events: ParquetStream,
    added: pa.Schema,
    out: Path,
    *,
    folder: Path,
    n_buckets: int,
    threads: int = 1,
    slab: int = ROW_GROUP,
) -> int:
    """Writes the joined labels to `out`, and says how many events were duplicates.

    folder: where the buckets are kept while the job runs; a second call with the same arguments goes on where the first one was stopped.
    """
    with _job_folder(folder, _job_name(join, labels, events, n_buckets, slab)) as job:
        work = _Work(job=job, join=join, labels=labels, events=events, added=added, n_buckets=n_buckets, slab=slab, threads=threads)
        try:
            work.make_parts()
        except UserError:  # the data have no answer, and will not have one next time: nothing is kept for it
            shutil.rmtree(job, ignore_errors=True)
            raise
        work.remove_slabs()
        write_joined(out, labels, added, work.merged(), slab=slab)
        n_duplicates = sum(int(part["n_duplicates"]) for part in work.manifest().values())
    shutil.rmtree(job, ignore_errors=True)
    return n_duplicates


def _job_name(join: Join, labels: ParquetStream, events: ParquetStream, n_buckets: int, slab: int) -> str:
    job = {"join": join, "n_buckets": n_buckets, "slab": slab, "labels": labels.identity(), "events": events.identity()}
    return ".gonogo-join-" + digest(job).removeprefix("sha256:")[:16]


@contextmanager
def _job_folder(folder: Path, name: str) -> Iterator[Path]:
    """The folder of this job, which no other process works in."""
    job = folder / name
    job.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it when the process ends, however it ends
        except BlockingIOError:
            raise UsageError("another process works on this join", where=str(job), next="wait for it, or give another workspace") from None
        for left in job.glob(".*.unfinished"):
            left.unlink(missing_ok=True)
        yield job
        (folder / f"{name}.lock").unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """The steps of one job; each leaves files that are whole and skips what stands already."""

    job: Path
    join: Join
    labels: ParquetStream
    events: ParquetStream
    added: pa.Schema
    n_buckets: int
    slab: int  # rows
    threads: int

    def make_parts(self) -> None:
        """Every part, of which those that stand already are left as they are."""
        if all(self._part_stands(bucket) for bucket in range(self.n_buckets)):
            return
        self.spill_labels()
        self.spill_events()
        self.join_buckets()

    def spill_labels(self) -> None:
        """One file per slab of labels: keys, times, and where in the slab each stood."""
        self._spill("labels", self.labels, tuple(dict.fromkeys((*self.join.by, self.join.decided_at))), with_place=True)

    def spill_events(self) -> None:
        """One file per slab of events, with the columns that the join uses."""
        self._spill("events", self.events, self.join.event_columns, with_place=False)

    def _spill(self, side: str, stream: ParquetStream, columns: Sequence[str], *, with_place: bool) -> None:
        paths = self._slab_paths(side, stream)
        first = next((i for i, path in enumerate(paths) if not path.exists()), len(paths))
        slabs = cut(stream, columns, self.slab, first=first)

        def write(numbered: tuple[int, pa.Table]) -> None:
            number, table = numbered
            if not paths[number].exists():
                _write_batches(paths[number], _told_apart(table, self.join.by, self.n_buckets, with_place=with_place))

        _in_threads(write, enumerate(slabs, start=first), self.threads)

    def join_buckets(self) -> None:
        """One part per bucket, each entered into the manifest when it stands."""
        missing = [b for b in range(self.n_buckets) if not self._part_stands(b)]
        _in_threads(self._join_bucket, missing, self.threads, then=self._enter_part)

    def _join_bucket(self, bucket: int) -> tuple[int, dict[str, Any]]:
        import pyarrow as pa

        labels, events = self._bucket("labels", self.labels, bucket), self._bucket("events", self.events, bucket)
        held = HeldStream.of(labels, labels[0].schema)
        computed = compute(self.join, held, HeldStream.of(events, events[0].schema) if events else _nothing(self.events, self.join))
        schema = pa.schema([(PLACE, pa.int32()), *self.added])
        batches, at = [], 0
        for label in labels:
            batches.append(pa.RecordBatch.from_arrays([label.column(PLACE), *computed.rows(at, label.num_rows)], schema=schema))
            at += label.num_rows
        _write_batches(self._part_path(bucket), batches)
        return bucket, {"digest": digest_of_file(self._part_path(bucket)), "n_duplicates": computed.n_duplicates}

    def _bucket(self, side: str, stream: ParquetStream, bucket: int) -> list[pa.RecordBatch]:
        return [batch for path in self._slab_paths(side, stream) for batch in _read_batches(path, (bucket,))]

    def merged(self) -> Iterator[list[pa.Array]]:
        """The added columns of each slab of labels, in the order of the labels."""
        import pyarrow as pa
        import pyarrow.ipc

        readers = [pa.ipc.open_file(pa.OSFile(str(self._part_path(b)))) for b in range(self.n_buckets)]
        for number in range(len(self._slab_paths("labels", self.labels))):
            table = pa.Table.from_batches([reader.get_batch(number) for reader in readers]).combine_chunks()
            rows = min(self.slab, max(0, self.labels.n_rows - number * self.slab))
            places = words(_whole(table[PLACE]), np.int32)
            if len(places) != rows:
                raise BlobCorrupt("a part lacks rows", found=f"{len(places):,}", expected=f"{rows:,}", where=str(self.job))
            order = np.empty(rows, np.int64)
            order[places] = np.arange(rows)
            taken = table.drop_columns([PLACE]).take(as_column(order)).combine_chunks()
            yield [_whole(column) for column in taken.columns]

    def manifest(self) -> dict[str, Any]:
        """Bucket → digest of its part and what was counted in it."""
        path = self.job / "manifest.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _enter_part(self, entered: tuple[int, dict[str, Any]]) -> None:
        bucket, facts = entered
        with whole_file(self.job / "manifest.json") as file:
            file.write(canonical({**self.manifest(), str(bucket): facts}))

    def _part_stands(self, bucket: int) -> bool:
        entered, path = self.manifest().get(str(bucket)), self._part_path(bucket)
        return entered is not None and path.exists() and digest_of_file(path) == entered["digest"]

    def remove_slabs(self) -> None:
        """The slabs, once every part stands: their room is needed for the answer."""
        for path in (*self._slab_paths("labels", self.labels), *self._slab_paths("events", self.events)):
            path.unlink(missing_ok=True)

    def _slab_paths(self, side: str, stream: ParquetStream) -> list[Path]:
        n_slabs = max(1, -(-stream.n_rows // self.slab))
        return [self.job / f"{side}-{number:05d}.arrow" for number in range(n_slabs)]

    def _part_path(self, bucket: int) -> Path:
        return self.job / f"part-{bucket:04d}.arrow"


def _told_apart(table: pa.Table, by: Sequence[str], n_buckets: int, *, with_place: bool) -> list[pa.RecordBatch]:
    """One batch per bucket, rows in the order in which they came."""
    import pyarrow as pa

    columns = [_whole(column) for column in table.columns]
    names = list(table.column_names)
    buckets = bucket_of(key_hashes([columns[names.index(key)] for key in by]), n_buckets)
    order, starts = bucket_order(buckets, n_buckets)
    taken = [_taken(column, order) for column in columns]
    if with_place:
        names, taken = [*names, PLACE], [*taken, as_column(order).cast(pa.int32())]
    whole = pa.RecordBatch.from_arrays(taken, names=names)
    return [whole.slice(int(starts[b]), int(starts[b + 1] - starts[b])) for b in range(n_buckets)]


def _taken(column: pa.Array, order: Any) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.null_count or not pa.types.is_primitive(column.type) or column.type.bit_width != 64:
        return column.take(as_column(order))
    return pa.Array.from_buffers(column.type, len(order), [None, pa.py_buffer(words(column)[order])])


def _whole(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) and whole.num_chunks else whole


def _nothing(events: Stream, join: Join) -> HeldStream:
    import pyarrow as pa

    return HeldStream.of((), pa.schema([events.schema.field(name) for name in join.event_columns]))


def _write_batches(path: Path, batches: Sequence[pa.RecordBatch]) -> None:
    import pyarrow as pa
    import pyarrow.ipc

    with whole_file(path) as file, pa.ipc.new_file(file, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _read_batches(path: Path, numbers: Iterable[int]) -> list[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.ipc

    # read, not mapped: mapped pages of a hundred slabs would count as memory of this process
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        return [reader.get_batch(number) for number in numbers]


def _in_threads(
    work: Callable[[Any], Any], items: Iterable[Any], threads: int, *, then: Callable[[Any], None] = lambda result: None
) -> None:
    """Work on every item, at most `threads` of them at a time and in memory; results come to `then` one by one, in order."""
    if threads == 1:
        for item in items:
            then(work(item))
        return
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Any]] = deque()
        for item in items:
            if len(running) == threads:
                then(running.popleft().result())
            running.append(pool.submit(work, item))
        while running:
            then(running.popleft().result())
