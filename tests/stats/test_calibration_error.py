import tracemalloc

import numpy as np
import pytest

from gonogo.stats.calibration_error import (
    calibration_error,
    plug_in_calibration_error,
    prepare_calibration_error,
)
from gonogo.stats.refusals import NotFinite
from gonogo.stats.resampling import percentile_interval, unit_draws


def _world(seed: int, *, n: int = 6000, n_units: int = 60, tilt: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities that are true, or too high by `tilt`."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.05, 0.7, n)
    return (rng.random(n) < truth).astype(float), truth + tilt, rng.integers(0, n_units, n)


def _interval(y, p, unit, seed):
    figure = prepare_calibration_error(y, p, unit)
    draws = unit_draws(60, 300, seed)
    return percentile_interval(np.array([figure(draw[unit]) for draw in draws]), n_units=60)


def test_the_plug_in_error_calls_a_perfect_model_wrong_and_the_debiased_one_does_not():
    plain, debiased = [], []
    for seed in range(40):
        y, p, unit = _world(seed)
        plain.append(plug_in_calibration_error(y, p))
        debiased.append(calibration_error(y, p, unit))
    assert min(plain) > 0.005
    assert np.median(debiased) < 0.007
    assert sum(error == 0 for error in debiased) > 10


def test_the_interval_of_a_perfect_model_holds_zero():
    assert all(_interval(*_world(seed), seed).low == 0 for seed in range(20))


def test_the_interval_of_a_tilted_model_holds_its_tilt_and_not_zero():
    intervals = [_interval(*_world(seed, tilt=0.1), seed) for seed in range(60)]
    assert all(interval.low > 0.02 for interval in intervals)
    assert np.mean([interval.low <= 0.1 <= interval.high for interval in intervals]) >= 0.88


def test_the_interval_holds_the_tilt_also_where_a_probability_follows_its_unit():
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        unit = np.repeat(np.arange(30), 50)
        truth = rng.uniform(0.1, 0.7, 30)[unit]
        y, p = (rng.random(len(unit)) < truth).astype(float), truth + 0.1
        figure = prepare_calibration_error(y, p, unit)
        draws = [figure(draw[unit]) for draw in unit_draws(30, 200, seed)]
        held.append(percentile_interval(np.array(draws), n_units=30).high >= 0.1)
    assert np.mean(held) >= 0.92


def test_fewer_units_than_a_bin_needs_are_one_bin():
    p, unit = np.linspace(0.1, 0.9, 30), np.repeat([0, 1, 2], 10)
    y = (np.arange(30) % 2).astype(float)
    assert prepare_calibration_error(y, p, unit)(np.ones(30)) == prepare_calibration_error(y, p, unit, n_bins=1)(np.ones(30))


def test_the_debiased_error_of_a_tilted_model_is_its_tilt():
    assert np.mean([calibration_error(*_world(seed, tilt=0.1)) for seed in range(40)]) == pytest.approx(0.1, abs=0.003)


def test_the_plug_in_error_equals_its_definition_by_hand():
    y, p = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.8, 0.9])
    assert plug_in_calibration_error(y, p, n_bins=2) == pytest.approx(0.5 * 0.35 + 0.5 * 0.15)
    assert plug_in_calibration_error(y, p, np.array([1.0, 1, 0, 0]), n_bins=2) == pytest.approx(0.35)


def test_no_weight_gives_none_and_nan_is_refused():
    y, p, unit = _world(0)
    assert calibration_error(y, p, unit, np.zeros(len(y))) is None
    assert plug_in_calibration_error(y, p, np.zeros(len(y))) is None
    with pytest.raises(NotFinite):
        calibration_error(np.array([0.0]), np.array([np.nan]), np.array([0]))


def test_a_gap_of_one_unit_may_be_noise():
    assert calibration_error(np.array([0.0, 1.0]), np.array([0.2, 0.2]), np.array([7, 7])) == 0.0


def test_a_draw_takes_memory_by_the_row_and_not_by_units_times_bins():
    n = 50_000
    rng = np.random.default_rng(0)
    p = rng.uniform(size=n)
    y = (rng.uniform(size=n) < p).astype(float)
    for unit in (np.arange(n), np.arange(n) // 2):
        figure = prepare_calibration_error(y, p, unit)
        tracemalloc.start()
        figure(np.ones(n))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12 * 8 * n
