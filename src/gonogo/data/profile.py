"""What does each column of a source look like, in few enough numbers to keep, and has that changed?

Counts are exact and taken in one pass. The shape of a distribution comes from a sample of at most 100,000 rows that is drawn by a
hash of the rows' own values, so it is the same for any number of threads. Values of text columns are kept only as hashes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from gonogo.data.sql import failures_told, identifier, one_row, source_table

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from gonogo.types.contract import Source

SAMPLE_ROWS = 100_000
MOST_SAMPLED = 4 * SAMPLE_ROWS
COLUMNS_AT_ONCE = 500  # more columns are asked in several queries: planning grows faster than their number, and each query has a price
PROFILED_COLUMNS = 300  # of one source; a profile must stay small enough to be kept in a record
BINS = 10
TOP_VALUES = 20
MOST_CATEGORIES = 200  # a text column with more values in the sample is a name or an id: only its nulls are compared
NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
FLOATS = ("FLOAT", "DOUBLE")


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnFacts:
    """Exact counts of one column."""

    type: str  # DuckDB's
    n_rows: int
    n_null: int
    n_not_finite: int
    is_constant: bool  # one value in every row that has one


def is_number(kind: str) -> bool:
    """Whether a DuckDB type is a number.

    >>> is_number("DECIMAL(18,2)"), is_number("VARCHAR")
    (True, False)
    """
    return kind in NUMBERS or kind in FLOATS or kind.startswith("DECIMAL")


def column_facts(connection: DuckDBPyConnection, name: str, types: Mapping[str, str]) -> dict[str, ColumnFacts]:
    """Column → its exact counts.

    Smallest and largest values are asked alone, because a Parquet file then answers them from its footer without reading a row; truth
    values have to be read. A footer may say nothing of a column's NaN, and the engine then takes `isnan` to be false and the largest
    number for the largest value: so every float is read and summed, and where the sum is not finite the column is asked again.
    """
    ((_, n_rows),) = _asked(connection, name, ["*"], "count(*)").items()
    ordered = {column: kind for column, kind in types.items() if _has_order(kind)}
    floats = [column for column, kind in types.items() if kind in FLOATS]
    n_there, sums = _counts_and_sums(connection, name, list(types), frozenset(floats))
    doubtful = [column for column in floats if not math.isfinite(sums[column] or 0.0)]
    one_value = "min({c}) IS NOT DISTINCT FROM max({c})"
    constant = _asked(connection, name, [c for c, kind in ordered.items() if kind != "BOOLEAN" and c not in doubtful], one_value)
    constant |= _asked(connection, name, [c for c, kind in ordered.items() if kind == "BOOLEAN"], one_value)
    not_finite = {column: _not_finite(connection, name, column) for column in doubtful}
    constant |= {column: is_constant for column, (_, is_constant) in not_finite.items()}
    return {
        column: ColumnFacts(
            type=kind,
            n_rows=n_rows,
            n_null=n_rows - n_there[column],
            n_not_finite=not_finite[column][0] if column in not_finite else 0,
            is_constant=bool(constant.get(column)) and n_there[column] > 0,
        )
        for column, kind in types.items()
    }


def _counts_and_sums(
    connection: DuckDBPyConnection, name: str, columns: list[str], floats: frozenset[str]
) -> tuple[dict[str, int], dict[str, float | None]]:
    """Column → its values that are not null; float column → a sum, in whatever order, that is finite only if each value is."""
    counts: dict[str, int] = {}
    sums: dict[str, float | None] = {}
    for batch in _batches(columns):
        summed = [column for column in batch if column in floats]
        parts = [f"count({identifier(column)})" for column in batch] + [f"sum({identifier(column)})" for column in summed]
        with failures_told(f"sources.{name}"):
            row = one_row(connection, f"SELECT {', '.join(parts)} FROM {source_table(name)}")
        counts |= zip(batch, row[: len(batch)], strict=True)
        sums |= zip(summed, row[len(batch) :], strict=True)
    return counts, sums


def _not_finite(connection: DuckDBPyConnection, name: str, column: str) -> tuple[int, bool]:
    """How many values are NaN or infinite, and whether all are one value: read, and not from a footer, since they are asked together."""
    c = identifier(column)
    query = f"SELECT count_if(NOT isfinite({c})), min({c}) IS NOT DISTINCT FROM max({c}) FROM {source_table(name)}"
    with failures_told(f"sources.{name}"):
        n, is_constant = one_row(connection, query)
    return n or 0, bool(is_constant)


def _asked(connection: DuckDBPyConnection, name: str, columns: list[str], aggregate: str) -> dict[str, int]:
    """Column → the value of the aggregate over it, in as few queries as planning allows."""
    answers: dict[str, int] = {}
    for batch in _batches(columns):
        parts = ", ".join(aggregate.replace("{c}", identifier(column)) for column in batch)
        with failures_told(f"sources.{name}"):
            answers |= zip(batch, one_row(connection, f"SELECT {parts} FROM {source_table(name)}"), strict=True)
    return answers


def sample_rows(connection: DuckDBPyConnection, name: str, source: Source, types: Mapping[str, str], n_rows: int) -> pa.Table:
    """About 100,000 rows of a source, or all of fewer: always the same ones, whatever the threads.

    They are drawn by a hash of what names a row; where that takes too few values for a fair share, of whole rows; else the first are taken.
    """
    columns = [column for column, kind in types.items() if _has_order(kind)][:PROFILED_COLUMNS]
    stride = max(1, n_rows // SAMPLE_ROWS)
    named = [column for column in (*source.unique, source.sequence, source.event_time, source.known_at) if column in types]
    query = f"SELECT {', '.join(map(identifier, columns))} FROM {source_table(name)}"
    with failures_told(f"sources.{name}"):
        for drawn_by in (named or columns[:3], columns) if stride > 1 else ():
            drawn = f"hash({', '.join(map(identifier, dict.fromkeys(drawn_by)))}) % {stride} = 0"
            sample = connection.sql(f"{query} WHERE {drawn} LIMIT {MOST_SAMPLED + 1}").to_arrow_table()
            if SAMPLE_ROWS // 2 <= len(sample) <= MOST_SAMPLED:
                return sample
        return connection.sql(f"{query} LIMIT {2 * SAMPLE_ROWS}").to_arrow_table()


def column_profiles(sample: pa.Table, types: Mapping[str, str], last: Mapping[str, Any]) -> dict[str, Any]:
    """Column → its distribution as counts; in the bins of the last profile where there is one, so that the two compare."""
    return {column: _profile(sample[column], types[column], last.get(column)) for column in sample.column_names}


def population_stability_index(expected: Sequence[int], observed: Sequence[int]) -> float:
    """Σ (q - p) ln(q / p) over bins, p and q the shares of expected and observed counts, each bin with half a count more.

    Half a count keeps an empty bin from being infinitely far. Symmetric; 0 for equal shares.

    >>> population_stability_index([50, 50], [50, 50])
    0.0
    """
    n, m, bins = sum(expected), sum(observed), len(expected)
    total = 0.0
    for a, b in zip(expected, observed, strict=True):
        p, q = (a + 0.5) / (n + bins / 2), (b + 0.5) / (m + bins / 2)
        total += (q - p) * math.log(q / p)
    return total


def stability_limit(n: int, m: int, *, bins: int, alpha: float = 1e-4) -> float:
    """The index that two samples of one distribution exceed with probability alpha, with n and m independent rows.

    Under no change PSI / (1/n + 1/m) is about chi-square with bins - 1 degrees of freedom (Yurdakul & Naranjo 2020, J. Risk Model
    Validation 14(4)); its quantile by Wilson & Hilferty (1931).

    Without a row on one side nothing can be told from chance: infinite.

    >>> round(stability_limit(1000, 1000, bins=11, alpha=0.05), 4)  # chi-square 0.95 quantile of 10: 18.31
    0.0366
    """
    if not (n and m):
        return math.inf
    freedom = max(bins - 1, 1)
    z = NormalDist().inv_cdf(1 - alpha)
    quantile = freedom * (1 - 2 / (9 * freedom) + z * math.sqrt(2 / (9 * freedom))) ** 3
    return quantile * (1 / n + 1 / m)


def _profile(values: pa.ChunkedArray, kind: str, last: Mapping[str, Any] | None) -> dict[str, Any]:
    shape = "number" if is_number(kind) else "category" if kind in ("VARCHAR", "BOOLEAN") else "other"
    reference = last if last is not None and last.get("shape") == shape else None
    nulls = values.null_count
    if shape == "number":
        return _number_profile(values, nulls, reference)
    if shape == "category":
        return _category_profile(values, nulls, reference)
    return {"shape": shape, "counts": [len(values) - nulls, nulls]}


def _number_profile(values: pa.ChunkedArray, nulls: int, reference: Mapping[str, Any] | None) -> dict[str, Any]:
    """Counts between edges, the nulls last. The edges are deciles of the first sample: values of the data, so they are exact."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    there = pc.cast(values.drop_null(), pa.float64(), safe=False).to_numpy()
    there = np.sort(there[np.isfinite(there)])
    if reference is not None:
        edges = np.array(reference["edges"], dtype=np.float64)
    else:
        places = [len(there) * i // BINS for i in range(1, BINS)]
        edges = np.unique(there[places]) if len(there) else np.array([], dtype=np.float64)
    bounds = [0, *np.searchsorted(there, edges, side="right").tolist(), len(there)]
    counts = [b - a for a, b in pairwise(bounds)]
    return {"shape": "number", "edges": edges.tolist(), "counts": [*counts, len(values) - len(there)]}


def _category_profile(values: pa.ChunkedArray, nulls: int, reference: Mapping[str, Any] | None) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    counted = pc.value_counts(pc.cast(values.drop_null(), pa.string()))
    counts = {_hidden(item["values"]): item["counts"] for item in counted.to_pylist()} if len(counted) <= 50 * MOST_CATEGORIES else {}
    if reference is not None and "names" in reference:
        names = list(reference["names"])
    elif 0 < len(counts) <= MOST_CATEGORIES:
        names = sorted(counts, key=lambda name: (-counts[name], name))[:TOP_VALUES]
    else:
        return {"shape": "category", "counts": [len(values) - nulls, nulls]}
    of_names = [counts.get(name, 0) for name in names]
    return {"shape": "category", "names": names, "counts": [*of_names, len(values) - nulls - sum(of_names), nulls]}


def _hidden(value: str) -> str:
    """A value as it may be kept: enough to be recognised, not to be read."""
    return hashlib.sha256(value.encode()).hexdigest()[:12]


def _has_order(kind: str) -> bool:
    return not (kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "JSON", "INTERVAL", "BLOB", "VARIANT")))


def _batches(columns: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(columns), COLUMNS_AT_ONCE):
        yield columns[start : start + COLUMNS_AT_ONCE]
