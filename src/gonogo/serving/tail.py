"""What was written to the log, by whomever, since the reader was here last?

A Tail follows the segments of every writer of a folder; writers and segments come and go at any time. Where it stands is a small record
that is stored with what was made of the rows, so that each row is used exactly once. Rows that cannot be read are told as LOST, with how
many they were: sequence numbers have no gaps.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gonogo.serving import segments
from gonogo.serving.segments import FRAME_BYTES, HEADER_BYTES, LENGTH, SEAL, Map
from gonogo.types.errors import LogFailed
from gonogo.types.traffic import FRAME, FrameKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PATIENCE_S = 0.25  # for a frame at the very end that does not add up (yet): another processor may see its parts in another order
_LOOK_EVERY_S = 1.0  # for new writers at the latest; at once where the folder's own time changed
_PLACE = struct.Struct("<IIQ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """How far one writer was read."""

    segment: int
    offset: int  # of the next frame
    seq: int  # of the last row that was read or told as lost


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """How far a log was read: all of it that a reader must remember."""

    places: Mapping[str, Place] = field(default_factory=dict)
    now_us: int = 0  # the reader's clock when it was there: what it did because time passed is done again by this

    def to_bytes(self) -> bytes:
        """A few bytes per writer; equal positions give equal bytes.

        >>> Position.from_bytes(Position(places={"w0": Place(segment=1, offset=128, seq=0)}).to_bytes()).places["w0"].offset
        128
        """
        parts = [struct.pack("<qH", self.now_us, len(self.places))]
        for name, place in sorted(self.places.items()):
            parts.append(struct.pack("<B", len(name)) + name.encode() + _PLACE.pack(place.segment, place.offset, place.seq))
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Position:
        """The position that was stored. Raises LogFailed for bytes that are none."""
        try:
            now_us, n = struct.unpack_from("<qH", data)
            at, places = 10, {}
            for _ in range(n):
                length = data[at]
                name = data[at + 1 : at + 1 + length].decode()
                segment, offset, seq = _PLACE.unpack_from(data, at + 1 + length)
                places[name] = Place(segment=segment, offset=offset, seq=seq)
                at += 1 + length + _PLACE.size
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise LogFailed("A stored position of the log cannot be read.", found=f"{len(data)} bytes", where="position") from error
        return cls(places=places, now_us=now_us)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Rows in the order in which they are to be used: each writer's own order, and between writers that of the monotonic clock."""

    frames: NDArray[np.void]  # (n,) of FRAME; LOST ones too, with how many in `unit`
    writers: tuple[str, ...]
    writer: NDArray[np.uint16]  # (n,) index into writers
    _maps: tuple[Map | None, ...]
    _map: NDArray[np.int64]  # (n,) index into _maps
    _start: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frames)

    def payload(self, i: int) -> bytes:
        """The i-th row's payload, a copy. Of a LOST row that the reader itself tells: how many bytes could not be read, as text."""
        map_ = self._maps[int(self._map[i])]
        start = int(self._start[i])
        if map_ is None:
            return str(start).encode()
        return map_[start + FRAME_BYTES : start + FRAME_BYTES + int(self.frames["length"][i])]

    def payloads(self, rows: NDArray[np.int64]) -> Iterator[bytes]:
        """Payloads of many rows, none of which the reader itself tells as lost."""
        starts = self._start[rows] + FRAME_BYTES
        ends = starts + self.frames["length"][rows]
        for which, start, end in zip(self._map[rows].tolist(), starts.tolist(), ends.tolist(), strict=True):
            map_ = self._maps[which]
            assert map_ is not None
            yield map_[start:end]

    def where(self, kind: FrameKind) -> list[int]:
        """The rows of that kind, in order."""
        found: list[int] = np.flatnonzero(self.frames["kind"] == kind).tolist()
        return found


