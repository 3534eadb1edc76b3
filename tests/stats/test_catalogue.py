"""Catalogue coverage counts items, by unit, and its interval holds what as many units reach."""

import numpy as np
import pytest
from benchmarks.truth.run import simulate

from gonogo import stats


def test_it_is_the_share_of_items_that_stand_in_a_list():
    found = stats.catalogue_coverage([["a", "b"], ["b", "c"], ["a", "c"]], catalogue=["a", "b", "c", "d"])
    assert (found.value, found.n_units, found.n_rows) == (0.75, 3, 6)


def test_lists_and_rows_with_units_are_the_same():
    shown = np.random.default_rng(0).integers(0, 80, (40, 5))
    table = stats.catalogue_coverage(shown, catalogue=100)
    assert stats.catalogue_coverage(shown.ravel(), catalogue=100, unit=np.repeat(np.arange(40), 5)) == table


def test_the_error_is_the_jackknifes():
    shown = np.random.default_rng(0).integers(0, 300, (30, 5))
    found = stats.catalogue_coverage(shown, catalogue=300)
    without = np.array([len(np.unique(np.delete(shown, g, axis=0))) for g in range(30)]) / 300
    error = np.sqrt(29 / 30 * ((without - without.mean()) ** 2).sum())
    assert (found.interval.high - found.interval.low) / 2 == pytest.approx(2.0452296 * error)


def test_items_that_all_units_show_leave_a_width_of_an_item():
    found = stats.catalogue_coverage(np.tile([1, 2, 3], (50, 1)), catalogue=10)
    assert found.value == 0.3
    assert found.interval.high - found.interval.low > 0.2


def test_what_cannot_be_given_is_refused_and_a_wrong_call_raises():
    assert "two are needed" in stats.catalogue_coverage([[1, 2]], catalogue=10).refused
    assert "two are needed" in stats.catalogue_coverage(np.zeros((0, 3)), catalogue=10).refused
    assert "empty" in stats.catalogue_coverage(np.zeros((3, 0), dtype=int), catalogue=0).refused
    with pytest.raises(ValueError, match="of a catalogue of 2"):
        stats.catalogue_coverage([[1, 2], [3, 4]], catalogue=2)
    with pytest.raises(ValueError, match="not in the catalogue"):
        stats.catalogue_coverage([[1, 2], [3, 4]], catalogue=[1, 2, 3])
    with pytest.raises(ValueError, match="needs `unit`"):
        stats.catalogue_coverage([1, 2, 3], catalogue=10)


def test_the_interval_holds_what_as_many_units_reach():
    assert simulate("catalogue", 0, worlds=200).holds


def test_a_set_of_ids_is_a_catalogue():
    assert stats.catalogue_coverage([[1, 2], [2, 3]], catalogue={1, 2, 3, 4}).value == 0.75


@pytest.mark.parametrize("lists", [[[1, 2], [2, np.nan]], [["a", "b"], ["c", None]]])
def test_a_list_that_is_filled_up_is_no_list_of_items(lists):
    with pytest.raises(ValueError, match="missing"):
        stats.catalogue_coverage(lists, catalogue=10)
