"""Which columns do the features of a contract make, from which sources, keys, windows and expressions?

The plan is a plain record, found out once per contract. The batch, the online state and the proof all work from it, so that one
declaration has one meaning.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gonogo.data.sql import check_expression, column_types, failures_told, identifier, source_table
from gonogo.types.aggregate import Aggregate, parse_aggregate
from gonogo.types.contract import Contract, Feature, Source
from gonogo.types.errors import ColumnMissing, ColumnMistyped, ContractRefused, DataError, GonogoError, Problem, ScaleRefused, TimeRefused
from gonogo.types.snapshot import Input, Kind, Missing
from gonogo.types.time import window_us

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT", "BIGNUM")
SMALL_WHOLE = (*WHOLE[:7], "BOOLEAN")  # fit 64 bits with a sign
FLOATING = ("FLOAT", "DOUBLE")
AWARE = "TIMESTAMP WITH TIME ZONE"
AWARE_NS = "TIMESTAMPTZ_NS"  # what is finer than a microsecond is cut off
SHIFTS = {"before": 0, "at": 1}  # of a boundary: microseconds by which both ends of every window lie later
MOST_DECIMALS = 15  # 10^15 and every smaller power are exact as float64
_KINDS = {"number": Kind.NUMBER, "category": Kind.CATEGORY, "text": Kind.TEXT}


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One SQL expression over an event, and how it is held."""

    sql: str
    held: str  # whole | floating | decimal | text | flag (1, 0 or null) | any (only told apart)
    digits: int = 0  # a number is held as round-half-even(value × 10^digits)
    columns: tuple[str, ...] = ()  # what the expression reads


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One aggregate of one feature."""

    function: str
    slug: str  # its part of the column's name
    value: Value | None = None  # none for count and age


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One window of one feature."""

    name: str  # as the contract writes it: "3h"
    us: int | None  # None: no lower end