class Tail:
    """A reader of the log. Not for several threads at once."""

    def __init__(self, folder: Path, position: Position | None = None, *, without: tuple[str, ...] = ()) -> None:
        """Go on from there; without a position from the oldest row that is still there.

        without: writers that are not read, e.g. the reader itself.
        """
        self.folder, self.without = folder, frozenset(without)
        self._now_us = position.now_us if position else 0
        places = position.places if position else {}
        self._writers = {name: _Writer(folder, name, place) for name, place in places.items() if name not in self.without}
        self._looked = (-1, 0.0)  # the folder's time of change, and when it was seen

    @property
    def position(self) -> Position:
        """Behind everything that `poll` has given so far."""
        return Position(places={name: writer.place for name, writer in self._writers.items()}, now_us=self._now_us)

    def poll(self, *, at_most: int = 8192, now_us: int = 0) -> Batch:
        """The rows that have come since, at most so many of each writer; none where nothing came. Does not wait.

        now_us: the reader's clock, which the position then remembers.
        """
        self._look()
        self._now_us = max(self._now_us, now_us)
        return _merged([(name, writer.read(at_most, None)) for name, writer in self._writers.items()])

    def skip(self) -> Position:
        """Pass over everything that is there: the position behind it. Payloads are not read."""
        self._looked = (-1, 0.0)
        self._look()
        for writer in self._writers.values():
            writer.skip()
        return self.position

    def read(self, until: Position) -> Batch:
        """Exactly the rows between where this tail stands and `until`, where it stands then: a poll, done again.

        The rows are those, and in the order, that the polls gave if their ends are gone through one by one.
        """
        runs = []
        for name, place in until.places.items():
            if name not in self.without:
                writer = self._writers.setdefault(name, _Writer(self.folder, name, None))
                runs.append((name, writer.read(1 << 62, place)))
        self._now_us = until.now_us
        return _merged(sorted(runs, key=lambda run: run[0]))

    @property
    def has_news(self) -> bool:
        """Has a writer gone on where this tail stands? Costs next to nothing; of writers and segments that are new only a poll knows."""
        return any(writer.has_news for writer in self._writers.values())

    def behind_bytes(self) -> int:
        """How much was written (in segments that are in use or closed) and not read yet: 0 is up to date."""
        self._look()
        return sum(writer.behind_bytes() for writer in self._writers.values())

    def _look(self) -> None:
        """For new writers. A folder's time of change has steps of some ms, so one that is fresh is not trusted."""
        now = time.monotonic()
        try:
            changed = self.folder.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed == self._looked[0] and now - self._looked[1] < _LOOK_EVERY_S and time.time_ns() - changed > 50_000_000:
            return
        self._looked = (changed, now)
        for name in segments.segments_of(self.folder):
            if name not in self._writers and name not in self.without:
                self._writers[name] = _Writer(self.folder, name, None)
        self._writers = dict(sorted(self._writers.items()))


@dataclass(slots=True)
class _Run:
    """What was read of one writer: places of frames by segment, and what was lost between them."""

    headers: list[NDArray[np.void]] = field(default_factory=list)
    maps: list[Map | None] = field(default_factory=list)
    starts: list[list[int]] = field(default_factory=list)
    n: int = 0


