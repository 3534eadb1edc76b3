import math

import numpy as np
import pytest
from benchmarks.truth.run import simulate
from benchmarks.truth.thresholds import CLAIMS, FEW, PLAIN, UNITS
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from gonogo import stats
from gonogo.stats.along import shares_along
from gonogo.stats.cells import cells_of, ratio_of_cells
from gonogo.stats.daily import alerts_of_days
from gonogo.stats.decisions import ALERT_RATE, FALSE_POSITIVE_RATE, PRECISION, RECALL
from gonogo.stats.estimates import rows_of
from gonogo.stats.falling import falling
from gonogo.stats.tolerance import first_rank, least_for_tolerance, proven_in_sequence, proven_ranks, ranks_to_test, tolerance_rank

choose = stats.choose_threshold


def _rows(seed: int = 1, n: int = 8000):
    y, score, _, _ = PLAIN.rows(np.random.default_rng(seed), n, 0)
    return y, score


def _days(n: int) -> np.ndarray:
    return np.random.default_rng(5).integers(60, size=n)


def _claim(name: str) -> int:
    return next(i for i, claim in enumerate(CLAIMS) if claim.name == name)


# ── exact limits ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 3000), st.floats(0.001, 0.999), st.floats(0.001, 0.4))
def test_a_tolerance_rank_is_the_largest_that_the_binomial_allows(n, share, delta):
    rank = tolerance_rank(n, share, delta)
    assert rank == 0 or binom.cdf(rank - 1, n, share) <= delta * (1 + 1e-9)
    assert rank == n or binom.cdf(rank, n, share) > delta * (1 - 1e-9)


def test_with_one_value_less_than_needed_there_is_no_tolerance_rank():
    for share, delta in ((0.05, 0.05), (0.1, 0.1), (0.001, 0.05)):
        least = least_for_tolerance(share, delta)
        assert (tolerance_rank(least - 1, share, delta), tolerance_rank(least, share, delta)) == (0, 1)


@pytest.mark.parametrize("precision", [0.02, 0.3, 0.6, 0.95])
def test_a_strong_model_passes_the_first_test_with_95_percent_chance(precision):
    first, odds = first_rank(precision, 0.05), 3 * precision / (1 - precision)
    needed = binom.isf(0.05, first, precision) + 1
    assert binom.sf(needed - 1, first, odds / (1 + odds)) >= 0.95


@pytest.mark.parametrize("delta", [0.05, 0.001])
@pytest.mark.parametrize("precision", [0.02, 0.3, 0.6, 0.95, 0.995])
def test_the_first_test_is_that_of_the_fewest_rows_with_which_a_strong_model_passes(precision, delta):
    rows, odds = np.arange(1, first_rank(precision, delta) + 1), 3 * precision / (1 - precision)
    needed = binom.isf(delta, rows, precision) + 1
    passes = (needed <= rows) & (binom.sf(needed - 1, rows, odds / (1 + odds)) >= 0.95)
    assert np.flatnonzero(passes).tolist() == [len(rows) - 1]


def test_ranks_are_tested_one_by_one_at_first_and_rise():
    for first, n in ((5, 3), (5, 30), (5, 201), (48, 100_000), (900, 100_000)):
        ranks = ranks_to_test(first, n)
        assert (np.diff(ranks) > 0).all()
        assert len(ranks) == 0 or (ranks[0] == first and ranks[-1] <= n and ranks[-1] >= n * 0.99)


def test_the_sequence_ends_at_the_first_rank_that_its_binomial_test_does_not_pass():
    called = np.arange(10, 400)
    hits = np.floor(called * np.linspace(0.95, 0.5, len(called))).astype(int)
    passes = binom.sf(hits - 1, called, 0.6) <= 0.05
    assert proven_ranks(called, hits, 0.6, 0.05) == np.argmin(passes)


def test_a_part_of_a_sequence_that_passes_hands_its_level_on():
    called, levels = np.arange(10, 1000), []

    def passed(here, alpha):
        levels.append(alpha)
        return here.stop - here.start

    assert proven_in_sequence(called, 10, 0.1, passed).all()
    assert levels == pytest.approx([0.09, 0.099, 0.1])


