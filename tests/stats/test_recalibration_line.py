import warnings

import numpy as np
import pytest
import statsmodels.api as sm

from gonogo import stats
from gonogo.stats.distributions import t_quantile


def world(seed: int, n: int = 2500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.02, 0.95, n)
    return (rng.random(n) < p**1.3).astype(float), p, rng.integers(0, 40, n)


def standard_error(found) -> float:
    return (found.interval.high - found.interval.low) / 2 / t_quantile(0.975, found.n_units - 1)


@pytest.mark.parametrize("seed", range(3))
def test_the_slope_and_its_error_equal_those_of_statsmodels_by_unit(seed):
    y, p, unit = world(seed)
    design = sm.add_constant(np.log(p / (1 - p)))
    theirs = sm.Logit(y, design).fit(cov_type="cluster", cov_kwds={"groups": unit, "use_correction": False}, disp=0, tol=1e-14)
    ours = stats.calibration_slope(y, p, unit=unit)
    assert ours.value == pytest.approx(theirs.params[1], rel=1e-8)
    assert standard_error(ours) == pytest.approx(theirs.bse[1] * np.sqrt(40 / 39), rel=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_intercept_and_its_error_equal_those_of_statsmodels_by_unit(weighted):
    y, p, unit = world(7)
    weight = np.random.default_rng(7).integers(1, 4, len(y)).astype(float) if weighted else None
    model = sm.GLM(y, np.ones((len(y), 1)), offset=np.log(p / (1 - p)), family=sm.families.Binomial(), var_weights=weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weights with a sandwich are "not fully supported"; here they agree
        theirs = model.fit(cov_type="cluster", cov_kwds={"groups": unit, "use_correction": False}, tol=1e-14)
    ours = stats.calibration_intercept(y, p, unit=unit, weight=weight)
    assert ours.value == pytest.approx(theirs.params[0], rel=1e-8)
    assert standard_error(ours) == pytest.approx(theirs.bse[0] * np.sqrt(40 / 39), rel=1e-8)


def test_a_whole_weight_counts_as_so_many_rows_of_the_unit():
    y, p, unit = world(8)
    weight = np.random.default_rng(8).integers(1, 4, len(y))
    weighted = stats.calibration_slope(y, p, unit=unit, weight=weight)
    repeated = stats.calibration_slope(np.repeat(y, weight), np.repeat(p, weight), unit=np.repeat(unit, weight))
    assert weighted.value == pytest.approx(repeated.value, rel=1e-10)
    assert weighted.interval.low == pytest.approx(repeated.interval.low, rel=1e-8)


def test_equal_scores_have_no_slope_and_scores_that_part_the_outcomes_no_finite_one():
    y, p, _ = world(9)
    assert "one point" in stats.calibration_slope(y, np.full(len(y), 0.3)).refused
    assert "part the outcomes" in stats.calibration_slope(p > 0.5, p).refused


@pytest.mark.parametrize("factor", [0.01, 20.0, -1.0])
def test_the_fit_comes_through_log_odds_that_are_absurdly_scaled(factor):
    y, p, _ = world(10)
    x = np.log(p / (1 - p))
    plain, scaled = stats.calibration_slope(y, p), stats.calibration_slope(y, 1 / (1 + np.exp(-np.clip(factor * x, -30, 30))))
    assert scaled.value * factor == pytest.approx(plain.value, rel=0.25 if factor == 20 else 1e-6)


def test_log_odds_that_are_30_too_low_are_raised_by_30():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    y = rng.random(2000) < 1 / (1 + np.exp(-x))
    assert stats.calibration_intercept(y, 1 / (1 + np.exp(30 - x))).value == pytest.approx(30, abs=0.3)
