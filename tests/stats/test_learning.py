"""Worlds whose limit is known are diagnosed rightly; worlds that cannot tell say so."""

import math

import numpy as np
import pytest
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo import stats
from gonogo.stats.learning import Limit

SIZES = np.array([100, 200, 400, 800])


def repeats(line, noise=0.01, n=40, seed=0):
    """Repeats around a line of losses."""
    return np.asarray(line)[:, None] + noise * np.random.default_rng(seed).normal(size=(len(line), n))


def found(train, validate, **options):
    return stats.diagnose(SIZES, repeats(train), repeats(validate, seed=1), **options)


# ── what holds a model back ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_gap_that_data_closes_is_variance_and_more_data_pays():
    diagnosis = found(0.5 - 40 / SIZES, 0.5 + 40 / SIZES)
    assert diagnosis.limited_by is Limit.VARIANCE
    assert diagnosis.remedy.startswith("More data pays")
    assert diagnosis.doubling.interval.low < 0.025 < diagnosis.doubling.interval.high


def test_a_gap_that_data_does_not_close_asks_for_a_simpler_model():
    diagnosis = found(np.full(4, 0.2), np.full(4, 0.5))
    assert diagnosis.limited_by is Limit.VARIANCE
    assert diagnosis.remedy.startswith("Regularise or take a simpler model")


def test_both_lines_flat_above_the_target_are_bias():
    diagnosis = found(np.full(4, 0.5), np.full(4, 0.501), target=0.3)
    assert diagnosis.limited_by is Limit.BIAS
    assert "richer model" in diagnosis.remedy


def test_both_lines_flat_at_the_target_are_the_floor():
    assert found(np.full(4, 0.5), np.full(4, 0.501), target=0.5).limited_by is Limit.FLOOR


def test_without_a_target_bias_and_the_floor_are_not_told_apart():
    diagnosis = found(np.full(4, 0.5), np.full(4, 0.501))
    assert diagnosis.limited_by is Limit.BIAS_OR_FLOOR
    assert "if they do no better, this is the noise" in diagnosis.sentence


def test_a_gap_above_a_target_that_even_train_misses_is_both():
    assert found(np.full(4, 0.5), np.full(4, 0.7), target=0.2).limited_by is Limit.BOTH


def test_intervals_wider_than_what_counts_cannot_tell_and_say_how_many_units_would():
    diagnosis = stats.diagnose(SIZES, repeats(np.full(4, 0.5), noise=0.3), repeats(np.full(4, 0.5), noise=0.3, seed=1))
    assert diagnosis.limited_by is Limit.UNKNOWN
    assert "times as many units in the losses would tell" in diagnosis.remedy


def test_a_validate_line_below_train_is_no_diagnosis():
    diagnosis = found(np.full(4, 0.5), np.full(4, 0.4))
    assert diagnosis.limited_by is Limit.UNKNOWN
    assert "below train" in diagnosis.because


def test_falling_together_without_a_gap_is_no_diagnosis():
    line = 0.3 + 80 / SIZES
    assert found(line, line).limited_by is Limit.UNKNOWN


# ── what a doubling buys ─────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 2.5), st.floats(0.01, 0.5), st.floats(0.0, 1.0), st.integers(3, 8))
def test_an_exact_power_law_is_read_back(c, b, a, m):
    sizes = 50 * 2.0 ** np.arange(m)
    noise = 1e-7 * np.random.default_rng(0).normal(size=(m, 200))
    gain = stats.diagnose(sizes, np.ones((m, 2)), a + b * (sizes[:, None] / sizes[-1]) ** -c + noise).doubling
    assert gain.value == pytest.approx(b * (1 - 2**-c), rel=1e-2)


def test_what_moves_all_sizes_of_a_repeat_alike_takes_nothing_from_the_extrapolation():
    alone = repeats(0.5 + 40 / SIZES)
    together = alone + np.random.default_rng(2).normal(size=40)
    pair = [stats.diagnose(SIZES, alone, losses).doubling for losses in (alone, together)]
    assert pair[1].value == pytest.approx(pair[0].value, abs=1e-3)
    assert pair[1].interval.high == pytest.approx(pair[0].interval.high, abs=1e-3)


