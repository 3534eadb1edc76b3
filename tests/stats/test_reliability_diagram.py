import numpy as np

from gonogo.stats.reliability_diagram import reliability_bins


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
