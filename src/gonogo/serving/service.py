"""What does the HTTP surface ask of what answers, and what may be mounted on it?

The application knows paths, bytes, keys and limits; a Service knows models, features, the log and the ledger. Nothing here does I/O.
Whatever a method raises as GonogoError crosses the door as its record, with the status that `responses.STATUS` gives its class.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

from gonogo.types.errors import GonogoError
from gonogo.types.package import Field
from gonogo.types.record import Digest
from gonogo.types.traffic import AnswerStatus, Arm

Value: TypeAlias = float | int | bool | str | datetime | None

# One row that asks: a value per field of `Served.fields`, in that order; None for null and for absent. A tuple, for it is what decoding
# gives for nothing (a mapping costs as much again), what an itemgetter turns into the inputs, and what the log writes.
Question: TypeAlias = tuple[Value, ...]


class Answer(NamedTuple):
    """What one row is told. A named tuple: a frozen record of seven fields would cost a microsecond to make."""

    values: tuple[Any, ...]  # one per output; empty where the status is FAILED
    status: AnswerStatus
    arm: Arm  # whose answer it is, or whose it would have been
    candidate: Digest  # of that arm; "" where none is loaded
    request: int  # 64 random bits, as in the log: outcomes and shadows are joined by it
    why: str = ""  # of a fallback or a failure, in words


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of events or outcomes that were sent."""

    n_taken: int  # written to the log; one that was there already counts too, for it changes nothing
    refused: tuple[tuple[int, GonogoError], ...] = ()  # row → why not


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Who answers for a contract at this moment, as this worker follows it."""

    phase: str  # a Phase's value; "" without a rollout
    champion: Digest
    challenger: Digest  # "" where there is none
    share: float  # of traffic that the challenger answers
    rollout: Digest = ""
    note: str = ""  # what a person should know: "nothing is released: the baseline answers"


class Served(Protocol):
    """One contract that is answered here. Its attributes are read often: the same object as long as nothing changed."""

    @property
    def name(self) -> str: ...  # noqa: D102  the contract's
    @property
    def question(self) -> str: ...  # noqa: D102  the contract's, in words
    @property
    def fields(self) -> tuple[Field, ...]: ...  # noqa: D102  of a request: those of the champion and the challenger together
    @property
    def outputs(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def events(self) -> Mapping[str, tuple[Field, ...]]: ...  # noqa: D102  source → fields of one event; empty: none are taken
    @property
    def outcomes(self) -> tuple[Field, ...]: ...  # noqa: D102  the row's key, the outcome columns, then known_at

    def position(self) -> Position:
        """Who answers now."""

    def not_ready(self) -> str:
        """Why this worker cannot answer yet, in words; "" if it can: every routed candidate is loaded and proved."""

    def predict(self, question: Question, began_ns: int) -> Answer | Awaitable[Answer]:
        """The answer to one row, logged. Never blocks: what takes long (a slow model, a batch of one turn) is awaited.

        began_ns: when the request was understood to begin (time.monotonic_ns); the deadline counts from it. Raises DataError for a row
        that no model of this contract may answer (a null that it refuses), Unavailable or LogFailed where nothing may be answered.
        """

    def predict_many(
        self, questions: Sequence[Question], began_ns: int
    ) -> Sequence[Answer | GonogoError] | Awaitable[Sequence[Answer | GonogoError]]:
        """An answer, or the error that `predict` would raise, for each row in order. At most some 64 rows come at a time."""

    def take_events(self, source: str, rows: Sequence[Mapping[str, Value]], who: str) -> Taken:
        """Events for the online state, in the order of the request; written to the log before this returns."""

    def take_outcomes(self, rows: Sequence[Mapping[str, Value]], who: str) -> Taken:
        """What came true; written to the log before this returns."""


class Spool(Protocol):
    """A body on its way to disk."""

    def write(self, piece: bytes) -> None:
        """The next piece. Raises TooMuch for more than there is room for."""

    def end(self) -> None:
        """The body is whole."""

    def read(self) -> bytes:
        """The body."""


class Jobs(Protocol):
    """Rows that are scored later. Records are plain JSON with at least `id` and `status` (queued | running | done | failed)."""

    def spool(self, n_bytes: int) -> AbstractContextManager[Spool]:
        """Room for a body of at most so many bytes, until it is submitted or given up. Raises TooMuch where there is none."""

    def submit(self, spool: Any, *, contract: str, n_rows: int, by: str) -> Mapping[str, Any]:
        """The record of a new job, whose body is in a spool of this queue's. Raises TooMuch where the queue is full."""

    def get(self, id: str) -> Mapping[str, Any]:  # noqa: A002
        """The record as it stands. Raises NothingThere."""

    def result(self, id: str) -> Path:  # noqa: A002
        """The file with the answers of a job that is done. Raises NothingThere where there is none (yet)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a mounted path is given: read, decoded, and allowed."""

    method: str
    path: str
    parts: Mapping[str, str]  # what stands for {name} in the path
    query: Mapping[str, str]
    body: Any  # decoded JSON; None where there is none
    who: str  # "key:NAME", "token:SUBJECT", or "local" where no keys exist and the server listens on loopback alone


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """What a mounted path answers."""

    status: int = 200
    body: Any = None  # made into JSON, unless it is bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A path that somebody mounts, with all that routing, authorisation and OpenAPI need to know."""

    method: str  # "GET" | "POST" | "DELETE"
    path: str  # "/v1/releases", "/v1/contracts/{name}/rollout"
    scope: str  # a scope of `keys.SCOPES`, or "" for anybody
    answer: Callable[[Request], Awaitable[Response]]
    summary: str  # one line
    body: Mapping[str, Any] | None = None  # JSON Schema of the request's body; None: it has none
    returns: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)  # status → JSON Schema of the answer
    errors: tuple[int, ...] = ()  # statuses that answer with an error's record, beyond 401, 403, 404, 405, 413, 429, 500 and 503


class Sample(NamedTuple):
    """One line of `/metrics` beyond those of the application."""

    name: str  # "gonogo_log_lag_seconds"
    about: str
    labels: Mapping[str, str]
    value: float
    kind: str = "gauge"  # "gauge" | "counter"


class Service(Protocol):
    """All that one worker serves."""

    @property
    def contracts(self) -> Mapping[str, Served]: ...  # noqa: D102  name → contract; another object when one came or went
    @property
    def jobs(self) -> Jobs | None: ...  # noqa: D102
    @property
    def routes(self) -> tuple[Route, ...]: ...  # noqa: D102  mounted once, when the application starts

    def samples(self) -> Iterable[Sample]:
        """What `/metrics` shows beside the application's own counts, for all workers."""
