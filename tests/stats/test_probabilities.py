import warnings

import numpy as np
import pytest
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from gonogo import stats
from gonogo.stats.probabilities import LEAST_OF_A_CLASS

FIGURES = (
    stats.log_loss,
    stats.brier_score,
    stats.expected_calibration_error,
    stats.expected_calibration_error_of_equal_widths,
    stats.calibration_slope,
    stats.calibration_intercept,
)


def world(seed: int, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.95, n)
    return (rng.random(n) < p).astype(float), p


@given(st.integers(0, 10_000), st.sampled_from([None, 2, 1]), st.booleans())
@settings(deadline=None, max_examples=50)
def test_losses_equal_scikit_learn_under_weights_ties_zeros_and_ones(seed, digits, weighted):
    y, p = world(seed)
    p = p if digits is None else np.round(p, digits)
    weight = np.random.default_rng(seed).integers(0, 4, len(y)).astype(float) if weighted else None
    assert stats.log_loss(y, p, weight=weight).value == pytest.approx(sklearn_log_loss(y, p, sample_weight=weight), abs=1e-12)
    assert stats.brier_score(y, p, weight=weight).value == pytest.approx(brier_score_loss(y, p, sample_weight=weight), abs=1e-12)


def test_a_probability_of_0_that_came_true_costs_36_nats_as_in_scikit_learn():
    y, p = world(0)
    p[:3], y[:3] = (0.0, 1.0, 0.0), (1, 0, 0)
    assert stats.log_loss(y, p).value == pytest.approx(sklearn_log_loss(y, p), abs=1e-12)


@pytest.mark.parametrize("figure", FIGURES)
def test_units_of_one_row_and_weights_of_one_change_nothing(figure):
    y, p = world(1)
    plain, spelt_out = figure(y, p), figure(y, p, weight=np.ones(len(y)), unit=[f"user {i:04d}" for i in range(len(y))])
    assert spelt_out.value == pytest.approx(plain.value, abs=1e-12)
    assert spelt_out.interval.low == pytest.approx(plain.interval.low, abs=1e-4)
    assert spelt_out.interval.high == pytest.approx(plain.interval.high, abs=1e-4)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_row_of_weight_0_is_not_there_even_if_it_is_absurd(figure):
    y, p = world(2)
    weight, unit = np.ones(len(y)), np.arange(len(y)) // 4
    more = figure(np.r_[y, 1 - y[:5]], np.r_[p, p[:5]], weight=np.r_[weight, np.zeros(5)], unit=np.r_[unit, unit[:5]])
    assert (more.value, more.interval) == (figure(y, p, unit=unit).value, figure(y, p, unit=unit).interval)


@pytest.mark.parametrize("figure", FIGURES)
def test_rows_that_are_repeated_within_their_unit_do_not_narrow_the_interval(figure):
    y, p = world(3)
    once, thrice = figure(y, p, unit=np.arange(600) // 6), figure(np.tile(y, 3), np.tile(p, 3), unit=np.tile(np.arange(600) // 6, 3))
    assert thrice.value == pytest.approx(once.value, abs=1e-9)
    assert thrice.interval.high - thrice.interval.low == pytest.approx(once.interval.high - once.interval.low, rel=1e-3)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda y, p: (y, np.where(np.arange(600) == 3, np.nan, p)), "NaN"),
        (lambda y, p: (y, np.where(np.arange(600) == 3, np.inf, p)), "infinite"),
        (lambda y, p: (y, p + 0.5), "outside 0 and 1"),
        (lambda y, p: (y * 2, p), "neither 0 nor 1"),
        (lambda y, p: (np.zeros(600), p), "one class only"),
        (lambda y, p: (np.r_[np.ones(LEAST_OF_A_CLASS - 1), np.zeros(600 - LEAST_OF_A_CLASS + 1)], p), "rarer class"),
        (lambda y, p: (y[:1], p[:1]), "one class only"),
        (lambda y, p: (y[:0], p[:0]), "one class only"),
    ],
)
def test_what_cannot_be_known_is_refused_in_words(figure, spoil, reason):
    found = figure(*spoil(*world(4)))
    assert (found.value, found.interval) == (None, None)
    assert reason in found.refused


@pytest.mark.parametrize("figure", FIGURES)
def test_one_unit_shows_no_spread(figure):
    assert "two are needed" in figure(*world(5), unit=np.zeros(600)).refused


@pytest.mark.parametrize("figure", FIGURES)
def test_a_call_that_makes_no_sense_is_a_value_error(figure):
    y, p = world(6)
    for wrong in (lambda: figure(y, p[1:]), lambda: figure(y, p, level=2), lambda: figure(y, p, weight=[1.0])):
        with pytest.raises(ValueError, match=r"score|level|weight"):
            wrong()


def test_a_perfect_forecast_is_refused_because_its_spread_is_unknown():
    y = np.arange(100) % 2
    assert "unknown" in stats.log_loss(y, y.astype(float)).refused


def test_a_brier_score_of_yes_and_no_has_wilsons_interval():
    y = np.arange(200) % 2
    assert stats.brier_score(y, np.where(np.arange(200) < 20, 1 - y, y)).interval.method.startswith("Wilson")


@pytest.mark.parametrize("number", range(4))
def test_losses_cover_what_they_say(number):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert simulate("probabilities", (0, 1, 3, 4)[number], worlds=200).holds
