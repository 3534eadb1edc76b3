import pytest
from scipy import stats

from gonogo.stats import distributions
from gonogo.stats.distributions import binomial_cdf, incomplete_beta, normal_cdf, normal_quantile, t_quantile


@pytest.mark.parametrize("df", [1, 2, 3.5, 29, 60, 999, 99_999, 100_000, 10_000_000])
@pytest.mark.parametrize("probability", [1e-6, 0.025, 0.4, 0.5, 0.6, 0.9, 0.975, 0.9995])
def test_t_quantiles_equal_scipy(df, probability):
    assert t_quantile(probability, df) == pytest.approx(stats.t.ppf(probability, df), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("df", [0.5, 1.5, 4.25, 19, 250, 4999])
@pytest.mark.parametrize("probability", [1e-12, 1e-3, 0.3, 0.49, 0.8, 1 - 1e-7])
def test_t_quantiles_equal_scipy_to_ten_digits(df, probability):
    assert t_quantile(probability, df) == pytest.approx(stats.t.ppf(probability, df), rel=1e-10)


@pytest.mark.parametrize("df", [1, 4, 199, 99_999])
def test_a_t_quantile_near_the_middle_keeps_its_digits(df):
    assert t_quantile(0.5 + 2.0**-30, df) == pytest.approx(2.0**-30 / stats.t.pdf(0, df), rel=1e-10)


@pytest.mark.parametrize("df", [3, 29, 999.5, 50_000])
@pytest.mark.parametrize("probability", [0.005, 0.6, 0.975, 0.9995])
def test_a_t_quantile_is_found_in_few_steps(df, probability, monkeypatch):
    asked = []
    monkeypatch.setattr(distributions, "incomplete_beta", lambda *args: asked.append(args) or incomplete_beta(*args))
    t_quantile.__wrapped__(probability, df)
    assert len(asked) <= 6


@pytest.mark.parametrize("n", [1, 10, 367, 5000])
@pytest.mark.parametrize("p", [0.01, 0.5, 0.99])
def test_binomial_probabilities_equal_scipy(n, p):
    for k in {-1, 0, n // 3, n // 2, n - 1, n}:
        assert binomial_cdf(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-10, abs=1e-13)


def test_the_normal_distribution_equals_scipy():
    for z in (-8.0, -1.96, 0.0, 3.0):
        assert normal_cdf(z) == pytest.approx(stats.norm.cdf(z), rel=1e-12)
    assert normal_quantile(0.975) == pytest.approx(stats.norm.ppf(0.975), rel=1e-12)


def test_the_incomplete_beta_function_ends_at_0_and_1():
    assert (incomplete_beta(2, 3, 0.0), incomplete_beta(2, 3, 1.0)) == (0.0, 1.0)


@pytest.mark.parametrize(("probability", "df"), [(0, 5), (1, 5), (0.5, 0), (0.5, -1)])
def test_what_has_no_quantile_is_refused(probability, df):
    with pytest.raises(ValueError, match="no t quantile"):
        t_quantile(probability, df)
