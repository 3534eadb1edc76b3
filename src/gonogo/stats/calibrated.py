"""Could chance alone explain how far what was said is from what came true?

The null: every row comes true with the probability that was said. Three questions are asked of it, because a test that looks everywhere
sees little anywhere: is the mean right, is the slope right (too bold, too timid), is it right bin by bin? Their p-values are joined by
Bonferroni with unequal shares, most of it on the mean: that costs the mean next to nothing, and the others little.

    mean    Σ w (y − p)                                 z from the null's own variance Σ w² p (1 − p)
    slope   Σ w (y − p) (logit p − a)                   the same; `a` makes it independent of the mean
    bins    Σ share · gap², as `expected_calibration_error`   labels drawn again from the scores

Rows of one unit may move together, and drawing their labels one by one would deny it. With a unit, mean and slope are t(G − 1) of sums by
unit, and the bins' null is drawn with the sums' own covariance: the wild cluster bootstrap, with normal instead of two-point multipliers.
Source: Spiegelhalter (1986), Statistics in Medicine 5, and Cox (1958), Biometrika 45 (z of mean and slope); Bröcker & Smith (2007), Weather
and Forecasting 22 (labels drawn again); Cameron, Gelbach & Miller (2008), REStat 90 (units); Genovese, Roeder & Wasserman (2006),
Biometrika 93 (unequal shares).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import normal_cdf, t_tail
from gonogo.stats.estimates import rows_of
from gonogo.stats.gaps import normals, sums_of_units
from gonogo.stats.miscalibration import bins_that_show_noise, expected_calibration_error
from gonogo.stats.probabilities import EPS, told
from gonogo.stats.refusals import Refused, TooFewUnits, Undefined
from gonogo.stats.score_bins import equal_mass_bins
from gonogo.types.evidence import Tested

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.stats.estimates import Rows
    from gonogo.types.evidence import Array, IntArray

SHARES = {"mean": 0.9, "slope": 0.05, "bins": 0.05}  # of the level that each question may spend
DRAWS = 9999  # of labels, so that a p-value of the bins is at least 1/10,000
LEAST_EXPECTED = 10  # Σ p (1 − p): with fewer events, z is not normal
LEAST_UNITS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """What one question gave."""

    question: str
    statistic: float
    p_value: float  # by itself

    @property
    def joint(self) -> float:
        """The p-value that its share of the level leaves."""
        return min(1.0, self.p_value / SHARES[self.question])


def calibration_test(
    y: ArrayLike,
    score: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    n_bins: int = 15,
) -> Tested:
    """Whether every score is the chance of its row: the p-value of a perfectly calibrated model is at most α in a share α of samples.

    y: (n,) 0 or 1; score: (n,) in [0, 1]; the effect is `expected_calibration_error` with its interval at `level`, in as many bins. The
    question that decided stands in `test`, its z or t (of the bins: seen over expected) in `statistic`.
    Refused: NaN, a score outside [0, 1], Σ score (1 − score) below `LEAST_EXPECTED`, fewer than `LEAST_UNITS` units.

    >>> p = np.random.default_rng(0).uniform(size=5000)
    >>> y = np.random.default_rng(1).uniform(size=5000) < p
    >>> calibration_test(y, p).p_value > 0.05, calibration_test(y, p**1.2).p_value < 0.001
    (True, True)
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    effect = expected_calibration_error(y, score, weight=weight, unit=unit, level=level, seed=seed, n_bins=n_bins)
    null = "every row comes true with the probability that was said"
    try:
        seen = told(rows)
        first = min(_answers(seen, n_bins, seed), key=lambda answer: answer.joint)
    except Refused as refused:
        return Tested(
            test="calibration",
            null=null,
            statistic=None,
            p_value=None,
            effect=effect,
            n_units=rows.n_units,
            n_rows=rows.n,
            refused=str(refused),
        )
    return Tested(
        test=f"calibration of mean, slope and bins (decided by the {first.question})",
        null=null,
        statistic=first.statistic,
        p_value=first.joint,
        effect=effect,
        n_units=seen.n_units,
        n_rows=rows.n,
    )


def _answers(rows: Rows, n_bins: int, seed: int) -> tuple[_Answer, ...]:
    variance = rows.score * (1 - rows.score)
    expected = float(variance.sum())
    if expected < LEAST_EXPECTED:
        raise Undefined(f"the scores let {expected:.1f} surprises be expected, {LEAST_EXPECTED} are needed to judge them")
    if rows.n_units < LEAST_UNITS:
        raise TooFewUnits(f"{rows.n_units} units: {LEAST_UNITS} are needed to tell a wrong score from units that differ")
    spread = rows.weights * rows.weights * variance
    x = np.log(np.maximum(rows.score, EPS)) - np.log(np.maximum(1 - rows.score, EPS))
    x -= float(np.sum(spread * x)) / float(spread.sum())
    residual = rows.weights * (rows.y - rows.score)
    bins = equal_mass_bins(rows.score, bins_that_show_noise(rows.n_units, n_bins))
    if rows.unit is None:
        alone = _of_rows(float(residual.sum()), float(spread.sum())), _of_rows(float(np.sum(residual * x)), float(np.sum(spread * x * x)))
        gaps, drawn = _labels_drawn_again(rows, residual, spread, bins, seed)
    else:
        alone = _of_units(rows, residual), _of_units(rows, residual * x)
        gaps, drawn = _units_drawn_again(rows, residual, bins, seed)
    return (
        _Answer(question="mean", statistic=alone[0][0], p_value=alone[0][1]),
        _Answer(question="slope", statistic=alone[1][0], p_value=alone[1][1]),
        _bins_answer(gaps, drawn, _share(rows, bins)),
    )


