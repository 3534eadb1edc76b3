import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from gonogo.stats.reliability_diagram import reliability, reliability_bins


def _world(seed: int, *, n: int = 6000, n_units: int = 60, tilt: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities that are true, or too high by `tilt`."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.05, 0.7, n)
    return (rng.random(n) < truth).astype(float), truth + tilt, rng.integers(0, n_units, n)


def test_reliability_bins_of_a_true_model_hold_the_diagonal():
    y, p, unit = _world(3)
    bins = reliability_bins(y, p, unit)
    assert sum(b.n_rows for b in bins) == len(y)
    assert np.mean([b.interval.low <= b.said <= b.interval.high for b in bins]) >= 0.8


def test_a_bin_where_nothing_came_true_keeps_its_width():
    (only,) = reliability_bins(np.zeros(40), np.full(40, 0.1), np.arange(40))
    assert (only.came_true, only.interval.low) == (0.0, 0.0)
    assert only.interval.high > 0.05


def test_a_bin_of_one_unit_has_no_interval():
    (only,) = reliability_bins(np.array([0.0, 1.0]), np.array([0.5, 0.5]), np.array([7, 7]))
    assert only.interval is None


def test_the_diagram_equals_the_calibration_curve_of_scikit_learn():
    y, p, _ = _world(5)
    came_true, said = calibration_curve(y, p, n_bins=10, strategy="quantile")
    found = reliability(y, p, n_bins=10).bins
    np.testing.assert_allclose([one.came_true for one in found], came_true, atol=2e-3)  # its edges are interpolated quantiles
    np.testing.assert_allclose([one.said for one in found], said, atol=2e-3)
    assert sum(one.share for one in found) == pytest.approx(1)


def test_weights_count_and_rows_of_weight_0_do_not():
    y, p, unit = _world(6)
    weight = np.where(np.arange(len(y)) < 3000, 2.0, 0.0)
    weighted, half = reliability(y, p, unit=unit, weight=weight), reliability(y[:3000], p[:3000], unit=unit[:3000])
    assert weighted.bins == half.bins


def test_bands_of_units_of_one_row_equal_those_of_rows():
    y, p, _ = _world(7)
    rows, units = reliability(y, p).bins, reliability(y, p, unit=np.arange(len(y))).bins
    np.testing.assert_allclose([one.interval.low for one in rows], [one.interval.low for one in units], atol=1e-12)


def test_nan_and_no_weight_are_refused_in_words():
    y, p, _ = _world(8)
    assert "NaN" in reliability(y, np.where(p > 0.3, np.nan, p)).refused
    assert "no row has weight" in reliability(y, p, weight=np.zeros(len(y))).refused
