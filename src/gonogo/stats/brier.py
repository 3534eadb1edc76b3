"""Of what is a Brier score made?

    Brier score = reliability − resolution + uncertainty + within bins

    reliability   Σ share (came true − said)²    what dishonest probabilities cost; 0 is honest
    resolution    Σ share (came true − rate)²    what telling rows apart earns; never above the uncertainty
    uncertainty   rate (1 − rate)                what there was to know
    within bins   the rest: what rows of one bin differ in, which bins cannot see

All three terms are biased as they are usually given: noise in the bins makes reliability and resolution too large, each by
Σ share · variance, and the uncertainty is too small by the variance of the rate. That is taken away here, so that a perfect model has a
reliability of 0 and a constant score a resolution of 0; a term that noise explains is cut at 0.
Source: Murphy (1973), J. Applied Meteorology 12; the biases: Bröcker (2012), Climate Dynamics 39; Ferro & Fricker (2012), QJRMS 138; the
rest: Stephenson, Coelho & Jolliffe (2008), Weather and Forecasting 23.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.clustered import ratio_of_sums
from gonogo.stats.distributions import t_quantile
from gonogo.stats.estimates import estimated, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.gaps import gaps_from_mean, gaps_from_zero, mean_square_interval
from gonogo.stats.miscalibration import bins_that_show_noise, require_bins
from gonogo.stats.probabilities import brier_score, told_of_both_classes
from gonogo.stats.score_bins import equal_mass_bins
from gonogo.types.evidence import Interval, UnitScores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.stats.estimates import Rows
    from gonogo.stats.gaps import Gaps
    from gonogo.types.evidence import Estimate, IntArray


@dataclass(frozen=True, kw_only=True, slots=True)
class BrierDecomposition:
    """A Brier score and its terms, each with its interval."""

    brier_score: Estimate
    reliability: Estimate  # lower is better; the square of `expected_calibration_error`
    resolution: Estimate  # higher is better
    uncertainty: Estimate  # of the outcomes alone: no model changes it
    within_bins: float | None  # what is left of the score; None where it was refused


def brier_decomposition(
    y: ArrayLike,
    score: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    n_bins: int = 15,
) -> BrierDecomposition:
    """Murphy's terms over bins of equally many rows, debiased, with intervals by unit.

    Arguments and refusals as `expected_calibration_error`.

    >>> p = np.random.default_rng(0).uniform(size=9000)
    >>> terms = brier_decomposition(np.random.default_rng(1).uniform(size=9000) < p, p)
    >>> terms.reliability.interval.low, round(terms.resolution.value, 2), round(terms.uncertainty.value, 2)
    (0.0, 0.08, 0.25)
    """
    require_bins(n_bins)
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    named = partial(estimated, n_rows=rows.n, n_units=rows.n_units)
    whole = brier_score(y, score, weight=weight, unit=unit, level=level)
    reliability = named("brier_reliability", lambda: _squared(rows, _said_and_came_true, n_bins, level, seed), better="lower")
    resolution = named("brier_resolution", lambda: _squared(rows, _rate_and_came_true, n_bins, level, seed), better="higher")
    uncertainty = named("brier_uncertainty", lambda: _uncertainty(told_of_both_classes(rows), level), better="")
    return BrierDecomposition(
        brier_score=whole,
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within_bins=_rest(whole, reliability, resolution, uncertainty),
    )


def _said_and_came_true(rows: Rows, bins: IntArray) -> Gaps:
    return gaps_from_zero(rows, rows.y - rows.score, bins)


def _rate_and_came_true(rows: Rows, bins: IntArray) -> Gaps:
    return gaps_from_mean(rows, rows.y, bins)


def _squared(rows: Rows, gaps_of: Callable[[Rows, IntArray], Gaps], n_bins: int, level: float, seed: int) -> Figure:
    seen = told_of_both_classes(rows)
    gaps = gaps_of(seen, equal_mass_bins(seen.score, bins_that_show_noise(seen.n_units, n_bins)))
    interval = mean_square_interval(gaps, level=level, seed=seed)
    return Figure(value=gaps.mean_square, interval=interval, n_units=seen.n_units, n_rows=rows.n)


def _uncertainty(rows: Rows, level: float) -> Figure:
    """rate (1 − rate), and Wilson's interval of the rate carried over: exact also about one half, where the curve is flat."""
    rate = ratio_of_sums(UnitScores(rows.units, rows.weights * rows.y, rows.weights), level=level)
    at = [rate.interval.low, rate.interval.high]
    ends = sorted(one * (1 - one) for one in at)
    high = 0.25 if at[0] <= 0.5 <= at[1] else ends[1]
    error = (at[1] - at[0]) / (2 * t_quantile((1 + level) / 2, rate.n_units - 1))
    value = min(high, rate.value * (1 - rate.value) + error * error)
    interval = Interval(low=min(ends[0], value), high=high, level=level, method=f"rate's {rate.interval.method}")
    return Figure(value=value, interval=interval, n_units=rate.n_units, n_rows=rows.n)


def _rest(whole: Estimate, reliability: Estimate, resolution: Estimate, uncertainty: Estimate) -> float | None:
    terms = (whole.value, reliability.value, resolution.value, uncertainty.value)
    known = [term for term in terms if term is not None]
    return float(np.dot(known, (1, -1, 1, -1))) if len(known) == len(terms) else None
