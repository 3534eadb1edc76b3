"""How is a probability bent so that it means what it says?

Each fit takes probabilities and what came true, and gives a small frozen record with `apply`. `apply` never leaves [0, 1] and never
turns the order of two scores around (a Platt fit with a falling slope excepted: it says so in `slope`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gonogo.stats.refusals import NotFinite, Undefined

if TYPE_CHECKING:
    from gonogo.types.evidence import Array

CLIP = 1e-15  # probabilities are taken from [CLIP, 1 - CLIP] before a logit: 0 and 1 have none


class Recalibration(Protocol):
    """What every fit gives."""

    def apply(self, score: Array) -> Array:
        """(n,) probabilities from (n,) probabilities, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Leaves every probability as it is."""

    def apply(self, score: Array) -> Array:
        """The same probabilities."""
        return np.asarray(score, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Platt:
    """p → 1 / (1 + exp(-(slope · logit(p) + intercept))); slope 1 and intercept 0 are the identity."""

    slope: float
    intercept: float

    def apply(self, score: Array) -> Array:
        """(n,) probabilities in (0, 1)."""
        return _logistic(self.slope * logit(score) + self.intercept)


@dataclass(frozen=True, kw_only=True, slots=True)
class Isotonic:
    """A rising line through the knots (score, probability), straight between them and flat beyond the first and the last."""

    scores: tuple[float, ...]  # strictly rising
    probabilities: tuple[float, ...]  # never falling

    def apply(self, score: Array) -> Array:
        """(n,) probabilities in [0, 1]; they may be exactly 0 or 1 where the fit saw one outcome only."""
        return np.interp(np.asarray(score, dtype=np.float64), self.scores, self.probabilities)


def fit_identity(score: Array, y: Array, weight: Array | None = None) -> Identity:
    """The identity, whatever came true: the fit that the others must beat."""
    return Identity()


def fit_platt(score: Array, y: Array, weight: Array | None = None) -> Platt:
    """The logistic line through logit(score) that makes the outcomes likeliest.

    score: (n,) probabilities; y: (n,) 0 or 1; weight: (n,) ≥ 0, or None for ones.
    The targets are Platt's (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2) instead of 1 and 0, so that the fit exists where a score parts the outcomes.
    Raises Undefined where one class is absent, NotFinite for NaN.
    Source: Platt (1999), Probabilistic outputs for support vector machines; Newton's method as in Lin, Lin & Weng (2007).
    """
    score, y, weight = _checked(score, y, weight)
    positive, negative = float(np.sum(weight * y)), float(np.sum(weight * (1 - y)))
    target = np.where(y > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    x = logit(score)
    beta = np.array([1.0, 0.0])
    for _ in range(100):
        step = _newton_step(x, target, weight, beta)
        beta = beta + step
        if np.max(np.abs(step)) <= 1e-12 * (1 + np.max(np.abs(beta))):
            break
    return Platt(slope=float(beta[0]), intercept=float(beta[1]))


def fit_isotonic(score: Array, y: Array, weight: Array | None = None) -> Isotonic:
    """The rising step function of the score with the smallest weighted squared error, as knots.

    score, y, weight as in `fit_platt`. Equal scores share one value: their weighted mean outcome enters. Raises Undefined and NotFinite.
    Source: pool adjacent violators, Barlow, Bartholomew, Bremner & Brunk (1972). Equals scikit-learn's IsotonicRegression.

    >>> fit_isotonic(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 1.0])).probabilities
    (0.0, 0.5, 0.5, 1.0)
    """
    score, y, weight = _checked(score, y, weight)
    levels, place = np.unique(score[weight > 0], return_inverse=True)
    mass = np.bincount(place, weights=weight[weight > 0]).astype(np.float64)
    mean = np.bincount(place, weights=(weight * y)[weight > 0]).astype(np.float64) / mass
    fitted = _pool_adjacent_violators(mean, mass)
    # Only the ends of a flat stretch are needed to draw it.
    inner = np.zeros(len(levels), dtype=bool)
    inner[1:-1] = (fitted[1:-1] == fitted[:-2]) & (fitted[1:-1] == fitted[2:])
    return Isotonic(scores=tuple(levels[~inner].tolist()), probabilities=tuple(fitted[~inner].tolist()))


def logit(p: Array) -> Array:
    """log(p / (1 - p)) of probabilities clipped to [CLIP, 1 - CLIP]."""
    inside = np.clip(np.asarray(p, dtype=np.float64), CLIP, 1 - CLIP)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow at either end."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


# Sums over rows are np.sum, never a matrix product: that one is split over threads, and its last bits with it.


def _newton_step(x: Array, target: Array, weight: Array, beta: Array) -> Array:
    """One step uphill; halved until the likelihood does not fall, so that far starts converge too."""
    p = _logistic(beta[0] * x + beta[1])
    residual, spread = weight * (target - p), weight * np.maximum(p * (1 - p), 1e-12)
    gradient = np.array([np.sum(residual * x), np.sum(residual)])
    mixed = np.sum(spread * x)
    curvature = np.array([[np.sum(spread * x * x), mixed], [mixed, np.sum(spread)]])
    # A constant score has no slope of its own: a hair of ridge keeps the intercept solvable and the slope still.
    step = np.linalg.solve(curvature + 1e-12 * np.trace(curvature) * np.eye(2), gradient)
    before = _log_likelihood(x, target, weight, beta)
    for _ in range(30):
        if _log_likelihood(x, target, weight, beta + step) >= before - 1e-12 * abs(before):
            return np.asarray(step)
        step = step / 2
    return np.zeros(2)


def _log_likelihood(x: Array, target: Array, weight: Array, beta: Array) -> float:
    z = beta[0] * x + beta[1]
    return float(np.sum(weight * (target * z - np.logaddexp(0, z))))


def _pool_adjacent_violators(mean: Array, mass: Array) -> Array:
    """The non-falling sequence nearest to `mean`: neighbours that fall are pooled until none does."""
    means: list[float] = []
    masses: list[float] = []
    counts: list[int] = []
    for m, w in zip(mean.tolist(), mass.tolist(), strict=True):
        count = 1
        while means and means[-1] >= m:
            w_before = masses.pop()
            m = (means.pop() * w_before + m * w) / (w_before + w)
            w += w_before
            count += counts.pop()
        means.append(m)
        masses.append(w)
        counts.append(count)
    return np.repeat(np.array(means), counts)


def _checked(score: Array, y: Array, weight: Array | None) -> tuple[Array, Array, Array]:
    score, y = np.asarray(score, dtype=np.float64), np.asarray(y, dtype=np.float64)
    weight = np.ones_like(score) if weight is None else np.asarray(weight, dtype=np.float64)
    if not score.shape == y.shape == weight.shape:
        raise ValueError(f"score, y and weight have {score.shape}, {y.shape} and {weight.shape} rows: they must be the same rows")
    if not (np.isfinite(score).all() and np.isfinite(y).all() and np.isfinite(weight).all()) or (weight < 0).any():
        raise NotFinite("a score, an outcome or a weight is NaN, infinite or negative")
    if not (np.sum(weight * y) > 0 and np.sum(weight * (1 - y)) > 0):
        raise Undefined("one class only: what a probability means cannot be learnt from it")
    return score, y, weight
