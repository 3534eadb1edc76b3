"""Figures of ranked lists agree with scikit-learn and with brute force over the orders of tied items."""

import itertools
import math

import numpy as np
import pytest
from benchmarks.truth.run import simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from gonogo import stats
from gonogo.stats import lists

FIGURES = [stats.ndcg, stats.mean_average_precision, stats.mean_reciprocal_rank, stats.recall_at_k, stats.hit_rate]


def world(n_lists=200, width=12, seed=0, decimals=1, rate=0.3):
    """Lists with ties (scores of one decimal), each with a relevant item."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n_lists, width)) < rate).astype(float)
    y[np.arange(n_lists), rng.integers(0, width, n_lists)] = 1
    return y, np.round(rng.normal(size=y.shape) + y, decimals)


# ── agreement ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("k", [None, 1, 3, 10, 50])
def test_ndcg_is_scikit_learns_with_ties_grades_and_weights(k):
    rng = np.random.default_rng(1)
    grades = rng.integers(0, 4, (300, 12)).astype(float)
    grades[:, 0] += 1
    score = rng.integers(0, 5, grades.shape).astype(float)
    weight = rng.random(300)
    ours = stats.ndcg(grades, score, k=k, weight=weight)
    assert ours.value == pytest.approx(ndcg_score(grades, score, k=k, sample_weight=weight), abs=1e-12)


def test_average_precision_is_scikit_learns_where_nothing_is_tied():
    y, score = world(decimals=12)
    assert stats.mean_average_precision(y, score).value == pytest.approx(label_ranking_average_precision_score(y, score), abs=1e-12)


def test_one_list_of_each_unit_is_average_precision_of_two_classes():
    from sklearn.metrics import average_precision_score

    y, score = world(n_lists=40, decimals=12)
    each = [average_precision_score(a, b) for a, b in zip(y, score, strict=True)]
    assert stats.mean_average_precision(y, score).value == pytest.approx(np.mean(each), abs=1e-12)


def _by_hand(name, y, k):
    """A figure of one list in its order."""
    k, places = k or len(y), np.arange(1, len(y) + 1)
    hits = y * (places <= k)
    found = {
        "ndcg": (y[:k] / np.log2(places[:k] + 1)).sum() / (np.sort(y)[::-1][:k] / np.log2(places[:k] + 1)).sum(),
        "mean_average_precision": (hits * np.cumsum(y) / places).sum() / min(y.sum(), k),
        "mean_reciprocal_rank": (1 / places[hits > 0][0]) if hits.any() else 0.0,
        "recall_at_k": hits.sum() / y.sum(),
        "hit_rate": float(hits.any()),
    }
    return found[name]


def _over_all_orders(name, y, score, k):
    orders = [o for o in itertools.permutations(range(len(y))) if all(score[a] >= score[b] for a, b in itertools.pairwise(o))]
    return np.mean([_by_hand(name, y[list(order)], k) for order in orders])


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_a_tie_counts_as_the_mean_over_its_orders(figure, k):
    rng = np.random.default_rng(k)
    y = (rng.random((25, 6)) < 0.4).astype(float)
    y[:, 2] = 1
    score = rng.integers(0, 3, y.shape).astype(float)
    expected = np.mean([_over_all_orders(figure.__name__, a, b, k) for a, b in zip(y, score, strict=True)])
    assert figure(y, score, k=k).value == pytest.approx(expected, abs=1e-12)


def test_a_constant_score_is_a_random_order():
    y = np.tile([1.0, 0, 0, 0, 0], (50, 1))
    y[0, 1] = 1
    score = np.zeros_like(y)
    assert stats.hit_rate(y, score, k=2).value == pytest.approx((49 * 0.4 + 0.7) / 50)
    one, two = (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5, 0.4 + 0.3 / 2 + 0.2 / 3 + 0.1 / 4
    assert stats.mean_reciprocal_rank(y, score).value == pytest.approx((49 * one + two) / 50)


def test_lists_that_all_give_the_same_show_no_spread():
    y = np.tile([1.0, 0, 0, 0, 0], (50, 1))
    assert "how far the truth may be is unknown" in stats.recall_at_k(y, np.zeros_like(y), k=2).refused


# ── the two forms ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
def test_rows_with_queries_in_any_order_give_what_a_table_gives(figure):
    y, score = world()
    query = np.repeat([f"user {i}" for i in range(len(y))], y.shape[1])
    order = np.random.default_rng(2).permutation(y.size)
    table, rows = figure(y, score, k=4), figure(y.ravel()[order], score.ravel()[order], k=4, query=query[order])
    assert rows.value == pytest.approx(table.value, abs=1e-13)
    assert (rows.n_units, rows.n_rows) == (table.n_units, table.n_rows) == (200, 200)
    assert rows.interval.low == pytest.approx(table.interval.low, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=7), min_size=2, max_size=8), st.integers(1, 8))
def test_lists_of_unlike_length_agree_with_each_by_itself(made, k):
    y = np.concatenate([[float(a) for a, _ in one] for one in made])
    score = np.concatenate([[float(b) for _, b in one] for one in made])
    query = np.repeat(np.arange(len(made)), [len(one) for one in made])
    if y.sum() == 0:
        return
    for figure in FIGURES:
        ours = figure(y, score, k=k, query=query).value
        seen = [_over_all(figure, one, k) for one in made if any(a for a, _ in one)]
        if ours is not None:
            assert ours == pytest.approx(np.mean(seen), abs=1e-12)


def _over_all(figure, one, k):
    """The figure of one list, by giving it twice."""
    y, score = (np.array([row, row], dtype=float) for row in zip(*one, strict=True))
    alone = lists._by_list(lists._lists_of(y, score, None, None, None), getattr(lists, _KERNEL[figure.__name__]), k)
    return alone[0]


_KERNEL = {
    "ndcg": "_discounted_gains",
    "mean_average_precision": "_average_precisions",
    "mean_reciprocal_rank": "_reciprocal_ranks",
    "recall_at_k": "_recalls",
    "hit_rate": "_hits",
}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
def test_no_figure_depends_on_where_the_table_is_cut(figure, monkeypatch):
    y, score = world(n_lists=300)
    whole = figure(y, score)
    monkeypatch.setattr(lists, "_AT_ONCE", 17)
    assert figure(y, score) == whole


def test_without_a_query_the_rows_of_a_unit_are_one_list():
    y, score = world()
    unit = np.repeat(np.arange(len(y)), y.shape[1])
    assert stats.ndcg(y.ravel(), score.ravel(), unit=unit) == stats.ndcg(y.ravel(), score.ravel(), query=unit)


def test_lists_of_one_user_move_together():
    y, score = world(n_lists=50)
    y, score, user = np.tile(y, (4, 1)), np.tile(score, (4, 1)), np.tile(np.arange(50), 4)
    alone, together = stats.ndcg(y, score), stats.ndcg(y, score, unit=user)
    assert (alone.n_units, together.n_units) == (200, 50)
    assert alone.value == pytest.approx(together.value)
    assert 1.9 < (together.interval.high - together.interval.low) / (alone.interval.high - alone.interval.low) < 2.1


def test_the_standard_error_is_the_bootstraps_within_five_percent():
    y, score = world(n_lists=500)
    rng = np.random.default_rng(0)
    for figure in (stats.ndcg, stats.mean_average_precision, stats.mean_reciprocal_rank):
        each = lists._by_list(lists._lists_of(y, score, None, None, None), getattr(lists, _KERNEL[figure.__name__]), None)
        drawn = [each[rng.integers(0, 500, 500)].mean() for _ in range(4000)]
        found = figure(y, score)
        ends = [math.log(end / (1 - end)) for end in (found.interval.low, found.interval.high)]
        ours = (ends[1] - ends[0]) / 2 / 1.965 * found.value * (1 - found.value)
        assert ours == pytest.approx(np.std(drawn), rel=0.05)


# ── what cannot be given ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_lists_without_a_relevant_item_are_left_out_and_counted_or_count_what_is_said():
    y, score = world(n_lists=100)
    y[:25] = 0
    out, zero = stats.ndcg(y, score), stats.ndcg(y, score, empty=0)
    assert out.value == pytest.approx(stats.ndcg(y[25:], score[25:]).value)
    assert zero.value == pytest.approx(0.75 * out.value) == pytest.approx(ndcg_score(y, score))
    assert (out.n_units, zero.n_units) == (75, 100)
    assert out.interval.method.endswith("25 of 100 lists without a relevant item left out")
    assert zero.interval.method.endswith("25 of 100 lists without a relevant item count 0")


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("y", "score", "why"),
    [
        ([[0.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [2.0, 1.0]], "no list has a relevant item"),
        ([[1.0, -1.0], [1.0, 0.0]], [[1.0, 2.0], [2.0, 1.0]], "(negative|neither 0 nor 1)"),
        ([[1.0, math.nan], [1.0, 0.0]], [[1.0, 2.0], [2.0, 1.0]], "(NaN|neither 0 nor 1)"),
        ([[1.0, 0.0], [1.0, 0.0]], [[1.0, math.nan], [2.0, 1.0]], "a score is NaN"),
        ([[1.0, 0.0], [1.0, 0.0]], [[1.0, math.inf], [2.0, 1.0]], "infinite"),
        ([[1.0, 0.0]], [[1.0, 2.0]], "two are needed"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "no rows"),
        (np.zeros((3, 0)), np.zeros((3, 0)), "no rows"),
        ([1.0, 0.0, 1.0], [0.1, 0.2, 0.3], "two are needed"),
        ([], [], "no rows"),
    ],
)
def test_what_the_lists_cannot_give_is_refused_in_words(figure, y, score, why):
    found = figure(np.asarray(y, dtype=float), np.asarray(score, dtype=float))
    assert found.value is None
    assert found.interval is None
    import re

    assert re.search(why, found.refused)


def test_grades_are_no_yes_or_no():
    assert "y >= 3" in stats.mean_average_precision([[2, 0], [1, 0]], [[1, 0], [0, 1]]).refused


def test_lists_of_weight_0_are_not_there():
    y, score = world(n_lists=60)
    weight = np.r_[np.zeros(30), np.ones(30)]
    weighed, alone = stats.ndcg(y, score, weight=weight), stats.ndcg(y[30:], score[30:])
    assert (weighed.value, weighed.interval.low) == pytest.approx((alone.value, alone.interval.low))
    assert weighed.n_units == 30
    assert "has weight" in stats.ndcg(y, score, weight=np.zeros(60)).refused


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 0},
        {"k": 2.5},
        {"level": 1.0},
        {"empty": 2.0},
        {"query": [1, 2]},
        {"weight": [1.0]},
        {"unit": [1]},
    ],
)
def test_a_wrong_call_is_a_value_error(wrong):
    with pytest.raises(ValueError):  # noqa: PT011
        stats.ndcg([[1, 0], [0, 1]], [[1, 0], [0, 1]], **wrong)


def test_shapes_that_differ_and_weights_that_differ_within_a_list_are_value_errors():
    with pytest.raises(ValueError, match="same items"):
        stats.ndcg([[1, 0]], [1.0, 2.0])
    with pytest.raises(ValueError, match="weight differs within a list"):
        stats.ndcg([1, 0, 1, 0], [1.0, 2, 3, 4], query=[1, 1, 2, 2], weight=[1.0, 2, 1, 1])
    with pytest.raises(ValueError, match="unit differs within a list"):
        stats.ndcg([1, 0, 1, 0], [1.0, 2, 3, 4], query=[1, 1, 2, 2], unit=["a", "b", "a", "a"])


def test_perfect_lists_keep_their_width():
    y = np.tile([1.0, 0, 0], (100, 1))
    found = stats.ndcg(y, y)
    assert found.value == 1.0
    assert 0.9 < found.interval.low < found.interval.high == 1.0


@pytest.mark.parametrize("number", [0, 3, 9])
def test_intervals_hold_the_truth(number):
    assert simulate("lists", number, worlds=200).holds


@pytest.mark.parametrize(
    "figure", [stats.ndcg, stats.mean_average_precision, stats.mean_reciprocal_rank, stats.hit_rate, stats.recall_at_k]
)
def test_k_may_come_as_a_whole_float_and_never_without_end(figure):
    rng = np.random.default_rng(0)
    y, score = (rng.random((40, 12)) < 0.3).astype(float), rng.random((40, 12))
    assert figure(y, score, k=5.0) == figure(y, score, k=5)
    for k in (float("inf"), float("nan"), 2.5, 0):
        with pytest.raises(ValueError, match="k is"):
            figure(y, score, k=k)
