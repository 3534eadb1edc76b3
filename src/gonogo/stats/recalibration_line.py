"""Which line through the logits would make the probabilities right?

logit P(y = 1) = intercept + slope · logit(score). A slope below 1 says that the scores are too bold (overfitted), above 1 too timid; the
intercept, taken with the slope held at 1, says how far the log-odds are too low (above 0) or too high (below 0) as a whole.
Source: Cox (1958), Two further applications of a model for binary regression, Biometrika 45; the intercept with slope 1, "calibration in
the large": Van Calster et al. (2019), BMC Medicine 17. The spread is the sandwich of scores summed by unit, G/(G−1): Cameron & Miller
(2015), J. Human Resources 50(2).

Scores of 0 and 1 are taken for EPS and 1 − EPS, so that they have a logit. Refused: what `probabilities` refuses, equal scores (no slope),
scores that part the outcomes (no finite slope). `seed` has no effect.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.estimates import estimated, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.probabilities import EPS, told_of_both_classes
from gonogo.stats.refusals import NoSpread, Undefined
from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.stats.estimates import Rows
    from gonogo.types.evidence import Array, Estimate

_STEPS = 50
_GONE = 1e-12  # information of a row of weight 1: below, the fit has run off to infinity
_METHOD = "sandwich by unit, t(G-1)"


def calibration_slope(
    y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Estimate:
    """The slope of y's log-odds on those that were said, intercept free; 1 is right.

    >>> p = np.random.default_rng(0).uniform(size=9000)
    >>> y = np.random.default_rng(1).uniform(size=9000) < p
    >>> bold = p**2 / (p**2 + (1 - p) ** 2)  # twice the log-odds
    >>> round(calibration_slope(y, bold).value, 1)
    0.5
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return estimated("calibration_slope", lambda: _slope(told_of_both_classes(rows), level), n_rows=rows.n, n_units=rows.n_units, better="")


def calibration_intercept(
    y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None = None, unit: ArrayLike | None = None, level: float = 0.95, seed: int = 0
) -> Estimate:
    """What must be added to the log-odds that were said so that as many come true as were said to; 0 is right.

    >>> p = np.random.default_rng(0).uniform(size=9000)
    >>> y = np.random.default_rng(1).uniform(size=9000) < p
    >>> low = p / (p + (1 - p) * np.e)  # log-odds that are 1 too low
    >>> 0.8 < calibration_intercept(y, low).value < 1.1
    True
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return estimated(
        "calibration_intercept", lambda: _intercept(told_of_both_classes(rows), level), n_rows=rows.n, n_units=rows.n_units, better=""
    )


def _slope(rows: Rows, level: float) -> Figure:
    """Newton's method from the flat line; a step is halved while it makes the outcomes less likely."""
    x, w = _logits(rows.score), rows.weights
    if float(np.ptp(x)) == 0:
        raise Undefined("every score is the same: there is no line through one point")
    rate = float(np.sum(w * rows.y) / w.sum())
    line = np.full(rows.n, math.log(rate / (1 - rate)))
    slope, cost = 0.0, _cost(rows.y, line, w)
    for _ in range(_STEPS):
        residual, spread = _residual_and_spread(rows.y, line, w)
        mass = float(spread.sum())
        if not mass > _GONE * float(w.sum()):
            break
        around = x - float(np.sum(spread * x)) / mass  # about its own mean the two steps are independent of each other
        information = float(np.sum(spread * around * around))
        if not information > _GONE * float(w.sum()):
            break
        step = float(np.sum(residual * around)) / information
        if abs(step) <= 1e-12 * max(1.0, abs(slope)):
            return _figure(rows, slope + step, residual * around / information, level)
        change, size = float(residual.sum()) / mass + step * around, 1.0
        while (tried := _cost(rows.y, line + size * change, w)) > cost * (1 + 1e-12) and size > 1e-9:
            size /= 2
        line, cost, slope = line + size * change, tried, slope + size * step
    raise Undefined("the scores part the outcomes: no finite slope makes them likeliest")


def _intercept(rows: Rows, level: float) -> Figure:
    x, w = _logits(rows.score), rows.weights
    intercept, reach = 0.0, 1.0
    for _ in range(4 * _STEPS):
        residual, spread = _residual_and_spread(rows.y, intercept + x, w)
        information = float(spread.sum())
        missing = float(residual.sum())
        step = math.copysign(min(abs(missing) / information, reach), missing) if information > 0 else math.copysign(reach, missing)
        intercept += step
        if abs(step) <= 1e-12 * max(1.0, abs(intercept)):
            return _figure(rows, intercept, residual / information, level)
    raise Undefined("no shift of the log-odds makes as many come true as were said to")


def _cost(y: Array, logit: Array, weight: Array) -> float:
    """−log likelihood."""
    return float(np.sum(weight * (np.logaddexp(0, logit) - y * logit)))


def _residual_and_spread(y: Array, logit: Array, weight: Array) -> tuple[Array, Array]:
    """weight · (y − μ) and weight · μ (1 − μ), where μ is the logistic function of the logit."""
    odds = np.exp(-np.abs(logit))  # never overflows
    mu = np.where(logit >= 0, 1, odds) / (1 + odds)
    return weight * (y - mu), weight * odds / (1 + odds) ** 2


def _figure(rows: Rows, value: float, influence: Array, level: float) -> Figure:
    by_unit = influence if rows.unit is None else np.bincount(rows.unit, weights=influence, minlength=rows.n_units)
    n = rows.n_units
    error = math.sqrt(n / (n - 1) * float(np.sum(by_unit * by_unit)))
    if not error > 0:
        raise NoSpread("every unit gave the same line: how far the truth may be is unknown")
    half = t_quantile((1 + level) / 2, n - 1) * error
    interval = Interval(low=value - half, high=value + half, level=level, method=_METHOD)
    return Figure(value=value, interval=interval, n_units=n, n_rows=rows.n)


def _logits(score: Array) -> Array:
    p = np.clip(score, EPS, 1 - EPS)
    return np.asarray(np.log(p) - np.log1p(-p))
