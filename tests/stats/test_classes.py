"""Figures of several classes agree with scikit-learn, name the classes they leave out, and respect the unit."""

import math
import warnings

import numpy as np
import pytest
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from gonogo import stats

NAMES = np.array(["bird", "cat", "dog", "eel"])


def world(n=600, seed=0, k=4):
    rng = np.random.default_rng(seed)
    truth = rng.choice(k, n, p=np.array([0.4, 0.3, 0.2, 0.1])[:k] / np.sum([0.4, 0.3, 0.2, 0.1][:k]))
    logits = rng.normal(size=(n, k)) + 1.2 * np.eye(k)[truth]
    p = np.exp(logits)
    return NAMES[truth], p / p.sum(axis=1, keepdims=True), rng.random(n)


# ── agreement ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_figures_of_probabilities_are_scikit_learns():
    y, p, w = world()
    called = NAMES[p.argmax(axis=1)]
    pairs = [
        (stats.accuracy, metrics.accuracy_score(y, called, sample_weight=w)),
        (stats.micro_f1, metrics.f1_score(y, called, average="micro", sample_weight=w)),
        (stats.macro_f1, metrics.f1_score(y, called, average="macro", sample_weight=w)),
        (stats.multiclass_log_loss, metrics.log_loss(y, p, sample_weight=w)),
    ]
    for figure, peer in pairs:
        assert figure(y, p, labels=NAMES, weight=w).value == pytest.approx(peer, abs=1e-12)


def test_the_area_of_each_class_against_the_rest_is_scikit_learns():
    y, p, w = world()
    assert stats.one_vs_rest_auc(y, p, labels=NAMES).value == pytest.approx(metrics.roc_auc_score(y, p, multi_class="ovr"), abs=1e-12)
    weighted = metrics.roc_auc_score(y, p, multi_class="ovr", sample_weight=w)
    assert stats.one_vs_rest_auc(y, np.round(p, 9), labels=NAMES, weight=w).value == pytest.approx(weighted, abs=1e-6)
    assert stats.one_vs_rest_auc(y, p, labels=NAMES, weight=w).value == pytest.approx(weighted, abs=1e-12)


def test_a_certain_mistake_costs_what_scikit_learn_says():
    y, p = np.array([0, 1, 2] * 20), np.tile(np.eye(3), (20, 1))
    p[0] = [0, 1, 0]
    assert stats.multiclass_log_loss(y, p, labels=[0, 1, 2]).value == pytest.approx(metrics.log_loss(y, p), rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.sampled_from(["<U4", "i8", "f8"]))
def test_predicted_classes_of_any_type_agree_with_scikit_learn(seed, k, kind):
    rng = np.random.default_rng(seed)
    names = NAMES[:k] if kind == "<U4" else np.arange(k).astype(kind)
    y = np.concatenate([np.repeat(names, 20), rng.choice(names, 60)])
    called = np.where(rng.random(len(y)) < 0.5, y, rng.choice(names, len(y)))
    assert stats.macro_f1(y, called).value == pytest.approx(metrics.f1_score(y, called, average="macro"), abs=1e-12)
    some = names[:2]
    micro = metrics.f1_score(y, called, average="micro", labels=some)
    assert stats.micro_f1(y, called, classes=some).value == pytest.approx(micro, abs=1e-12)
    precision, recall, f1, rows = metrics.precision_recall_fscore_support(y, called)
    for i, one in enumerate(stats.per_class(y, called)):
        assert (one.label, one.n_rows) == (names[i], rows[i])
        found = (one.precision.value, one.recall.value, one.f1.value)
        assert found == pytest.approx((precision[i], recall[i], f1[i]), abs=1e-12)


def test_the_columns_may_come_in_any_order():
    y, p, _ = world()
    order = [2, 0, 3, 1]
    for figure in (stats.accuracy, stats.macro_f1, stats.one_vs_rest_auc, stats.multiclass_log_loss):
        assert figure(y, p[:, order], labels=NAMES[order]).value == pytest.approx(figure(y, p, labels=NAMES).value)


# ── the spread ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("figure", [stats.accuracy, stats.macro_f1, stats.one_vs_rest_auc, stats.multiclass_log_loss])
def test_the_interval_is_as_wide_as_the_bootstraps(figure):
    y, p, _ = world(1500)
    rng = np.random.default_rng(1)
    drawn = [figure(y[i], p[i], labels=NAMES).value for i in (rng.integers(0, 1500, 1500) for _ in range(400))]
    found = figure(y, p, labels=NAMES)
    assert (found.interval.high - found.interval.low) / 3.92 == pytest.approx(np.std(drawn), rel=0.12)


@pytest.mark.parametrize("figure", [stats.accuracy, stats.macro_f1, stats.micro_f1, stats.one_vs_rest_auc, stats.multiclass_log_loss])
def test_rows_of_one_unit_count_together(figure):
    y, p, _ = world()
    unit = np.tile(np.arange(len(y)), 4)
    alone, together = figure(y, p, labels=NAMES), figure(np.tile(y, 4), np.tile(p, (4, 1)), labels=NAMES, unit=unit)
    assert together.value == pytest.approx(alone.value)
    assert together.interval.low == pytest.approx(alone.interval.low)
    assert together.n_units == len(y)


@pytest.mark.parametrize("figure", [stats.accuracy, stats.macro_f1, stats.micro_f1, stats.one_vs_rest_auc, stats.multiclass_log_loss])
def test_rows_of_weight_0_are_not_there(figure):
    y, p, _ = world()
    weight = np.r_[np.zeros(50), np.ones(550)]
    weighed, alone = figure(y, p, labels=NAMES, weight=weight), figure(y[50:], p[50:], labels=NAMES)
    assert (weighed.value, weighed.interval.low, weighed.n_units) == pytest.approx((alone.value, alone.interval.low, alone.n_units))


