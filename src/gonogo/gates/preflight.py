"""What can this traffic decide, and how long does it take? Said before the first step, by numbers.

For every watch and stage: after how many of the challenger's units harm above the margin is refuted if there is none, after how many it is
found if there is, and whether the traffic holds so many at all. A watch that cannot be certified holds the release for ever, so it is named
beforehand. An unknown number stays unknown: nothing is promised on a guess.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gonogo.gates.judge import certificate_levels, harmless_rate
from gonogo.gates.plan import DISTRIBUTION, LATENCY, LOSS, QUANTILES, certificate, harm_is_judged, judged, label, shadow_suffices
from gonogo.gates.sentences import number
from gonogo.stats import sequential_plans
from gonogo.stats.power import units_needed
from gonogo.stats.relative_risk import at_ratio
from gonogo.types.release import Forecast, Phase, Preflight

if TYPE_CHECKING:
    from gonogo.types.contract import Contract
    from gonogo.types.release import Plan, Stage, Traffic, Watch

HARM = 3.0  # times the champion's rate; of a loss: twice the margin
BINS = 5  # of a distribution, see `judge_kernel`
_HOUR_US = 3_600_000_000


def preflight(plan: Plan, traffic: Traffic, *, unwatched: tuple[str, ...] = ()) -> Preflight:
    """What this traffic can decide by this plan. unwatched: sentences of `choose_slices`, repeated in the record.

    >>> from gonogo.types.release import Plan, Stage, Traffic, Watch
    >>> errors = Watch(name="errors", metric="errors", kind="count", slice="", slice_bit=-1, action="rollback", ratio_at_most=2.0,
    ...     rate_at_most=None, at_most=None, low=None, high=None, alpha_harm=0.005, alpha_certificate=0.005)
    >>> plan = Plan(contract="c", contract_name="n", verdict="v", champion="a", challenger="b", method="canary", salt="s", bucket_by="k",
    ...     alpha=0.05, stages=(Stage(phase=Phase.CANARY, share=0.05, bake_us=0, patience_us=1),), watches=(errors,), slices=(), losses=(),
    ...     probation_us=0, label_window_us=0)
    >>> print(preflight(plan, Traffic(units_per_hour=500.0, units=2000.0, rates={"errors": 0.01})).undecidable[0])
    errors: refuting harm needs 1,850 units of the challenger at 5 %; your traffic holds 100.
    """
    forecasts = tuple(_forecasts(plan, traffic))
    undecidable = tuple(_undecidable(plan, forecasts))
    hours = None if undecidable else _hours(plan, forecasts)
    return Preflight(
        forecasts=forecasts, undecidable=undecidable, unwatched=unwatched, hours=hours, sentence=_sentence(plan, undecidable, hours)
    )


def choose_slices(plan: Plan, traffic: Traffic) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the slices of a draft plan, those that the traffic can decide; and a sentence for each of the others.

    A slice is kept if every watch on it can be certified wherever the release would otherwise hold. One of unknown traffic is not kept: it
    could hold a release for ever.
    """
    forecasts = tuple(_forecasts(plan, traffic))
    kept, left = [], []
    for one in plan.slices:
        stuck = [_stuck(plan, watch, forecasts) for watch in plan.watches if watch.slice == one]
        if traffic.units is None or one not in traffic.slices:
            left.append(f"{one} is not watched: how much traffic it has is not known.")
        elif stuck and not any(stuck):
            kept.append(one)
        else:
            left.append(f"{one} is not watched: {next(filter(None, stuck), 'no stage judges it.')}")
    return tuple(kept), tuple(left)


def planned_sample(contract: Contract, traffic: Traffic, *, power: float = 0.8) -> int | None:
    """Of an A/B test: units of the challenger that find a difference of the margin with that power; None where nothing known tells it.

    The largest that any guardrail on outcomes asks for, by the spread of its paired differences.
    """
    share = min(contract.rollout.shares)
    sizes = [
        math.ceil(share * units_needed(guardrail.at_most, traffic.spreads[guardrail.metric] / 10, 100, power=power))
        for guardrail in contract.guardrails
        if guardrail.at_most and traffic.spreads.get(guardrail.metric)
    ]
    return max(sizes, default=None)


