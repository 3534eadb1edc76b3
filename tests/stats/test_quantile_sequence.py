"""Facts about quantiles of a stream."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from gonogo.stats import QuantileSequence

ALPHA = 0.05


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_the_ends_hold_the_quantile_at_all_times_at_once(quantile):
    truth = math.exp(scipy_stats.norm.ppf(quantile))
    missed = 0
    for seed in range(150):
        values, seen, held = np.random.default_rng(seed).lognormal(size=2000), QuantileSequence(quantile), True
        for at in range(0, 2000, 100):
            seen.take_many(values[at : at + 100])
            low, high = seen.interval(ALPHA)
            held &= low <= truth <= high
        missed += not held
    assert missed / 150 <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 150)


def test_the_ends_are_order_statistics_moved_out_by_less_than_a_bin():
    values = np.random.default_rng(1).lognormal(size=3000)
    seen = QuantileSequence(0.95)
    seen.take_many(values)
    strength = 50 / (2 * math.log(20) + math.log(1 + 2 * math.log(20))) - 0.95 * 0.05
    a, b = strength / 0.05, strength / 0.95
    k = np.arange(3001)
    kept = k[scipy_stats.betabinom.logpmf(k, 3000, a, b) - scipy_stats.binom.logpmf(k, 3000, 0.95) < math.log(20)]
    ordered, (low, high) = np.sort(values), seen.interval(ALPHA)
    assert ordered[kept[0] - 1] / 1.017 <= low <= ordered[kept[0] - 1]
    assert ordered[kept[-1]] <= high <= ordered[kept[-1]] * 1.017
    assert seen.value == pytest.approx(np.quantile(values, 0.95, method="inverted_cdf"), rel=0.009)


def test_order_and_blocks_do_not_matter():
    values = np.random.default_rng(2).lognormal(size=500)
    one, other = QuantileSequence(0.95), QuantileSequence(0.95)
    one.take_many(values)
    for value in values[::-1].tolist():
        other.take(value)
    assert one.interval() == other.interval()
    assert (one.value, one.n) == (other.value, other.n)


def test_with_few_values_the_upper_end_of_a_high_quantile_is_open():
    seen = QuantileSequence(0.99)
    assert (seen.value, seen.interval()) == (None, (0.0, math.inf))
    seen.take_many(np.arange(1, 50))
    assert seen.interval()[1] == math.inf


def test_values_that_are_all_alike_have_the_ends_of_their_bin():
    seen = QuantileSequence(0.5)
    seen.take_many(np.full(1000, 7.0))
    low, high = seen.interval()
    assert low <= 7.0 < high
    assert high / low < 1.017


def test_zero_is_a_value():
    seen = QuantileSequence(0.5)
    seen.take_many(np.zeros(1000))
    assert (seen.value, seen.interval()[0]) == (0.0, 0.0)
    seen.take_many(np.full(5000, 3.0))
    assert seen.interval()[0] > 2.9


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(ValueError, match="NaN"):
        QuantileSequence(0.5).take(value)


@pytest.mark.parametrize("quantile", [0.0, 1.0, math.nan])
def test_a_quantile_lies_between_none_and_all(quantile):
    with pytest.raises(ValueError, match="quantile"):
        QuantileSequence(quantile)
