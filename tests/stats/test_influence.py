import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.stats import discrimination as d
from gonogo.stats import influence as f
from gonogo.stats import kernels_influence, twins_influence
from gonogo.stats.refusals import NoSpread, NotFinite, TooFewUnits

FIGURES = {
    "roc_auc": (f.roc_auc, d.roc_auc),
    "average_precision": (f.average_precision, d.average_precision),
    "recall at 10 %": (lambda r: f.recall_at_false_positive_rate(r, 0.1), lambda y, s, w=None: d.recall_at_false_alarm_rate(y, s, 0.1, w)),
    "precision at 50 %": (lambda r: f.precision_at_recall(r, 0.5), lambda y, s, w=None: d.precision_at_recall(y, s, 0.5, w)),
}


def _world(seed: int = 0, n: int = 2000, prevalence: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < prevalence).astype(float)
    return y, rng.normal(size=n) * (1 + 0.5 * y) + 1.2 * y


@st.composite
def _grouped_rows(draw):
    """Outcomes, tied and infinite scores, weights among which are zeros or none at all, groups among which are empty ones."""
    n = draw(st.integers(0, 50))

    def column(values):
        return np.array(draw(st.lists(st.sampled_from(values), min_size=n, max_size=n)), dtype=float)

    weight = column([0.0, 0.5, 1.0, 3.0]) if draw(st.booleans()) else None
    return column([0, 1]), column([-np.inf, -1.0, -0.0, 0.0, 1e-9, 7.0, np.inf]), weight, column([0, 1, 2, 4]).astype(int)


@settings(max_examples=50, deadline=None)
@given(_grouped_rows())
def test_every_group_has_the_figure_of_its_own_rows(rows):
    y, score, weight, group = rows
    ranked = f.rank_rows(y, score, weight).by_group(group, 6)
    for name, (ours, plain) in FIGURES.items():
        value = ours(ranked).value
        for g in range(6):
            here = group == g
            expected = plain(y[here], score[here], None if weight is None else weight[here])
            assert np.isnan(value[g]) if expected is None else value[g] == pytest.approx(expected, abs=1e-12), name


