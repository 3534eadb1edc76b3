"""Which question was asked, of which rows, and what did the checks find in them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gonogo.evidence.charts_frame import Chart
from gonogo.evidence.charts_time import LookBack, Moment, Span, draw_decision, draw_time_line
from gonogo.evidence.page_numbers import count_text, duration_text, moment, moment_text, number_text
from gonogo.evidence.page_view import PageView
from gonogo.types.contract import Contract, Feature, Split
from gonogo.types.snapshot import Finding, FindingStatus
from gonogo.types.time import duration_us, window_us

ABSENT = {
    "censored": "an outcome that has not come by then is not known: the row is left out and counted",
    "negative": "an outcome that has not come by then counts as negative",
}
POLICY = {"drop": "left out", "censor": "counted as not known", "positive": "counted as positive", "negative": "counted as negative"}
MODES = {"batch": "in batches", "request": "one request at a time", "async": "as jobs that answer later"}
FINDING_WORDS = {"open": "open", "skipped": "could not run", "note": "worth reading", "clean": "clean", "waived": "waived"}
FACTS_SHOWN = 100
_MATURITY = {  # as data/labels.py names them → as the page says them
    "n_kept": "Outcome known",
    "n_not_mature": "Window still open",
    "n_no_outcome": "Nothing came in its window",
    "n_came_late": "Came after its window",
    "n_known_before_decision": "Known before the decision",
}
_TABLES = ("train", "validate", "test", "window")


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A term and what is said of it; `code` is written as code behind the words."""

    term: str
    text: str
    code: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingRow:
    """One finding as the page shows it."""

    status: str  # a value of FindingStatus, or "waived"
    status_word: str
    code: str
    check: str
    where: str
    sentence: str
    expected: str
    next: str
    waived: str = ""  # who waived it, and why


def contract_words(contract: Contract) -> tuple[Said, ...]:
    """The contract's question and its rules, in words."""
    rows, outcome = contract.rows, contract.outcome
    outcomes = "; ".join(f"{name} = {sql}" for name, sql in outcome.columns.items())
    seen = "does not count" if rows.boundary == "before" else "still counts"
    said = [
        Said(term="Predicted for", text=f"each row of {rows.source}, named by {', '.join(rows.key)}"),
        Said(
            term="Decided at",
            text=f"What was known before that moment counts; what became known at that very moment {seen}.",
            code=rows.decided_at,
        ),
        Said(
            term="Outcome", text=f"Known within {duration_text(outcome.window)} of the decision; {ABSENT[outcome.absent]}.", code=outcomes
        ),
        Said(term="Outcome known at", text="Taken from the row itself.", code=outcome.known_at),
        Said(
            term="Independent unit", text=f"{contract.unit}: rows that share one move together, so intervals are made by {contract.unit}."
        ),
        Said(term="Recurring things", text=", ".join(rows.entities) or "none named"),
        Said(term="Tables", text=split_words(contract.split)),
        Said(term="Asked", text=f"{MODES[contract.mode]}; inputs at most {_stated(contract.freshness)} old"),
        Said(
            term="Trained again",
            text=f"every {duration_text(contract.retrain_every)}" if contract.retrain_every else "no cadence is stated",
        ),
        Said(term="As of", text=f"{moment_text(contract.as_of)}: nothing known later is used"),
    ]
    return tuple(said)


def _stated(duration: str) -> str:
    return duration_text(duration) if duration else "(no limit is stated)"


def split_words(split: Split) -> str:
    """How train, validate and test are kept apart, in one sentence."""
    if split.by == "time":
        edges = f"validate from {moment_text(split.validate_from)}, test from {moment_text(split.test_from)}"
        return f"by time: {edges}; embargo before each: {duration_text(split.embargo)}"
    shares = ", ".join(f"{number_text(s * 100)} %" for s in split.shares) or "not stated"
    column = f" of {split.column}" if split.column else ""
    return f"by {split.by}{column}; shares of train, validate, test: {shares}"


def time_line(view: PageView) -> Chart | None:
    """Tables, embargoes and left-out stretches on one line; None where the snapshot holds no table with times."""
    contract, tables = view.contract, view.snapshot.tables
    spans: list[Span] = []
    for name in sorted(tables, key=lambda n: (_TABLES.index(n) if n in _TABLES else 9, n)):
        table = tables[name]
        start, end = moment(table.decided_from), moment(table.decided_until)
        if start is None or end is None:
            continue
        held = f"{table.n_rows:,} rows, {count_text(table.n_units, contract.unit)}"
        spans.append(Span(lane=name, start=start, end=end, style="held", label=held))
        spans += _embargo(contract.split, name)
    for window in contract.outcome.excluded:
        start, end = moment(window.start), moment(window.end)
        if start is not None and end is not None:
            spans.append(Span(lane="left out", start=start, end=end, style="out", label=window.why))
    if not spans:
        return None
    as_of = moment(contract.as_of)
    moments = (Moment(at=as_of, label=f"as of {as_of.day} {as_of:%b %Y}"),) if as_of else ()
    return draw_time_line(tuple(spans), moments, key="time-line", title="Which stretch of time each table holds")


