"""How well does the model predict, for whom, by which inputs, and what does it cost?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gonogo.evidence.charts import draw_curve
from gonogo.evidence.charts_forest import Limit, Row, draw_bars, draw_forest
from gonogo.evidence.charts_frame import Chart
from gonogo.evidence.page_data import Said
from gonogo.evidence.page_numbers import count_text, duration_text, estimate_text, number_text, unit_text
from gonogo.evidence.page_view import PageView
from gonogo.stats.power import could_have_seen
from gonogo.types.contract import Contract, Gate
from gonogo.types.evidence import Curve, Effect, Estimate, Of
from gonogo.types.verdict import Status

EFFECTS_SHOWN = 20
OWN_WORDS: Mapping[str, str] = {
    "open_findings": "Defects that checks found in the data and that nobody has mended or waived.",
    "latency_p50": "Half of single answers are faster than this.",
    "latency_p95": "Nineteen of twenty single answers are faster than this.",
    "latency_p99": "Ninety-nine of a hundred single answers are faster than this.",
    "cost_per_1000": "What the machine costs for a thousand answers.",
    "artifact_mb": "How large the stored model is.",
    "peak_memory_mb": "How much memory the whole process needed at most.",
    "throughput_rows_per_s": "How many rows a second are answered in bulk.",
}
_BETTER = {"higher": "higher is better", "lower": "lower is better"}


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureRow:
    """One metric, of both models and of their difference."""

    metric: str
    better: str
    words: str
    challenger: str
    champion: str
    difference: str
    slice: str = ""
    could_see: str = ""  # the least difference that this comparison could have seen
    limit: str = ""  # what the contract allows, where the table has a column for it


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """The figures of the whole table: few things first."""

    first: tuple[FigureRow, ...]  # a gate reads them
    more: tuple[FigureRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRow:
    """One learner that was tried."""

    learner: str
    params: str
    score: str
    chosen: bool
    note: str


def figure_rows(view: PageView) -> Figures | None:
    """Every metric on the whole table: those that a gate reads first, in the order of the gates. None where there is none."""
    estimates = view.evidence.estimates if view.evidence else ()
    measured = dict.fromkeys(e.metric for e in estimates if not e.slice)
    if not measured:
        return None
    gated = [m for m in dict.fromkeys(g.metric for g in view.contract.gates) if m in measured]
    first = gated or list(measured)  # a contract whose gates read no figure hides none
    return Figures(first=tuple(_figures(view, m, "") for m in first), more=tuple(_figures(view, m, "") for m in measured if m not in first))


def slice_rows(view: PageView) -> tuple[FigureRow, ...]:
    """Every metric of every slice, for the table behind the plots."""
    estimates = view.evidence.estimates if view.evidence else ()
    return tuple(_figures(view, m, s) for m, s in dict.fromkeys((e.metric, e.slice) for e in estimates if e.slice))


def _figures(view: PageView, metric: str, part: str) -> FigureRow:
    found = {of: view.estimate(metric, of, part) for of in Of}
    better = next(e.better for e in found.values() if e is not None)
    return FigureRow(
        metric=metric.replace("_", " "),
        better=_BETTER.get(better, better),
        words=words_of(view, metric),
        challenger=_cell(found[Of.CHALLENGER]),
        champion=_cell(found[Of.CHAMPION]),
        difference=_cell(found[Of.DIFFERENCE]),
        could_see="" if part else _could_see(found[Of.DIFFERENCE]),
        slice=part,
    )


def _could_see(difference: Estimate | None) -> str:
    known = difference is not None and difference.interval is not None and difference.interval.high > difference.interval.low
    return could_have_seen(difference) if difference is not None and known else ""


def _cell(estimate: Estimate | None) -> str:
    return "not measured" if estimate is None else estimate_text(estimate)


def words_of(view: PageView, metric: str) -> str:
    """The sentence that explains a metric; empty where nobody wrote one."""
    return view.words.get(metric, OWN_WORDS.get(metric, ""))


def glossary(view: PageView) -> tuple[Said, ...]:
    """Every metric that a gate reads, with its sentence."""
    metrics = dict.fromkeys(g.metric for g in view.contract.gates)
    return tuple(Said(term=m.replace("_", " "), text=words_of(view, m)) for m in metrics if words_of(view, m))


def curve_charts(curves: tuple[Curve, ...], prefix: str, reference: str) -> tuple[Chart, ...]:
    """A chart for each curve that has points. reference: what stands in for a champion, the same word as in the tables."""
    drawn = [(i, c) for i, c in enumerate(curves) if any(s.points for s in c.series)]
    return tuple(draw_curve(_with_reference(c, reference), key=f"{prefix}-{i}") for i, c in drawn)


def _with_reference(curve: Curve, reference: str) -> Curve:
    return replace(curve, series=tuple(replace(s, name=reference) if s.name == Of.CHAMPION.value else s for s in curve.series))


def empty_curves(curves: tuple[Curve, ...]) -> tuple[str, ...]:
    """Titles of the curves without a point: they are named, not drawn."""
    return tuple(c.title for c in curves if not any(s.points for s in c.series))


def slice_charts(view: PageView) -> tuple[Chart, ...]:
    """A forest plot for each gated column of slices, the slice nearest to harm first."""
    gated = [(gate, column) for gate in view.contract.gates for column in gate.slices]
    charts = (_slice_chart(view, gate, column, f"slices-{i}") for i, (gate, column) in enumerate(gated))
    return tuple(c for c in charts if c is not None)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorstRow:
    """One slice that the search found."""

    slice: str
    excess: str
    rows: str


def worst_rows(view: PageView) -> tuple[WorstRow, ...]:
    """The slices in which the challenger's loss is higher than elsewhere, worst first."""
    found = view.evidence.worst if view.evidence else ()
    return tuple(
        WorstRow(
            slice=one.effect.slice,
            excess=f"{one.effect.metric.replace('_', ' ')} higher by {estimate_text(one.effect)}",
            rows=f"{count_text(one.n_rows, 'row')}, {count_text(one.n_units, view.contract.unit)}",
        )
        for one in found
    )