class _Writer:
    """One writer's segments, one after the other."""

    __slots__ = ("_doubt", "_folder", "_map", "_name", "place")

    def __init__(self, folder: Path, name: str, place: Place | None) -> None:
        self._folder, self._name = folder, name
        self.place = place or Place(segment=0, offset=0, seq=0)
        self._map: Map | None = None
        self._doubt = (0, 0.0)  # offset of a frame that did not add up, and since when

    def read(self, at_most: int, until: Place | None) -> _Run:
        """Whole frames from the place on; the place moves behind them. until: exactly to there, where the writer was read to before."""
        run = _Run()
        while run.n < at_most and self.place != until:
            if self._map is None and not self._open(run, until):
                break
            if not self._read_segment(run, at_most, until):
                break
        if until is not None and self.place != until:
            if until.seq > self.place.seq:  # what was read then is no longer there
                self._tell_lost(run, until.seq - self.place.seq, 0, 0)
            self.place, self._map = until, None
        return run

    @property
    def has_news(self) -> bool:
        """Does a frame begin at the place, or what will be one?"""
        return self._map is not None and LENGTH.unpack_from(self._map, self.place.offset)[0] not in (0, SEAL)

    def skip(self) -> None:
        """To the end of the last segment in use."""
        for number in reversed(segments.segments_of(self._folder).get(self._name, ())):
            path = segments.segment_path(self._folder, self._name, number)
            map_ = segments.open_to_read(path) if number >= self.place.segment else None
            if map_ is not None:
                with contextlib.suppress(LogFailed):
                    found = segments.find_end(map_, segments.header(map_, path).first_seq)
                    closed = segments.sealed_end(map_)
                    end, seq = closed or (found.end, found.last_seq)
                    self.place, self._map = Place(segment=number, offset=end, seq=seq), None
                    return

    def _open(self, run: _Run, until: Place | None) -> bool:
        """Map the segment of the place, or the next one where that is gone."""
        if self.place.offset:
            self._map = segments.open_to_read(segments.segment_path(self._folder, self._name, self.place.segment))
            if self._map is not None:
                return True
        return self._open_next(run, until)

    def _open_next(self, run: _Run, until: Place | None) -> bool:
        place = self.place
        for number in segments.segments_of(self._folder).get(self._name, ()):
            if number <= place.segment or (until is not None and number > until.segment):
                continue
            path = segments.segment_path(self._folder, self._name, number)
            map_ = segments.open_to_read(path)
            if map_ is None:
                continue  # only prepared; or deleted just now
            try:
                begun = segments.header(map_, path)
            except LogFailed:
                continue  # its rows are told as lost when the next one begins
            if place.seq and begun.first_seq > place.seq + 1:
                self._tell_lost(run, begun.first_seq - 1 - place.seq, 0, begun.at_ns)
            self._map = map_
            self.place = Place(segment=number, offset=HEADER_BYTES, seq=begun.first_seq - 1)
            return True
        return False

    def _read_segment(self, run: _Run, at_most: int, until: Place | None) -> bool:
        """Read on in the mapped segment; False where nothing more can be read now."""
        map_, at = self._map, self.place.offset
        assert map_ is not None
        stop = until.offset if until is not None and until.segment == self.place.segment else len(map_) - 8
        room = at_most - run.n
        starts: list[int] = []
        frame_end, look = segments.frame_end, starts.append
        while at < stop and room > 0:
            end = frame_end(map_, at)
            if not end:
                break
            look(at)
            at = end
            room -= 1
        self._take(run, map_, starts, at)
        if room <= 0 or self.place == until:
            return False
        word, closed = LENGTH.unpack_from(map_, at)[0], segments.sealed_end(map_)
        if word == SEAL and (closed is None or at >= closed[0]):
            return self._leave(run, map_, until)
        if (until is not None and (until.segment > self.place.segment or at < stop)) or self._is_damaged(at, word, closed):
            return self._skip(run, map_, stop, until)
        return False

    def _take(self, run: _Run, map_: Map, starts: list[int], at: int) -> None:
        if not starts:
            return
        headers = segments.frames_at(map_, starts)
        seqs = headers["seq"]
        before = np.concatenate([np.array([self.place.seq], np.uint64), seqs[:-1]])
        if self.place.seq + len(starts) != int(seqs[-1]):
            # Rows that are whole but do not follow one another: some between them are gone.
            for i in np.flatnonzero(seqs != before + np.uint64(1)).tolist():
                if seqs[i] > before[i] + np.uint64(1):
                    self._tell_lost(run, int(seqs[i] - before[i]) - 1, 0, int(headers["at_ns"][i]))
        run.headers.append(headers)
        run.maps.append(map_)
        run.starts.append(starts)
        run.n += len(starts)
        self.place = Place(segment=self.place.segment, offset=at, seq=int(seqs[-1]))

    def _is_damaged(self, at: int, word: int, closed: tuple[int, int] | None) -> bool:
        """Whether what lies here is no frame and will not become one."""
        if closed is not None:
            return at < closed[0]
        if not word:
            return False
        offset, since = self._doubt
        if offset != at:
            self._doubt = (at, time.monotonic())
            return False
        return time.monotonic() - since > _PATIENCE_S

    def _skip(self, run: _Run, map_: Map, stop: int, until: Place | None) -> bool:
        """Go on at the next whole frame; what lies between is lost."""
        at, closed = self.place.offset, segments.sealed_end(map_)
        end = min(stop, closed[0]) if closed else stop
        place = segments.next_frame(map_, at, end, self.place.seq)
        if place < end:
            found = segments.frames_at(map_, [place])[0]
            seq, at_ns = int(found["seq"]) - 1, int(found["at_ns"])
        elif until is not None and (until.segment, until.offset) == (self.place.segment, end):
            seq, at_ns = until.seq, 0
        elif closed and end == closed[0]:
            seq, at_ns = closed[1], 0
        else:
            return self._leave(run, map_, until)  # nothing whole behind it, and no seal that can be read
        if seq > self.place.seq:
            self._tell_lost(run, seq - self.place.seq, place - at, at_ns)
        self.place = Place(segment=self.place.segment, offset=place, seq=seq)
        return True

    def _leave(self, run: _Run, map_: Map, until: Place | None) -> bool:
        """The segment is used up. Its last rows may have been damaged away: the seal says which was the last."""
        closed = segments.sealed_end(map_)
        if closed and closed[1] > self.place.seq:
            self._tell_lost(run, closed[1] - self.place.seq, 0, 0)
            self.place = Place(segment=self.place.segment, offset=self.place.offset, seq=closed[1])
        return self.place != until and self._open_next(run, until)

    def _tell_lost(self, run: _Run, rows: int, n_bytes: int, at_ns: int) -> None:
        told = np.zeros(1, FRAME)
        told["kind"], told["unit"], told["at_ns"], told["score"] = FrameKind.LOST, rows, at_ns, np.nan
        run.headers.append(told)
        run.maps.append(None)
        run.starts.append([n_bytes])
        run.n += 1

    def behind_bytes(self) -> int:
        if self.place.offset == 0:
            return 0
        map_ = self._map or segments.open_to_read(segments.segment_path(self._folder, self._name, self.place.segment))
        if map_ is None:
            return 0
        at, closed = self.place.offset, segments.sealed_end(map_)
        if closed is not None:
            return closed[0] - at
        while end := segments.frame_end(map_, at):
            at = end
        return at - self.place.offset


