"""Facts about two means and how far apart they are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.stats
from benchmarks.truth.populations import CLAIMS
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gonogo import stats

numbers = hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e6, 1e6, width=32))


@settings(deadline=None, max_examples=30)
@given(numbers, numbers)
def test_welch_agrees_with_scipy_or_refuses_what_does_not_vary(a, b):
    ours = stats.welch(a, b)
    if ours.refused:
        assert max(np.ptp(a), np.ptp(b)) <= 1e-9 * max(1.0, np.abs(a).max(), np.abs(b).max())
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cancellation, where one side hardly varies
        theirs = scipy.stats.ttest_ind(b, a, equal_var=False)
    ends = theirs.confidence_interval()
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-12)
    assert (ours.effect.interval.low, ours.effect.interval.high) == pytest.approx((ends.low, ends.high), rel=1e-8, abs=1e-8)


def test_on_plain_samples_welch_is_scipys_to_1e_12():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=300), rng.normal(0.2, 1.5, size=200)
    ours, theirs = stats.welch(a, b), scipy.stats.ttest_ind(b, a, equal_var=False)
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-12)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-12)


def test_units_of_one_row_each_change_nothing():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=30), rng.normal(size=20)
    plain, by_unit = stats.welch(a, b), stats.welch(a, b, unit_a=np.arange(30), unit_b=np.arange(100, 120))
    assert by_unit.p_value == pytest.approx(plain.p_value, rel=1e-12)
    assert by_unit.n_units == 50


def test_rows_said_twice_in_a_unit_tell_no_more_than_once():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=40), rng.normal(0.4, 1, size=30)
    twice = stats.welch(np.repeat(a, 2), np.repeat(b, 2), unit_a=np.repeat(np.arange(40), 2), unit_b=np.repeat(np.arange(40, 70), 2))
    once = stats.welch(a, b)
    assert twice.p_value == pytest.approx(once.p_value, rel=1e-9)
    assert twice.effect.interval.high == pytest.approx(once.effect.interval.high, rel=1e-9)


def test_a_unit_on_both_sides_is_paired_with_itself():
    rng = np.random.default_rng(2)
    own = rng.normal(size=50) * 10
    a, b = own + rng.normal(size=50) * 0.1, own + 0.5 + rng.normal(size=50) * 0.1
    unit = np.arange(50)
    ours, paired = stats.welch(a, b, unit_a=unit, unit_b=unit), scipy.stats.ttest_rel(b, a)
    assert ours.statistic == pytest.approx(paired.statistic, rel=1e-9)
    assert ours.p_value == pytest.approx(paired.pvalue, rel=1e-9)
    assert stats.welch(a, b).p_value > 0.5


def test_weights_of_two_count_as_two_rows_of_one_unit():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=30), rng.normal(size=30)
    weighted = stats.welch(a, b, weight_a=np.full(30, 2.0), weight_b=np.full(30, 2.0))
    assert weighted.effect.value == pytest.approx(stats.welch(a, b).effect.value, rel=1e-12)
    assert weighted.p_value == pytest.approx(stats.welch(a, b).p_value, rel=1e-12)


def test_hedges_g_is_the_difference_over_the_pooled_deviation_less_its_small_sample_bias():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=12), rng.normal(1, 1, size=9)
    pooled = np.sqrt((11 * a.var(ddof=1) + 8 * b.var(ddof=1)) / 19)
    assert stats.hedges_g(a, b).value == pytest.approx((1 - 3 / 75) * (b.mean() - a.mean()) / pooled, rel=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ([], [1.0, 2.0], "0 units in a"),
        ([1.0], [1.0, 2.0], "1 unit in a"),
        ([1.0, 2.0], [np.nan, 2.0, 3.0], "1 of 3 values of b are NaN"),
        ([1.0, 2.0], [np.inf, 2.0], "b holds infinite values"),
        ([1.0, 1.0], [1.0, 1.0], "neither side varies"),
        ([1.0, 1.0], [2.0, 2.0], "neither side varies"),
    ],
)
@pytest.mark.parametrize("test", [stats.welch, stats.hedges_g])
def test_what_the_data_cannot_give_is_refused_in_a_sentence(test, a, b, why):
    found = test(np.array(a, dtype=float), np.array(b, dtype=float))
    assert found.refused.startswith(why)
    assert getattr(found, "p_value", None) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: stats.welch([[1.0]], [1.0]),
        lambda: stats.welch(["a"], [1.0]),
        lambda: stats.welch([1.0, 2], [1.0, 2], level=2),
        lambda: stats.welch([1.0, 2], [1.0, 2], unit_a=[1, 2]),
        lambda: stats.welch([1.0, 2], [1.0, 2], unit_a=[1], unit_b=[1, 2]),
        lambda: stats.welch([1.0, 2], [1.0, 2], weight_a=[1.0]),
    ],
)
def test_a_call_that_makes_no_sense_raises(call):
    with pytest.raises(ValueError):  # noqa: PT011
        call()


@pytest.mark.parametrize("name", ["Welch, 20 and 20 units of 1 to 19 rows", "Hedges g, exponential, 150 and 150 rows"])
def test_in_worlds_whose_truth_is_known_the_claim_holds(name):
    number = next(i for i, claim in enumerate(CLAIMS) if claim.name == name)
    assert simulate("populations", number, worlds=150).holds
