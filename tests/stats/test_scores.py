import numpy as np
import pytest
from benchmarks.truth.run import claims_of, simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from gonogo import stats
from gonogo.stats import discrimination as d

FIGURES = {
    stats.roc_auc: metrics.roc_auc_score,
    stats.average_precision: metrics.average_precision_score,
    stats.precision_at_recall: lambda y, s, sample_weight: d.precision_at_recall(y, s, 0.5, sample_weight),
    stats.recall_at_false_positive_rate: lambda y, s, sample_weight: d.recall_at_false_alarm_rate(y, s, 0.1, sample_weight),
    stats.lift: lambda y, s, sample_weight: _lift(y, s, sample_weight),
}


def _lift(y, score, weight):
    """Of the rows in the top tenth by score, equal scores at the edge as if every row of them were cut alike."""
    weight = np.ones(len(y)) if weight is None else weight
    at_least = np.unique(score)[::-1]
    called = np.array([weight[score >= edge].sum() for edge in at_least])
    found = np.array([weight[(score >= edge) & (y == 1)].sum() for edge in at_least])
    return float(np.interp(0.1 * weight.sum(), np.r_[0, called], np.r_[0, found]) / weight[y == 1].sum() / 0.1)


def _world(seed: int = 0, n: int = 2000, prevalence: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < prevalence).astype(float)
    return y, rng.normal(size=n) + 1.2 * y


