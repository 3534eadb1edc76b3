"""Facts about tests of several columns at once: energy distance, mean discrepancy, a classifier."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from benchmarks.truth.populations import CLAIMS
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist

from gonogo import stats
from gonogo.stats.features import Features
from gonogo.stats.mean_embedding import _frequencies, _picture

ALL = (stats.energy_distance, stats.maximum_mean_discrepancy, stats.classifier_two_sample)
values = hnp.arrays(np.float64, st.integers(2, 30), elements=st.integers(-5, 5).map(float))


@settings(deadline=None, max_examples=30)
@given(values, values)
def test_the_energy_distance_of_one_column_is_scipys(a, b):
    ours = stats.energy_distance(a, b)
    if len(np.unique(np.concatenate([a, b]))) == 1:
        assert ours.refused
        return
    assert ours.statistic == pytest.approx(scipy.stats.energy_distance(a, b), abs=1e-9)


def test_the_energy_distance_of_several_columns_is_that_of_all_pairs_up_to_its_directions():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(300, 3)), rng.normal(size=(200, 3)) + 0.6
    sd = np.concatenate([a, b]).std(axis=0)
    x, y = a / sd, b / sd
    exact = np.sqrt(2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean())
    over_seeds = [stats.energy_distance(a, b, seed=seed).statistic ** 2 for seed in range(4)]
    assert np.sqrt(np.mean(over_seeds)) == pytest.approx(exact, rel=0.05)


def test_the_features_multiply_to_the_gaussian_kernel():
    rng = np.random.default_rng(0)
    rows = Features(a=rng.normal(size=(40, 2)), b=rng.normal(size=(40, 2)))
    kernels = []
    for seed in range(40):
        frequencies = _frequencies(rows, np.random.default_rng(seed))
        kernels.append(_picture(rows.a, frequencies) @ _picture(rows.a, frequencies).T)
    mean = np.mean(kernels, axis=0)
    assert mean.diagonal() == pytest.approx(np.ones(40))
    distance = cdist(rows.a, rows.a, "sqeuclidean")
    slope = -2 * np.log(mean[(distance > 0) & (distance < 2)]) / distance[(distance > 0) & (distance < 2)]
    assert slope.std() < 0.25 * slope.mean()


@pytest.mark.parametrize("test", ALL)
def test_a_shift_a_spread_and_a_correlation_are_seen_and_nothing_is_not(test):
    rng = np.random.default_rng(5)
    a = rng.normal(size=(400, 2))
    tied = rng.normal(size=(400, 2))
    tied[:, 1] = 0.8 * tied[:, 0] + 0.6 * tied[:, 1]
    assert test(a, rng.normal(size=(400, 2)) + 0.4).p_value < 0.01
    assert test(a, 1.6 * rng.normal(size=(400, 2))).p_value < 0.01
    assert test(a, tied).p_value < 0.01
    assert test(a, rng.normal(size=(400, 2))).p_value > 0.01


@pytest.mark.parametrize("test", ALL)
def test_the_same_seed_gives_the_same_record_and_rows_in_another_type_too(test):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, (80, 2)), rng.integers(0, 9, (60, 2))
    assert test(a, b, seed=3) == test(a.astype(np.float32), b.astype(float), seed=3)


@pytest.mark.parametrize("test", ALL)
def test_one_row_or_none_is_refused_and_other_columns_are_a_wrong_call(test):
    for rows in (np.zeros((0, 2)), np.zeros((1, 2))):
        assert test(rows, np.ones((50, 2))).refused
    with pytest.raises(ValueError, match="columns"):
        test(np.ones((5, 2)), np.ones((5, 3)))
    with pytest.raises(ValueError, match="rows of numbers"):
        test(np.array([["a"]]), np.array([["b"]]))


@pytest.mark.parametrize("test", [stats.energy_distance, stats.maximum_mean_discrepancy])
def test_rows_without_a_distance_are_refused_and_so_is_no_spread_at_all(test):
    odd = np.array([[1.0, np.nan], [2.0, np.inf], [1.0, 1.0]])
    assert test(odd, np.ones((5, 2))).refused == "2 of 3 rows of a hold NaN or infinity: they have no distance"
    assert "the same" in test(np.ones(9), np.ones(9)).refused


def test_a_classifier_takes_missing_and_infinite_values_as_they_are():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(400, 1)), rng.normal(size=(400, 1))
    b[:100] = np.nan
    a[:5], b[300:305] = np.inf, -np.inf
    found = stats.classifier_two_sample(a, b)
    assert found.effect.value > 0.55
    assert found.p_value < 0.05


def test_a_constant_column_beside_another_harms_no_test():
    rng = np.random.default_rng(0)
    a, b = (np.column_stack([rng.normal(size=200), np.full(200, 7.0)]) for _ in range(2))
    assert all(test(a, b).p_value is not None for test in ALL)


def test_rows_of_a_unit_are_in_one_half_only_so_that_no_classifier_knows_them_again():
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(40), 20)
    own = rng.normal(size=(80, 3))
    a, b = own[unit], own[unit + 40]  # every row of a unit is the same: who has seen one knows all
    assert stats.classifier_two_sample(a, b).p_value < 1e-6
    assert stats.classifier_two_sample(a, b, unit_a=unit, unit_b=unit + 40).p_value > 0.01


def test_many_rows_are_compared_without_their_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=60_000), rng.normal(0.06, 1, size=50_000)
    assert stats.energy_distance(a, b).p_value == 0.001
    assert stats.maximum_mean_discrepancy(a, b).p_value < 1e-6


@pytest.mark.parametrize("name", ["classifier, 3 correlated columns, 120 and 200 rows", "mean discrepancy, ties, 60 and 60 rows"])
def test_in_worlds_whose_truth_is_known_the_claim_holds(name):
    number = next(i for i, claim in enumerate(CLAIMS) if claim.name == name)
    assert simulate("populations", number, worlds=60).holds


@pytest.mark.parametrize("test", [stats.energy_distance, stats.maximum_mean_discrepancy])
def test_values_whose_squares_are_no_numbers_are_refused(test):
    assert "beyond 1e+100" in test(np.linspace(0, 1e200, 50), np.linspace(0, 1, 50)).refused


def test_a_classifier_sees_a_column_that_is_the_same_in_every_row_of_a_side():
    rng = np.random.default_rng(0)
    a, b = (np.column_stack([np.full(500, side), rng.normal(size=500)]) for side in (0.0, 1.0))
    assert stats.classifier_two_sample(a, b).effect.value == 1.0


def test_two_copies_of_one_table_and_tables_that_overlap_are_not_told_apart():
    rng = np.random.default_rng(0)
    a, fresh = rng.normal(size=(2, 3000, 4))
    copies = stats.classifier_two_sample(a, a)
    assert (copies.effect.value, copies.p_value) == (0.5, 1.0)
    assert copies.effect.interval.low < 0.5 < copies.effect.interval.high
    below = [stats.classifier_two_sample(a, np.concatenate([a[:2400], fresh[:600]]), seed=seed).p_value < 0.05 for seed in range(20)]
    assert sum(below) <= 3