# ── classes without rows, and too few ────────────────────────────────────────────────────────────────────────────────────


def test_a_class_without_rows_is_left_out_and_named_not_counted_as_0():
    y, called = np.array(["a", "b"] * 50), np.array(["a", "b", "c", "b", "a"] * 20)
    found = stats.macro_f1(y, called)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found.value == pytest.approx(metrics.f1_score(y, called, average="macro", labels=["a", "b"]))
        assert found.value > metrics.f1_score(y, called, average="macro")
    assert found.interval.method.endswith("without c, of which there is no row")
    y, p, _ = world()
    seen = y != "eel"
    area = stats.one_vs_rest_auc(y[seen], p[seen], labels=NAMES)
    assert area.interval.method.endswith("without eel, of which there is no row")
    assert [one.label for one in stats.per_class(["a", "b", "a"], ["a", "c", "a"])] == ["a", "b", "c"]
    assert "no row is c" in stats.per_class(["a", "b", "a"], ["a", "c", "a"])[2].recall.refused


def test_a_class_of_few_rows_refuses_the_mean_by_name():
    y, p, _ = world()
    few = np.flatnonzero(y == "eel")
    keep = np.setdiff1d(np.arange(len(y)), few[12:])
    assert stats.macro_f1(y[keep], p[keep], labels=NAMES).refused.startswith("12 rows are eel, 20 are asked")
    assert stats.one_vs_rest_auc(y[keep], p[keep], labels=NAMES).refused.startswith("12 rows are eel, 50 are asked")
    assert stats.one_vs_rest_auc(y[keep], p[keep], labels=NAMES, classes=["bird", "cat"]).value is not None
    assert stats.accuracy(y[keep], p[keep], labels=NAMES).value is not None


def test_one_class_only_has_nothing_to_rank():
    p = np.tile([0.5, 0.5], (100, 1))
    assert "one class only" in stats.one_vs_rest_auc(np.zeros(100), p, labels=[0, 1]).refused


def test_all_right_is_a_share_with_width_and_no_mean_of_f1():
    y = np.array(["a", "b"] * 50)
    assert 0.9 < stats.accuracy(y, y).interval.low < stats.accuracy(y, y).interval.high == 1
    assert "unknown" in stats.macro_f1(y, y).refused


@pytest.mark.parametrize("bad", [math.nan, 1.5, -0.5, 0.5])
def test_scores_that_are_no_probabilities_have_no_log_loss(bad):
    y, p, _ = world()
    p[3, 1] = bad
    assert stats.multiclass_log_loss(y, p, labels=NAMES).value is None


def test_a_class_that_no_column_is_about_is_named():
    y, p, _ = world()
    three = p[:, :3] / p[:, :3].sum(axis=1, keepdims=True)
    assert "eel" in stats.multiclass_log_loss(y, three, labels=NAMES[:3]).refused
    assert "eel" in stats.one_vs_rest_auc(y, three, labels=NAMES[:3]).refused


@pytest.mark.parametrize("figure", [stats.accuracy, stats.macro_f1, stats.micro_f1])
def test_no_row_or_one_row_is_refused(figure):
    assert figure(np.array([], dtype="<U1"), np.array([], dtype="<U1")).refused
    assert figure(["a"], ["a"]).refused


def test_wrong_calls_are_value_errors():
    y, p, w = world()
    for call in (
        lambda: stats.accuracy(y, p),
        lambda: stats.accuracy(y, p[:-1], labels=NAMES),
        lambda: stats.accuracy(y, p, labels=NAMES[:3]),
        lambda: stats.accuracy(y, p, labels=["a", "a", "b", "c"]),
        lambda: stats.accuracy(y, y, weight=w[:-1]),
        lambda: stats.accuracy(y, y, level=2),
        lambda: stats.macro_f1(y, y, classes=["unicorn"]),
        lambda: stats.one_vs_rest_auc(y, y, labels=NAMES),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            call()


@pytest.mark.parametrize("number", [1, 3])
def test_intervals_hold_the_truth(number):
    assert simulate("classes", number, worlds=200).holds


@pytest.mark.parametrize("figure", [stats.accuracy, stats.macro_f1, stats.micro_f1, stats.one_vs_rest_auc])
def test_a_score_that_is_nan_is_refused_and_not_taken_for_the_highest(figure):
    y, score = np.tile([0, 1, 2], 60), np.random.default_rng(0).dirichlet([1, 1, 1], 180)
    assert figure(y, score, labels=[0, 1, 2]).value is not None
    score[5, 1] = np.nan
    assert figure(y, score, labels=[0, 1, 2]).refused == "a score is NaN"


def test_the_figures_of_each_class_are_refused_for_nan_and_for_bad_weights():
    y, score = np.tile([0, 1], 60), np.random.default_rng(0).dirichlet([1, 1], 120)
    for weight, bad in ((np.full(120, np.inf), score), (None, np.where(np.arange(240).reshape(120, 2) == 7, np.nan, score))):
        for each in stats.per_class(y, bad, labels=[0, 1], weight=weight):
            assert all(one.refused for one in (each.precision, each.recall, each.f1))


def test_a_missing_class_among_objects_is_a_mistake():
    with pytest.raises(ValueError, match="missing"):
        stats.accuracy(np.array(["a", None], dtype=object), np.array(["a", "b"], dtype=object))
