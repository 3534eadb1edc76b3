"""What exactly was the judge told, and how far had the log been read when it was?

The controller's own log: blocks of observations, each with the position behind the rows that it was made of. A block is one frame, so it
is there whole or not at all, with its position: after a crash the controller goes on exactly behind the last one. A judgement is a function
of the plan and of these observations, so it can be computed again from them years later.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gonogo.serving import segments
from gonogo.serving.log import Log
from gonogo.serving.segments import FRAME_BYTES, HEADER_BYTES, SEGMENT_BYTES
from gonogo.serving.tail import Position, Tail
from gonogo.types.errors import LogFailed
from gonogo.types.traffic import OBSERVATION, FrameKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

WRITER = "judge"
MOST_IN_BLOCK = 65_536  # observations; a poll of the log gives far fewer
_PATIENCE_S = 0.25  # for a next segment that is being made ready
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """What the judge was told at once."""

    observations: NDArray[np.void]  # (n,) of OBSERVATION, in the order in which they were judged
    position: Position  # of the prediction log, behind the rows that they were made of


class JudgeLog:
    """The judge's log of one rollout, to be appended to by one process."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, wait_s: float = 0.0) -> None:
        """Go on behind the last block. folder: of this rollout alone. Raises LogFailed where another process appends to it."""
        self.folder = folder
        self._log = Log(folder, WRITER, segment_bytes=segment_bytes, wait_s=wait_s)
        self._most = min(MOST_IN_BLOCK, (segment_bytes - HEADER_BYTES - FRAME_BYTES - 4096) // OBSERVATION.itemsize)

    def append(self, observations: NDArray[np.void], position: Position) -> None:
        """Keep a block; it is there for whoever reads next, also if this process is killed at once.

        Raises LogFailed where it cannot be written: what it holds is then not judged, and stays to be read. ValueError for another layout
        or more than MOST_IN_BLOCK.
        """
        if observations.dtype != OBSERVATION:
            raise ValueError(f"observations are {OBSERVATION}, not {observations.dtype}")
        if len(observations) > self._most:
            raise ValueError(f"{len(observations):,} observations are no block: at most {self._most:,}")
        where = position.to_bytes()
        payload = _LENGTH.pack(len(where)) + where + observations.tobytes()
        roomy = self._log.wait_for_room(_PATIENCE_S, len(payload))
        if not (roomy and self._log.append(FrameKind.OBSERVATIONS, payload, unit=len(observations))):
            raise LogFailed(
                "The judge's log cannot be written, so nothing is judged.",
                found=self._log.blocked or "no room",
                where=str(self.folder),
                next="free some space; the release holds until then",
            )

    def sync(self) -> None:
        """Return once the disk holds every block. Before a step is recorded that rests on them. Raises LogFailed."""
        self._log.sync()

    def close(self) -> None:
        """Give the log back."""
        self._log.close()

    def __enter__(self) -> JudgeLog:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def read_blocks(folder: Path) -> Iterator[Block]:
    """Every block that was kept, in order; none where nothing was. Raises LogFailed where one is damaged: there is no judging around it."""
    tail = Tail(folder)
    while True:
        batch = tail.poll(at_most=64)
        if not len(batch):
            return
        for i in range(len(batch)):
            if batch.frames["kind"][i] != FrameKind.OBSERVATIONS:
                if batch.frames["length"][i]:
                    continue  # the writer's own: a block that it could not write was not judged
                raise LogFailed(
                    "The judge's log is damaged.",
                    found=f"{int(batch.frames['unit'][i]):,} blocks that cannot be read",
                    expected="every block, as it was written",
                    where=str(folder),
                    next="no judgement of this rollout can be computed again; roll it back and release again",
                )
            yield _block(batch.payload(i))


def last_position(folder: Path) -> Position | None:
    """How far the prediction log was read when the last block was kept; None before the first one."""
    for number in reversed(segments.segments_of(folder).get(WRITER, ())):
        path = segments.segment_path(folder, WRITER, number)
        map_ = segments.open_to_read(path)
        if map_ is None:
            continue
        end, _ = segments.sealed_end(map_) or (segments.find_end(map_, segments.header(map_, path).first_seq).end, 0)
        starts = list(segments.whole_frames(map_, end))
        frames = segments.frames_at(map_, starts)
        for i in np.flatnonzero(frames["kind"] == FrameKind.OBSERVATIONS)[::-1].tolist():
            start = starts[i] + FRAME_BYTES
            return _block(map_[start : start + int(frames["length"][i])]).position
    return None


def _block(payload: bytes) -> Block:
    (length,) = _LENGTH.unpack_from(payload)
    at = _LENGTH.size + length
    return Block(
        observations=np.frombuffer(payload, OBSERVATION, offset=at),
        position=Position.from_bytes(payload[_LENGTH.size : at]),
    )
