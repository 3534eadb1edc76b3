"""What do the counts of a stage come to: which status, which numbers, which sentence?

Reads the state of a Judge and changes nothing. Beside the watches there are checks that blame nobody: whether there was traffic, whether
units were dealt as they should have been, whether rows are missing, whether everybody fails. They hold a release and never bring one back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from gonogo.gates import judge_state
from gonogo.gates.plan import DISTRIBUTION, LATENCY, LOSS, certificate, harm_is_judged, label, shadow_suffices, spent
from gonogo.gates.rollout import HOLD, PAUSE
from gonogo.gates.sentences import number, words
from gonogo.stats import beta_mixture
from gonogo.stats.bounded_mean import mean_interval
from gonogo.types.release import Judgement, Phase, WatchRuling
from gonogo.types.verdict import Status, worst

if TYPE_CHECKING:
    from gonogo.gates.judge import Judge
    from gonogo.types.release import Watch

LEAST_UNITS = 8  # of the challenger in a stage: so many show a total outage, even with the budget split a hundredfold
MISMATCH_ALPHA = 0.001  # of the sample ratio: it holds and blames nobody, so it takes nothing from the release's budget
MOST_LOST = 0.001  # share of rows that may be missing from the log
MOST_UNMEASURED = 0.1  # share of rows whose losses may not be comparable
MOST_UNTIMED = 0.01  # share of the challenger's answers that may have no latency
FEW = 5  # below so many, a share says nothing
FLAT = 20  # rows after which a loss that is exactly 0 for one arm and as good as never for the other is taken for a failed computation
MANY_TO_ONE = 50  # zeros of the one for each of the other: that a good loss is exactly 0 once in a while hides no failure
STALE_NS = 60_000_000_000  # least silence of the challenger that makes evidence stale
DOUBT = 0.5  # so far on the way to shown harm (of the log of the evidence) the certificate of an earlier stage no longer passes this one
_LN10 = math.log(10.0)


def judgement_of(judge: Judge) -> Judgement:
    """The judgement of everything that the judge has taken."""
    watched = tuple(_ruling(judge, w) for w in range(len(judge.watches)))
    rulings = (*watched, *_checks(judge))
    status = worst(tuple(_of_stage(ruling) for ruling in rulings))
    stage = judge.plan.stages[judge.step]
    state = judge.state
    own = {
        certificate(judge.watches[w], stage.phase)
        for w, ruling in enumerate(watched)
        if state.t["certified"][w] and ruling.status is Status.PASS
    }
    names = tuple(certificate(watch, phase) for phase in (Phase.SHADOW, Phase.CANARY) for watch in judge.plan.watches)
    is_drawn = stage.phase is Phase.CANARY
    return Judgement(
        plan=judge.plan_digest,
        step=judge.step,
        cut=judge.start + judge.taken,
        status=status,
        rulings=rulings,
        baked_us=int(state.n[judge_state.BAKED]) // 1000,
        sample_ratio_log10_e=_log10(float(state.x[judge_state.RATIO_E])) if is_drawn else None,
        alpha_spent=spent(judge.plan, judge.step),
        certified=tuple(dict.fromkeys(name for name in names if name in own or name in judge.certified)),
        sentence=_sentence(status, rulings),
        alarm="; ".join(_alarms(judge, status)),
        start=judge.start,
        epoch=judge.epoch,
        first_epoch=judge.first_epoch,
        carried=judge.certified,
    )


def _of_stage(ruling: WatchRuling) -> Status:
    """A failed signal shows nothing harmless, and brings nothing back."""
    return Status.INCONCLUSIVE if ruling.status is Status.FAIL and ruling.action == PAUSE else ruling.status


def _sentence(status: Status, rulings: tuple[WatchRuling, ...]) -> str:
    if status is Status.PASS:
        guarded = sum(ruling.action != HOLD for ruling in rulings)
        return f"Harm above the margin is refuted for {guarded} of {guarded} watches."
    return "; ".join(ruling.sentence.rstrip(".") for ruling in rulings if _of_stage(ruling) is status) + "."


# ── one watch ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _ruling(judge: Judge, w: int) -> WatchRuling:
    watch, state = judge.watches[w], judge.state
    n_champion, n_challenger = int(state.counts[w, 0, 0]), int(state.counts[w, 0, 1])
    status, why = _status(judge, w)
    figure = _figure(judge, w)
    if not _says_the_same(judge, w, status, figure):
        figure = figure._replace(low=None, high=None)
    has_harm = harm_is_judged(watch, judge.plan.stages[judge.step].phase)
    return WatchRuling(
        watch=label(watch),
        metric=watch.metric,
        slice=watch.slice,
        status=status,
        action=watch.action,
        log10_e_harm=_log10(float(state.t["harm"][w])) if has_harm and n_champion + n_challenger else None,
        log10_e_safe=_log10(float(state.t["safe"][w])) if n_champion + n_challenger else None,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        n_champion=n_champion,
        n_challenger=n_challenger,
        sentence=f"{_capital(label(watch))}: {_seen(judge, w, figure)}{why}.",
    )


def _status(judge: Judge, w: int) -> tuple[Status, str]:
    """In this order; the first that applies decides."""
    watch, state = judge.watches[w], judge.state
    if torn := _torn(judge, w):
        return Status.ERROR, torn
    if state.t["failed"][w]:
        enough = number(float(judge.rules.w["harm_at"][w]) / _LN10)
        at = int(state.t["failed_at"][w])
        return Status.FAIL, f"harm is shown: by line {at:,} of the stage the evidence of it had reached 10^{enough}, which is enough"
    if state.t["certified"][w]:
        return Status.PASS, f"harm above the margin is refuted, by line {int(state.t['certified_at'][w]):,} of the stage"
    earlier = _earlier(judge, watch)
    if earlier and state.t["harm"][w] >= DOUBT * judge.rules.w["harm_at"][w]:
        return Status.INCONCLUSIVE, "an earlier stage refuted harm above the margin, and this one speaks for harm without showing it"
    if earlier:
        return Status.PASS, "harm above the margin was refuted in an earlier stage, and none is shown in this one"
    if state.counts[w, 0].sum() == 0:
        return Status.MISSING, "nothing was measured, and what was not shown does not pass"
    if certificate(watch, Phase.SHADOW) in judge.certified:
        return Status.INCONCLUSIVE, "the shadow refuted harm above the margin, and answers to callers do not yet"
    return Status.INCONCLUSIVE, "neither harm nor its absence is shown; more traffic may decide"


def _earlier(judge: Judge, watch: Watch) -> bool:
    """Has an earlier stage refuted harm above the margin, in a way that passes this one?"""
    in_shadow = certificate(watch, Phase.SHADOW) in judge.certified and shadow_suffices(judge.plan, judge.step)
    return in_shadow or label(watch) in judge.certified


def _torn(judge: Judge, w: int) -> str:
    """Why the measurement itself cannot be trusted; "" where it can."""
    watch, state = judge.watches[w], judge.state
    if watch.kind != LOSS and judge.is_misdealt:
        return "units are not dealt to the arms as the share says, so the arms cannot be compared"
    if watch.kind == LOSS:
        rows, unmeasured, champion_zeros, challenger_zeros = (int(count) for count in state.measured[watch.loss])
        if unmeasured >= FEW and unmeasured > MOST_UNMEASURED * rows:
            return f"the losses of {unmeasured:,} of {rows:,} rows could not be compared"
        fewer, more = sorted((champion_zeros, challenger_zeros))
        if rows - unmeasured >= FLAT and more >= FEW and more > MANY_TO_ONE * fewer:
            whose = "challenger" if challenger_zeros > champion_zeros else "champion"
            others = f"{fewer:,}" if fewer else "none"
            return f"the {whose}'s loss is exactly 0 on {more:,} rows and the other's on {others}, as if it had not been computed"
    if watch.kind == DISTRIBUTION and int(state.n[judge_state.BINS_N]) == 1:
        return "the champion answers everybody alike, so there is no distribution to compare with"
    untimed, answers = int(state.n[judge_state.UNTIMED]), int(state.n[judge_state.CHALLENGED])
    if watch.kind == LATENCY and untimed >= FEW and untimed > MOST_UNTIMED * answers:
        return f"{untimed:,} of {answers:,} answers of the challenger have no latency"
    return ""


class _Figure(NamedTuple):
    """What was measured: a difference of losses, a ratio of rates, or the challenger's rate."""

    value: float | None = None
    low: float | None = None  # its anytime-valid ends
    high: float | None = None
    is_ratio: bool = False


