"""What came true, as numbers, and is there anything to learn from it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gonogo.types.errors import ColumnMissing, OutcomeRefused

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.types.evidence import Array, IntArray

OUTCOME = "y"
PREDICTION = "p"


def read_outcome(outcomes: pa.Table) -> Array:
    """(n,) float64, 0 or 1. Raises OutcomeRefused for null, NaN, infinite and any other number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if OUTCOME not in outcomes.schema.names:
        raise ColumnMissing(
            "there is no outcome column", found=", ".join(outcomes.schema.names), expected=OUTCOME, where="outcome.columns", next="give y"
        )
    column = outcomes.column(OUTCOME)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise _refused("the outcome is no number", found=str(column.type), expected="0 or 1")
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    y: Array = pc.cast(column, pa.float64(), safe=False).to_numpy()
    wrong = ~((y == 0) | (y == 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise _refused(
            f"{int(wrong.sum()):,} of {len(y):,} outcomes are neither 0 nor 1",
            found=f"{'null or NaN' if np.isnan(y[row]) else y[row]} in row {row}",
            expected="0 or 1 in every row",
        )
    return y


def read_both_classes(outcomes: pa.Table) -> Array:
    """`read_outcome`, and OutcomeRefused where there is no row, or one class only: nothing can be learnt from it."""
    y = read_outcome(outcomes)
    if len(y) == 0:
        raise _refused("there is no row to learn from", found="0 rows", expected="rows of both classes")
    positives = int(y.sum())
    if positives in (0, len(y)):
        raise _refused(f"every one of {len(y):,} outcomes is {int(y[0])}", found="one class only", expected="at least one 0 and one 1")
    return y


def read_unit(outcomes: pa.Table) -> IntArray:
    """(n,) int64 codes of the independent unit."""
    unit: IntArray = outcomes.column("unit").to_numpy().astype(np.int64, copy=False)
    return unit


def read_probability(predictions: pa.Table) -> Array:
    """(n,) float64 in [0, 1]. Raises ValueError for null, NaN and anything outside: no figure is made of those."""
    p: Array = predictions.column(PREDICTION).to_numpy().astype(np.float64, copy=False)
    if not ((p >= 0) & (p <= 1)).all():
        row = int(np.argmax(~((p >= 0) & (p <= 1))))
        raise ValueError(f"a prediction is no probability: {p[row]} in row {row}")
    return p


def _refused(message: str, *, found: str, expected: str) -> OutcomeRefused:
    return OutcomeRefused(message, found=found, expected=expected, where="outcome.columns.y", next="mend outcome.columns or its policies")
