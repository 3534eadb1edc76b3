"""Facts about what a comparison could have seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from gonogo import stats
from gonogo.stats.power import could_have_seen, standard_error
from gonogo.stats.refusals import TooFewUnits, Undefined
from gonogo.types.evidence import Estimate, Of


def difference(n=200, shift=0.1, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    return stats.compare(y, y + rng.normal(size=n) + shift, y + rng.normal(size=n), metric=lambda y, s: (y - s) ** 2)


@given(n=st.integers(2, 5000), effect=st.floats(0.0, 3.0), level=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
@settings(deadline=None, max_examples=60)
def test_power_is_that_of_statsmodels(n, effect, level):
    theirs = TTestPower().power(effect, n, 1 - level)
    if not math.isnan(theirs):  # its series gives NaN on the wrong side
        assert stats.power_of_difference(effect, 1 / math.sqrt(n), n, level=level) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("n", [3, 20, 400, 90_000, 2_000_000])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_a_difference_of_the_detectable_size_is_found_with_that_power(n, power):
    least = stats.minimum_detectable_difference(0.01, n, power=power)
    assert stats.power_of_difference(least, 0.01, n) == pytest.approx(power, abs=1e-9)
    assert TTestPower().power(least / 0.01 / math.sqrt(n), n, 0.05) == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize("effect", [0.05, 0.2, 0.8, 2.0])
def test_the_units_needed_are_the_fewest_that_suffice(effect):
    m = stats.units_needed(effect, 1 / math.sqrt(50), 50)
    assert stats.power_of_difference(effect, 1 / math.sqrt(m), m) >= 0.8 > stats.power_of_difference(effect, 1 / math.sqrt(m - 1), m - 1)
    assert m == math.ceil(TTestPower().solve_power(effect_size=effect, alpha=0.05, power=0.8))


def test_an_estimate_tells_its_own_spread():
    found = difference()
    error = standard_error(found)
    assert stats.minimum_detectable_difference(found) == stats.minimum_detectable_difference(error, found.n_units)
    assert error == pytest.approx((found.interval.high - found.interval.low) / 2 / 1.971957, rel=1e-5)


def test_four_times_the_units_see_about_half_the_difference():
    few, many = stats.minimum_detectable_difference(0.02, 200), stats.minimum_detectable_difference(0.01, 800)
    assert few / many == pytest.approx(2, rel=0.01)


def test_the_sentence_names_the_difference_its_unit_and_the_power():
    found = difference()
    least = stats.minimum_detectable_difference(found)
    assert could_have_seen(found) == f"this test could have seen {least:.2g} (80 % power)"


def refused():
    return Estimate(
        metric="roc_auc", of=Of.DIFFERENCE, value=None, interval=None, n_units=9, n_rows=9, measured_in="", better="higher", refused="why"
    )


def test_what_was_refused_could_have_seen_nothing():
    assert could_have_seen(refused()) == "this test could have seen nothing: why"
    with pytest.raises(Undefined, match="why"):
        stats.units_needed(0.1, refused())


def test_calls_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="n_units"):
        stats.minimum_detectable_difference(0.1)
    with pytest.raises(TooFewUnits):
        stats.minimum_detectable_difference(0.1, 1)
    for error in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="above 0"):
            stats.minimum_detectable_difference(error, 9)
    for power in (0.0, 0.05, 1.0):
        with pytest.raises(ValueError, match="the power is"):
            stats.minimum_detectable_difference(0.1, 9, power=power)
    for nothing in (0.0, math.nan):
        with pytest.raises(ValueError, match="the difference is"):
            stats.units_needed(nothing, 0.1, 9)
    with pytest.raises(ValueError, match="the level is"):
        stats.power_of_difference(0.1, 0.1, 9, level=2.0)
