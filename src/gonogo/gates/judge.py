"""What does the traffic of one stage say about the challenger, up to this line of the judge's log?

A pure function of the plan, the stage, what earlier stages certified, and the lines: the same lines in any blocks give the same bytes of
`canonical(judgement)`, on the day and when it is replayed. Nothing else reaches it, no clock either: time is what TICK lines say.
What is watched is counted here by `judge_kernel`; `judge_rulings` says what the counts come to.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gonogo.gates import judge_state
from gonogo.gates.judge_code import addresses, loops, of_rules, of_state, of_units
from gonogo.gates.judge_rulings import MISMATCH_ALPHA, judgement_of
from gonogo.gates.plan import COUNT, DISTRIBUTION, LATENCY, LOSS, QUANTILES, is_steered, judged
from gonogo.stats.bets import FAR_LOWER, HIGHER, LOWER, PATIENCE, RESERVE, STAKES
from gonogo.types.errors import ReplayDiffers
from gonogo.types.record import canonical, digest
from gonogo.types.release import Phase
from gonogo.types.traffic import OBSERVATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.gates.judge_state import Rules, State
    from gonogo.types.record import Digest
    from gonogo.types.release import Judgement, Plan, Watch

Lines: TypeAlias = "NDArray[np.void]"  # of OBSERVATION

VOUCHES = 20  # an answer of the challenger vouches for this part of the bake time: 1/20
_FIRST_PLACES = 1024
_WIDE = 31  # more slices than fit into 32 bits beside "all traffic"
_FAR = 10**18  # ns: beyond every bake time


class Judge:
    """The evidence of one stage, line by line.

    step: the stage. certified: watches that earlier stages certified, as `Judgement.certified` names them. epoch: of the route when the
    stage began; lines of another route count for nothing. first_epoch: of the rollout's first route: losses of answers since then count,
    for both arms were asked about each; 0: the same as `epoch`. start: place of the first line in the judge's log.

    >>> import numpy as np
    >>> from gonogo.types.release import Phase, Plan, Stage, Watch
    >>> errors = Watch(name="errors", metric="errors", kind="count", slice="", slice_bit=-1, action="rollback", ratio_at_most=2.0,
    ...     rate_at_most=None, at_most=None, low=None, high=None, alpha_harm=0.005, alpha_certificate=0.005)
    >>> plan = Plan(contract="c", contract_name="n", verdict="v", champion="a", challenger="b", method="canary", salt="s", bucket_by="k",
    ...     alpha=0.05, stages=(Stage(phase=Phase.CANARY, share=0.05, bake_us=0, patience_us=1),), watches=(errors,), slices=(), losses=(),
    ...     probation_us=0, label_window_us=0)
    >>> lines = np.zeros(400, OBSERVATION)
    >>> lines["kind"], lines["unit"], lines["share"], lines["epoch"] = 1, np.arange(1, 401), 0.05, 7
    >>> lines["arm"] = lines["unit"] % 20 == 0
    >>> lines["status"] = 2 * lines["arm"]  # each of the challenger's 20 answers is an error
    >>> judge = Judge(plan, 0, epoch=7)
    >>> judge.take(lines)
    >>> judge.decided, judge.judgement().status
    (True, <Status.FAIL: 'fail'>)
    """

    def __init__(self, plan: Plan, step: int, certified: tuple[str, ...] = (), *, epoch: int, first_epoch: int = 0, start: int = 0) -> None:
        self.plan, self.step, self.certified = plan, step, tuple(certified)
        self.epoch, self.first_epoch, self.start = epoch, first_epoch or epoch, start
        self.plan_digest: Digest = digest(plan)
        self.places = judged(plan, step)  # in plan.watches, of those that are judged here
        self.watches = tuple(plan.watches[i] for i in self.places)
        events = _events(self.watches)
        self.rules: Rules = _rules(plan, step, self.watches, events, self.epoch, self.first_epoch)
        self.state: State = _state(self.watches, events, len(plan.losses))
        columns = (1 + len(events) if self.rules.c["mode"][0] == judge_state.SIDE_BY_SIDE else 4 + 2 * len(events)) + len(plan.losses)
        self._keys = np.zeros(_FIRST_PLACES, np.uint64)
        self._marks = np.zeros((_FIRST_PLACES, columns), np.uint64 if len(plan.slices) > _WIDE - 1 else np.uint32)
        self._loops = loops(self._marks.itemsize)
        self._told = (*of_rules(self.rules), *of_state(self.state))
        self._table = of_units(self._keys, self._marks)
        self._backs_out = np.array([watch.action == "rollback" for watch in self.watches], np.bool_)

    def take(self, lines: Lines) -> None:
        """The next lines of the judge's log, in their order. Any blocks of the same lines leave the same state."""
        if lines.dtype != OBSERVATION:
            raise TypeError(f"the judge reads lines of {OBSERVATION.itemsize} bytes, an OBSERVATION each; these are {lines.dtype}")
        lines = np.ascontiguousarray(lines)
        taken = 0
        while True:
            taken = self._loops.judge(*addresses((lines, len(lines), taken)), *self._told, *self._table)
            if taken == len(lines):
                return
            self._grow()

    @property
    def decided(self) -> bool:
        """Is harm shown that brings the release back? Cheap: ask after every block."""
        blamed = (self.state.t["failed"] == 1) & self._backs_out
        if self.is_misdealt:
            blamed &= self.rules.w["kind"] == judge_state.LOSS
        return bool(blamed.any())

    @property
    def is_misdealt(self) -> bool:
        """Do units fall on the arms otherwise than the share says? No comparison of the arms then says anything of the challenger."""
        return float(self.state.x[judge_state.RATIO_HIGHEST]) >= -math.log(MISMATCH_ALPHA)

    @property
    def taken(self) -> int:
        """Lines taken so far."""
        return int(self.state.n[judge_state.TAKEN])

    @property
    def unit_bytes(self) -> int:
        """Memory that the units take."""
        return self._keys.nbytes + self._marks.nbytes

    def judgement(self) -> Judgement:
        """What the lines so far come to."""
        return judgement_of(self)

    def _grow(self) -> None:
        keys = np.zeros(2 * self._keys.size, np.uint64)
        marks = np.zeros((keys.size, self._marks.shape[1]), self._marks.dtype)
        table = of_units(keys, marks)
        self._loops.moved(*self._table, *table)
        self._keys, self._marks, self._table = keys, marks, table


