"""Facts about which arm bad events fall on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from gonogo.stats import RelativeRisk
from gonogo.stats.bets import HIGHER, LOWER, RESERVE
from gonogo.stats.relative_risk import at_ratio

ALPHA = 0.05
LIMIT = math.log(1 / ALPHA)


def events(seed: int, n: int, ratio: float, share: float = 0.05) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < at_ratio(share, ratio)


def judged(arm: np.ndarray, share=0.05, margin: float | None = 2.0) -> RelativeRisk:
    risk = RelativeRisk(margin=margin)
    risk.take_many(arm, share)
    return risk


def test_one_by_one_and_all_at_once_give_the_same_bits():
    arm, share = events(1, 500, 2.0), np.random.default_rng(2).choice([0.01, 0.05, 0.5], 500)
    many, single = judged(arm, share), RelativeRisk(margin=2.0)
    for one, its in zip(arm.astype(int).tolist(), share.tolist(), strict=True):
        single.take(one, its)
    for name in ("harm", "highest_harm", "safe", "highest_safe", "n_champion", "n_challenger", "value"):
        assert getattr(many, name) == getattr(single, name)
    assert many.interval() == single.interval()


def test_the_evidence_of_a_margin_is_the_likelihood_ratio_mixed_over_ratios():
    arm = events(3, 200, 1.0)
    k, there = int(arm.sum()), at_ratio(0.05, 2.0)
    mixed = [p / 100 * odds**k / (1 + there * (odds - 1)) ** 200 for odds, p in LOWER.items()]
    assert judged(arm).safe == pytest.approx(math.log(sum(mixed)), rel=1e-9)
    # Odds of 0.5 against a margin of 2 are those of equal arms.
    assert at_ratio(0.05, 1.0) == pytest.approx(there * 0.5 / (1 + there * (0.5 - 1)))


def test_no_harm_is_shown_where_there_is_none_however_often_one_looks():
    called = [judged(events(seed, 4000, 1.0)).highest_harm >= LIMIT for seed in range(600)]
    # No more than alpha, give or take three standard errors of the simulation.
    assert np.mean(called) <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 600)
    assert sum(called) > 0  # a test that never speaks would pass too


def test_no_harm_is_shown_where_the_challenger_is_better():
    called = [judged(events(seed, 4000, 0.7)).highest_harm >= LIMIT for seed in range(200)]
    assert np.mean(called) <= 0.02


def test_an_outage_that_hits_both_arms_blames_nobody():
    risk = judged(events(5, 40_000, 1.0))  # whatever the rate of events did, the coins are the same
    assert risk.highest_harm < LIMIT


def test_harm_is_shown_and_an_outage_of_the_challenger_at_once():
    assert all(judged(events(seed, 600, 3.0)).highest_harm >= LIMIT for seed in range(30))
    outage = judged(np.ones(5, dtype=int))
    assert outage.highest_harm >= math.log(100 / ALPHA)  # one of a hundred watches, and five requests


def test_a_challenger_at_the_margin_is_not_certified_however_often_one_looks():
    called = [judged(events(seed, 4000, 2.0)).highest_safe >= LIMIT for seed in range(600)]
    assert np.mean(called) <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 600)
    assert sum(called) > 0
    assert not any(judged(events(seed, 4000, 3.0)).highest_safe >= LIMIT for seed in range(100))


def test_a_harmless_challenger_is_certified():
    assert np.mean([judged(events(seed, 600, 1.0)).highest_safe >= LIMIT for seed in range(100)]) >= 0.9


def test_swapped_arms_turn_the_ruling_round():
    arm = events(9, 400, 4.0, share=0.5)
    assert judged(arm, 0.5).highest_harm >= LIMIT > judged(arm, 0.5).highest_safe
    assert judged(~arm, 0.5).highest_safe >= LIMIT > judged(~arm, 0.5).highest_harm


def test_without_a_margin_nothing_is_safe():
    assert judged(np.zeros(5000, dtype=int), margin=None).highest_safe == -math.inf


def test_nothing_was_seen_before_the_first_event():
    risk = RelativeRisk(margin=2.0)
    assert (risk.harm, risk.highest_harm, risk.safe, risk.value, risk.interval()) == (0.0, 0.0, 0.0, None, (0.0, math.inf))
    risk.take_many([], [])
    assert risk.value is None


def test_an_event_whose_arm_was_certain_says_nothing():
    risk = judged(np.array([0, 1, 1]), np.array([0.0, 1.0, 1.0]))
    risk.take(1, share=1.0)
    assert (risk.n_champion, risk.n_challenger, risk.harm) == (0, 0, 0.0)


def test_the_interval_ends_where_a_mixture_over_ratios_has_refuted_them():
    arm = events(11, 300, 1.5)
    k, at = int(arm.sum()), np.arange(-240, 241) / 40
    weight = (1 / (1 + at**2)) / (1 / (1 + at**2)).sum()
    foretold = (weight * scipy_stats.binom.pmf(k, 300, at_ratio(0.05, np.exp(at)))).sum()
    for end in judged(arm).interval(ALPHA):
        assert foretold / scipy_stats.binom.pmf(k, 300, at_ratio(0.05, end)) == pytest.approx(1 / ALPHA, rel=1e-6)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_the_interval_holds_the_ratio_at_all_times_at_once(ratio):
    missed = 0
    for seed in range(150):
        arm, risk, held = events(seed, 600, ratio), RelativeRisk(), True
        for at in range(0, 600, 25):
            risk.take_many(arm[at : at + 25], 0.05)
            low, high = risk.interval(ALPHA)
            held &= low <= ratio <= high
        missed += not held
    assert missed / 150 <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 150)


def test_the_ratio_and_its_interval_join_events_of_several_shares():
    early, late = events(1, 2000, 2.0, 0.05), events(2, 2000, 2.0, 0.5)
    risk = judged(np.concatenate([early, late]), np.repeat([0.05, 0.5], 2000))
    low, high = risk.interval(ALPHA)
    assert low < 2.0 < high
    assert low < risk.value < high
    of_late = judged(late, 0.5).interval(ALPHA)
    assert high - low < of_late[1] - of_late[0]


def test_an_arm_without_events_has_an_open_end():
    assert judged(np.zeros(40, dtype=int)).value == 0.0
    assert judged(np.zeros(400, dtype=int)).interval()[0] == 0.0
    assert judged(np.ones(40, dtype=int)).value == math.inf
    low, high = judged(np.ones(40, dtype=int)).interval()
    assert low > 20
    assert high == math.inf


def test_an_event_of_each_unit_keeps_the_level_and_every_event_of_it_does_not():
    # Units stay on their arm. Each has 20 requests, and few of them are frail and err on most.
    rng = np.random.default_rng(0)
    once = naive = 0
    for _ in range(200):
        arm, frail = rng.random(1500) < 0.05, rng.random(1500) < 0.05
        errors = np.where(frail, rng.binomial(20, 0.6, 1500), rng.binomial(20, 0.005, 1500))
        naive += judged(np.repeat(arm, errors)[rng.permutation(errors.sum())]).highest_harm >= LIMIT
        once += judged(arm[errors > 0]).highest_harm >= LIMIT
    assert once / 200 <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 200)
    assert naive / 200 > 0.15


@pytest.mark.parametrize(("arm", "share"), [(2, 0.5), (-1, 0.5), (1, 1.5), (1, -0.1), (1, math.nan)])
def test_what_is_no_arm_or_no_share_is_refused(arm, share):
    with pytest.raises(ValueError, match=r"arm|share"):
        RelativeRisk().take(arm, share)
    with pytest.raises(ValueError, match=r"arm|share"):
        RelativeRisk().take_many([0, arm], [0.5, share])


@pytest.mark.parametrize("margin", [1.0, 0.5, math.nan])
def test_a_margin_lies_above_one(margin):
    with pytest.raises(ValueError, match="margin"):
        RelativeRisk(margin=margin)


def test_the_bets_that_wait_are_part_of_one_capital():
    risk = RelativeRisk()
    risk.take(1, 0.05)
    waits = RESERVE * math.sqrt(30 / 31)
    grown = sum(p / 100 * odds / (1 + 0.05 * (odds - 1)) for odds, p in HIGHER.items())
    assert risk.harm == pytest.approx(math.log(waits + (1 - waits) * grown))
