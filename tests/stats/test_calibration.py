import numpy as np
import pytest

from gonogo.stats.calibration import Identity, fit_identity, fit_isotonic, fit_platt
from gonogo.stats.refusals import NotFinite, Undefined


def _tilted_world(n: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores whose logit is half as steep as it should be and one too low: slope 2, intercept 1 mend them."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    truth = 1 / (1 + np.exp(-(2 * z + 1)))
    return 1 / (1 + np.exp(-z)), (rng.random(n) < truth).astype(float), truth


def test_platt_finds_the_line_that_was_bent():
    score, y, truth = _tilted_world()
    fit = fit_platt(score, y)
    assert fit.slope == pytest.approx(2, abs=0.1)
    assert fit.intercept == pytest.approx(1, abs=0.1)
    assert np.abs(fit.apply(score) - truth).max() < 0.02


def test_platt_equals_an_unpenalised_logistic_regression_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    score, y, _ = _tilted_world()
    z = np.log(score / (1 - score))[:, None]
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(z, y)
    ours = fit_platt(score, y)
    # Platt's smoothed targets move the fit by about 1 / n.
    assert ours.slope == pytest.approx(peer.coef_[0, 0], abs=2e-3)
    assert ours.intercept == pytest.approx(peer.intercept_[0], abs=2e-3)


def test_platt_stays_finite_where_the_score_parts_the_outcomes():
    fit = fit_platt(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert np.isfinite([fit.slope, fit.intercept]).all()
    assert fit.slope > 0


def test_platt_of_a_constant_score_gives_the_rate():
    fit = fit_platt(np.full(1000, 0.3), np.r_[np.ones(500), np.zeros(500)])
    assert fit.apply(np.array([0.3]))[0] == pytest.approx(0.5, abs=1e-3)


def test_weights_count_rows_as_often_as_they_say():
    score, y, _ = _tilted_world(300)
    times = np.random.default_rng(1).integers(0, 4, size=300)
    weighted, repeated = fit_platt(score, y, times.astype(float)), fit_platt(np.repeat(score, times), np.repeat(y, times))
    assert weighted.slope == pytest.approx(repeated.slope, rel=1e-9)
    left, right = fit_isotonic(score, y, times.astype(float)), fit_isotonic(np.repeat(score, times), np.repeat(y, times))
    np.testing.assert_allclose(left.apply(score), right.apply(score), atol=1e-12)


@pytest.mark.parametrize("decimals", [1, 3, 16])  # many ties, some, none
def test_isotonic_equals_scikit_learn(decimals):
    from sklearn.isotonic import IsotonicRegression

    score, y, _ = _tilted_world(2_000, seed=decimals)
    score = np.round(score, decimals)
    weight = np.random.default_rng(2).random(2_000)
    peer = IsotonicRegression(out_of_bounds="clip").fit(score, y, sample_weight=weight)
    asked = np.linspace(0, 1, 501)
    np.testing.assert_allclose(fit_isotonic(score, y, weight).apply(asked), peer.predict(asked), atol=1e-12)


def test_isotonic_never_turns_two_scores_around():
    score, y, _ = _tilted_world(500)
    assert (np.diff(fit_isotonic(score, y).apply(np.sort(score))) >= 0).all()


def test_the_identity_changes_no_bit():
    score = np.array([0.0, 0.3, 1.0])
    assert fit_identity(score, score) == Identity()
    assert (Identity().apply(score) == score).all()


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic])
def test_a_fit_on_one_class_or_on_nan_is_refused(fit):
    with pytest.raises(Undefined):
        fit(np.array([0.2, 0.3]), np.ones(2))
    with pytest.raises(NotFinite):
        fit(np.array([np.nan, 0.3]), np.array([0.0, 1.0]))