def _figure(judge: Judge, w: int) -> _Figure:
    """The figure as it stands."""
    watch, state = judge.watches[w], judge.state
    trials, hits = state.counts[w, 0], state.counts[w, 1]
    if not trials[1]:
        return _Figure()
    alpha = watch.alpha_certificate
    if watch.kind == LOSS:
        reach = (watch.high or 0.0) - (watch.low or 0.0)
        mean, low, high = mean_interval(int(trials[0]), float(state.t["total"][w]), float(state.t["square"][w]), -reach, reach, alpha=alpha)
        return _Figure(_rounded(mean), _rounded(low), _rounded(high))
    if watch.kind == DISTRIBUTION:
        return _Figure(_widest_ratio(judge, w), is_ratio=True)
    if (
        watch.ratio_at_most is not None
        and judge.rules.c["mode"][0] == judge_state.SIDE_BY_SIDE
        and not judge.rules.c["moves"][0]
        and state.counts[w, 2, 0]
    ):
        return _ratio(int(state.counts[w, 2, 1]), int(state.counts[w, 2, 0]), float(judge.rules.c["share"][0]), alpha)
    if watch.ratio_at_most is not None and hits[0] and trials[0]:
        return _Figure(_rounded(float(hits[1] / trials[1]) / float(hits[0] / trials[0])), is_ratio=True)
    low, high = beta_mixture.chances_left(int(hits[1]), int(trials[1]), alpha)
    return _Figure(_rounded(float(hits[1] / trials[1])), _rounded(low), _rounded(high))


