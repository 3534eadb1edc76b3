"""Which rows belong to which slice: bins of numbers and pairs of columns beside plain values."""

import numpy as np
import pyarrow as pa
import pytest

from gonogo.data.tables import as_text
from gonogo.evidence.slices import partition
from gonogo.types.contract import Slicing


def test_numbers_are_cut_into_bins_that_a_person_can_read():
    miles = np.random.default_rng(0).lognormal(6, 1, 5000)
    slices = pa.table({"miles": as_text(pa.chunked_array([miles]))})
    found = partition(slices, np.arange(5000), Slicing(column="miles", bins=4))
    assert found.labels == ("miles=800 or more", "miles=[200, 400)", "miles=[400, 800)", "miles=below 200")
    assert sum(found.n_rows) == 5000
    assert (found.group == 3).tolist() == (miles < 200).tolist()


def test_numbers_that_are_missing_are_a_slice_of_their_own():
    numbers = as_text(pa.chunked_array([pa.array([1.0, None, 2.0, 3.0, -4e-05, float("nan")] * 20)]))
    found = partition(pa.table({"x": numbers}), np.arange(120), Slicing(column="x", bins=2, min_units=2))
    assert "x=(none)" in found.labels
    assert found.n_rows[found.labels.index("x=(none)")] == 40


def test_crossed_columns_are_told_apart_by_both_values():
    slices = pa.table({"origin": ["JFK", "JFK", "EWR", None], "carrier": ["AA", "UA", "AA", "AA"]})
    found = partition(slices, np.arange(4), Slicing(column="origin", crossed_with="carrier", min_units=2))
    assert found.labels == (
        "origin & carrier=(none) & AA",
        "origin & carrier=EWR & AA",
        "origin & carrier=JFK & AA",
        "origin & carrier=JFK & UA",
    )
    assert found.group.tolist() == [2, 3, 1, 0]


def test_a_bin_and_a_second_column_can_be_crossed_and_small_pairs_pooled():
    rng = np.random.default_rng(1)
    slices = pa.table({"miles": as_text(pa.chunked_array([rng.random(400)])), "kind": rng.choice(["a", "b"], 400, p=[0.95, 0.05])})
    slicing = Slicing(column="miles", bins=2, crossed_with="kind", min_units=15, small="pool")
    found = partition(slices, np.arange(400), slicing)
    assert slicing.name == "miles & kind"
    assert any("other" in label for label in found.labels)
    assert min(found.n_units) >= 15
    assert sum(found.n_rows) == 400


def test_no_rows_have_no_slices():
    for slicing in (Slicing(column="x", bins=3), Slicing(column="x"), Slicing(column="x", crossed_with="x2")):
        empty = pa.table({"x": pa.array([], pa.string()), "x2": pa.array([], pa.string())})
        assert partition(empty, np.zeros(0, dtype=np.int64), slicing).labels == ()


@pytest.mark.parametrize("bins", [2, 5])
def test_one_number_everywhere_is_one_slice(bins):
    found = partition(pa.table({"x": ["7"] * 50}), np.arange(50), Slicing(column="x", bins=bins))
    assert found.labels == ("x=any",)
