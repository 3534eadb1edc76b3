"""Which share does a policy give the challenger, and may the share move at all?

Pure, like the judge: the same lines of the judge's log give the same `Allotment`, in any blocks, on the day and when it is replayed.
Time is what TICK lines say. A policy says what it would like; here the contract's bounds are laid on it, and the evidence decides
whether it is asked at all.

What a policy may see is chosen so that the judge's sequences stay valid while the share follows the data; `DESIGN.md` has the argument.
Of what is counted it sees the units whose number has its highest bit, and the judge counts those by their very first request alone; of
losses it sees all units, for a loss of both arms on one row does not depend on whose answer was given.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.gates.plan import LATENCY, LOSS, label, reward_watch
from gonogo.gates.rollout import effective, pausing
from gonogo.gates.sentences import number
from gonogo.types.allocation import GRID, Allotment, Moves, Policy, Seen, Sums
from gonogo.types.errors import PolicyFailed, ReplayDiffers
from gonogo.types.record import canonical, digest
from gonogo.types.traffic import OBSERVATION, ObservationKind
from gonogo.types.verdict import Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.gates.judge import Lines
    from gonogo.types.release import Judgement, Plan, Standing, Watch

STEERS = 1 << 63  # units with this bit are shown to the policy where the reward is counted; `judge_kernel` has the same
DOUBT = 0.5  # so far on the way to shown harm (of the log of the evidence) the share rises no further
_AT_ONCE = 65_536  # rows that are added up together, whatever blocks they came in: sums of floats depend on it
_ROWS = np.dtype([("unit", "<u8"), ("arm", "u1"), ("champion", "<f8"), ("challenger", "<f8")])


# ── what was seen ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True, slots=True)
class Closed:
    """A period that has ended."""

    period: int
    cut: int  # place in the judge's log behind its last line
    champion: Sums
    challenger: Sums
    lately_champion: Sums
    lately_challenger: Sums
    gain: Sums | None

    @property
    def is_empty(self) -> bool:
        """Was nothing of the reward seen on one of the arms, ever or in this period?"""
        return not (self.champion.units and self.challenger.units and self.lately_champion.units and self.lately_challenger.units)


@dataclass(slots=True)
class _ByUnit:
    """Rows and sums of each unit, sorted by unit."""

    unit: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    rows: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def plus(self, unit: NDArray[np.uint64], rows: NDArray[np.float64], total: NDArray[np.float64]) -> _ByUnit:
        """With these rows beside; a unit may stand twice. In one order, so that the same rows give the same bits."""
        units, place = np.unique(unit, return_inverse=True)
        counted, summed = (np.bincount(place, weights=one, minlength=len(units)).astype(np.float64) for one in (rows, total))
        return self.merged(_ByUnit(unit=units, rows=counted, total=summed))

    def merged(self, other: _ByUnit) -> _ByUnit:
        """Both together. Few units into many: nothing is sorted again."""
        at = np.searchsorted(self.unit, other.unit)
        known = np.zeros(len(at), np.bool_)
        inside = at < len(self.unit)
        known[inside] = self.unit[at[inside]] == other.unit[inside]
        rows, total = self.rows.copy(), self.total.copy()
        rows[at[known]] += other.rows[known]
        total[at[known]] += other.total[known]
        new = ~known
        return _ByUnit(
            unit=np.insert(self.unit, at[new], other.unit[new]),
            rows=np.insert(rows, at[new], other.rows[new]),
            total=np.insert(total, at[new], other.total[new]),
        )

    def sums(self) -> Sums:
        means = self.total / np.maximum(self.rows, 1.0)
        return Sums(units=len(self.unit), total=_rounded(float(means.sum())), squares=_rounded(float((means * means).sum())))


class Periods:
    """The rewards of one canary, period by period. `closed` is the newest one that has ended; None before the first has."""

    def __init__(self, plan: Plan, step: int, *, epoch: int, first_epoch: int = 0, start: int = 0) -> None:
        """As the judge of that stage, see `judge.Judge`."""
        assert plan.moves is not None
        self.plan, self.step, self.start = plan, step, start
        self.epoch, self.first_epoch = epoch, first_epoch or epoch
        self.closed: Closed | None = None
        self._watch = reward_watch(plan)
        self._every_ns = 1000 * plan.moves.every_us
        self._taken = self._elapsed_ns = self._periods = 0
        self._anchor_ns: int | None = None
        self._waiting = np.zeros(0, _ROWS)
        self._lately = [_ByUnit(), _ByUnit(), _ByUnit()]  # champion, challenger, gain
        self._ever = [_ByUnit(), _ByUnit(), _ByUnit()]

    def take(self, lines: Lines) -> None:
        """The next lines of the judge's log, in their order."""
        marks = np.flatnonzero((lines["kind"] == ObservationKind.TICK) | (lines["kind"] == ObservationKind.ALIVE))
        begin = 0
        for at in marks.tolist():
            self._add(lines[begin:at])
            begin = at + 1
            self._taken += 1
            self._mark(int(lines["kind"][at]), int(lines["at_ns"][at]))
        self._add(lines[begin:])

    def _mark(self, kind: int, at_ns: int) -> None:
        if kind == ObservationKind.TICK and self._anchor_ns is not None:
            self._elapsed_ns += max(at_ns - self._anchor_ns, 0)
        self._anchor_ns = at_ns
        if self._elapsed_ns // self._every_ns > self._periods:
            self._periods = self._elapsed_ns // self._every_ns
            self._close()

    def _add(self, lines: Lines) -> None:
        self._taken += len(lines)
        found = _losses(lines, self) if self._watch.kind == LOSS else _counted(lines, self._watch, self.epoch)
        self._waiting = np.concatenate([self._waiting, found])
        while len(self._waiting) >= _AT_ONCE:
            self._sum_up(self._waiting[:_AT_ONCE])
            self._waiting = self._waiting[_AT_ONCE:]

    def _sum_up(self, rows: NDArray[np.void]) -> None:
        is_paired = self._watch.kind == LOSS
        for arm, name in enumerate(("champion", "challenger")):
            its = rows if is_paired else rows[rows["arm"] == arm]
            self._lately[arm] = self._lately[arm].plus(its["unit"], np.ones(len(its)), its[name])
        if is_paired:
            gain = (1.0 + rows["challenger"] - rows["champion"]) / 2.0
            self._lately[2] = self._lately[2].plus(rows["unit"], np.ones(len(rows)), gain)

    def _close(self) -> None:
        self._sum_up(self._waiting)
        self._waiting = self._waiting[:0]
        self._ever = [ever.merged(new) for ever, new in zip(self._ever, self._lately, strict=True)]
        (champion, challenger, gain), lately = (one.sums() for one in self._ever), [one.sums() for one in self._lately]
        self.closed = Closed(
            period=self._periods,
            cut=self.start + self._taken,
            champion=champion,
            challenger=challenger,
            lately_champion=lately[0],
            lately_challenger=lately[1],
            gain=gain if self._watch.kind == LOSS else None,
        )
        self._lately = [_ByUnit(), _ByUnit(), _ByUnit()]