def _slice_chart(view: PageView, gate: Gate, column: str, key: str) -> Chart | None:
    of = Of.DIFFERENCE if gate.against else Of.CHALLENGER
    estimates = view.evidence.estimates if view.evidence else ()
    found = [e for e in estimates if e.metric == gate.metric and e.of is of and e.slice.startswith(f"{column}=")]
    if not any(e.value is not None for e in found):
        return None
    statuses = {r.slice: r.status for r in view.verdict.rulings if r.gate == gate.name}
    found.sort(key=lambda e: _worst_first(e, gate))
    rows = tuple(_slice_row(e, column, view.contract.unit, statuses.get(e.slice)) for e in found)
    metric = gate.metric.replace("_", " ")
    whose = f"{metric}, challenger minus {view.reference}" if gate.against else metric
    limits = _limits(gate, reference=0.0 if gate.against else None)
    return draw_forest(rows, key=key, title=f"{column}: {whose}", measured_in=found[0].measured_in, limits=limits)


def _worst_first(e: Estimate, gate: Gate) -> tuple[bool, float, str]:
    if e.value is None:
        return True, 0.0, e.slice
    low, high = (e.interval.low, e.interval.high) if e.interval else (e.value, e.value)
    return False, -high if gate.at_most is not None else low, e.slice


def _slice_row(e: Estimate, column: str, unit: str, status: Status | None) -> Row:
    return Row(
        label=e.slice.removeprefix(f"{column}="),
        value=e.value,
        low=e.interval.low if e.interval else None,
        high=e.interval.high if e.interval else None,
        n=count_text(e.n_units, unit),
        note=e.refused,
        stands_out=status not in (None, Status.PASS),
    )


def _limits(gate: Gate, reference: float | None) -> tuple[Limit, ...]:
    limits = []
    if gate.at_most is not None:
        limits.append(Limit(at=gate.at_most, allowed="below", label=f"at most {number_text(gate.at_most)}"))
    if gate.at_least is not None:
        limits.append(Limit(at=gate.at_least, allowed="above", label=f"at least {number_text(gate.at_least)}"))
    if reference is not None and all(m.at != reference for m in limits):
        limits.append(Limit(at=reference, allowed="", label="no difference"))
    return tuple(limits)


def effects_chart(effects: tuple[Effect, ...]) -> Chart | None:
    """The strongest inputs: a forest where effects have intervals, bars where they have none; None without effects."""
    if not effects:
        return None
    is_ratio = "ratio" in effects[0].measured_in and all(e.value > 0 for e in effects)
    ordered = sorted(effects, key=lambda e: (-_strength(e.value, ratio=is_ratio), e.name))
    every = tuple(Row(label=e.name, value=e.value, low=e.low, high=e.high) for e in ordered)
    rows = every[:EFFECTS_SHOWN]
    measured_in = effects[0].measured_in
    more = f", the strongest {EFFECTS_SHOWN} of {len(effects)}" if len(effects) > EFFECTS_SHOWN else ""
    title = f"What moves the answer: {measured_in or 'effect'} of each input{more}"
    if any(r.low is not None for r in rows):
        none = Limit(at=1.0 if is_ratio else 0.0, allowed="", label="no effect")
        return draw_forest(rows, key="effects", title=title, measured_in=measured_in, limits=(none,), log=is_ratio)
    if all(r.value == 0 for r in rows):
        return None
    chart = draw_bars(rows, key="effects", title=title, measured_in=measured_in or "effect")
    return replace(chart, rows=tuple((r.label, number_text(r.value)) for r in every))


def _strength(value: float, *, ratio: bool) -> float:
    return max(value, 1 / value) if ratio else abs(value)


