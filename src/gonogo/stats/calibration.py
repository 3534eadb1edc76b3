"""How is a probability bent so that it means what it says?

Each fit takes what came true and the probabilities that were said, and gives a small frozen record with `apply`, which a JSON file can
hold. `apply` never leaves [0, 1] and never turns the order of two scores around (a Platt fit with a falling slope excepted: it says so in
`slope`). How far the bent probabilities may be trusted is for rows to say that the fit has not seen.

| fit | has | moves |
|---|---|---|
| temperature | 1 number | how sure the scores are, about one half |
| Platt | 2 | how sure they are, and their level |
| beta | 3 | the same, small and large scores each in their own way |
| isotonic | as many as the data asks for | anything that rises |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gonogo.stats.estimates import as_floats, require_binary, require_weights
from gonogo.stats.refusals import NotFinite, Undefined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, IntArray

CLIP = 1e-15  # probabilities are taken from [CLIP, 1 - CLIP] before a logarithm: that of 0 does not exist


class Recalibration(Protocol):
    """What every fit gives."""

    def apply(self, score: ArrayLike) -> Array:
        """(n,) probabilities from (n,) probabilities, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Leaves every probability as it is."""

    def apply(self, score: ArrayLike) -> Array:
        """The same probabilities."""
        return np.asarray(score, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Platt:
    """p → 1 / (1 + exp(-(slope · logit(p) + intercept))); slope 1 and intercept 0 are the identity."""

    slope: float
    intercept: float

    def apply(self, score: ArrayLike) -> Array:
        """(n,) probabilities in (0, 1)."""
        return logistic(self.slope * logit(score) + self.intercept)


@dataclass(frozen=True, kw_only=True, slots=True)
class Temperature:
    """p → 1 / (1 + exp(-logit(p) / temperature)); 1 is the identity, above 1 less sure, one half stays one half."""

    temperature: float  # above 0

    def apply(self, score: ArrayLike) -> Array:
        """(n,) probabilities in (0, 1)."""
        return logistic(logit(score) / self.temperature)


@dataclass(frozen=True, kw_only=True, slots=True)
class Beta:
    """p → 1 / (1 + exp(-(a · log p - b · log(1 - p) + c))); a = b = 1 and c = 0 are the identity, a = b is Platt's line."""

    a: float  # at least 0: how fast small scores move
    b: float  # at least 0: how fast large scores move
    c: float

    def apply(self, score: ArrayLike) -> Array:
        """(n,) probabilities in (0, 1)."""
        p = _clipped(score)
        return logistic(self.a * np.log(p) - self.b * np.log1p(-p) + self.c)


@dataclass(frozen=True, kw_only=True, slots=True)
class Isotonic:
    """A rising line through the knots (score, probability), straight between them and flat beyond the first and the last."""

    scores: tuple[float, ...]  # strictly rising
    probabilities: tuple[float, ...]  # never falling

    def apply(self, score: ArrayLike) -> Array:
        """(n,) probabilities in [0, 1]; they may be exactly 0 or 1 where the fit saw one outcome only."""
        return np.interp(np.asarray(score, dtype=np.float64), self.scores, self.probabilities)


