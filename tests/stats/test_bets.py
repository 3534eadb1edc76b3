"""Facts about the capital of a test that may be read after every observation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gonogo.stats import bets, twins_sequential

RNG = np.random.default_rng(7)
HIT = RNG.random(300) < 0.2
SHARE = RNG.choice([0.05, 0.25], 300)
GAIN = RNG.uniform(-1, 1.5, 300)
ALL = (bets.HIGHER, bets.LOWER, bets.FAR_LOWER, bets.STAKES)


@pytest.mark.parametrize("laid", ALL)
def test_the_whole_capital_is_laid_and_nothing_more(laid):
    assert math.isclose(sum(laid.values()), 100.0)
    assert min(laid.values()) > 0


def test_no_bet_gains_where_the_null_is_true_and_none_gains_inside_it():
    for odds in (*bets.HIGHER, *bets.LOWER, *bets.FAR_LOWER):
        for null in (0.01, 0.05, 0.5):
            for truth in (null, null / 2 if odds > 1 else (1 + null) / 2):
                gained = (truth * odds + 1 - truth) / (1 + null * (odds - 1))
                assert gained <= 1 + 1e-12


def test_no_stake_can_ruin():
    assert all(0 < stake < 1 for stake in bets.STAKES)


@pytest.mark.parametrize(("laid", "reserve"), [(bets.HIGHER, bets.RESERVE), (bets.HIGHER, 0.0), (bets.LOWER, 0.0), (bets.FAR_LOWER, 0.5)])
def test_the_loop_over_coins_gives_what_the_definition_says(laid, reserve):
    capital = bets.Capital(laid, reserve=reserve)
    found = []
    for hit, share in zip(HIT[:80], SHARE[:80], strict=True):
        capital.flip(hit, share)
        found.append(capital.log_e)
    expected = twins_sequential.capital_of_flips(HIT[:80], SHARE[:80], laid, reserve=reserve, patience=bets.PATIENCE)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert capital.highest == max(0.0, *found)


@pytest.mark.parametrize("reserve", [0.0, bets.RESERVE])
def test_the_loop_over_values_gives_what_the_definition_says(reserve):
    capital = bets.Capital(bets.STAKES, reserve=reserve)
    capital.bets(GAIN[:80])
    expected = twins_sequential.capital_of_bets(GAIN[:80], bets.STAKES, reserve=reserve, patience=bets.PATIENCE)
    assert capital.log_e == pytest.approx(expected[-1], rel=1e-9)
    assert capital.highest == pytest.approx(max(expected.max(), 0), rel=1e-9)


@pytest.mark.parametrize("cuts", [(300,), (1, 299), (100, 100, 100), (1,) * 300, (0, 17, 0, 283)])
def test_blocks_of_any_size_give_the_same_bits(cuts):
    whole, parts = bets.Capital(bets.HIGHER, reserve=bets.RESERVE), bets.Capital(bets.HIGHER, reserve=bets.RESERVE)
    whole.flips(HIT, SHARE)
    at = 0
    for size in cuts:
        parts.flips(HIT[at : at + size], SHARE[at : at + size])
        at += size
    assert (parts.log_e, parts.highest) == (whole.log_e, whole.highest)


def test_a_capital_beyond_every_number_is_still_counted():
    capital = bets.Capital(bets.HIGHER)
    capital.flips(np.ones(5000, dtype=np.bool_), np.full(5000, 0.05))
    assert capital.log_e == pytest.approx(5000 * math.log(1000 / (1 + 0.05 * 999)) + math.log(0.015), rel=1e-9)
    capital.flips(np.zeros(200, dtype=np.bool_), np.full(200, 0.05))
    assert capital.highest > capital.log_e > 1000


def test_a_capital_that_is_lost_says_so_and_never_comes_back():
    capital = bets.Capital({0.0: 100.0})
    capital.flip(True, 0.05)
    capital.flips(np.zeros(1000, dtype=np.bool_), np.full(1000, 0.05))
    assert capital.log_e == -math.inf
    assert capital.highest == 0.0


def test_harm_that_begins_late_is_found_sooner_with_a_reserve():
    quiet, loud = RNG.random(2000) < 0.05, RNG.random(2000) < 0.136
    waits = {}
    for reserve in (0.0, bets.RESERVE):
        capital = bets.Capital(bets.HIGHER, reserve=reserve)
        capital.flips(quiet, np.full(2000, 0.05))
        waits[reserve] = 0
        while capital.highest < math.log(1 / 0.001):
            capital.flip(loud[waits[reserve]], 0.05)
            waits[reserve] += 1
    assert waits[bets.RESERVE] < waits[0.0]


def test_a_capital_below_every_number_is_still_counted_and_can_come_back():
    capital = bets.Capital(bets.LOWER)
    capital.flips(np.ones(20_000, dtype=np.bool_), np.full(20_000, 0.5))
    per_hit = math.log(0.95 / (1 + 0.5 * (0.95 - 1)))
    assert capital.log_e == pytest.approx(20_000 * per_hit + math.log(0.02), rel=1e-9)
    capital.flips(np.zeros(30_000, dtype=np.bool_), np.full(30_000, 0.5))
    assert capital.log_e == pytest.approx(20_000 * per_hit + math.log(0.02) - 30_000 * math.log(1 + 0.5 * (0.95 - 1)), rel=1e-9)
    assert capital.highest == capital.log_e > 0
