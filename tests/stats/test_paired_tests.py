"""Facts about tests of two models on the same rows, and about margins."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar

from gonogo import stats
from gonogo.stats.randomisation import share_of_flips
from gonogo.types.evidence import Estimate, Interval, Of


def decisions(only_ours, only_theirs, both=20, neither=5):
    """(y, ours, theirs) with so many rows that only ours, only theirs, both or neither got right."""
    ours = np.repeat([1.0, 0.0, 1.0, 0.0], [only_ours, only_theirs, both, neither])
    theirs = np.repeat([0.0, 1.0, 1.0, 0.0], [only_ours, only_theirs, both, neither])
    return np.ones(len(ours)), ours, theirs


def world(n=600, seed=0, *, n_units=0, gap=0.4):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(float)
    ours, theirs = (np.clip(0.5 + 0.3 * (y - 0.5) + scale * rng.normal(size=n), 0.01, 0.99) for scale in (0.3, 0.3 + gap))
    return y, ours, theirs, rng.integers(0, n_units, n) if n_units else None


# ── McNemar ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(a=st.integers(0, 60), b=st.integers(0, 60))
@settings(deadline=None, max_examples=60)
def test_the_exact_test_is_that_of_statsmodels_and_mid_p_takes_half_of_what_was_seen(a, b):
    exact, mid = stats.mcnemar_exact(*decisions(a, b)), stats.mcnemar(*decisions(a, b))
    if a + b == 0:
        assert exact.p_value is None is mid.p_value
        assert "tells them apart" in mid.refused
        return
    assert exact.p_value == pytest.approx(their_mcnemar([[20, a], [b, 5]], exact=True).pvalue, abs=1e-12)
    seen = scipy.stats.binom.pmf(min(a, b), a + b, 0.5)
    assert mid.p_value == pytest.approx(1.0 if a == b else exact.p_value - seen, abs=1e-12)
    assert mid.statistic == pytest.approx((a - b) / math.sqrt(a + b))


def test_the_effect_is_the_difference_of_accuracies_and_its_interval_agrees_with_the_test():
    test = stats.mcnemar(*decisions(30, 10))
    assert test.effect.value == pytest.approx(20 / 65)
    assert test.effect.interval.low > 0
    assert test.p_value < 0.05
    # Bonett & Price (2012): a and b with one row added to either side
    a, b, n = 31 / 67, 11 / 67, 67
    assert test.effect.interval.low == pytest.approx(a - b - 1.959964 * math.sqrt((a + b - (a - b) ** 2) / n), abs=1e-6)


def test_classes_may_be_many():
    y = np.array([0.0, 1, 2, 3] * 10)
    assert stats.mcnemar(y, y, np.roll(y, 1)).effect.value == 1.0


def test_with_every_row_its_own_unit_the_flips_find_nearly_the_exact_p():
    y, ours, theirs = decisions(30, 14)
    by_unit = stats.mcnemar(y, ours, theirs, unit=np.arange(len(y)))
    assert by_unit.p_value == pytest.approx(stats.mcnemar_exact(y, ours, theirs).p_value, abs=0.01)
    assert by_unit.statistic == pytest.approx(stats.mcnemar(y, ours, theirs).statistic)


def test_rows_that_stand_ten_times_are_no_more_evidence():
    once = decisions(12, 6)
    tenfold = [np.repeat(column, 10) for column in once]
    unit = np.repeat(np.arange(len(once[0])), 10)
    assert stats.mcnemar(*tenfold).p_value < 0.001
    assert stats.mcnemar(*tenfold, unit=unit).p_value == pytest.approx(stats.mcnemar_exact(*once).p_value, abs=0.01)


def test_scores_are_no_decisions():
    y, ours, theirs, _ = world()
    with pytest.raises(ValueError, match="decisions are needed, not scores"):
        stats.mcnemar(y, ours, theirs)


def test_nan_is_refused_by_every_test():
    y, ours, theirs, unit = world(n_units=50)
    ours[3] = math.nan
    found = (
        stats.mcnemar(y, np.round(ours), np.round(theirs)),
        stats.wilcoxon(y, ours, theirs),
        stats.approximate_randomisation(y, ours, theirs, unit=unit),
        stats.paired_bootstrap(y, ours, theirs),
    )
    for test in found:
        assert test.p_value is None is test.statistic
        assert "NaN" in test.refused


# ── flips and draws ─────────────────────────────────────────────────────────────────────────────────────────────────────


@given(d=st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=60)
def test_few_units_are_flipped_in_every_way(d):
    sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in itertools.product((1, -1), repeat=len(d))]
    expected = np.mean([s >= abs(sum(d)) - 1e-9 for s in sums])
    assert share_of_flips(np.array(d)) == pytest.approx(expected)


def test_many_flips_find_nearly_the_p_of_a_t_test():
    d = np.random.default_rng(3).normal(0.12, size=300)
    assert share_of_flips(d, seed=1) == pytest.approx(scipy.stats.ttest_1samp(d, 0).pvalue, abs=0.012)


@pytest.mark.parametrize("metric", ["log_loss", "precision", "f_beta", "roc_auc", "average_precision", "precision_at_recall"])
def test_randomisation_by_sums_and_ranks_is_that_of_exchanging_scores_by_hand(metric):
    y, ours, theirs, unit = world(240, n_units=6)
    test = stats.approximate_randomisation(y, ours, theirs, metric=metric, unit=unit)
    ranks = scipy.stats.rankdata
    if metric in ("roc_auc", "average_precision", "precision_at_recall"):
        ours, theirs = ranks(ours), ranks(theirs)
    seen = []
    for flip in itertools.product((False, True), repeat=6):
        flipped = np.array(flip)[unit]
        one, other = np.where(flipped, theirs, ours), np.where(flipped, ours, theirs)
        found = stats.compare(y, one, other, metric=metric)
        seen.append(0.0 if found.value is None else found.value)
    assert test.p_value == pytest.approx(np.mean(np.abs(seen) >= abs(seen[0]) - 1e-12))
    assert test.statistic == test.effect.value


def test_a_monotone_change_of_scale_changes_nothing_for_a_ranking():
    y, ours, theirs, _ = world()
    one = stats.approximate_randomisation(y, ours, theirs, metric="roc_auc", n_draws=199)
    other = stats.approximate_randomisation(y, np.exp(9 * ours), theirs, metric="roc_auc", n_draws=199)
    assert one.p_value == other.p_value


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc"])
@pytest.mark.parametrize("test", [stats.approximate_randomisation, stats.paired_bootstrap])
def test_same_seed_same_p_whatever_the_chunks(monkeypatch, metric, test):
    y, ours, theirs, unit = world(n_units=40, gap=0.05)
    asked = {"metric": metric, "unit": unit, "n_draws": 300}
    once = test(y, ours, theirs, seed=3, **asked)
    monkeypatch.setattr("gonogo.stats.randomisation._CELLS", 100)
    assert test(y, ours, theirs, seed=3, **asked) == once
    assert test(y, ours, theirs, seed=4, **asked).p_value != once.p_value


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "log_loss", "f_beta", "recall_at_false_positive_rate"])
def test_the_bootstrap_agrees_with_the_formula(metric):
    y, ours, theirs, unit = world(2000, n_units=200, gap=0.05)
    drawn = stats.paired_bootstrap(y, ours, theirs, metric=metric, unit=unit, n_draws=1000)
    formula = stats.compare(y, ours, theirs, metric=metric, unit=unit)
    width = formula.interval.high - formula.interval.low
    assert drawn.effect.value == formula.value
    assert drawn.effect.interval.low == pytest.approx(formula.interval.low, abs=0.15 * width)
    assert drawn.effect.interval.high == pytest.approx(formula.interval.high, abs=0.15 * width)
    grain = 0.005  # of 1,000 draws
    assert abs(drawn.p_value - 0.05) < grain or (drawn.p_value < 0.05) == (not drawn.effect.interval.low <= 0 <= drawn.effect.interval.high)


def test_weights_count_in_flips_and_draws():
    y, ours, theirs, unit = world(n_units=60)
    weight = (unit < 50).astype(float)
    kept = unit < 50
    weighted = stats.approximate_randomisation(y, ours, theirs, unit=unit, weight=weight)
    fewer = stats.approximate_randomisation(y[kept], ours[kept], theirs[kept], unit=unit[kept])
    assert weighted.p_value == fewer.p_value
    assert weighted.effect.value == pytest.approx(fewer.effect.value)


def test_what_has_no_fast_form_is_an_error_that_says_what_to_do():
    y, ours, theirs, _ = world()
    with pytest.raises(ValueError, match="use compare"):
        stats.approximate_randomisation(y, ours, theirs, metric="matthews_correlation")
    with pytest.raises(ValueError, match="no mean over rows"):
        stats.wilcoxon(y, ours, theirs, metric="roc_auc")


# ── Wilcoxon ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(seed=st.integers(0, 10**6), n=st.integers(8, 60))
@settings(deadline=None, max_examples=40)
def test_signed_ranks_are_scipys_and_the_effect_the_median_of_all_averages(seed, n):
    rng = np.random.default_rng(seed)
    y, ours, theirs = rng.normal(size=(3, n)).round(2)
    test = stats.wilcoxon(y, ours, theirs, metric="mean_absolute_error")
    d = np.abs(ours - y) - np.abs(theirs - y)
    d = d[np.abs(d) > 1e-12]
    averages = np.sort([(a + b) / 2 for i, a in enumerate(d) for b in d[i:]])
    assert test.p_value == pytest.approx(scipy.stats.wilcoxon(d).pvalue, abs=1e-12)
    assert test.effect.value == pytest.approx(np.median(averages), abs=1e-12)
    assert min(abs(averages - test.effect.interval.low)) < 1e-12


def test_ranks_are_taken_of_the_units_means():
    y, ours, theirs, unit = world(600, n_units=30)
    d = stats.wilcoxon(y, ours, theirs, unit=unit)
    means = [
        np.mean([-math.log(p if t else 1 - p) + math.log(q if t else 1 - q) for p, q, t in zip(*rows, strict=True)])
        for rows in ((ours[unit == u], theirs[unit == u], y[unit == u]) for u in range(30))
    ]
    assert d.p_value == pytest.approx(scipy.stats.wilcoxon(means).pvalue, abs=1e-12)
    assert d.n_units == 30


def test_five_units_have_no_interval_of_95_percent():
    y = np.zeros(5)
    assert "5 units differ" in stats.wilcoxon(y, np.array([0.1, 0.2, 0.3, 0.4, 0.5]), y, metric="mean_absolute_error").refused


# ── margins ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def difference(value, low, high, *, better="higher", n_units=200, level=0.95):
    interval = None if value is None else Interval(low=low, high=high, level=level, method="")
    return Estimate(
        metric="roc_auc",
        of=Of.DIFFERENCE,
        value=value,
        interval=interval,
        n_units=n_units,
        n_rows=n_units,
        measured_in="",
        better=better,
        refused="" if interval else "why",
    )


@given(
    value=st.floats(-1, 1),
    half=st.floats(0.01, 1),
    margin=st.floats(0.01, 1),
    n_units=st.integers(2, 10**6),
    better=st.sampled_from(["higher", "lower"]),
)
@settings(deadline=None, max_examples=150)
def test_not_worse_is_shown_exactly_where_the_worse_end_keeps_to_the_margin(value, half, margin, n_units, better):
    found = difference(value, value - half, value + half, better=better, n_units=n_units)
    p = stats.non_inferior(found, margin).p_value
    worse = found.interval.low + margin if better == "higher" else margin - found.interval.high
    assert (p < 0.025) == (worse > 0) or abs(worse) < 1e-9
    assert (stats.p_value(found) < 0.05) == (abs(value) > half) or abs(abs(value) - half) < 1e-9


def test_equivalence_is_that_on_both_sides_at_the_level_of_one():
    y, ours, theirs, _ = world(3000, gap=0.0)
    for margin in (0.01, 0.03, 0.1):
        narrow = stats.compare(y, ours, theirs, level=0.9).interval
        p = stats.equivalent(stats.compare(y, ours, theirs), margin).p_value
        assert (p < 0.05) == (-margin < narrow.low and narrow.high < margin)
        d, error = stats.compare(y, ours, theirs).value, (narrow.high - narrow.low) / 2 / scipy.stats.t.ppf(0.95, 2999)
        assert p == pytest.approx(
            max(scipy.stats.t.sf((d + margin) / error, 2999), scipy.stats.t.cdf((d - margin) / error, 2999)), abs=1e-9
        )


def test_the_null_names_the_margin_in_its_unit():
    y, ours, theirs, _ = world()
    test = stats.non_inferior(stats.compare(y, ours, theirs, metric="log_loss"), 0.01)
    assert test.null == "ours is worse than theirs by 0.01 nats or more"
    assert test.effect.metric == "log_loss"


def test_what_was_refused_shows_nothing():
    refused = difference(None, 0, 0)
    for test in (stats.non_inferior(refused, 0.1), stats.equivalent(refused, 0.1)):
        assert (test.p_value, test.statistic, test.refused) == (None, None, "why")
    assert stats.p_value(refused) is None


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
@pytest.mark.parametrize("test", [stats.non_inferior, stats.equivalent])
def test_a_margin_must_be_stated_and_above_zero(test, margin):
    with pytest.raises(ValueError, match="the margin is"):
        test(difference(0.1, 0.0, 0.2), margin)


@pytest.mark.parametrize("test", [stats.approximate_randomisation, stats.paired_bootstrap])
def test_draws_that_are_too_few_for_any_p_value_raise(test):
    with pytest.raises(ValueError, match="give 19 or more"):
        test([0.0, 1.0], [0.1, 0.9], [0.2, 0.7], metric="log_loss", n_draws=0)
