"""Do two populations differ, in which columns, in which way, and by enough to matter?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.stats.classifier_test import classifier_two_sample
from gonogo.stats.column_tests import Both, Coded, Units, both_sides, examined, missing_shares, relative_margin, with_value
from gonogo.stats.differences import Answer, Difference, Differences, Examined, Margins, Measured, judged
from gonogo.stats.estimates import require_level
from gonogo.stats.means import hedges_g, welch
from gonogo.stats.two_samples import joint_codes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, IntArray, Tested

__all__ = ["Answer", "Coded", "Difference", "Differences", "Margins", "differ"]

_SHOWN_CATEGORIES = 5  # of a column, for the classifier
_MOST_TERMS = 40  # columns that the classifier looks at
_PART = 1 << 20  # rows at a time
_LEAST_SCORE = 1e-6  # log loss of a sure score that is wrong is not infinite, but large

Columns = Mapping[str, Any]  # name → (n,) values or Coded


def differ(
    a: Columns,
    b: Columns,
    *,
    outcome: str | None = None,
    score: str | None = None,
    unit: str | None = None,
    columns: Sequence[str] | None = None,
    margins: Margins | None = None,
    max_rows: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Differences:
    """Two tables compared column by column, then all columns together: which differ, which differ trivially, of which it cannot be told.

    a, b:     name → one column each: numbers, booleans, times, text, or `Coded`. Each column is asked for in its turn, and let go of.
    outcome:  the column that is predicted; score: the prediction. With both, calibration and error are compared as well.
    unit:     the column of the independent unit; the same value on both sides is the same unit. columns: which to compare, or all.
    margins:  up to which an effect is trivial. max_rows: of either side, that a classifier sees of all columns together.

    A column differs where the interval of an effect lies wholly beyond its margin and its p-value, adjusted over the columns (Holm), is at
    most 1 − level; it is trivial where every effect lies within its margin (equivalence, shown); else it cannot be told, and about how many
    units it would take is said. A column on one side only, or of two types, differs. Raises ValueError for names that are nowhere.

    >>> rng = np.random.default_rng(0)
    >>> a = {"age": rng.normal(40, 10, 20_000), "city": rng.choice(["Bern", "Rome"], 20_000)}
    >>> b = {"age": rng.normal(45, 10, 20_000), "city": rng.choice(["Bern", "Rome"], 20_000)}
    >>> [(one.column, one.answer.value) for one in differ(a, b).columns if one.kind == "feature"]
    [('age', 'differs'), ('city', 'trivial')]
    """
    require_level(level)
    asked = _Asked(
        a=a, b=b, outcome=outcome, score=score, unit=unit, margins=margins or Margins(), max_rows=max_rows, level=level, seed=seed
    )
    names = _names(asked, columns)
    units, n_units = _units(asked)
    found = [_examined(name, asked, units) for name in names]
    if outcome is not None and score is not None and {outcome, score} <= set(a) & set(b):
        found += _of_model(asked, units)
    if asked.sample.n_columns > 1:  # of one column alone, its own tests say more
        found.append(_together(asked))
    n_a, n_b = asked.n_rows
    return Differences(n_rows_a=n_a, n_rows_b=n_b, n_units=n_units or n_a + n_b, level=level, columns=judged(found, level=level))


@dataclass(kw_only=True, slots=True)
class _Sample:
    """Rows of either side, drawn once, of each column that a classifier is to see."""

    row_a: IntArray | None = None
    row_b: IntArray | None = None
    unit_a: IntArray | None = None
    unit_b: IntArray | None = None
    a: list[Array] = field(default_factory=list)
    b: list[Array] = field(default_factory=list)
    n_columns: int = 0


@dataclass(kw_only=True, slots=True)
class _Asked:
    """What `differ` was asked, and what it keeps while it goes from column to column."""

    a: Columns
    b: Columns
    outcome: str | None
    score: str | None
    unit: str | None
    margins: Margins
    max_rows: int
    level: float
    seed: int
    n_rows: tuple[int, int] = (0, 0)
    sample: _Sample = field(default_factory=_Sample)

    def kind(self, name: str) -> str:
        """Which kind of difference a difference of this column would be."""
        return {self.outcome: "rate", self.score: "score"}.get(name, "feature")


def _names(asked: _Asked, columns: Sequence[str] | None) -> list[str]:
    """Outcome and score first, then the columns as they stand in a, then those of b alone; the unit is none of them."""
    there = list(dict.fromkeys([*asked.a, *asked.b]))
    unknown = [name for name in (*(columns or ()), asked.outcome, asked.score, asked.unit) if name is not None and name not in there]
    if unknown:
        raise ValueError(f"no column {', '.join(map(repr, unknown))} on either side: there are {', '.join(map(str, there))}")
    if asked.unit is not None and not (asked.unit in asked.a and asked.unit in asked.b):
        raise ValueError(f"the unit {asked.unit!r} is on one side only")
    wanted = there if columns is None else list(columns)
    first = [name for name in (asked.outcome, asked.score) if name is not None]
    names = [name for name in dict.fromkeys([*first, *wanted]) if name != asked.unit]
    if not names:
        raise ValueError("there is no column to compare")
    return names


def _units(asked: _Asked) -> tuple[Units, int]:
    if asked.unit is None:
        return Units(a=None, b=None), 0
    unit_a, unit_b = asked.a[asked.unit], asked.b[asked.unit]
    if isinstance(unit_a, Coded) or isinstance(unit_b, Coded) or np.asarray(unit_a).dtype.kind == "O":
        both = both_sides(unit_a, unit_b)
        if isinstance(both, str):
            raise ValueError(f"the unit {asked.unit!r} is {both}")
        unit_a, unit_b = both.a, both.b
        if (unit_a < 0).any() or (unit_b < 0).any():
            raise ValueError("a unit is missing: whose row it is must be known")
    code_a, code_b, n_units, _ = joint_codes(unit_a, unit_b, len(unit_a), len(unit_b))
    return Units(a=code_a, b=code_b), n_units


def _examined(name: str, asked: _Asked, units: Units) -> Examined:
    kind = asked.kind(name)
    if name not in asked.a or name not in asked.b:
        where = "A" if name in asked.a else "B"
        return Examined(column=name, kind="columns", measured=(), n_units=0, refused=f"only in {where}")
    a, b = asked.a[name], asked.b[name]
    _same_rows(name, a, b, asked)
    both = both_sides(a, b)
    del a, b
    if isinstance(both, str):
        return Examined(column=name, kind="columns", measured=(), n_units=0, refused=both)
    if kind != "rate":
        _sampled(both, units, asked)
    missing = missing_shares(both, units, asked.margins, level=asked.level)
    both, units = with_value(both, units)  # of ten million rows, what is let go of counts
    found = examined(name, kind, both, units, asked.margins, level=asked.level, seed=asked.seed)
    return replace(found, measured=(*found.measured, *missing))


def _same_rows(name: str, a: ArrayLike | Coded, b: ArrayLike | Coded, asked: _Asked) -> None:
    sizes = tuple(len(side if isinstance(side, Coded) else np.asarray(side)) for side in (a, b))
    if asked.n_rows == (0, 0):
        asked.n_rows = sizes[0], sizes[1]
    if sizes != asked.n_rows:
        raise ValueError(f"the column {name!r} has {sizes[0]:,} and {sizes[1]:,} rows, others {asked.n_rows[0]:,} and {asked.n_rows[1]:,}")


def _sampled(both: Both, units: Units, asked: _Asked) -> None:
    """Keeps the drawn rows of a column for the classifier: numbers as they are, categories as one column for each of the most frequent."""
    sample = asked.sample
    if sample.row_a is None or sample.row_b is None:
        rng = np.random.Generator(np.random.Philox(asked.seed))
        sample.row_a, sample.row_b = (
            np.arange(n) if n <= asked.max_rows else np.sort(rng.choice(n, asked.max_rows, replace=False)) for n in asked.n_rows
        )
        sample.unit_a = None if units.a is None else units.a[sample.row_a]
        sample.unit_b = None if units.b is None else units.b[sample.row_b]
    sample.n_columns += 1
    a, b = both.a[sample.row_a], both.b[sample.row_b]
    if both.kind != "categories":
        sample.a.append(a.astype(np.float64))
        sample.b.append(b.astype(np.float64))
        return
    counts = np.bincount(np.concatenate([a, b]) + 1)[1:]
    for code in np.argsort(-counts, kind="stable")[:_SHOWN_CATEGORIES]:
        sample.a.append((a == code).astype(np.float64))
        sample.b.append((b == code).astype(np.float64))


def _of_model(asked: _Asked, units: Units) -> list[Examined]:
    """How outcome and score go together: what the outcomes are above the scores, at all scores and from low to high, and the loss."""
    outcome, score = both_sides(asked.a[asked.outcome], asked.b[asked.outcome]), both_sides(asked.a[asked.score], asked.b[asked.score])  # type: ignore[index]
    if isinstance(outcome, str) or isinstance(score, str) or "categories" in (outcome.kind, score.kind):
        return []
    # Everything, where nothing is missing: a slice copies no column.
    there_a, there_b = (
        slice(None) if not (missing := np.isnan(y) | np.isnan(p)).any() else ~missing
        for y, p in ((outcome.a, score.a), (outcome.b, score.b))
    )
    rows = _ModelRows(
        y_a=outcome.a[there_a],
        y_b=outcome.b[there_b],
        p_a=score.a[there_a],
        p_b=score.b[there_b],
        units={} if units.a is None or units.b is None else {"unit_a": units.a[there_a], "unit_b": units.b[there_b]},
        is_probability=outcome.kind == "yes or no" and all(((p >= 0) & (p <= 1) | np.isnan(p)).all() for p in (score.a, score.b)),
    )
    smaller = min(len(rows.y_a), len(rows.y_b))
    return [
        Examined(column=f"{asked.outcome} | {asked.score}", kind="calibration", measured=_calibration(rows, asked), n_units=smaller),
        Examined(column=f"{asked.outcome} | {asked.score}", kind="error", measured=(_error(rows, asked),), n_units=smaller),
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class _ModelRows:
    """Rows of both sides on which outcome and score are known."""

    y_a: Array
    y_b: Array
    p_a: Array
    p_b: Array
    units: dict[str, Any]
    is_probability: bool


def _calibration(rows: _ModelRows, asked: _Asked) -> tuple[Measured, ...]:
    above_a, above_b = rows.y_a - rows.p_a, rows.y_b - rows.p_b
    if not rows.is_probability:
        return (_standardised(above_a, above_b, "outcome less score", rows, asked),)
    share = float(np.concatenate([rows.y_a, rows.y_b]).mean()) if len(rows.y_a) + len(rows.y_b) else 0.0
    margin = relative_margin(share, asked.margins.calibration)
    at_all = welch(above_a, above_b, level=asked.level, **rows.units)
    place_a, place_b = _places(rows.p_a, rows.p_b)
    above_a *= place_a
    above_b *= place_b
    del place_a, place_b
    rising = welch(above_a, above_b, level=asked.level, **rows.units)
    return (
        Measured(tested=_named(at_all, "outcome less score"), null=0.0, margin=margin),
        Measured(tested=_named(rising, "outcome less score, high scores against low"), null=0.0, margin=margin),
    )


def _places(p_a: Array, p_b: Array) -> tuple[Array, Array]:
    """Each score's place among those of both sides, from −1 for the lowest to 1 for the highest."""
    pooled = np.sort(np.concatenate([p_a, p_b]))
    return _place(p_a, pooled), _place(p_b, pooled)


