"""How does a record read in a terminal? The answer first, then the evidence, then the next step."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from gonogo.types.candidate import Candidate, Trial
from gonogo.types.entry import Entry
from gonogo.types.evidence import Estimate, Evidence
from gonogo.types.record import Digest
from gonogo.types.snapshot import Finding, FindingStatus, Snapshot
from gonogo.types.verdict import SEVERITY, Ruling, Status, Verdict

if TYPE_CHECKING:
    from gonogo.workflow.run import Run

SMALLEST_FIXED = 1e-3  # below it 0.00000269 would have to be counted
OPEN_FINDINGS = "open_findings"  # the one gate that counts findings, not a figure
WIDTH = 120  # characters of a folded sentence: the same in a terminal and in a file
_WORD = {Status.INCONCLUSIVE: "inconclusive", Status.MISSING: "no evidence"}


def short(digest: Digest) -> str:
    """The digits a person types."""
    return digest.removeprefix("sha256:")[:12]


def run(result: Run, folder: str) -> str:
    """The verdict, its rulings, what was left out, and the next step."""
    digests = result.digests
    head = (
        f"{_answer(result.verdict)}  {result.contract_name}  candidate {short(digests['candidate'])}"
        f"  against {result.champion_is} {short(digests['champion'])}  verdict {short(digests['verdict'])}"
    )
    rows = "  ".join(f"{name} {result.rows[name]:,}" for name in ("train", "validate", "test") if name in result.rows)
    out = ", ".join(f"{n:,} {reason}" for reason, n in result.dropped.items())
    lines = [
        head,
        *_rulings(result.verdict),
        *_findings(result.findings, _waived(result)),
        "",
        f"rows: {rows}",
        f"left out: {out or 'none'}",
    ]
    return "\n".join([*lines, f"page: {result.page}", f"next: {_next(result, folder)}"])


def verdict(record: Verdict) -> str:
    """The verdict and its rulings."""
    return "\n".join([f"{_answer(record)}  candidate {short(record.candidate)}", *_rulings(record)])


def snapshot(record: Snapshot) -> str:
    """The tables of a snapshot, and what its checks found."""
    tables = [
        (f"  {name}", f"{t.n_rows:,} rows", f"{t.n_units:,} units", f"{t.decided_from} … {t.decided_until}")
        for name, t in record.tables.items()
    ]
    clean = sum(f.status is FindingStatus.CLEAN for f in record.findings)
    dropped = [f"  left out: {d.n_rows:,} {d.reason}" for d in record.dropped]
    notable = [f for f in record.findings if f.status is not FindingStatus.CLEAN]
    head = f"snapshot as of {record.as_of}: {len(record.inputs)} inputs, {clean} checks clean"
    return "\n".join([head, *aligned(tables), *dropped, *_findings(notable)])


def candidate(record: Candidate) -> str:
    """The trials, and which was chosen."""
    trials = [
        (
            "  *" if t.chosen else "   ",
            f"{t.learner} {_told_apart_by(t, record.trials)}".rstrip(),
            "refused" if t.score is None else f"{t.score:.6g} {t.measured_in}".rstrip(),
            t.note,
        )
        for t in record.trials
    ]
    return "\n".join([f"candidate: {record.learner}, seed {record.seed}", *aligned(trials)])


def _told_apart_by(trial: Trial, trials: Sequence[Trial]) -> str:
    """The parameters in which a trial differs from the others of its learner."""
    others = [t.params for t in trials if t.learner == trial.learner]
    return " ".join(f"{name}={value}" for name, value in trial.params.items() if any(o.get(name) != value for o in others))


def evidence(record: Evidence) -> str:
    """The figures on the whole table."""
    whole = [e for e in record.estimates if not e.slice]
    head = f"{record.table}: {record.n_rows:,} rows of {record.n_units:,} units, against the {record.champion_is}"
    return "\n".join([head, *aligned([_estimate(e) for e in whole])])


def entries(records: Sequence[Entry]) -> str:
    """One line an entry."""
    lines = [(str(e.seq), e.at.strftime("%Y-%m-%d %H:%M:%SZ"), e.by, e.kind, short(str(e.body.get(e.kind, "")))) for e in records]
    return "\n".join(aligned(lines)) or "the ledger is empty"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell; the last is left as it is.

    >>> aligned([("a", "b"), ("ccc", "d")])
    ['a    b', 'ccc  d']
    """
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _answer(record: Verdict) -> str:
    return "GO" if record.go else "NO-GO"


def _rulings(record: Verdict) -> list[str]:
    """One line a ruling, the worst first; beneath one that is no pass, the sentence that says why."""
    worst_first = sorted(record.rulings, key=lambda r: -SEVERITY.index(r.status))
    lines = aligned([_ruling(r) for r in worst_first])
    told = [[line, *_why(ruling, has_waivers=bool(record.waivers))] for line, ruling in zip(lines, worst_first, strict=True)]
    return [line for group in told for line in group] or ["  no evidence  the contract has no gate: without one there is no GO"]


