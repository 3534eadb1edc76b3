"""Facts about the difference of two models on the same rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.truth.comparison import CLAIMS
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from gonogo import stats
from gonogo.stats.clustered import paired_difference
from gonogo.stats.delong import roc_auc_difference, roc_auc_interval
from gonogo.stats.linearised import FIGURES
from gonogo.types.evidence import Of, UnitScores

TWO_CLASSES = [name for name, figure in FIGURES.items() if figure.of_two_classes]
REGRESSION = [name for name, figure in FIGURES.items() if not figure.of_two_classes]
ORACLES = {
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "log_loss": lambda y, p, sample_weight: sk.log_loss(y, p, sample_weight=sample_weight),
    "brier_score": sk.brier_score_loss,
    "accuracy": lambda y, p, sample_weight: sk.accuracy_score(y, p >= 0.5, sample_weight=sample_weight),
    "precision": lambda y, p, sample_weight: sk.precision_score(y, p >= 0.5, sample_weight=sample_weight),
    "recall": lambda y, p, sample_weight: sk.recall_score(y, p >= 0.5, sample_weight=sample_weight),
    "false_positive_rate": lambda y, p, sample_weight: 1 - sk.recall_score(1 - y, p < 0.5, sample_weight=sample_weight),
    "f_beta": lambda y, p, sample_weight: sk.f1_score(y, p >= 0.5, sample_weight=sample_weight),
    "matthews_correlation": lambda y, p, sample_weight: sk.matthews_corrcoef(y, p >= 0.5, sample_weight=sample_weight),
    "cost_per_decision": lambda y, p, sample_weight: 1 - sk.accuracy_score(y, p >= 0.5, sample_weight=sample_weight),
    "mean_absolute_error": sk.mean_absolute_error,
    "mean_squared_error": sk.mean_squared_error,
    "root_mean_squared_error": sk.root_mean_squared_error,
}


def world(n=1000, seed=0, *, ties=False, n_units=0):
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    scores = [1 / (1 + np.exp(-(logit + scale * rng.normal(size=n)))) for scale in (0.3, 1.0)]
    if ties:
        scores = [np.round(score, 1) for score in scores]
    return y, *scores, rng.integers(0, n_units, n) if n_units else None


@pytest.mark.parametrize("metric", ORACLES)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_difference_is_that_of_scikit_learn(metric, ties, weighted):
    y, ours, theirs, _ = world(ties=ties, seed=3)
    weight = np.random.default_rng(4).gamma(1.0, size=len(y)) if weighted else None
    expected = [ORACLES[metric](y, score, sample_weight=weight) for score in (ours, theirs)]
    assert stats.compare(y, ours, theirs, metric=metric, weight=weight).value == pytest.approx(expected[0] - expected[1], abs=1e-12)


@pytest.mark.parametrize("n_units", [0, 40])
def test_the_interval_of_an_area_is_delongs(n_units):
    y, ours, theirs, unit = world(n_units=n_units)
    expected = roc_auc_difference(y, ours, theirs, np.arange(len(y)) if unit is None else unit)
    found = stats.compare(y, ours, theirs, unit=unit)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.interval.low, expected.interval.high), abs=1e-12)


def test_the_interval_of_a_mean_loss_is_that_of_the_ratio_of_sums():
    y, ours, theirs, unit = world(n_units=30)
    losses = [(score - y) ** 2 for score in (ours, theirs)]
    expected = paired_difference(*(UnitScores(unit, loss, np.ones(len(y))) for loss in losses))
    found = stats.compare(y, ours, theirs, metric="brier_score", unit=unit)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.interval.low, expected.interval.high), abs=1e-12)


@pytest.mark.parametrize("metric", [*TWO_CLASSES, *REGRESSION])
def test_the_standard_error_is_near_that_of_the_units_drawn_again(metric):
    y, ours, theirs, unit = world(3000, n_units=600, seed=5)
    found = stats.compare(y, ours, theirs, metric=metric, unit=unit)
    rng = np.random.default_rng(6)
    rows = [np.flatnonzero(unit == u) for u in range(600)]
    values = []
    for _ in range(150):
        drawn = np.concatenate([rows[u] for u in rng.integers(0, 600, 600)])
        values.append(stats.compare(y[drawn], ours[drawn], theirs[drawn], metric=metric).value)
    assert (found.interval.high - found.interval.low) / 3.93 == pytest.approx(np.std(values), rel=0.25)


def test_a_function_of_outcome_and_score_is_a_loss():
    y, ours, theirs, _ = world()
    expected = stats.compare(y, ours, theirs, metric="mean_absolute_error")
    found = stats.compare(y, ours, theirs, metric=lambda y, score: np.abs(y - score))
    assert (found.value, found.interval, found.better, found.metric) == (expected.value, expected.interval, "lower", "loss")


def test_all_at_once_are_what_each_is_alone():
    y, ours, theirs, unit = world(n_units=50)
    together = stats.compare_all(y, ours, theirs, metrics=TWO_CLASSES, unit=unit, threshold=0.4, rate=0.2)
    for metric, found in zip(TWO_CLASSES, together, strict=True):
        options = {name: {"threshold": 0.4, "rate": 0.2}[name] for name in FIGURES[metric].options if name in ("threshold", "rate")}
        assert found == stats.compare(y, ours, theirs, metric=metric, unit=unit, **options)
        assert found.of is Of.DIFFERENCE


def test_pairing_narrows_the_interval_of_models_that_agree_much():
    rng = np.random.default_rng(0)
    y, ours, _, _ = world(4000)
    theirs = np.clip(ours + 0.02 * rng.normal(size=len(y)), 0, 1)
    paired = stats.compare(y, ours, theirs)
    alone = roc_auc_interval(y, ours, np.arange(len(y)))
    assert paired.interval.high - paired.interval.low < (alone.interval.high - alone.interval.low) / 5


@given(seed=st.integers(0, 10**6), metric=st.sampled_from(TWO_CLASSES))
@settings(deadline=None, max_examples=50)
def test_changing_sides_changes_the_sign_and_nothing_else(seed, metric):
    y, ours, theirs, unit = world(400, seed, n_units=60)
    one, other = stats.compare(y, ours, theirs, metric=metric, unit=unit), stats.compare(y, theirs, ours, metric=metric, unit=unit)
    assert one.value == pytest.approx(-other.value, abs=1e-14)
    assert one.interval.low == pytest.approx(-other.interval.high, abs=1e-14)


@given(seed=st.integers(0, 10**6), metric=st.sampled_from(TWO_CLASSES))
@settings(deadline=None, max_examples=30)
def test_neither_the_order_of_rows_nor_the_names_of_units_matter(seed, metric):
    y, ours, theirs, unit = world(300, seed, n_units=40)
    names = np.array([f"user {u}" for u in unit])
    order = np.random.default_rng(seed).permutation(len(y))
    found = stats.compare(y, ours, theirs, metric=metric, unit=unit)
    other = stats.compare(y[order], ours[order], theirs[order], metric=metric, unit=names[order])
    assert found.interval.low == pytest.approx(other.interval.low, rel=1e-9, abs=1e-12)


def test_a_row_of_no_weight_is_no_row():
    y, ours, theirs, unit = world(600, n_units=50)
    kept = unit < 40
    for metric in ("roc_auc", "log_loss", "f_beta"):
        weighted = stats.compare(y, ours, theirs, metric=metric, unit=unit, weight=kept.astype(float))
        fewer = stats.compare(y[kept], ours[kept], theirs[kept], metric=metric, unit=unit[kept])
        assert weighted.n_units == fewer.n_units == 40
        assert weighted.interval.low == pytest.approx(fewer.interval.low, abs=1e-12)


# ── what the data cannot give ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("metric", TWO_CLASSES)
def test_models_that_answer_alike_are_refused_and_not_equal(metric):
    y, ours, _, _ = world()
    found = stats.compare(y, ours, ours, metric=metric)
    assert found.value is None
    assert "alike" in found.refused


@pytest.mark.parametrize("metric", [*TWO_CLASSES, *REGRESSION])
def test_nan_is_refused(metric):
    y, ours, theirs, _ = world()
    for where in (0, 1, 2):
        broken = [y.copy(), ours.copy(), theirs.copy()]
        broken[where][7] = math.nan
        assert stats.compare(*broken, metric=metric).refused
    assert stats.compare(y, ours, theirs, metric=metric, weight=np.r_[math.nan, np.ones(len(y) - 1)]).refused


@pytest.mark.parametrize("metric", [*TWO_CLASSES, *REGRESSION])
@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row_are_refused(metric, n):
    found = stats.compare(np.zeros(n), np.full(n, 0.2), np.full(n, 0.4), metric=metric)
    assert found.interval is None
    assert found.refused


def test_one_unit_is_refused_however_many_rows():
    y, ours, theirs, _ = world()
    assert "1 unit with weight" in stats.compare(y, ours, theirs, unit=np.zeros(len(y))).refused


def test_one_class_and_too_few_of_a_class_are_refused_with_their_number():
    _, ours, theirs, _ = world()
    assert stats.compare(np.ones(1000), ours, theirs).refused == "one class only: there is nothing to tell apart"
    few = np.r_[np.ones(49), np.zeros(951)]
    assert stats.compare(few, ours, theirs).refused.startswith("49 positives of 50 asked")
    assert stats.compare(1 - few, ours, theirs).refused.startswith("49 negatives of 50 asked")
    assert not stats.compare(np.r_[np.ones(50), np.zeros(950)], ours, theirs).refused


def test_infinite_scores_rank_like_any_other_and_are_no_probabilities():
    y, ours, theirs, _ = world()
    endless = np.where(ours > 0.9, np.inf, ours)
    assert stats.compare(y, endless, theirs).value == stats.compare(y, np.where(ours > 0.9, 2.0, ours), theirs).value
    assert "no probability" in stats.compare(y, endless, theirs, metric="log_loss").refused
    assert "infinite" in stats.compare(y, endless, theirs, metric="root_mean_squared_error").refused


def test_a_threshold_that_calls_nothing_has_no_precision():
    y, ours, theirs, _ = world()
    assert "does not exist" in stats.compare(y, ours, theirs, metric="precision", threshold=1.0).refused
    assert "does not exist" in stats.compare(y, ours, theirs, metric="matthews_correlation", threshold=1.0).refused


def test_calls_that_make_no_sense_are_errors():
    y, ours, theirs, _ = world(60)
    wrong = (
        ({"metric": "auc"}, "no figure is named 'auc'"),
        ({"metric": "roc_auc", "threshold": 0.5}, "takes 'threshold'"),
        ({"metric": "f_beta", "beta": math.inf}, "beta is inf"),
        ({"level": 95}, "the level is 95"),
        ({"unit": np.zeros(59)}, "unit has the shape"),
        ({"weight": np.ones(59)}, "59 weights for 60 rows"),
        ({"metric": lambda y, score: 0.0}, "the loss gave the shape"),
    )
    for call, sentence in wrong:
        with pytest.raises(ValueError, match=sentence):
            stats.compare(y, ours, theirs, **call)
    with pytest.raises(ValueError, match="same rows"):
        stats.compare(y, ours, theirs[:59])


QUICK = ("roc_auc difference, 100 positives", "log_loss difference of", "right equally", "a difference of the detectable size")
SIMULATED = [number for number, claim in enumerate(CLAIMS) if claim.name.startswith(QUICK)]


@pytest.mark.parametrize("number", SIMULATED, ids=lambda number: f"{CLAIMS[number].name}, {CLAIMS[number].method}")
def test_what_is_claimed_of_it_holds_in_simulated_worlds(number):
    worlds = 100 if CLAIMS[number].kind == "coverage" else 200
    assert simulate("comparison", number, worlds=worlds).holds


@pytest.mark.parametrize(
    ("metric", "option"),
    [("recall_at_false_positive_rate", {"rate": 0}), ("precision_at_recall", {"recall": 2}), ("f_beta", {"beta": -1})],
)
def test_an_option_outside_its_range_is_named(metric, option):
    (name,) = option
    with pytest.raises(ValueError, match=f"{name} is "):
        stats.compare([0, 1], [0.1, 0.2], [0.2, 0.3], metric=metric, **option)
