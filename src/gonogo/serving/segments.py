"""What does a file of the log look like, and where does what was really written in it end?

A segment is a file of fixed size whose space is taken when it is made, and which one process writes through memory: a row is in the
kernel's hands the moment it is written, so a killed process loses none. Frames (types/traffic.FRAME and a payload) follow one another at
multiples of 8 bytes. The length of a frame, and its checksum, are its first word and are written last, in one store: nobody ever reads half
a frame. A segment that is closed ends with a SEAL in the place of a length.

    0    magic, 8 bytes: written last, once the segment is in use
    8    version u4, process u4, segment number u8, writer's name 16 bytes, boot id 16 bytes
    56   monotonic ns i8, wall µs i8: the same moment by both clocks; first sequence number u8, size u8
    88   end u8, last sequence number u8: 0 until the segment is closed
    128  the first frame
"""

from __future__ import annotations

import mmap
import os
import re
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gonogo.types.errors import LogFailed
from gonogo.types.traffic import FRAME

MAGIC = b"GNGLOG\x01\n"
VERSION = 1
HEADER_BYTES = 128
SEGMENT_BYTES = 8 << 20  # half a minute of a thousand requests a second; two for each writer are kept ready
FRAME_BYTES = FRAME.itemsize
SEAL = 0xFFFFFFFF  # no frame is that long
END_AT = 88
WRITER = re.compile(r"[a-z][a-z0-9_]{0,15}")
_FILE = re.compile(r"([a-z][a-z0-9_]{0,15})-(\d{8})\.log")

LENGTH = struct.Struct("<I")
PAIR = struct.Struct("<II")  # length, crc
HEAD = struct.Struct("<Q")  # both as one word, as they are written
REST = struct.Struct("<qqQQQQQQIBBBBfId")  # a frame's header behind the crc
END = struct.Struct("<QQ")  # end, last sequence number
_HEADER = struct.Struct("<8sIIQ16s16sqqQQ")
_SEQ = struct.Struct("<Q")
_SEQ_AT = 24  # of a frame
_IDLE = b"\0" * 8

assert PAIR.size + REST.size == FRAME_BYTES
assert _HEADER.size == END_AT

if TYPE_CHECKING:
    from numpy.typing import NDArray

Map: TypeAlias = mmap.mmap


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """What a segment's header says."""

    writer: str
    number: int
    process: int  # its id
    boot: bytes  # 16 bytes: monotonic times of two boots cannot be compared
    at_ns: int  # monotonic …
    wall_us: int  # … and the wall clock of the same moment
    first_seq: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What recovery found in a segment that nobody closed."""

    end: int  # behind the last whole frame
    last_seq: int  # of any whole frame in it; the one before its first where there is none
    damaged: bool  # something that is no frame lies before `end`


def segment_path(folder: Path, writer: str, number: int) -> Path:
    """Where that segment of that writer lies."""
    return folder / f"{writer}-{number:08d}.log"


def segments_of(folder: Path) -> dict[str, list[int]]:
    """Writer → the numbers of its segments, rising; those that are only prepared too. Empty where the folder is not there."""
    found: dict[str, list[int]] = {}
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  names are all that is needed, often
    except FileNotFoundError:
        return found
    for name in names:
        if match := _FILE.fullmatch(name):
            found.setdefault(match[1], []).append(int(match[2]))
    return found


def create(path: Path, size: int) -> Map:
    """A new segment, its space taken and not in use yet, mapped to be written. Raises OSError; leaves nothing behind then."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
        _bring_in(descriptor, size)
        return mmap.mmap(descriptor, size)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _bring_in(descriptor: int, size: int) -> None:
    """Let the kernel find its pages now, while no lock is held, not at the first write to each."""
    chunk = bytearray(1 << 18)
    for at in range(0, size, len(chunk)):
        os.preadv(descriptor, [chunk], at)


def begin(map_: Map, *, writer: str, number: int, first_seq: int) -> None:
    """Put a prepared segment to use. The magic comes last: until then nobody reads it."""
    _HEADER.pack_into(
        map_,
        0,
        _IDLE,
        VERSION,
        os.getpid(),
        number,
        writer.encode(),
        boot_id(),
        time.monotonic_ns(),
        time.time_ns() // 1000,
        first_seq,
        len(map_),
    )
    map_[0:8] = MAGIC


def seal(map_: Map, end: int, last_seq: int) -> None:
    """Close a segment at `end`: no more frames come."""
    END.pack_into(map_, END_AT, end, last_seq)
    LENGTH.pack_into(map_, end, SEAL)


