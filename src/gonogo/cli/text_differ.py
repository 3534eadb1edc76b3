"""How do the differences of two files read in a terminal?"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gonogo.cli.text import WIDTH, aligned, figure

if TYPE_CHECKING:
    from gonogo.stats.differences import Difference, Differences, Measured

MOST_SHOWN = 30  # lines of columns; the record holds all
_HEAD = {"differs": "THEY DIFFER", "trivial": "NO DIFFERENCE that matters", "cannot tell": "CANNOT TELL"}


def differences(found: Differences, a: str, b: str) -> str:
    """The answer, the columns that differ most, and what to do."""
    counts = ", ".join(f"{n} {word}" for word, n in _counts(found.columns).items() if n)
    units = f", {found.n_units:,} units" if found.n_units != found.n_rows_a + found.n_rows_b else ""
    head = f"{_HEAD[found.answer.value]}  A {a} {found.n_rows_a:,} rows  B {b} {found.n_rows_b:,} rows{units}: {counts}"
    shown = found.columns[:MOST_SHOWN]
    more = len(found.columns) - len(shown)
    left = [f"  … and {more:,} more: --json lists all"] if more else []
    return "\n".join([head, *aligned([_line(one) for one in shown]), *left, *_next(found.columns)])


def _counts(columns: Sequence[Difference]) -> dict[str, int]:
    answers = [one.answer.value for one in columns]
    differ = answers.count("differs")
    return {
        "differs" if differ == 1 else "differ": differ,
        "cannot be told": answers.count("cannot tell"),
        "trivial": answers.count("trivial"),
    }


def _line(one: Difference) -> tuple[str, ...]:
    known = [m for m in one.measured if not m.tested.refused]
    name = one.column or "all columns"
    if not known:
        return (f"  {one.answer.value}", one.kind, name, one.sentence, "", "", _needs(one))
    worst = known[0]
    return (
        f"  {one.answer.value}",
        one.kind,
        name,
        worst.tested.effect.metric,
        _figure(worst),
        f"trivial {_margin(worst)}",
        "; ".join(part for part in (_p(one.p_value), _needs(one)) if part),
    )


def _figure(m: Measured) -> str:
    effect = m.tested.effect
    low, high = (None, None) if effect.interval is None else (effect.interval.low, effect.interval.high)
    return figure(effect.value, low, high, effect.measured_in)


def _margin(m: Measured) -> str:
    return f"from {m.null - m.margin:.3g} to {m.null + m.margin:.3g}" if m.null else f"up to {m.margin:.3g}"


def _p(p: float | None) -> str:
    if p is None:
        return ""
    return f"p {p:.2g}" if p >= 1e-15 else "p < 1e-15"


def _needs(one: Difference) -> str:
    return f"about {one.units_needed:,} a side would tell" if one.units_needed else ""


def _next(columns: Sequence[Difference]) -> list[str]:
    """One sentence for each kind of difference that was found."""
    advice = {one.kind: one.advice for one in columns if one.advice}
    told = [line for kind, says in advice.items() for line in textwrap.wrap(f"next, {kind}: {says}", width=WIDTH, subsequent_indent="  ")]
    needs = [one.units_needed for one in columns if one.units_needed]
    if needs and not told:
        told = [f"next: give about {max(needs):,} rows or units a side, or say by --margin what would be trivial"]
    return told or (
        ["next: nothing"] if all(one.answer.value == "trivial" for one in columns) else ["next: see what could not be measured"]
    )
