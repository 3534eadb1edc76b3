"""How far are several noisy means from zero, all together, once their noise is taken away?

Bins of rows have a gap each (said and came true, or a bin and the whole). Their mean square θ² = Σ shareₖ gapₖ² is what a calibration
error and a resolution are made of. Noise adds Σ shareₖ varianceₖ to what is seen: taken away, the estimate is unbiased. It is 0 where noise
explains all.

The interval asks which θ could have shown such a Q = Σ shareₖ gapₖ²: Q is drawn for the likeliest gaps of the size θ, with the noise that
was seen, and θ belongs to the interval while Q lies between the 2.5 % and the 97.5 % quantile of what it draws. A resample of the rows,
instead, adds the noise a second time and never holds a true 0.
Source: Kumar, Liang & Ma (2019), Verified uncertainty calibration, NeurIPS (the debiasing); Sun, Chaudhari, Barnett & Dobriban (2024), A
confidence interval for the ℓ2 expected calibration error; the inversion of a noncentral χ² goes back to Venables (1975), JRSS B 37.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from gonogo.stats.estimates import Rows
    from gonogo.types.evidence import Array, IntArray

DRAWS = 4000  # of the noise, each counted with either sign; the 2.5 % tail is then known to a share of 0.002
_NO_SPREAD = 1e-30  # a variance below is rounding: all units of a bin gave the same
_CELLS = 1 << 22  # of units × bins that are added up at once: 32 MB, whatever the number of units


@dataclass(frozen=True, kw_only=True, slots=True)
class Gaps:
    """Means that would be 0 if nothing was wrong, and how they err together."""

    gap: Array  # (k,)
    share: Array  # (k,) of the weight; sums to 1
    covariance: Array  # (k, k) of the gaps' errors
    n_units: int

    @property
    def seen(self) -> float:
        """Q = Σ share · gap², noise and all."""
        return float(np.sum(self.share * self.gap**2))

    @property
    def noise(self) -> float:
        """What noise adds to Q on average: Σ share · variance."""
        return float(np.sum(self.share * np.diag(self.covariance)))

    @property
    def mean_square(self) -> float:
        """θ², unbiased until it is cut at 0."""
        return max(0.0, self.seen - self.noise)


def gaps_from_zero(rows: Rows, value: Array, bins: IntArray) -> Gaps:
    """The weighted mean of `value` in each bin, as a gap from 0. bins: (n,) codes 0 … k − 1, each with weight."""
    weight = _summed(bins, rows.weights)
    mean = _summed(bins, rows.weights * value) / weight
    if rows.unit is None:
        error = rows.weights * (value - mean[bins])
        n_units = np.bincount(bins)
        covariance = np.diag(_inflation(n_units) * _summed(bins, error * error) / weight**2)
    else:
        covariance, n_units = _clustered(rows, value, bins, lambda sums, mass: (sums - mean * mass) / weight)
    # Of G units that all gave the same, about one might have given something else: a spread that was not seen is not 0.
    alike = (np.diag(covariance) <= _NO_SPREAD) & (n_units > 1)
    return _gaps(mean, weight, covariance + np.diag(np.where(alike, 1 / np.maximum(n_units, 1) ** 2, 0.0)), rows.n_units)


def gaps_from_mean(rows: Rows, value: Array, bins: IntArray) -> Gaps:
    """The weighted mean of `value` in each bin, as a gap from that of all rows."""
    weight = _summed(bins, rows.weights)
    mean = _summed(bins, rows.weights * value) / weight
    total = float(weight.sum())
    overall = float(np.sum(mean * weight)) / total
    if rows.unit is None:
        within, around = rows.weights * (value - mean[bins]), rows.weights * (value - overall)
        own = _summed(bins, within * within) / weight**2
        shared = _summed(bins, within * around) / (weight * total)
        inflation = _inflation(np.bincount(bins))
        covariance = np.diag(inflation * own) - shared[:, None] - shared[None, :] + float(np.sum(around * around)) / total**2
    else:

        def errors(sums: Array, mass: Array) -> Array:
            all_sums, all_mass = sums.sum(axis=1, keepdims=True), mass.sum(axis=1, keepdims=True)
            return np.asarray((sums - mean * mass) / weight - (all_sums - overall * all_mass) / total)

        covariance, _ = _clustered(rows, value, bins, errors)
    return _gaps(mean - overall, weight, covariance, rows.n_units)


def mean_square_interval(gaps: Gaps, *, level: float, seed: int) -> Interval:
    """The θ² that could have shown these gaps. Its low end is 0 where noise alone shows as much in more than (1 − level)/2 of draws.

    Its high end never falls below what it is when noise does what it usually does: a Q smaller than that is luck and no precision.
    Source of that rule: Cowan, Cranmer, Gross & Vitells (2011), Power-constrained limits.
    """
    drawn = _draws(gaps, seed)
    usual = max(gaps.seen, float(np.median(drawn.squared)))
    scale = math.sqrt(usual)
    low = _root(lambda theta: drawn.quantile(theta, (1 + level) / 2) - gaps.seen, scale)
    high = _root(lambda theta: drawn.quantile(theta, (1 - level) / 2) - usual, scale)
    value = gaps.mean_square
    method = f"inverted noise of the bins, t(G-1), {2 * DRAWS} draws"
    # No gap of probabilities is wider than 1.
    return Interval(low=min(low * low, value), high=max(min(high * high, 1.0), value), level=level, method=method)


def rooted(interval: Interval) -> Interval:
    """The interval of θ from that of θ²."""
    return Interval(low=math.sqrt(interval.low), high=math.sqrt(interval.high), level=interval.level, method=interval.method)


def normals(shape: tuple[int, int], seed: int) -> Array:
    """Standard normal draws that are a function of (shape, seed)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed % 2**64, 0], dtype=np.uint64))).standard_normal(shape)


