"""Inputs become numbers without a silent change."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from gonogo.families.tabular.table import UNKNOWN, fit_codec
from gonogo.types.errors import ColumnMissing, ColumnMistyped, DataError
from gonogo.types.snapshot import Input, Kind, Missing


def number(name: str = "x", missing: Missing = Missing.NATIVE) -> Input:
    return Input(name=name, kind=Kind.NUMBER, missing=missing, feature=name)


def category(name: str = "k", missing: Missing = Missing.NATIVE) -> Input:
    return Input(name=name, kind=Kind.CATEGORY, missing=missing, feature=name)


def test_null_and_nan_are_both_missing() -> None:
    table = pa.table({"x": pa.array([1.5, None, float("nan")])})
    assert np.isnan(fit_codec(table, (number(),)).encode(table)[:, 0]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 0], type=pa.int64()),
        pa.array([True, False]),
        pa.array([1.0, 0.0], type=pa.float32()),
        pa.array([Decimal(1), Decimal(0)], type=pa.decimal128(5, 2)),
    ],
    ids=lambda column: str(column.type),
)
def test_every_kind_of_number_is_read(column: pa.Array) -> None:
    table = pa.table({"x": column})
    assert fit_codec(table, (number(),)).encode(table)[:, 0].tolist() == [1.0, 0.0]


def test_categories_are_coded_in_sorted_order_whatever_the_order_of_rows() -> None:
    forwards = fit_codec(pa.table({"k": ["b", "a", "c"]}), (category(),))
    backwards = fit_codec(pa.table({"k": ["c", "a", "b"]}), (category(),))
    assert forwards == backwards
    assert forwards.encode(pa.table({"k": ["a", "c"]}))[:, 0].tolist() == [0.0, 2.0]


def test_an_unknown_category_is_told_from_a_missing_one() -> None:
    codec = fit_codec(pa.table({"k": ["a", "b"]}), (category(),))
    codes = codec.encode(pa.table({"k": pa.array(["zebra", None, "b"])}))[:, 0]
    assert codes[0] == UNKNOWN
    assert np.isnan(codes[1])
    assert codes[2] == 1.0


def test_a_dictionary_a_large_string_and_a_whole_number_are_categories_too() -> None:
    plain = pa.array(["1", "2", None])
    codec = fit_codec(pa.table({"k": plain}), (category(),))
    expected = codec.encode(pa.table({"k": plain}))
    for column in (plain.dictionary_encode(), plain.cast(pa.large_string()), plain.cast(pa.int32())):
        np.testing.assert_array_equal(codec.encode(pa.table({"k": column})), expected)


def test_a_column_of_nulls_only_is_read() -> None:
    table = pa.table({"x": pa.nulls(2), "k": pa.nulls(2)})
    assert np.isnan(fit_codec(table, (number(), category())).encode(table)).all()


def test_text_where_a_number_is_needed_is_refused_by_name() -> None:
    with pytest.raises(ColumnMistyped, match="'x'"):
        fit_codec(pa.table({"x": [1.0]}), (number(),)).encode(pa.table({"x": ["one"]}))


def test_a_float_where_a_category_is_needed_is_refused() -> None:
    with pytest.raises(ColumnMistyped, match="'k'"):
        fit_codec(pa.table({"k": [0.5]}), (category(),))


def test_a_missing_column_is_refused_by_name() -> None:
    with pytest.raises(ColumnMissing, match="'x'"):
        fit_codec(pa.table({"x": [1.0]}), (number(),)).encode(pa.table({"z": [1.0]}))


def test_an_infinite_number_is_refused_with_its_row() -> None:
    table = pa.table({"x": [1.0, float("inf")]})
    with pytest.raises(DataError, match="infinite") as refused:
        fit_codec(table, (number(),)).encode(table)
    assert "row 1" in refused.value.where


def test_a_null_that_the_contract_refuses_is_named_with_its_row() -> None:
    codec = fit_codec(pa.table({"x": [1.0]}), (number(missing=Missing.REFUSE),))
    with pytest.raises(DataError, match="refuses") as refused:
        codec.encode_strictly(pa.table({"x": pa.array([1.0, None])}))
    assert refused.value.where == "inputs.x, row 1"


def test_free_text_is_refused_with_a_way_out() -> None:
    with pytest.raises(ColumnMistyped, match="free text"):
        fit_codec(pa.table({"t": ["hello"]}), (Input(name="t", kind=Kind.TEXT, missing=Missing.NATIVE, feature="t"),))
