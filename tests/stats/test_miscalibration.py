import numpy as np
import pytest
from benchmarks.truth.probabilities import CLAIMS
from benchmarks.truth.run import simulate

from gonogo import stats
from gonogo.stats import gaps
from gonogo.stats.calibration_error import calibration_error
from gonogo.stats.estimates import rows_of
from gonogo.stats.gaps import gaps_from_mean, gaps_from_zero


def world(seed: int, n: int = 900, tilt: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.85, n)
    return (rng.random(n) < p).astype(float), p + tilt


def number(name: str) -> int:
    (found,) = (i for i, claim in enumerate(CLAIMS) if claim.name == name)
    return found


def test_the_error_equals_the_mean_product_of_pairs_of_rows_of_a_bin():
    """θ² = mean over bins of the mean of r_i r_j over pairs i ≠ j: what "debiased" means, by brute force."""
    y, p = world(0, tilt=0.1)
    bins = np.array_split(np.argsort(p), 15)
    pairs = [(np.sum(r) ** 2 - np.sum(r**2)) / (len(r) * (len(r) - 1)) for r in ((y - p)[rows] for rows in bins)]
    assert stats.expected_calibration_error(y, p).value == pytest.approx(np.sqrt(np.mean(pairs)), abs=1e-12)


def test_the_error_of_equal_widths_equals_its_definition():
    y, p = world(1, tilt=0.1)
    at = np.minimum((p * 10).astype(int), 9)
    parts = [(y - p)[at == b] for b in np.unique(at)]
    squared = sum(len(r) * (np.sum(r) ** 2 - np.sum(r**2)) / (len(r) * (len(r) - 1)) for r in parts) / len(p)
    assert stats.expected_calibration_error_of_equal_widths(y, p, n_bins=10).value == pytest.approx(np.sqrt(squared), abs=1e-12)


def test_the_clustered_error_equals_that_of_the_weighting_function():
    y, p = world(2, tilt=0.1)
    unit, weight = np.random.default_rng(2).integers(0, 80, len(y)), np.random.default_rng(3).uniform(0.5, 2, len(y))
    found = stats.expected_calibration_error(y, p, unit=unit, weight=weight)
    assert found.value == pytest.approx(calibration_error(y, p, unit, weight), abs=1e-12)


@pytest.mark.parametrize("make", [gaps_from_zero, gaps_from_mean])
def test_the_covariance_of_rows_equals_that_of_units_of_one_row(make):
    y, p = world(3)
    bins, weight = np.arange(len(y)) % 5, np.random.default_rng(3).uniform(0.5, 2, len(y))
    rows = rows_of(y, p, weight=weight, unit=None)
    units = rows_of(y, p, weight=weight, unit=np.arange(len(y)))
    np.testing.assert_allclose(make(rows, y, bins).gap, make(units, y, bins).gap, rtol=0, atol=1e-15)
    np.testing.assert_allclose(make(rows, y, bins).covariance, make(units, y, bins).covariance, rtol=1e-2, atol=1e-9)


def test_units_that_are_added_up_in_blocks_give_the_same(monkeypatch):
    y, p = world(4)
    rows = rows_of(y, p, weight=None, unit=np.random.default_rng(4).integers(0, 300, len(y)))
    at_once = gaps_from_mean(rows, y, np.arange(len(y)) % 5)
    monkeypatch.setattr(gaps, "_CELLS", 35)
    in_blocks = gaps_from_mean(rows, y, np.arange(len(y)) % 5)
    np.testing.assert_allclose(in_blocks.covariance, at_once.covariance, rtol=1e-12, atol=1e-18)


def test_the_same_seed_gives_the_same_bytes_and_another_nearly_so():
    y, p = world(5, tilt=0.05)
    first, again, other = (stats.expected_calibration_error(y, p, seed=seed).interval for seed in (1, 1, 2))
    assert first == again
    assert other.high == pytest.approx(first.high, rel=0.05)


def test_a_perfect_model_keeps_a_width_however_lucky():
    for seed in range(60):
        interval = stats.expected_calibration_error(*world(seed)).interval
        assert interval.high > 0.01


def test_brier_terms_add_up_and_are_of_the_right_size():
    y, p = world(6, n=20_000)
    terms = stats.brier_decomposition(y, p)
    made_of = terms.reliability.value - terms.resolution.value + terms.uncertainty.value + terms.within_bins
    assert made_of == pytest.approx(terms.brier_score.value, abs=1e-15)
    assert terms.reliability.value == pytest.approx(0, abs=3e-4)
    assert terms.resolution.value == pytest.approx(0.8**2 / 12, abs=0.003)
    assert terms.uncertainty.value == pytest.approx(0.45 * 0.55, abs=0.002)


def test_a_constant_score_resolves_nothing():
    y, _ = world(7)
    assert stats.brier_decomposition(y, np.full(len(y), 0.5)).resolution.value == 0


def test_terms_of_one_class_are_refused_together():
    terms = stats.brier_decomposition(np.zeros(100), np.linspace(0, 1, 100))
    assert terms.within_bins is None
    assert all("one class" in term.refused for term in (terms.brier_score, terms.reliability, terms.resolution, terms.uncertainty))


def test_no_bins_make_no_sense():
    for figure in (stats.expected_calibration_error, stats.brier_decomposition, stats.calibration_test, stats.reliability):
        with pytest.raises(ValueError, match="at least one"):
            figure(*world(0), n_bins=0)


@pytest.mark.parametrize("name", ["calibration error, perfect, n = 1,000", "calibration error, 5 points high, 20 units of 60 rows"])
def test_the_interval_covers_a_perfect_and_a_tilted_model(name):
    assert simulate("probabilities", number(name), worlds=120).holds


@pytest.mark.parametrize("unit", [None, np.arange(400) // 2])
def test_a_bin_whose_rows_all_gave_the_same_is_neither_certain_nor_noise(unit):
    y = (np.arange(400) // 2 % 3 == 0).astype(float)
    right, wrong = (stats.expected_calibration_error(y, score, unit=unit) for score in (y, 1 - y))
    assert (right.value, right.interval.low) == (0.0, 0.0)
    assert 0.002 < right.interval.high < 0.05
    assert wrong.value == pytest.approx(1, abs=1e-4)
    assert 0.95 < wrong.interval.low < 0.999
    assert wrong.interval.high == pytest.approx(1)


@pytest.mark.parametrize("figure", [stats.expected_calibration_error, stats.brier_score, stats.log_loss, stats.calibration_slope])
@pytest.mark.parametrize("size", [2.0**-700, 2.0**-60, 2.0**700])
def test_weights_count_against_each_other_only_however_small_or_large(figure, size):
    y, p = world(0)
    weight = np.random.default_rng(1).uniform(0.5, 1, len(y))
    one, other = figure(y, p, weight=weight), figure(y, p, weight=weight * size)
    assert other.value == pytest.approx(one.value, rel=1e-9)
    assert other.interval.low == pytest.approx(one.interval.low, rel=1e-9)


def test_a_seed_may_be_negative_and_a_number_of_bins_is_whole():
    y, p = world(0)
    assert stats.expected_calibration_error(y, p, seed=-1).interval is not None
    for figure in (stats.expected_calibration_error, stats.reliability, stats.brier_decomposition):
        with pytest.raises(ValueError, match="whole number"):
            figure(y, p, n_bins=2.5)
