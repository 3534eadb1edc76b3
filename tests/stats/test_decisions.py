import math

import numpy as np
import pytest
from benchmarks.truth.decisions import CLAIMS
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo import stats
from gonogo.stats.clustered import ratio_of_sums
from gonogo.types.evidence import UnitScores


def _rows(seed: int, n: int = 500, *, ties: bool = False):
    rng = np.random.default_rng(seed)
    y = (rng.uniform(size=n) < 0.3).astype(float)
    score = rng.normal(y, 1)
    return y, np.round(score) if ties else score, rng.exponential(size=n)


@st.composite
def tables(draw):
    """Small tables with ties, zero weights and rare classes."""
    n = draw(st.integers(1, 30))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    score = draw(st.lists(st.sampled_from([-math.inf, 0.0, 0.5, 0.5000001, 1.0, math.inf]), min_size=n, max_size=n))
    weight = draw(st.lists(st.sampled_from([0.0, 0.3, 1.0, 7.0]), min_size=n, max_size=n))
    return np.array(y, dtype=float), np.array(score), np.array(weight)


@settings(deadline=None, max_examples=60)
@given(tables(), st.sampled_from([0.0, 0.5, 0.9]))
def test_every_share_is_scikit_learns(table, threshold):
    from sklearn.metrics import accuracy_score, precision_score, recall_score

    y, score, weight = table
    called = score >= threshold
    found = stats.confusion(y, score, threshold=threshold, weight=weight)
    expected = {
        "precision": (precision_score, called),
        "recall": (recall_score, y == 1),
        "accuracy": (accuracy_score, np.ones(len(y), dtype=bool)),
    }
    for name, (figure, among) in expected.items():
        here = getattr(found, name)
        if here.value is None:
            assert (weight * among > 0).sum() < 2
        else:
            assert here.value == pytest.approx(figure(y, called, sample_weight=weight), abs=1e-12)
            assert 0 <= here.interval.low <= here.value <= here.interval.high <= 1
            assert here.interval.high - here.interval.low > 1e-9


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("ties", [False, True])
def test_f_beta_and_matthews_correlation_are_scikit_learns(beta, ties):
    from sklearn.metrics import fbeta_score, matthews_corrcoef

    for seed in range(20):
        y, score, weight = _rows(seed, ties=ties)
        called = score >= 1
        ours = stats.f_beta(y, score, threshold=1, beta=beta, weight=weight).value
        assert ours == pytest.approx(fbeta_score(y, called, beta=beta, sample_weight=weight), abs=1e-12)
        ours = stats.matthews_correlation(y, score, threshold=1, weight=weight).value
        assert ours == pytest.approx(matthews_corrcoef(y, called, sample_weight=weight), abs=1e-12)


def test_shares_have_the_interval_of_a_ratio_of_sums():
    y, score, _ = _rows(1)
    unit = np.random.default_rng(2).integers(40, size=len(y))
    called = (score >= 1).astype(float)
    for given_unit in (None, unit):
        codes = np.arange(len(y)) if given_unit is None else given_unit
        slow = ratio_of_sums(UnitScores(codes, y * called, called))
        fast = stats.precision(y, score, threshold=1, unit=given_unit)
        assert (fast.value, fast.n_units) == (slow.value, slow.n_units)
        assert (fast.interval.low, fast.interval.high) == pytest.approx((slow.interval.low, slow.interval.high), rel=1e-9)


def test_a_unit_per_row_is_the_same_as_no_unit():
    y, score, weight = _rows(3)
    for figure in (stats.precision, stats.f_beta, stats.matthews_correlation):
        one, other = (figure(y, score, threshold=1, weight=weight, unit=unit) for unit in (None, np.arange(len(y))))
        assert (one.interval.low, one.interval.high) == pytest.approx((other.interval.low, other.interval.high), rel=1e-9)


def test_units_may_be_words():
    y, score, _ = _rows(4)
    code = np.arange(len(y)) % 30
    words = np.array([f"user {c:02}" for c in code])
    assert stats.recall(y, score, threshold=1, unit=words) == stats.recall(y, score, threshold=1, unit=code)


def test_rows_of_one_unit_widen_the_interval():
    y, score, _ = _rows(5, 100)
    y, score, unit = np.tile(y, 5), np.tile(score, 5), np.tile(np.arange(100), 5)
    once = stats.f_beta(y[:100], score[:100], threshold=1).interval
    five = stats.f_beta(y, score, threshold=1, unit=unit).interval
    assert (five.low, five.high) == pytest.approx((once.low, once.high), rel=0.05)


def test_the_delta_method_has_the_jackknifes_spread():
    y, score, weight = _rows(6, 400)
    from gonogo.stats.distributions import t_quantile

    without = []
    for row in range(len(y)):
        kept = np.arange(len(y)) != row
        without.append(math.atanh(stats.matthews_correlation(y[kept], score[kept], threshold=1, weight=weight[kept]).value))
    jackknife = math.sqrt((len(y) - 1) / len(y) * np.sum((np.array(without) - np.mean(without)) ** 2))
    found = stats.matthews_correlation(y, score, threshold=1, weight=weight).interval
    assert (math.atanh(found.high) - math.atanh(found.low)) / 2 / t_quantile(0.975, 399) == pytest.approx(jackknife, rel=0.02)


