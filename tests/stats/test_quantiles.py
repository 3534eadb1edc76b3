import numpy as np
import pytest

from gonogo.stats.quantiles import quantile, quantile_difference
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


def test_the_difference_of_two_quantiles_holds_the_truth_however_the_samples_hang_together():
    held = {"apart": 0, "together": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        ours = rng.exponential(size=900)
        held["apart"] += _holds(quantile_difference(ours, 2 * rng.exponential(size=900), 0.95), -np.log(20))
        held["together"] += _holds(quantile_difference(ours, 2 * ours, 0.95), -np.log(20))
    assert min(held.values()) >= 0.93 * 200


def test_too_few_values_bound_no_difference():
    with pytest.raises(TooFewUnits):
        quantile_difference(np.arange(436.0), np.arange(1000.0), 0.99)
    assert quantile_difference(np.arange(437.0), np.arange(1000.0), 0.99).n_units == 437


def _holds(figure, truth: float) -> bool:
    return figure.interval.low <= truth <= figure.interval.high


@pytest.mark.parametrize("asked", [{"share": 1.5}, {"share": 0.5, "level": 2.0}])
def test_a_share_or_a_level_that_is_none_raises_and_does_not_blame_the_data(asked):
    with pytest.raises(ValueError, match="must lie between 0 and 1") as raised:
        quantile(np.arange(1000.0), **asked)
    assert not isinstance(raised.value, TooFewUnits)
