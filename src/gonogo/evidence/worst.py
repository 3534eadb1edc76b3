"""Where does the challenger answer worst, beyond the slices that somebody thought of?

Every slice column and every input is searched, alone and in pairs, by the loss of the challenger. What is told was proved on units that did
not search (`stats.worst_slices`); no gate depends on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gonogo.stats.slice_columns import MOST_SLICES, Categories
from gonogo.stats.slice_search import WorstSlices, worst_slices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gonogo.types.contract import Contract
    from gonogo.types.protocols import Examples, Family, Metric, Table

MIN_UNITS = 30  # in a slice; half of them search, half of them prove
PAIRED_UP_TO = 40  # columns; beyond, pairs are too many to look at, and columns are searched one by one
AT_MOST = 5  # slices that a page tells of


def find_worst(contract: Contract, family: Family, examples: Examples, challenger: Table) -> WorstSlices | None:
    """The slices in which the challenger's loss is higher than in all other rows; None where the family has no loss, or it refused."""
    metric = _loss(contract, family)
    if metric is None:
        return None
    try:
        scores = metric.score(challenger, examples.outcomes)
    except ValueError:  # by its promise a metric refuses an empty table and NaN so; its estimate says why
        return None
    weight = np.asarray(scores.weight, dtype=np.float64)
    loss = np.divide(scores.value, weight, out=np.zeros(len(weight)), where=weight > 0)
    columns = dict(_columns(examples))
    return worst_slices(
        loss,
        columns,
        depth=2 if len(columns) <= PAIRED_UP_TO else 1,
        min_units=MIN_UNITS,
        at_most=AT_MOST,
        weight=weight,
        unit=scores.unit,
        seed=contract.seed,
        metric=metric.name,
        measured_in=metric.measured_in,
    )


def _loss(contract: Contract, family: Family) -> Metric | None:
    """The metric that chose the learner where it is a loss, else the family's first loss."""
    losses = [metric for metric in family.metrics if metric.better == "lower"]
    return next((metric for metric in losses if metric.name == contract.select_by), losses[0] if losses else None)


def _columns(examples: Examples) -> Iterator[tuple[str, np.ndarray[tuple[int], np.dtype[np.float64]] | Categories]]:
    """Slice columns and inputs by name; an input of the same name as a slice column is that column."""
    for table in (examples.inputs, examples.slices):
        for name in table.column_names:
            column = table.column(name)
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            if pa.types.is_integer(kind) or pa.types.is_floating(kind):
                yield name, pc.fill_null(pc.cast(column, pa.float64(), safe=False), float("nan")).to_numpy()
            elif pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
                encoded = pc.cast(column, pa.string()).combine_chunks().dictionary_encode()
                if len(encoded.dictionary) < MOST_SLICES:
                    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
                    yield name, Categories(codes=codes, categories=encoded.dictionary.to_pylist())
