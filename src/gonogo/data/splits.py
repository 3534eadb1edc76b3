"""Which rows train, which choose, which judge, so that no table knows anything of the next?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gonogo.data.labels import KEPT
from gonogo.data.sql import column_types, identifier, literal, one_row
from gonogo.data.times import utc_text
from gonogo.types.errors import ColumnMissing, SplitRefused
from gonogo.types.snapshot import Dropped
from gonogo.types.time import duration_us, moment_us

if TYPE_CHECKING:
    import numpy as np
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    from gonogo.types.contract import Contract

TABLES = ("train", "validate", "test")
MOST_CLASSES = 100  # an outcome with more values is no class to balance
BEFORE_VALIDATE, BEFORE_TEST = "embargo before validate", "embargo before test"
KNOWN_IN_VALIDATE, KNOWN_IN_TEST = "label known only after validate began", "label known only after test began"
HASH_SPAN = 1 << 60


def split(contract: Contract, connection: DuckDBPyConnection) -> tuple[Dropped, ...]:
    """Adds `gng_table` to rows: 'train', 'validate', 'test', or null for rows that are out; the rows that it takes out, counted.

    by time: a row of a table is decided before the next table begins, less the embargo, and its outcome was known before then.
    by entity or group: all rows of a value lie in one table, chosen by a hash of the value and the seed.
    stratified: within each class of the first outcome, shares by a hash of the key.
    Raises SplitRefused when a table is empty.
    """
    cases = {"time": _by_time, "entity": _by_value, "group": _by_value, "stratified": _stratified}[contract.split.by](contract, connection)
    connection.execute("ALTER TABLE rows ADD COLUMN IF NOT EXISTS gng_table VARCHAR")
    connection.execute(f"UPDATE rows SET gng_table = CASE WHEN gng_fate = {literal(KEPT)} THEN {cases} END")
    reasons = {BEFORE_VALIDATE, BEFORE_TEST, KNOWN_IN_VALIDATE, KNOWN_IN_TEST}
    counts = dict(
        connection.execute("SELECT gng_table, count(*) FROM rows WHERE gng_table IS NOT NULL GROUP BY ALL ORDER BY ALL").fetchall()
    )
    connection.execute(f"UPDATE rows SET gng_table = NULL WHERE gng_table NOT IN ({', '.join(map(literal, TABLES))})")
    dropped = tuple(Dropped(reason=reason, n_rows=n) for reason, n in counts.items() if reason in reasons)
    _refuse_empty(contract, connection, counts)
    return dropped


def folds(values: Sequence[object], *, k: int, repeats: int, seed: int) -> NDArray[np.int64]:
    """(repeats, n) the fold, 0 … k-1, of each row in each repetition; rows of one value are always in the same fold.

    values: (n,) what is kept together, e.g. the unit of each row; at least k of them must differ.
    Folds differ by at most one value in size. Raises SplitRefused for fewer than k values or k below 2.

    >>> folds(["a", "b", "a", "c"], k=2, repeats=1, seed=0).shape
    (1, 4)
    """
    import numpy as np

    distinct = sorted(set(map(_spelled, values)))
    if k < 2 or repeats < 1 or len(distinct) < k:
        raise SplitRefused(
            f"{k} folds, {repeats} times, of {len(distinct)} values", expected="2 folds or more, once or more, and as many values as folds"
        )
    result = np.empty((repeats, len(values)), dtype=np.int64)
    for repeat in range(repeats):
        order = sorted(distinct, key=lambda value: hashlib.md5(f"{seed}:{repeat}:{value}".encode(), usedforsecurity=False).digest())
        fold_of = {value: place % k for place, value in enumerate(order)}
        result[repeat] = [fold_of[_spelled(value)] for value in values]
    return result


def _spelled(value: object) -> str:
    return f"{type(value).__name__}:{value}"


def _by_time(contract: Contract, connection: DuckDBPyConnection) -> str:
    """SQL: the table of a kept row, or the reason why it lies too close to the next."""
    validate, test = _boundaries(contract)
    embargo = duration_us(contract.split.embargo)
    cases = [
        f"WHEN gng_decided_at >= {test} THEN 'test'",
        f"WHEN gng_decided_at >= {test - embargo} THEN {literal(BEFORE_TEST)}",
        f"WHEN gng_decided_at >= {validate} AND gng_known_at >= {test} THEN {literal(KNOWN_IN_TEST)}",
        f"WHEN gng_decided_at >= {validate} THEN 'validate'",
        f"WHEN gng_decided_at >= {validate - embargo} THEN {literal(BEFORE_VALIDATE)}",
        f"WHEN gng_known_at >= {validate} THEN {literal(KNOWN_IN_VALIDATE)}",
    ]
    return f"CASE {' '.join(cases)} ELSE 'train' END"


def _boundaries(contract: Contract) -> tuple[int, int]:
    split = contract.split
    if not (split.validate_from and split.test_from):
        raise SplitRefused("a split by time needs both boundaries", where="split", expected="validate_from and test_from")
    validate, test = moment_us(split.validate_from), moment_us(split.test_from)
    if not validate < test <= moment_us(contract.as_of):
        raise SplitRefused(
            "the boundaries are out of order",
            where="split",
            found=f"validate_from {split.validate_from}, test_from {split.test_from}, as_of {contract.as_of}",
            expected="validate_from before test_from, test_from not after as_of",
        )
    return validate, test


def _by_value(contract: Contract, connection: DuckDBPyConnection) -> str:
    """SQL: the table that the hash of the row's value falls into; a row without a value is a value of its own by its key."""
    column = contract.split.column
    if column not in column_types(connection, "SELECT * FROM rows"):
        raise ColumnMissing(
            f"the rows have no column {column or 'to split by'}", where="split.column", expected="a column of the row's source"
        )
    keys = ", ".join(f"{identifier(key)}::VARCHAR" for key in contract.rows.key)
    value = f"coalesce('v' || {identifier(column)}::VARCHAR, 'k' || concat_ws(chr(31), {keys}))"
    position = f"(('0x' || md5({literal(f'{contract.seed}:')} || {value})[1:15])::BIGINT)"  # 60 bits: 0 … 2^60 - 1
    to_train, to_validate = _cuts(contract, HASH_SPAN)
    return f"CASE WHEN {position} < {to_train} THEN 'train' WHEN {position} < {to_validate} THEN 'validate' ELSE 'test' END"