def _counted(lines: Lines, watch: Watch, epoch: int) -> NDArray[np.void]:
    """The answers of units that are shown to the policy: 1 where it went well. What is an event is as the judge has it."""
    share, status, latency = lines["share"], lines["status"], lines["latency_us"]
    asked = (lines["kind"] == ObservationKind.ANSWER) & (lines["epoch"] >= epoch) & (share > 0) & (share < 1)
    asked &= (lines["unit"] & np.uint64(STEERS)) != 0
    if watch.kind == LATENCY:
        asked &= latency > 0
        hit = (latency > 1000.0 * (watch.at_most or math.inf)) | (status >= 2)
    else:
        hit = status >= 2 if watch.metric == "errors" else status != 0
    rows = np.zeros(int(asked.sum()), _ROWS)
    rows["unit"], rows["arm"] = lines["unit"][asked], lines["arm"][asked]
    rows["champion"] = rows["challenger"] = ~hit[asked]
    return rows


def _losses(lines: Lines, periods: Periods) -> NDArray[np.void]:
    """Both arms' losses on one row as rewards: 1 at the low end of the range, 0 at its high end."""
    watch = periods._watch
    low, high = watch.low or 0.0, watch.high if watch.high is not None else 1.0
    told = (lines["kind"] == ObservationKind.LOSS) & (lines["watch"] == watch.loss) & (lines["epoch"] >= periods.first_epoch)
    told &= (lines["unit"] != 0) & np.isfinite(lines["value"]) & np.isfinite(lines["other"])
    its = lines[told]
    own, other = ((high - np.clip(its[name], low, high)) / (high - low) for name in ("value", "other"))
    rows = np.zeros(len(its), _ROWS)
    rows["unit"], rows["arm"] = its["unit"], its["arm"]
    rows["challenger"], rows["champion"] = np.where(its["arm"] == 1, own, other), np.where(its["arm"] == 1, other, own)
    return rows