def _ratio(challenger: int, champion: int, share: float, alpha: float) -> _Figure:
    """The ratio of rates at which first events fall on the arms as they do."""
    low, high = beta_mixture.chances_left(challenger, challenger + champion, alpha)
    odds = share / (1 - share)
    ends = [chance / (1 - chance) / odds if chance < 1 else None for chance in (low, high)]
    return _Figure(_rounded(challenger / champion / odds), _rounded(ends[0]), _rounded(ends[1]), is_ratio=True)


def _says_the_same(judge: Judge, w: int, status: Status, figure: _Figure) -> bool:
    """Do the ends say what the ruling says?

    What decides is a wager against one stated value, and it stands from the line on at which it was won. The ends are of another
    method, and of all lines up to now: where they say something else of that value, only one of the two may be told, the one that decides.
    """
    low, high = figure.low, figure.high
    if low is None and high is None:
        return True
    if status in (Status.ERROR, Status.MISSING):
        return False  # ends would say that there is something to go by
    watch, own = judge.watches[w], bool(judge.state.t["certified"][w])
    if watch.kind == LOSS:
        none, margin = 0.0, watch.at_most or 0.0
    elif figure.is_ratio:
        none, margin = 1.0, max(watch.ratio_at_most or 1.0, 1.0)
    else:  # a rate alone says of no harm nothing
        limit = float(judge.rules.w["rate"][w])
        return status is not Status.PASS or not own or math.isnan(limit) or (high is not None and high <= limit)
    harm, safe = low is not None and low > none, high is not None and high <= margin
    if status is Status.FAIL:
        return harm
    if status is Status.PASS:
        return safe if own else not harm
    return not harm and not safe


def _widest_ratio(judge: Judge, w: int) -> float | None:
    """Of the bins, the challenger's share over the champion's where it lies farthest above."""
    state, lane, bins = judge.state, int(judge.rules.w["lane"][w]), int(judge.state.n[judge_state.BINS_N])
    trials = state.counts[w, 0]
    if not trials[0] or not trials[1]:
        return None
    shares = [(state.bin_hits[lane + b, 0] / trials[0], state.bin_hits[lane + b, 1] / trials[1]) for b in range(bins)]
    ratios = [float(ours / theirs) for theirs, ours in shares if theirs]
    return _rounded(max(ratios)) if ratios else None


def _seen(judge: Judge, w: int, figure: _Figure) -> str:
    """The numbers of a sentence."""
    watch, state = judge.watches[w], judge.state
    value, low, high = figure.value, figure.low, figure.high
    if value is None:
        return ""
    ends = f" [{number(low)}, {'∞' if high is None else number(high)}]" if low is not None else ""
    if watch.kind == LOSS:
        cut = f", {int(state.t['cut'][w]):,} cut off at the range" if state.t["cut"][w] else ""
        return f"the difference in {words(watch.metric)} is {number(value)}{ends} on {int(state.counts[w, 0, 0]):,} units{cut}; "
    if watch.kind == DISTRIBUTION:
        return f"the bin that grew most holds {number(value)} times its share, of {int(state.counts[w, 0, 1]):,} units; "
    what = "slow answers" if watch.kind == LATENCY else words(watch.metric)
    (champion, challenger), (champion_hits, challenger_hits) = state.counts[w, 0].tolist(), state.counts[w, 1].tolist()
    counted = f"{challenger_hits:,} of {challenger:,} units against {champion_hits:,} of {champion:,}"
    return f"{what} at {number(value)}{' times the rate' if figure.is_ratio else ' of units'}{ends}, {counted}; "