def replay(plan: Plan, recorded: Judgement, lines: Lines) -> Judgement:
    """The judgement again, from its plan and the lines of the judge's log from `recorded.start` to `recorded.cut`.

    Raises ReplayDiffers where the bytes are not the same.
    """
    judge = Judge(plan, recorded.step, recorded.carried, epoch=recorded.epoch, first_epoch=recorded.first_epoch, start=recorded.start)
    judge.take(lines)
    again = judge.judgement()
    if canonical(again) != canonical(recorded):
        raise ReplayDiffers(
            "The judgement does not rebuild to the same bytes.",
            found=f"{again.status.value}, {digest(again)[:23]}",
            expected=f"{recorded.status.value}, {digest(recorded)[:23]}",
            where=f"step {recorded.step}, lines {recorded.start:,} to {recorded.cut:,}",
        )
    return again


# ── laying it out ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_Event: TypeAlias = "tuple[int, float, float]"  # sort, limit in µs or NaN, quantile or NaN


def _event(watch: Watch) -> _Event | None:
    """What the watch counts; None where it counts nothing."""
    if watch.kind == COUNT:
        return (0 if watch.metric == "errors" else 1, -1.0, -1.0)
    if watch.kind == LATENCY:
        return (2, watch.at_most * 1000.0, -1.0) if watch.at_most else (2, -1.0, QUANTILES[watch.metric])
    return None


def _events(watches: tuple[Watch, ...]) -> tuple[_Event, ...]:
    return tuple(dict.fromkeys(event for event in map(_event, watches) if event is not None))


def harmless_rate(watch: Watch) -> float:
    """The rate of the challenger that is harmless whatever the ratio; NaN where none is stated. Of a latency limit: 1 − its quantile."""
    if watch.kind == LATENCY:
        return 1.0 - QUANTILES[watch.metric] if watch.at_most else math.nan
    return watch.rate_at_most or math.nan


def certificate_levels(watch: Watch) -> tuple[float, float]:
    """Levels of its two ways to be certified, by ratio and by rate: each has half where both are open. 0: that way is not open."""
    by_ratio = watch.kind == LOSS or watch.ratio_at_most is not None
    by_rate = watch.kind != LOSS and not math.isnan(harmless_rate(watch))
    part = watch.alpha_certificate / max(by_ratio + by_rate, 1)
    return part * by_ratio, part * by_rate


