"""How sure is a ratio of sums when rows of one unit move together?

The estimate is R = Σvalue / Σweight. Its spread comes from the G units only: with e_g = (value_g − R · weight_g) / Σweight summed over the
rows of unit g, the variance is G/(G−1) · Σ e_g², and the interval is R ± t(G−1) · SE.
Source: Cameron & Miller (2015), A practitioner's guide to cluster-robust inference, J. Human Resources 50(2); for ratios Cochran (1977),
Sampling techniques, ch. 6.

A share of yes and no takes Wilson's interval on the effective sample size instead, so that 0 % and 100 % keep their width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NoSpread, NotFinite, TooFewUnits, Undefined
from gonogo.types.evidence import Interval, UnitScores

if TYPE_CHECKING:
    from gonogo.types.evidence import Array, IntArray

_ROUNDING = 1e-12  # a spread below this share of the sums' own size is rounding, not spread


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitSums:
    """Rows added up by unit: all that a ratio of sums and its interval need. Sums of shards add."""

    value: Array  # (units,)
    weight: Array  # (units,)
    squared: float  # Σ of the squared row weights, for the effective number of rows
    size: float  # Σ |value|, against which rounding is told from spread
    n_rows: int
    is_share: bool  # every row's value is 0 or its whole weight: yes or no


def ratio_of_sums(scores: UnitScores, *, level: float = 0.95) -> Figure:
    """Σvalue / Σweight with an interval clustered on the unit.

    scores: (n,) unit codes ≥ 0, values and weights; level: the probability that the interval holds the truth.
    Raises TooFewUnits below 2 units with weight, Undefined without weight, NotFinite for NaN and negative weights, NoSpread where
    every unit gave the same (a share excepted, which has Wilson's width).

    >>> scores = UnitScores(np.array([7, 7, 8, 9]), np.array([1.0, 1, 0, 0]), np.ones(4))
    >>> ratio_of_sums(scores).n_units, ratio_of_sums(scores).value
    (3, 0.5)
    """
    return ratio_of_unit_sums(sums_by_unit(scores), level=level)


def paired_difference(ours: UnitScores, theirs: UnitScores, *, level: float = 0.95) -> Figure:
    """Σvalue/Σweight of ours minus that of theirs on the same rows, with an interval clustered on the unit.

    What moves both alike cancels within each unit. Raises as `ratio_of_sums`, and ValueError where the rows are not the same.

    >>> unit, ones = np.array([1, 1, 2, 3]), np.ones(4)
    >>> paired_difference(UnitScores(unit, np.array([1.0, 1, 0, 1]), ones), UnitScores(unit, np.zeros(4), ones)).value
    0.75
    """
    if not np.array_equal(ours.unit, theirs.unit):
        raise ValueError("the two scores are not of the same rows in the same order")
    n_units = _n_codes(ours.unit)
    return difference_of_unit_sums(sums_by_unit(ours, n_units=n_units), sums_by_unit(theirs, n_units=n_units), level=level)


def sums_by_unit(scores: UnitScores, *, n_units: int | None = None) -> UnitSums:
    """The scores added up by unit, in row order: the same bits on every run."""
    return sums_by_group(scores, np.zeros(len(scores.unit), dtype=np.int64), 1, n_units=n_units)[0]


def sums_by_group(scores: UnitScores, group: IntArray, n_groups: int, *, n_units: int | None = None) -> tuple[UnitSums, ...]:
    """The scores added up by unit within each of n_groups groups of rows, in one pass. group: (n,) codes 0 … n_groups − 1."""
    unit, value, weight = _checked(scores)
    n_units = _n_codes(unit) if n_units is None else n_units
    cell = group * n_units + unit
    shape = (n_groups, n_units)
    values = np.bincount(cell, weights=value, minlength=n_groups * n_units).reshape(shape)
    weights = np.bincount(cell, weights=weight, minlength=n_groups * n_units).reshape(shape)
    squared = np.bincount(group, weights=weight * weight, minlength=n_groups)
    size = np.bincount(group, weights=np.abs(value), minlength=n_groups)
    rows = np.bincount(group, minlength=n_groups)
    torn = np.bincount(group[(value != 0) & (value != weight)], minlength=n_groups)
    return tuple(
        UnitSums(
            value=values[g],
            weight=weights[g],
            squared=float(squared[g]),
            size=float(size[g]),
            n_rows=int(rows[g]),
            is_share=int(torn[g]) == 0,
        )
        for g in range(n_groups)
    )


def ratio_of_unit_sums(sums: UnitSums, *, level: float = 0.95) -> Figure:
    """`ratio_of_sums` of rows that were added up before."""
    ratio, errors = _ratio(sums)
    n_units = _n_units(sums.weight > 0)
    standard_error = _standard_error(errors, n_units)
    if sums.is_share:
        interval = wilson(ratio, standard_error, n_units=n_units, n_effective=_effective_rows(sums), level=level)
    else:
        _refuse_rounding(standard_error, sums.size / float(sums.weight.sum()), "figure")
        interval = _t_interval(ratio, standard_error, n_units, level)
    return Figure(value=ratio, interval=interval, n_units=n_units, n_rows=sums.n_rows)


def difference_of_unit_sums(ours: UnitSums, theirs: UnitSums, *, level: float = 0.95) -> Figure:
    """`paired_difference` of rows that were added up before, with the same unit codes."""
    our_ratio, our_errors = _ratio(ours)
    their_ratio, their_errors = _ratio(theirs)
    n_units = _n_units((ours.weight > 0) | (theirs.weight > 0))
    standard_error = _standard_error(our_errors - their_errors, n_units)
    size = ours.size / float(ours.weight.sum()) + theirs.size / float(theirs.weight.sum())
    _refuse_rounding(standard_error, size, "difference")
    difference = our_ratio - their_ratio
    return Figure(value=difference, interval=_t_interval(difference, standard_error, n_units, level), n_units=n_units, n_rows=ours.n_rows)


def merged(left: UnitSums, right: UnitSums) -> UnitSums:
    """The sums of two shards with the same unit codes."""
    return replace(
        left,
        value=left.value + right.value,
        weight=left.weight + right.weight,
        squared=left.squared + right.squared,
        size=left.size + right.size,
        n_rows=left.n_rows + right.n_rows,
        is_share=left.is_share and right.is_share,
    )


def wilson(share: float, standard_error: float, *, n_units: int, n_effective: float, level: float = 0.95) -> Interval:
    """Wilson's interval of a share in [0, 1], on the effective sample size and with t(G−1); never of no width.

    standard_error: clustered, from which the effective size follows: share · (1 − share) / SE², at most n_effective rows. Where it is 0
    (nothing or everything was a yes) nothing is known of the clustering, and each unit counts once.
    Source: Wilson (1927), JASA 22; effective size: Korn & Graubard (1998), Survey Methodology 24.
    """
    if n_units < 2:
        raise TooFewUnits(f"{n_units} unit with weight: two are needed to see any spread")
    t = t_quantile((1 + level) / 2, n_units - 1)
    variance = share * (1 - share)
    spread = standard_error * standard_error
    n = min(variance / spread, n_effective) if spread > _ROUNDING * variance / n_effective and variance > 0 else float(n_units)
    centre = (share + t * t / (2 * n)) / (1 + t * t / n)
    half = t / (1 + t * t / n) * math.sqrt(variance / n + t * t / (4 * n * n))
    return Interval(
        low=max(0.0, min(centre - half, share)),
        high=min(1.0, max(centre + half, share)),
        level=level,
        method="Wilson on the effective sample size, t(G-1)",
    )


def _ratio(sums: UnitSums) -> tuple[float, Array]:
    """R, and each unit's share in its error."""
    total = float(sums.weight.sum())
    if total <= 0:
        raise Undefined("no row has weight: the figure does not exist here")
    ratio = float(sums.value.sum()) / total
    return ratio, (sums.value - ratio * sums.weight) / total


def _n_units(seen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> int:
    n_units = int(seen.sum())
    if n_units < 2:
        raise TooFewUnits(f"{n_units} unit with weight: two are needed to see any spread")
    return n_units


def _standard_error(errors: Array, n_units: int) -> float:
    return math.sqrt(n_units / (n_units - 1) * float(np.sum(errors * errors)))


def _refuse_rounding(standard_error: float, size: float, what: str) -> None:
    if standard_error <= _ROUNDING * size:
        raise NoSpread(f"every unit gave the same {what}: how far the truth may be is unknown")


def _t_interval(value: float, standard_error: float, n_units: int, level: float) -> Interval:
    half = t_quantile((1 + level) / 2, n_units - 1) * standard_error
    return Interval(low=value - half, high=value + half, level=level, method="cluster-robust t(G-1)")


def _effective_rows(sums: UnitSums) -> float:
    """Kish's effective number of rows; the number of rows where all weigh alike."""
    return float(sums.weight.sum()) ** 2 / sums.squared


def _n_codes(unit: IntArray) -> int:
    return int(unit.max(initial=-1)) + 1


def _checked(scores: UnitScores) -> tuple[IntArray, Array, Array]:
    unit, value, weight = np.asarray(scores.unit), np.asarray(scores.value, dtype=np.float64), np.asarray(scores.weight, dtype=np.float64)
    if not unit.shape == value.shape == weight.shape or unit.ndim != 1:
        raise ValueError(f"unit {unit.shape}, value {value.shape} and weight {weight.shape} are not the same rows")
    if unit.size and (unit.dtype.kind not in "iu" or unit.min() < 0):
        raise ValueError("unit codes are whole numbers from 0 on")
    if not (np.isfinite(value).all() and np.isfinite(weight).all()) or (weight < 0).any():
        raise NotFinite("a score or a weight is NaN, infinite or negative")
    return unit.astype(np.int64, copy=False), value, weight