def fit_identity(y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Identity:
    """The identity, whatever came true: the fit that the others must beat."""
    return Identity()


def fit_platt(y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Platt:
    """The logistic line through logit(score) that makes the outcomes likeliest.

    y: (n,) 0 or 1; score: (n,) probabilities; weight: (n,) ≥ 0, or None for ones.
    The targets are Platt's (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2) instead of 1 and 0, so that the fit exists where a score parts the outcomes.
    Raises Undefined where one class is absent, NotFinite for NaN and for a score that is no probability.
    Source: Platt (1999), Probabilistic outputs for support vector machines; Newton's method as in Lin, Lin & Weng (2007).

    >>> line = fit_platt([0, 1] * 500 + [1] * 500, [0.1, 0.6] * 500 + [0.9] * 500)
    >>> line.slope > 1  # the scores were not sure enough
    True
    """
    y, score, weight = _checked(y, score, weight)
    positive, negative = float(np.sum(weight * y)), float(np.sum(weight * (1 - y)))
    target = np.where(y > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    slope, intercept = _likeliest((logit(score), np.ones(len(y))), target, weight, start=(1.0, 0.0))
    return Platt(slope=slope, intercept=intercept)


def fit_temperature(y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Temperature:
    """The temperature that makes the outcomes likeliest: above 1 where the scores were too sure.

    y, score, weight as in `fit_platt`. It cannot move the mean: after sampling or weighting correct the prior first (`prior_correction`).
    Raises as `fit_platt`, and Undefined where no temperature is likeliest: one half parts the outcomes, or they fall with the score.
    Source: Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, ICML. Equals scikit-learn's.
    """
    y, score, weight = _checked(y, score, weight)
    x = logit(score)
    if np.sum(weight * (y - 0.5) * x) <= 0:
        raise Undefined("the outcomes do not rise with the score about one half: no temperature makes them likelier than a coin")
    if not (weight * np.where(y > 0, x < 0, x > 0)).any():
        raise Undefined("one half parts the outcomes: the lower the temperature, the likelier they are, without end")
    (sureness,) = _likeliest((x,), y, weight, start=(1.0,))
    return Temperature(temperature=1 / sureness)


def fit_beta(y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Beta:
    """The rising curve of the beta family that makes the outcomes likeliest: a, b ≥ 0 and any c.

    y, score, weight as in `fit_platt`. Where the likeliest curve would fall somewhere, a or b is 0. A score of 0 or 1 counts as CLIP
    from there: its logarithm would else decide alone. Raises as `fit_platt`, and Undefined where a score parts the outcomes.
    Source: Kull, Silva Filho & Flach (2017), Beta calibration, AISTATS.
    """
    y, score, weight = _checked(y, score, weight)
    seen = weight > 0
    if float(np.ptp(score[seen])) == 0:
        raise Undefined("every score is the same: there is no curve through one point")
    if score[seen & (y == 0)].max() <= score[seen & (y == 1)].min():
        raise Undefined("a score parts the outcomes: the steeper the curve, the likelier they are, without end")
    p = _clipped(score)
    columns, ones = (np.log(p), -np.log1p(-p)), np.ones(len(y))
    a, b, c = _likeliest((*columns, ones), y, weight, start=(1.0, 1.0, 0.0))
    if a >= 0 and b >= 0:
        return Beta(a=a, b=b, c=c)
    return _on_an_edge(columns, y, weight)


def fit_isotonic(y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None) -> Isotonic:
    """The rising step function of the score with the smallest weighted squared error, as knots.

    y, score, weight as in `fit_platt`. Equal scores share one value: their weighted mean outcome enters. Raises Undefined and NotFinite.
    Source: pool adjacent violators, Barlow, Bartholomew, Bremner & Brunk (1972). Equals scikit-learn's IsotonicRegression.

    >>> fit_isotonic([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]).probabilities
    (0.0, 0.5, 0.5, 1.0)
    """
    y, score, weight = _checked(y, score, weight)
    levels, place = np.unique(score[weight > 0], return_inverse=True)
    mass = np.bincount(place, weights=weight[weight > 0]).astype(np.float64)
    mean = np.bincount(place, weights=(weight * y)[weight > 0]).astype(np.float64) / mass
    fitted = _pool_adjacent_violators(mean, mass)
    # Only the ends of a flat stretch are needed to draw it.
    inner = np.zeros(len(levels), dtype=bool)
    inner[1:-1] = (fitted[1:-1] == fitted[:-2]) & (fitted[1:-1] == fitted[2:])
    return Isotonic(scores=tuple(levels[~inner].tolist()), probabilities=tuple(fitted[~inner].tolist()))


def logit(p: ArrayLike) -> Array:
    """log(p / (1 - p)) of probabilities clipped to [CLIP, 1 - CLIP]."""
    inside = _clipped(p)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def logistic(log_odds: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow at either end."""
    small = np.exp(-np.abs(log_odds))
    return np.asarray(np.where(log_odds >= 0, 1.0, small) / (1 + small))


def _clipped(p: ArrayLike) -> Array:
    return np.clip(np.asarray(p, dtype=np.float64), CLIP, 1 - CLIP)


def _on_an_edge(columns: tuple[Array, Array], y: Array, weight: Array) -> Beta:
    """The likeliest of the curves with a = 0 or b = 0.

    The likelihood is concave, so that where its peak lies outside a, b ≥ 0 the best point inside lies on an edge of it.
    """
    ones = np.ones(len(y))
    rate = float(np.sum(weight * y) / np.sum(weight))
    flat = np.array([0.0, 0.0, float(logit(rate))])
    edges = [flat]
    for place, column in enumerate(columns):
        slope, intercept = _likeliest((column, ones), y, weight, start=(1.0, 0.0))
        if slope > 0:
            edges.append(np.array([slope, 0.0, intercept] if place == 0 else [0.0, slope, intercept]))
    likelihoods = [_evaluated((*columns, ones), y, weight, edge).log_likelihood for edge in edges]
    a, b, c = edges[int(np.argmax(likelihoods))].tolist()
    return Beta(a=a, b=b, c=c)


# Sums over rows are np.sum, never a matrix product: that one is split over threads, and its last bits with them.


def _likeliest(columns: tuple[Array, ...], target: Array, weight: Array, *, start: tuple[float, ...]) -> list[float]:
    """The coefficients at which the weighted likelihood of the targets in [0, 1] peaks, by Newton's method.

    columns: (n,) each; log-odds = Σ coefficient · column.
    """
    beta = np.array(start)
    here = _evaluated(columns, target, weight, beta)
    for _ in range(100):
        step = _newton_step(columns, target, weight, here.p)
        # Halved until the likelihood does not fall, so that far starts converge too.
        for _ in range(30):
            there = _evaluated(columns, target, weight, beta + step)
            if there.log_likelihood >= here.log_likelihood - 1e-12 * abs(here.log_likelihood):
                break
            step = step / 2
        else:
            break
        beta, here = beta + step, there
        if np.max(np.abs(step)) <= 1e-12 * (1 + np.max(np.abs(beta))):
            break
    return [float(one) for one in beta]


@dataclass(frozen=True, slots=True)
class _At:
    """What coefficients say."""

    log_likelihood: float
    p: Array  # (n,)


def _evaluated(columns: tuple[Array, ...], target: Array, weight: Array, beta: Array) -> _At:
    z = _log_odds(columns, beta)
    small = np.exp(-np.abs(z))
    p = np.where(z >= 0, 1.0, small) / (1 + small)
    return _At(float(np.sum(weight * (target * z - np.maximum(z, 0) - np.log1p(small)))), p)


def _newton_step(columns: tuple[Array, ...], target: Array, weight: Array, p: Array) -> Array:
    """To the peak of the parabola that touches the likelihood where it says p."""
    residual, spread = weight * (target - p), weight * np.maximum(p * (1 - p), 1e-12)
    gradient = np.array([np.sum(residual * column) for column in columns])
    curvature = np.array([[np.sum(spread * left * right) for right in columns] for left in columns])
    # A constant score has no slope of its own: a hair of ridge keeps the intercept solvable and the slope still. It is a hair of each
    # column's own size: of rare events -log(1 - p) is a millionth of log p, and matters all the same.
    own = np.diag(curvature)
    return np.asarray(np.linalg.solve(curvature + 1e-12 * np.diag(np.where(own > 0, own, 1.0)), gradient))


def _log_odds(columns: tuple[Array, ...], beta: Array) -> Array:
    total = beta[0] * columns[0]
    for coefficient, column in zip(beta[1:], columns[1:], strict=True):
        total = total + coefficient * column
    return np.asarray(total)


def _pool_adjacent_violators(mean: Array, mass: Array) -> Array:
    """The non-falling sequence nearest to `mean`: neighbours that fall are pooled until none does, in whichever order."""
    count = np.ones(len(mean), dtype=np.int64)
    while True:
        falls = mean[:-1] >= mean[1:]
        # Whole runs are pooled at once while that clears a good part; what little is left goes one by one.
        if 8 * int(falls.sum()) < len(mean):
            return _pooled_one_by_one(mean, mass, count)
        starts = np.flatnonzero(np.r_[True, ~falls])
        total, mass, count = (np.add.reduceat(one, starts) for one in (mean * mass, mass, count))
        mean = total / mass


def _pooled_one_by_one(mean: Array, mass: Array, count: IntArray) -> Array:
    means: list[float] = []
    masses: list[float] = []
    counts: list[int] = []
    for m, w, n in zip(mean.tolist(), mass.tolist(), count.tolist(), strict=True):
        while means and means[-1] >= m:
            w_before = masses.pop()
            m = (means.pop() * w_before + m * w) / (w_before + w)
            w += w_before
            n += counts.pop()
        means.append(m)
        masses.append(w)
        counts.append(n)
    return np.repeat(np.array(means), counts)


def _checked(y: ArrayLike, score: ArrayLike, weight: ArrayLike | None) -> tuple[Array, Array, Array]:
    """Outcomes, scores and weights as arrays of the same rows. Raises ValueError, NotFinite and Undefined."""
    outcomes, scores = as_floats(y, "y"), as_floats(score, "score")
    weights = np.ones_like(scores) if weight is None else as_floats(weight, "weight")
    if not outcomes.shape == scores.shape == weights.shape:
        raise ValueError(f"y, score and weight have {len(outcomes):,}, {len(scores):,} and {len(weights):,} rows: they must be the same")
    require_binary(outcomes)
    require_weights(weights)
    if not ((scores >= 0) & (scores <= 1)).all():
        raise NotFinite("a score is no probability: it is NaN or lies outside [0, 1]")
    if not (np.sum(weights * outcomes) > 0 and np.sum(weights * (1 - outcomes)) > 0):
        raise Undefined("one class only: what a probability means cannot be learnt from it")
    return outcomes, scores, weights
