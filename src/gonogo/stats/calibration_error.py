"""What is the calibration error under one weighting of the rows? For who draws weights by unit himself.

p: (n,) probabilities; y: (n,) 0 or 1; unit: (n,) codes of the independent unit; weight: (n,) ≥ 0, None for ones.

Bins hold about equally many rows; equal probabilities stay in one bin. The plug-in calibration error (ECE) of a perfectly calibrated model
is never 0: noise in the bins adds up, and resampling adds it once more, so that its bootstrap interval does not hold the true 0. The
debiased error takes that noise away before it is averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.refusals import NotFinite
from gonogo.stats.score_bins import equal_mass_bins

if TYPE_CHECKING:
    from gonogo.types.evidence import Array, IntArray

LEAST_UNITS = 4  # in a bin, from which on the spread between units is seen; with 2 an interval's upper end missed 1 truth in 5


def plug_in_calibration_error(y: Array, p: Array, weight: Array | None = None, *, n_bins: int = 15) -> float | None:
    """Σ over bins of the bin's share of weight · |share of positives − mean probability|: the ℓ1 plug-in ECE, biased upwards.

    What other libraries call ECE, for comparison; it has no honest interval. Source: Naeini, Cooper & Hauskrecht (2015),
    AAAI. None without weight.

    >>> plug_in_calibration_error(np.array([0.0, 1.0]), np.array([0.25, 0.75]), n_bins=2)
    0.25
    """
    y, p = _checked(y, p)
    bins = equal_mass_bins(p, n_bins)
    weight = np.ones(len(p)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not weight.sum() > 0:
        return None
    return float(np.sum(np.abs(np.bincount(bins, weights=weight * (y - p)))) / weight.sum())


def calibration_error(y: Array, p: Array, unit: IntArray, weight: Array | None = None, *, n_bins: int = 15) -> float | None:
    """Root of the mean squared gap between said and came true over equal-mass bins, the bins' noise taken away; 0 where noise explains it.

    Σ_b share_b (gap_b² − variance_b), where variance_b is clustered on the unit; in the unit of a probability. None without weight.
    Where the probability follows the unit a bin may hold few units, and all of its gap would pass for noise: then the bins are fewer.
    With resampling weights variance_b counts both the sample's noise and the resampling's, so that draws centre on the estimate.
    Source: Kumar, Liang & Ma (2019), Verified uncertainty calibration, NeurIPS; the clustered variance as in `clustered`.
    """
    return prepare_calibration_error(y, p, unit, n_bins=n_bins)(np.ones(len(np.asarray(p))) if weight is None else weight)


def prepare_calibration_error(y: Array, p: Array, unit: IntArray, *, n_bins: int = 15) -> Callable[[Array], float | None]:
    """`calibration_error` of those rows as a function of their weights; bins once."""
    y, p = _checked(y, p)
    _, codes = np.unique(np.asarray(unit), return_inverse=True)
    bins = _bins_of_many_units(p, codes, n_bins)
    cells = _cells_of(codes, bins)
    gap = y - p

    def figure(weight: Array) -> float | None:
        return _debiased(cells, cells.add(weight * gap), cells.add(weight))

    return figure


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cells:
    """The pairs of unit and bin that have rows: at most as many as rows, where a table of all pairs would be units × bins."""

    of_row: IntArray | None  # (n,) which pair each row is of; None where each row is a pair of its own, in order
    bin: IntArray  # (pairs,)
    n_bins: int

    def add(self, value: Array) -> Array:
        """(pairs,) sums over rows."""
        return value if self.of_row is None else np.bincount(self.of_row, weights=value, minlength=len(self.bin)).astype(np.float64)

    def by_bin(self, value: Array) -> Array:
        """(bins,) sums over pairs."""
        return np.bincount(self.bin, weights=value, minlength=self.n_bins).astype(np.float64)


def _cells_of(unit: IntArray, bins: IntArray) -> _Cells:
    n_bins = int(bins.max(initial=-1)) + 1
    if int(unit.max(initial=-1)) + 1 == len(unit):
        return _Cells(of_row=None, bin=bins, n_bins=n_bins)
    pairs, of_row = np.unique(unit * n_bins + bins, return_inverse=True)
    return _Cells(of_row=of_row.astype(np.int64, copy=False), bin=pairs % n_bins, n_bins=n_bins)


def _bins_of_many_units(p: Array, unit: IntArray, n_bins: int) -> IntArray:
    """The finest equal-mass bins, n_bins at most, of which each holds LEAST_UNITS; one bin where there are fewer units than that."""
    for n in range(n_bins, 1, -1):
        bins = equal_mass_bins(p, n)
        pairs = np.unique(bins * (int(unit.max(initial=0)) + 1) + unit)
        if len(pairs) == 0 or np.bincount(pairs // (int(unit.max()) + 1)).min() >= LEAST_UNITS:
            return bins
    return np.zeros(len(p), dtype=np.int64)


def _debiased(cells: _Cells, gaps: Array, mass: Array) -> float | None:
    """gaps, mass: (pairs,) sums of weight · (y − p) and of weight."""
    by_bin = cells.by_bin(mass)
    held = by_bin > 0
    if not held.any():
        return None
    whole = np.where(held, by_bin, 1.0)
    gap = cells.by_bin(gaps) / whole
    errors = (gaps - gap[cells.bin] * mass) / whole[cells.bin]
    n_units = cells.by_bin((mass > 0).astype(np.float64))
    # One unit alone shows no spread; all of its gap may be noise.
    inflation = np.where(n_units > 1, n_units / np.maximum(n_units - 1, 1), 0.0)
    variance = np.where(n_units > 1, inflation * cells.by_bin(errors * errors), gap * gap)
    return float(np.sqrt(max(0.0, float(np.sum(by_bin * (gap * gap - variance)) / by_bin.sum()))))


def _checked(y: Array, p: Array) -> tuple[Array, Array]:
    y, p = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if y.shape != p.shape or y.ndim != 1:
        raise ValueError(f"outcomes {y.shape} and probabilities {p.shape} are not the same rows")
    if not (np.isfinite(p).all() and np.isin(y, (0, 1)).all()):
        raise NotFinite("a probability is NaN or infinite, or an outcome is neither 0 nor 1")
    return y, p