def trial_rows(view: PageView) -> tuple[TrialRow, ...]:
    """Every learner that was tried, the chosen one first."""
    trials = sorted(view.candidate.trials, key=lambda t: not t.chosen)
    return tuple(
        TrialRow(
            learner=t.learner.replace("_", " "),
            params=params_text(t.params),
            score="no score" if t.score is None else f"{number_text(t.score)} {unit_text(t.measured_in)}".strip(),
            chosen=t.chosen,
            note=t.note,
        )
        for t in trials
    )


def params_text(params: Mapping[str, object]) -> str:
    """Parameters in one line; the learner's own defaults where none are set."""
    return ", ".join(f"{k} = {v}" for k, v in params.items()) or "defaults"


def model_card(view: PageView) -> tuple[Said, ...]:
    """What a reader must know before relying on the model."""
    contract, chosen = view.contract, next((t for t in view.candidate.trials if t.chosen), None)
    train = view.snapshot.tables.get("train")
    rows = (
        f"{train.n_rows:,} rows over {count_text(train.n_units, contract.unit)}, {_span(train.decided_from, train.decided_until)}"
        if train
        else ""
    )
    return (
        Said(term="Intended use", text=contract.question),
        Said(term="Not for", text="Any other question, unit or moment of decision: nothing here speaks about those."),
        Said(term="Owner", text=contract.decision.owner),
        Said(term="Trained on", text=rows or "the snapshot holds no train table"),
        Said(term="Learner", text=view.candidate.learner.replace("_", " "), code=params_text(view.candidate.params)),
        Said(term="Chosen by", text=f"{contract.select_by.replace('_', ' ')} on the validate table"),
        Said(term="Calibration", text=(chosen.note if chosen else "") or "nothing is recorded about calibration"),
        Said(term="Inputs", text=_inputs_text(view)),
        Said(term="Seed", text=str(view.candidate.seed)),
        Said(term="When it cannot answer", text=contract.decision.fallback),
    )


def _span(start: str, end: str) -> str:
    return f"{start[:10]} to {end[:10]}"


def _inputs_text(view: PageView) -> str:
    inputs = view.snapshot.inputs
    if not inputs:
        return "none"
    inexact = [i.name for i in inputs if not i.exact]
    note = f"; marked approximate: {', '.join(inexact)}" if inexact else "; all computed exactly"
    return f"{len(inputs)} from {len({i.feature for i in inputs})} declared features{note}"


def measured_rows(view: PageView) -> tuple[FigureRow, ...]:
    """Latency, cost and size, before and after."""
    own = view.measurements.estimates if view.measurements else ()
    before = view.champion_measurements.estimates if view.champion_measurements else ()
    rows = []
    for metric in dict.fromkeys(e.metric for e in own):
        mine = _measured(own, metric, Of.CHALLENGER)
        theirs = _measured(own, metric, Of.CHAMPION) or _measured(before, metric, Of.CHALLENGER) or _measured(before, metric, Of.CHAMPION)
        better = next(e.better for e in own if e.metric == metric)
        rows.append(
            FigureRow(
                metric=metric.replace("_", " "),
                better=_BETTER.get(better, better),
                words=words_of(view, metric),
                challenger=_cell(mine),
                champion=_cell(theirs),
                difference=_cell(_measured(own, metric, Of.DIFFERENCE)),
                limit=_budget(view.contract, metric),
            )
        )
    return tuple(rows)


def _measured(estimates: tuple[Estimate, ...], metric: str, of: Of) -> Estimate | None:
    return next((e for e in estimates if e.metric == metric and e.of is of), None)


def _budget(contract: Contract, metric: str) -> str:
    """The limit that the contract sets on a measured figure."""
    gate = next((g for g in contract.gates if g.metric == metric and not g.against), None)
    if gate and gate.at_most is not None:
        return f"at most {number_text(gate.at_most)}"
    if gate and gate.at_least is not None:
        return f"at least {number_text(gate.at_least)}"
    budget = {f"latency_{q}": getattr(contract.budget, f"latency_{q}_ms") for q in ("p50", "p95", "p99")}.get(metric)
    return f"budget {number_text(budget)}" if budget is not None else "none stated"


def cost_words(contract: Contract) -> tuple[Said, ...]:
    """What mistakes and machines cost, and how a release would go forward."""
    shares = " → ".join(f"{number_text(s * 100)} %" for s in contract.rollout.shares)
    return (
        Said(term="A false alarm", text=f"{number_text(contract.cost.false_positive_usd)} USD"),
        Said(term="A miss", text=f"{number_text(contract.cost.false_negative_usd)} USD"),
        Said(term="A processor core", text=f"{number_text(contract.cost.machine_usd_per_hour)} USD per hour"),
        Said(term="Way forward", text=f"{shares}, at least {duration_text(contract.rollout.bake)} at each"),
        Said(term="Way back", text="reversible" if contract.decision.reversible else "one-way: it cannot be taken back without harm"),
    )
