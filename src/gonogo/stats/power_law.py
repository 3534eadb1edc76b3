"""What would another doubling of the training data buy?

The loss on new rows is taken for a + b · (n/N)⁻ᶜ, b ≥ 0, with N the largest size seen: b is what infinitely many rows would still buy, and
a doubling buys b · (1 − 2⁻ᶜ). For a given exponent c the fit is linear in the points, so that its error follows from theirs, pairing
included. How well c itself fits is told by the fit's score: what is left of the points in the direction in which c would move them. The
interval of the gain is the union, over exponents on a grid, of

    (1 − 2⁻ᶜ) · (b(c) ± √(t² − u(c)²) · SE(b(c)))       u: the score over its standard error, at most t

which is the profile likelihood's interval where points err normally (Venzon & Moolgavkar 1988, Applied Statistics 37).

The points must be means over repeats, each with training rows of its own. Where each size was trained once, the luck of the draw is not
in the errors of validate's rows: taking these for the whole was simulated, and four of ten such 95 % intervals held the truth; reading the
luck off how far the points miss a smooth curve held it in six to seven. So it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NoSpread, TooFewUnits, Undefined
from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from gonogo.stats.loss_lines import Line
    from gonogo.types.evidence import Array

FEWEST_SIZES = 3  # a curve has three parameters
_LEAST, _MOST = 0.05, 4.0  # exponents, beyond what was ever seen of a learner on either side
_GRID = 60
_LEAST_ROUNDS, _MOST_ROUNDS = 2, 12  # each looks closer at where exponents fit: precise points allow only a sliver of the grid before


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fits:
    """The linear fits of exponents c, each (n_exponents,)."""

    rate: Array  # 1 − 2⁻ᶜ: the share of b that a doubling buys
    b: Array
    error: Array
    score: Array  # the score over its standard error


def gain_of_a_doubling(sizes: Array, line: Line, *, level: float = 0.95) -> Figure:
    """By how much the loss would fall with twice the largest size, at least 0, extrapolated by a power law.

    sizes: (m,) rising; line: the losses on new rows. Raises TooFewUnits below three sizes and without repeats, NoSpread where a point has
    no error, Undefined where the loss rises with the data, or where no power law comes near the points.

    >>> from gonogo.stats.loss_lines import line_of
    >>> sizes = np.array([100.0, 200, 400, 800])
    >>> noise = 0.01 * np.random.default_rng(0).normal(size=(4, 50))
    >>> gain = gain_of_a_doubling(sizes, line_of(0.3 + 20 / sizes[:, None] + noise, "validate_losses", 4))
    >>> bool(gain.interval.low < 0.0125 < gain.interval.high)
    True
    """
    if len(sizes) < FEWEST_SIZES:
        raise TooFewUnits(f"{len(sizes)} sizes: a power law needs {FEWEST_SIZES} to be seen at all")
    if line.trained_once:
        raise TooFewUnits("each size was trained once, so the luck of the draw is not known: give repeats with training rows of their own")
    if not np.diag(line.covariance).all():
        raise NoSpread("a point of the curve has no error: how far the truth may be is unknown")
    t = t_quantile((1 + level) / 2, line.n_units - 1)
    fits = _closer_and_closer(sizes / sizes[-1], line, t)
    allowed = np.abs(fits.score) <= t
    if not allowed.any():
        raise Undefined("no power law comes near the points: what more data would buy cannot be read off them")
    half = np.sqrt(np.maximum(0.0, t * t - fits.score**2)) * fits.error
    low = float((fits.rate * (fits.b - half))[allowed].min())
    high = float((fits.rate * (fits.b + half))[allowed].max())
    if high <= 0:
        raise Undefined("the loss rises with the data: what more of it would buy cannot be read off the points")
    interval = Interval(low=max(0.0, low), high=high, level=level, method="power law, extrapolated; every exponent that fits")
    best = int(np.argmin(np.abs(fits.score)))
    value = float(np.clip(fits.rate[best] * fits.b[best], interval.low, high))
    return Figure(value=value, interval=interval, n_units=line.n_units, n_rows=line.n_units)


def _closer_and_closer(share: Array, line: Line, t: float) -> _Fits:
    """The fits of exponents around those that the points allow."""
    low, high = _LEAST, _MOST
    for looked in range(_MOST_ROUNDS):
        c = np.geomspace(low, high, _GRID)
        fits = _fits(share, line, c)
        here = np.abs(fits.score) <= t
        here[:-1] |= np.diff(np.sign(fits.score)) != 0  # between these two an exponent fits exactly
        if not here.any() or (looked >= _LEAST_ROUNDS and np.count_nonzero(np.abs(fits.score) <= t) >= _GRID // 4):
            break
        found = np.flatnonzero(here)
        low, high = float(c[max(0, found[0] - 1)]), float(c[min(_GRID - 1, found[-1] + 2)])
    return fits


def _fits(share: Array, line: Line, c: Array) -> _Fits:
    """share: (m,) sizes over the largest."""
    weight = 1 / np.diag(line.covariance)
    curve = share ** -c[:, None]
    ones = np.ones_like(curve)
    slope = _without(curve, ones, weight)
    b, error = _combined(line, weight * slope / np.sum(weight * slope * slope, axis=1, keepdims=True))
    bend = _without(_without(-np.log(share) * curve, ones, weight), slope, weight)
    score, score_error = _combined(line, weight * bend)
    score = np.divide(score, score_error, out=np.zeros_like(score), where=score_error > 0)
    return _Fits(rate=1 - 2.0**-c, b=b, error=error, score=score)


def _combined(line: Line, shares: Array) -> tuple[Array, Array]:
    """Each row of shares (n_exponents, m) over the points, and its standard error; as `Line.combined`."""
    variance = np.sum(shares[:, :, None] * line.covariance * shares[:, None, :], axis=(1, 2))
    return np.sum(shares * line.mean, axis=1), np.sqrt(np.maximum(variance, 0.0))


def _without(of: Array, direction: Array, weight: Array) -> Array:
    """Each row of `of` less its part along that of `direction`."""
    part = np.sum(weight * of * direction, axis=1) / np.sum(weight * direction * direction, axis=1)
    return np.asarray(of - part[:, None] * direction)
