"""Slices of worlds whose answer is known: each slice equals measuring its rows alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from gonogo import stats
from gonogo.stats import kernels_slices, twins_slices
from gonogo.stats.influence import LOGIT, average_precision, interval_of_influence, rank_rows, roc_auc
from gonogo.stats.slice_columns import MOST_SLICES, bin_edges, cut_columns
from gonogo.stats.slices import by_slice
from gonogo.types.evidence import Of


def world(n=4000, seed=0, digits=2):
    rng = np.random.default_rng(seed)
    p = np.round(rng.uniform(0.02, 0.98, n), digits)
    y = (rng.random(n) < p).astype(float)
    q = np.round(np.clip(p + rng.normal(0, 0.2, n), 0.01, 0.99), digits)
    columns = {"place": rng.choice(["x", "y", "z"], n), "size": rng.lognormal(6, 1, n)}
    return y, p, q, columns, rng.integers(0, 90, n)


ORACLES = {"log_loss": log_loss, "brier_score": brier_score_loss, "roc_auc": roc_auc_score, "average_precision": average_precision_score}


def test_every_figure_of_every_slice_equals_scikit_learn_on_its_rows_ties_and_weights_included():
    y, p, _, columns, _ = world()
    weight = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    for given_weight in (None, weight):
        table = by_slice(y, p, columns, weight=given_weight)
        cuts = cut_columns(columns, len(y))
        for cut in cuts:
            for code, label in enumerate(cut.labels):
                here = cut.code == code
                for name, oracle in ORACLES.items():
                    expected = oracle(y[here], p[here], sample_weight=None if given_weight is None else weight[here])
                    assert table.find(name, label).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_slice_is_what_measuring_its_rows_alone_gives(clustered, weighted):
    y, p, q, columns, unit = world()
    weight = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    more = {"theirs": q, "unit": unit if clustered else None, "weight": weight if weighted else None}
    table = by_slice(y, p, columns, **more)
    here = columns["place"] == "y"
    alone = by_slice(y[here], p[here], {}, **{name: None if v is None else v[here] for name, v in more.items()})
    for one in alone:
        found = table.find(one.metric, "place=y", one.of)
        assert (found.n_rows, found.n_units) == (one.n_rows, one.n_units)
        assert (found.value, found.interval.low, found.interval.high) == pytest.approx((one.value, one.interval.low, one.interval.high))


def test_sums_without_influence_give_the_same_intervals_as_influence_row_by_row():
    y, p, _, columns, _ = world()
    plain, weighted = by_slice(y, p, columns), by_slice(y, p, columns, weight=np.ones(len(y)))
    for a, b in zip(plain, weighted, strict=True):
        assert (a.value, a.interval.low, a.interval.high) == pytest.approx((b.value, b.interval.low, b.interval.high), rel=1e-11)
        assert (a.n_units, a.interval.method) == (b.n_units, b.interval.method)


def test_the_whole_table_has_the_intervals_of_the_figures_by_themselves():
    y, p, _, _, unit = world()
    table = by_slice(y, p, {}, unit=unit)
    for name, figure in (("log_loss", stats.log_loss), ("brier_score", stats.brier_score)):
        alone = figure(y, p, unit=unit)
        assert (table.find(name).interval.low, table.find(name).interval.high) == pytest.approx((alone.interval.low, alone.interval.high))
    for name, linearised in (("roc_auc", roc_auc), ("average_precision", average_precision)):
        errors = np.bincount(unit, weights=linearised(rank_rows(y, p)).influence)
        alone = interval_of_influence(table.find(name).value, errors, 90, scale=LOGIT)
        assert (table.find(name).interval.low, table.find(name).interval.high) == pytest.approx((alone.low, alone.high))


def test_the_paired_difference_is_that_of_the_two_values_and_flips_with_the_arms():
    y, p, q, columns, unit = world()
    there, back = (by_slice(y, a, columns, theirs=b, unit=unit) for a, b in ((p, q), (q, p)))
    for metric in ORACLES:
        for name in ("", *there.names):
            ours, theirs, difference = (there.find(metric, name, of) for of in Of)
            assert difference.value == pytest.approx(ours.value - theirs.value)
            other = back.find(metric, name, Of.DIFFERENCE).interval
            assert (difference.interval.low, difference.interval.high) == pytest.approx((-other.high, -other.low), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 60), st.integers(1, 5), st.integers(1, 12), st.booleans(), st.integers(0, 10**6))
def test_the_kernels_equal_their_twins(n, n_slices, n_scores, weighted, seed):
    rng = np.random.default_rng(seed)
    y, score, code = (rng.random(n) < 0.4).astype(float), rng.integers(0, n_scores, n) / 7, rng.integers(0, n_slices, n).astype(np.int16)
    ranked = rank_rows(y, score)
    start = np.concatenate([[0], np.cumsum(np.bincount(code, minlength=n_slices))])
    dealt = kernels_slices.deal(ranked.row, ranked.key, code, start)
    assert (dealt == twins_slices.deal(ranked.row, ranked.key, code, start)).all()
    np.testing.assert_allclose(kernels_slices.ranking_sums(dealt, start), twins_slices.ranking_sums(dealt, start), rtol=1e-12, atol=1e-12)
    value = rng.normal(size=(n, 3))
    np.testing.assert_allclose(
        kernels_slices.sums_by_slice(value, code, n_slices), twins_slices.sums_by_slice(value, code, n_slices), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(
        kernels_slices.moments_by_slice(value, code, n_slices), twins_slices.moments_by_slice(value, code, n_slices), rtol=1e-12, atol=1e-12
    )
    unit = rng.integers(0, 7, n)
    row, begins = np.argsort(unit, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(unit, minlength=7))])
    weight = rng.integers(0, 3, n).astype(float) if weighted else np.zeros(0)
    arguments = (value, weight, code, row, begins, n_slices)
    np.testing.assert_allclose(kernels_slices.powers_by_unit(*arguments), twins_slices.powers_by_unit(*arguments), rtol=1e-12, atol=1e-12)


def test_the_same_rows_give_the_same_bytes():
    y, p, q, columns, unit = world()
    assert by_slice(y, p, columns, theirs=q, unit=unit) == by_slice(y, p, columns, theirs=q, unit=unit, seed=7)


def test_small_slices_and_slices_of_one_class_are_refused_with_their_numbers():
    y, p, _, _, _ = world()
    place = np.full(len(y), "large")
    place[:20] = "small"
    place[100:300] = "sure"
    place[300:400] = "few"
    y[100:300] = 1
    y[300:400] = np.arange(100) < 30
    table = by_slice(y, p, {"place": place})
    assert table.find("log_loss", "place=small").refused == "20 units of 30 asked"
    assert table.find("roc_auc", "place=sure").refused == "one class only: there is nothing to rank"
    assert table.find("roc_auc", "place=few").refused == "30 rows of the rarer class of 50 needed"
    assert table.find("log_loss", "place=few").value is not None
    assert table.find("roc_auc", "place=large").value is not None
    assert all(one.value is None and one.interval is None for one in table if one.refused)


def test_a_perfect_ranking_has_no_spread_and_no_figure_is_given():
    y = np.repeat([0.0, 1.0], 100)
    assert "unknown" in by_slice(y, y * 0.8 + 0.1, {}).find("roc_auc").refused


def test_values_of_which_no_figure_can_be_made_refuse_every_slice():
    y, p, _, columns, _ = world()
    for broken, words in ((np.where(p > 0.9, np.nan, p), "NaN"), (p * 3, "no probability")):
        table = by_slice(y, broken, columns)
        assert all(one.value is None and words in one.refused for one in table)
        assert table.names
    assert "neither 0 nor 1" in by_slice(y * 2, p, {}).find("log_loss").refused


def test_no_rows_and_one_row_are_refused():
    for n in (0, 1):
        table = by_slice(np.ones(n), np.full(n, 0.5), {"a": np.zeros(n)})
        assert all(one.refused for one in table)


def test_wrong_calls_raise():
    y, p, _, columns, _ = world(100)
    with pytest.raises(ValueError, match="shape"):
        by_slice(y, p, {"a": np.zeros(99)})
    with pytest.raises(ValueError, match="no figure by slice is called f1"):
        by_slice(y, p, columns, metrics=("f1",))
    with pytest.raises(ValueError, match="bins"):
        by_slice(y, p, columns, bins=1)
    with pytest.raises(ValueError, match="cut them coarser"):
        cut_columns({"id": [str(i) for i in range(MOST_SLICES + 1)]}, MOST_SLICES + 1)


def test_every_row_is_in_exactly_one_slice_of_each_column_and_of_each_pair():
    y, p, _, columns, _ = world()
    table = by_slice(y, p, columns, pairs=True)
    assert any(" & " in name for name in table.names)
    for column in ("place=", "size="):
        alone = [one for one in table.of("log_loss") if one.slice.startswith(column) and " & " not in one.slice]
        assert sum(one.n_rows for one in alone) == len(y)
    assert sum(one.n_rows for one in table.of("log_loss") if " & " in one.slice) == len(y)


def test_bins_hold_about_equally_many_rows_between_edges_that_a_person_can_read():
    numbers = np.random.default_rng(3).lognormal(6, 1, 50_000)
    (cut,) = cut_columns({"distance": numbers}, len(numbers))
    assert cut.labels == ("distance=below 170", "distance=[170, 320)", "distance=[320, 520)", "distance=[520, 940)", "distance=940 or more")
    assert np.bincount(cut.code).min() > 0.17 * len(numbers)
    assert (cut.code == np.searchsorted([170, 320, 520, 940], numbers, side="right")).all()


def test_missing_values_are_a_slice_of_their_own_and_words_keep_their_order():
    pandas = pytest.importorskip("pandas")
    number = np.random.default_rng(0).random(200)
    number[:7] = np.nan
    words = np.array(["b", None, "a", "b"] * 50, dtype=object)
    columns = {"number": number, "word": words, "few": np.arange(200) % 3, "frame": pandas.Series(words).astype("category")}
    labels = [cut.labels for cut in cut_columns(columns, 200)]
    assert labels[0][-1] == "number=(none)"
    assert labels[1] == ("word=(none)", "word=a", "word=b")
    assert labels[2] == ("few=0", "few=1", "few=2")
    assert labels[3] == ("frame=(none)", "frame=a", "frame=b")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=80), st.integers(2, 6))
def test_edges_rise_and_leave_no_bin_empty_of_numbers(numbers, bins):
    values = np.array(numbers)
    edges = bin_edges(values, bins)
    assert len(edges) < bins
    assert (np.diff(edges) > 0).all()
    if len(edges):
        assert values.min() < edges[0]


@pytest.mark.parametrize("name", ["largest gap of four places alike, 40 units", "a slice reported where none is bad"])
def test_what_is_claimed_of_slices_holds_in_simulated_worlds(name):
    from benchmarks.truth.run import simulate
    from benchmarks.truth.slices import CLAIMS

    number = next(i for i, claim in enumerate(CLAIMS) if claim.name == name)
    assert simulate("slices", number, worlds=120).holds
