"""Facts about capitals over all that could happen: under the null none is worth more than 1 on average, to the last digit.

No simulation: every outcome of a short stream is played, and weighted by its chance.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from gonogo.stats import RateLimit, RelativeRisk, SampleRatio, beta_mixture, bets
from gonogo.stats.kernels_sequential import spread
from gonogo.stats.relative_risk import at_ratio

SHARES = np.array([0.05, 0.5, 0.05, 0.01, 0.3, 0.3, 0.9, 0.05])


def expected(capital, chance: np.ndarray) -> float:
    """The capital's mean over all streams of coins with these chances; capital: stream (n,) of 0 and 1 → its log."""
    streams = itertools.product((0, 1), repeat=len(chance))
    return math.fsum(float(np.prod(np.where(s, chance, 1 - chance))) * math.exp(capital(np.array(s))) for s in streams)


def risk(side: str):
    def capital(arm: np.ndarray) -> float:
        sequence = RelativeRisk(margin=2.0)
        sequence.take_many(arm, SHARES)
        return getattr(sequence, side)

    return capital


def test_equal_arms_give_a_fair_game_against_no_harm_whatever_the_shares():
    assert expected(risk("harm"), SHARES) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.99])
def test_a_better_challenger_gives_a_losing_one(ratio):
    assert expected(risk("harm"), at_ratio(SHARES, ratio)) < 1


def test_a_challenger_at_the_margin_gives_a_fair_game_against_it_and_beyond_a_losing_one():
    assert expected(risk("safe"), at_ratio(SHARES, 2.0)) == pytest.approx(1, abs=1e-12)
    assert expected(risk("safe"), at_ratio(SHARES, 2.5)) < 1
    assert expected(risk("safe"), at_ratio(SHARES, 40.0)) < 1


def test_a_challenger_that_is_worse_gives_a_winning_game_against_no_harm():
    assert expected(risk("harm"), at_ratio(SHARES, 3.0)) > 1.3
    assert expected(risk("safe"), at_ratio(SHARES, 1.0)) > 1.05


@pytest.mark.parametrize("side", ["harm", "safe"])
def test_a_rate_at_its_limit_gives_a_fair_game_on_both_sides(side):
    def capital(hit: np.ndarray) -> float:
        watch = RateLimit(0.1)
        watch.take_many(hit)
        return getattr(watch, side)

    assert expected(capital, np.full(8, 0.1)) == pytest.approx(1, abs=1e-12)
    assert expected(capital, np.full(8, 0.05 if side == "harm" else 0.2)) < 1


def test_a_rate_may_follow_what_was_seen_as_long_as_it_stays_on_its_side():
    # A rate that drops to nothing after every hit: still a losing game against "at most 10 %".
    total = 0.0
    for stream in itertools.product((0, 1), repeat=8):
        chance, last, watch = 1.0, 0, RateLimit(0.1)
        for hit in stream:
            p = 0.0 if last else 0.1
            chance, last = chance * (p if hit else 1 - p), hit
            watch.take(bool(hit))
        total += chance * math.exp(watch.harm)
    assert total <= 1 + 1e-12


def test_units_dealt_as_asked_give_a_fair_game():
    def capital(arm: np.ndarray) -> float:
        ratio = SampleRatio()
        ratio.take_many(arm, SHARES)
        return ratio.log_e

    assert expected(capital, SHARES) == pytest.approx(1, abs=1e-12)


def test_the_mixture_of_coins_gives_a_fair_game():
    assert expected(lambda hit: beta_mixture.log_capital(int(hit.sum()), 8, 0.3, 0.5, 0.5), np.full(8, 0.3)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (-1.0, 0.25), (-0.1, 3.0)])
def test_values_of_mean_nothing_give_a_fair_game(low, high):
    def capital(up: np.ndarray) -> float:
        laid = bets.Capital(bets.STAKES, reserve=bets.RESERVE)
        laid.bets(np.where(up, high, low))
        return laid.log_e

    mean_nothing = -low / (high - low)
    assert expected(capital, np.full(8, mean_nothing)) == pytest.approx(1, abs=1e-12)
    assert expected(capital, np.full(8, 0.8 * mean_nothing)) < 1


@pytest.mark.parametrize("mean", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("stake", [0.9, 0.35, 0.02])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_the_interval_of_a_mean_is_made_of_gains_nothing_either(mean, stake, sign):
    def capital(up: np.ndarray) -> float:
        sums = np.zeros(3)
        spread(up.astype(float), sums)
        return stake * sign * (sums[1] - len(up) * mean) + (math.log1p(-stake) + stake) * sums[2]

    assert expected(capital, np.full(8, mean)) <= 1 + 1e-12


@pytest.mark.parametrize(("laid", "side"), [(bets.HIGHER, 1), (bets.LOWER, -1), (bets.FAR_LOWER, -1)])
def test_every_bet_lies_on_its_own_side(laid, side):
    assert all((odds > 1) == (side == 1) for odds in laid)
