import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from gonogo.stats import discrimination as d
from gonogo.stats.refusals import NotFinite

PAIRS = [
    (d.roc_auc, d.prepare_roc_auc, ()),
    (d.average_precision, d.prepare_average_precision, ()),
    (d.recall_at_false_alarm_rate, d.prepare_recall_at_false_alarm_rate, (0.1,)),
    (d.precision_at_recall, d.prepare_precision_at_recall, (0.5,)),
]


@st.composite
def _rows(draw):
    """Outcomes, scores with many ties, and weights among which are zeros; both classes have weight."""
    n = draw(st.integers(2, 60))
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), dtype=float)
    score = np.array(draw(st.lists(st.sampled_from([-1e300, -1.0, 0.0, 1e-9, 0.25, 1.0, 7.0]), min_size=n, max_size=n)))
    weight = np.array(draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]), min_size=n, max_size=n)))
    return np.r_[y, 0, 1], np.r_[score, 0.0, 0.25], np.r_[weight, 1, 1]


@settings(max_examples=200, deadline=None)
@given(_rows())
def test_auc_and_average_precision_equal_scikit_learn_ties_and_weights_included(rows):
    y, score, weight = rows
    assert d.roc_auc(y, score, weight) == pytest.approx(metrics.roc_auc_score(y, score, sample_weight=weight), abs=1e-12)
    assert d.average_precision(y, score, weight) == pytest.approx(
        metrics.average_precision_score(y, score, sample_weight=weight), abs=1e-12
    )


@settings(max_examples=200, deadline=None)
@given(_rows())
def test_the_compiled_figure_equals_its_definition(rows):
    y, score, weight = rows
    for plain, prepare, at in PAIRS:
        assert prepare(y, score, *at)(weight) == pytest.approx(plain(y, score, *at, weight), abs=1e-12)


def test_the_figures_equal_scikit_learn_on_many_rows():
    rng = np.random.default_rng(0)
    y = (rng.random(20_000) < 0.05).astype(float)
    score = np.round(rng.normal(size=20_000) + y, 2)
    weight = rng.poisson(1, 20_000).astype(float)
    assert d.prepare_roc_auc(y, score)(weight) == pytest.approx(metrics.roc_auc_score(y, score, sample_weight=weight), abs=1e-12)
    ours = d.prepare_average_precision(y, score)(weight)
    assert ours == pytest.approx(metrics.average_precision_score(y, score, sample_weight=weight), abs=1e-12)
    fpr, tpr, _ = metrics.roc_curve(y, score, sample_weight=weight, drop_intermediate=False)
    assert d.recall_at_false_alarm_rate(y, score, 0.1, weight) == pytest.approx(tpr[fpr <= 0.1].max(), abs=1e-12)
    precision, recall, _ = metrics.precision_recall_curve(y, score, sample_weight=weight)
    assert d.precision_at_recall(y, score, 0.5, weight) == pytest.approx(precision[recall >= 0.5][-1], abs=1e-12)


def test_weights_of_zero_leave_rows_out():
    rng = np.random.default_rng(1)
    y, score = rng.integers(0, 2, 200).astype(float), rng.normal(size=200)
    kept = rng.random(200) < 0.5
    for plain, prepare, at in PAIRS:
        assert prepare(y, score, *at)(kept.astype(float)) == pytest.approx(plain(y[kept], score[kept], *at), abs=1e-12)


def test_a_share_that_rounding_would_miss_is_reached():
    # 10 negatives above, 90 below: 0.1 · 100 negatives is exactly within a tenth, whatever 0.1 is in binary.
    y = np.r_[np.zeros(10), np.ones(5), np.zeros(90)]
    score = -np.arange(105.0)
    assert d.recall_at_false_alarm_rate(y, score, 0.1) == 1.0
    assert d.prepare_recall_at_false_alarm_rate(y, score, 0.1)(np.ones(105)) == 1.0


def test_one_class_only_is_none_never_a_number():
    one, score, ones = np.ones(4), np.arange(4.0), np.ones(4)
    for plain, prepare, at in (PAIRS[0], PAIRS[2]):
        assert plain(one, score, *at) is None
        assert prepare(one, score, *at)(ones) is None
    for plain, prepare, at in (PAIRS[1], PAIRS[3]):
        assert plain(np.zeros(4), score, *at) is None
        assert prepare(np.zeros(4), score, *at)(ones) is None


def test_a_constant_score_is_worth_a_coin():
    y = np.array([0.0, 1.0, 0.0, 1.0])
    assert d.roc_auc(y, np.zeros(4)) == 0.5
    assert d.average_precision(y, np.zeros(4)) == 0.5
    assert d.recall_at_false_alarm_rate(y, np.zeros(4), 0.1) == 0.0


def test_nan_scores_and_outcomes_other_than_0_and_1_are_refused():
    with pytest.raises(NotFinite):
        d.prepare_roc_auc(np.array([0.0, 1.0]), np.array([np.nan, 1.0]))
    with pytest.raises(NotFinite):
        d.roc_auc(np.array([0.0, 2.0]), np.array([0.5, 1.0]))
    with pytest.raises(NotFinite):
        d.roc_auc(np.array([0.0, 1.0]), np.array([0.5, 1.0]), np.array([1.0, -1.0]))


def test_no_rows_at_all_give_no_figure():
    empty = np.zeros(0)
    assert d.roc_auc(empty, empty) is None
    assert d.prepare_average_precision(empty, empty)(empty) is None
    assert d.roc_points(empty, empty) == ()


def test_curves_run_from_end_to_end_and_are_thinned():
    rng = np.random.default_rng(0)
    y = (rng.random(5000) < 0.2).astype(float)
    score = rng.normal(size=5000) + y
    roc, pr = d.roc_points(y, score, n_points=50), d.precision_recall_points(y, score, n_points=50)
    assert roc[0] == (0.0, 0.0)
    assert roc[-1] == (1.0, 1.0)
    assert pr[-1][0] == 1.0
    assert 40 <= len(roc) <= 52
    assert 40 <= len(pr) <= 52
    drawn = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(roc))
    assert drawn == pytest.approx(d.roc_auc(y, score), abs=2e-3)