# ── what a policy makes of it ───────────────────────────────────────────────────────────────────────────────────────────────


def seen_of(plan: Plan, closed: Closed, share: float) -> Seen:
    """What the policy is shown of that period, at that share."""
    assert plan.moves is not None
    return Seen(
        share=share,
        champion=closed.champion,
        challenger=closed.challenger,
        lately_champion=closed.lately_champion,
        lately_challenger=closed.lately_challenger,
        lowest=plan.moves.lowest,
        highest=plan.moves.highest,
        step=plan.moves.step,
        period=closed.period,
        seed=int.from_bytes(hashlib.sha256(f"{plan.salt}:{closed.period}".encode()).digest()[:6], "big"),
        gain=closed.gain,
    )


def allot(periods: Periods, closed: Closed, share: float, policy: Policy, version: str) -> Allotment:
    """The share that the policy gives the challenger at the end of that period, where it stood at `share`. Raises PolicyFailed."""
    plan, moves = periods.plan, periods.plan.moves
    assert moves is not None
    seen = seen_of(plan, closed, share)
    asked = _rounded(ask(policy, plan.allocation, seen))
    given = bounded(asked, share, moves)
    return Allotment(
        plan=digest(plan),
        step=periods.step,
        start=periods.start,
        cut=closed.cut,
        epoch=periods.epoch,
        first_epoch=periods.first_epoch,
        policy=plan.allocation,
        version=version,
        seen=seen,
        asked=asked,
        share=given,
        sentence=_sentence(plan, seen, asked, given),
    )


def ask(policy: Policy, name: str, seen: Seen) -> float:
    """What the policy says. Raises PolicyFailed where it raises, gives no number, or says two things of the same."""
    said = [_asked(policy, name, seen) for _ in range(2)]
    if said[0] != said[1]:
        raise _failed(name, f"{said[0]} and then {said[1]}", "one answer to one question: a policy is a pure function", seen)
    return said[0]


def _asked(policy: Policy, name: str, seen: Seen) -> float:
    try:
        said: Any = policy(seen)
    except Exception as error:
        raise _failed(name, f"{type(error).__name__}: {error}", "a finite number: the share that it would like", seen) from error
    if isinstance(said, bool) or not isinstance(said, int | float | np.floating) or not math.isfinite(said):
        raise _failed(name, repr(said)[:80], "a finite number: the share that it would like", seen)
    return float(said)


def _failed(name: str, found: str, expected: str, seen: Seen) -> PolicyFailed:
    shown = f"it was shown {seen.challenger.units:,} units of the challenger and {seen.champion.units:,} of the champion"
    return PolicyFailed(
        f"The policy {name!r} failed.", found=found, expected=expected, where="rollout.allocation", next=f"mend the policy: {shown}"
    )


