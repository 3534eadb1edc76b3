import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from gonogo.stats import bootstrap as b
from gonogo.stats import discrimination as d
from gonogo.stats import influence as f
from gonogo.stats import kernels_bootstrap, twins_bootstrap
from gonogo.stats.refusals import NoSpread, TooFewUnits, Undefined

RECORDED = [[2, 0, 2, 2, 1, 2, 4, 0, 0, 2, 1, 0], [0, 1, 4, 1, 0, 1, 2, 1, 0, 1, 0, 2]]


def _world(seed: int = 0, n: int = 3000, prevalence: float = 0.1, digits: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < prevalence).astype(float)
    return y, np.round(rng.normal(size=n) + 1.2 * y, digits)


@pytest.mark.parametrize("digits", [9, 1, 0])
@pytest.mark.parametrize("prevalence", [0.02, 0.5])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_draw_equals_scikit_learn_under_its_weights(digits, prevalence, clustered, weighted):
    y, score = _world(1, prevalence=prevalence, digits=digits)
    rng = np.random.default_rng(2)
    unit = rng.integers(0, 200, len(y)) if clustered else None
    own = rng.integers(0, 4, len(y)) * 0.7 if weighted else np.ones(len(y))
    drawn = b.draws_of_ranking(f.rank_rows(y, score, own if weighted else None), unit, n_draws=20, seed=7)
    weights = b.draw_weights(200 if clustered else len(y), 20, 7)
    for i, row in enumerate(weights if unit is None else weights[:, unit]):
        assert drawn.roc_auc[i] == pytest.approx(metrics.roc_auc_score(y, score, sample_weight=row * own), abs=1e-12)
        assert drawn.average_precision[i] == pytest.approx(metrics.average_precision_score(y, score, sample_weight=row * own), abs=1e-12)


@st.composite
def _rows(draw):
    n = draw(st.integers(1, 300))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    y = (rng.random(n) < draw(st.sampled_from([0.0, 0.05, 0.5, 1.0]))).astype(float)
    score = rng.choice([-np.inf, -1.0, 0.0, 1e-9, 7.0, np.inf], n) if draw(st.booleans()) else rng.normal(size=n)
    weight = rng.choice([0.0, 0.5, 3.0], n) if draw(st.booleans()) else None
    return y, score, weight


@settings(max_examples=50, deadline=None)
@given(_rows())
def test_the_compiled_loop_equals_its_twin(rows):
    places = b.Readings.of(f.rank_rows(*rows))
    keys, found = b.draw_keys(3, 0, 8), []
    for module in (kernels_bootstrap, twins_bootstrap):
        auc, precision = np.zeros(16), np.zeros(16)
        weight = places.weight if places.weight.size else None
        module.score_draws(places.row.astype(np.uint32), weight, places.at, places.kind, keys, auc, precision)
        found.append((auc, precision))
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)


def test_threads_chunks_and_the_order_of_rows_change_no_bit():
    y, score = _world()
    unit = np.arange(len(y)) // 7
    ranked = f.rank_rows(y, score)
    one = b.draws_of_ranking(ranked, unit, n_draws=100, seed=1, threads=1)
    for threads in (2, 3, 50):
        assert b.draws_of_ranking(ranked, unit, n_draws=100, seed=1, threads=threads).roc_auc.tobytes() == one.roc_auc.tobytes()
    assert b.draws_of_ranking(ranked, unit, n_draws=33, seed=1).average_precision.tobytes() == one.average_precision[:33].tobytes()
    shuffled = np.random.default_rng(0).permutation(len(y))
    other = b.draws_of_ranking(f.rank_rows(y[shuffled], score[shuffled]), unit[shuffled], n_draws=100, seed=1)
    assert other.roc_auc.tobytes() == one.roc_auc.tobytes()
    assert np.array_equal(np.concatenate([b.draw_weights(9, 5, 3), b.draw_weights(9, 6, 3, first=5)]), b.draw_weights(9, 11, 3))


def test_the_stream_of_draws_is_the_recorded_one():
    assert b.draw_weights(12, 2, seed=0).tolist() == RECORDED