def _rules(plan: Plan, step: int, watches: tuple[Watch, ...], events: tuple[_Event, ...], epoch: int, first_epoch: int) -> Rules:
    stage = plan.stages[step]
    kinds = {COUNT: judge_state.COUNT, LATENCY: judge_state.LATENCY, DISTRIBUTION: judge_state.DISTRIBUTION, LOSS: judge_state.LOSS}
    modes = {Phase.SHADOW: judge_state.SHADOWED, Phase.CANARY: judge_state.SIDE_BY_SIDE}
    asked = np.zeros(len(watches), judge_state.WATCH)
    lane = 0
    for w, watch in enumerate(watches):
        by_ratio, by_rate = certificate_levels(watch)
        told: dict[str, Any] = {
            "kind": kinds[watch.kind],
            "event": _place(_event(watch), events),
            "bit": 1 << (watch.slice_bit + 1),
            "loss": watch.loss,
            "lane": lane,
            "margin": max(watch.ratio_at_most or 1.0, 1.0),
            "by_ratio": by_ratio > 0,
            "rate": harmless_rate(watch),
            "low": _number(watch.low),
            "high": _number(watch.high),
            "worse": _number(watch.at_most),
            "harm_at": _log_of_inverse(watch.alpha_harm),
            "ratio_at": _log_of_inverse(by_ratio),
            "rate_at": _log_of_inverse(by_rate),
        }
        for name, value in told.items():
            asked[name][w] = value
        lane += _lanes(watch)
    common = np.zeros(1, judge_state.RULES)
    common["mode"], common["share"] = modes.get(stage.phase, judge_state.LIVE), stage.share
    common["moves"] = plan.method == "adaptive" and stage.phase is Phase.CANARY
    common["steered"] = common["moves"] and is_steered(plan)
    common["epoch"], common["first_epoch"] = epoch, first_epoch
    common["vouch_ns"] = min(stage.bake_us * 1000 // VOUCHES, _FAR)
    common["watched"] = np.bitwise_or.reduce(asked["bit"], initial=np.uint64(1))
    common["reserve"], common["patience"] = RESERVE, PATIENCE
    bets = np.stack([_bets(kind) for kind in (HIGHER, LOWER, FAR_LOWER, STAKES)])
    rules: Rules = judge_state.Rules(c=common, w=asked, bets=bets)
    return rules


def _state(watches: tuple[Watch, ...], events: tuple[_Event, ...], n_losses: int) -> State:
    n = len(watches)
    counted = np.zeros(len(events), judge_state.EVENT)
    for e, (sort, limit, quantile) in enumerate(events):
        counted[e] = (sort, quantile if quantile >= 0 else math.nan, limit if limit >= 0 else math.nan)
    real = np.zeros(judge_state.N_REAL)
    real[judge_state.CALM] = -1.0
    lanes = [watch for watch in watches for _ in range(_lanes(watch))]
    capital, at = _capital(lanes)
    state: State = judge_state.State(
        n=np.zeros(judge_state.N_WHOLE, np.int64),
        x=real,
        e=counted,
        t=np.zeros(n, judge_state.TALLY),
        counts=np.zeros((n, 3, 2), np.int64),
        recent=np.zeros((n, judge_state.RECENT), np.uint8),
        ring=np.zeros(judge_state.RING, np.uint8),
        first=np.zeros((2, judge_state.REFERENCE)),
        cuts=np.zeros(judge_state.BINS - 1),
        measured=np.zeros((n_losses, 4), np.int64),
        capital=capital,
        at=at,
        bin_hits=np.zeros((len(lanes), 2), np.int64),
    )
    return state


def _capital(lanes: list[Watch]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The capital that each sequence begins with, as `stats.bets.Capital` has it: spread over its bets, less what waits."""
    capital = np.zeros((len(lanes), 4, judge_state.MOST_BETS))
    at = np.zeros((len(lanes), 4, 5))
    for k, watch in enumerate(lanes):
        kinds = (STAKES,) * 4 if watch.kind == LOSS else (HIGHER, HIGHER, LOWER, FAR_LOWER)
        for i, (kind, reserve) in enumerate(zip(kinds, (RESERVE, RESERVE, 0.0, 0.0), strict=True)):
            capital[k, i] = _bets(kind)[1] * (1.0 - reserve)
            at[k, i, 1] = reserve
    return capital, at


def _bets(kind: dict[float, float]) -> NDArray[np.float64]:
    """(2, MOST_BETS): what is bet on, and the part of the capital laid on it; nothing is laid on the places that are left."""
    bets = np.zeros((2, judge_state.MOST_BETS))
    bets[0, : len(kind)], bets[1, : len(kind)] = list(kind), np.array(list(kind.values())) / 100.0
    return bets


def _lanes(watch: Watch) -> int:
    return int(judge_state.BINS) if watch.kind == DISTRIBUTION else 1


def _place(event: _Event | None, events: tuple[_Event, ...]) -> int:
    return -1 if event is None else events.index(event)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _log_of_inverse(alpha: float) -> float:
    return -math.log(alpha) if alpha > 0 else math.inf
