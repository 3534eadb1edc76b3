"""What every scorer must do: answer as its model does, a row alone as among others, and refuse what the model refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gonogo.types.errors import DataError
from gonogo.types.protocols import Model, Scorer

TOLERANCE = 2e-7  # of two float32 sums of the same leaves


def rows_of(inputs: pa.Table, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows as plain values, None for null."""
    return list(zip(*(inputs.column(name).to_pylist() for name in names), strict=True)) if names else [()] * inputs.num_rows


def check_scorer(scorer: Scorer | None, model: Model, inputs: pa.Table) -> None:
    """The scorer says what the model says of these inputs, row by row and all at once."""
    assert scorer is not None
    rows = rows_of(inputs, [one.name for one in scorer.inputs])
    expected = model.predict(inputs)
    assert list(scorer.outputs) == expected.column_names
    alone = [scorer.score(row) for row in rows]
    assert scorer.score_rows(rows) == alone
    assert scorer.score_rows(rows[::-1])[::-1] == alone
    assert scorer.score_rows([]) == []
    for place, name in enumerate(expected.column_names):
        ours = np.array([answer[place] for answer in alone])
        assert np.max(np.abs(ours - expected.column(name).to_numpy())) <= TOLERANCE


def check_refusal(scorer: Scorer, model: Model, row: Sequence[Any], inputs: pa.Table) -> DataError:
    """Scorer and model refuse the row with one class of error; the scorer's. inputs: the row as a table."""
    with pytest.raises(DataError) as theirs:
        model.predict(inputs)
    with pytest.raises(type(theirs.value)) as ours:
        scorer.score(row)
    with pytest.raises(type(theirs.value)):
        scorer.score_rows([row])
    assert ours.value.code == theirs.value.code
    return ours.value
