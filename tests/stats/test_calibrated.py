import numpy as np
import pytest
from benchmarks.truth.probabilities import CLAIMS
from benchmarks.truth.run import simulate

from gonogo import stats
from gonogo.stats.calibrated import _labels_drawn_again
from gonogo.stats.estimates import rows_of


def world(seed: int, n: int = 3000, tilt: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.85, n)
    return (rng.random(n) < p).astype(float), p + tilt


@pytest.mark.parametrize(
    ("bent", "question"),
    [
        (lambda p: p + 0.1, "mean"),
        (lambda p: 0.45 + 2 * (p - 0.45), "slope"),
        (lambda p: p + 0.14 * np.sin(40 * p), "bins"),
    ],
)
def test_each_question_finds_its_own_fault(bent, question):
    y, p = world(0, n=8000)
    tested = stats.calibration_test(y, np.clip(bent(p), 0.001, 0.999))
    assert tested.p_value < 0.01
    assert question in tested.test


def test_the_effect_is_the_calibration_error():
    y, p = world(1, tilt=0.05)
    assert stats.calibration_test(y, p, seed=3).effect == stats.expected_calibration_error(y, p, seed=3)


def test_labels_drawn_again_have_the_mean_and_the_spread_of_labels_drawn_row_by_row():
    rng = np.random.default_rng(2)
    p, weight = rng.beta(0.5, 5, 400), rng.integers(1, 4, 400).astype(float)
    bins = np.arange(400) % 2
    rows = rows_of(p < 2, p, weight=weight, unit=None)
    _, drawn = _labels_drawn_again(rows, weight * 0, weight**2 * p * (1 - p), bins, 0)
    by_row = rng.random((20_000, 400)) < p
    spread = [np.std((by_row * weight)[:, bins == b].sum(axis=1) / weight[bins == b].sum()) for b in (0, 1)]
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.001)
    np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=0.03)


def test_rows_of_one_unit_that_move_together_are_no_proof_when_the_unit_is_known():
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(40), 100)
    p = rng.uniform(0.2, 0.8, 40)[unit]
    y = np.repeat(rng.random(40) < p[::100], 100)  # the whole unit comes true or not
    assert stats.calibration_test(y, p).p_value < 1e-6
    assert stats.calibration_test(y, p, unit=unit).p_value > 0.05


def test_the_same_seed_gives_the_same_test():
    y, p = world(4)
    assert stats.calibration_test(y, p, seed=5) == stats.calibration_test(y, p, seed=5)


@pytest.mark.parametrize(
    ("y", "p", "unit", "reason"),
    [
        (np.arange(100) % 2, np.full(100, 0.01), None, "surprises"),
        (np.arange(100) % 2, np.full(100, 1.5), None, "no probability"),
        (np.arange(100) % 2, np.full(100, np.nan), None, "NaN"),
        (np.zeros(0), np.zeros(0), None, "surprises"),
        (np.arange(100) % 2, np.full(100, 0.5), np.arange(100) % 5, "units"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_words(y, p, unit, reason):
    tested = stats.calibration_test(y, p, unit=unit)
    assert (tested.statistic, tested.p_value) == (None, None)
    assert reason in tested.refused


def test_one_class_can_still_be_judged_and_its_effect_is_refused():
    tested = stats.calibration_test(np.zeros(1000), np.full(1000, 0.5))
    assert tested.p_value < 1e-6
    assert "one class" in tested.effect.refused


def test_a_constant_score_that_is_the_rate_is_calibrated():
    assert stats.calibration_test(np.arange(1000) % 2, np.full(1000, 0.5)).p_value == 1


@pytest.mark.parametrize("name", ["a perfect model, n = 1,000, 2 % positive", "a perfect model, 20 units of 60 rows"])
def test_a_perfect_model_is_left_in_peace(name):
    (number,) = (i for i, claim in enumerate(CLAIMS) if claim.name == name)
    assert simulate("probabilities", number, worlds=120).holds


def test_units_that_all_miss_alike_speak_against_the_mean():
    found = stats.calibration_test(np.ones(100), np.full(100, 0.5), unit=np.arange(100))
    assert "decided by the mean" in found.test
    assert found.p_value < 1e-10
