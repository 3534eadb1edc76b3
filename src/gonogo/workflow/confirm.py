"""Do the workers that answer now follow what was recorded?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gonogo.serving.places import Places
from gonogo.serving.route import read_route
from gonogo.serving.workerpage import Seen, is_silent, living
from gonogo.types.errors import NotConfirmed, StorageFailed
from gonogo.types.record import Digest

PATIENCE_S = 5.0
_LOOK_S = 0.005


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation:
    """Who said that they follow it."""

    workers: tuple[int, ...]  # their numbers; empty: nobody serves
    seconds: float  # from the first look until the last of them said so


def confirm(
    places: Places, epoch: int, champion: Digest, *, patience_s: float = PATIENCE_S, help_on: Callable[[], None] = lambda: None
) -> Confirmation:
    """Wait until the route is of that epoch with that champion, or of a later epoch, and every living worker follows it.

    help_on: called between two looks. Raises NotConfirmed where one does not say so in time: what is recorded stays recorded.
    """
    started = time.monotonic()
    while True:
        # One that has never given a sign of life is still loading: it answers nobody yet, and will read the route as it then is.
        workers = tuple(seen for seen in living(places.workers) if seen.heartbeat_ns)
        version = _version(places, epoch, champion) if workers else 0
        behind = [seen for seen in workers if version is None or seen.follows < version]
        waited = time.monotonic() - started
        if not behind:
            return Confirmation(workers=tuple(seen.worker for seen in workers), seconds=round(waited, 3))
        if waited > patience_s:
            raise _not_confirmed(workers, behind, epoch, places)
        help_on()
        time.sleep(_LOOK_S)


def _version(places: Places, epoch: int, champion: Digest) -> int | None:
    """The version of the route in force, where it is the one that was asked for; None where it is not there yet."""
    try:
        found = read_route(places.route)
    except StorageFailed:
        return None
    if found is None:
        return None
    version, route = found
    return version if route.epoch > epoch or (route.epoch == epoch and route.champion == champion) else None


def _not_confirmed(workers: tuple[Seen, ...], behind: list[Seen], epoch: int, places: Places) -> NotConfirmed:
    now = time.monotonic_ns()
    said = ", ".join(
        f"worker {seen.worker} (process {seen.pid}) " + ("gives no sign of life" if is_silent(seen, now) else f"follows epoch {seen.epoch}")
        for seen in behind
    )
    return NotConfirmed(
        f"It is recorded, and {len(behind)} of {len(workers)} workers have not said that they follow it.",
        found=said,
        expected=f"epoch {epoch} on every worker's page",
        where=str(places.workers),
        next="gonogo rollout status shows what they follow; end a process that gives no sign of life, the server starts another",
    )