def _stratified(contract: Contract, connection: DuckDBPyConnection) -> str:
    """SQL over a helper table of ranks: the first share of each class, in the order of a hash of the key, trains, and so on."""
    name = next(iter(contract.outcome.columns))
    outcome = identifier(f"gng_y_{name}")
    kept = f"FROM rows WHERE gng_fate = {literal(KEPT)}"
    (n_classes,) = one_row(connection, f"SELECT count(DISTINCT {outcome}) {kept}")
    if n_classes > MOST_CLASSES:
        raise SplitRefused(
            f"the outcome {name} has {n_classes:,} values",
            where="split.by",
            expected=f"at most {MOST_CLASSES} classes for a stratified split",
        )
    to_train, to_validate = _cuts(contract, 1_000_000)
    keys = ", ".join(f"{identifier(key)}::VARCHAR" for key in contract.rows.key)
    shuffled = f"md5({literal(f'{contract.seed}:')} || concat_ws(chr(31), {keys})), gng_row"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE gng_ranks AS SELECT gng_row AS ranked, "
        f"row_number() OVER (PARTITION BY {outcome} ORDER BY {shuffled}) - 1 AS place, "
        f"count(*) OVER (PARTITION BY {outcome}) AS n {kept}"
    )
    table = (
        f"CASE WHEN place * 1000000 < n * {to_train} THEN 'train' WHEN place * 1000000 < n * {to_validate} THEN 'validate' ELSE 'test' END"
    )
    return f"(SELECT {table} FROM gng_ranks WHERE ranked = gng_row)"


def _cuts(contract: Contract, span: int) -> tuple[int, int]:
    """Where train and validate end on a scale of 0 … span."""
    shares = contract.split.shares
    if len(shares) != 3 or min(shares, default=0) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise SplitRefused(
            "the shares make no three tables",
            where="split.shares",
            found=", ".join(map(str, shares)) or "none",
            expected="three shares above 0 that sum to 1, for train, validate and test",
        )
    return round(shares[0] * span), round((shares[0] + shares[1]) * span)


def _refuse_empty(contract: Contract, connection: DuckDBPyConnection, counts: dict[str, int]) -> None:
    empty = [table for table in TABLES if not counts.get(table)]
    if not empty:
        return
    n, first, last = one_row(
        connection, f"SELECT count(*), min(gng_decided_at), max(gng_decided_at) FROM rows WHERE gng_fate = {literal(KEPT)}"
    )
    raise SplitRefused(
        f"the split leaves {' and '.join(empty)} empty",
        where="split",
        found=f"{n:,} rows decided from {utc_text(first)} until {utc_text(last)}: "
        + ", ".join(f"{name} {count:,}" for name, count in counts.items()),
        expected="at least one row in each of train, validate and test",
        next="move validate_from and test_from into that stretch"
        if contract.split.by == "time"
        else "change the shares, or bring more values",
    )