@dataclass(frozen=True, kw_only=True, slots=True)
class EventFeature:
    """Aggregates of the events of an entity, over windows."""

    name: str
    where: Value | None
    measures: tuple[Measure, ...]
    spans: tuple[Span, ...]

    def columns(self) -> Iterator[tuple[str, Measure, Span]]:
        """Every column that it makes, in the order of the plan."""
        for measure in self.measures:
            for span in self.spans:
                yield column_name(self.name, measure, span), measure, span


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """The events of one source by one key: read, brought into order and matched once for all features on it."""

    source: str
    by: tuple[str, ...]
    features: tuple[EventFeature, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class EventSource:
    """What is read of a source, once for all its streams."""

    name: str
    event_time: str  # "" where timeless
    known_at: str
    retracted_at: str
    sequence: str
    keys: tuple[str, ...] = ()  # every part of a key of its streams
    columns: Mapping[str, str] = field(default_factory=dict)  # every column that is read → its DuckDB type
    values: tuple[Value, ...] = ()  # every expression over it, conditions included, each once

    @property
    def timeless(self) -> bool:
        """Whether its rows have always been known."""
        return not self.event_time


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestFeature:
    """An expression over the row that is asked about."""

    name: str
    sql: str
    held: str  # whole | floating | text
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Every input column and how it is made."""

    boundary: str
    row_source: str
    row_columns: Mapping[str, str]  # the row source's columns that features read → DuckDB type
    requests: tuple[RequestFeature, ...]
    streams: tuple[Stream, ...]
    sources: tuple[EventSource, ...]
    inputs: tuple[Input, ...]  # one per column, in the order of the contract

    @property
    def request_columns(self) -> Mapping[str, tuple[str, ...]]:
        """Request-time feature → the columns of the row source that it reads."""
        return {request.name: request.columns for request in self.requests}

    def source(self, name: str) -> EventSource:
        """The source of that name; KeyError where no feature reads it."""
        return {source.name: source for source in self.sources}[name]


def column_name(feature: str, measure: Measure, span: Span) -> str:
    """The name of one column: feature, aggregate and window.

    >>> column_name("tail", Measure(function="age", slug="age"), Span(name="2d", us=172_800_000_000))
    'tail__age__2d'
    """
    return f"{feature}__{measure.slug}__{span.name.replace(' ', '')}"


def plan(contract: Contract, connection: DuckDBPyConnection) -> Plan:
    """The plan of a contract whose sources stand in the connection (`read_sources`).

    Refuses, all at once where there is more than one fault: unknown sources and columns, aggregates of a type that has none, float columns
    without declared decimals, keys absent on one side or of two types, and names that collide.
    """
    return _Planner(contract, connection).plan()


def field_type(kind: str) -> str:
    """What a DuckDB type is called in a request.

    >>> [field_type(kind) for kind in ("SMALLINT", "DECIMAL(9,2)", "VARCHAR", "TIMESTAMP WITH TIME ZONE", "BOOLEAN")]
    ['integer', 'number', 'text', 'time', 'boolean']
    """
    if kind in WHOLE:
        return "integer"
    if kind in FLOATING or kind.startswith("DECIMAL"):
        return "number"
    if kind in (AWARE, AWARE_NS):
        return "time"
    return "boolean" if kind == "BOOLEAN" else "text"


class _Planner:
    """Reads the features one by one and gathers what is wrong with them."""

    def __init__(self, contract: Contract, connection: DuckDBPyConnection) -> None:
        self.contract = contract
        self.connection = connection
        self.faults: list[tuple[str, GonogoError]] = []
        self.types: dict[str, dict[str, str]] = {}
        self.row_columns: dict[str, str] = {}
        self.checked: set[str] = set()

    def plan(self) -> Plan:
        requests: list[RequestFeature] = []
        streams: dict[tuple[str, tuple[str, ...]], list[EventFeature]] = {}
        inputs: list[Input] = []
        for name, feature in self.contract.features.items():
            try:
                if feature.sql:
                    requests.append(self.request(name, feature))
                    inputs.append(_request_input(requests[-1], feature))
                else:
                    made = self.events(name, feature)
                    streams.setdefault((feature.source, feature.by), []).append(made)
                    inputs += _event_inputs(made, feature)
            except GonogoError as error:
                self.faults.append((f"features.{name}", error))
        self.check_names(inputs)
        self.refuse()
        made_streams = tuple(Stream(source=source, by=by, features=tuple(made)) for (source, by), made in streams.items())
        return Plan(
            boundary=self.contract.rows.boundary,
            row_source=self.contract.rows.source,
            row_columns=dict(sorted(self.row_columns.items())),
            requests=tuple(requests),
            streams=made_streams,
            sources=tuple(self.source_plan(name, made_streams) for name in dict.fromkeys(s.source for s in made_streams)),
            inputs=tuple(inputs),
        )

    def refuse(self) -> None:
        if len(self.faults) == 1:
            raise self.faults[0][1]
        if self.faults:
            raise ContractRefused(tuple(_problem(where, error) for where, error in self.faults))

    def check_names(self, inputs: list[Input]) -> None:
        seen: dict[str, str] = {}
        for each in inputs:
            if each.name in seen:
                twice = DataError(
                    f"two columns would have the name {each.name}",
                    where=f"features.{each.feature}",
                    found=f"made by {seen[each.name]} and by {each.feature}",
                    expected="a name of its own for each column",
                    next="rename one of the features, or drop the aggregate or window that stands twice",
                )
                self.faults.append((f"features.{each.feature}", twice))
            seen[each.name] = each.feature

    def request(self, name: str, feature: Feature) -> RequestFeature:
        where = f"features.{name}"
        source = self.contract.rows.source
        columns = self.named(feature.sql, self.columns(source), where)
        kind = self.expression_type(feature.sql, source, where)
        held = "text" if feature.kind in ("category", "text") else _held_number(kind) or _held_text(kind)
        if not held or (feature.kind == "number" and not _held_number(kind)):
            raise _unfit(f"{name} is {_a(kind)}", where, kind, "a number, text or boolean", "cast it, e.g. epoch(x) or x::varchar")
        for column in columns:
            self.row_columns[column] = self.columns(source)[column]
        return RequestFeature(name=name, sql=feature.sql, held="floating" if held == "decimal" else held, columns=columns)

    def events(self, name: str, feature: Feature) -> EventFeature:
        where = f"features.{name}"
        self.times(feature.source)
        self.keys(feature, where)
        condition = None
        if feature.where:
            columns = self.named(feature.where, self.columns(feature.source), f"{where}.where")
            kind = self.expression_type(feature.where, feature.source, f"{where}.where")
            if kind != "BOOLEAN":
                raise _unfit("a condition must be true or false", f"{where}.where", kind, "BOOLEAN", "write a comparison")
            self.check_known(feature.source, columns, f"{where}.where")
            condition = Value(sql=feature.where, held="flag", columns=columns)
        measures = tuple(self.measure(text, feature.source, f"{where}.aggregates") for text in feature.aggregates)
        spans = tuple(Span(name=text.strip(), us=_window(text, where)) for text in feature.windows)
        return EventFeature(name=name, where=condition, measures=measures, spans=spans)

    def keys(self, feature: Feature, where: str) -> None:
        events, rows = self.columns(feature.source), self.columns(self.contract.rows.source)
        for key in feature.by:
            for side, table in ((feature.source, events), (self.contract.rows.source, rows)):
                if key not in table:
                    raise _unknown_column(key, table, f"{where}.by", f"source {side}")
            ours, theirs = _key_class(rows[key], f"{where}.by"), _key_class(events[key], f"{where}.by")
            if ours != theirs:
                raise ColumnMistyped(
                    f"the key {key} has two types, and would match nothing",
                    where=f"{where}.by",
                    found=f"{rows[key]} in {self.contract.rows.source}, {events[key]} in {feature.source}",
                    expected="one type on both sides",
                    next="cast it in the sql of one of the two sources",
                )
            self.row_columns[key] = rows[key]

    def times(self, source: str) -> None:
        """Refuses, once per source, times that are absent or are no moments."""
        types, declared = self.columns(source), self.contract.sources[source]
        if source in self.checked:
            return
        self.checked.add(source)
        for column in (declared.event_time, declared.known_at, declared.retracted_at):
            if column and column not in types:
                raise _unknown_column(column, types, f"sources.{source}", f"source {source}")
            if column and types[column] not in (AWARE, AWARE_NS):
                raise TimeRefused(
                    f"{column} of {source} is no aware moment",
                    where=f"sources.{source}",
                    found=types[column],
                    expected=AWARE,
                    next=f"in the source's sql: timezone('Europe/Berlin', {column}) with the zone of its clock",
                )

    def check_known(self, source: str, columns: tuple[str, ...], where: str) -> None:
        """Refuses values that were known later than their event: the event's own known_at would let them leak."""
        for column in columns:
            if column in self.contract.sources[source].known_later:
                moment = self.contract.sources[source].known_later[column]
                raise DataError(
                    f"{column} of {source} is known later than its row, and would leak into the feature",
                    where=where,
                    found=f"known_later: {column} is known at {moment}",
                    expected="columns that are known at the row's known_at",
                    next=f"declare a second source with known_at = {moment!r} and aggregate that one",
                )

    def measure(self, text: str, source: str, where: str) -> Measure:
        try:
            aggregate = parse_aggregate(text)
        except ValueError as error:
            raise DataError(str(error), where=where) from error
        if not aggregate.column:
            return Measure(function=aggregate.function, slug=aggregate.slug)
        types = self.columns(source)
        # A plain column may have any name, one that SQL would read otherwise included.
        sql = identifier(aggregate.column) if aggregate.column in types else aggregate.column
        columns = self.named(sql, types, where)
        kind = self.expression_type(sql, source, where)
        held, digits = _held(aggregate, kind, self.contract.sources[source], where)
        self.check_known(source, columns, where)
        value = Value(sql=sql, held=held, digits=digits, columns=columns)
        return Measure(function=aggregate.function, slug=aggregate.slug, value=value)

    def columns(self, source: str) -> dict[str, str]:
        if source not in self.contract.sources:
            near = difflib.get_close_matches(source, self.contract.sources, 1)
            raise DataError(
                f"there is no source {source}",
                found=source,
                expected=", ".join(sorted(self.contract.sources)),
                next=f"did you mean {near[0]}?" if near else "",
            )
        if source not in self.types:
            self.types[source] = column_types(self.connection, f"SELECT * FROM {source_table(source)}")
        return self.types[source]

    def named(self, sql: str, types: Mapping[str, str], where: str) -> tuple[str, ...]:
        folded = {column.lower(): column for column in types}
        named = check_expression(sql, self.connection, where=where).columns
        for column in named:
            if column.lower() not in folded:
                raise _unknown_column(column, types, where, "the source")
        return tuple(dict.fromkeys(folded[column.lower()] for column in named))

    def expression_type(self, sql: str, source: str, where: str) -> str:
        with failures_told(where, sql=sql):
            return column_types(self.connection, f"SELECT (\n{sql}\n) AS value FROM {source_table(source)}")["value"]

    def source_plan(self, name: str, streams: tuple[Stream, ...]) -> EventSource:
        source, types = self.contract.sources[name], self.columns(name)
        ours = [stream for stream in streams if stream.source == name]
        values: dict[Value, None] = {}
        for feature in (feature for stream in ours for feature in stream.features):
            wanted = [feature.where, *(measure.value for measure in feature.measures)]
            values.update(dict.fromkeys(value for value in wanted if value is not None))
        read = [*(key for stream in ours for key in stream.by), *(column for value in values for column in value.columns)]
        read += [column for column in (source.event_time, source.known_at, source.retracted_at, source.sequence) if column]
        for column in read:
            if column not in types:
                raise _unknown_column(column, types, f"sources.{name}", f"source {name}")
        return EventSource(
            name=name,
            event_time="" if source.timeless else source.event_time,
            known_at="" if source.timeless else source.known_at,
            retracted_at=source.retracted_at,
            sequence=source.sequence,
            keys=tuple(dict.fromkeys(key for stream in ours for key in stream.by)),
            columns={column: types[column] for column in sorted(set(read))},
            values=tuple(values),
        )


def _held(aggregate: Aggregate, kind: str, source: Source, where: str) -> tuple[str, int]:
    """How the argument of an aggregate is held, and with how many digits."""
    function, number = aggregate.function, _held_number(kind)
    if function == "distinct":
        if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "VARIANT")):
            raise _unfit(f"distinct({aggregate.column}) is {_a(kind)}", where, kind, "one plain value", "cast it, e.g. to varchar")
        return ("whole" if kind in SMALL_WHOLE else "floating" if kind in FLOATING else _held_text(kind) or "any"), 0
    if function == "share":
        if kind != "BOOLEAN" and number != "whole":
            raise _unfit(f"share({aggregate.column}) needs true or false", where, kind, "BOOLEAN", f"share({aggregate.column} > 0)")
        return "flag", 0
    if function == "last":
        held = number or _held_text(kind)
        if not held:
            raise _unfit(f"last({aggregate.column}) is {_a(kind)}", where, kind, "a number, text or boolean", "use age, or cast it")
        return held, _scale(kind)
    if not number:
        raise _unfit(
            f"{function}({aggregate.column}) needs numbers", where, kind, "a number or boolean", "cast it, or use distinct or last"
        )
    return number, _digits(aggregate, kind, source, where)


