"""How does a row get into the log so that a killed process loses none, and nobody waits for the disk?

`append` copies the row into a segment that is mapped into memory, and returns. A thread has the next segment ready, closes full ones, and
asks the disk to hold what was written every 50 ms: as much is lost when the power fails, and nothing when the process is killed. Where the
disk is full, `append` says False and counts; the first row that can be written again has a LOST frame before it.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import sys
import threading
import time
import zlib
from pathlib import Path

from gonogo.backends.disk import sync_folder
from gonogo.serving import segments
from gonogo.serving.segments import FRAME_BYTES, HEAD, HEADER_BYTES, REST, SEGMENT_BYTES, Map, segment_path
from gonogo.types.errors import LogFailed
from gonogo.types.traffic import FrameKind

SYNC_EVERY_S = 0.05
_ORDINARY = 65_536  # bytes; larger than any row but a strange one
_POPULATE_WRITE = 23  # madvise, Linux 5.14: changes no byte
_TOUCHED_LEAST, _TOUCHED_MOST = 16_384, 262_144  # bytes ahead, twice what came since the last time: they go to the disk once more
_QUIET_S = 0.25  # so long after the last row, the thread waits for the next one instead of looking for it
_RETRY_EVERY_S = 0.5  # while the disk has no room for a segment
_NOTHING = b"\xc0"  # a payload is never empty, for a length of 0 is no frame: msgpack's nil
_LOST = int(FrameKind.LOST)
_pack, _put_head, _NO_HEAD = REST.pack, HEAD.pack_into, bytes(8)
_crc32, _monotonic_ns, _time_ns = zlib.crc32, time.monotonic_ns, time.time_ns


class Log:
    """One writer's part of the log. Any thread of its process may append; a second process of that name is refused."""

    def __init__(
        self, folder: Path, writer: str, *, segment_bytes: int = SEGMENT_BYTES, sync_every_s: float = SYNC_EVERY_S, wait_s: float = 0.0
    ) -> None:
        """Go on behind the last whole row, in a new segment.

        wait_s: how long to wait for another process of that name to end. Raises LogFailed where the folder cannot be written, or another
        process writes under that name. A full disk raises nothing: rows are counted until there is room.
        """
        if not segments.WRITER.fullmatch(writer):
            raise ValueError(f"{writer!r} is no writer's name: {segments.WRITER.pattern}")
        self.folder, self.writer, self.segment_bytes = folder, writer, segment_bytes
        self.lost = 0  # rows since the start that were not written
        self.blocked = ""  # why there is no room, in words; "" if there is
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._rests = False  # the thread waits for the next row, without a clock
        self._closing = False
        self._sync_every_s = sync_every_s
        self._untold = 0  # rows lost since the last LOST frame
        self._map: Map | None = None
        self._at = self._stop = 0
        self._next: tuple[int, Map] | None = None
        self._full: list[tuple[int, Map, int]] = []  # number, map, last sequence number: to be synced and let go
        self._owner = _own(folder, writer, wait_s)
        try:
            self._number, self._seq = _recover(folder, writer)
        except BaseException:
            os.close(self._owner)
            raise
        self._synced = 0
        self._touched = (0, 0)  # segment, and where it stood then
        self._may_touch = sys.platform == "linux"
        self._prepare()
        self._thread = threading.Thread(target=self._keep, name=f"gonogo-log-{writer}", daemon=True)
        self._thread.start()

    @property
    def seq(self) -> int:
        """The sequence number of the last row that was written; 0 before the first ever."""
        return self._seq

    @property
    def has_room(self) -> bool:
        """Whether an ordinary row can be written now: who must not answer without a log asks this first."""
        return self._room_for(_ORDINARY)

    def _room_for(self, n_bytes: int) -> bool:
        return self._stop - self._at > n_bytes + 2 * FRAME_BYTES + 16 or self._next is not None

    def wait_for_room(self, at_most_s: float, n_bytes: int = _ORDINARY) -> bool:
        """Wait until a payload of that size can be written: for imports and batches, which can outrun the disk. False: not in that time."""
        until = time.monotonic() + at_most_s
        while not self._room_for(n_bytes):
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        return True

    def append(
        self,
        kind: int,
        payload: bytes,
        at_ns: int = 0,
        wall_us: int = 0,
        request: int = 0,
        key: int = 0,
        unit: int = 0,
        bucket: int = 0,
        slices: int = 0,
        epoch: int = 0,
        arm: int = 0,
        status: int = 0,
        propensity: float = 0.0,
        latency_us: int = 0,
        score: float = float("nan"),
    ) -> bool:
        """Write one row; False if it was lost, which is counted. Never waits for the disk.

        at_ns, wall_us: 0 is now. The others as in types/traffic.FRAME. Raises struct.error for a number that its field cannot hold.
        """
        if not at_ns:
            at_ns = _monotonic_ns()
        if not wall_us:
            wall_us = _time_ns() // 1000
        if not payload:
            payload = _NOTHING
        with self._lock:
            end = self._at + FRAME_BYTES + len(payload)
            if (end > self._stop or self._untold) and not self._make_room(len(payload)):
                self.lost += 1
                self._untold += 1
                return False
            seq = self._seq + 1
            body = _pack(
                at_ns, wall_us, seq, request, key, unit, bucket, slices, epoch, kind, arm, status, 0, propensity, latency_us, score
            )
            self._write(body + payload, seq)
            if self._rests:  # the first row after a while
                self._rests = False
                self._wake.set()
            return True

    def _write(self, body: bytes, seq: int) -> None:
        at, map_ = self._at, self._map
        assert map_ is not None
        begin, size = at + 8, len(body)
        end = begin + size
        try:
            map_[begin:end] = body
            # Length and checksum, the first 8 bytes, are written after everything else, in one store: until then there is no frame.
            _put_head(map_, at, _crc32(body) << 32 | size + 8 - FRAME_BYTES)
            self._at, self._seq = (end + 7) & -8, seq
        except BaseException:
            # An interrupt between two of these lines: the row is whole, or nothing of it may be left to be read as a length later.
            if map_[at:begin] != _NO_HEAD:
                self._at, self._seq = (end + 7) & -8, seq
            else:
                map_[at:end] = bytes(end - at)
            raise

    def _make_room(self, length: int) -> bool:
        """A segment with room for the row, and for what must be told of lost ones before it."""
        need = length + FRAME_BYTES + (FRAME_BYTES + 16 if self._untold else 0)
        if need > self.segment_bytes - HEADER_BYTES - 8:
            return False
        if self._at + need > self._stop and not self._turn():
            return False
        if self._untold:
            seq = self._seq + 1
            lost = self._untold
            now, wall = time.monotonic_ns(), time.time_ns() // 1000
            self._write(REST.pack(now, wall, seq, 0, 0, lost, 0, 0, 0, _LOST, 0, 0, 0, 0.0, 0, float("nan")) + _NOTHING, seq)
            self._untold = 0
        return True

    def _turn(self) -> bool:
        """Go on in the next segment, if it is ready. No system call here: files are the thread's business."""
        ready, self._next = self._next, None
        if ready is None:
            self.blocked = self.blocked or "the next segment is not ready"
            return False
        if self._map is not None:
            segments.seal(self._map, self._at, self._seq)
            self._full.append((self._number, self._map, self._seq))
        self._number, self._map = ready
        self._at, self._stop = HEADER_BYTES, len(self._map) - 8
        segments.begin(self._map, writer=self.writer, number=self._number, first_seq=self._seq + 1)
        self._wake.set()
        return True

    def sync(self) -> None:
        """Return once the disk holds every row written so far. Raises LogFailed."""
        with self._lock:
            seq = self._seq
            numbers = [number for number, *_ in self._full] + ([self._number] if self._map is not None else [])
        try:
            for number in numbers:
                self._sync_file(number)
        except OSError as error:
            raise _failed(self.folder, error) from error
        self._synced = max(self._synced, seq)

    def _sync_file(self, number: int) -> None:
        try:
            descriptor = os.open(segment_path(self.folder, self.writer, number), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # archived and deleted
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def _keep(self) -> None:
        """The thread: the next segment, full segments, the disk."""
        quiet = 0
        while not self._closing:
            if quiet * self._sync_every_s >= _QUIET_S and self._may_rest():
                self._wake.wait()
                self._rests = False
                if not self._closing:
                    time.sleep(self._sync_every_s)  # the first row is seldom alone
            else:
                self._wake.wait(self._sync_every_s if not self.blocked else _RETRY_EVERY_S)
            self._wake.clear()
            quiet = quiet + 1 if self._synced == self._seq else 0
            if self._next is None and not self._closing:
                self._prepare()
            with contextlib.suppress(LogFailed):  # a disk that fails is told by `blocked` when the next segment is made
                if self._synced < self._seq:
                    self.sync()
                    self._touch_ahead()
            self._drop_full()

    def _may_rest(self) -> bool:
        """Is there nothing to do until another row is written? Who writes it then wakes the thread."""
        with self._lock:
            self._rests = not self._closing and not self.blocked and self._next is not None and not self._full and self._synced == self._seq
        return self._rests

    def _touch_ahead(self) -> None:
        """Make the pages writable that come next: whoever writes to one first after the disk had it waits some microseconds for that."""
        with self._lock:
            number, map_, at = self._number, self._map, self._at
        written = at - self._touched[1] if number == self._touched[0] else 0
        self._touched = (number, at)
        if map_ is None or not self._may_touch:
            return
        begin = at & -mmap.PAGESIZE
        size = min(max(2 * written, _TOUCHED_LEAST), _TOUCHED_MOST, len(map_) - begin)
        try:
            map_.madvise(_POPULATE_WRITE, begin, size)
        except (OSError, ValueError):  # an older kernel, or none of this kind: it was for speed alone
            self._may_touch = False

    def _drop_full(self) -> None:
        with self._lock:
            done = [full for full in self._full if full[2] <= self._synced or self._closing]
            self._full = [full for full in self._full if full not in done]
        for _, map_, _ in done:
            map_.close()

    def _prepare(self) -> None:
        number = self._number + 1
        path = segment_path(self.folder, self.writer, number)
        try:
            path.unlink(missing_ok=True)  # of a try that was killed
            map_ = segments.create(path, self.segment_bytes)
            sync_folder(self.folder)
        except OSError as error:
            self.blocked = error.strerror or str(error)
            return
        self.blocked = ""
        with self._lock:
            self._next = (number, map_)
            if self._map is None:
                self._turn()

    def close(self) -> None:
        """Close the segment and give the name back. Rows appended after it are lost, and counted."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        self._thread.join()
        with self._lock:
            ready, self._next = self._next, None
            map_, self._map, self._stop = self._map, None, 0
            if map_ is not None:
                segments.seal(map_, self._at, self._seq)
                self._full.append((self._number, map_, self._seq))
        try:
            self.sync()
        finally:
            self._drop_full()
            if ready is not None:
                ready[1].close()
                segment_path(self.folder, self.writer, ready[0]).unlink(missing_ok=True)
            os.close(self._owner)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def close_orphans(folder: Path) -> tuple[str, ...]:
    """Close what writers left open that are no more, so that it can be archived; their names. Those that are alive are left alone."""
    closed = []
    for writer in segments.segments_of(folder):
        try:
            owner = _own(folder, writer, 0.0)
        except LogFailed:
            continue
        try:
            _recover(folder, writer)
            closed.append(writer)
        finally:
            os.close(owner)
    return tuple(closed)


def _own(folder: Path, writer: str, wait_s: float) -> int:
    """The lock of a writer's name. The kernel lets go of it when its process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{writer}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _failed(folder, error) from error
    patience = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() < patience:
                time.sleep(0.02)
                continue
            os.close(descriptor)
            raise LogFailed(
                f"Another process writes to the log as {writer}.",
                where=str(folder),
                expected="one process for each writer's name",
                next="wait until it ends, or choose another name",
            ) from None


def _recover(folder: Path, writer: str) -> tuple[int, int]:
    """Close what a killed process left open; the last segment's number and the last row's."""
    number = seq = 0
    for number in segments.segments_of(folder).get(writer, []):
        path = segment_path(folder, writer, number)
        try:
            with path.open("r+b") as file:
                map_ = mmap.mmap(file.fileno(), 0)
        except ValueError:  # empty: killed before it had any space
            path.unlink()
            continue
        except OSError as error:
            raise _failed(path, error) from error
        with map_:
            last = _last_of(map_, path)
        if last:
            seq = max(seq, last)
        else:
            path.unlink()  # prepared, never used
    return number, seq


def _last_of(map_: Map, path: Path) -> int:
    """The last row of a segment, which is closed if it was not; 0 if it was never in use."""
    try:
        begun = segments.header(map_, path)
    except LogFailed:
        # Prepared only, or its head is spoilt: what was in it is lost, and its numbers are not given again.
        return segments.find_end(map_, 1).last_seq if len(map_) > HEADER_BYTES else 0
    closed = segments.sealed_end(map_)
    if closed is None:
        found = segments.find_end(map_, begun.first_seq)
        closed = (found.end, found.last_seq)
        segments.seal(map_, *closed)
        map_.flush()
    return closed[1]


def _failed(where: Path, error: OSError) -> LogFailed:
    return LogFailed(
        "The prediction log cannot be written.",
        found=error.strerror or str(error),
        where=str(where),
        next="free some space, or give this user the right to that folder",
    )
