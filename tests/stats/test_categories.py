"""Facts about two samples of categories, and of yes and no."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from benchmarks.truth.populations import CLAIMS
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from gonogo import stats
from gonogo.stats.categories import Table, _variance_by_unit
from gonogo.stats.two_samples import pair_of, spread

tables = st.lists(st.tuples(st.integers(20, 200), st.integers(20, 200)), min_size=2, max_size=5)


@settings(deadline=None, max_examples=30)
@given(tables)
def test_chi_square_agrees_with_scipy_where_no_category_is_rare(table):
    counts = np.array(table)
    a, b = (np.repeat(np.arange(len(counts)), counts[:, side]) for side in (0, 1))
    ours, theirs = stats.chi_square(a, b), scipy.stats.chi2_contingency(counts.T, correction=False)
    if theirs.expected_freq.min() < 5:
        return
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30), st.integers(1, 30))
def test_fisher_agrees_with_scipy_and_newcombe_with_statsmodels(yes_a, no_a, yes_b, no_b):
    a, b = (np.repeat([1, 0], [yes, no]) for yes, no in ((yes_a, no_a), (yes_b, no_b)))
    ours = stats.fisher(a, b)
    if ours.refused:
        assert min(len(a), len(b)) < 2
        return
    theirs = scipy.stats.fisher_exact([[yes_b, no_b], [yes_a, no_a]])
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    if min(yes_a, no_a, yes_b, no_b) > 0:
        assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-12)
    low, high = confint_proportions_2indep(yes_b, yes_b + no_b, yes_a, yes_a + no_a, method="newcomb", compare="diff")
    assert (ours.effect.interval.low, ours.effect.interval.high) == pytest.approx((low, high), abs=1e-9)


def test_cramers_v_is_bergsmas():
    counts = np.array([[60, 40, 30], [45, 50, 60]])
    n, k = counts.sum(), 3
    phi2 = scipy.stats.chi2_contingency(counts, correction=False).statistic / n
    corrected = max(0, phi2 - (k - 1) / (n - 1))
    expected = np.sqrt(corrected / min(k - (k - 1) ** 2 / (n - 1) - 1, 2 - 1 / (n - 1) - 1))
    a, b = (np.repeat(["x", "y", "z"], row) for row in counts)
    assert stats.chi_square(a, b).effect.value == pytest.approx(expected, rel=1e-12)


def test_units_of_one_row_each_leave_the_statistic_nearly_as_it_is():
    rng = np.random.default_rng(0)
    a, b = rng.choice(4, 300), rng.choice(4, 200)
    plain, by_unit = stats.chi_square(a, b), stats.chi_square(a, b, unit_a=np.arange(300), unit_b=np.arange(300, 500))
    assert by_unit.statistic == pytest.approx(plain.statistic, rel=0.05)


def test_rows_said_ten_times_are_no_more_evidence_where_their_unit_is_known():
    rng = np.random.default_rng(0)
    a, b = rng.choice(4, 60), rng.choice(4, 60)
    many_a, many_b = np.repeat(a, 10), np.repeat(b, 10)
    blind = stats.chi_square(many_a, many_b)
    aware = stats.chi_square(many_a, many_b, unit_a=np.repeat(np.arange(60), 10), unit_b=np.repeat(np.arange(60, 120), 10))
    once = stats.chi_square(a, b)
    assert blind.statistic == pytest.approx(10 * once.statistic)
    assert aware.statistic == pytest.approx(once.statistic, rel=0.1)


def test_ids_that_never_repeat_count_as_one_rare_category_and_not_as_a_difference():
    found = stats.chi_square([f"a{i}" for i in range(5000)], [f"b{i}" for i in range(5000)])
    assert (found.effect.value, found.p_value) == (0.0, 1.0)


def test_no_category_on_both_sides_is_as_different_as_can_be():
    found = stats.chi_square(["x"] * 50, ["y"] * 50)
    assert found.effect.value == pytest.approx(1.0)
    assert found.p_value < 1e-20


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_missing_categories_are_refused_for_their_share_is_another_question(missing):
    found = stats.chi_square(["x", "y", missing], ["x", "y", "y"])
    assert found.refused.startswith("1 of 3 values of a are missing")


def test_shares_of_nothing_and_of_everything_keep_a_width():
    found = stats.fisher(np.zeros(50), np.zeros(60))
    assert (found.effect.value, found.p_value) == (0.0, 1.0)
    assert found.effect.interval.low < 0 < found.effect.interval.high
    assert stats.fisher([0, 1, 2], [0, 1, 1]).refused == "a value is neither 0 nor 1"


@pytest.mark.parametrize(
    "name",
    [
        "chi-square, 8 categories, 30 and 40 units",
        "Cramér's V = 0.16, 200 and 300 rows",
        "difference of shares, 2 % and 5 %, 150 and 200 rows",
    ],
)
def test_in_worlds_whose_truth_is_known_the_claim_holds(name):
    number = next(i for i, claim in enumerate(CLAIMS) if claim.name == name)
    assert simulate("populations", number, worlds=150).holds


def test_samples_more_alike_than_chance_makes_them_keep_a_width():
    """The same 600 categories ten times each: χ² is 0, far below its mean under the null."""
    values = np.repeat(np.arange(600), 10)
    found = stats.chi_square(values, values).effect
    assert found.value == 0
    assert found.interval.high > 0.01


def test_rare_categories_that_repeat_and_hold_most_rows_are_refused_for_counted_as_one_they_would_hide_that_they_are_others():
    a, b = ([f"{side}{i // 3}" for i in range(3000)] for side in "ab")
    assert "2,000 categories with most of the rows are so rare" in stats.chi_square(a, b).refused


def test_sides_that_say_opposite_things_in_every_row_of_every_unit_differ():
    unit = np.arange(300) // 10
    found = stats.fisher(np.zeros(300), np.ones(300), unit_a=unit, unit_b=unit + 100)
    assert found.p_value == pytest.approx(2.0**-29)
    assert found.effect.interval.low > 0.5


@pytest.mark.parametrize("shared", [0, 1000])
def test_the_clustered_variance_of_all_categories_at_once_is_that_of_each_by_itself(shared):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 700), rng.integers(0, 5, 900)
    pair = pair_of(a, b, unit_a=rng.integers(0, 60, 700), unit_b=rng.integers(0, 80, 900) + shared)
    table = Table(count_a=np.bincount(a).astype(float), count_b=np.bincount(b).astype(float), group=np.arange(5))
    one_by_one = [
        spread(-((a == j) - (a == j).mean()) / 700, ((b == j) - (b == j).mean()) / 900, pair).standard_error ** 2 for j in range(5)
    ]
    np.testing.assert_allclose(_variance_by_unit(pair, table), one_by_one, rtol=1e-10)