def _place(p: Array, pooled: Array) -> Array:
    found = np.empty(len(p))
    for start in range(0, len(p), _PART):
        part = p[start : start + _PART]
        found[start : start + _PART] = np.searchsorted(pooled, part, side="left") + np.searchsorted(pooled, part, side="right")
    found /= max(1, len(pooled))
    found -= 1
    return found


def _error(rows: _ModelRows, asked: _Asked) -> Measured:
    loss_a, loss_b = (_loss(y, p, rows.is_probability) for y, p in ((rows.y_a, rows.p_a), (rows.y_b, rows.p_b)))
    return _standardised(loss_a, loss_b, "log loss" if rows.is_probability else "squared error", rows, asked)


def _loss(y: Array, p: Array, is_probability: bool) -> Array:
    if not is_probability:
        return (y - p) ** 2
    sure = np.clip(p, _LEAST_SCORE, 1 - _LEAST_SCORE)
    return np.asarray(-np.log(np.where(y == 1, sure, 1 - sure)))


def _standardised(a: Array, b: Array, metric: str, rows: _ModelRows, asked: _Asked) -> Measured:
    test, g = welch(a, b, level=asked.level, **rows.units), hedges_g(a, b, level=asked.level, **rows.units)
    return Measured(tested=_named(_with_effect(test, g), f"Hedges g of {metric}"), null=0.0, margin=asked.margins.hedges_g)


def _with_effect(test: Tested, effect: Any) -> Tested:
    return replace(test, effect=effect, refused=test.refused or effect.refused)


def _named(test: Tested, metric: str) -> Tested:
    return replace(test, effect=replace(test.effect, metric=metric))


def _together(asked: _Asked) -> Examined:
    """Whether a classifier tells the rows apart by all columns, on held-out rows."""
    sample = asked.sample
    a, b = (np.column_stack(side[:_MOST_TERMS]) for side in (sample.a, sample.b))
    test = classifier_two_sample(
        a, b, unit_a=sample.unit_a, unit_b=sample.unit_b, max_rows=asked.max_rows, level=asked.level, seed=asked.seed
    )
    smaller = min(len(np.unique(unit)) if unit is not None else len(side) for side, unit in ((a, sample.unit_a), (b, sample.unit_b)))
    return Examined(column="", kind="together", measured=(Measured(tested=test, null=0.5, margin=asked.margins.auc),), n_units=smaller)
