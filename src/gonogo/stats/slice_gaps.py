"""How far apart are the slices of a column, and is that more than chance?

The largest gap of many slices is large by chance alone: the more slices, the larger. Its interval is therefore made of the intervals of all
pairs at once (Bonferroni): the truth lies below the greatest upper end and above the greatest lower end whenever every pair's interval
holds. Slices that share units (a day that has rows of two airports) move together, and their covariance is taken from those units.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.stats.distributions import t_quantile, t_tail
from gonogo.stats.estimates import Rows, estimated, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.linearised import Compared, Model, Options, Swayed, compared, options_of
from gonogo.stats.multiplicity import holm
from gonogo.stats.refusals import NoSpread, Refused, TooFewUnits, Undefined
from gonogo.stats.slice_columns import Cut, cut_columns
from gonogo.types.evidence import Estimate, Interval, Of, Tested

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.stats.linearised import RowLoss
    from gonogo.types.evidence import Array

_ROUNDING = 1e-12  # a spread below this share of the figure's size is rounding, not spread


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """How far the slices of one column lie apart."""

    largest: Estimate  # highest minus lowest slice; its slice says which: "origin=JFK against origin=EWR"
    slices: tuple[Estimate, ...]  # each slice's own figure
    to_rest: tuple[Tested, ...]  # each slice against all other rows; p-values by Holm, intervals all at once

    def __str__(self) -> str:
        return "\n".join(str(one) for one in (self.largest, *self.slices))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """A figure on some of the rows, with each unit's share in its error."""

    label: str
    value: float
    squares: float  # Σ e² over units
    errors: Array | None  # (n_units,); None where each row is a unit of its own, for slices then share none
    n_units: int  # with weight in these rows
    n_rows: int


def gap(
    y: ArrayLike,
    score: ArrayLike,
    column: ArrayLike,
    *,
    metric: str | RowLoss = "roc_auc",
    name: str = "slice",
    bins: int = 5,
    min_units: int = 30,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    **options: float,
) -> Gap:
    """The largest gap of a metric between slices of a column, with an interval that allows for having looked at all of them.

    metric: any figure of `compare`: "roc_auc", "recall" (equal opportunity), "false_positive_rate", …, or a function (y, score) → loss by
    row; options: that figure's own, e.g. threshold=0.5. column: (n,) values, cut as in `by_slice`; name: what the slices are called.
    A slice of fewer than min_units units, of too few rows of a class or without any spread is refused and left out of the gap; the gap is
    refused where fewer than two slices are left. Each slice is also tested against all other rows. `seed` has no effect.
    Source: simultaneous intervals by Bonferroni, as Dunn (1961), JASA 56; p-values by Holm (1979).

    >>> rng = np.random.default_rng(0)
    >>> p, place = rng.uniform(size=4000), rng.integers(0, 4, 4000)
    >>> found = gap(rng.uniform(size=4000) < p, p, place, name="place")
    >>> found.largest.interval.low <= found.largest.value <= found.largest.interval.high
    True
    """
    figure = compared(metric)
    (chosen,) = options_of([figure], options)
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    (cut,) = cut_columns({name: column}, rows.n, bins=bins)
    parts = [_part_or_refusal(rows, figure, chosen, label, cut.code == code, min_units) for code, label in enumerate(cut.labels)]
    known = [part for part in parts if isinstance(part, _Part)]
    slices = tuple(_own(figure, rows, cut, code, part, level) for code, part in enumerate(parts))
    return Gap(
        largest=_largest(figure, rows, known, len(parts), level),
        slices=slices,
        to_rest=_to_rest(figure, chosen, rows, cut, known, level, min_units),
    )


def _part_or_refusal(
    rows: Rows, figure: Compared, options: Options, label: str, here: NDArray[np.bool_], min_units: int
) -> _Part | Refused:
    try:
        return _part(rows, figure, options, label, here, min_units)
    except Refused as refused:
        return refused


def _part(rows: Rows, figure: Compared, options: Options, label: str, here: NDArray[np.bool_], min_units: int) -> _Part:
    """The figure of those rows. Raises Refused where it cannot be given, or where it has no spread of its own."""
    some = replace(
        rows,
        y=rows.y[here],
        score=rows.score[here],
        weight=None if rows.weight is None else rows.weight[here],
        unit=None if rows.unit is None else rows.unit[here],
    )
    n_units = _units_with_weight(some)
    if n_units < max(min_units, 2):
        raise TooFewUnits(f"{n_units:,} units of {max(min_units, 2):,} asked")
    figure.check(some)
    swayed: Swayed = figure.of(Model(some), options)
    by_unit = None if some.unit is None else np.bincount(some.unit, weights=swayed.influence, minlength=rows.n_units).astype(np.float64)
    squares = float(np.sum(np.square(swayed.influence if by_unit is None else by_unit)))
    if math.sqrt(squares) <= _ROUNDING * max(abs(swayed.value), 1e-3):
        raise NoSpread("every unit gave the same: how far the truth may be is unknown")
    return _Part(label=label, value=swayed.value, squares=squares, errors=by_unit, n_units=n_units, n_rows=some.n)


