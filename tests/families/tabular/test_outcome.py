"""An outcome from which nothing can be learnt is refused, and so is a prediction that is no probability."""

from __future__ import annotations

import pyarrow as pa
import pytest

from gonogo.families.tabular.outcome import read_both_classes, read_outcome, read_probability
from gonogo.types.errors import ColumnMissing, OutcomeRefused


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.float64(), pa.bool_()], ids=str)
def test_zero_and_one_of_any_type_are_read(kind: pa.DataType) -> None:
    assert read_outcome(pa.table({"y": pa.array([0, 1]).cast(kind)})).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), 2.0, 0.5, -1.0])
def test_anything_else_is_refused_with_its_row(bad: float | None) -> None:
    with pytest.raises(OutcomeRefused) as refused:
        read_outcome(pa.table({"y": pa.array([0.0, 1.0, bad], type=pa.float64())}))
    assert "row 2" in refused.value.found


def test_text_is_refused() -> None:
    with pytest.raises(OutcomeRefused, match="no number"):
        read_outcome(pa.table({"y": ["yes", "no"]}))


def test_a_missing_outcome_column_is_named() -> None:
    with pytest.raises(ColumnMissing):
        read_outcome(pa.table({"unit": [1]}))


@pytest.mark.parametrize("values", [[], [0, 0, 0], [1, 1]])
def test_one_class_only_and_no_rows_are_refused(values: list[int]) -> None:
    with pytest.raises(OutcomeRefused):
        read_both_classes(pa.table({"y": pa.array(values, type=pa.int64())}))


@pytest.mark.parametrize("bad", [None, float("nan"), -0.1, 1.1])
def test_a_prediction_that_is_no_probability_is_refused(bad: float | None) -> None:
    with pytest.raises(ValueError, match="no probability"):
        read_probability(pa.table({"p": pa.array([0.5, bad], type=pa.float64())}))
