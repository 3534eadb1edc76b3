"""How does a comparison of two verdicts read in a terminal? The answer first, then every figure, then what sets the two apart."""

from __future__ import annotations

from gonogo.cli.text import aligned, figure, short
from gonogo.types.evidence import Estimate
from gonogo.workflow.contrast import Answer, Changed, Comparison, Contrast, Margin, RulingChanged, Side

MOST_CHANGES = 20  # lines of what is not the same; --json lists all
_HEAD = {
    Answer.BETTER: "B IS BETTER",
    Answer.NOT_WORSE: "B IS NOT WORSE",
    Answer.NOT_KEPT: "MARGIN NOT SHOWN",
    Answer.SAME: "THE SAME MODEL",
    Answer.UNSEEN: "NO DIFFERENCE SEEN",
    Answer.MIXED: "BETTER AND WORSE",
    Answer.WORSE: "B IS WORSE",
    Answer.UNPAIRED: "CANNOT BE COMPARED",
}


def comparison(record: Comparison, folder: str) -> str:
    """The answer, both sides, the figures, the rulings and all else that changed, the next step."""
    lines = [
        f"{_HEAD[record.answer]}  {record.because}",
        *aligned([_side("A", record.a), _side("B", record.b)]),
        "",
        *(_paired(record) if record.n_rows is not None else _side_by_side(record.figures)),
    ]
    if record.rulings:
        lines += ["", "rulings that changed, A → B:", *aligned([_ruling(r) for r in record.rulings])]
    return "\n".join([*lines, *_changes(record.changed), f"next: {_next(record, folder)}"])


def _side(letter: str, side: Side) -> tuple[str, ...]:
    return (
        f"  {letter}",
        "GO" if side.status.value == "pass" else "NO-GO",
        side.contract_name,
        f"verdict {short(side.verdict)}",
        f"candidate {short(side.candidate)}",
        side.learner,
    )


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _paired(record: Comparison) -> list[str]:
    head = f"B − A on the same {record.n_rows:,} rows of {record.n_units:,} units; p adjusted for {len(record.figures)} figures (Holm):"
    better = {c.figure.metric: c.figure.better for c in record.figures}
    margins = aligned([_margin(m, better[m.metric]) for m in record.margins])
    return [head, *aligned([_contrast(c) for c in record.figures]), *margins, *_slices(record.slices)]


def _margin(margin: Margin, better: str) -> tuple[str, ...]:
    limit = f"{margin.metric} {'at most' if better == 'lower' else 'at least'} {margin.limit:g}"
    return (f"  margin {'kept' if margin.kept else 'not shown'}", limit, margin.stated_in)


def _contrast(contrast: Contrast) -> tuple[str, ...]:
    difference = contrast.difference
    assert difference is not None
    if difference.value is None:
        return (f"  {difference.metric}", _word(contrast), difference.refused, "", "")
    seen = contrast.could_have_seen
    return (
        f"  {difference.metric}",
        _word(contrast),
        _figure(difference),
        "" if contrast.p_adjusted is None else f"p {_p(contrast.p_adjusted)}",
        "" if seen is None else f"could have seen {seen:.2g} (80 % power)",
    )


def _word(contrast: Contrast) -> str:
    if contrast.difference is None or contrast.difference.value is None:
        return "no evidence"
    return "better" if contrast.gain > 0 else "worse" if contrast.gain < 0 else "not seen"


def _figure(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    if estimate.value is None or estimate.interval is None:
        return estimate.refused
    return figure(estimate.value, estimate.interval.low, estimate.interval.high, estimate.measured_in, limit=0.0)


def _p(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.1 else f"{p:.2f}"


def _slices(slices: tuple[Contrast, ...]) -> list[str]:
    """The slices in which a difference is shown; how many were looked at."""
    if not slices:
        return []
    shown = [c for c in slices if c.gain != 0]
    head = f"slices: {len(shown)} of {len(slices)} figures by slice differ (Holm)"
    return [head, *aligned([(f"  {c.figure.slice}", c.figure.metric, _word(c), _figure(c.difference)) for c in shown])]


def _side_by_side(figures: tuple[Contrast, ...]) -> list[str]:
    head = [("  each on its own rows", "A", "B")]
    return aligned([*head, *((f"  {c.figure.metric}", _figure(c.a), _figure(c.b)) for c in figures)])


# ── what changed ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _ruling(changed: RulingChanged) -> tuple[str, ...]:
    before, after = (status.value if status is not None else "no such gate" for status in (changed.a, changed.b))
    return (f"  {before} → {after}", changed.gate, changed.slice)


def _changes(changed: tuple[Changed, ...]) -> list[str]:
    if not changed:
        return ["", "nothing else differs: same contract, data, learner and packages"]
    rows = [(f"  {c.what}", _clipped(c.a) or "–", "→", _clipped(c.b) or "–") for c in changed[:MOST_CHANGES]]
    rest = len(changed) - len(rows)
    return ["", "not the same, A → B:", *aligned(rows), *([f"  … and {rest:,} more: --json lists all"] if rest else [])]


def _clipped(text: str, width: int = 48) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= width else one_line[: width - 1] + "…"


def _next(record: Comparison, folder: str) -> str:
    b = f"gonogo page {folder} --verdict {short(record.b.verdict)}"
    if record.answer in (Answer.BETTER, Answer.NOT_WORSE):
        if record.b.status.value == "pass":
            return b
        return f"B is NO-GO all the same; see why: {b}"
    return {
        Answer.SAME: "compare the rulings above: the model did not change",
        Answer.NOT_KEPT: "gather more units until the margin can be shown, or decide that it does not matter here",
        Answer.UNSEEN: "gather more units, or say how much worse would still do: --margin METRIC=VALUE",
        Answer.MIXED: f"say in the contract which figure decides (a gate against the champion); {b}",
        Answer.WORSE: f"keep A; what B lost: {b}",
        Answer.UNPAIRED: "run both contracts with the same sources, as_of and split, then compare those verdicts",
    }[record.answer]