def test_a_part_that_fails_keeps_its_level_and_the_next_begins_anew():
    levels = []

    def passed(here, alpha):
        levels.append(alpha)
        return 0 if here.start == 0 else 3

    proven = proven_in_sequence(np.arange(10, 1000), 10, 0.1, passed)
    assert levels == pytest.approx([0.09, 0.009, 0.001])
    assert np.flatnonzero(proven).tolist() == [30, 31, 32, 150, 151, 152]


# ── shares along thresholds ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("figure", ["precision", "recall", "false_positive_rate", "alert_rate"])
@pytest.mark.parametrize("kind", ["plain", "weights", "units", "units and weights"])
@pytest.mark.parametrize("at_once", [10, 4_000_000])
def test_many_thresholds_at_once_are_the_same_as_one_by_one(figure, kind, at_once, monkeypatch):
    monkeypatch.setattr("gonogo.stats.along._AT_ONCE", at_once)
    rng = np.random.default_rng(3)
    y, score = _rows(3, 300)
    unit = rng.integers(15, size=300) if "units" in kind else None
    weight = rng.exponential(size=300) if "weights" in kind else None
    given = rows_of(y, np.round(score, 1), weight=weight, unit=unit)
    rows = falling(given, day=None, n_days=0, rows_per_day=None, are_only_counted=False)
    numbers = rows.candidates()
    found = shares_along(rows, numbers, figure, level=0.9)
    ratio = {"precision": PRECISION, "recall": RECALL, "false_positive_rate": FALSE_POSITIVE_RATE, "alert_rate": ALERT_RATE}[figure]
    for i, number in enumerate(numbers.tolist()):
        cell = (2 * (rows.y > 0) + (np.arange(300) < rows.ends[number])).astype(np.intp)
        try:
            one = ratio_of_cells(cells_of(cell, rows.weight, rows.unit, rows.n_units), ratio, level=0.9)
        except ValueError:
            assert np.isnan(found.value[i])
            continue
        assert (found.value[i], found.low[i], found.high[i]) == pytest.approx((one.value, one.interval.low, one.interval.high), abs=1e-8)
        assert found.n_units[i] == one.n_units


# ── what is promised ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    [
        "precision ≥ 60 %, 8,000 rows",
        "recall ≥ 90 %, 8,000 rows",
        "precision ≥ 50 % and recall ≥ 35 %, 8,000 rows",
        "precision ≥ 60 %, weighted rows",
        "alerts ≤ 8 on 90 % of days, 90 uneven days",
    ],
)
def test_promises_are_kept(name):
    assert simulate("thresholds", _claim(name), worlds=150).holds


def test_a_threshold_as_measured_breaks_its_promise_half_the_time():
    found = simulate("thresholds", _claim("precision ≥ 60 %, as measured"), worlds=150)
    assert 0.35 <= found.share <= 0.65


def test_the_cost_of_the_cheapest_threshold_is_free_of_optimism():
    assert simulate("thresholds", _claim("cost of the cheapest threshold, 100 positives of 2,000"), worlds=150).holds


def test_a_smaller_delta_asks_for_a_safer_threshold():
    y, score = _rows()
    bold, careful = (choose(y, score, precision_at_least=0.6, delta=delta).threshold for delta in (0.3, 0.01))
    assert careful > bold
    bold, careful = (choose(y, score, recall_at_least=0.8, delta=delta).threshold for delta in (0.3, 0.01))
    assert careful < bold


def test_the_figures_beside_the_threshold_are_those_of_the_decisions_module():
    y, score = _rows()
    chosen = choose(y, score, recall_at_least=0.8)
    for figure in (stats.precision, stats.recall, stats.false_positive_rate):
        expected = figure(y, score, threshold=chosen.threshold)
        found = getattr(chosen, expected.metric)
        assert (found.value, found.n_units) == (expected.value, expected.n_units)
        assert (found.interval.low, found.interval.high) == pytest.approx((expected.interval.low, expected.interval.high), abs=1e-9)


