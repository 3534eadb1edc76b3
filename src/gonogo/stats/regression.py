"""How far are predicted numbers from what came true, and how sure is that?

    y       (n,) what came true, finite; rows of weight 0 are not there
    score   (n,) what was predicted, finite, in the same unit

All are means over rows or functions of a few sums; their intervals come from sums by unit, on the scale where the figure is least skewed.
They are closed forms: `seed` has no effect. Refused: NaN and infinities, fewer than 2 units, and errors that are all the same or all 0,
of which the spread is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.clustered import ratio_of_sums
from gonogo.stats.estimates import as_floats, estimated, require_weights, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.influence import LOG, Scale, interval_of_influence
from gonogo.stats.refusals import NoSpread, NotFinite, Undefined
from gonogo.types.evidence import UnitScores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.stats.estimates import Rows
    from gonogo.types.evidence import Array, Estimate

_ROUNDING = 1e-12  # an error below this share of the numbers' own size is rounding


def root_mean_squared_error(
    y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Estimate:
    """√(Σw(y − score)² / Σw), in the unit of y; a few large errors decide it. The interval is that of log MSE, halved.

    >>> print(root_mean_squared_error([1, 2, 3, 4], [1.5, 2, 2, 6]))
    root_mean_squared_error 1.146 [0.3752, 3.498], delta method by unit on the log scale, t, 4 units
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return _estimate("root_mean_squared_error", rows, lambda: _root_mean_square(rows, level))


