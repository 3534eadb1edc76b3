"""What the launch page says of slices that were found by searching."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from gonogo.evidence.page import render
from gonogo.evidence.worst import find_worst
from gonogo.stats.slice_search import worst_slices
from tests.evidence import page_worlds
from tests.evidence.small import CONTRACT
from tests.evidence.test_measure import FAMILY, _world


def test_the_page_names_the_slices_that_were_found_with_their_excess():
    rng = np.random.default_rng(0)
    place = rng.choice(["x", "y"], 4000)
    found = worst_slices(rng.exponential(1.0, 4000) + (place == "x"), {"place": place}, metric="log_loss", measured_in="nats").found
    view = page_worlds.view()
    page = render(replace(view, evidence=replace(view.evidence, worst=found, searched=123)))
    assert "Where it is worst" in page
    assert "place=x" in page
    assert "log loss higher by" in page
    assert "123 slices" in page


def test_a_page_on_which_nothing_was_found_says_that_it_was_searched():
    view = page_worlds.view()
    assert "none is, as far as these rows can tell" in render(replace(view, evidence=replace(view.evidence, searched=50)))
    assert "Where it is worst" not in render(view)


def test_a_family_without_a_loss_and_a_table_that_it_refuses_are_not_searched():
    examples, ours, _ = _world()
    assert find_worst(CONTRACT, replace(FAMILY, metrics=()), examples, ours) is None
    assert find_worst(CONTRACT, FAMILY, examples, pa.table({"g": np.full(1200, np.nan)})) is None


@pytest.mark.parametrize("n_columns", [50])
def test_columns_too_many_to_pair_are_searched_one_by_one(n_columns):
    examples, ours, _ = _world()
    rng = np.random.default_rng(1)
    inputs = pa.table({f"c{k}": rng.integers(0, 3, 1200) for k in range(n_columns)})
    found = find_worst(CONTRACT, FAMILY, replace(examples, inputs=inputs), ours)
    assert 0 < found.searched <= 3 * n_columns + 7