def _embargo(split: Split, table: str) -> Iterator[Span]:
    edge = moment({"train": split.validate_from, "validate": split.test_from}.get(table, ""))
    if split.by != "time" or edge is None or not split.embargo or duration_us(split.embargo) == 0:
        return
    before = edge - timedelta(microseconds=duration_us(split.embargo))
    yield Span(lane=table, start=before, end=edge, style="gap", label=f"embargo {duration_text(split.embargo)}")


def decision_windows(contract: Contract) -> Chart | None:
    """How far back the features look and how long the outcome may come; None where no feature looks at events."""
    looks = tuple(_look(name, f) for name, f in contract.features.items() if f.source and f.aggregates)
    if not looks:
        return None
    title = "What one decision may look back on, and how long its outcome may still come"
    outcome_s = duration_us(contract.outcome.window) / 1e6
    return draw_decision(looks, outcome_s=outcome_s, outcome=duration_text(contract.outcome.window), key="decision", title=title)


def _look(name: str, feature: Feature) -> LookBack:
    spans = tuple(window_us(w) for w in feature.windows)
    labels = tuple("everything known" if s is None else duration_text(w) for w, s in zip(feature.windows, spans, strict=True))
    return LookBack(name=name, spans_s=tuple(None if s is None else s / 1e6 for s in spans), labels=labels)


def finding_rows(view: PageView) -> Mapping[str, tuple[FindingRow, ...]]:
    """Findings by status, in the order in which a reader wants them: open, skipped, waived, note, clean."""
    rows = [_finding(f, view) for f in view.snapshot.findings]
    return {status: tuple(r for r in rows if r.status == status) for status in ("open", "skipped", "waived", "note", "clean")}


def _finding(finding: Finding, view: PageView) -> FindingRow:
    waiver = next((w for w in view.waived if (w.code, w.where) == (finding.code, finding.where)), None)
    is_waived = waiver is not None and finding.status in (FindingStatus.OPEN, FindingStatus.SKIPPED)
    status = "waived" if is_waived else finding.status.value
    return FindingRow(
        status=status,
        status_word=FINDING_WORDS[status],
        code=finding.code,
        check=finding.check.replace("_", " "),
        where=finding.where,
        sentence=finding.sentence,
        expected=finding.expected,
        next=finding.next,
        waived=f"waived by {waiver.by}: {waiver.why}" if waiver and is_waived else "",
    )


def maturity_words(facts: Mapping[str, Any]) -> tuple[Said, ...]:
    """How many outcomes had come, and what a label that takes "not yet" for "no" would have said; empty where the facts do not hold it."""
    found = _maturity(facts)
    if found is None:
        return ()
    said = [Said(term=term, text=f"{found[name]:,} rows") for name, term in _MATURITY.items() if isinstance(found.get(name), int)]
    outcomes = found.get("outcomes")
    for name, bias in outcomes.items() if isinstance(outcomes, Mapping) else ():
        if isinstance(bias, Mapping) and bias.get("is_binary"):
            said.append(Said(term=f"Bias of a naive {name}", text=_bias_words(bias)))
    return tuple(said)


def _maturity(facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The facts about labels, wherever in the snapshot's facts they stand."""
    if "n_not_mature" in facts:
        return facts
    nested = (_maturity(v) for v in facts.values() if isinstance(v, Mapping))
    return next((m for m in nested if m is not None), None)


def _bias_words(bias: Mapping[str, Any]) -> str:
    mature, naive = bias["mature_rate"], bias["naive_rate"]
    off = number_text((naive - mature) * 100, 2)
    known = f"Of the outcomes that had come, {number_text(mature * 100, 2)} % are positive."
    return f"{known} Taking \u201cnot yet\u201d for \u201cno\u201d would have said {number_text(naive * 100, 2)} %: off by {off} points."


def fact_rows(facts: Mapping[str, Any]) -> tuple[Said, ...]:
    """The other facts, one line each, nested names joined; the first hundred, and how many more there are."""
    maturity = _maturity(facts)
    lines = [Said(term=name.replace("_", " "), text=text) for name, text in _flat("", facts, maturity)]
    if len(lines) > FACTS_SHOWN:
        more = Said(term="And more", text=f"{len(lines) - FACTS_SHOWN:,} further facts stand in the snapshot's record")
        lines = [*lines[:FACTS_SHOWN], more]
    return tuple(lines)


def _flat(prefix: str, value: Any, left_out: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if left_out is not None and value is left_out:
        return
    if isinstance(value, Mapping):
        for name in sorted(value):
            yield from _flat(f"{prefix}, {name}" if prefix else str(name), value[name], left_out)
    elif isinstance(value, bool):
        yield prefix, "yes" if value else "no"
    elif isinstance(value, int | float):
        yield prefix, number_text(value)
    elif isinstance(value, list | tuple):
        yield prefix, ", ".join(str(v) for v in value) or "none"
    else:
        yield prefix, "not known" if value is None else str(value)
