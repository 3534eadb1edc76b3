"""What does the launch page need to know? Everything it shows comes from this one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gonogo.types.candidate import Candidate
from gonogo.types.contract import Contract
from gonogo.types.evidence import Curve, Estimate, Evidence, Measurements, Of
from gonogo.types.record import Digest
from gonogo.types.snapshot import Snapshot
from gonogo.types.verdict import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """One record in the chain from the verdict back to its sources."""

    label: str  # "snapshot", "source weather", "code", "lock file"
    digest: Digest | None  # None where it has no content of its own
    detail: str = ""  # "26,115 rows"
    parents: tuple[Origin, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryLine:
    """One ledger entry, as the page lists it."""

    seq: int
    at: str  # UTC, ISO 8601
    kind: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Waived:
    """A finding that somebody answers for."""

    code: str
    where: str
    by: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PageView:
    """Everything that the page of one verdict shows."""

    contract: Contract
    snapshot: Snapshot
    candidate: Candidate
    verdict: Verdict
    evidence: Evidence | None  # None: nothing was measured, and `no_evidence` says why
    measurements: Measurements | None  # None: no clock ran
    digests: Mapping[str, Digest]  # "contract", "snapshot", "candidate", "evidence", "measurements", "verdict"
    lineage: tuple[Origin, ...] = ()  # the verdict first, its parents within
    seconds: Mapping[str, float] = field(default_factory=dict)  # step → how long it took
    words: Mapping[str, str] = field(default_factory=dict)  # metric → a sentence for a stakeholder
    history: tuple[HistoryLine, ...] = ()
    extra_curves: tuple[Curve, ...] = ()  # e.g. the learning curve
    champion: Candidate | None = None  # what the challenger is held against
    champion_measurements: Measurements | None = None
    waived: tuple[Waived, ...] = ()
    no_evidence: str = ""  # why evidence is None
    times_opened: int = 1  # how often the test table was opened for this candidate

    @property
    def reference(self) -> str:
        """What the challenger is held against: "champion" or "baseline"."""
        return self.evidence.champion_is if self.evidence else "champion"

    @property
    def waived_findings(self) -> frozenset[tuple[str, str]]:
        """(code, where) of the findings that are waived."""
        return frozenset((w.code, w.where) for w in self.waived)

    def estimate(self, metric: str, of: Of, part: str = "") -> Estimate | None:
        """The estimate of the evidence for that metric, arm and slice; None where it was not asked for."""
        found = self.evidence.estimates if self.evidence else ()
        return next((e for e in found if e.metric == metric and e.of is of and e.slice == part), None)

    def noun_of(self, metric: str) -> str:
        """What a figure of that metric counts as independent: the contract's unit, a timing, a check; empty where unknown."""
        if metric == "open_findings":
            return "check"
        if self.evidence and any(e.metric == metric for e in self.evidence.estimates):
            return self.contract.unit
        timed = self.measurements is not None and any(e.metric == metric for e in self.measurements.estimates)
        return "timing" if timed else ""
