"""What does a model see of one request: what the request says, and what events say by the moment of the decision?

The same plan as in training, from the package. A plan of plain columns needs neither DuckDB nor Arrow; one with events keeps them in an
OnlineState, whose rows have the bits of the batch. An event source that has been silent for longer than the contract's freshness makes
every row stale that is decided after it: the fallback answers then, for a model fed with old inputs looks well and is wrong.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from gonogo.data.planning import AWARE, AWARE_NS, WHOLE, Plan, RequestFeature
from gonogo.data.request import MOMENT, RequestRow, is_moment_of
from gonogo.data.sql import column_types, identifier
from gonogo.types.errors import TimeRefused, UsageError
from gonogo.types.package import Field, Package
from gonogo.types.time import EPOCH, duration_us

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from gonogo.data.online import OnlineState
    from gonogo.types.contract import Contract

Row = tuple[Sequence[Any], str, "int | None"]  # values in the order of the inputs; what is stale, "" if nothing; decided_at in µs
_TYPES = {"number": "DOUBLE", "integer": "BIGINT", "boolean": "BOOLEAN", "text": "VARCHAR", "time": AWARE}
_TEXTS = ("VARCHAR", "TIMESTAMP", "DATE")
_NATURAL = (*WHOLE, "BOOLEAN", "VARCHAR", AWARE)  # types whose values a request says as events hold them
_EVICT_EVERY = 100_000  # events
_ASKED = 10_000  # the last rows, before the earliest of which …
_SLACK_US = 86_400_000_000  # … by a day nothing is forgotten that a window of it reaches
_KEPT = 100_000  # moments at which a source was heard from


class Features:
    """The inputs of a plan's models, one request at a time. Several threads may use one; they wait for one another."""

    def __init__(
        self,
        plan: Plan,
        *,
        fields: tuple[Field, ...],
        decided_at: str,
        freshness: str = "",
        seeds: Mapping[str, pa.Table] | None = None,
    ) -> None:
        """fields: of the package: what decided_at reads is among them. freshness: the contract's duration, "" for none.

        seeds: source → events as `data.expressions.read_events` shapes them.
        """
        self.plan = plan
        self.inputs = tuple(each.name for each in plan.inputs)
        self._lock = threading.Lock()
        self._connection: DuckDBPyConnection | None = None
        requests = sorted(plan.requests, key=lambda request: self.inputs.index(request.name))
        self._odd_keys = tuple(
            dict.fromkeys(part for stream in plan.streams for part in stream.by if plan.row_columns[part] not in _NATURAL)
        )
        keys = (RequestFeature(name=part, sql=identifier(part), held="any", columns=(part,)) for part in self._odd_keys)
        moment, types = self._decided_at(decided_at, fields)
        self._request = RequestRow((*requests, *keys, moment), types, self._connect)
        self._fresh_us = duration_us(freshness) if freshness and plan.streams else None
        self._heard = {source.name: Heard() for source in plan.sources if not source.timeless}
        self._asked: deque[int] = deque(maxlen=_ASKED)
        self._n_taken = 0
        self._online = self._open_online() if plan.streams else None
        self._places = tuple(self.inputs.index(request.name) for request in requests)
        for source, events in (seeds or {}).items():
            self.seed(source, events)

    def reader(self, names: tuple[str, ...]) -> Callable[[Sequence[Any]], Row]:
        """A function from a question, whose values are of those fields, to the row of inputs.

        It raises DataError for values of which no row can be made. Raises UsageError here for a field that is missing.
        """
        missing = [name for name in self.needs if name not in names]
        if missing:
            raise UsageError(f"the request has no {', '.join(missing)}", where="fields", expected=", ".join(self.needs))
        place = {name: i for i, name in enumerate(names)}
        pick = _picker([place[column] for column in self._request.columns])
        if self._online is None:
            return self._plain_reader(pick)
        return self._online_reader(pick, place, self._online)

    def warm(self) -> None:
        """Open the engine now if it is ever needed, so that the first caller does not wait for it."""
        if self._request.needs_engine:
            self._connect().execute("SELECT 1").fetchall()

    @property
    def needs(self) -> tuple[str, ...]:
        """Every field that is read."""
        return tuple(dict.fromkeys((*self._request.columns, *(part for stream in self.plan.streams for part in stream.by))))

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources whose events are taken."""
        return tuple(source.name for source in self.plan.sources)

    def take(self, source: str, event: Mapping[str, Any]) -> None:
        """Take in one event: the source's columns by name. The same event twice changes nothing.

        Raises DataError for what is no such event, or stands where another one does.
        """
        if self._online is None or source not in self.sources:
            return
        with self._lock:
            known = self._online.apply(source, event)
            if known is not None and source in self._heard:
                self._heard[source].add(*known)
            self._n_taken += 1
            if self._n_taken >= _EVICT_EVERY and self._asked:
                self._n_taken = 0
                # Rows may be asked of days that are long gone, when traffic is replayed: the clock says nothing of what is needed.
                self._online.evict(min(self._asked) - _SLACK_US)

    def seed(self, source: str, events: pa.Table) -> None:
        """Take in many events at once, as `data.expressions.read_events` shapes them; each entity's when it is first asked for."""
        if self._online is None or source not in self.sources:
            return
        with self._lock:
            self._online.seed(source, events)
            if source in self._heard:
                self._heard[source].add_many(events)

    def _plain_reader(self, pick: Callable[[Sequence[Any]], Sequence[Any]]) -> Callable[[Sequence[Any]], Row]:
        request, lock = self._request, self._lock

        def read(question: Sequence[Any]) -> Row:
            made = request(pick(question))
            return made, "", made.pop()

        def read_alone(question: Sequence[Any]) -> Row:
            with lock:
                return read(question)

        return read_alone if request.needs_engine else read

    def _online_reader(
        self, pick: Callable[[Sequence[Any]], Sequence[Any]], place: Mapping[str, int], online: OnlineState
    ) -> Callable[[Sequence[Any]], Row]:
        request, lock, places, asked, empty = self._request, self._lock, self._places, self._asked, [None] * len(self.inputs)
        # A key is compared as the events hold it: a date that the request says as text is one in the engine's words, behind the question.
        behind = {part: len(place) + i for i, part in enumerate(self._odd_keys)}
        n_odd = len(behind)
        keys = [_tuple_picker([behind.get(part, place[part]) for part in stream.by]) for stream in self.plan.streams]

        def read(question: Sequence[Any]) -> Row:
            with lock:
                made = request(pick(question))
                decided = made.pop()
                if decided is None:
                    raise TimeRefused("the row is decided at no moment", where="rows.decided_at", expected="a moment for every request")
                if n_odd:
                    question = (*question, *made[-n_odd:])
                row: list[Any] = empty.copy()
                for at, value in zip(places, made, strict=False):
                    row[at] = value
                online.fill(row, [key(question) for key in keys], decided)
                asked.append(decided)
                return row, self._stale(decided), decided

        return read

    def _stale(self, decided: int) -> str:
        if self._fresh_us is None:
            return ""
        for source, heard in self._heard.items():
            newest = heard.newest(decided)
            if newest is None or decided - newest > self._fresh_us:
                return _silence(source, newest, decided)
        return ""

    def _decided_at(self, sql: str, fields: Iterable[Field]) -> tuple[RequestFeature, dict[str, str]]:
        """The moment of the decision as one more feature of the request, and the types of all columns that are read."""
        said = _words(sql)
        # A field whose name is there by chance, in a text or as a function, is read for nothing: no harm.
        read = tuple(field for field in fields if _words(field.name) <= said)
        moment = RequestFeature(name="decided_at", sql=sql, held=MOMENT, columns=tuple(field.name for field in read))
        types = {**{field.name: _TYPES[field.type] for field in read}, **self.plan.row_columns}
        if len(read) == 1 and is_moment_of(sql, read[0].name):
            return moment, types
        # What a request says as text may be a text, a day or a clock's time to the engine. The batch has seen that the moment is aware,
        # and it is so for one reading alone.
        open_ones = [field.name for field in read if field.type == "text" and field.name not in self.plan.row_columns]
        for kind in _TEXTS if open_ones else ("VARCHAR",):
            tried = {**types, **dict.fromkeys(open_ones, kind)}
            if self._is_aware(sql, {name: tried[name] for name in moment.columns}):
                return moment, tried
        raise TimeRefused(
            "decided_at is no aware moment of a request's fields", where="rows.decided_at", found=sql, expected=", ".join(moment.columns)
        )

    def _is_aware(self, sql: str, types: Mapping[str, str]) -> bool:
        import duckdb

        given = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in types.items())
        try:
            kinds = column_types(self._connect(), f"SELECT (\n{sql}\n) AS moment FROM (SELECT {given or '0 AS nothing'})")
        except duckdb.Error:
            return False
        return kinds["moment"] in (AWARE, AWARE_NS)

    def _connect(self) -> DuckDBPyConnection:
        if self._connection is None:
            from gonogo.data.connection import open_connection

            self._connection = open_connection(threads=1)
        return self._connection

    def _open_online(self) -> OnlineState:
        from gonogo.data.online import OnlineState

        return OnlineState(self.plan, connect=self._connect)