# ── one watch in one stage ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True, slots=True)
class _Need:
    """Units of both arms together until something is shown; None for never, or for what is not known."""

    certificate: float | None
    harm: float | None
    is_known: bool  # was everything known that it takes to say?


def _forecasts(plan: Plan, traffic: Traffic) -> Iterator[Forecast]:
    for step, stage in enumerate(plan.stages):
        for i in judged(plan, step):
            yield _forecast(plan, step, stage, plan.watches[i], traffic)


def _forecast(plan: Plan, step: int, stage: Stage, watch: Watch, traffic: Traffic) -> Forecast:
    need = _of_loss(watch, traffic) if watch.kind == LOSS else _of_events(watch, stage, traffic)
    is_paired = stage.phase is not Phase.CANARY or watch.kind == LOSS
    part = 1.0 if is_paired else stage.share  # of the units that the challenger answers, or is asked beside
    slice_share = 1.0 if not watch.slice else traffic.slices.get(watch.slice)
    there = None if traffic.units is None or slice_share is None else traffic.units * slice_share * part
    pace = None if not traffic.units_per_hour or not slice_share else traffic.units_per_hour * slice_share
    late = plan.label_window_us / _HOUR_US if watch.kind == LOSS else 0.0
    units, harmed = _part(need.certificate, part), _part(need.harm, part)
    return Forecast(
        watch=label(watch),
        step=step,
        share=stage.share,
        units_to_certificate=units,
        hours_to_certificate=_after(need.certificate, pace, late) if _there(units, there) else None,
        units_to_harm=harmed if harm_is_judged(watch, stage.phase) else None,
        hours_to_harm=_after(need.harm, pace, late) if _there(harmed, there) and harm_is_judged(watch, stage.phase) else None,
        units_there=there,
        sentence=_said(watch, stage, units, there, need, is_paired),
    )


def _of_events(watch: Watch, stage: Stage, traffic: Traffic) -> _Need:
    """Events: side by side each falls on one arm; in pairs both arms have every unit."""
    rate = _base_rate(watch, traffic)
    if rate is None:
        return _Need(certificate=None, harm=None, is_known=False)
    is_paired = stage.phase is not Phase.CANARY
    share = 0.5 if is_paired else stage.share
    by_ratio, by_rate = certificate_levels(watch)
    margin = max(watch.ratio_at_most or 1.0, 1.0)
    # Latency is compared only side by side; where one arm answers everybody its limit in milliseconds is all there is.
    compares = not (is_paired and watch.kind == LATENCY)
    ways = [
        _units(sequential_plans.events_until_safe(margin, share=share, alpha=by_ratio), rate, 1.0, share, is_paired=is_paired)
        if by_ratio and margin > 1 and rate and compares
        else None,
        _trials(sequential_plans.trials_until_below(harmless_rate(watch), rate=rate, alpha=by_rate), share, is_paired=is_paired)
        if by_rate and rate < harmless_rate(watch)
        else None,
    ]
    if watch.kind == DISTRIBUTION:  # its harm is a change beyond the margin
        events = sequential_plans.events_until_harm(HARM, share=at_ratio_of(share, margin), alpha=watch.alpha_harm / BINS)
        harm = _units(events, rate, min(HARM * margin, 1 / rate), share, is_paired=is_paired)
    else:
        events = sequential_plans.events_until_harm(HARM, share=share, alpha=watch.alpha_harm / 2)
        harm = _units(events, rate, HARM, share, is_paired=is_paired) if rate else None
    return _Need(certificate=min((way for way in ways if way is not None), default=None), harm=harm, is_known=True)


def _of_loss(watch: Watch, traffic: Traffic) -> _Need:
    sd = traffic.spreads.get(watch.metric)
    if sd is None or watch.at_most is None or watch.high is None or watch.low is None:
        return _Need(certificate=None, harm=None, is_known=False)
    reach, worse = watch.high - watch.low, watch.at_most
    safe = sequential_plans.values_until_told(worse, sd=sd, reach=reach - worse, alpha=watch.alpha_certificate)
    harm = sequential_plans.values_until_told(2 * worse, sd=sd, reach=reach, alpha=watch.alpha_harm / 2)
    return _Need(certificate=safe, harm=harm, is_known=True)


def at_ratio_of(share: float, ratio: float) -> float:
    """The chance that an event is the challenger's where its rate is `ratio` times the champion's, as a plain number."""
    return float(at_ratio(share, ratio))