# ── checks that blame nobody ────────────────────────────────────────────────────────────────────────────────────────────────


def _checks(judge: Judge) -> Iterator[WatchRuling]:
    if not judge.watches:
        yield _check(judge, "guardrails", Status.MISSING, "no guardrail is judged in this stage, and no check is no pass")
    yield _traffic(judge)
    state = judge.state
    if judge.plan.stages[judge.step].phase is Phase.CANARY:
        dealt = not judge.is_misdealt
        units = f"{int(state.n[judge_state.UNITS_1]):,} of {_units(judge):,} units are the challenger's"
        yield _check(
            judge, "sample ratio", Status.PASS if dealt else Status.ERROR, f"{units}, {'as' if dealt else 'not as'} its share says"
        )
    lost = float(state.x[judge_state.LOST])
    if lost:
        rows = int(state.n[judge_state.LIVE_ANSWERS])
        status = Status.ERROR if lost > MOST_LOST * (rows + lost) else Status.PASS
        yield _check(judge, "log", status, f"{lost:,.0f} rows are missing beside {rows:,}")
    if state.n[judge_state.OUTAGE]:
        bad, of = int(state.n[judge_state.RING_BAD]), int(state.n[judge_state.RING_N])
        yield _check(judge, "outage", Status.ERROR, f"{bad:,} of the last {of:,} answers to callers failed, whoever answered")
    if state.n[judge_state.STRAY]:
        count = int(state.n[judge_state.STRAY])
        yield _check(judge, "routing", Status.ERROR, f"{count:,} answers came from the arm that answers nobody in this stage")


def _traffic(judge: Judge) -> WatchRuling:
    state = judge.state
    units, asked = int(state.n[judge_state.UNITS_1]), max(LEAST_UNITS, judge.plan.stages[judge.step].units)
    quiet = int(state.n[judge_state.QUIET])
    if not state.n[judge_state.HEARD]:
        return _check(judge, "traffic", Status.MISSING, "the challenger has answered nothing in this stage")
    if quiet > max(int(judge.rules.c["vouch_ns"][0]), STALE_NS):
        return _check(
            judge, "traffic", Status.MISSING, f"the challenger has answered nothing for {quiet / 1e9:,.0f} s: the evidence is stale"
        )
    if units < asked:
        return _check(judge, "traffic", Status.INCONCLUSIVE, f"{units:,} units of the {asked:,} asked")
    return _check(judge, "traffic", Status.PASS, f"{units:,} units")


def _check(judge: Judge, name: str, status: Status, said: str) -> WatchRuling:
    state = judge.state
    return WatchRuling(
        watch=f"({name})",
        metric=name,
        slice="",
        status=status,
        action=HOLD,
        log10_e_harm=None,
        log10_e_safe=None,
        value=None,
        low=None,
        high=None,
        n_champion=int(state.n[judge_state.UNITS_0]),
        n_challenger=int(state.n[judge_state.UNITS_1]),
        sentence=f"{_capital(name)}: {said}.",
    )


def _alarms(judge: Judge, status: Status) -> Iterator[str]:
    """What a person must look at, in words that do not change from one look to the next."""
    state, stage = judge.state, judge.plan.stages[judge.step]
    if state.n[judge_state.OUTAGE]:
        yield "both arms fail" if stage.phase in (Phase.SHADOW, Phase.CANARY) else "answers fail"
    if judge.is_misdealt:
        yield "units are not dealt as the share says"
    elif any(_torn(judge, w) for w in range(len(judge.watches))):
        yield "a measurement failed"
    if state.x[judge_state.LOST]:
        yield "rows are missing from the log"
    if state.n[judge_state.STRAY]:
        yield "an arm answers that should not"
    if status is not Status.PASS and int(state.n[judge_state.ELAPSED]) // 1000 > stage.patience_us:
        yield "undecided for longer than rollout.patience"
    elif int(state.n[judge_state.QUIET]) > max(int(judge.rules.c["vouch_ns"][0]), STALE_NS):
        yield "the challenger answers nothing"


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _units(judge: Judge) -> int:
    return int(judge.state.n[judge_state.UNITS_0] + judge.state.n[judge_state.UNITS_1])


def _log10(log_e: float) -> float | None:
    return _rounded(log_e / _LN10)


def _rounded(value: float | None) -> float | None:
    """Nine significant digits: more than anybody reads, fewer than two machines differ in."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.9g}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
