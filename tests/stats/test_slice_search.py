"""Searching for bad slices, in worlds where it is known which are bad."""

import numpy as np
import pytest

from gonogo.stats.slice_search import worst_slices


def world(n=6000, seed=0):
    rng = np.random.default_rng(seed)
    columns = {
        "place": rng.choice(["x", "y", "z"], n),
        "hour": rng.integers(0, 24, n),
        "size": rng.lognormal(5, 1, n),
        "kind": rng.choice(["a", "b"], n),
    }
    return rng.exponential(0.3, n), columns


def labels(found):
    return [one.effect.slice for one in found.found]


def test_a_bad_value_is_found_alone_without_the_conjunctions_that_repeat_it():
    loss, columns = world()
    found = worst_slices(loss + 0.2 * (columns["place"] == "x"), columns)
    assert labels(found) == ["place=x"]
    (one,) = found.found
    assert one.effect.interval.low < 0.2 < one.effect.interval.high
    assert one.p_value < 0.01
    assert found.searched > 50


def test_a_bad_conjunction_is_found_without_the_values_it_is_made_of():
    loss, columns = world()
    bad = (columns["place"] == "x") & (columns["kind"] == "b")
    assert labels(worst_slices(loss + 0.3 * bad, columns)) == ["place=x & kind=b"]


def test_two_bad_places_are_both_found():
    loss, columns = world(12000)
    other = (columns["place"] == "y") & (columns["kind"] == "b")
    assert set(labels(worst_slices(loss + 0.3 * (columns["place"] == "x") + 0.3 * other, columns))) == {"place=x", "place=y & kind=b"}


def test_where_nothing_is_worse_little_is_found():
    found = [len(worst_slices(*world(2000, seed)).found) for seed in range(30)]
    assert sum(n > 0 for n in found) <= 6


def test_depth_three_finds_what_depth_two_cannot_say():
    loss, columns = world(20000)
    bad = (columns["place"] == "x") & (columns["kind"] == "b") & (columns["size"] < 60)
    found = worst_slices(loss + 0.6 * bad, columns, depth=3)
    assert "place=x" in labels(found)[0]
    assert "kind=b" in labels(found)[0]
    assert "size=below" in labels(found)[0]


def test_units_are_kept_whole_and_a_few_bad_days_are_not_a_bad_place():
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(100), 60)
    place = np.where(rng.random(100) < 0.3, "x", "y")[unit]
    found = []
    for seed in range(20):
        shock = np.random.default_rng(seed).normal(0, 0.3, 100)[unit]
        loss = shock + np.random.default_rng(seed + 100).exponential(0.3, 6000)
        found.append(len(worst_slices(loss, {"place": place}, unit=unit, min_units=20).found))
    assert sum(n > 0 for n in found) <= 4


def test_weights_of_whole_numbers_are_rows_given_again_to_the_same_unit():
    loss, columns = world(3000)
    loss = loss + 0.3 * (columns["place"] == "x")
    times = np.random.default_rng(2).integers(1, 4, 3000)
    again = np.repeat(np.arange(3000), times)
    weighted = worst_slices(loss, columns, weight=times, unit=np.arange(3000))
    repeated = worst_slices(loss[again], {k: v[again] for k, v in columns.items()}, unit=again, bins=5)
    assert labels(weighted)[0] == labels(repeated)[0] == "place=x"
    assert weighted.found[0].effect.value == pytest.approx(repeated.found[0].effect.value)
    assert weighted.found[0].p_value == pytest.approx(repeated.found[0].p_value, rel=0.5)


def test_the_same_seed_gives_the_same_bytes():
    loss, columns = world()
    loss = loss + 0.1 * (columns["place"] == "x")
    assert worst_slices(loss, columns, seed=3) == worst_slices(loss, columns, seed=3)


def test_what_cannot_be_searched_is_refused_in_words():
    loss, columns = world(40)
    assert worst_slices(loss, columns).refused == "40 units of 60 asked"
    loss, columns = world(200)
    loss[3] = np.nan
    assert "NaN" in worst_slices(loss, columns).refused
    assert "no search" in str(worst_slices(loss, columns))
    assert worst_slices(np.ones(200), columns).found == ()
    assert worst_slices(np.ones(200), {}).searched == 0


def test_wrong_calls_raise():
    loss, columns = world(200)
    for wrong in ({"depth": 0}, {"depth": 4}, {"fdr": 0}, {"level": 2}, {"at_most": 0}):
        with pytest.raises(ValueError, match=r"depth|false|level"):
            worst_slices(loss, columns, **wrong)
    with pytest.raises(ValueError, match="weights"):
        worst_slices(loss, columns, weight=np.ones(3))