def test_among_thresholds_that_keep_all_promises_recall_takes_the_highest_and_the_others_the_lowest():
    y, score = _rows()
    alone = choose(y, score, precision_at_least=0.6)
    assert alone.threshold == alone.lowest < alone.highest
    both = choose(y, score, precision_at_least=0.5, recall_at_least=0.3)
    assert both.threshold == both.highest > both.lowest


def test_scores_may_be_of_any_scale_and_ties_stay_together():
    y, score = _rows()
    chosen = choose(y, score, precision_at_least=0.6)
    assert choose(y, np.exp(score), precision_at_least=0.6).threshold == math.exp(chosen.threshold)
    tied = choose(y, np.round(score, 1), precision_at_least=0.6)
    assert tied.threshold in np.round(score, 1)


def test_the_order_of_the_rows_does_not_matter():
    y, score = _rows()
    order = np.random.default_rng(0).permutation(len(y))
    for asked in ({"precision_at_least": 0.6}, {"recall_at_least": 0.9}, {"false_positive_rate_at_most": 0.02}):
        assert choose(y, score, **asked) == choose(y[order], score[order], **asked)


def test_a_unit_for_each_row_gives_about_what_no_unit_gives():
    y, score = _rows()
    for asked in ({"precision_at_least": 0.6}, {"recall_at_least": 0.9}, {"false_positive_rate_at_most": 0.02}):
        exact, bounded = (choose(y, score, unit=unit, **asked).threshold for unit in (None, np.arange(len(y))))
        assert bounded == pytest.approx(exact, abs=0.15)


def test_rows_that_repeat_within_units_prove_no_more():
    y, score = _rows(n=2000)
    once = choose(y, score, unit=np.arange(2000), recall_at_least=0.8)
    thrice = choose(np.tile(y, 3), np.tile(score, 3), unit=np.tile(np.arange(2000), 3), recall_at_least=0.8)
    assert thrice.threshold == pytest.approx(once.threshold, abs=0.1)
    assert choose(np.tile(y, 3), np.tile(score, 3), recall_at_least=0.8).threshold > once.threshold


# ── alerts ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_at_most_so_many_alerts_on_most_days():
    y, score = _rows()
    day = _days(len(y))
    chosen = choose(y, score, alerts_per_day_at_most=5, day=day)
    counts = np.bincount(day[score >= chosen.threshold], minlength=60)
    assert chosen.alerts_per_day.value == pytest.approx(counts.mean())
    # Two of 60 days may have more: three would happen too often where one day in ten has.
    assert (counts > 5).sum() <= tolerance_rank(60, 0.1, 0.05)
    assert chosen.next_day.low <= np.median(counts) <= chosen.next_day.high


def test_days_may_be_dates():
    y, score = _rows()
    day = _days(len(y))
    dates = np.datetime64("2025-01-01") + day
    assert choose(y, score, alerts_per_day_at_most=5, day=dates) == choose(y, score, alerts_per_day_at_most=5, day=day)


def test_too_few_days_prove_nothing():
    y, score = _rows()
    chosen = choose(y, score, alerts_per_day_at_most=5, day=_days(len(y)) % 20)
    assert chosen.threshold is None
    assert not chosen.is_infeasible
    assert "it takes 29 days at the least, and there are 20" in chosen.refused


def test_the_rows_of_a_day_make_its_alerts_poisson():
    y, score = _rows()
    chosen = choose(y, score, alerts_per_day_at_most=5, rows_per_day=130)
    assert chosen.alerts_per_day.value == pytest.approx(130 * np.mean(score >= chosen.threshold))
    assert chosen.next_day.low >= 0
    assert chosen.next_day.high > chosen.alerts_per_day.interval.high
    assert choose(y, score, alerts_per_day_at_most=200, rows_per_day=130).threshold == score.min()


def test_one_more_day_lies_between_order_statistics_where_there_are_39():
    counts = np.arange(39.0)
    assert alerts_of_days(counts, n_rows=1000, level=0.95)[1].low == 0
    assert "square root" in alerts_of_days(counts[:38], n_rows=1000, level=0.95)[1].method
    assert alerts_of_days(counts[:1], n_rows=10, level=0.95)[1] is None