def mean_absolute_error(
    y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Σw|y − score| / Σw, in the unit of y; every unit of error counts alike.

    >>> mean_absolute_error([1, 2, 3, 4], [1.5, 2, 2, 6]).value
    0.875
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return _estimate("mean_absolute_error", rows, lambda: _mean_error(rows, np.abs(_from_truth(rows)), level))


def mean_absolute_percentage_error(
    y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Mean of |y − score| / |y|, as a share: 0.1 is 10 %. Too much counts for more than too little, so forecasts judged by it come out low.

    Refuses outcomes of 0, of which no percentage exists (scikit-learn gives 10¹⁵ there), and says how many there are. Where they are many,
    Σ|y − score| / Σ|y|, the mean absolute error over the mean, is the better question.

    >>> mean_absolute_percentage_error([1, 2, 4], [1.5, 2, 3]).value
    0.25
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)

    def figure() -> Figure:
        off = np.abs(_from_truth(rows))
        nothing = int(np.count_nonzero((rows.y == 0) & (rows.weights > 0)))
        if nothing:
            raise Undefined(f"{nothing:,} of {rows.n:,} outcomes are 0: no error is a percentage of nothing")
        return _mean_error(rows, off / np.abs(np.where(rows.y == 0, 1.0, rows.y)), level)

    return _estimate("mean_absolute_percentage_error", rows, figure)


def quantile_loss(
    y: ArrayLike,
    score: ArrayLike,
    *,
    q: float = 0.5,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Mean of q · (y − score) where the outcome lies above, (1 − q) · (score − y) where below: least for the q-quantile.

    0 < q < 1; at 0.5 it is half the mean absolute error. Source: Koenker & Bassett (1978), Econometrica 46.

    >>> round(quantile_loss([1, 2, 3], [2, 2, 2], q=0.9).value, 4)
    0.3333
    """
    if not 0 < q < 1:
        raise ValueError(f"q is {q}: a quantile lies between 0 and 1, e.g. 0.9")
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)

    def figure() -> Figure:
        off = _from_truth(rows)
        return _mean_error(rows, np.where(off > 0, q * off, (q - 1) * off), level)

    return _estimate("quantile_loss", rows, figure)


def r_squared(
    y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Estimate:
    """1 − Σw(y − score)² / Σw(y − ȳ)²: the share of the outcome's variance that is explained; below 0 where ȳ would predict better.

    The interval is that of log(1 − R²), so that it never passes 1. Refuses outcomes that are all the same.

    >>> r_squared([1, 2, 3, 4], [1.5, 2, 2, 4]).value
    0.75
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return _estimate("r_squared", rows, lambda: _explained(rows, level), better="higher")


def interval_coverage(
    y: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The share of outcomes within their predicted intervals, ends included, with Wilson's interval by unit.

    low, high: (n,) the ends of each row's interval; an open end is infinite. Compare the share with what was promised, 0.9 for a 90 %
    interval: more is as wrong as less, and `better` is therefore neither. Refuses NaN, and intervals whose ends are crossed.

    >>> interval_coverage([1, 2, 3, 9], [0, 0, 0, 0], [4, 4, 4, 4]).value
    0.75
    """
    rows = rows_of(y, low, weight=weight, unit=unit, level=level)
    upper = as_floats(high, "high")
    if len(upper) != rows.n:
        raise ValueError(f"{len(upper):,} upper ends for {rows.n:,} rows")

    def figure() -> Figure:
        require_weights(rows.weight)
        if not np.isfinite(rows.y).all() or np.isnan(rows.score).any() or np.isnan(upper).any():
            raise NotFinite("an outcome is NaN or infinite, or an end is NaN")
        crossed = int(np.count_nonzero(rows.score > upper))
        if crossed:
            raise Undefined(f"{crossed:,} intervals have their low end above their high one")
        within = (rows.score <= rows.y) & (rows.y <= upper)
        return ratio_of_sums(UnitScores(rows.units, within * rows.weights, rows.weights), level=level)

    return _estimate("interval_coverage", rows, figure, better="")


def _estimate(metric: str, rows: Rows, figure: Callable[[], Figure], *, better: str = "lower") -> Estimate:
    return estimated(metric, figure, n_rows=rows.n, n_units=rows.n_units, better=better)


def _from_truth(rows: Rows) -> Array:
    """(n,) y − score. Raises NotFinite where one of them is no finite number."""
    require_weights(rows.weight)
    for values, name in ((rows.y, "an outcome"), (rows.score, "a prediction")):
        if not np.isfinite(values).all():
            raise NotFinite(f"{name} is NaN or infinite")
    off = rows.y - rows.score
    return np.where(np.abs(off) <= _ROUNDING * np.abs(rows.y), 0.0, off)


def _root_mean_square(rows: Rows, level: float) -> Figure:
    """The root of the mean squared error and of its interval's ends, in the unit of the largest, whose square overflows nothing."""
    off = np.where(rows.weights > 0, np.abs(_from_truth(rows)), 0.0)
    unit = float(off.max(initial=0.0)) or 1.0
    mean = _mean_error(rows, (off / unit) ** 2, level)
    low, high = unit * math.sqrt(mean.interval.low), unit * math.sqrt(mean.interval.high)
    return replace(mean, value=unit * math.sqrt(mean.value), interval=replace(mean.interval, low=low, high=high))


def _mean_error(rows: Rows, error: Array, level: float) -> Figure:
    """Σw·error / Σw of errors ≥ 0, on the log scale: they are skewed to the right, and a mean of them lies above 0."""
    weight = rows.weights
    total = float(weight.sum())
    if total <= 0:
        raise Undefined("no row has weight: the figure does not exist")
    value = float(np.sum(weight / total * error))
    if value <= 0:
        raise NoSpread("every prediction is exact: how far the truth may be is unknown")
    # Of the mean: whether y is in metres or in light years, the same intervals are made.
    found = _by_unit(rows, 1.0, weight / total * (error / value - 1), level, LOG)
    interval = replace(found.interval, low=value * found.interval.low, high=value * found.interval.high)
    return replace(found, value=value, interval=interval)


def _explained(rows: Rows, level: float) -> Figure:
    off, weight = _from_truth(rows), rows.weights
    total = float(weight.sum())
    if total <= 0:
        raise Undefined("no row has weight: the figure does not exist")
    weight = weight / total
    y, off = (np.where(weight > 0, one, 0.0) for one in (rows.y, off))
    unit = max(float(np.abs(y).max()), float(np.abs(off).max())) or 1.0  # in it no square overflows or vanishes
    y, off = y / unit, off / unit
    spread = y - float(np.sum(weight * y))
    left, whole = float(np.sum(weight * off * off)), float(np.sum(weight * spread * spread))
    if whole <= (_ROUNDING * float(np.sum(weight * np.abs(y)))) ** 2:
        raise Undefined("all outcomes are the same: there is no variance to explain")
    if left <= 0:
        raise NoSpread("every prediction is exact: how far the truth may be is unknown")
    value = 1 - left / whole
    # d log(1 − R²) = d log left − d log whole; the mean's own error moves `whole` only in second order.
    influence = -(1 - value) * weight * (off * off / left - spread * spread / whole)
    return _by_unit(rows, value, influence, level, _UNEXPLAINED)


_UNEXPLAINED = Scale(
    words=" on the scale of log(1 − R²)",
    there=lambda value: -math.log(1 - value),
    back=lambda scaled: 1 - math.exp(-scaled),
    slope=lambda value: 1 / (1 - value),
    low=-math.inf,
    high=1.0,
)


def _by_unit(rows: Rows, value: float, influence: Array, level: float, scale: Scale) -> Figure:
    errors = influence
    if rows.unit is not None:
        errors = np.bincount(rows.unit, weights=influence, minlength=rows.n_units).astype(np.float64)
    n_units = rows.n_units
    if rows.weight is not None:
        seen = rows.weight > 0
        n_units = int(seen.sum()) if rows.unit is None else len(np.unique(rows.unit[seen]))
    interval = interval_of_influence(value, errors, n_units, level=level, scale=scale, source="delta method")
    return Figure(value=value, interval=interval, n_units=n_units, n_rows=rows.n)