class Heard:
    """When was a source last heard from, as of any moment? The event times of its events by when they were known."""

    def __init__(self) -> None:
        # Only events that are later than all that were known before them: both lists rise.
        self._known: list[int] = []
        self._event: list[int] = []

    def add(self, event_time: int, known_at: int) -> None:
        """An event that happened then and was known then."""
        at = bisect_right(self._known, known_at)
        if at and self._event[at - 1] >= event_time:
            return
        until = at
        while until < len(self._event) and self._event[until] <= event_time:
            until += 1
        if at and self._known[at - 1] == known_at:
            at -= 1
        self._known[at:until] = [known_at]
        self._event[at:until] = [event_time]
        if len(self._known) > _KEPT:
            del self._known[: _KEPT // 2], self._event[: _KEPT // 2]

    def add_many(self, events: pa.Table) -> None:
        """Events as `data.expressions.read_events` shapes them."""
        from gonogo.data.seeds import rising

        for event_time, known_at in rising(events, at_most=_KEPT):
            self.add(event_time, known_at)

    def newest(self, t: int) -> int | None:
        """The event time of the newest event that was known at t; None where none was."""
        at = bisect_right(self._known, t)
        return self._event[at - 1] if at else None


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"\w+", name)}


def _silence(source: str, newest: int | None, decided: int) -> str:
    if newest is None:
        return f"nothing was known of {source} by then"
    ago = timedelta(seconds=(decided - newest) // 1_000_000)
    return f"the newest event of {source} was {ago} old, of {EPOCH + timedelta(microseconds=newest):%Y-%m-%dT%H:%M:%SZ}"


def _picker(places: list[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    if len(places) > 1:
        return itemgetter(*places)
    return _tuple_picker(places)


def _tuple_picker(places: list[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    if len(places) > 1:
        return itemgetter(*places)
    if not places:
        return lambda question: ()
    only = places[0]
    return lambda question: (question[only],)


def features_of(package: Package, plan: Plan, contract: Contract, seeds: Mapping[str, pa.Table]) -> Features:
    """The features of a package, by the contract that it was trained by."""
    return Features(plan, fields=package.fields, decided_at=contract.rows.decided_at, freshness=contract.freshness, seeds=seeds)