# ── cost ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_cheapest_threshold_is_found_by_trying_all():
    y, score = _rows(n=500)
    weight = np.random.default_rng(2).exponential(size=500)
    for w in (None, weight):
        chosen = choose(y, score, weight=w, false_positive=1, false_negative=10)
        tried = [
            stats.cost_per_decision(y, score, threshold=t, weight=w, false_positive=1, false_negative=10).value for t in np.unique(score)
        ]
        assert chosen.threshold == np.unique(score)[np.argmin(tried)]


def test_beside_probabilities_the_bayes_threshold_is_named():
    y, score = _rows()
    p = 1 / (1 + np.exp(-(math.log(0.05 / 0.95) + 2.06 * score - 2.06**2 / 2)))
    chosen = choose(y, p, false_positive=1, false_negative=9)
    assert chosen.bayes_threshold == pytest.approx(0.1)
    expected = stats.cost_per_decision(y, p, threshold=0.1, false_positive=1, false_negative=9)
    assert chosen.cost_at_bayes.value == pytest.approx(expected.value)
    assert choose(y, score, false_positive=1, false_negative=9).bayes_threshold is None
    gain = choose(y, p, false_positive=1, false_negative=0, true_positive=-9)
    assert gain.bayes_threshold == pytest.approx(0.1)


def test_where_acting_never_pays_the_threshold_is_infinite():
    y, score = _rows()
    y = (score < -1).astype(float)
    chosen = choose(y, score, false_positive=1, false_negative=0.01)
    assert chosen.threshold == math.inf
    assert chosen.alert_rate.value == 0
    assert "nothing is called" in chosen.precision.refused


def test_with_a_promise_the_cheapest_of_those_that_keep_it_is_taken():
    y, score = _rows()
    free = choose(y, score, false_positive=1, false_negative=2)
    bound = choose(y, score, false_positive=1, false_negative=2, recall_at_least=0.9)
    assert bound.threshold == bound.highest < free.threshold
    assert bound.cost.value > free.cost.value


def test_the_same_seed_gives_the_same_cost_and_another_about_the_same():
    y, score = _rows(n=2000)
    one, again, other = (choose(y, score, false_positive=1, false_negative=10, seed=seed).cost for seed in (3, 3, 4))
    assert one == again
    assert other != one
    assert other.value == pytest.approx(one.value, rel=0.2)


# ── what cannot be had ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_cannot_be_had_is_told_with_what_is_nearest():
    y, score = _rows()
    chosen = choose(y, score, recall_at_least=0.9, precision_at_least=0.6)
    assert chosen.threshold is None
    assert chosen.is_infeasible
    assert "precision ≥ 60 % with recall ≥ 90 % cannot be had" in chosen.refused
    assert "at recall ≥ 90 % precision is 0.1" in chosen.refused
    assert len(chosen.nearest) == 2
    assert chosen.nearest[1].seen[1].value >= 0.9
    assert str(chosen).startswith("no threshold: ")


def test_what_is_only_not_proven_is_told_apart():
    y, score = _rows()
    found = [choose(y, score, precision_at_least=0.6, recall_at_least=r) for r in (0.2, 0.44, 0.9)]
    assert [one.threshold is None for one in found] == [False, True, True]
    assert [one.is_infeasible for one in found] == [False, False, True]
    assert "is not proven" in found[1].refused


def test_a_feasible_promise_is_hardly_ever_called_infeasible():
    said = []
    for seed in range(60):
        y, score, _, _ = FEW.drawn(seed)
        # In the population precision 60 % has a recall of 47 %.
        said.append(choose(y, score, precision_at_least=0.59, recall_at_least=0.46).is_infeasible)
    assert np.mean(said) <= 0.1


def test_by_units_too_infeasible_is_told():
    y, score, _, unit = UNITS.drawn(1)
    chosen = choose(y, score, unit=unit, recall_at_least=0.95, precision_at_least=0.8)
    assert chosen.is_infeasible


def test_too_few_positives_are_counted():
    y, score = np.r_[np.ones(10), np.zeros(500)], np.linspace(1, 0, 510)
    chosen = choose(y, score, recall_at_least=0.9)
    assert "it takes 29 positives at the least, and there are 10" in chosen.refused
    assert not chosen.is_infeasible


