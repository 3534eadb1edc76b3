"""What are the request-time features of one row, at the price of one row?

An expression that is a column as it stands needs no engine: its value is the one that was given, held as the batch holds it. Every other
expression is the same text in the same engine as in the batch. It follows from its own columns alone, which planning has checked, so what
the engine once said of the same values is remembered.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from gonogo.data.planning import AWARE, RequestFeature, Value
from gonogo.data.sql import failures_told, identifier
from gonogo.types.errors import ColumnMissing, ScaleRefused
from gonogo.types.time import EPOCH

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOMENT = "moment"  # how a RequestFeature is held that is a point in time: int64 microseconds since 1970

_HELD_SQL = {
    "whole": "CAST(({sql}\n) AS BIGINT)",
    "floating": "CAST(({sql}\n) AS DOUBLE) + 0.0",  # adding 0 turns -0.0 into 0.0 and changes nothing else
    "decimal": "({sql}\n)",
    "text": "CAST(({sql}\n) AS VARCHAR)",
    "flag": "CAST(({sql}\n) AS BOOLEAN)",
    "any": "({sql}\n)",
    MOMENT: "epoch_us(({sql}\n))",
}
_BITS = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}
_NAIVE = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE", "TIME")
_SHIFTED = re.compile(r"""(?P<column>"(?:[^"]|"")+"|\w+)\s*(?P<sign>[+-])\s*interval\s+'?(?P<n>\d{1,9})'?\s+'?(?P<unit>\w+?)s?'?""", re.I)
_UNIT_US = {"second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000, "week": 604_800_000_000}
_MOST_REMEMBERED = 10_000  # answers of the engine, of one group of expressions
_LONGEST_KEY = 500  # characters: longer values are not remembered
_MOST_SHAPES = 1_000  # combinations of Python types that were met
_EXACT = 2**53
_SINGLE = struct.Struct("<f")

Convert = Callable[[Any], Any]


def held_sql(value: Value | RequestFeature) -> str:
    """The expression with its result in the type in which it is held, for the batch and for one row."""
    return _HELD_SQL[value.held].format(sql=value.sql)


class _Unsure(Exception):
    """A value that only the engine may convert."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is to be done for rows whose values have these Python types."""

    pick: Callable[[Sequence[Any]], tuple[Any, ...]]  # the column of each plain feature, in order; anything for the others
    only_floats: bool  # all are floats as they stand, but for a last one that is a moment
    last: Convert | None  # how that moment is held
    last_at: int  # its column
    convert: tuple[tuple[int, Convert], ...]  # feature → how its value is held
    asked: tuple[int, ...]  # groups for the engine


@dataclass(frozen=True, slots=True)
class _Group:
    """Features that read the same columns: what the engine says of them is remembered together."""

    features: tuple[int, ...]
    columns: tuple[int, ...]


class RequestRow:
    """The values of request-time features for one row."""

    def __init__(self, requests: Sequence[RequestFeature], types: Mapping[str, str], connect: Callable[[], DuckDBPyConnection]) -> None:
        """types: column → DuckDB type, as the batch has it. connect: called once the engine is needed, if it ever is."""
        self.requests = tuple(requests)
        self.columns = tuple(dict.fromkeys(column for request in requests for column in request.columns))
        self._types = tuple(types[column] for column in self.columns)
        self._connect = connect
        self._connection: DuckDBPyConnection | None = None
        place = {column: i for i, column in enumerate(self.columns)}
        self._columns = tuple(tuple(place[column] for column in request.columns) for request in self.requests)
        by_columns: dict[tuple[int, ...], list[int]] = {}
        for i, columns in enumerate(self._columns):
            by_columns.setdefault(columns, []).append(i)
        self._groups = tuple(_Group(tuple(features), columns) for columns, features in by_columns.items())
        self._converters = tuple(self._converter(request, columns) for request, columns in zip(self.requests, self._columns, strict=True))
        self._remembered: tuple[dict[str, tuple[Any, ...]], ...] = tuple({} for _ in self._groups)
        self._shapes: dict[tuple[type, ...], _Shape] = {}
        # The types of the row before and its shape, as one: threads may read at the same time. At first of no row there is.
        self._last: tuple[tuple[type, ...], _Shape] = ((_Shape,), _Shape(tuple, False, None, 0, (), ()))
        self._statements: dict[tuple[int, ...], tuple[str, tuple[int, ...]]] = {}

    @property
    def needs_engine(self) -> bool:
        """Whether an expression is more than a column as it stands."""
        return any(converters is None for converters in self._converters)

    def __call__(self, row: Sequence[Any]) -> list[Any]:
        """One value per feature, in order. row: a value for each of `columns`, as Python's own type.

        Raises ScaleRefused for NaN and infinities, ColumnMistyped for what the engine cannot convert.
        """
        types = tuple(map(type, row))
        last = self._last
        if types != last[0]:  # identities are compared faster than hashed
            last = self._last = (types, self._shapes.get(types) or self._new_shape(row))
        shape = last[1]
        if shape.only_floats:
            made = [value + 0.0 for value in shape.pick(row)]  # -0.0 is 0.0, as in the batch
            total = sum(made)
            if total - total != 0.0:
                self._check(made)  # or the sum alone went beyond what a float holds
            if shape.last is not None:
                made.append(shape.last(row[shape.last_at]))
            return made
        made = list(shape.pick(row))
        try:
            for i, convert in shape.convert:
                made[i] = convert(made[i])
        except _Unsure:
            made = self._all_asked(row)
        if shape.asked:
            self._ask(shape.asked, row, made)
        self._check(made)
        return made

    def of(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Feature → value. Raises ColumnMissing where the request lacks a column."""
        for column in self.columns:
            if column not in request:
                raise ColumnMissing(f"the request has no {column}", where="request", expected=", ".join(self.columns))
        row = [request[column] for column in self.columns]
        row = [value.item() if hasattr(value, "item") else value for value in row]  # numbers of numpy
        return dict(zip((each.name for each in self.requests), self(row), strict=True))

    def _check(self, made: list[Any]) -> None:
        for request, value in zip(self.requests, made, strict=True):
            if type(value) is float and value - value != 0.0:
                raise ScaleRefused(f"{request.name} is {value}", where=f"features.{request.name}", expected="a number or null")

    def _new_shape(self, row: Sequence[Any]) -> _Shape:
        types = tuple(map(type, row))
        picked: list[int] = []
        convert: list[tuple[int, Convert]] = []
        asked: dict[int, None] = {}
        for i, (columns, converters) in enumerate(zip(self._columns, self._converters, strict=True)):
            known = converters is not None and (types[columns[0]] is type(None) or types[columns[0]] in converters)
            picked.append(columns[0] if columns else 0)
            if not known:
                asked[next(g for g, group in enumerate(self._groups) if i in group.features)] = None
            elif converters is not None and (how := converters.get(types[columns[0]])) is not None:
                convert.append((i, how))
        ends = bool(self.requests) and self.requests[-1].held == MOMENT and convert and convert[-1][0] == len(picked) - 1
        floats = convert[:-1] if ends else convert
        only_floats = len(picked) > 1 and not asked and len(floats) == len(picked) - bool(ends) and all(how is _double for _, how in floats)
        if only_floats and ends:
            pick = _picker(picked[:-1], len(row))
            shape = _Shape(pick, True, convert[-1][1], picked[-1], tuple(convert), ())
        else:
            shape = _Shape(_picker(picked, len(row)), only_floats, None, 0, tuple(convert), tuple(asked))
        if len(self._shapes) >= _MOST_SHAPES:
            self._shapes.clear()
        self._shapes[types] = shape
        return shape

    def _all_asked(self, row: Sequence[Any]) -> list[Any]:
        made: list[Any] = [None] * len(self.requests)
        self._ask(tuple(range(len(self._groups))), row, made)
        return made

    def _ask(self, groups: tuple[int, ...], row: Sequence[Any], made: list[Any]) -> None:
        """Put the values of these groups into their places."""
        unknown: list[tuple[int, str]] = []
        for g in groups:
            key = repr([row[at] for at in self._groups[g].columns])  # tells 1, 1.0, True and -0.0 apart, which a dict does not
            known = self._remembered[g].get(key)
            if known is None:
                unknown.append((g, key))
            else:
                for i, value in zip(self._groups[g].features, known, strict=True):
                    made[i] = value
        if unknown:
            self._ask_engine(unknown, row, made)

    def _ask_engine(self, unknown: list[tuple[int, str]], row: Sequence[Any], made: list[Any]) -> None:
        sql, columns = self._statement(tuple(g for g, _ in unknown))
        if self._connection is None:
            self._connection = self._connect()
        given = [_given(row[at], self._types[at]) for at in columns]
        with failures_told("request", sql=sql):
            values = list(self._connection.execute(sql, given).fetchall()[0])
        for g, key in unknown:
            features = self._groups[g].features
            said, values = tuple(values[: len(features)]), values[len(features) :]
            for i, value in zip(features, said, strict=True):
                made[i] = value
            remembered = self._remembered[g]
            if len(key) <= _LONGEST_KEY:
                if len(remembered) >= _MOST_REMEMBERED:
                    for old in list(remembered)[: _MOST_REMEMBERED // 2]:  # the half that was asked first
                        del remembered[old]
                remembered[key] = said

    def _statement(self, groups: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        made = self._statements.get(groups)
        if made is None:
            columns = tuple(dict.fromkeys(at for g in groups for at in self._groups[g].columns))
            given = ", ".join(f"CAST(${n + 1} AS {self._types[at]}) AS {identifier(self.columns[at])}" for n, at in enumerate(columns))
            items = (self.requests[i] for g in groups for i in self._groups[g].features)
            said = ", ".join(held_sql(request) for request in items)
            made = self._statements[groups] = (f"SELECT {said} FROM (SELECT {given or '0 AS nothing'})", columns)
        return made

    def _converter(self, request: RequestFeature, columns: tuple[int, ...]) -> Mapping[type, Convert | None] | None:
        """Python type → how a value of it is held, None for as it is; None where only the engine can say."""
        if len(columns) != 1:
            return None
        kind, column = self._types[columns[0]], request.columns[0]
        if request.held == MOMENT:
            shift = _shift_us(request.sql, column) if kind == AWARE else None
            return None if shift is None else {datetime: _moment(shift)}
        return _held(kind, request.held) if _names(request.sql, column) else None


def is_moment_of(sql: str, column: str) -> bool:
    """Whether the expression is that column, or that column moved by a fixed time.

    >>> is_moment_of("sched_dep_at - interval 2 hours", "sched_dep_at"), is_moment_of("least(a, b)", "a")
    (True, False)
    """
    return _shift_us(sql, column) is not None


def _shift_us(sql: str, column: str) -> int | None:
    if _names(sql, column):
        return 0
    found = _SHIFTED.fullmatch(sql.strip())
    if found is None or not _names(found["column"], column) or found["unit"].lower() not in _UNIT_US:
        return None
    shift = int(found["n"]) * _UNIT_US[found["unit"].lower()]
    return shift if found["sign"] == "+" else -shift


def _names(sql: str, column: str) -> bool:
    """Whether the expression is the column, and nothing else."""
    said = sql.strip()
    return said == identifier(column) or (said.isidentifier() and said.lower() == column.lower())


def _held(kind: str, held: str) -> Mapping[type, Convert | None] | None:
    if held == "text" and kind == "VARCHAR":
        return {str: None}
    if held == "whole" and kind in _BITS:
        return {int: _within(_BITS[kind])}
    if held == "whole" and kind == "BOOLEAN":
        return {bool: int}
    if held == "floating" and kind in ("DOUBLE", "FLOAT"):
        return {float: _double, int: _whole_double} if kind == "DOUBLE" else {float: _float32}
    if held == "text" and kind in _BITS:
        within = _within(_BITS[kind])
        return {int: lambda value: str(within(value))}
    if held == "text" and kind == "BOOLEAN":
        return {bool: lambda value: "true" if value else "false"}
    return None


def _double(value: float) -> float:
    return value + 0.0


def _whole_double(value: int) -> float:
    if abs(value) > _EXACT:
        raise _Unsure
    return float(value)


def _float32(value: float) -> float:
    try:
        return float(_SINGLE.unpack(_SINGLE.pack(value))[0]) + 0.0
    except OverflowError:
        raise _Unsure from None


def _within(bits: int) -> Convert:
    limit = 1 << bits

    def convert(value: int) -> int:
        if -limit <= value < limit:
            return value
        raise _Unsure

    return convert


def _moment(shift_us: int) -> Convert:
    def convert(moment: datetime) -> int:
        if moment.tzinfo is None:  # what the engine's column would take as UTC
            moment = moment.replace(tzinfo=UTC)
        passed = moment - EPOCH
        return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds + shift_us

    return convert


def _picker(places: list[int], n_columns: int) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    if not n_columns or not places:
        nothing = (None,) * len(places)
        return lambda row: nothing
    if len(places) == 1:
        only = places[0]
        return lambda row: (row[only],)
    return itemgetter(*places)


def _given(value: Any, kind: str) -> Any:
    """A value as the engine binds it. A column without a zone takes the wall clock as it was written."""
    if isinstance(value, datetime) and value.tzinfo is not None and kind in _NAIVE:
        return value.replace(tzinfo=None)
    return value
