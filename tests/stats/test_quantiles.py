import numpy as np
import pytest

from gonogo.stats.quantiles import quantile
from gonogo.stats.refusals import NotFinite, TooFewUnits


@pytest.mark.parametrize(("share", "n"), [(0.5, 30), (0.95, 200), (0.99, 400)])
def test_the_interval_holds_the_truth_at_least_as_often_as_it_says(share, n):
    truth = -np.log(1 - share)  # of the exponential distribution
    held = []
    for seed in range(400):
        interval = quantile(np.random.default_rng(seed).exponential(size=n), share).interval
        held.append(interval.low <= truth <= interval.high)
    assert np.mean(held) >= 0.93


def test_the_median_of_101_values_lies_between_the_41st_and_the_61st():
    figure = quantile(np.arange(1.0, 102.0), 0.5)
    assert (figure.interval.low, figure.value, figure.interval.high) == (41.0, 51.0, 61.0)


def test_too_few_values_for_a_tail_are_refused():
    with pytest.raises(TooFewUnits):
        quantile(np.arange(367.0), 0.99)
    assert quantile(np.arange(368.0), 0.99).interval.high == 367.0
    with pytest.raises(TooFewUnits):
        quantile(np.zeros(0), 0.5)


def test_nan_is_refused():
    with pytest.raises(NotFinite):
        quantile(np.array([1.0, np.nan]), 0.5)
