"""Does a probability mean what it says, bin by bin?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.clustered import wilson
from gonogo.stats.estimates import Rows, rows_of
from gonogo.stats.gaps import sums_of_units
from gonogo.stats.miscalibration import require_bins
from gonogo.stats.probabilities import told
from gonogo.stats.refusals import Refused, Undefined
from gonogo.stats.score_bins import equal_mass_bins

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, IntArray, Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Rows of about the same probability: what was said, and what came true."""

    said: float  # mean probability
    came_true: float  # share of positives
    interval: Interval | None  # of came_true, clustered on the unit; None where the bin holds one unit
    n_rows: int
    n_units: int
    share: float  # of all weight


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability:
    """The points of a reliability diagram, each with its band, or why there are none."""

    bins: tuple[Bin, ...]  # by rising probability
    n_rows: int
    n_units: int
    refused: str = ""


def reliability(
    y: ArrayLike,
    score: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    n_bins: int = 15,
) -> Reliability:
    """What was said against what came true in bins of equally many rows, each with Wilson's interval on the effective sample size.

    A band is one bin's own: of 15 bins of a perfect model about one misses the diagonal now and then (`calibration_test` is the test).
    A bin of one unit has no band. `seed` has no effect. Refused: NaN, a score outside [0, 1], no row with weight.

    >>> p = np.random.default_rng(0).uniform(size=3000)
    >>> found = reliability(np.random.default_rng(1).uniform(size=3000) < p, p, n_bins=3)
    >>> [round(one.said, 1) for one in found.bins], found.bins[0].n_rows
    ([0.2, 0.5, 0.8], 1000)
    """
    require_bins(n_bins)
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    try:
        seen = told(rows)
        if seen.n == 0:
            raise Undefined("no row has weight: nothing was said here")
    except Refused as refused:
        return Reliability(bins=(), n_rows=rows.n, n_units=rows.n_units, refused=str(refused))
    return Reliability(bins=_bins(seen, equal_mass_bins(seen.score, n_bins), level), n_rows=rows.n, n_units=seen.n_units)


def reliability_bins(y: Array, p: Array, unit: IntArray, *, n_bins: int = 15, level: float = 0.95) -> tuple[Bin, ...]:
    """The bins of `reliability`, unweighted. Raises NotFinite and Undefined where that refuses, ValueError for other rows."""
    rows = told(rows_of(y, p, weight=None, unit=unit, level=level))
    return _bins(rows, equal_mass_bins(rows.score, n_bins), level) if rows.n else ()


def _bins(rows: Rows, bins: IntArray, level: float) -> tuple[Bin, ...]:
    weight = rows.weights
    n_rows, mass = np.bincount(bins), np.bincount(bins, weights=weight)
    said = np.bincount(bins, weights=weight * rows.score) / mass
    came_true = np.bincount(bins, weights=weight * rows.y) / mass
    effective = mass**2 / np.bincount(bins, weights=weight * weight)
    errors, n_units = _squared_errors(rows, bins, came_true)
    error = np.sqrt(n_units / np.maximum(n_units - 1, 1) * errors) / mass
    return tuple(
        Bin(
            said=float(said[b]),
            came_true=float(came_true[b]),
            interval=_band(float(came_true[b]), float(error[b]), int(n_units[b]), float(effective[b]), level),
            n_rows=int(n_rows[b]),
            n_units=int(n_units[b]),
            share=float(mass[b] / mass.sum()),
        )
        for b in range(len(mass))
    )


def _squared_errors(rows: Rows, bins: IntArray, came_true: Array) -> tuple[Array, IntArray]:
    """Bin by bin, the squared sums by unit of weight · (y − share), and how many units."""
    if rows.unit is None:
        error = rows.weights * (rows.y - came_true[bins])
        return np.bincount(bins, weights=error * error).astype(np.float64), np.bincount(bins).astype(np.int64)
    squares, n_units = np.zeros(len(came_true)), np.zeros(len(came_true), dtype=np.int64)
    for positives, mass in sums_of_units(rows, bins, len(came_true), rows.weights * rows.y, rows.weights):
        squares += np.sum((positives - came_true * mass) ** 2, axis=0)
        n_units += (mass > 0).sum(axis=0)
    return squares, n_units


def _band(share: float, error: float, n_units: int, effective: float, level: float) -> Interval | None:
    """None for one unit: the point is drawn without a whisker."""
    return wilson(share, error, n_units=n_units, n_effective=effective, level=level) if n_units > 1 else None
