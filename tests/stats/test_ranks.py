"""Facts about the order of two samples: superiority, distance of distributions, Anderson and Darling."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.stats
from benchmarks.truth.populations import CLAIMS
from benchmarks.truth.run import simulate
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gonogo import stats
from gonogo.stats.quadratic_forms import weighted_chi_square_tail
from gonogo.stats.ranks import anderson_darling_tail

few_values = hnp.arrays(np.float64, st.integers(2, 30), elements=st.integers(-3, 3).map(float))
values = few_values | hnp.arrays(np.float64, st.integers(2, 30), elements=st.floats(allow_nan=False, width=32))


@settings(deadline=None, max_examples=30)
@given(values, values)
def test_mann_whitney_agrees_with_scipy_ties_and_infinities_included(a, b):
    ours = stats.mann_whitney(a, b)
    if len(np.unique(np.concatenate([a, b]))) == 1:
        assert "every value on both sides is the same" in ours.refused
        return
    theirs = scipy.stats.mannwhitneyu(b, a)
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-12)
    assert 0 <= ours.effect.interval.low <= ours.effect.value <= ours.effect.interval.high <= 1
    assert ours.effect.interval.low < ours.effect.interval.high


@settings(deadline=None, max_examples=30)
@given(values, values)
def test_kolmogorov_smirnov_agrees_with_scipy(a, b):
    ours = stats.kolmogorov_smirnov(a, b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = scipy.stats.ks_2samp(a, b)
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-12)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert ours.effect.interval.low <= ours.effect.value <= ours.effect.interval.high


@settings(deadline=None, max_examples=30)
@given(few_values, few_values, few_values)
def test_anderson_darlings_statistic_is_scipys_for_two_samples_and_for_three(a, b, c):
    for samples in ((a, b), (a, b, c)):
        assume(len(np.unique(np.concatenate(samples))) > 1 and sum(map(len, samples)) > 4)
        ours = stats.anderson_darling(*samples)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = scipy.stats.anderson_ksamp(list(samples))
        assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-10)


def test_beyond_10_000_rows_kolmogorovs_limit_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=12_000), rng.normal(0.02, 1, size=15_000)
    assert stats.kolmogorov_smirnov(a, b).p_value == pytest.approx(scipy.stats.ks_2samp(a, b).pvalue, rel=1e-9)


def test_anderson_darlings_p_value_has_the_percentiles_of_its_authors_and_no_floor():
    # Scholz & Stephens (1987), table 1, in limit: A² of two samples at 25, 10, 5, 2.5 and 1 %.
    assert [anderson_darling_tail(x, 1) for x in (1.248, 1.933, 2.492, 3.070, 3.857)] == pytest.approx(
        [0.25, 0.1, 0.05, 0.025, 0.01], rel=0.03
    )
    rng = np.random.default_rng(1)
    assert 0 < stats.anderson_darling(rng.normal(size=200), rng.normal(1, 1, size=200)).p_value < 1e-12


def test_a_weighted_sum_of_chi_squares_has_the_tails_of_chi_square_where_the_weights_are_one():
    for dimensions in (1, 2, 5, 40):
        for value in (0.5, 3.0, 12.0, 60.0, 200.0):
            expected = scipy.stats.chi2.sf(value, dimensions)
            assert weighted_chi_square_tail(value, np.ones(dimensions)) == pytest.approx(expected, rel=1e-4, abs=2e-6)


def test_a_weighted_sum_of_chi_squares_has_the_tails_that_draws_have():
    weights = np.array([3.0, 1.0, 0.5, 0.5, 0.1])
    draws = (np.random.default_rng(0).normal(size=(200_000, 5)) ** 2) @ weights
    for value in (2.0, 6.0, 15.0, 30.0):
        assert weighted_chi_square_tail(value, weights) == pytest.approx(float((draws > value).mean()), abs=0.004)


def test_disjoint_supports_are_told_with_an_interval_of_some_width():
    a, b = np.arange(20.0), np.arange(100.0, 120.0)
    above = stats.mann_whitney(a, b)
    assert (above.effect.value, above.effect.interval.high) == (1.0, 1.0)
    assert 0.7 < above.effect.interval.low < 1
    apart = stats.kolmogorov_smirnov(a, b)
    assert apart.effect.value == 1.0
    assert apart.effect.interval.low < 1 == apart.effect.interval.high


def test_units_of_one_row_each_give_the_superiority_of_rows():
    rng = np.random.default_rng(0)
    a, b = rng.poisson(2, 40).astype(float), rng.poisson(3, 30).astype(float)
    plain, by_unit = stats.mann_whitney(a, b), stats.mann_whitney(a, b, unit_a=np.arange(40), unit_b=np.arange(40, 70))
    assert by_unit.effect.value == pytest.approx(plain.effect.value, rel=1e-12)
    assert by_unit.effect.interval.low == pytest.approx(plain.effect.interval.low, rel=1e-9)
    assert by_unit.p_value == pytest.approx(scipy.stats.brunnermunzel(a, b).pvalue, rel=1e-9)


def test_a_weight_of_zero_takes_a_row_out():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=30), rng.normal(size=30)
    weight = np.ones(30)
    weight[:5] = 0
    found = stats.mann_whitney(a, b, weight_a=weight, weight_b=np.ones(30)).effect.value
    assert found == pytest.approx(stats.mann_whitney(a[5:], b).effect.value, rel=1e-12)


def test_rows_that_move_together_widen_the_band_of_distances():
    rng = np.random.default_rng(0)
    a, b = np.repeat(rng.normal(size=30), 50), np.repeat(rng.normal(size=30), 50)
    unit_a, unit_b = np.repeat(np.arange(30), 50), np.repeat(np.arange(30, 60), 50)
    assert stats.kolmogorov_smirnov(a, b).p_value < 0.01
    assert stats.kolmogorov_smirnov(a, b, unit_a=unit_a, unit_b=unit_b).p_value > 0.05


def test_the_same_seed_gives_the_same_bytes():
    rng = np.random.default_rng(0)
    a, b, unit = rng.normal(size=300), rng.normal(size=300), np.repeat(np.arange(30), 10)
    first, again = (stats.kolmogorov_smirnov(a, b, unit_a=unit, unit_b=unit + 30, seed=7) for _ in range(2))
    assert first == again


def test_one_value_everywhere_has_distance_0_up_to_what_so_many_rows_could_have_missed():
    found = stats.kolmogorov_smirnov(np.ones(1000), np.ones(1000))
    assert (found.effect.value, found.p_value) == (0.0, 1.0)
    assert 0 < found.effect.interval.high < 0.1
    assert stats.anderson_darling(np.ones(9), np.ones(9)).refused


@pytest.mark.parametrize("test", [stats.mann_whitney, stats.kolmogorov_smirnov, stats.anderson_darling])
@pytest.mark.parametrize(("a", "why"), [([], "0 units"), ([1.0], "1 unit"), ([1.0, np.nan], "1 of 2 values of a are NaN")])
def test_what_the_data_cannot_give_is_refused_in_a_sentence(test, a, why):
    found = test(np.array(a), np.arange(5.0))
    assert found.refused.startswith(why)
    assert (found.statistic, found.p_value, found.effect.value) == (None, None, None)


@pytest.mark.parametrize(
    "name",
    [
        "Anderson–Darling, ties, 100 and 30 rows",
        "Mann–Whitney, ties, 20 and 30 units",
        "largest difference of shares, shifted, 100 and 200 rows",
    ],
)
def test_in_worlds_whose_truth_is_known_the_claim_holds(name):
    number = next(i for i, claim in enumerate(CLAIMS) if claim.name == name)
    assert simulate("populations", number, worlds=150).holds


@pytest.mark.parametrize("n", [30, 49, 1470, 3001])
def test_sides_that_lie_wholly_apart_have_a_superiority_of_one_by_unit_whatever_the_rounding(n):
    unit, low = np.arange(n) % 13, np.arange(n, dtype=np.float64)
    found = stats.mann_whitney(low, low + n, unit_a=unit, unit_b=unit + 50)
    assert found.effect.value == 1.0
    assert found.p_value == 2.0**-12
