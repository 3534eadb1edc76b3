"""Facts about the shares that units are dealt in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from gonogo.stats import SampleRatio


def dealt(seed: int, n: int, share: float, asked: float) -> SampleRatio:
    ratio = SampleRatio()
    ratio.take_many(np.random.default_rng(seed).random(n) < share, asked)
    return ratio


def test_units_dealt_as_asked_raise_no_alarm_however_often_one_looks():
    called = np.mean([dealt(seed, 2000, 0.05, 0.05).highest >= math.log(20) for seed in range(400)])
    assert 0 < called <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("share", [0.08, 0.03])
def test_a_mismatch_to_either_side_is_found(share):
    assert np.mean([dealt(seed, 5000, share, 0.05).highest >= math.log(1000) for seed in range(30)]) >= 0.95


def test_the_evidence_is_that_of_the_dirichlet_multinomial():
    arm = np.random.default_rng(3).random(700) < 0.06
    ratio = SampleRatio()
    ratio.take_many(arm, 0.05)
    k = int(arm.sum())
    expected = scipy_stats.betabinom.logpmf(k, 700, 200 * 0.05, 200 * 0.95) - scipy_stats.binom.logpmf(k, 700, 0.05)
    assert ratio.log_e == pytest.approx(expected, rel=1e-9)


def test_the_evidence_of_several_shares_multiplies():
    arm, share = np.random.default_rng(4).random(600) < 0.3, np.tile([0.05, 0.5], 300)
    both, low, high = SampleRatio(), SampleRatio(), SampleRatio()
    both.take_many(arm, share)
    low.take_many(arm[share == 0.05], 0.05)
    high.take_many(arm[share == 0.5], 0.5)
    assert both.log_e == pytest.approx(low.log_e + high.log_e)
    assert (both.n_challenger, both.n_champion) == (int(arm.sum()), int((~arm).sum()))


def test_a_share_of_none_or_all_says_nothing_until_it_is_broken():
    ratio = SampleRatio()
    ratio.take_many([0, 1, 0], [0.0, 1.0, 0.0])
    assert ratio.log_e == 0.0
    ratio.take(1, 0.0)
    assert ratio.log_e == ratio.highest == math.inf


def test_nothing_was_seen_before_the_first_unit():
    ratio = SampleRatio()
    assert (ratio.log_e, ratio.highest, ratio.value) == (0.0, 0.0, None)


@pytest.mark.parametrize(("arm", "share"), [(2, 0.5), (0.5, 0.5), (1, 1.5), (1, math.nan)])
def test_what_is_no_arm_or_no_share_is_refused(arm, share):
    with pytest.raises(ValueError, match="arm"):
        SampleRatio().take(arm, share)