def sums_of_units(rows: Rows, bins: IntArray, n_bins: int, *values: Array) -> Iterator[tuple[Array, ...]]:
    """For each of `values` its sums by unit and bin, (units, bins), some thousands of units at a time: memory does not grow with units."""
    assert rows.unit is not None
    at_once = max(1, _CELLS // n_bins)
    if rows.n_units <= at_once:
        cell = rows.unit * n_bins + bins
        yield tuple(_table(cell, value, rows.n_units, n_bins) for value in values)
        return
    order = np.argsort(rows.unit, kind="stable")
    firsts = np.arange(0, rows.n_units + at_once, at_once)
    edges = np.searchsorted(rows.unit[order], firsts)
    for first, start, stop in zip(firsts, edges, edges[1:], strict=False):
        here = order[start:stop]
        cell = (rows.unit[here] - first) * n_bins + bins[here]
        n_here = min(at_once, rows.n_units - int(first))
        yield tuple(_table(cell, value[here], n_here, n_bins) for value in values)


def _table(cell: IntArray, value: Array, n_units: int, n_bins: int) -> Array:
    return np.bincount(cell, weights=value, minlength=n_units * n_bins).astype(np.float64, copy=False).reshape(n_units, n_bins)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draws:
    """What Q could have been, along the axes on which the noise is independent: |gap + noise|² for gaps of the size θ."""

    noise: Array  # (draws, k)
    squared: Array  # (draws,) of all axes
    gaps: Array  # (curve, k) the likeliest gaps of each size, by rising size
    sizes: Array  # (curve,)

    def quantile(self, theta: float, probability: float) -> float:
        """Of |gap|² ± 2 gap · noise + |noise|² at |gap| = θ."""
        tilt = 2 * theta * np.sum(self.noise * self._direction(theta), axis=1)
        drawn = np.concatenate((self.squared + tilt, self.squared - tilt))
        at = int(probability * (len(drawn) - 1))
        return theta * theta + float(np.partition(drawn, at)[at])

    def _direction(self, theta: float) -> Array:
        at = min(int(np.searchsorted(self.sizes, theta)), len(self.sizes) - 1)
        return np.asarray(self.gaps[at] / self.sizes[at])


def _draws(gaps: Gaps, seed: int) -> _Draws:
    root = np.sqrt(gaps.share)
    variance, axes = np.linalg.eigh(root[:, None] * gaps.covariance * root)
    variance = np.maximum(variance, 0.0)  # rounding
    noise = normals((DRAWS, len(root)), seed) * np.sqrt(variance) * _heavier(gaps.n_units, seed)[:, None]
    curve = _likeliest(np.sum(axes * (root * gaps.gap)[:, None], axis=0), variance)
    return _Draws(noise=noise, squared=np.sum(noise * noise, axis=1), gaps=curve, sizes=np.sqrt(np.sum(curve**2, axis=1)))


def _likeliest(seen: Array, variance: Array) -> Array:
    """(curve, k) the likeliest gaps of every size, given those seen: min Σ (seen − gap)²/variance for a |gap|, by rising |gap|.

    They are signal / (1 − μ · variance), up to their signs, which do not matter: where noise is large a gap may be much larger than seen,
    or not there at all. Under clusters that is the axis on which all bins move together.
    """
    relative = variance / max(float(variance.max()), 1e-300)
    # Noise adds its variance to what is seen of an axis. A hundredth of it stays: a gap may be where none was seen.
    signal = np.sqrt(np.maximum(seen * seen - variance, 0.01 * variance) + 1e-300)
    exponents = np.linspace(-6, 6, 241)[:, None]
    smaller = signal / (1 + 10 ** exponents[::-1] * relative)
    larger = signal / (1 - relative * (1 - 10 ** -(exponents + 6)))
    return np.concatenate((smaller, larger))


def _heavier(n_units: int, seed: int) -> Array:
    """(draws,) factors that turn normal draws into those of t(G − 1): the noise itself is known from G units only."""
    df = n_units - 1
    random = np.random.Generator(np.random.Philox(key=np.array([seed % 2**64, 1], dtype=np.uint64)))
    return np.sqrt(df / random.chisquare(df, DRAWS))


def _root(rising: Callable[[float], float], scale: float) -> float:
    """Where a rising function of θ ≥ 0 crosses 0, by bisection; 0 where it starts above."""
    low, high = 0.0, scale
    if scale == 0 or rising(low) >= 0:
        return 0.0
    while rising(high) < 0:
        low, high = high, 2 * high
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def _clustered(rows: Rows, value: Array, bins: IntArray, errors: Callable[[Array, Array], Array]) -> tuple[Array, IntArray]:
    """The covariance of the bins' means from each unit's share in their errors, and (k,) units; einsum, not BLAS: threads change no bit."""
    n_bins = int(bins.max()) + 1
    covariance, n_units = np.zeros((n_bins, n_bins)), np.zeros(n_bins, dtype=np.int64)
    for sums, mass in sums_of_units(rows, bins, n_bins, rows.weights * value, rows.weights):
        of_unit = errors(sums, mass)
        covariance += np.einsum("gk,gl->kl", of_unit, of_unit)
        n_units += (mass > 0).sum(axis=0)
    inflation = np.sqrt(_inflation(n_units))
    return np.asarray(inflation[:, None] * covariance * inflation), n_units


def _summed(bins: IntArray, value: Array) -> Array:
    return np.bincount(bins, weights=value).astype(np.float64, copy=False)


def _inflation(n_units: IntArray) -> Array:
    """G/(G − 1) bin by bin; 1 where a bin holds one unit, whose spread is unknown."""
    return np.asarray(n_units / np.maximum(n_units - 1, 1), dtype=np.float64)


def _gaps(gap: Array, weight: Array, covariance: Array, n_units: int) -> Gaps:
    """A bin of one unit shows no spread: all of its gap may be noise."""
    lone = np.diag(covariance) <= _NO_SPREAD
    covariance = covariance + np.diag(np.where(lone, gap**2, 0.0))
    return Gaps(gap=gap, share=weight / weight.sum(), covariance=covariance, n_units=n_units)
