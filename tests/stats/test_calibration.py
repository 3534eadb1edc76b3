import json
from collections.abc import Callable

import numpy as np
import pytest
from benchmarks.truth.calibration import CLAIMS
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo import stats
from gonogo.stats.calibration import (
    Beta,
    Identity,
    Isotonic,
    Platt,
    Temperature,
    fit_beta,
    fit_identity,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    logit,
)
from gonogo.stats.imbalance import PriorCorrection
from gonogo.stats.refusals import NotFinite, Refused, Undefined
from gonogo.types.record import canonical, from_bytes

FITS = (fit_platt, fit_isotonic, fit_temperature, fit_beta)


def _tilted_world(n: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(y, score, truth): the scores' logit is half as steep as it should be and one too low: slope 2, intercept 1 mend them."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    truth = 1 / (1 + np.exp(-(2 * z + 1)))
    return (rng.random(n) < truth).astype(float), 1 / (1 + np.exp(-z)), truth


def _beta_world(n: int = 40_000, seed: int = 0, *, a: float = 0.6, b: float = 1.8, c: float = -0.4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.001, 0.999, n)
    truth = 1 / (1 + np.exp(-(a * np.log(score) - b * np.log(1 - score) + c)))
    return (rng.random(n) < truth).astype(float), score


def _likelihood(y: np.ndarray, p: np.ndarray, weight: np.ndarray | float = 1.0) -> float:
    return float(np.sum(weight * (y * np.log(p) + (1 - y) * np.log1p(-p))))


# Platt


def test_platt_finds_the_line_that_was_bent():
    y, score, truth = _tilted_world()
    fit = fit_platt(y, score)
    assert fit.slope == pytest.approx(2, abs=0.1)
    assert fit.intercept == pytest.approx(1, abs=0.1)
    assert np.abs(fit.apply(score) - truth).max() < 0.02


def test_platt_equals_scikit_learn_on_log_odds():
    from sklearn.calibration import _SigmoidCalibration

    y, score, _ = _tilted_world(3_000)
    weight = np.random.default_rng(1).random(3_000)
    peer = _SigmoidCalibration().fit(logit(score), y, sample_weight=weight)
    ours = fit_platt(y, score, weight=weight)
    # Theirs stops when the gradient is small.
    assert ours.slope == pytest.approx(-peer.a_, rel=1e-6)
    assert ours.intercept == pytest.approx(-peer.b_, rel=1e-6)


def test_platt_equals_a_binomial_model_of_statsmodels_with_platts_targets():
    import statsmodels.api as sm

    y, score, _ = _tilted_world(2_000)
    positive = y.sum()
    target = np.where(y > 0, (positive + 1) / (positive + 2), 1 / (len(y) - positive + 2))
    peer = sm.GLM(target, sm.add_constant(logit(score)), family=sm.families.Binomial()).fit(tol=1e-14)
    ours = fit_platt(y, score)
    np.testing.assert_allclose([ours.intercept, ours.slope], peer.params, rtol=1e-11)


def test_platt_stays_finite_where_the_score_parts_the_outcomes():
    fit = fit_platt([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert np.isfinite([fit.slope, fit.intercept]).all()
    assert fit.slope > 0


def test_platt_of_a_constant_score_gives_the_rate():
    fit = fit_platt(np.r_[np.ones(500), np.zeros(500)], np.full(1000, 0.3))
    assert fit.apply(np.array([0.3]))[0] == pytest.approx(0.5, abs=1e-3)


# temperature


def test_a_temperature_cools_scores_that_are_too_sure():
    rng = np.random.default_rng(0)
    z = rng.normal(size=40_000)
    y = rng.random(40_000) < 1 / (1 + np.exp(-z))
    assert fit_temperature(y, 1 / (1 + np.exp(-3 * z))).temperature == pytest.approx(3, rel=0.05)
    assert fit_temperature(y, 1 / (1 + np.exp(-z))).temperature == pytest.approx(1, rel=0.05)


def test_temperature_equals_statsmodels_and_scikit_learn():
    import statsmodels.api as sm
    from sklearn.calibration import _TemperatureScaling

    y, score, _ = _tilted_world(3_000)
    ours = fit_temperature(y, score)
    logistic = sm.Logit(y, logit(score)[:, None]).fit(disp=0, method="newton", tol=1e-14)
    assert 1 / ours.temperature == pytest.approx(logistic.params[0], rel=1e-11)
    peer = _TemperatureScaling().fit(np.column_stack([1 - score, score]), y)
    assert 1 / ours.temperature == pytest.approx(float(peer.beta_), rel=1e-6)  # theirs is found by bisection


def test_temperature_refuses_outcomes_that_fall_with_the_score():
    with pytest.raises(Undefined, match="do not rise"):
        fit_temperature([1, 1, 0, 0, 1], [0.1, 0.2, 0.8, 0.9, 0.6])


def test_temperature_refuses_outcomes_that_one_half_parts():
    with pytest.raises(Undefined, match="without end"):
        fit_temperature([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.9])


# beta


def test_beta_finds_the_curve_that_was_bent():
    fit = fit_beta(*_beta_world())
    assert (fit.a, fit.b, fit.c) == (pytest.approx(0.6, abs=0.1), pytest.approx(1.8, abs=0.15), pytest.approx(-0.4, abs=0.15))


def test_beta_equals_a_logistic_regression_of_statsmodels():
    import statsmodels.api as sm

    y, score = _beta_world(3_000)
    weight = np.random.default_rng(0).integers(1, 4, 3_000).astype(float)
    columns = np.column_stack([np.log(score), -np.log1p(-score), np.ones(3_000)])
    peer = sm.GLM(y, columns, family=sm.families.Binomial(), freq_weights=weight).fit(tol=1e-14)
    ours = fit_beta(y, score, weight=weight)
    np.testing.assert_allclose([ours.a, ours.b, ours.c], peer.params, rtol=1e-10)


@given(st.integers(0, 2**32 - 1), st.floats(-2, 2), st.floats(-2, 2))
@settings(deadline=None, max_examples=50)
def test_no_rising_beta_curve_is_likelier_than_the_fit(seed: int, a: float, b: float):
    """Also where the likeliest curve of all would fall: then one of a and b is 0."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.01, 0.99, 200)
    y = (rng.random(200) < 1 / (1 + np.exp(-(a * np.log(score) - b * np.log(1 - score))))).astype(float)
    try:
        fit = fit_beta(y, score)
    except Undefined:
        return
    assert min(fit.a, fit.b) >= 0
    best = _likelihood(y, fit.apply(score))
    for _ in range(50):
        other = Beta(a=abs(fit.a + rng.normal(0, 0.1)), b=abs(fit.b + rng.normal(0, 0.1)), c=fit.c + rng.normal(0, 0.1))
        assert _likelihood(y, other.apply(score)) <= best + 1e-9


def test_beta_of_outcomes_that_fall_with_the_score_says_the_rate():
    rng = np.random.default_rng(0)
    score = rng.uniform(0.05, 0.95, 2_000)
    y = (rng.random(2_000) < 1 - score).astype(float)
    fit = fit_beta(y, score)
    assert (fit.a, fit.b) == (0, 0)
    np.testing.assert_allclose(fit.apply(score), y.mean(), rtol=1e-9)


def test_beta_refuses_outcomes_that_a_score_parts():
    with pytest.raises(Undefined, match="parts the outcomes"):
        fit_beta([0, 0, 1, 1], [0.1, 0.2, 0.2, 0.9])


# isotonic


@pytest.mark.parametrize("decimals", [1, 3, 16])  # many ties, some, none
def test_isotonic_equals_scikit_learn(decimals: int):
    from sklearn.isotonic import IsotonicRegression

    y, score, _ = _tilted_world(2_000, seed=decimals)
    score = np.round(score, decimals)
    weight = np.random.default_rng(2).random(2_000)
    peer = IsotonicRegression(out_of_bounds="clip").fit(score, y, sample_weight=weight)
    asked = np.linspace(0, 1, 501)
    np.testing.assert_allclose(fit_isotonic(y, score, weight=weight).apply(asked), peer.predict(asked), atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.floats(0.01, 10)), min_size=2, max_size=80))
@settings(deadline=None, max_examples=50)
def test_isotonic_equals_scikit_learn_on_whatever_comes(rows: list[tuple[int, bool, float]]):
    from sklearn.isotonic import IsotonicRegression

    score, y, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    score /= 20
    if 0 < y.sum() < len(y):
        peer = IsotonicRegression(out_of_bounds="clip").fit(score, y, sample_weight=weight)
        np.testing.assert_allclose(fit_isotonic(y, score, weight=weight).apply(score), peer.predict(score), atol=1e-12)


def test_isotonic_of_outcomes_that_fall_all_the_way_is_their_mean():
    n = 10_000
    fit = fit_isotonic((np.arange(n) < n // 4).astype(float), np.linspace(0, 1, n))
    assert fit.probabilities == pytest.approx([0.25, 0.25])


# all of them


@pytest.mark.parametrize("fit", FITS)
def test_weights_count_rows_as_often_as_they_say(fit: Callable):
    y, score, _ = _tilted_world(300)
    times = np.random.default_rng(1).integers(0, 4, size=300)
    weighted, repeated = fit(y, score, weight=times.astype(float)), fit(np.repeat(y, times), np.repeat(score, times))
    np.testing.assert_allclose(weighted.apply(score), repeated.apply(score), atol=1e-10)


@pytest.mark.parametrize("fit", FITS)
def test_a_bend_never_turns_two_scores_around_and_stays_a_probability(fit: Callable):
    y, score, _ = _tilted_world(500)
    p = fit(y, score).apply(np.r_[0.0, 1e-300, np.sort(score), 1 - 1e-16, 1.0])
    assert (np.diff(p) >= 0).all()
    assert ((p >= 0) & (p <= 1)).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("scale", [1e-6, 1e-3])
def test_rare_events_are_fitted_too(fit: Callable, scale: float):
    """Every probability is small, and twice too large."""
    rng = np.random.default_rng(0)
    truth = scale * rng.gamma(2, 1, 200_000)
    weight = np.full(200_000, 1e-3 / scale)
    y = (rng.random(200_000) < np.minimum(truth * 1e-3 / scale, 1)).astype(float)
    weight = np.where(y > 0, 1, weight)
    try:
        p = fit(y, 2 * truth, weight=weight).apply(2 * truth)
    except Refused:
        return
    assert np.isfinite(p).all()
    if fit is not fit_temperature:  # which cannot move the level
        assert np.average(p, weights=weight) == pytest.approx(np.average(y, weights=weight), rel=0.05)


@pytest.mark.parametrize("fit", FITS)
def test_a_fit_on_one_class_on_nan_or_on_what_is_no_probability_is_refused(fit: Callable):
    with pytest.raises(Undefined):
        fit(np.ones(2), [0.2, 0.3])
    with pytest.raises(Undefined):
        fit([0.0, 1.0], [0.2, 0.3], weight=[1.0, 0.0])
    for score in ([np.nan, 0.3], [np.inf, 0.3], [-0.1, 0.3], [1.1, 0.3]):
        with pytest.raises(NotFinite):
            fit([0.0, 1.0], score)
    with pytest.raises(NotFinite, match="neither 0 nor 1"):
        fit([0.2, 0.3], [0.0, 1.0])  # the two columns swapped
    with pytest.raises(ValueError, match="must be the same"):
        fit([0.0, 1.0], [0.1, 0.2, 0.3])
    with pytest.raises(Undefined):
        fit(np.array([]), np.array([]))


@pytest.mark.parametrize(
    "record",
    [
        Platt(slope=0.5, intercept=0.1),
        Temperature(temperature=1.7),
        Beta(a=0.5, b=2.0, c=0.0),
        Isotonic(scores=(0.1, 0.9), probabilities=(0.2, 0.8)),
        PriorCorrection(shift=-2.3),
        Identity(),
    ],
)
def test_a_fit_comes_back_from_json_as_it_went(record: object):
    data = canonical(record)
    assert from_bytes(type(record), data) == record
    assert isinstance(json.loads(data), dict)


def test_records_at_their_neutral_numbers_change_nothing():
    score = np.array([1e-9, 0.01, 0.3, 0.5, 0.99])
    for neutral in (Platt(slope=1.0, intercept=0.0), Temperature(temperature=1.0), Beta(a=1.0, b=1.0, c=0.0), PriorCorrection(shift=0.0)):
        np.testing.assert_allclose(neutral.apply(score), score, rtol=1e-12)


def test_the_identity_changes_no_bit():
    score = np.array([0.0, 0.3, 1.0])
    assert fit_identity(score, score) == Identity()
    assert (Identity().apply(score) == score).all()


# other odds


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_a_prior_correction_is_elkans_formula(trained: float, deployed: float, scores: list[float]):
    p = np.array(scores)
    elkan = deployed * (p - p * trained) / (trained - p * trained + deployed * p - trained * deployed)
    np.testing.assert_allclose(stats.prior_correction(trained_rate=trained, deployed_rate=deployed).apply(p), elkan, rtol=1e-9, atol=1e-15)


def test_a_prior_correction_and_its_way_back_cancel():
    p = np.r_[0.0, np.linspace(0.001, 0.999, 99), 1.0]
    there, back = (
        stats.prior_correction(trained_rate=0.5, deployed_rate=0.01),
        stats.prior_correction(trained_rate=0.01, deployed_rate=0.5),
    )
    np.testing.assert_allclose(back.apply(there.apply(p)), p, rtol=1e-12)


def test_a_prior_correction_recovers_the_truth_where_only_the_rate_differs():
    """Two normals: with equal numbers the odds at x are exp(2x), at 2 % they are exp(2x) · 2/98."""
    x = np.linspace(-3, 3, 13)
    balanced, rare = 1 / (1 + np.exp(-2 * x)), 1 / (1 + np.exp(-2 * x) * 98 / 2)
    np.testing.assert_allclose(stats.prior_correction(trained_rate=0.5, deployed_rate=0.02).apply(balanced), rare, rtol=1e-12)


def test_keeping_a_tenth_of_the_negatives_and_weighting_positives_by_ten_are_taken_back_alike():
    p = np.linspace(0, 1, 11)
    kept, weighted = stats.sampling_correction(negatives_kept=0.1), stats.sampling_correction(positive_weight=10)
    np.testing.assert_allclose(kept.apply(p), weighted.apply(p), rtol=1e-12)
    rate = 0.02
    sampled = rate / (rate + 0.1 * (1 - rate))
    np.testing.assert_allclose(kept.apply(p), stats.prior_correction(trained_rate=sampled, deployed_rate=rate).apply(p), rtol=1e-12)


@pytest.mark.parametrize("shift", [-800.0, 800.0])
def test_a_huge_shift_does_not_overflow(shift: float):
    assert PriorCorrection(shift=shift).apply([0.0, 0.5, 1.0]).tolist() == pytest.approx([0.0, float(shift > 0), 1.0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: stats.prior_correction(trained_rate=0.0, deployed_rate=0.1),
        lambda: stats.prior_correction(trained_rate=0.5, deployed_rate=1.0),
        lambda: stats.prior_correction(trained_rate=float("nan"), deployed_rate=0.5),
        lambda: PriorCorrection(shift=float("nan")),
        lambda: stats.sampling_correction(negatives_kept=0.0),
        lambda: stats.sampling_correction(negatives_kept=1.5),
        lambda: stats.sampling_correction(positive_weight=0.0),
        lambda: stats.sampling_correction(positive_weight=float("inf")),
    ],
)
def test_rates_and_shares_that_make_no_sense_are_refused(call: Callable):
    with pytest.raises(ValueError, match="must"):
        call()


@pytest.mark.parametrize("number", range(4), ids=lambda number: CLAIMS[number].method)
def test_what_is_claimed_holds_in_two_hundred_worlds(number: int):
    assert simulate("calibration", number, worlds=200).holds


def test_one_score_makes_no_beta_curve():
    with pytest.raises(Undefined, match="every score is the same"):
        stats.fit_beta([1, 0, 1, 0], [0.5] * 4)