@st.composite
def _rows(draw):
    """At least 50 rows of both classes, with ties, infinities, tiny and huge scores, and weights or none."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n = draw(st.integers(0, 300))
    y = np.r_[(rng.random(n) < draw(st.sampled_from([0.05, 0.5, 0.95]))), np.zeros(60), np.ones(60)].astype(float)
    kinds = {
        "tied": rng.choice([-1e300, -1.0, -0.0, 0.0, 1e-300, 0.25, 7.0], n + 120),
        "distinct": rng.normal(size=n + 120) + y,
        "constant": np.zeros(n + 120),
    }
    weight = rng.choice([0.5, 1.0, 3.0], n + 120) if draw(st.booleans()) else None
    return y, kinds[draw(st.sampled_from(list(kinds)))], weight


@settings(max_examples=50, deadline=None)
@given(_rows())
def test_every_value_equals_scikit_learn(rows):
    y, score, weight = rows
    for ours, oracle in FIGURES.items():
        found, expected = ours(y, score, weight=weight), oracle(y, score, sample_weight=weight)
        if found.value is None:
            assert "how far the truth may be is unknown" in found.refused
        else:
            assert found.value == pytest.approx(expected, abs=1e-12)
            assert found.interval.low < found.value < found.interval.high


@pytest.mark.slow
def test_ten_million_rows_have_scikit_learns_figures():
    y, score = _world(n=10_000_000, prevalence=0.3)
    assert stats.roc_auc(y, score).value == pytest.approx(metrics.roc_auc_score(y, score), abs=1e-12)
    assert stats.average_precision(y, score).value == pytest.approx(metrics.average_precision_score(y, score), abs=1e-12)


def test_infinite_scores_rank_like_any_other():
    y, score = _world()
    infinite = np.where(score > 2, np.inf, np.where(score < -2, -np.inf, score))
    clipped = np.clip(infinite, -9, 9)
    for ours in FIGURES:
        assert ours(y, infinite).value == ours(y, clipped).value


def test_the_order_of_rows_and_the_names_of_units_do_not_matter():
    y, score = _world()
    unit = np.arange(len(y)) // 10
    shuffled = np.random.default_rng(1).permutation(len(y))
    for ours in FIGURES:
        assert ours(y[shuffled], score[shuffled]) == ours(y, score)
        named = ours(y, score, unit=np.array([f"user {u}" for u in unit]))
        assert named.interval.low == pytest.approx(ours(y, score, unit=unit).interval.low, abs=1e-12)
        assert named.n_units == 200


def test_rows_as_units_are_rows_without_units_and_weights_of_one_no_weights():
    y, score = _world()
    for ours in FIGURES:
        bare = ours(y, score)
        for same in (ours(y, score, unit=np.arange(len(y))), ours(y, score, weight=np.ones(len(y)))):
            assert (same.value, same.interval.low) == pytest.approx((bare.value, bare.interval.low), abs=1e-12)
            assert same.n_units == len(y)


def test_rows_repeated_within_their_unit_add_no_certainty():
    y, score = _world()
    twice = np.repeat(np.arange(len(y)), 2)
    for ours in (stats.roc_auc, stats.average_precision, stats.lift):
        once, doubled = ours(y, score), ours(y[twice], score[twice], unit=twice)
        assert doubled.value == pytest.approx(once.value, abs=1e-12)
        assert doubled.interval.high - doubled.interval.low == pytest.approx(once.interval.high - once.interval.low, rel=0.02)


def test_rows_of_no_weight_count_for_nothing():
    y, score = _world()
    kept = np.random.default_rng(2).random(len(y)) < 0.7
    for ours in FIGURES:
        whole, part = ours(y, score, weight=kept.astype(float)), ours(y[kept], score[kept])
        assert whole.n_units == part.n_units
        assert whole.value == pytest.approx(part.value, abs=1e-12)
        assert whole.interval.low == pytest.approx(part.interval.low, abs=0.02)


def test_a_higher_level_is_a_wider_interval():
    y, score = _world()
    for ours in FIGURES:
        assert ours(y, score, level=0.99).interval.low < ours(y, score).interval.low < ours(y, score, level=0.8).interval.low


@pytest.mark.parametrize("ours", FIGURES)
def test_what_the_data_cannot_give_is_refused_with_a_sentence(ours):
    y, score = _world()
    few = np.r_[np.ones(49), np.zeros(300)]
    assert ours(np.ones(100), np.arange(100)).refused == "one class only: there is nothing to rank"
    assert ours(np.zeros(100), np.arange(100)).refused == "one class only: there is nothing to rank"
    assert ours(few, np.arange(349)).refused == "49 positives of 349 rows: an interval that can be trusted needs 50"
    assert ours(1 - few, np.arange(349)).refused == "49 negatives of 349 rows: an interval that can be trusted needs 50"
    assert "4 units" in ours(y, score, unit=np.arange(len(y)) % 4).refused
    assert ours(y, np.where(np.arange(len(y)) == 5, np.nan, score)).refused == "a score is NaN"
    assert ours(y + 1, score).refused == "an outcome is neither 0 nor 1"
    assert ours(y, score, weight=-np.ones(len(y))).refused == "a weight is NaN, infinite or negative"
    assert ours([], []).refused == "one class only: there is nothing to rank"
    assert ours([1], [0.5]).refused == "one class only: there is nothing to rank"


@pytest.mark.parametrize("ours", [stats.roc_auc, stats.average_precision, stats.precision_at_recall, stats.recall_at_false_positive_rate])
def test_a_perfect_ranking_is_refused_and_never_certain(ours):
    y = np.r_[np.zeros(60), np.ones(60)]
    assert ours(y, np.arange(120)).refused.endswith("is 1 whatever the units: how far the truth may be is unknown")


def test_calls_that_make_no_sense_are_errors():
    for wrong in ({"level": 2}, {"unit": [1]}, {"weight": [1.0]}):
        with pytest.raises(ValueError):  # noqa: PT011 - the sentences are tested where they are made
            stats.roc_auc([0, 1], [0.2, 0.3], **wrong)
    for ours, name in ((stats.precision_at_recall, "recall"), (stats.recall_at_false_positive_rate, "rate"), (stats.lift, "share")):
        with pytest.raises(ValueError, match=f"{name} is 1"):
            ours([0, 1], [0.2, 0.3], **{name: 1})


SHORT = {"ROC-AUC, 100 positives of 2,000", "average precision, 100 positives of 2,000", "precision at half recall, 20 units of 60 rows"}


@pytest.mark.parametrize("number", [i for i, claim in enumerate(claims_of("scores")) if claim.name in SHORT])
def test_intervals_hold_the_truth_as_often_as_they_say(number):
    assert simulate("scores", number, worlds=200).holds
