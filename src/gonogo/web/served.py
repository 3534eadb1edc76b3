"""What does a worker tell the HTTP surface of its contract?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from gonogo.data.planning import field_type
from gonogo.serving.answer import Answerer
from gonogo.serving.online_log import OnlineLog
from gonogo.serving.predictionlog import PredictionLog
from gonogo.serving.service import Position, Taken, Value
from gonogo.types.contract import Contract
from gonogo.types.errors import LogFailed
from gonogo.types.package import Field

if TYPE_CHECKING:
    from gonogo.serving.features import Features

KNOWN_AT = "known_at"


class ServedContract:
    """The contract of a folder: `serving.service.Served`."""

    def __init__(
        self,
        contract: Contract,
        answerer: Answerer,
        log: PredictionLog,
        online: OnlineLog,
        *,
        features: Callable[[], tuple[Features, ...]],
    ) -> None:
        """features: those of every model that is held, each once."""
        self.name = contract.name
        self.question = contract.question
        self._contract, self._answerer, self._log, self._online = contract, answerer, log, online
        self._held = features
        self._features: tuple[Features, ...] = ()
        self._events: Mapping[str, tuple[Field, ...]] = {}
        self._outcomes: tuple[Field, ...] = ()
        self.predict = answerer.predict  # no step in between on the way of every request
        self.predict_many = answerer.predict_many

    @property
    def fields(self) -> tuple[Field, ...]:
        """Of a request."""
        return self._answerer.fields

    @property
    def outputs(self) -> tuple[str, ...]:
        """Of an answer."""
        return self._answerer.outputs

    @property
    def events(self) -> Mapping[str, tuple[Field, ...]]:
        """Source → fields of one event."""
        features = self._held()
        if features != self._features:
            self._features, self._events = features, _events(features)
        return self._events

    @property
    def outcomes(self) -> tuple[Field, ...]:
        """The row's key, the outcome columns, then when it was known."""
        if not self._outcomes:
            by_name = {field.name: field for field in self._answerer.fields}
            key = tuple(replace(by_name[name], needed=True) for name in self._contract.rows.key if name in by_name)
            values = tuple(Field(name=name, type="number", needed=True) for name in self._contract.outcome.columns)
            self._outcomes = (*key, *values, Field(name=KNOWN_AT, type="time", needed=False))
        return self._outcomes

    def position(self) -> Position:
        """Who answers now."""
        return self._answerer.position()

    def not_ready(self) -> str:
        """Why this worker cannot answer yet."""
        return self._answerer.not_ready()

    def take_events(self, source: str, rows: Sequence[Mapping[str, Value]], who: str) -> Taken:
        """Events for the online state: written to the log, then known here at once and to the other workers when they read it."""
        return self._online.take(source, rows, who)

    def take_outcomes(self, rows: Sequence[Mapping[str, Value]], who: str) -> Taken:
        """What came true, written to the log; it is joined and judged when it has matured."""
        key, columns = self._contract.rows.key, tuple(self._contract.outcome.columns)
        n_taken, refused = 0, []
        for i, row in enumerate(rows):
            known = row.get(KNOWN_AT)
            known_us = round(known.timestamp() * 1e6) if isinstance(known, datetime) else time.time_ns() // 1000
            written = self._log.append_outcome(
                key=tuple(row[name] for name in key), values={name: row[name] for name in columns}, known_us=known_us, source=who
            )
            if written:
                n_taken += 1
            else:
                refused.append((i, _unwritten(self._log)))
        return Taken(n_taken=n_taken, refused=tuple(refused))


def _events(features: Sequence[Features]) -> dict[str, tuple[Field, ...]]:
    """Every source that any plan reads, with all its columns."""
    found: dict[str, dict[str, Field]] = {}
    for each in features:
        for source in each.plan.sources:
            columns = found.setdefault(source.name, {})
            needed = {source.event_time, source.known_at, *source.keys}
            for column, kind in source.columns.items():
                columns.setdefault(column, Field(name=column, type=field_type(kind), needed=column in needed))
    return {name: tuple(columns.values()) for name, columns in found.items()}


def _unwritten(log: PredictionLog) -> LogFailed:
    return LogFailed(
        "It could not be written to the log, so it was not taken.", found=log.blocked or "no room", next="free some space; send it again"
    )