def test_it_is_refused_for_two_sizes_for_single_trainings_and_for_rising_losses():
    two = stats.diagnose(SIZES[:2], repeats([0.4, 0.4]), repeats([0.6, 0.5]))
    assert "2 sizes" in two.doubling.refused
    rising = found(np.full(4, 0.3), np.array([0.3, 0.4, 0.5, 0.6]))
    assert rising.doubling.value is None
    assert rising.limited_by is Limit.VARIANCE
    once = [stats.mean_absolute_error(line, np.zeros(len(line))) for line in np.abs(repeats(0.5 + 40 / SIZES))]
    assert "trained once" in stats.diagnose(SIZES, once, once).doubling.refused


# ── forms and refusals ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_estimates_give_the_diagnosis_of_their_intervals():
    def estimates(line, seed):
        return [stats.mean_absolute_error(np.abs(row), np.zeros(len(row))) for row in repeats(line, noise=0.1, n=2000, seed=seed)]

    diagnosis = stats.diagnose(SIZES, estimates(0.5 - 20 / SIZES, 0), estimates(0.5 + 20 / SIZES, 1))
    assert diagnosis.limited_by is Limit.VARIANCE
    assert diagnosis.gap.interval.low < 0.05 < diagnosis.gap.interval.high
    assert diagnosis.gap.n_units == 2000


def test_the_curve_carries_both_lines_with_their_intervals():
    curve = found(0.5 - 40 / SIZES, 0.5 + 40 / SIZES).curve
    assert [series.name for series in curve.series] == ["train", "validate"]
    for series in curve.series:
        assert [point.x for point in series.points] == SIZES.tolist()
        assert all(point.low < point.y < point.high for point in series.points)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_losses_that_are_no_numbers_are_undiagnosed(bad):
    losses = repeats(np.full(4, 0.5))
    losses[1, 3] = bad
    diagnosis = stats.diagnose(SIZES, repeats(np.full(4, 0.5)), losses)
    assert (diagnosis.limited_by, diagnosis.gap.value) == (Limit.UNKNOWN, None)
    assert "NaN or infinite" in diagnosis.sentence


def test_one_repeat_and_refused_estimates_are_undiagnosed():
    assert "two are needed" in str(stats.diagnose(SIZES, np.ones((4, 1)), np.ones((4, 1))))
    refused = [stats.mean_absolute_error([1.0], [2.0])] * 4
    assert stats.diagnose(SIZES, refused, refused).limited_by is Limit.UNKNOWN


@pytest.mark.parametrize("sizes", [[], [100, 100, 200, 400], [400, 200, 100, 50], [0, 1, 2, 3], [1, 2, 3, math.nan], [1, 2, 3]])
def test_sizes_that_do_not_rise_or_do_not_fit_are_value_errors(sizes):
    with pytest.raises(ValueError):  # noqa: PT011
        stats.diagnose(np.array(sizes, dtype=float), repeats(np.full(4, 0.5)), repeats(np.full(4, 0.5)))


def test_a_worth_of_nothing_and_losses_of_no_shape_are_value_errors():
    with pytest.raises(ValueError, match="worth"):
        found(np.full(4, 0.5), np.full(4, 0.5), worth=0)
    with pytest.raises(ValueError, match="an Estimate, or a row of repeats"):
        stats.diagnose(SIZES, np.ones(4), np.ones(4))


@pytest.mark.parametrize("number", [1, 5, 8])
def test_simulated_worlds_are_diagnosed_rightly(number):
    assert simulate("learning", number, worlds=60).holds


def test_repeats_that_all_gave_the_same_tell_nothing():
    found = stats.diagnose([100, 200], [[0.1, 0.1]] * 2, [[0.3, 0.3]] * 2)
    assert found.limited_by is Limit.UNKNOWN
    assert "every repeat gave the same" in found.because
    assert found.gap.value is None


def test_a_train_loss_without_spread_is_refused_while_the_gap_is_told():
    noise = 0.01 * np.random.default_rng(0).normal(size=(2, 30))
    found = stats.diagnose([100, 200], np.zeros((2, 30)), 0.3 + noise)
    assert found.limited_by is Limit.VARIANCE
    assert found.train.refused
    assert found.gap.interval.low < found.gap.value < found.gap.interval.high
