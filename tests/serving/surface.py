"""A service whose answers are known, for tests of the surface and for measuring what the surface alone costs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gonogo.serving.service import Answer, Jobs, Position, Question, Route, Sample, Served, Taken, Value
from gonogo.types.errors import GonogoError, NothingThere, TooMuch
from gonogo.types.package import Field
from gonogo.types.traffic import AnswerStatus, Arm

CHAMPION = "sha256:" + "c" * 64
CHALLENGER = "sha256:" + "d" * 64
FIELDS = (
    Field(name="flight", type="text", needed=True),
    Field(name="distance", type="number", needed=True),
    Field(name="hour", type="integer", needed=False),
    Field(name="is_weekend", type="boolean", needed=False),
    Field(name="decided_at", type="time", needed=True),
)

LANDING = (Field(name="tail", type="text", needed=True), Field(name="delay", type="number", needed=False))
CANARY = Position(phase="canary", champion=CHAMPION, challenger=CHALLENGER, share=0.05)


@dataclass(slots=True)
class FakeContract:
    """Answers the distance over 1,000, and remembers what it was told."""

    name: str = "flights"
    question: str = "Will it be late?"
    fields: tuple[Field, ...] = FIELDS
    outputs: tuple[str, ...] = ("p",)
    events: Mapping[str, tuple[Field, ...]] = field(
        default_factory=lambda: {
            "landings": (Field(name="tail", type="text", needed=True), Field(name="delay", type="number", needed=False))
        }
    )
    outcomes: tuple[Field, ...] = (
        Field(name="flight", type="text", needed=True),
        Field(name="y", type="number", needed=True),
        Field(name="known_at", type="time", needed=True),
    )
    at: Position = CANARY
    why_not_ready: str = ""
    status: AnswerStatus = AnswerStatus.ANSWERED
    n_answered: int = 0
    taken: list[Any] = field(default_factory=list)

    def position(self) -> Position:
        """Who answers."""
        return self.at

    def not_ready(self) -> str:
        """Why not."""
        return self.why_not_ready

    def predict(self, question: Question, began_ns: int) -> Answer:
        """The distance, in thousands."""
        self.n_answered += 1
        if self.status is AnswerStatus.FAILED:
            return Answer((), self.status, Arm.CHAMPION, CHAMPION, self.n_answered, "it was told to fail")
        why = "" if self.status is AnswerStatus.ANSWERED else "it was told to"
        return Answer((question[1] / 1000,), self.status, Arm.CHAMPION, CHAMPION, self.n_answered, why)  # type: ignore[operator]

    def predict_many(self, questions: Sequence[Question], began_ns: int) -> list[Answer | GonogoError]:
        """One by one."""
        return [self.predict(question, began_ns) for question in questions]

    def take_events(self, source: str, rows: Sequence[Mapping[str, Value]], who: str) -> Taken:
        """Remembered."""
        self.taken += [(source, row, who) for row in rows]
        return Taken(n_taken=len(rows))

    def take_outcomes(self, rows: Sequence[Mapping[str, Value]], who: str) -> Taken:
        """Remembered."""
        self.taken += [("", row, who) for row in rows]
        return Taken(n_taken=len(rows))


@dataclass(slots=True)
class FakeSpool:
    """A body in memory."""

    held: bytes = b""

    def write(self, piece: bytes) -> None:
        """The next piece."""
        self.held += piece

    def end(self) -> None:
        """Nothing is to be done."""

    def read(self) -> bytes:
        """The body."""
        return self.held


@dataclass(slots=True)
class FakeJobs:
    """Jobs that are done at once; at most three of them."""

    folder: Path
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def spool(self, n_bytes: int) -> Iterator[FakeSpool]:
        """Room for anybody."""
        if len(self.records) >= 3:
            raise TooMuch("the queue is full", found="3", expected="at most 3", where="jobs")
        yield FakeSpool()

    def submit(self, spool: FakeSpool, *, contract: str, n_rows: int, by: str) -> Mapping[str, Any]:
        """Done."""
        identity = f"job-{len(self.records)}"
        (self.folder / f"{identity}.json").write_text(json.dumps(json.loads(spool.read())["rows"]))
        self.records[identity] = {"id": identity, "status": "done", "by": by}
        return self.records[identity]

    def get(self, id: str) -> Mapping[str, Any]:  # noqa: A002
        """The record."""
        if id not in self.records:
            raise NothingThere("there is no such job", found=id, where="path")
        return self.records[id]

    def result(self, id: str) -> Path:  # noqa: A002
        """The rows as they came."""
        return self.folder / f"{id}.json"


class FakeService:
    """One contract, and what else a test wants."""

    def __init__(
        self, *contracts: Served, jobs: Jobs | None = None, routes: tuple[Route, ...] = (), samples: Iterable[Sample] = ()
    ) -> None:
        self.contracts: Mapping[str, Served] = {each.name: each for each in contracts or (FakeContract(),)}
        self.jobs = jobs
        self.routes = routes
        self._samples = tuple(samples)

    def samples(self) -> Iterable[Sample]:
        """As given."""
        return self._samples
