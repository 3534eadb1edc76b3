"""Errors of predicted numbers agree with scikit-learn, respect the unit, and refuse what has no spread."""

import math

import numpy as np
import pytest
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from gonogo import stats

PEERS = {
    "root_mean_squared_error": metrics.root_mean_squared_error,
    "mean_absolute_error": metrics.mean_absolute_error,
    "mean_absolute_percentage_error": metrics.mean_absolute_percentage_error,
    "r_squared": metrics.r2_score,
    "quantile_loss": lambda y, p, sample_weight=None: metrics.mean_pinball_loss(y, p, sample_weight=sample_weight, alpha=0.5),
}


def world(n=400, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(10, 2, n)
    return y, y + rng.normal(size=n), rng.random(n)


@pytest.mark.parametrize("name", PEERS)
def test_a_figure_is_scikit_learns(name):
    y, score, weight = world()
    figure = getattr(stats, name)
    assert figure(y, score).value == pytest.approx(PEERS[name](y, score), rel=1e-12)
    assert figure(y, score, weight=weight).value == pytest.approx(PEERS[name](y, score, sample_weight=weight), rel=1e-12)


numbers = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(numbers, numbers, st.floats(0.1, 10)), min_size=2, max_size=30))
def test_any_table_gives_scikit_learns_figure_or_a_refusal(rows):
    y, score, weight = (np.array(column) for column in zip(*rows, strict=True))
    for name, peer in PEERS.items():
        found = getattr(stats, name)(y, score, weight=weight)
        if found.value is not None:
            assert found.value == pytest.approx(peer(y, score, sample_weight=weight), rel=1e-10, abs=1e-9)
            assert found.interval.low <= found.value <= found.interval.high
            assert found.interval.low < found.interval.high


@pytest.mark.parametrize("q", [0.05, 0.5, 0.9])
def test_quantile_loss_is_scikit_learns_pinball(q):
    y, score, _ = world()
    assert stats.quantile_loss(y, score, q=q).value == pytest.approx(metrics.mean_pinball_loss(y, score, alpha=q), rel=1e-12)


@pytest.mark.parametrize("name", PEERS)
def test_the_interval_is_as_wide_as_the_bootstraps(name):
    y, score, _ = world(1000)
    rng = np.random.default_rng(1)
    figure = getattr(stats, name)
    drawn = [figure(y[i], score[i]).value for i in (rng.integers(0, 1000, 1000) for _ in range(1500))]
    found = figure(y, score)
    width = np.subtract(*np.quantile(drawn, [0.975, 0.025]))
    assert found.interval.high - found.interval.low == pytest.approx(width, rel=0.08)


def test_rows_of_one_unit_count_together():
    y, score, _ = world(200)
    unit = np.tile(np.arange(200), 4)
    for name in PEERS:
        figure = getattr(stats, name)
        alone, together = figure(y, score), figure(np.tile(y, 4), np.tile(score, 4), unit=unit)
        assert together.value == pytest.approx(alone.value)
        assert together.interval.low == pytest.approx(alone.interval.low)
        assert together.n_units == 200


def test_rows_of_weight_0_are_not_there():
    y, score, _ = world(100)
    weight = np.r_[np.zeros(40), np.ones(60)]
    for name in PEERS:
        figure = getattr(stats, name)
        assert figure(y, score, weight=weight).interval.low == pytest.approx(figure(y[40:], score[40:]).interval.low)
        assert figure(y, score, weight=weight).n_units == 60


def test_outcomes_of_nothing_have_no_percentage_and_are_counted():
    y, score, _ = world(100)
    y[:3] = 0
    assert stats.mean_absolute_percentage_error(y, score).refused.startswith("3 of 100 outcomes are 0")
    weight = np.r_[np.zeros(3), np.ones(97)]
    assert stats.mean_absolute_percentage_error(y, score, weight=weight).value is not None


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize(
    ("y", "score", "why"),
    [
        ([1.0, 2, 3], [1.0, 2, 3], "exact"),
        ([1.0, 2, math.nan], [1.0, 2, 3], "NaN"),
        ([1.0, 2, 3], [1.0, math.inf, 3], "infinite"),
        ([], [], "no row"),
        ([1.0], [2.0], ""),
    ],
)
def test_what_the_rows_cannot_give_is_refused(name, y, score, why):
    found = getattr(stats, name)(np.array(y), np.array(score))
    assert found.value is None
    assert why in found.refused
    assert found.refused


def test_r_squared_refuses_outcomes_that_are_all_the_same():
    assert "no variance" in stats.r_squared([2.0, 2, 2], [1.0, 2, 3]).refused


def test_interval_coverage_is_a_share_with_width():
    y = np.arange(100.0)
    found = stats.interval_coverage(y, y - 1, y + 1)
    assert (found.value, found.interval.high) == (1.0, 1.0)
    assert 0.9 < found.interval.low < 1
    assert stats.interval_coverage([1.0, 2, 3], [1.0, -math.inf, 4], [1.0, math.inf, 5]).value == pytest.approx(2 / 3)


def test_crossed_or_unknown_ends_are_refused():
    assert stats.interval_coverage([1.0, 2], [0.0, 3], [2.0, 2]).refused.startswith("1 intervals")
    assert "NaN" in stats.interval_coverage([1.0, 2], [0.0, math.nan], [2.0, 2]).refused
    with pytest.raises(ValueError, match="upper ends"):
        stats.interval_coverage([1.0, 2], [0.0, 3], [2.0])


@pytest.mark.parametrize("wrong", [{"q": 0.0}, {"q": 1.0}, {"level": 0.0}, {"weight": [1.0]}, {"unit": [1]}])
def test_a_wrong_call_is_a_value_error(wrong):
    with pytest.raises(ValueError):  # noqa: PT011
        stats.quantile_loss([1.0, 2], [2.0, 1], **wrong)


@pytest.mark.parametrize("number", [0, 4])
def test_intervals_hold_the_truth(number):
    assert simulate("regression", number, worlds=200).holds


@pytest.mark.parametrize("figure", [stats.root_mean_squared_error, stats.mean_absolute_error, stats.quantile_loss, stats.r_squared])
@pytest.mark.parametrize("size", [1e-200, 1e-17, 1e200])
def test_the_unit_of_measurement_changes_no_interval(figure, size):
    rng = np.random.default_rng(0)
    y = rng.normal(size=300)
    score, weight = y + rng.normal(size=300), np.r_[0.0, rng.uniform(size=299)]
    y[0] = 1e90  # of no weight: it is not there
    one, other = figure(y, score, weight=weight), figure(y * size, score * size, weight=weight)
    scale = 1 if figure is stats.r_squared else size
    for of in (lambda it: it.value, lambda it: it.interval.low, lambda it: it.interval.high):
        assert of(other) == pytest.approx(scale * of(one), rel=1e-9)
