from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from gonogo.data.labels import label
from gonogo.data.splits import folds, split
from gonogo.types.contract import Split
from gonogo.types.errors import ColumnMissing, SplitRefused
from tests.data.small_contract import SPLIT, contract, rows_of, visits


def tables(said: object, connection: object) -> dict[int, str | None]:
    return dict(rows_of(connection, "SELECT visit, gng_table FROM rows"))


def after(said: object, *, n: int = 20, replace: str = "") -> tuple[dict[int, str | None], dict[str, int]]:
    connection = visits(n=n, replace=replace)
    label(said, connection)  # type: ignore[arg-type]
    dropped = split(said, connection)  # type: ignore[arg-type]
    return tables(said, connection), {d.reason: d.n_rows for d in dropped}


def test_by_time_each_table_is_decided_before_the_next_begins() -> None:
    found, dropped = after(contract())
    assert found == {i: "train" if i < 10 else "validate" if i < 15 else "test" for i in range(20)}
    assert dropped == {}


def test_an_embargo_takes_out_the_rows_just_before_a_boundary_and_counts_them() -> None:
    found, dropped = after(contract(split=dataclasses.replace(SPLIT, embargo="2d")))
    assert [i for i, table in found.items() if table is None] == [8, 9, 13, 14]
    assert dropped == {"embargo before validate": 2, "embargo before test": 2}


def test_a_row_whose_outcome_came_after_the_boundary_is_out() -> None:
    # answered 20 hours after it was asked at noon: at 8 o'clock of the next day
    found, dropped = after(contract(), replace="asked_at + INTERVAL 20 HOURS AS answered_at")
    assert found[9] is None
    assert found[14] is None
    assert dropped == {"label known only after test began": 1, "label known only after validate began": 1}


def test_an_outcome_known_at_the_very_boundary_was_not_known_before_it() -> None:
    found, _ = after(contract(), replace="asked_at + INTERVAL 12 HOURS AS answered_at")
    assert found[9] is None
    assert found[8] == "train"


def test_rows_that_are_not_kept_are_in_no_table() -> None:
    found, _ = after(contract(as_of="2024-01-18T12:00:00Z"))
    assert [i for i, table in found.items() if table is None] == [17, 18, 19]


def test_by_entity_all_rows_of_a_value_stay_together_and_the_seed_decides_where() -> None:
    said = contract(split=Split(by="entity", column="person", shares=(0.6, 0.2, 0.2)), as_of="2026-01-01T00:00:00Z")
    replace = "'p' || visit % 60 AS person"
    found, _ = after(said, n=240, replace=replace)
    of_person: dict[int, set[str | None]] = {}
    for visit, table in found.items():
        of_person.setdefault(visit % 60, set()).add(table)
    assert all(len(seen) == 1 for seen in of_person.values())
    assert found == after(said, n=240, replace=replace)[0]
    assert found != after(dataclasses.replace(said, seed=1), n=240, replace=replace)[0]
    counts = Counter(next(iter(seen)) for seen in of_person.values())
    assert counts["train"] > counts["validate"]


def test_where_a_value_goes_does_not_depend_on_the_others() -> None:
    said = contract(split=Split(by="group", column="person", shares=(0.6, 0.2, 0.2)), as_of="2026-01-01T00:00:00Z")
    few, _ = after(said, n=100, replace="'p' || visit AS person")
    many, _ = after(said, n=200, replace="'p' || visit AS person")
    assert few == {visit: table for visit, table in many.items() if visit < 100}


def test_stratified_tables_hold_every_class_in_its_share() -> None:
    said = contract(split=Split(by="stratified", shares=(0.5, 0.25, 0.25)), as_of="2026-01-01T00:00:00Z")
    found, _ = after(said, n=400, replace="(visit % 4 = 0)::INTEGER AS answer")
    counts = Counter((table, visit % 4 == 0) for visit, table in found.items())
    assert counts == {
        ("train", True): 50,
        ("validate", True): 25,
        ("test", True): 25,
        ("train", False): 150,
        ("validate", False): 75,
        ("test", False): 75,
    }


def test_an_empty_table_is_refused_with_the_stretch_that_the_data_covers() -> None:
    with pytest.raises(SplitRefused, match="leaves test empty") as refused:
        after(contract(split=dataclasses.replace(SPLIT, test_from="2024-01-25T00:00:00Z")))
    assert "2024-01-20T12:00:00Z" in refused.value.found


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(SplitRefused, match="validate and test empty"):
        after(contract(), n=1)


def test_boundaries_out_of_order_are_refused() -> None:
    with pytest.raises(SplitRefused, match="out of order"):
        after(contract(split=dataclasses.replace(SPLIT, test_from=SPLIT.validate_from)))


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(SplitRefused, match="no three tables"):
        after(contract(split=Split(by="stratified", shares=(0.5, 0.5, 0.5))))


def test_a_column_to_split_by_must_be_there() -> None:
    with pytest.raises(ColumnMissing):
        after(contract(split=Split(by="entity", column="tribe", shares=(0.6, 0.2, 0.2))))


def test_a_stratified_split_of_a_measured_outcome_is_refused() -> None:
    with pytest.raises(SplitRefused, match="150 values"):
        after(
            contract(split=Split(by="stratified", shares=(0.5, 0.25, 0.25)), as_of="2026-01-01T00:00:00Z"), n=150, replace="visit AS answer"
        )


def test_folds_keep_values_together_are_balanced_and_repeat() -> None:
    values = [f"u{i % 11}" for i in range(100)]
    got = folds(values, k=3, repeats=4, seed=5)
    assert got.shape == (4, 100)
    for repeat in got:
        assert all(len({fold for fold, v in zip(repeat, values, strict=True) if v == value}) == 1 for value in set(values))
        sizes = Counter(int(repeat[values.index(value)]) for value in set(values))
        assert max(sizes.values()) - min(sizes.values()) <= 1
    assert np.array_equal(got, folds(values, k=3, repeats=4, seed=5))
    assert not np.array_equal(got[0], got[1])


def test_fewer_values_than_folds_are_refused() -> None:
    with pytest.raises(SplitRefused):
        folds(["a", "a", "b"], k=3, repeats=1, seed=0)