def _of_rows(total: float, variance: float) -> tuple[float, float]:
    """z of a sum whose variance the null knows, and its two-sided p. A constant score has no slope: nothing speaks against it."""
    if variance <= 0:
        return 0.0, 1.0
    z = total / math.sqrt(variance)
    return z, 2 * normal_cdf(-abs(z))


def _of_units(rows: Rows, value: Array) -> tuple[float, float]:
    """t of a sum over units, and its two-sided p. Units that all miss alike have no spread about their mean: there it is taken about 0."""
    by_unit = np.bincount(rows.unit, weights=value, minlength=rows.n_units)  # type: ignore[arg-type]
    error = math.sqrt(rows.n_units * float(np.var(by_unit, ddof=1)))
    total, size = float(by_unit.sum()), float(np.abs(value).sum())
    if abs(total) <= 1e-12 * size and error <= 1e-12 * size:
        return 0.0, 1.0
    t = total / (error if error > 1e-12 * size else math.sqrt(float(np.sum(by_unit * by_unit))))
    return t, 2 * t_tail(abs(t), rows.n_units - 1)


def _bins_answer(gaps: Array, drawn: Array, share: Array) -> _Answer:
    seen, noise = float(np.sum(share * gaps**2)), np.sum(share * drawn**2, axis=1)
    as_large = int(np.count_nonzero(noise >= seen * (1 - 1e-12)))
    return _Answer(question="bins", statistic=seen / float(noise.mean()), p_value=(1 + as_large) / (1 + len(noise)))


def _share(rows: Rows, bins: IntArray) -> Array:
    mass = np.bincount(bins, weights=rows.weights)
    return np.asarray(mass / mass.sum())


def _labels_drawn_again(rows: Rows, residual: Array, spread: Array, bins: IntArray, seed: int) -> tuple[Array, Array]:
    """The bins' gaps, and (draws, bins) what they are when labels are drawn from the scores.

    The weight of a bin's positives is a sum of unequal coins. One binomial of the same mean, variance and size of a jump stands for it:
    exact where the scores of a bin are equal, right to Poisson's law where they are small and to the normal one where rows are many.
    Source: Ehm (1991), Binomial approximation to the Poisson binomial distribution, Statistics & Probability Letters 11.
    """
    mass = np.bincount(bins, weights=rows.weights)
    mean = np.bincount(bins, weights=rows.weights * rows.score)
    squares = np.bincount(bins, weights=rows.weights * rows.weights * rows.score)
    variance = np.bincount(bins, weights=spread)
    jump = squares / np.where(mean > 0, mean, 1)  # the weight of a typical positive; 1 without weights
    jump = np.where(jump > 0, jump, 1)
    chance = np.clip(1 - variance / np.where(squares > 0, squares, 1), EPS, 1)
    tries = np.maximum(1, np.rint(mean / (jump * chance))).astype(np.int64)
    chance = np.clip(mean / (jump * tries), 0, 1)
    random = np.random.Generator(np.random.Philox(key=np.array([seed % 2**64, 2], dtype=np.uint64)))
    drawn = random.binomial(tries, chance, size=(DRAWS, len(mass)))
    return np.bincount(bins, weights=residual) / mass, (jump * drawn - mean) / mass


def _units_drawn_again(rows: Rows, residual: Array, bins: IntArray, seed: int) -> tuple[Array, Array]:
    """The bins' gaps, and (draws, bins) what they are when each unit's residuals are taken times a normal multiplier of its own.

    The sums of all units under such multipliers are normal with the covariance Σ over units of S Sᵀ: it is drawn from directly.
    """
    mass = np.bincount(bins, weights=rows.weights)
    gaps, covariance = np.zeros(len(mass)), np.zeros((len(mass), len(mass)))
    for (by_unit,) in sums_of_units(rows, bins, len(mass), residual):
        gaps += by_unit.sum(axis=0) / mass
        covariance += np.einsum("gk,gl->kl", by_unit / mass, by_unit / mass)
    spread, axes = np.linalg.eigh(covariance)
    z = normals((DRAWS, len(mass)), seed) * np.sqrt(np.maximum(spread, 0))
    return gaps, np.einsum("bj,kj->bk", z, axes)