def _digits(aggregate: Aggregate, kind: str, source: Source, where: str) -> int:
    declared = source.decimals.get(aggregate.column)
    if declared is not None and not 0 <= declared <= MOST_DECIMALS:
        raise ScaleRefused(f"decimals of {aggregate.column}", where=where, found=str(declared), expected=f"0 to {MOST_DECIMALS}")
    if kind.startswith("DECIMAL"):
        return _scale(kind)  # the type says it, exactly
    if declared is None and kind in FLOATING:
        raise ScaleRefused(
            f"{aggregate.function}({aggregate.column}) adds up floats, whose sum depends on their order",
            where=where,
            found=kind,
            expected="the digits after the point that count, in the source's decimals",
            next=f"add to the source: decimals = {{ {aggregate.column} = 2 }}"
            if aggregate.column.isidentifier()
            else "give the expression a name in the source's sql, and declare the decimals of that column",
        )
    return declared or 0


def _scale(kind: str) -> int:
    return int(kind.removesuffix(")").split(",")[1]) if kind.startswith("DECIMAL") else 0


def _held_number(kind: str) -> str:
    if kind in WHOLE or kind == "BOOLEAN":
        return "whole"
    if kind in FLOATING:
        return "floating"
    return "decimal" if kind.startswith("DECIMAL") else ""