def _ruling(ruling: Ruling) -> tuple[str, ...]:
    return (
        f"  {_WORD.get(ruling.status, ruling.status.value)}",
        f"{ruling.metric}  {ruling.slice}".rstrip(),
        figure(ruling.value, ruling.low, ruling.high, ruling.measured_in, limit=ruling.limit),
        "" if ruling.limit is None else f"limit {ruling.limit:g}",
        f"{ruling.n_units:,} {'checks' if ruling.metric == OPEN_FINDINGS else 'units'}" if ruling.n_units else "",
        ruling.gate,
    )


def _why(ruling: Ruling, *, has_waivers: bool) -> list[str]:
    if ruling.metric == OPEN_FINDINGS:  # its sentence names each finding, and they are listed below, unless somebody waived them
        return _beneath(ruling.sentence) if has_waivers else []
    return [] if ruling.status is Status.PASS else _beneath(ruling.sentence)


def _beneath(sentence: str) -> list[str]:
    """A sentence folded and set in beneath its line."""
    return textwrap.wrap(sentence, width=WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_long_words=False)


def _estimate(estimate: Estimate) -> tuple[str, ...]:
    low, high = (None, None) if estimate.interval is None else (estimate.interval.low, estimate.interval.high)
    return (
        f"  {estimate.metric}",
        estimate.of.value,
        estimate.refused or figure(estimate.value, low, high, estimate.measured_in),
        f"{estimate.n_units:,} units",
    )


def figure(value: float | None, low: float | None, high: float | None, unit: str, *, limit: float | None = None) -> str:
    """A figure with its interval and unit, to the digits that the interval supports, and so many that no end falls onto the limit.

    >>> figure(0.43215, 0.41, 0.4512, "nats")
    '0.432 [0.410, 0.451] nats'
    >>> figure(-0.0647, -0.13, -0.0021, "nats", limit=0.0)
    '-0.065 [-0.130, -0.002] nats'
    >>> figure(0.0000026912, 0.00000255, 0.00000283, "usd")
    '2.69e-06 [2.55e-06, 2.83e-06] usd'
    >>> figure(0.4321, 0.4321, 0.4321, "MB"), figure(2.0, 2.0, 2.0, "findings")
    ('0.4321 [0.4321, 0.4321] MB', '2 [2, 2] findings')
    """
    if value is None:
        return "–"
    ends = [end for end in (low, high) if end is not None]
    form = _form(value, ends, limit)
    interval = f" [{', '.join(format(end, form) for end in ends)}]" if len(ends) == 2 else ""
    return f"{value:{form}}{interval} {unit}".rstrip()


def _form(value: float, ends: Sequence[float], limit: float | None) -> str:
    """How a value and its ends are written: in fixed point, unless that would be a row of zeros."""
    largest = max(abs(value), *(abs(end) for end in ends)) if ends else abs(value)
    if 0 < largest < SMALLEST_FIXED:
        return ".2e"
    digits = _digits(ends[1] - ends[0]) if len(ends) == 2 and ends[0] < ends[1] else _digits_of_exact(value)
    while digits < 8 and any(end != limit and round(end, digits) == limit for end in ends):
        digits += 1
    return f".{digits}f"


def _digits_of_exact(value: float) -> int:
    """Decimals of four significant digits; none of a whole number."""
    return 0 if float(value).is_integer() else max(0, 3 - math.floor(math.log10(abs(value))))


def _digits(width: float) -> int:
    """Decimals that show the width of an interval to two digits, at most eight."""
    digits = 0
    while digits < 8 and 0 < width * 10**digits < 10:
        digits += 1
    return digits


def _waived(result: Run) -> Mapping[tuple[str, str], str]:
    """(code, place) of each finding that somebody answers for → who."""
    return {(waiver.code, waiver.where): waiver.name for waiver in result.waivers}


def _findings(findings: Sequence[Finding], waived: Mapping[tuple[str, str], str] = MappingProxyType({})) -> list[str]:
    """What is open, waived or was skipped, each with its sentence beneath; notes are counted."""
    told = [f for f in findings if f.status not in (FindingStatus.NOTE, FindingStatus.CLEAN)]
    by = [waived.get((f.code, f.where), "") if f.status is FindingStatus.OPEN else "" for f in told]
    lines = aligned([("  waived" if name else f"  {f.status.value}", f.code, f.where) for f, name in zip(told, by, strict=True)])
    named = [f"{line}  by {name}" if name else line for line, name in zip(lines, by, strict=True)]
    groups = [[line, *_beneath(f.sentence)] for line, f in zip(named, told, strict=True)]
    notes = sum(f.status is FindingStatus.NOTE for f in findings)
    tail = [f"  {notes} {'note' if notes == 1 else 'notes'} on the page"] if notes else []
    return [*(["", "findings:"] if told else []), *(line for group in groups for line in group), *tail]


def _next(result: Run, folder: str) -> str:
    if result.verdict.go:
        return f"read the page, then keep the verdict: gonogo replay {short(result.digests['verdict'])} --folder {folder}"
    blocking = [f for f in result.findings if f.status is FindingStatus.OPEN]
    if blocking:
        return f"gonogo explain {blocking[0].code}"
    worst = max(result.verdict.rulings, key=lambda r: SEVERITY.index(r.status), default=None)
    return "add a [[gates]] table to the contract" if worst is None else f"look at '{worst.gate}' on the page"
