"""What is a release: its plan, its stages, what is watched, and where it stands?

The plan is fixed before the first step and recorded; what the contract says later does not reach a rollout that is under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from gonogo.types.allocation import Moves
from gonogo.types.record import Digest
from gonogo.types.verdict import Status


class Phase(Enum):
    """Where a release stands. Only ROLLED_BACK and SETTLED are ends."""

    REGISTERED = "registered"  # planned, nothing loaded
    SHADOW = "shadow"  # the challenger sees every request and answers nobody
    CANARY = "canary"  # it answers a share; `step` says which
    FULL = "full"  # it answers everybody and bakes; the champion stays loaded and warm
    PROBATION = "probation"  # it is champion, until its label window has closed
    SETTLED = "settled"  # beyond recall by this release
    ROLLED_BACK = "rolled_back"  # harm was shown, or a person brought it back


ENDS = (Phase.SETTLED, Phase.ROLLED_BACK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stretch of a release."""

    phase: Phase
    share: float  # of traffic that the challenger answers
    bake_us: int  # the least time in it
    patience_us: int  # after which an undecided stage raises an alarm
    needs_approval: bool = False  # before it is entered
    units: int = 0  # the least number of the challenger's units in it, e.g. the planned sample of an A/B test


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """One guardrail on one slice, with its part of the error budget."""

    name: str  # the guardrail's
    metric: str  # "errors", "latency_p99", "log_loss", …
    kind: str  # "count" | "latency" | "distribution" | "loss"
    slice: str  # "" is all traffic, else "carrier=UA"
    slice_bit: int  # its bit in `slices` of frames and observations; -1: all traffic
    action: str  # "rollback" | "pause"
    ratio_at_most: float | None
    rate_at_most: float | None
    at_most: float | None
    low: float | None  # of one row's value; None where it is no metric on outcomes
    high: float | None
    alpha_harm: float  # per stage: chance that this watch calls a harmless challenger harmful in it
    alpha_certificate: float  # per stage: chance that it certifies a challenger whose harm is at the margin
    loss: int = -1  # index among the plan's losses; -1: none


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that a rollout is run and judged by. No clock touches it."""

    contract: Digest
    contract_name: str
    verdict: Digest
    champion: Digest  # the rollback target: the live candidate, or the baseline where none is live
    challenger: Digest
    method: str
    salt: str  # of this rollout alone: assignments of two rollouts are independent
    bucket_by: str
    alpha: float
    stages: tuple[Stage, ...]
    watches: tuple[Watch, ...]
    slices: tuple[str, ...]  # bit i of `slices`: "carrier=UA"
    losses: tuple[str, ...]  # the metrics that outcomes are scored by
    probation_us: int
    label_window_us: int
    allocation: str = ""  # of method "adaptive": the policy that moves the share
    moves: Moves | None = None  # … and its bounds


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """What is known of the traffic before a release. An unknown number is None, never a guess."""

    requests_per_hour: float | None = None
    units_per_hour: float | None = None  # bucketing keys that were not seen earlier in the stage, on average
    units: float | None = None  # bucketing keys that there are at all: more will not come, however long one waits
    rates: Mapping[str, float] = field(default_factory=dict)  # metric → share of the champion's requests that have its event
    spreads: Mapping[str, float] = field(default_factory=dict)  # metric → standard deviation of the paired difference of its losses
    slices: Mapping[str, float] = field(default_factory=dict)  # "carrier=UA" → its share of the units


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What one stage can show of one watch. None: never, with what is known."""

    watch: str
    step: int
    share: float
    units_to_certificate: int | None  # of the challenger, half of the times, where it is as good as the champion
    hours_to_certificate: float | None
    units_to_harm: int | None  # of the challenger, half of the times, where its harm is 3 times the champion's rate, or twice the margin
    hours_to_harm: float | None
    units_there: float | None  # that its traffic holds at all
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Preflight:
    """What the traffic can decide, said before the first step."""

    forecasts: tuple[Forecast, ...]
    undecidable: tuple[str, ...]  # sentences: watches that no stage can certify; with any of them the release will hold
    unwatched: tuple[str, ...]  # sentences: slices that are not watched, for their traffic cannot decide them
    hours: float | None  # until the end of the last stage, where nothing is found
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchRuling:
    """What one watch says of one stage, with the numbers that decided."""

    watch: str  # name, and slice where it has one
    metric: str
    slice: str
    status: Status  # PASS: harm above the margin is refuted; FAIL: harm is shown
    action: str
    log10_e_harm: float | None  # evidence against "no harm"; harm is shown at log10(1 / alpha_harm)
    log10_e_safe: float | None  # evidence against "harm at the margin or above"
    value: float | None  # the ratio, difference or quantile as it stands
    low: float | None  # anytime-valid ends
    high: float | None
    n_champion: int  # independent units
    n_challenger: int
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the evidence of one stage says: a pure function of the plan and the judge's log up to `cut`."""

    plan: Digest
    step: int  # index of the stage
    cut: int  # so many observations were judged
    status: Status
    rulings: tuple[WatchRuling, ...]
    baked_us: int
    sample_ratio_log10_e: float | None
    alpha_spent: float  # of the release's budget, up to and with this stage
    certified: tuple[str, ...]  # watches whose harm is refuted, in this stage or an earlier one
    sentence: str
    alarm: str = ""  # what a person must look at: both arms fail, no traffic, rows lost
    start: int = 0  # place in the judge's log of the stage's first observation: those from `start` to `cut` rebuild this record
    epoch: int = 0  # of the route when the stage began
    first_epoch: int = 0  # of the route when the rollout began: losses of its earlier answers count too
    carried: tuple[str, ...] = ()  # watches that an earlier stage certified


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a rollout stands: a fold over the ledger."""

    rollout: Digest  # of the plan
    contract: str
    phase: Phase
    step: int
    share: float
    epoch: int  # rises with every change that a router must follow
    held: str  # why it is on hold; "" if it is not
    waits_for_approval: bool
    since_seq: int  # the entry that brought it here
    why: str
    verdict: Digest = ""
    champion: Digest = ""  # the rollback target
    challenger: Digest = ""
    first_epoch: int = 0  # of its first step; 0 before
    start: int = 0  # place in the judge's log from which this stage is judged
    certified: tuple[str, ...] = ()  # watches whose harm an earlier stage refuted
    accepted: tuple[str, ...] = ()  # signals that paused it and that a person has looked at
    approved: tuple[int, ...] = ()  # steps that a person lets it enter
    opened_seq: int = 0  # the entry that opened it

    @property
    def is_under_way(self) -> bool:
        """Can it still move?"""
        return self.phase not in ENDS