def _held_text(kind: str) -> str:
    return "text" if kind in ("VARCHAR", "UUID") or kind.startswith("ENUM") else ""


def _key_class(kind: str, where: str) -> str:
    if kind in ("HUGEINT", "UHUGEINT", "BIGNUM") or not (
        kind in WHOLE or _held_text(kind) or kind in ("BOOLEAN", "DATE") or "TIMESTAMP" in kind
    ):
        raise _unfit("a key must have exact equality", where, kind, "whole numbers up to 64 bits, text, boolean, date or time", "cast it")
    if kind == "UBIGINT":
        return kind  # its upper half would have the bits of negative numbers
    return "whole" if kind in WHOLE else _held_text(kind) or kind


def _window(text: str, where: str) -> int | None:
    try:
        return window_us(text)
    except ValueError as error:
        raise DataError(str(error), where=f"{where}.windows") from error


def _request_input(request: RequestFeature, feature: Feature) -> Input:
    kind = _KINDS.get(feature.kind, Kind.CATEGORY if request.held == "text" else Kind.NUMBER)
    return Input(name=request.name, kind=kind, missing=Missing(feature.missing), feature=request.name)


def _event_inputs(made: EventFeature, feature: Feature) -> list[Input]:
    """A declared kind speaks of last(x); every other aggregate is a number by nature."""
    inputs = []
    for name, measure, _ in made.columns():
        is_text = measure.function == "last" and measure.value is not None and measure.value.held == "text"
        kind = Kind.NUMBER
        if is_text:
            kind = Kind.TEXT if feature.kind == "text" else Kind.CATEGORY
        inputs.append(Input(name=name, kind=kind, missing=Missing(feature.missing), feature=made.name))
    return inputs


def _unknown_column(column: str, types: Mapping[str, str], where: str, table: str) -> ColumnMissing:
    near = difflib.get_close_matches(column, types, 1)
    return ColumnMissing(
        f"{table} has no column {column}",
        where=where,
        found=column,
        expected=", ".join(list(types)[:30]),
        next=f"did you mean {near[0]}?" if near else "add it to the source's sql",
    )


def _unfit(message: str, where: str, found: str, expected: str, fix: str) -> ColumnMistyped:
    return ColumnMistyped(message, where=where, found=found, expected=expected, next=fix)


def _a(kind: str) -> str:
    return f"of type {kind}"


def _problem(where: str, error: GonogoError) -> Problem:
    return Problem(
        where=f"contract.toml: {error.where or where}",
        key=where,
        line=0,
        message=error.message,
        found=error.found,
        expected=error.expected,
        next=error.next,
    )