def bounded(asked: float, share: float, moves: Moves) -> float:
    """What is asked, within the bounds and no further away than one step; in whole thousandths."""
    wanted = min(max(asked, moves.lowest), moves.highest)
    return round(GRID * min(max(wanted, share - moves.step), share + moves.step)) / GRID


def _sentence(plan: Plan, seen: Seen, asked: float, given: float) -> str:
    gain, error = seen.advantage()
    what = f"{reward_watch(plan).name!r} of the challenger is {number(abs(gain))} ± {number(error)} {'better' if gain >= 0 else 'worse'}"
    units = (
        f"on {seen.challenger.units:,} of its units against {seen.champion.units:,}"
        if seen.gain is None
        else f"on {seen.gain.units:,} units"
    )
    cut = "" if abs(asked - given) < 0.5 / GRID else f"; it asks for {100 * asked:.3g} %, the bounds give {100 * given:g} %"
    return f"{plan.allocation}, period {seen.period}: {what}, {units}{cut}."


# ── may it move ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def frozen(plan: Plan, standing: Standing, judgement: Judgement | None) -> str:
    """Why the share may not move now, neither up nor down; "" where it may.

    Only what the judge can believe lets it move: no person holds the rollout, no signal asks for one, and nothing is missing, stale, torn,
    misdealt or out. Harm needs no freeze: it brings the release back.
    """
    if standing.held:
        return f"on hold: {standing.held}"
    if judgement is None:
        return "nothing was judged yet"
    if pausing(judgement, standing.accepted):
        return "a signal asks for a person"
    status = effective(judgement, standing.accepted)
    if status in (Status.PASS, Status.INCONCLUSIVE):
        return ""
    said = [ruling.sentence.rstrip(".") for ruling in judgement.rulings if ruling.status is status]
    return "; ".join(said) or judgement.sentence.rstrip(".")


def doubted(plan: Plan, judgement: Judgement) -> str:
    """Which guardrail speaks for harm so that the share may not rise; "" where none does."""
    alphas = {label(watch): watch.alpha_harm for watch in plan.watches if watch.action == "rollback"}
    return ", ".join(_doubting(judgement, alphas))


def _doubting(judgement: Judgement, alphas: dict[str, float]) -> Iterator[str]:
    for ruling in judgement.rulings:
        alpha = alphas.get(ruling.watch)
        if alpha and ruling.log10_e_harm is not None and ruling.log10_e_harm >= DOUBT * -math.log10(alpha):
            yield ruling.watch


def replay(plan: Plan, recorded: Allotment, lines: Lines, policy: Policy, version: str) -> Allotment:
    """The allotment again, from its plan and the lines from `recorded.start` to `recorded.cut`. Raises ReplayDiffers, PolicyFailed."""
    if lines.dtype != OBSERVATION:
        raise TypeError("a policy's periods are made of OBSERVATION lines")
    periods = Periods(plan, recorded.step, epoch=recorded.epoch, first_epoch=recorded.first_epoch, start=recorded.start)
    periods.take(lines)
    again = None if periods.closed is None else allot(periods, periods.closed, recorded.seen.share, policy, version)
    if again is None or canonical(again) != canonical(recorded):
        raise ReplayDiffers(
            "The move of the share does not rebuild to the same bytes.",
            found="no period that had closed" if again is None else f"{again.share:g} by {recorded.policy} of {version}",
            expected=f"{recorded.share:g} by {recorded.policy} of {recorded.version}",
            where=f"period {recorded.seen.period}, lines {recorded.start:,} to {recorded.cut:,}",
        )
    return again


def _rounded(value: float) -> float:
    """Nine significant digits: fewer than two machines differ in."""
    return float(f"{value:.9g}")