def _merged(runs: list[tuple[str, _Run]]) -> Batch:
    """All runs as one batch. Between writers the monotonic clock orders; a writer's own order always stays."""
    runs = [(name, run) for name, run in runs if run.n]
    names = tuple(name for name, _ in runs)
    maps: list[Map | None] = []
    headers, which, starts, writer, clock = [], [], [], [], []
    for i, (_, run) in enumerate(runs):
        for part, map_, at in zip(run.headers, run.maps, run.starts, strict=True):
            which.append(np.full(len(at), len(maps)))
            maps.append(map_)
            headers.append(part)
            starts.append(np.asarray(at, np.int64))
        writer.append(np.full(run.n, i, np.uint16))
        clock.append(np.maximum.accumulate(np.concatenate([part["at_ns"] for part in run.headers])))
    if not runs:
        return Batch(
            frames=np.zeros(0, FRAME),
            writers=(),
            writer=np.zeros(0, np.uint16),
            _maps=(),
            _map=np.zeros(0, np.int64),
            _start=np.zeros(0, np.int64),
        )
    frames, map_of, start_of, writer_of = (np.concatenate(parts) for parts in (headers, which, starts, writer))
    if len(runs) > 1:
        order = np.argsort(np.concatenate(clock), kind="stable")
        frames, map_of, start_of, writer_of = frames[order], map_of[order], start_of[order], writer_of[order]
    return Batch(frames=frames, writers=names, writer=writer_of, _maps=tuple(maps), _map=map_of, _start=start_of)