def _units_with_weight(some: Rows) -> int:
    there = np.ones(some.n, dtype=np.bool_) if some.weight is None else some.weight > 0
    return int(there.sum()) if some.unit is None else int(np.count_nonzero(np.bincount(some.unit[there], minlength=1)))


def _own(figure: Compared, rows: Rows, cut: Cut, code: int, part: _Part | Refused, level: float) -> Estimate:
    def given() -> Figure:
        if isinstance(part, Refused):
            raise part
        half = t_quantile((1 + level) / 2, part.n_units - 1) * _error(part)
        interval = Interval(low=part.value - half, high=part.value + half, level=level, method="influence by unit, t(G-1)")
        return Figure(value=part.value, interval=interval, n_units=part.n_units, n_rows=part.n_rows)

    n_rows = int(np.count_nonzero(cut.code == code))
    return _estimated(figure, given, n_rows=n_rows, n_units=n_rows if rows.unit is None else 0, of=Of.CHALLENGER, slice=cut.labels[code])


def _largest(figure: Compared, rows: Rows, known: list[_Part], n_slices: int, level: float) -> Estimate:
    highest, lowest = (max(known, key=lambda p: p.value), min(known, key=lambda p: p.value)) if known else (None, None)

    def given() -> Figure:
        if len(known) < 2 or highest is None or lowest is None:
            raise Undefined(f"{len(known)} of {n_slices} slices could be measured: a gap needs two")
        pairs = list(itertools.combinations(known, 2))
        t = partial(t_quantile, 1 - (1 - level) / 2 / len(pairs))
        widths = [(abs(a.value - b.value), t(min(a.n_units, b.n_units) - 1) * _error(a, b)) for a, b in pairs]
        interval = Interval(
            low=max(0.0, *(apart - half for apart, half in widths)),
            high=max(apart + half for apart, half in widths),
            level=level,
            method=f"all {len(pairs)} pairs at once, Bonferroni, t by unit",
        )
        n_rows = sum(part.n_rows for part in known)
        return Figure(value=highest.value - lowest.value, interval=interval, n_units=rows.n_units, n_rows=n_rows)

    against = f"{highest.label} against {lowest.label}" if highest and lowest and highest is not lowest else ""
    return _estimated(figure, given, n_rows=rows.n, n_units=rows.n_units, of=Of.DIFFERENCE, slice=against)


def _to_rest(
    figure: Compared, options: Options, rows: Rows, cut: Cut, known: list[_Part], level: float, min_units: int
) -> tuple[Tested, ...]:
    """Each slice that has a figure, against all other rows."""
    pairs = []
    for part in known:
        others = cut.code != cut.labels.index(part.label)
        pairs.append((part, _part_or_refusal(rows, figure, options, "", others, min_units)))
    if not pairs:
        return ()
    adjusted = holm([_p_value(part, rest) if isinstance(rest, _Part) else None for part, rest in pairs])
    return tuple(
        _tested(figure, part, rest, float(p), 1 - (1 - level) / len(pairs)) for (part, rest), p in zip(pairs, adjusted, strict=True)
    )


def _tested(figure: Compared, part: _Part, rest: _Part | Refused, p_value: float, level: float) -> Tested:
    def given() -> Figure:
        if isinstance(rest, Refused):
            raise rest
        half = t_quantile((1 + level) / 2, _df(part, rest)) * _error(part, rest)
        apart = part.value - rest.value
        interval = Interval(
            low=apart - half, high=apart + half, level=level, method="influence by unit, t, all slices at once (Bonferroni)"
        )
        return Figure(value=apart, interval=interval, n_units=part.n_units, n_rows=part.n_rows)

    effect = _estimated(figure, given, n_rows=part.n_rows, n_units=part.n_units, of=Of.DIFFERENCE, slice=f"{part.label} against the rest")
    return Tested(
        test="t of a slice against the rest, Holm",
        null=f"{figure.name} of {part.label} is that of all other rows",
        statistic=None if isinstance(rest, Refused) else (part.value - rest.value) / _error(part, rest),
        p_value=None if isinstance(rest, Refused) else p_value,
        effect=effect,
        n_units=part.n_units,
        n_rows=part.n_rows,
        refused=effect.refused,
    )


def _p_value(part: _Part, rest: _Part) -> float:
    return min(1.0, 2 * t_tail(abs(part.value - rest.value) / _error(part, rest), _df(part, rest)))


def _df(part: _Part, rest: _Part) -> float:
    """What the smaller side allows: where 30 units face 3,000, the spread is known as well as 30 units know it."""
    return float(min(part.n_units, rest.n_units) - 1)


def _error(*parts: _Part) -> float:
    """The standard error of one part, or of the difference of two; what a unit does to both at once cancels."""
    squares = sum(part.squares for part in parts)
    if len(parts) == 2 and parts[0].errors is not None and parts[1].errors is not None:
        squares = float(np.sum(np.square(parts[0].errors - parts[1].errors)))
    n_units = min(part.n_units for part in parts)
    return math.sqrt(n_units / (n_units - 1) * squares)


def _estimated(figure: Compared, given: Any, **facts: Any) -> Estimate:
    return estimated(figure.name, given, better=figure.better, measured_in=figure.measured_in, **facts)