@settings(max_examples=50, deadline=None)
@given(_grouped_rows())
def test_the_compiled_loops_equal_their_twins(rows):
    y, score, weight, group = rows
    whole = f.rank_rows(y, score, weight)
    ranked = whole.by_group(group, 6)
    for ours, twin in zip(
        (ranked.row, ranked.key, ranked.weight),
        twins_influence.group_rows(whole.row, whole.key, whole.weight, group, ranked.start),
        strict=True,
    ):
        assert np.array_equal(ours, twin)
    for name in ("area", "mean_precision"):
        found = []
        for module in (kernels_influence, twins_influence):
            value, influence = np.full(6, -1.0), np.zeros(len(y))
            getattr(module, name)(ranked.row, ranked.key, ranked.start, ranked.weight, value, influence)
            found.append((value, influence))
        np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-12, err_msg=name)
        np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-12, err_msg=name)
    share = np.tile([0.1, 0.5, 0.8], (6, 1))
    for axis in (0, 1, 2):
        for strictly in (False, True):
            found = []
            for module in (kernels_influence, twins_influence):
                into = np.zeros((6, 4)), np.zeros((6, 3, 2)), np.zeros((6, 3, 2)), np.zeros((6, 3, 2), dtype=np.int64)
                module.crossings(ranked.key, ranked.start, ranked.weight, axis, share, strictly, *into)
                influence = np.zeros(len(y))
                step = np.arange(24.0).reshape(6, 2, 2)
                place = np.ascontiguousarray(into[3][:, 1])
                module.spread_steps(ranked.row, ranked.key, ranked.start, ranked.weight, place, np.full(6, 0.3), step, influence)
                found.append((*into, influence))
            for ours, twin in zip(*found, strict=True):
                np.testing.assert_allclose(ours, twin, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(_grouped_rows())
def test_rows_without_a_name_rank_like_rows_with_one(rows):
    y, score, _, _ = rows
    named, anonymous = f.rank_rows(y, score), f.rank_anonymous_rows(y, score)
    assert np.array_equal(np.sort(named.key), np.sort(anonymous.key))
    assert np.array_equal(anonymous.key >> 1, named.key >> 1)
    assert np.array_equal(anonymous.key, twins_influence.merge_classes(np.sort(score[y == 1]), np.sort(score[y == 0])))


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_influence_is_the_derivative_by_the_rows_weight(name):
    y, score = _world(n=60)
    score, weight = np.round(score, 1), np.random.default_rng(1).integers(1, 4, 60).astype(float)
    ours, plain = FIGURES[name]
    influence = ours(f.rank_rows(y, score, weight)).influence
    for i in range(60):
        more, less = weight.copy(), weight.copy()
        more[i], less[i] = more[i] + 1e-5, less[i] - 1e-5
        assert influence[i] == pytest.approx(weight[i] * (plain(y, score, more) - plain(y, score, less)) / 2e-5, abs=1e-8)


@pytest.mark.parametrize("prevalence", [0.05, 0.5])
def test_the_standard_error_is_that_of_many_worlds(prevalence):
    """One world's error differs from the next one's; on average it is the spread of the figure over worlds."""
    values, variances = [], []
    for seed in range(1000):
        ranked = f.rank_rows(*_world(seed, 2000, prevalence))
        found = [ours(ranked) for ours, _ in FIGURES.values()]
        values.append([one.value[0] for one in found])
        variances.append([np.sum(one.influence**2) for one in found])
    np.testing.assert_allclose(np.sqrt(np.mean(variances, axis=0)), np.std(values, axis=0), rtol=0.08)


@pytest.mark.parametrize("name", list(FIGURES))
def test_influence_sums_to_nothing_over_the_rows(name):
    y, score = _world()
    found = FIGURES[name][0](f.rank_rows(y, score))
    assert abs(found.influence.sum()) < 1e-3 * np.abs(found.influence).sum()


def test_by_group_functions_sort_and_group_in_one_call():
    y, score = _world()
    group = np.arange(len(y)) % 3
    ranked = f.rank_rows(y, score).by_group(group, 3)
    for of_group, found in (
        (f.roc_auc_by_group(y, score, group, 3), f.roc_auc(ranked)),
        (f.average_precision_by_group(y, score, group, 3), f.average_precision(ranked)),
        (f.recall_at_false_positive_rate_by_group(y, score, group, 3, 0.1), f.recall_at_false_positive_rate(ranked, 0.1)),
        (f.precision_at_recall_by_group(y, score, group, 3, 0.5), f.precision_at_recall(ranked, 0.5)),
    ):
        assert np.array_equal(of_group.value, found.value)
        assert np.array_equal(of_group.influence, found.influence)


def test_lift_counts_ties_at_the_edge_by_their_part():
    y, score = np.array([1.0, 1, 0, 0, 0, 0, 1, 0, 0, 0]), np.array([9.0, 5, 5, 5, 5, 1, 1, 1, 1, 1])
    # The top 30 % is the first row and half of the four fives, among which is one positive: 1.5 of 3 positives, in 0.3 of the rows.
    assert f.lift(f.rank_rows(y, score), 0.3).value[0] == pytest.approx(0.5 / 0.3)


def test_errors_of_few_units_have_few_degrees_of_freedom():
    rng = np.random.default_rng(0)
    assert f.degrees_of_freedom(rng.normal(size=100_000), 100_000) > 90_000
    sparse = np.zeros(100_000)
    sparse[:50] = rng.normal(size=50)
    assert 10 < f.degrees_of_freedom(sparse, 100_000) < 60


def test_an_interval_without_spread_or_units_is_refused():
    with pytest.raises(NoSpread):
        f.interval_of_influence(0.5, np.zeros(9), 9)
    with pytest.raises(TooFewUnits):
        f.interval_of_influence(0.5, np.ones(1), 1)


def test_nan_and_wrong_groups_are_refused():
    with pytest.raises(NotFinite):
        f.rank_rows(np.array([0.0, 1.0]), np.array([np.nan, 1.0]))
    with pytest.raises(NotFinite):
        f.rank_anonymous_rows(np.array([0.0, 2.0]), np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="outside"):
        f.rank_rows(np.array([0.0, 1.0]), np.array([0.0, 1.0])).by_group(np.array([0, 2]), 2)
