"""What was decided, by which rulings, and what stands in the way? The first screen of the page."""

from __future__ import annotations

from dataclasses import dataclass

from gonogo.evidence.charts_forest import draw_gauge
from gonogo.evidence.page_numbers import count_text, duration_text, figure_text, number_text, unit_text
from gonogo.evidence.page_view import PageView
from gonogo.types.contract import Contract, Gate
from gonogo.types.snapshot import Finding, FindingStatus
from gonogo.types.verdict import SEVERITY, Ruling, Status

STATUS_WORDS = {
    Status.PASS: "pass",
    Status.INCONCLUSIVE: "inconclusive",
    Status.MISSING: "no evidence",
    Status.ERROR: "not measurable",
    Status.FAIL: "fail",
}
_COUNTED = {  # status → how many rulings of it are said
    Status.FAIL: "{n} fail{s}",
    Status.ERROR: "{n} could not be measured",
    Status.MISSING: "{n} {has} no evidence",
    Status.INCONCLUSIVE: "{n} {is_} inconclusive",
}
FINDINGS = "open_findings"  # the metric that counts findings, in gates and rulings
_MEND = "Findings in the data stand open: mend what they name, or waive each with a name and a reason."
_NO_GATE = "Give the contract at least one gate, then run again."
_NO_RULING = "Measure what the contract's gates ask for, then decide."
_NEXT = {
    Status.FAIL: "Harm is shown: the model, the data or the question must change before another run.",
    Status.ERROR: "A measurement failed: mend what its sentence names, then measure again.",
    Status.MISSING: "Evidence is missing, and missing evidence is never a pass: measure it, or wait until there are enough units.",
    Status.INCONCLUSIVE: "An interval holds both harm and no harm: more {unit} would narrow it.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """The answer, and why."""

    go: bool
    word: str  # "GO" | "NO-GO"
    summary: str
    steps: tuple[str, ...]  # what to do now


@dataclass(frozen=True, kw_only=True, slots=True)
class RulingRow:
    """One line of the table of gates."""

    status: str  # a value of Status, the style class too
    status_word: str
    gate: str
    metric: str
    slice: str
    figure: str
    gauge: str  # a small SVG; empty where there is no figure
    limit: str
    units: str
    sentence: str
    blocking: tuple[Finding, ...] = ()  # what a gate on findings names
    tally: str = ""  # "15 of 16 slices pass; this one decides"


def headline(view: PageView) -> Headline:
    """GO or NO-GO with the counts behind it and the next steps."""
    contract, verdict, rulings = view.contract, view.verdict, view.verdict.rulings
    if not rulings:
        summary = "No gate ruled. Without evidence there is no GO."
        return Headline(go=False, word="NO-GO", summary=summary, steps=(_NO_RULING if contract.gates else _NO_GATE,))
    if verdict.go:
        summary = f"Every ruling is a pass: {len(rulings)} of {len(rulings)}."
        return Headline(go=True, word="GO", summary=summary + _still_open(view), steps=(_first_share(contract),))
    present = [s for s in reversed(SEVERITY) if s is not Status.PASS and any(r.status is s for r in rulings)]
    counts = [_count(s, sum(r.status is s for r in rulings)) for s in present]
    out = sum(r.status is not Status.PASS for r in rulings)
    summary = f"{out} of {len(rulings)} rulings {'does' if out == 1 else 'do'} not pass: {', '.join(counts)}."
    units = count_text(2, contract.unit).removeprefix("2 ")
    figures = {r.status for r in rulings if r.metric != FINDINGS}
    steps = tuple(_NEXT[s].format(unit=units) for s in present if s in figures)
    findings_hold = any(r.metric == FINDINGS and r.status is not Status.PASS for r in rulings)
    return Headline(go=False, word="NO-GO", summary=summary, steps=(_MEND, *steps) if findings_hold else steps)


def _still_open(view: PageView) -> str:
    """What a GO passed over, because no gate counts findings or one allows some: said where the GO is said."""
    held = open_findings(view)
    if not held:
        return ""
    places = ", ".join(f"{f.code} at {f.where}" for f in held)
    return f" {count_text(len(held), 'finding')} in the data {'stands' if len(held) == 1 else 'stand'} open all the same: {places}."


def _first_share(contract: Contract) -> str:
    share = number_text(contract.rollout.shares[0] * 100) if contract.rollout.shares else "unknown"
    return f"A release may start at {share} % of traffic, and stays there for at least {duration_text(contract.rollout.bake)}."


def _count(status: Status, n: int) -> str:
    one = n == 1
    return _COUNTED[status].format(n=n, s="s" if one else "", has="has" if one else "have", is_="is" if one else "are")


def gate_rows(view: PageView) -> tuple[RulingRow, ...]:
    """One row per gate, what does not pass first; of a gate with slices the deciding one, and every other that does not pass."""
    groups: dict[str, list[Ruling]] = {}
    for ruling in view.verdict.rulings:
        groups.setdefault(ruling.gate, []).append(ruling)
    shown: list[tuple[int, RulingRow]] = []
    for number, (name, rulings) in enumerate(groups.items()):
        gate = _gate(view.contract, name)
        ordered = sorted(rulings, key=lambda r: (-SEVERITY.index(r.status), _slack(r, gate), r.slice))
        shown += [
            (SEVERITY.index(r.status), _row(view, r, f"gauge-{number}-{i}", tally=_tally(ordered) if i == 0 else ""))
            for i, r in enumerate(ordered)
            if i == 0 or r.status is not Status.PASS
        ]
    return tuple(row for _, row in sorted(shown, key=lambda pair: -pair[0]))


def all_rows(view: PageView) -> tuple[RulingRow, ...]:
    """Every ruling, in the contract's order, without drawings."""
    return tuple(_row(view, r, "") for r in view.verdict.rulings)


def open_findings(view: PageView) -> tuple[Finding, ...]:
    """Findings that block: open or skipped, and waived by nobody."""
    blocking = (FindingStatus.OPEN, FindingStatus.SKIPPED)
    return tuple(f for f in view.snapshot.findings if f.status in blocking and (f.code, f.where) not in view.waived_findings)


def _row(view: PageView, ruling: Ruling, key: str, tally: str = "") -> RulingRow:
    gate = _gate(view.contract, ruling.gate)
    side, noun = allowed_side(ruling, gate), view.noun_of(ruling.metric)
    figure = _figure(ruling)
    blocking = open_findings(view) if ruling.metric == FINDINGS else ()
    return RulingRow(
        status=ruling.status.value,
        status_word=STATUS_WORDS[ruling.status],
        gate=ruling.gate,
        metric=_metric_words(view, ruling, gate),
        slice=ruling.slice,
        figure=figure,
        gauge=_gauge(ruling, side, key, figure) if key else "",
        limit=limit_text(ruling, side),
        units=count_text(ruling.n_units, noun) if ruling.n_units and noun else "",
        sentence="Still open:" if blocking else ruling.sentence,
        blocking=blocking,
        tally=tally,
    )


def _figure(ruling: Ruling) -> str:
    if ruling.value is None:
        return "no figure"
    if ruling.metric == FINDINGS:
        return count_text(round(ruling.value), "finding")
    return figure_text(ruling.value, ruling.low, ruling.high, ruling.measured_in, limit=ruling.limit)


def _gauge(ruling: Ruling, side: str, key: str, figure: str) -> str:
    if ruling.limit is None or not side:
        return ""
    said = f"{ruling.metric.replace('_', ' ')} {figure}, {limit_text(ruling, side)}"
    return draw_gauge(value=ruling.value, low=ruling.low, high=ruling.high, limit=ruling.limit, allowed=side, key=key, said=said)


def _metric_words(view: PageView, ruling: Ruling, gate: Gate | None) -> str:
    name = ruling.metric.replace("_", " ")
    if gate is None or not gate.against:
        return name
    return f"{name}, difference to the {view.reference if gate.against == 'champion' else gate.against}"


def _gate(contract: Contract, name: str) -> Gate | None:
    return next((g for g in contract.gates if g.name == name), None)


def allowed_side(ruling: Ruling, gate: Gate | None) -> str:
    """On which side of its limit a figure may lie: "below", "above", or "" where the contract does not say."""
    if gate is None or ruling.limit is None:
        return ""
    if gate.at_most is not None and ruling.limit == gate.at_most:
        return "below"
    return "above" if gate.at_least is not None and ruling.limit == gate.at_least else ""


def limit_text(ruling: Ruling, side: str) -> str:
    """The limit in words, with its unit."""
    if ruling.limit is None:
        return "no limit stated"
    words = {"below": "at most", "above": "at least"}.get(side, "limit")
    return f"{words} {number_text(ruling.limit)} {unit_text(ruling.measured_in)}".strip()


def _slack(ruling: Ruling, gate: Gate | None) -> float:
    """How far the worst end is inside the limit; what is closest to it decides, so it comes first."""
    side = allowed_side(ruling, gate)
    worst = ruling.high if side == "below" else ruling.low
    worst = ruling.value if worst is None else worst
    if worst is None or ruling.limit is None:
        return 0.0
    return ruling.limit - worst if side == "below" else worst - ruling.limit


def _tally(ordered: list[Ruling]) -> str:
    if len(ordered) < 2:
        return ""
    passed = sum(r.status is Status.PASS for r in ordered)
    last = "this one is closest to the limit" if passed == len(ordered) else "this one decides"
    return f"{passed} of {len(ordered)} slices pass; {last}"
