"""Facts about the mean of bounded values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gonogo.stats import BoundedMean

ALPHA = 0.05
LIMIT = math.log(1 / ALPHA)
RUNS = 400
GIVE = 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


def values(seed: int, mean: float, n: int, kind: str = "spread") -> np.ndarray:
    """(n,) in [−1, 1] with that mean: spread out, or mostly 0 and now and then at an end."""
    rng = np.random.default_rng(seed)
    if kind == "spread":
        return mean + rng.uniform(-1, 1, n) * (1 - abs(mean))
    return rng.choice([-1.0, 0.0, 1.0], n, p=[0.04 - mean / 2, 0.92, 0.04 + mean / 2])


def watched(seed: int, mean: float, n: int, kind: str = "spread") -> BoundedMean:
    watch = BoundedMean(-1, 1, margin=0.05)
    watch.take_many(values(seed, mean, n, kind))
    return watch


@pytest.mark.parametrize("kind", ["spread", "rare"])
def test_where_nothing_is_worse_no_harm_is_shown_however_often_one_looks(kind):
    called = np.mean([watched(seed, 0.0, 3000, kind).highest_harm >= LIMIT for seed in range(RUNS)])
    assert 0 < called <= ALPHA + GIVE


@pytest.mark.parametrize("kind", ["spread", "rare"])
def test_a_mean_at_the_margin_is_not_called_safe_however_often_one_looks(kind):
    called = np.mean([watched(seed, 0.05, 3000, kind).highest_safe >= LIMIT for seed in range(RUNS)])
    assert 0 < called <= ALPHA + GIVE


def test_harm_is_found_and_harmless_means_are_certified():
    assert all(watched(seed, 0.2, 1500).highest_harm >= LIMIT for seed in range(30))
    assert all(watched(seed, 0.2, 1500).highest_safe < LIMIT for seed in range(30))
    assert np.mean([watched(seed, -0.05, 2000).highest_safe >= LIMIT for seed in range(50)]) >= 0.9


def test_a_mean_that_drifts_but_is_never_above_shows_no_harm():
    called = 0
    for seed in range(200):
        watch = BoundedMean(-1, 1)
        watch.take_many(np.concatenate([values(seed, -0.1, 1000), values(seed + 500, 0.0, 2000)]))
        called += watch.highest_harm >= LIMIT
    assert called / 200 <= ALPHA + GIVE


def test_one_by_one_and_all_at_once_give_the_same_bits():
    given = values(1, 0.02, 400) * 1.2  # some are cut off
    many, single = BoundedMean(-1, 1, margin=0.05), BoundedMean(-1, 1, margin=0.05)
    many.take_many(given)
    for one in given.tolist():
        single.take(one)
    for name in ("harm", "highest_harm", "safe", "highest_safe", "n", "n_cut", "value"):
        assert getattr(many, name) == getattr(single, name)
    assert many.interval() == single.interval()
    assert many.n_cut > 0


def test_what_lies_beyond_the_range_is_cut_off_to_it_and_counted():
    watch = BoundedMean(-1, 1)
    watch.take_many([5.0, -7.0, math.inf, 0.5])
    assert (watch.n, watch.n_cut) == (4, 3)
    assert watch.value == pytest.approx((1 - 1 + 1 + 0.5) / 4)


def test_swapped_arms_turn_the_ruling_round():
    given = values(3, 0.3, 500)
    ours, theirs = BoundedMean(-1, 1, margin=0.05), BoundedMean(-1, 1, margin=0.05)
    ours.take_many(given)
    theirs.take_many(-given)
    assert ours.highest_harm >= LIMIT > ours.highest_safe
    assert theirs.highest_safe >= LIMIT > theirs.highest_harm


@pytest.mark.parametrize("kind", ["spread", "rare"])
def test_the_interval_holds_the_mean_at_all_times_at_once_and_narrows(kind):
    missed, widths = 0, []
    for seed in range(150):
        watch, given, held = BoundedMean(-1, 1), values(seed, 0.02, 3000, kind), True
        for at in range(0, 3000, 150):
            watch.take_many(given[at : at + 150])
            low, high = watch.interval(ALPHA)
            held &= low <= 0.02 <= high
            widths.append((watch.n, high - low))
        missed += not held
    assert missed / 150 <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 150)
    of = {n: np.mean([width for m, width in widths if m == n]) for n in (150, 3000)}
    sd = {"spread": 1 / math.sqrt(3), "rare": math.sqrt(0.08)}[kind]
    assert of[3000] < of[150]
    assert of[3000] < 2 * 1.96 * sd / math.sqrt(3000) * 2.2  # little more than twice an interval for one look


def test_the_interval_is_that_of_the_empirical_bernstein_mixture():
    given = values(4, 0.1, 50)
    watch = BoundedMean(-1, 1)
    watch.take_many(given)
    share = (given + 1) / 2
    before = (0.5 + np.concatenate([[0.0], np.cumsum(share)[:-1]])) / np.arange(1, 51)
    square = ((share - before) ** 2).sum()
    low, _ = watch.interval(ALPHA)
    deviation = share.sum() - 50 * (low + 1) / 2
    stakes = np.array([0.9, 0.7, 0.5, 0.35, 0.25, 0.16, 0.1, 0.06, 0.035, 0.02, 0.01, 0.005, 0.002])
    assert np.mean(np.exp(stakes * deviation + (np.log1p(-stakes) + stakes) * square)) == pytest.approx(2 / ALPHA, rel=1e-6)


def test_nothing_was_seen_before_the_first_value():
    watch = BoundedMean(-1, 1)
    watch.take_many([])
    assert (watch.n, watch.value, watch.interval(), watch.harm) == (0, None, (-1, 1), 0.0)
    assert watch.highest_safe == -math.inf  # without a margin nothing is safe


def test_a_value_that_is_missing_is_refused_and_leaves_everything_as_it_was():
    watch = BoundedMean(-1, 1, margin=0.1)
    for take, given in ((watch.take, math.nan), (watch.take_many, [0.1, math.nan])):
        with pytest.raises(ValueError, match="NaN"):
            take(given)
    assert (watch.n, watch.harm, watch.safe) == (0, 0.0, 0.0)


@pytest.mark.parametrize("given", [{"low": 0.0, "high": 1.0}, {"low": -1.0, "high": math.inf}, {"low": -1.0, "high": 1.0, "margin": 1.0}])
def test_a_range_that_cannot_be_judged_is_refused(given):
    with pytest.raises(ValueError, match=r"range|margin"):
        BoundedMean(**given)