def test_draws_are_poisson_and_independent_between_units_draws_and_seeds():
    drawn = b.draw_weights(4000, 1000, seed=11).astype(float)
    assert drawn.mean() == pytest.approx(1, abs=0.003)
    assert drawn.var() == pytest.approx(1, abs=0.006)
    for k, share in enumerate(np.exp(-1) / np.array([1, 1, 2, 6, 24])):
        assert (drawn == k).mean() == pytest.approx(share, abs=0.002)
    # Sums over structured sets of units have the variance of independent draws: 1 a unit, give or take 3.5 of its errors, √(2/1000).
    for units in (slice(0, 2000), slice(0, None, 2), slice(0, None, 16), slice(1, None, 64)):
        assert drawn[:, units].sum(axis=1).var() / drawn[0, units].size == pytest.approx(1, abs=0.16)
    for draws in (slice(0, 500), slice(0, None, 2), slice(1, None, 16)):
        assert drawn[draws].sum(axis=0).var() / drawn[draws, 0].size == pytest.approx(1, abs=0.08)
    other = b.draw_weights(4000, 1000, seed=12).astype(float)
    for shifted in (
        other,
        np.roll(drawn, 1, axis=0),
        np.roll(drawn, 1, axis=1),
        np.roll(drawn, 16, axis=0),
        np.roll(drawn, 1, axis=(0, 1)),
    ):
        assert np.corrcoef(drawn.ravel(), shifted.ravel())[0, 1] == pytest.approx(0, abs=0.002)


def test_the_spread_of_draws_is_the_closed_form():
    y, score = _world(n=5000)
    ranked = f.rank_rows(y, score)
    drawn = b.draws_of_ranking(ranked, n_draws=4000)
    assert drawn.roc_auc.std() == pytest.approx(np.sqrt(np.sum(f.roc_auc(ranked).influence ** 2)), rel=0.04)
    assert drawn.average_precision.std() == pytest.approx(np.sqrt(np.sum(f.average_precision(ranked).influence ** 2)), rel=0.05)


def test_pairs_are_drawn_alike():
    y, score = _world()
    other = score + np.random.default_rng(1).normal(0, 0.3, len(y))
    ours, theirs = f.rank_rows(y, score), f.rank_rows(y, other)
    paired = b.paired_draws_of_rankings(ours, theirs, n_draws=200)
    weights = b.draw_weights(len(y), 5)
    for i in range(5):
        assert paired.roc_auc[i] == pytest.approx(d.roc_auc(y, score, weights[i]) - d.roc_auc(y, other, weights[i]), abs=1e-12)
    assert paired.roc_auc.std() < 0.6 * b.draws_of_ranking(ours, n_draws=200).roc_auc.std()
    with pytest.raises(ValueError, match="same rows"):
        b.paired_draws_of_rankings(ours, f.rank_rows(y[1:], other[1:]))


def test_any_figure_of_weights_has_an_interval():
    waits = np.random.default_rng(0).exponential(size=900)
    unit = np.arange(900) // 3
    interval = b.bootstrap(lambda weight: float(np.average(waits, weights=weight)), 300, unit=unit, n_draws=500)
    assert interval.low < waits.mean() < interval.high
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * waits.std() / 30, rel=0.1)


def test_draws_that_leave_no_figure_are_refused_when_many():
    y = np.r_[np.ones(30), np.zeros(300)]
    ranked, unit = f.rank_rows(y, np.random.default_rng(0).normal(size=330)), np.r_[np.zeros(30), 1 + np.arange(300) % 30].astype(int)
    drawn = b.draws_of_ranking(ranked, unit)
    assert np.isnan(drawn.roc_auc).mean() == pytest.approx(np.exp(-1), abs=0.05)  # the one unit of all positives was not drawn
    with pytest.raises(Undefined, match="leave no figure"):
        b.interval_of_draws(drawn.roc_auc, n_units=31)
    with pytest.raises(NoSpread):
        b.bootstrap(lambda weight: 1.0, 5, n_draws=50)
    with pytest.raises(TooFewUnits):
        b.bootstrap(lambda weight: float(weight.sum()), 1, n_draws=50)
