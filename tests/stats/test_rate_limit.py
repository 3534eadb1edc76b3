"""Facts about a rate against a limit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from gonogo.stats import RateLimit, beta_mixture
from gonogo.stats.bets import FAR_LOWER

ALPHA = 0.05
LIMIT = math.log(1 / ALPHA)
RUNS = 400
GIVE = 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


def watched(seed: int, rate: float, n: int, limit: float = 0.05) -> RateLimit:
    watch = RateLimit(limit)
    watch.take_many(np.random.default_rng(seed).random(n) < rate)
    return watch


def test_at_the_limit_neither_side_is_shown_however_often_one_looks():
    runs = [watched(seed, 0.05, 4000) for seed in range(RUNS)]
    harm, safe = (np.mean([getattr(run, name) >= LIMIT for run in runs]) for name in ("highest_harm", "highest_safe"))
    assert 0 < harm <= ALPHA + GIVE
    assert 0 < safe <= ALPHA + GIVE


def test_a_rate_above_is_found_and_never_called_safe():
    runs = [watched(seed, 0.15, 500) for seed in range(50)]
    assert all(run.highest_harm >= LIMIT > run.highest_safe for run in runs)


def test_a_rate_below_is_called_safe_and_never_harm():
    runs = [watched(seed, 0.01, 500) for seed in range(50)]
    assert np.mean([run.highest_safe >= LIMIT > run.highest_harm for run in runs]) >= 0.95


def test_without_a_hit_it_needs_hardly_more_trials_than_any_test():
    watch, n = RateLimit(0.01), 0
    while watch.highest_safe < math.log(1 / 0.0005):
        watch.take(False)
        n += 1
    least = math.log(1 / 0.0005) / 0.01
    assert least <= n <= least + 1.3 / 0.01


def test_the_evidence_is_the_likelihood_ratio_mixed_over_odds():
    watch = watched(4, 0.03, 700)
    mixed = [p / 100 * (odds**watch.n_hits) / (1 + 0.05 * (odds - 1)) ** 700 for odds, p in FAR_LOWER.items() if odds or watch.n_hits == 0]
    assert watch.safe == pytest.approx(math.log(sum(mixed)), rel=1e-9)


def test_one_by_one_and_all_at_once_give_the_same_bits():
    hit = np.random.default_rng(5).random(500) < 0.08
    many, single = RateLimit(0.05), RateLimit(0.05)
    many.take_many(hit)
    for one in hit.tolist():
        single.take(one)
    for name in ("harm", "highest_harm", "safe", "highest_safe", "n", "n_hits", "value"):
        assert getattr(many, name) == getattr(single, name)


def test_the_interval_ends_where_the_beta_mixture_has_refuted_the_rate():
    watch = watched(6, 0.04, 800)
    foretold = scipy_stats.betabinom.pmf(watch.n_hits, 800, 0.5, 0.5)
    for end in watch.interval(ALPHA):
        assert foretold / scipy_stats.binom.pmf(watch.n_hits, 800, end) == pytest.approx(1 / ALPHA, rel=1e-6)


def test_the_interval_begins_at_nothing_known_and_at_no_hit_reaches_down_to_zero():
    assert RateLimit(0.05).interval() == (0.0, 1.0)
    assert RateLimit(0.05).value is None
    none, all_hit = RateLimit(0.05), RateLimit(0.05)
    none.take_many([0] * 100)
    all_hit.take_many([1] * 100)
    assert none.interval()[0] == 0.0 < none.interval()[1] < 0.1
    assert 0.9 < all_hit.interval()[0] < all_hit.interval()[1] == 1.0


@pytest.mark.parametrize("rate", [0.01, 0.5])
def test_the_interval_holds_the_rate_at_all_times_at_once(rate):
    missed = 0
    for seed in range(150):
        hits = np.cumsum(np.random.default_rng(seed).random(2000) < rate)
        missed += any(not _holds(int(hits[n - 1]), n, rate) for n in range(20, 2001, 40))
    assert missed / 150 <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 150)


def _holds(hits: int, n: int, rate: float) -> bool:
    low, high = beta_mixture.chances_left(hits, n, ALPHA)
    return low <= rate <= high


def test_the_tuning_is_that_of_the_paper():
    # Howard et al. (2021): tuned for a summed variance of 50 at a chance of 0.05; the figure of their package confseq.
    assert beta_mixture.tuned(0.05, alpha=0.05, variance=50) == pytest.approx(6.2528, abs=5e-5)


def test_counts_that_are_left_are_those_that_do_not_refute():
    a, b = 6.2528 / 0.95, 6.2528 / 0.05
    least, most = beta_mixture.counts_left(1000, 0.05, ALPHA, 6.2528)
    kept = [k for k in range(1001) if beta_mixture.log_capital(k, 1000, 0.05, a, b) < LIMIT]
    assert (least, most) == (kept[0], kept[-1])
    assert kept == list(range(least, most + 1))
    assert beta_mixture.log_capital(70, 1000, 0.05, a, b) == pytest.approx(
        scipy_stats.betabinom.logpmf(70, 1000, a, b) - scipy_stats.binom.logpmf(70, 1000, 0.05), rel=1e-9
    )


@pytest.mark.parametrize("limit", [0.0, 1.0, -0.1, math.nan])
def test_a_limit_lies_between_none_and_all(limit):
    with pytest.raises(ValueError, match="limit"):
        RateLimit(limit)


@pytest.mark.parametrize("hits", [[0, 2], [math.nan], [[0, 1]]])
def test_what_is_neither_a_hit_nor_none_is_refused(hits):
    with pytest.raises(ValueError, match="trial"):
        RateLimit(0.5).take_many(hits)
