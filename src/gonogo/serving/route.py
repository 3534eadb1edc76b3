"""Which model answers now, as every worker reads it on every request?

The controller writes the route after the ledger says so; workers read it at each request for the cost of a look at two numbers. It carries
a lease that the controller renews several times a second. When the lease runs out, because the controller hangs or is dead, the one that
the ledger calls champion answers alone: nobody is watching, so nobody is tried.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gonogo.serving.cell import Cell
from gonogo.types.errors import ArtifactRefused
from gonogo.types.record import Digest, canonical, from_bytes
from gonogo.types.release import Phase

LEASE_NS = 2_000_000_000  # after so long without a sign of the controller
_LEASE = 0  # which lone number of the cell


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """Who answers whom. Names candidates, and beside each the package that it is answered from."""

    epoch: int  # rises with every change of who answers; stands in every frame of the log
    champion: Digest  # the plan's champion: the rollback target; without a rollout the one that is live
    champion_package: Digest
    challenger: Digest = ""  # "" without a rollout
    challenger_package: Digest = ""
    phase: Phase = Phase.SETTLED
    step: int = -1  # of the plan; -1 without a rollout
    share: float = 0.0  # of traffic that the challenger answers
    share_alone: float = 0.0  # the share when nobody watches: 1 once the ledger calls the challenger champion
    plan: Digest = ""
    salt: str = ""
    bucket_by: str = ""
    slices: tuple[str, ...] = ()  # bit i of a frame's `slices`: "carrier=UA"
    losses: tuple[str, ...] = ()
    load: tuple[Digest, ...] = ()  # packages that every worker shall hold ready, beyond those that are named above

    @property
    def packages(self) -> tuple[Digest, ...]:
        """Everything that a worker holds ready, the champion's first."""
        named = (self.champion_package, self.challenger_package, *self.load)
        return tuple(dict.fromkeys(package for package in named if package))

    @property
    def shadows(self) -> bool:
        """Is every request also shown to the arm that does not answer it?"""
        return bool(self.challenger) and self.phase not in (Phase.REGISTERED, Phase.SETTLED, Phase.ROLLED_BACK)

    def alone(self) -> Route:
        """The same while nobody watches."""
        if self.share == self.share_alone:
            return self
        return replace(self, share=self.share_alone)


class RouteWriter:
    """The controller's hand on the route."""

    def __init__(self, path: Path) -> None:
        """Map the route's file, and make it where it is not there yet."""
        self._cell = Cell(path, create=True)

    @property
    def version(self) -> int:
        """How often the route was written."""
        return self._cell.version

    def current(self) -> Route | None:
        """The route as it stands; None where there is none that can be read."""
        return _route(self._cell.read())

    def write(self, route: Route) -> int:
        """Change the route for every worker at once; its version."""
        return self._cell.write(canonical(route))

    def renew(self, now_ns: int) -> None:
        """Somebody watches, and will say so again before the lease runs out."""
        self._cell.set_number(_LEASE, now_ns + LEASE_NS)

    def end_lease(self) -> None:
        """Nobody watches from now on."""
        self._cell.set_number(_LEASE, 0)

    def close(self) -> None:
        """Give the file back."""
        self._cell.close()


class RouteReader:
    """A worker's view of the route."""

    def __init__(self, path: Path) -> None:
        """Raises StorageFailed where there is no route's file."""
        self._cell = Cell(path)
        self._words = self._cell.words
        self._version = -1
        self._watched: Route | None = None
        self._alone: Route | None = None

    @property
    def version(self) -> int:
        """The version of the route that `current` last gave."""
        return self._version

    def current(self, now_ns: int) -> Route | None:
        """The route at this moment of the monotonic clock; None as long as there has been none.

        One that cannot be read changes nothing: the last one is followed.
        """
        words = self._words
        if words[1] != self._version:
            self._reread()
        return self._watched if now_ns <= words[2] else self._alone

    def is_watched(self, now_ns: int) -> bool:
        """Has the controller given a sign of life within its lease?"""
        return now_ns <= self._words[2]

    def _reread(self) -> None:
        found = self._cell.read()
        route = _route(found)
        if found is None or route is None:
            return
        self._version, self._watched, self._alone = found[0], route, route.alone()

    def close(self) -> None:
        """Give the file back."""
        del self._words
        self._cell.close()


def read_route(path: Path) -> tuple[int, Route] | None:
    """The route's version and the route as it is written, whoever watches; None where there is none. Raises StorageFailed."""
    cell = Cell(path)
    try:
        found = cell.read()
    finally:
        cell.close()
    route = _route(found)
    return None if found is None or route is None else (found[0], route)


def _route(found: tuple[int, bytes] | None) -> Route | None:
    if found is None:
        return None
    try:
        return from_bytes(Route, found[1])
    except (ArtifactRefused, ValueError):  # of another version of gonogo
        return None
