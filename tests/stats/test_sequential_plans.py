"""Facts about how much traffic a sequence needs: what is foretold is what happens."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gonogo import stats
from gonogo.stats.relative_risk import at_ratio

ALPHA = 0.001
LIMIT = math.log(1 / ALPHA)


def median_until(make, draw, reached, guess: int) -> float:
    """The median, over 60 streams, of observations taken until `reached`, to the nearest eightieth of the guess."""
    block, waits = max(1, guess // 80), []
    for seed in range(60):
        test, rng, n = make(), np.random.default_rng(seed), 0
        while not reached(test) and n < 6 * guess:
            draw(test, rng, block)
            n += block
        waits.append(n)
    return float(np.median(waits))


@pytest.mark.parametrize(("ratio", "share"), [(3.0, 0.05), (2.0, 0.5), (10.0, 0.01)])
def test_events_until_harm(ratio, share):
    guess = stats.events_until_harm(ratio, share=share, alpha=ALPHA)
    found = median_until(
        stats.RelativeRisk,
        lambda test, rng, n: test.take_many(rng.random(n) < at_ratio(share, ratio), share),
        lambda test: test.highest_harm >= LIMIT,
        guess,
    )
    assert 0.7 <= found / guess <= 1.35


@pytest.mark.parametrize(("margin", "share"), [(2.0, 0.05), (1.5, 0.5)])
def test_events_until_safe(margin, share):
    guess = stats.events_until_safe(margin, share=share, alpha=ALPHA)
    found = median_until(
        lambda: stats.RelativeRisk(margin=margin),
        lambda test, rng, n: test.take_many(rng.random(n) < share, share),
        lambda test: test.highest_safe >= LIMIT,
        guess,
    )
    assert 0.7 <= found / guess <= 1.35


@pytest.mark.parametrize(("limit", "rate"), [(0.05, 0.15), (0.05, 0.01), (0.01, 0.0)])
def test_trials_until_a_side_is_shown(limit, rate):
    foretells = stats.trials_until_above if rate > limit else stats.trials_until_below
    side = "highest_harm" if rate > limit else "highest_safe"
    guess = foretells(limit, rate=rate, alpha=ALPHA)
    found = median_until(
        lambda: stats.RateLimit(limit),
        lambda test, rng, n: test.take_many(rng.random(n) < rate),
        lambda test: getattr(test, side) >= LIMIT,
        guess,
    )
    assert 0.7 <= found / guess <= 1.35


@pytest.mark.parametrize(("mean", "sd"), [(0.1, 0.3), (0.02, 0.1)])
def test_values_until_told(mean, sd):
    guess = stats.values_until_told(mean, sd=sd, reach=1.0, alpha=ALPHA)
    found = median_until(
        lambda: stats.BoundedMean(-1, 1),
        lambda test, rng, n: test.take_many(rng.uniform(mean - sd * math.sqrt(3), mean + sd * math.sqrt(3), n)),
        lambda test: test.highest_harm >= LIMIT,
        guess,
    )
    assert 0.7 <= found / guess <= 1.35


def test_units_until_mismatch():
    guess = stats.units_until_mismatch(0.05, dealt=0.08, alpha=ALPHA)
    found = median_until(
        stats.SampleRatio,
        lambda test, rng, n: test.take_many(rng.random(n) < 0.08, 0.05),
        lambda test: test.highest >= LIMIT,
        guess,
    )
    assert 0.7 <= found / guess <= 1.35


def test_more_certainty_smaller_effects_and_smaller_levels_need_more():
    plain = stats.events_until_harm(2.0, share=0.05, alpha=0.05)
    assert plain < stats.events_until_harm(2.0, share=0.05, alpha=0.05, likely=0.9)
    assert plain < stats.events_until_harm(1.5, share=0.05, alpha=0.05)
    assert plain < stats.events_until_harm(2.0, share=0.05, alpha=0.0005)
    assert plain < stats.events_until_harm(2.0, share=0.01, alpha=0.05)


def test_what_can_never_be_shown_is_said():
    assert stats.events_until_harm(1.0, share=0.05, alpha=0.05) is None
    assert stats.events_until_safe(2.0, share=0.05, alpha=0.05, ratio=2.0) is None
    assert stats.trials_until_above(0.05, rate=0.05, alpha=0.05) is None
    assert stats.trials_until_below(0.05, rate=0.06, alpha=0.05) is None
    assert stats.values_until_told(0.0, sd=0.1, reach=1.0, alpha=0.05) is None
    assert stats.units_until_mismatch(0.05, dealt=0.05, alpha=0.05) is None
    # Between the last bet and the margin nothing grows.
    assert stats.events_until_safe(1.001, share=0.05, alpha=0.05, ratio=1.0) is None


def test_values_that_never_vary_are_told_apart_at_the_speed_of_the_largest_stake():
    n = stats.values_until_told(0.1, sd=0.0, reach=1.0, alpha=0.05)
    assert 3 / math.log1p(0.098) < n < 6 / math.log1p(0.098)


@pytest.mark.parametrize("given", [{"share": 0.0}, {"share": 1.0}, {"alpha": 0.0}, {"likely": 1.0}])
def test_what_is_no_share_or_level_is_refused(given):
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.events_until_harm(2.0, **{"share": 0.05, "alpha": 0.05, **given})
