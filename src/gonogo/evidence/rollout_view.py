"""What does the page of a rollout show? Records that somebody else has gathered; nothing here is computed."""

from __future__ import annotations

from dataclasses import dataclass

from gonogo.types.record import Digest
from gonogo.types.release import Judgement, Plan, Preflight, Standing


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One entry of the ledger about this rollout."""

    seq: int
    at: str  # ISO 8601, UTC
    seconds: float  # since the rollout was opened
    by: str
    kind: str  # "rollout_opened" | "rollout_step" | "rollout_held" | … | "release" | "rollback" | "alarm"
    phase: str  # where the rollout stood after it
    step: int
    share: float  # of traffic that the challenger answered after it
    because: str  # "certificate" | "harm" | "command" | …; "" where the entry does not say
    why: str
    judgement: Digest | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """What one watch said at one moment."""

    seconds: float  # since the rollout was opened
    step: int
    harm: float | None  # evidence of harm, 1 is what shows it
    safe: float | None  # evidence that harm above the margin is refuted, 1 is what certifies it
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """One watch over the whole rollout."""

    watch: str  # as a ruling names it
    metric: str
    slice: str
    margin: float | None  # of `value`, where it has one
    measured_in: str
    spots: tuple[Spot, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutView:
    """All that the page shows."""

    name: str  # of the contract
    question: str
    rollout: Digest
    plan: Plan
    standing: Standing
    decisions: tuple[Decision, ...]  # oldest first
    judgements: tuple[Judgement, ...]  # the last one of each stage that was judged, in order
    traces: tuple[Trace, ...]
    challenger: str  # in words: "logistic regression"
    champion: str
    preflight: Preflight | None = None
    no_traces: str = ""  # why there are none
