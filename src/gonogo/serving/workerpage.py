"""What does each worker say of itself: that it lives, what it follows, what it holds ready?

One small file per worker, mapped. The controller moves nothing forward before every living worker has confirmed here; a command that a
person gave is confirmed by the same pages.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gonogo.serving.cell import Cell
from gonogo.types.errors import ArtifactRefused, StorageFailed
from gonogo.types.record import Digest, canonical, from_bytes

SILENT_NS = 2_000_000_000  # a worker that says nothing for so long does not answer any more
_HEARTBEAT, _PID, _FOLLOWS, _EPOCH, _IN_FLIGHT, _DROPS, _UNLOGGED, _ANSWERED = range(8)


@dataclass(frozen=True, kw_only=True, slots=True)
class Holds:
    """What a worker has loaded."""

    ready: tuple[Digest, ...] = ()  # packages that are loaded and answered their probes
    refused: Mapping[str, str] = field(default_factory=dict)  # package → why it is not


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One worker as its page shows it."""

    worker: int
    pid: int
    heartbeat_ns: int  # monotonic
    follows: int  # version of the route
    epoch: int
    in_flight: int
    drops: int  # shadow answers that were not made
    unlogged: int
    answered: int
    holds: Holds


class WorkerPage:
    """A worker's own page."""

    def __init__(self, folder: Path, worker: int) -> None:
        """folder: `workers` of the serving folder."""
        folder.mkdir(parents=True, exist_ok=True)
        # The system gives the lock back however this process ends: a page without its lock is of nobody.
        self._lock = (folder / f"{worker}.lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._cell = Cell(folder / str(worker), create=True)
        self._cell.set_number(_HEARTBEAT, 0)
        self._cell.set_number(_FOLLOWS, 0)
        self._cell.set_number(_EPOCH, 0)
        self.hold(Holds())
        self._cell.set_number(_PID, os.getpid())

    def beat(
        self, now_ns: int, *, follows: int, epoch: int, in_flight: int = 0, drops: int = 0, unlogged: int = 0, answered: int = 0
    ) -> None:
        """A sign of life. The route is said to be followed only by the thread that answers, after it has read it."""
        put = self._cell.set_number
        put(_IN_FLIGHT, in_flight)
        put(_DROPS, drops)
        put(_UNLOGGED, unlogged)
        put(_ANSWERED, answered)
        put(_EPOCH, epoch)
        put(_FOLLOWS, follows)
        put(_HEARTBEAT, now_ns)

    def hold(self, holds: Holds) -> None:
        """Say what is loaded."""
        self._cell.write(canonical(holds))

    def close(self) -> None:
        """Give the files back: from now on this worker is not there."""
        self._cell.close()
        self._lock.close()


def read_pages(folder: Path) -> tuple[Seen, ...]:
    """Every worker's page, in order of the worker's number. A page that cannot be read is left out: it confirms nothing."""
    seen = []
    for path in sorted((p for p in folder.glob("*") if p.name.isdigit()), key=lambda p: int(p.name)):
        try:
            cell = Cell(path)
        except StorageFailed:
            continue
        try:
            seen.append(_seen(int(path.name), cell))
        finally:
            cell.close()
    return tuple(seen)


def living(folder: Path) -> tuple[Seen, ...]:
    """The workers that are there: their process exists. One that says nothing any more is among them, for it may still answer."""
    return tuple(seen for seen in read_pages(folder) if _is_held(folder / f"{seen.worker}.lock"))


def is_silent(seen: Seen, now_ns: int) -> bool:
    """Has it given no sign of life for longer than two seconds? Its lease on the route has then run out as well."""
    return now_ns - seen.heartbeat_ns > SILENT_NS


def _seen(worker: int, cell: Cell) -> Seen:
    found = cell.read()
    try:
        holds = Holds() if found is None else from_bytes(Holds, found[1])
    except (ArtifactRefused, ValueError):
        holds = Holds()
    number = cell.number
    return Seen(
        worker=worker,
        pid=number(_PID),
        heartbeat_ns=number(_HEARTBEAT),
        follows=number(_FOLLOWS),
        epoch=number(_EPOCH),
        in_flight=number(_IN_FLIGHT),
        drops=number(_DROPS),
        unlogged=number(_UNLOGGED),
        answered=number(_ANSWERED),
        holds=holds,
    )


def _is_held(lock: Path) -> bool:
    try:
        with lock.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