def test_the_cost_is_the_mean_price_of_the_rows():
    y, score, weight = _rows(7)
    called = score >= 1
    price = np.select([(y == 1) & called, (y == 1), called], [-5.0, 20.0, 1.0], 0.25)
    found = stats.cost_per_decision(
        y, score, threshold=1, weight=weight, false_positive=1, false_negative=20, true_positive=-5, true_negative=0.25, measured_in="usd"
    )
    assert found.value == pytest.approx(np.average(price, weights=weight), abs=1e-12)
    assert (found.measured_in, found.better) == ("usd", "lower")
    assert found.interval.low < found.value < found.interval.high


def test_with_many_of_each_outcome_the_cost_has_the_t_interval():
    y, score, _ = _rows(8, 20_000)
    called = score >= 1
    price = np.where(y == 1, np.where(called, 0.0, 10.0), np.where(called, 3.0, 0.0))
    slow = ratio_of_sums(UnitScores(np.arange(len(y)), price, np.ones(len(y)))).interval
    fast = stats.cost_per_decision(y, score, threshold=1, false_positive=3, false_negative=10).interval
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), rel=2e-3)


def test_a_dear_miss_that_was_never_seen_still_widens_the_cost():
    y, score = np.r_[np.ones(60), np.zeros(940)], np.r_[np.ones(90), np.zeros(910)]
    found = stats.cost_per_decision(y, score, threshold=0.5, false_positive=1, false_negative=500)
    assert found.value == pytest.approx(0.03)
    assert found.interval.high > 500 * 3 / 1000  # the rule of three


def test_nothing_seen_of_a_share_is_not_no_width():
    y, score = np.r_[np.ones(60), np.zeros(60)], np.r_[np.ones(60), np.zeros(60)]
    found = stats.confusion(y, score, threshold=0.5)
    assert (found.precision.value, found.false_positive_rate.value) == (1.0, 0.0)
    assert found.precision.interval.low == pytest.approx(60 / (60 + 2.001**2), rel=1e-3)
    assert found.false_positive_rate.interval.high > 0.05
    assert stats.f_beta(y, score, threshold=0.5).interval.low < 0.95
    nothing_right = stats.f_beta(y, -score, threshold=-0.5)
    assert (nothing_right.value, nothing_right.interval.low) == (0.0, 0.0)
    # 120 rows are wrong; of TP = 0 among them F1's share is half as well known as 120 rows would have it.
    assert nothing_right.interval.high > 0.06


@pytest.mark.parametrize(
    ("figure", "y", "score", "said"),
    [
        (stats.precision, [1, 0, 1], [0.1, 0.2, 0.3], "no score reaches the threshold"),
        (stats.recall, [0, 0, 0], [0.9, 0.2, 0.3], "no row is positive"),
        (stats.false_positive_rate, [1, 1, 1], [0.9, 0.2, 0.3], "no row is negative"),
        (stats.f_beta, [0, 0, 0], [0.1, 0.2, 0.3], "no row is positive and none is called"),
        (stats.matthews_correlation, [1, 1, 1], [0.9, 0.2, 0.3], "one class only"),
        (stats.matthews_correlation, [1, 0, 1], [0.1, 0.2, 0.3], "every row is called alike"),
        (stats.matthews_correlation, [1, 0, 1], [0.9, 0.2, 0.8], "every row is called rightly"),
        (stats.recall, [1, 0, 0], [0.9, 0.2, 0.3], "1 unit with weight"),
        (stats.recall, [], [], "no row is positive"),
        (stats.recall, [1, 2, 0], [0.9, 0.2, 0.3], "neither 0 nor 1"),
        (stats.recall, [1, math.nan, 0], [0.9, 0.2, 0.3], "neither 0 nor 1"),
        (stats.recall, [1, 1, 0], [0.9, math.nan, 0.3], "a score is NaN"),
    ],
)
def test_what_rows_cannot_say_is_refused_in_words(figure, y, score, said):
    found = figure(np.array(y, dtype=float), np.array(score, dtype=float), threshold=0.5)
    assert found.value is None
    assert found.interval is None
    assert said in found.refused


def test_calls_that_make_no_sense_are_the_callers_error():
    y, score, _ = _rows(9)
    for wrong in ({"threshold": math.nan}, {"threshold": 0, "level": 2}, {"threshold": 0, "weight": np.ones(3)}):
        with pytest.raises(ValueError, match=r"threshold is NaN|level|weights"):
            stats.precision(y, score, **wrong)
    with pytest.raises(ValueError, match="beta"):
        stats.f_beta(y, score, threshold=0, beta=0)
    with pytest.raises(ValueError, match="no decision can be cheaper"):
        stats.cost_per_decision(y, score, threshold=0, false_positive=0, false_negative=0)
    with pytest.raises(ValueError, match="no number"):
        stats.cost_per_decision(y, score, threshold=0, false_positive=math.inf, false_negative=0)


def test_a_bad_weight_is_refused():
    y, score, weight = _rows(10)
    weight[3] = -1
    assert "weight" in stats.precision(y, score, threshold=0, weight=weight).refused


def test_thresholds_at_infinity_call_all_and_none():
    y, score, _ = _rows(11)
    assert stats.recall(y, score, threshold=-math.inf).value == 1
    assert stats.recall(y, score, threshold=math.inf).value == 0


def test_a_confusion_reads_as_lines():
    y, score, _ = _rows(12)
    lines = str(stats.confusion(y, score, threshold=1)).splitlines()
    assert len(lines) == 10
    assert lines[4].startswith("precision 0.")


@pytest.mark.parametrize("name", ["F1, 50 positives of 1,000", "MCC, 100 positives of 1,000", "cost, 20 units of 60 rows"])
def test_the_intervals_hold_the_truth(name):
    number = next(i for i, claim in enumerate(CLAIMS) if claim.name == name)
    assert simulate("decisions", number, worlds=200).holds
