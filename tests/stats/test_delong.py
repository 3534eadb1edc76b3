import numpy as np
import pytest

from gonogo.stats.delong import roc_auc_difference, roc_auc_interval
from gonogo.stats.discrimination import prepare_roc_auc, roc_auc
from gonogo.stats.refusals import NoSpread, TooFewUnits, Undefined
from gonogo.stats.resampling import unit_draws


def _world(seed: int = 0, n_units: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), rng.poisson(15, n_units) + 2)
    score = np.round(rng.normal(size=len(unit)), 1)
    shift = rng.normal(0, 0.7, n_units)[unit]
    return (rng.random(len(unit)) < 1 / (1 + np.exp(1 - score - shift))).astype(float), score, unit


def test_the_value_is_the_area_ties_and_weights_included():
    y, score, unit = _world()
    weight = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    assert roc_auc_interval(y, score, unit, weight).value == pytest.approx(roc_auc(y, score, weight), abs=1e-12)


def test_independent_rows_give_delongs_variance():
    y, score, _ = _world()
    won = (score[y == 1][:, None] > score[y == 0]) + 0.5 * (score[y == 1][:, None] == score[y == 0])
    m, n = won.shape
    by_hand = np.sqrt(won.mean(axis=1).var(ddof=1) / m + won.mean(axis=0).var(ddof=1) / n)
    interval = roc_auc_difference(y, score, np.zeros(len(y)), np.arange(len(y))).interval
    assert (interval.high - interval.low) / (2 * 1.9621) == pytest.approx(by_hand, rel=0.005)


def test_clustered_rows_give_the_bootstraps_error():
    y, score, unit = _world()
    figure = prepare_roc_auc(y, score)
    drawn = np.std([figure(draw[unit]) for draw in unit_draws(80, 2000, seed=1)])
    interval = roc_auc_difference(y, score, np.zeros(len(y)), unit).interval
    assert (interval.high - interval.low) / (2 * 1.990) == pytest.approx(drawn, rel=0.05)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth():
    y, score, _ = _world(99, n_units=20_000)
    truth, held = roc_auc(y, score), []
    for seed in range(600):
        interval = roc_auc_interval(*_world(seed, n_units=40)).interval
        held.append(interval.low <= truth <= interval.high)
    assert 0.925 <= np.mean(held) <= 0.975


def test_swapping_the_arms_flips_the_difference():
    y, score, unit = _world()
    other = score + np.random.default_rng(3).normal(0, 0.5, len(y))
    there, back = roc_auc_difference(y, score, other, unit), roc_auc_difference(y, other, score, unit)
    assert (there.value, there.interval.low) == pytest.approx((-back.value, -back.interval.high))
    assert there.interval.low > 0


def test_the_interval_stays_within_0_and_1():
    y = np.r_[np.zeros(30), np.ones(30)]
    score = np.arange(60.0)
    score[[29, 30]] = score[[30, 29]]
    interval = roc_auc_interval(y, score, np.arange(60)).interval
    assert 0.9 < interval.low < interval.high < 1


def test_a_perfect_ranking_one_class_and_one_unit_are_refused():
    y = np.r_[np.zeros(5), np.ones(5)]
    with pytest.raises(NoSpread):
        roc_auc_interval(y, np.arange(10.0), np.arange(10))
    with pytest.raises(Undefined):
        roc_auc_interval(np.ones(10), np.arange(10.0), np.arange(10))
    with pytest.raises(TooFewUnits):
        roc_auc_interval(y, np.arange(10.0), np.zeros(10, dtype=int))
    with pytest.raises(NoSpread):
        roc_auc_difference(y, np.arange(10.0), np.arange(10.0), np.arange(10))


def test_units_without_weight_are_not_counted():
    rng = np.random.default_rng(0)
    y = (rng.random(200) < 0.4).astype(float)
    ours, weight = rng.normal(size=200) + y, np.r_[np.ones(100), np.zeros(100)]
    theirs, unit, seen = ours + 0.3 * rng.normal(size=200), np.arange(200), slice(100)
    assert roc_auc_interval(y, ours, unit, weight).interval == roc_auc_interval(y[seen], ours[seen], unit[seen]).interval
    weighted, alone = roc_auc_difference(y, ours, theirs, unit, weight), roc_auc_difference(y[seen], ours[seen], theirs[seen], unit[seen])
    assert (weighted.n_units, weighted.interval.high) == (100, pytest.approx(alone.interval.high, rel=1e-12))
