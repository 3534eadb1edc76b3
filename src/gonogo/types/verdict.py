"""What does the contract say about that evidence?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gonogo.types.record import Digest


class Status(Enum):
    """How one gate ruled, from best to worst. Only PASS lets a release through."""

    PASS = "pass"  # noqa: S105
    INCONCLUSIVE = "inconclusive"  # measured, and the interval holds both harm and no harm
    MISSING = "missing"  # not measured, too few units, stale, or of another digest
    ERROR = "error"  # the measurement itself failed
    FAIL = "fail"  # harm is shown


SEVERITY: tuple[Status, ...] = (Status.PASS, Status.INCONCLUSIVE, Status.MISSING, Status.ERROR, Status.FAIL)


def worst(statuses: tuple[Status, ...]) -> Status:
    """The most severe of them; nothing at all is MISSING, for no evidence is never a pass.

    >>> worst(())
    <Status.MISSING: 'missing'>
    >>> worst((Status.PASS, Status.FAIL, Status.ERROR))
    <Status.FAIL: 'fail'>
    """
    return max(statuses, key=SEVERITY.index, default=Status.MISSING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruling:
    """One gate applied to one estimate: the status, the number that decided, and one sentence."""

    gate: str  # the gate's name in the contract
    metric: str
    slice: str  # "" is the whole table
    status: Status
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    n_units: int
    measured_in: str
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The rulings of every gate, and GO only if there is a gate and every one passed. No clock touches it."""

    contract: Digest
    snapshot: Digest
    candidate: Digest
    evidence: Digest
    measurements: Digest | None
    waivers: tuple[Digest, ...]  # hashes of the ledger entries that waive findings
    rulings: tuple[Ruling, ...]

    @property
    def status(self) -> Status:
        """The worst ruling."""
        return worst(tuple(r.status for r in self.rulings))

    @property
    def go(self) -> bool:
        """True only if there is a ruling and every ruling is a pass."""
        return self.status is Status.PASS