def open_to_read(path: Path) -> Map | None:
    """A segment mapped to be read; None where it is not there, or not in use yet."""
    try:
        with path.open("rb") as file:
            if file.read(8) != MAGIC:
                return None
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LogFailed(
            "A segment of the log cannot be read.",
            found=error.strerror or str(error),
            where=str(path),
            next="give this user the right to it",
        ) from error


def header(map_: Map, path: Path) -> Begun:
    """What the header says. Raises LogFailed for a file of another version or one that was cut."""
    if len(map_) >= HEADER_BYTES and map_[0:8] == MAGIC:
        _, version, process, number, writer, boot, at_ns, wall_us, first_seq, size = _HEADER.unpack_from(map_)
        if version == VERSION and size == len(map_):
            name = writer.rstrip(b"\0").decode("ascii", "replace")
            return Begun(
                writer=name, number=number, process=process, boot=boot, at_ns=at_ns, wall_us=wall_us, first_seq=first_seq, size=size
            )
    raise LogFailed(
        "A file in the log's folder is no segment of this gonogo.",
        found=f"{len(map_):,} bytes that begin with {map_[0:8]!r}",
        expected=f"the magic {MAGIC!r}, version {VERSION}, and the size that the header says",
        where=str(path),
        next="move the file away; what it held is counted as lost",
    )


def sealed_end(map_: Map) -> tuple[int, int] | None:
    """End and last sequence number of a closed segment; None for one in use."""
    end, last_seq = END.unpack_from(map_, END_AT)
    return (end, last_seq) if HEADER_BYTES <= end <= len(map_) - 8 and LENGTH.unpack_from(map_, end)[0] == SEAL else None


def frame_end(map_: Map, at: int) -> int:
    """Where the whole frame at this place ends; 0 if there is none (yet)."""
    length, crc = PAIR.unpack_from(map_, at)
    end: int = at + FRAME_BYTES + length
    if not length or end > len(map_) - 8 or zlib.crc32(map_[at + 8 : end]) != crc:
        return 0
    return (end + 7) & -8


def next_frame(map_: Map, at: int, stop: int, after_seq: int) -> int:
    """The first place from `at` on and before `stop` where a whole frame of a later sequence number lies; `stop` for none."""
    words = np.frombuffer(map_, "<u4", count=max(0, stop - at) // 4, offset=at)[::2]
    candidates: list[int] = (at + 8 * np.flatnonzero((words > 0) & (words <= stop - at))).tolist()
    del words  # a map that is looked at cannot be closed
    for place in candidates:
        if place + FRAME_BYTES <= stop and _SEQ.unpack_from(map_, place + _SEQ_AT)[0] > after_seq and 0 < frame_end(map_, place) <= stop:
            return int(place)
    return stop


def find_end(map_: Map, first_seq: int) -> Found:
    """Where the frames of a segment end that nobody closed."""
    at, last, damaged = HEADER_BYTES, first_seq - 1, False
    stop = len(map_) - 8
    while at < stop:
        end = frame_end(map_, at)
        if not end:
            # A row that was being written when its writer died has no length. Whole frames behind it mean damage instead.
            place = next_frame(map_, at, stop, last)
            if place == stop:
                break
            damaged, at = True, place
            continue
        last = _SEQ.unpack_from(map_, at + _SEQ_AT)[0]
        at = end
    return Found(end=at, last_seq=last, damaged=damaged)


def frames_at(map_: Map, starts: list[int]) -> NDArray[np.void]:
    """(n,) of FRAME: copies of the headers that begin there."""
    words = np.frombuffer(map_, "<u8", count=len(map_) // 8)
    wanted = np.asarray(starts, np.int64) // 8
    frames: NDArray[np.void] = words[wanted[:, None] + np.arange(FRAME_BYTES // 8)].view(FRAME).reshape(len(starts))
    return frames


def whole_frames(map_: Map, stop: int) -> Iterator[int]:
    """The places of the whole frames up to `stop`, over damage if there is any."""
    at, last = HEADER_BYTES, 0
    while at < stop:
        end = frame_end(map_, at)
        if not end:
            at = next_frame(map_, at, stop, last)
            continue
        last = _SEQ.unpack_from(map_, at + _SEQ_AT)[0]
        yield at
        at = end


def boot_id() -> bytes:
    """16 bytes that stand for this boot of the machine; zeros where it does not say."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))[:16]
    except (OSError, ValueError):
        return bytes(16)