@pytest.mark.parametrize(
    ("y", "score", "said"),
    [
        ([0, 0, 0], [1, 2, 3], "no row is positive"),
        ([1, 1, 1], [1, 2, 3], "every row is positive"),
        ([1, 0, 1], [2, 2, 2], "every score is 2"),
        ([1, 0, math.nan], [1, 2, 3], "neither 0 nor 1"),
        ([1, 0, 1], [1, math.nan, 3], "a score is NaN"),
        ([], [], "no row is positive"),
    ],
)
def test_what_rows_cannot_say_is_refused_in_words(y, score, said):
    chosen = choose(np.array(y, dtype=float), np.array(score, dtype=float), precision_at_least=0.6, false_positive=1, false_negative=2)
    assert (chosen.threshold, chosen.precision, chosen.cost) == (None, None, None)
    assert said in chosen.refused


def test_a_row_without_weight_is_no_row():
    assert "leave those rows out" in choose([1, 0, 0], [1, 2, 3], weight=[1, 0, 1], recall_at_least=0.5).refused


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "nothing is asked"),
        ({"precision_at_least": 60}, "precision of 60 cannot be promised"),
        ({"recall_at_least": 1.0}, "recall of 1.0 cannot be promised"),
        ({"alerts_per_day_at_most": -1, "rows_per_day": 10}, "cannot be promised"),
        ({"alerts_per_day_at_most": 5}, "what a day is"),
        ({"alerts_per_day_at_most": 5, "rows_per_day": 10, "day": [1, 1, 2]}, "not both"),
        ({"alerts_per_day_at_most": 5, "rows_per_day": 10, "unit": [1, 1, 2]}, "give day"),
        ({"alerts_per_day_at_most": 5, "day": [1, 1, 2], "weight": [1, 1, 2]}, "weighted rows"),
        ({"alerts_per_day_at_most": 5, "rows_per_day": 0}, "rows a day"),
        ({"false_positive": 5}, "give false_positive and false_negative"),
        ({"recall_at_least": 0.5, "delta": 0}, "delta"),
    ],
)
def test_calls_that_make_no_sense_are_the_callers_error(asked, said):
    with pytest.raises(ValueError, match=said):
        choose([1, 0, 1], [1, 2, 3], **asked)


def test_a_choice_reads_as_lines():
    y, score = _rows()
    lines = str(choose(y, score, precision_at_least=0.6, day=_days(len(y)), false_positive=1, false_negative=3)).splitlines()
    assert lines[0].endswith("precision ≥ 60 %, kept with probability ≥ 95 %")
    assert any(line.startswith("a day to come: ") for line in lines)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_small_tables_never_fail(data):
    n = data.draw(st.integers(1, 12))
    y = data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    score = data.draw(st.lists(st.sampled_from([-math.inf, 0.0, 0.5, 1.0, math.inf]), min_size=n, max_size=n))
    unit = data.draw(st.one_of(st.none(), st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    limits = {
        name: data.draw(st.one_of(st.none(), st.sampled_from([0.05, 0.5, 0.95])))
        for name in ("precision_at_least", "recall_at_least", "false_positive_rate_at_most")
    }
    chosen = choose(y, score, unit=unit, false_positive=1, false_negative=2, delta=0.4, day=np.arange(n) % 3, **limits)
    assert (chosen.threshold is None) == bool(chosen.refused)


def test_a_single_unit_and_too_few_rows_are_named_as_what_is_missing():
    rng = np.random.default_rng(0)
    y, score = np.arange(400) % 4 == 0, rng.normal(size=400)
    assert "two independent units" in stats.choose_threshold(y, score, recall_at_least=0.5, unit=np.zeros(400)).refused
    assert stats.choose_threshold(y, score, precision_at_least=0.99999).refused.endswith("there are 400")


def test_a_missing_day_is_called_a_day():
    with pytest.raises(ValueError, match="a day is missing"):
        stats.choose_threshold([0, 1], [0.1, 0.2], alerts_per_day_at_most=1, day=[1.0, math.nan])
    with pytest.raises(ValueError, match="day has the shape"):
        stats.choose_threshold([0, 1], [0.1, 0.2], alerts_per_day_at_most=1, day=[1.0])