def _base_rate(watch: Watch, traffic: Traffic) -> float | None:
    """The champion's rate of the watch's events: of bins and of its own quantile it is known by definition."""
    if watch.kind == DISTRIBUTION:
        return 1 / BINS
    if watch.kind == LATENCY and not watch.at_most:
        return 1 - QUANTILES[watch.metric]
    return traffic.rates.get(watch.metric)


def _units(events: int | None, rate: float, ratio: float, share: float, *, is_paired: bool) -> float | None:
    """Units of both arms that hold so many events."""
    if events is None or not rate:
        return None
    if is_paired:
        return events / (rate + min(1.0, ratio * rate))
    return sequential_plans.requests_until(events, share=share, rate=rate, ratio=ratio)


def _trials(trials: int | None, share: float, *, is_paired: bool) -> float | None:
    return None if trials is None else trials / (1.0 if is_paired else share)


# ── what it comes to ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _part(units: float | None, part: float) -> int | None:
    return None if units is None else math.ceil(units * part)


def _there(units: int | None, there: float | None) -> bool:
    return units is not None and (there is None or units <= there)


def _after(units: float | None, pace: float | None, late: float) -> float | None:
    return None if units is None or pace is None else units / pace + late


def _is_decidable(forecast: Forecast) -> bool:
    return _there(forecast.units_to_certificate, forecast.units_there)


def _undecidable(plan: Plan, forecasts: tuple[Forecast, ...]) -> Iterator[str]:
    for watch in plan.watches:
        if stuck := _stuck(plan, watch, forecasts):
            yield f"{label(watch)}: {stuck}"


def _stuck(plan: Plan, watch: Watch, forecasts: tuple[Forecast, ...]) -> str:
    """Where the release would hold for this watch, in words; "" where it would not.

    The first stage that judges a watch must certify it: later ones, with more of the traffic, are never reached without. And what the
    shadow certified of what is counted must be certified again before everybody is answered.
    """
    its = [forecast for forecast in forecasts if forecast.watch == label(watch)]
    if not its:
        return "no stage judges it."
    if not _is_decidable(its[0]):
        return its[0].sentence
    certified: set[str] = set()
    for forecast in its:
        phase = plan.stages[forecast.step].phase
        if _is_decidable(forecast):
            certified.add(certificate(watch, phase))
        elif label(watch) not in certified and not shadow_suffices(plan, forecast.step):
            return forecast.sentence
    return ""


def _said(watch: Watch, stage: Stage, units: int | None, there: float | None, need: _Need, is_paired: bool) -> str:
    if not need.is_known:
        missing = f"the spread of {watch.metric}" if watch.kind == LOSS else f"the champion's rate of {watch.metric}"
        return f"what it needs cannot be said, for {missing} is not known."
    if units is None:
        return "no amount of this traffic refutes harm: the champion's own rate lies at the limit, or it never has the event."
    whose = "units" if is_paired else f"units of the challenger at {number(100 * stage.share)} %"
    holds = "" if there is None else f"; your traffic holds {number(math.floor(there))}"
    return f"refuting harm needs {number(units)} {whose}{holds}."


def _hours(plan: Plan, forecasts: tuple[Forecast, ...]) -> float | None:
    """Until the end of the last stage, where a certificate of an earlier stage counts in later ones as the judge has it."""
    watches = {label(watch): watch for watch in plan.watches}
    total, certified = 0.0, set[str]()
    for step, stage in enumerate(plan.stages):
        waits = [stage.bake_us / _HOUR_US]
        for forecast in (f for f in forecasts if f.step == step and f.watch not in certified):
            watch = watches[forecast.watch]
            if certificate(watch, Phase.SHADOW) in certified and shadow_suffices(plan, step):
                continue
            if forecast.hours_to_certificate is None:
                return None
            waits.append(forecast.hours_to_certificate)
            certified.add(certificate(watch, stage.phase))
        total += max(waits)
    return total


def _sentence(plan: Plan, undecidable: tuple[str, ...], hours: float | None) -> str:
    if undecidable:
        return f"{len(undecidable)} of {len(plan.watches)} watches cannot be certified with what is known: the release would hold."
    if hours is None:
        return "Each watch can be certified; how long it takes is not known."
    return f"Each watch can be certified; where nothing is found the release takes about {number(round(hours, 1))} hours."
