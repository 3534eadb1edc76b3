"""Gaps between slices, in worlds whose gaps are known."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from gonogo.stats.slice_gaps import gap


def world(n=6000, seed=0, apart=0.0, places=4):
    """A score that is right, in places that differ by nothing, or whose first one has its outcomes blurred."""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, places, n)
    p = rng.uniform(0.02, 0.98, n)
    truth = np.where((place == 0) & (rng.random(n) < apart), 0.5, p)
    return (rng.random(n) < truth).astype(float), p, place


def test_the_gap_is_the_highest_minus_the_lowest_slice():
    y, p, place = world(apart=0.5)
    found = gap(y, p, place, name="place")
    values = [roc_auc_score(y[place == k], p[place == k]) for k in range(4)]
    assert found.largest.value == pytest.approx(max(values) - min(values))
    assert found.largest.slice.endswith("against place=0")
    assert found.largest.interval.low > 0
    assert found.to_rest[0].p_value < 0.001
    assert found.to_rest[0].effect.interval.high < 0


def test_slices_alike_have_a_gap_whose_interval_begins_at_none():
    found = gap(*world())
    assert found.largest.interval.low == 0
    assert found.largest.value > 0
    assert min(one.p_value for one in found.to_rest) > 0.05


def test_gaps_of_decisions_take_their_threshold():
    y, p, place = world(apart=0.8)
    found = gap(y, p, place, metric="recall", threshold=0.4)
    called = p >= 0.4
    recalls = [(called & (place == k) & (y == 1)).sum() / ((place == k) & (y == 1)).sum() for k in range(4)]
    assert [one.value for one in found.slices] == pytest.approx(recalls)
    assert found.largest.value == pytest.approx(max(recalls) - min(recalls))


def test_units_that_slices_share_make_their_difference_surer():
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(60), 100)
    shift = rng.normal(0, 0.2, 60)[unit]
    loss = shift + rng.normal(0.5, 0.1, 6000)
    place = rng.integers(0, 2, 6000)
    loss_of = lambda y, score: score  # noqa: E731
    shared = gap(np.zeros(6000), loss, place, metric=loss_of, unit=unit)
    own = shared.slices[0].interval.high - shared.slices[0].interval.low
    apart = shared.largest.interval.high - shared.largest.interval.low
    assert apart < 0.3 * own


def test_small_slices_are_refused_and_left_out():
    y, p, place = world()
    place = np.where(np.arange(6000) < 20, 9, place)
    found = gap(y, p, place)
    assert found.slices[-1].refused == "20 units of 30 asked"
    assert "9" not in found.largest.slice
    lonely = gap(y, p, np.zeros(6000))
    assert lonely.largest.refused == "1 of 1 slices could be measured: a gap needs two"
    assert lonely.to_rest[0].refused


def test_a_slice_without_a_miss_is_refused_rather_than_taken_as_sure():
    y, p, place = world()
    y = np.where(place == 2, (p > 0.5).astype(float), y)
    found = gap(y, p, place, metric="accuracy")
    assert "unknown" in found.slices[2].refused


def test_wrong_calls_raise():
    y, p, place = world(100)
    with pytest.raises(ValueError, match="no figure is named"):
        gap(y, p, place, metric="nothing")
    with pytest.raises(ValueError, match="takes 'rate'"):
        gap(y, p, place, metric="recall", rate=0.1)
