import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.stats.clustered import (
    UnitScores,
    difference_of_unit_sums,
    merged,
    paired_difference,
    ratio_of_sums,
    ratio_of_unit_sums,
    sums_by_group,
    sums_by_unit,
    wilson,
)
from gonogo.stats.distributions import t_quantile
from gonogo.stats.refusals import NoSpread, NotFinite, TooFewUnits, Undefined


def _scores(unit, value, weight=None) -> UnitScores:
    value = np.asarray(value, dtype=float)
    return UnitScores(np.asarray(unit), value, np.ones(len(value)) if weight is None else np.asarray(weight, dtype=float))


def _world(seed: int, n_units: int = 40, sd: float = 1.0) -> UnitScores:
    """Rows that share a shock with their unit; the true mean is 5."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), rng.poisson(20, n_units) + 1)
    return _scores(unit, 5 + rng.normal(0, sd, n_units)[unit] + rng.normal(size=len(unit)))


def test_the_interval_is_cameron_and_millers():
    scores = _scores([0, 0, 1, 2, 2, 2], [1.0, 2.0, 4.0, 3.0, 3.5, 2.0])
    mean = scores.value.mean()
    errors = np.array([(scores.value[scores.unit == g] - mean).sum() for g in range(3)]) / 6
    half = t_quantile(0.975, 2) * np.sqrt(3 / 2 * (errors**2).sum())
    figure = ratio_of_sums(scores)
    assert figure.value == pytest.approx(mean)
    assert (figure.interval.low, figure.interval.high) == pytest.approx((mean - half, mean + half))
    assert (figure.n_units, figure.n_rows) == (3, 6)


def test_one_row_per_unit_gives_students_interval():
    from scipy import stats

    value = np.random.default_rng(0).normal(size=25)
    figure = ratio_of_sums(_scores(np.arange(25), value))
    expected = stats.ttest_1samp(value, 0).confidence_interval(0.95)
    assert (figure.interval.low, figure.interval.high) == pytest.approx((expected.low, expected.high), rel=1e-10)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth():
    held = [f.interval.low <= 5 <= f.interval.high for f in (ratio_of_sums(_world(seed)) for seed in range(1000))]
    assert 0.93 <= np.mean(held) <= 0.97


def test_rows_taken_for_independent_would_hold_it_far_too_rarely():
    held = []
    for seed in range(200):
        world = _world(seed)
        rowwise = ratio_of_sums(_scores(np.arange(len(world.value)), world.value))
        held.append(rowwise.interval.low <= 5 <= rowwise.interval.high)
    assert np.mean(held) < 0.75


def test_pairing_cancels_what_moves_both_arms():
    theirs = _world(1, sd=3.0)
    ours = _scores(theirs.unit, theirs.value - 0.1 + np.random.default_rng(2).normal(0, 0.05, len(theirs.unit)))
    difference = paired_difference(ours, theirs)
    assert difference.value == pytest.approx(-0.1, abs=0.01)
    assert difference.interval.high < 0
    assert difference.interval.high - difference.interval.low < ratio_of_sums(ours).interval.high - ratio_of_sums(ours).interval.low


def test_swapping_the_arms_flips_the_difference():
    ours, theirs = _world(1), _scores(_world(1).unit, _world(1).value[::-1])
    there, back = paired_difference(ours, theirs), paired_difference(theirs, ours)
    assert (there.value, there.interval.low, there.interval.high) == pytest.approx((-back.value, -back.interval.high, -back.interval.low))


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_a_share_of_nothing_or_everything_keeps_its_width(answer):
    figure = ratio_of_sums(_scores(np.repeat(np.arange(30), 10), np.full(300, answer)))
    assert figure.value == answer
    assert 0.05 < figure.interval.high - figure.interval.low < 0.3
    assert 0 <= figure.interval.low <= figure.value <= figure.interval.high <= 1


def test_the_interval_of_a_rare_share_holds_the_truth_and_stays_within_0_and_1():
    held = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        unit = np.repeat(np.arange(40), 25)
        rate = rng.beta(0.5, 24.5, 40)  # 2 % on average, clustered
        interval = ratio_of_sums(_scores(unit, rng.random(1000) < rate[unit])).interval
        assert 0 <= interval.low <= interval.high <= 1
        held.append(interval.low <= 0.02 <= interval.high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_wilson_of_independent_rows_equals_its_closed_form():
    from scipy import stats

    # With very many units t is z, and the clustered error is the binomial one.
    ours = wilson(0.1, np.sqrt(0.1 * 0.9 / 200), n_units=10_000_000, n_effective=200)
    peer = stats.binomtest(20, 200).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((peer.low, peer.high), rel=1e-6)


def test_groups_of_one_pass_equal_one_pass_each():
    scores = _world(3)
    group = np.random.default_rng(0).integers(0, 3, len(scores.unit))
    for g, sums in enumerate(sums_by_group(scores, group, 3, n_units=40)):
        here = group == g
        alone = ratio_of_sums(UnitScores(scores.unit[here], scores.value[here], scores.weight[here]))
        together = ratio_of_unit_sums(sums)
        assert (together.n_units, together.n_rows) == (alone.n_units, alone.n_rows)
        assert together.value == pytest.approx(alone.value, rel=1e-12)
        assert together.interval.high == pytest.approx(alone.interval.high, rel=1e-10)


def test_shards_merge_to_the_whole():
    scores = _world(4)
    left, right = (UnitScores(scores.unit[part], scores.value[part], scores.weight[part]) for part in (slice(0, 300), slice(300, None)))
    together = ratio_of_unit_sums(merged(sums_by_unit(left, n_units=40), sums_by_unit(right, n_units=40)))
    assert together.value == pytest.approx(ratio_of_sums(scores).value, rel=1e-12)
    assert together.interval.low == pytest.approx(ratio_of_sums(scores).interval.low, rel=1e-10)


def test_units_without_weight_do_not_count():
    assert ratio_of_sums(_scores([0, 1, 2], [1.0, 3.0, 0.0], [1, 1, 0])).n_units == 2


def test_one_unit_is_refused_and_so_is_none():
    with pytest.raises(TooFewUnits):
        ratio_of_sums(_scores([4, 4, 4], [1.0, 2.0, 3.0]))
    with pytest.raises(TooFewUnits):
        wilson(0.5, 0.1, n_units=1, n_effective=10)
    with pytest.raises(Undefined):
        ratio_of_sums(_scores(np.zeros(0, dtype=int), []))
    with pytest.raises(Undefined):
        ratio_of_sums(_scores([0, 1], [0.0, 0.0], [0, 0]))


def test_no_spread_is_refused_rather_than_taken_for_certainty():
    with pytest.raises(NoSpread):
        ratio_of_sums(_scores([0, 1, 2], [0.693, 0.693, 0.693]))
    with pytest.raises(NoSpread):
        paired_difference(_world(1), _world(1))


@pytest.mark.parametrize(
    ("value", "weight"), [([np.nan, 1.0], [1, 1]), ([np.inf, 1.0], [1, 1]), ([1.0, 1.0], [1, -1]), ([1.0, 2.0], [np.nan, 1])]
)
def test_nan_infinity_and_negative_weights_are_refused(value, weight):
    with pytest.raises(NotFinite):
        ratio_of_sums(_scores([0, 1], value, weight))


def test_scores_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="same rows"):
        paired_difference(_scores([0, 1, 2], [1.0, 2.0, 3.0]), _scores([0, 2, 1], [1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="whole numbers"):
        ratio_of_sums(_scores([-1, 0], [1.0, 2.0]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.floats(-9, 9), st.floats(0.125, 4)), min_size=3, max_size=40), st.randoms())
def test_the_order_of_rows_does_not_matter(rows, random):
    unit, value, weight = (np.array(column) for column in zip(*rows, strict=True))
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)
    try:
        figure = ratio_of_sums(_scores(unit, value, weight))
    except (TooFewUnits, NoSpread):
        return
    again = ratio_of_sums(_scores(unit[shuffled], value[shuffled], weight[shuffled]))
    assert again.value == pytest.approx(figure.value, rel=1e-9, abs=1e-9)
    assert again.interval.low == pytest.approx(figure.interval.low, rel=1e-7, abs=1e-7)


def test_a_difference_of_ratios_with_unlike_weights_is_each_ratio_on_its_own():
    unit = np.array([0, 0, 1, 2, 3])
    ours, theirs = _scores(unit, [1.0, 0, 2, 1, 0], [1, 0, 2, 1, 1]), _scores(unit, [1.0, 1, 1, 0, 0], [1, 1, 1, 0, 1])
    expected = ratio_of_sums(ours).value - ratio_of_sums(theirs).value
    assert difference_of_unit_sums(sums_by_unit(ours), sums_by_unit(theirs)).value == pytest.approx(expected)
