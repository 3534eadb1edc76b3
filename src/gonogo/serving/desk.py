"""How is one contract asked and how does it answer, in this project's own words?

One JSON object, or {"rows": […]}. A batch is answered row by row: a row that is refused is an error in its own place, with status 200 as
long as one row is answered; 422 where every row is refused, 503 where none that was asked could be answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic_ns
from typing import Any, NamedTuple

from gonogo.serving.limits import Rate
from gonogo.serving.metrics import Tally
from gonogo.serving.questions import QuestionDecoder, Row
from gonogo.serving.responses import JSON, Headers, Reply, encode, error_reply, json_reply
from gonogo.serving.service import Answer, Question, Served, Taken, Value
from gonogo.serving.settings import Settings
from gonogo.types.errors import GonogoError, NothingThere, RequestRefused, TooMuch, Unavailable
from gonogo.types.package import Field
from gonogo.types.traffic import AnswerStatus, Arm

ARMS = {arm: arm.name.lower() for arm in Arm}
_TURN = 64  # rows that are scored before others get their turn
_MOST_FACES = 64
_tuple = tuple.__new__  # what a named tuple is made by, without the names
_FAILED = AnswerStatus.FAILED
_ANSWERED = AnswerStatus.ANSWERED


class _Face(NamedTuple):
    """What every answer of one candidate in one arm shares."""

    headers: Headers
    lines: bytes  # of a good answer: all of its headers but for its length and its id, which stand at the end
    begin: bytes  # of a good answer, up to the value of its only output; empty where it has several
    by_model: bytes  # between the outputs and the request's id


class Desk:
    """Where one contract is asked: bytes in, bytes out."""

    def __init__(self, served: Served, settings: Settings, tally: Tally, rate: Rate | None = None) -> None:
        self.served = served
        self.settings = settings
        self.tally = tally
        self.rate = rate
        self._most_rows = settings.max_batch_rows
        self._fields: tuple[Field, ...] = ()
        self._decoder: QuestionDecoder | None = None
        self._others: dict[tuple[Field, ...], QuestionDecoder] = {}
        self._faces: dict[tuple[str, int], _Face] = {}

    @property
    def decoder(self) -> QuestionDecoder:
        """For the fields as they are now: a challenger may bring new ones."""
        fields = self.served.fields
        if fields is not self._fields or self._decoder is None:
            self._decoder, self._fields = QuestionDecoder(fields), fields
        return self._decoder

    def predict(self, body: bytes, who: str, began_ns: int) -> Reply | Awaitable[Reply]:
        """The answer to a body of one or many rows. Raises what is wrong with the whole of it."""
        try:
            asked = self.decoder.decode(body, most_rows=self._most_rows)
        except (RequestRefused, TooMuch):
            self.tally.refuse()
            raise
        if isinstance(asked, list):
            return self._batch(asked, who, began_ns)
        if self.rate is not None:
            self.rate.take(who, 1, began_ns)
        answer = self.served.predict(asked, began_ns)
        if isinstance(answer, Answer):
            return self._one(answer, began_ns)
        return self._later(answer, began_ns)

    async def ask(self, rows: Sequence[Row], who: str, began_ns: int) -> list[Answer]:
        """An answer to every row, for a protocol that has no place for the error of one. Raises the first error there is."""
        good = [row for row in rows if isinstance(row, tuple)]
        if len(good) < len(rows):
            self.tally.refuse(len(rows) - len(good))
            raise next(row for row in rows if not isinstance(row, tuple))
        told = await self._ask(good, who, began_ns)
        for answer in told:
            if not isinstance(answer, Answer):
                raise answer
            if answer.status == _FAILED:
                raise _failed(answer)
        self.tally.took((monotonic_ns() - began_ns) * 1e-9)
        return [answer for answer in told if isinstance(answer, Answer)]

    def headers(self, answers: Sequence[Answer]) -> Headers:
        """Over answers whose protocol has no place for it: how many are the fallback's; of one alone also whose and its id."""
        n_fallbacks = sum(answer.status != _ANSWERED for answer in answers)
        said: Headers = [(b"x-gonogo-fallbacks", b"%d" % n_fallbacks)] if n_fallbacks else []
        if len(answers) == 1:
            said += [*self._face(answers[0]).headers, (b"x-request-id", b"%016x" % answers[0].request)]
        return said

    def events(self, source: str, rows: Sequence[Any], who: str, began_ns: int) -> Reply:
        """Events of a source are taken, each alone."""
        fields = self.served.events.get(source)
        if fields is None:
            raise NothingThere(
                f"no feature reads events of '{source[:60]}'",
                found=source[:60],
                expected=", ".join(self.served.events) or "this contract takes no events",
                where="source",
            )
        decoder = self._other(fields)
        return self._take(decoder, [_tried(decoder, row, i) for i, row in enumerate(rows)], who, began_ns, self._taker(source))

    def outcomes(self, body: bytes, who: str, began_ns: int) -> Reply:
        """What came true is taken: one row or many."""
        decoder = self._other(self.served.outcomes)
        read = decoder.decode(body, most_rows=self.settings.max_batch_rows)
        return self._take(decoder, read if isinstance(read, list) else [read], who, began_ns, self.served.take_outcomes)

    def _taker(self, source: str) -> Callable[[Sequence[Mapping[str, Value]], str], Taken]:
        return lambda rows, who: self.served.take_events(source, rows, who)

    def _take(
        self,
        decoder: QuestionDecoder,
        rows: Sequence[Row],
        who: str,
        began_ns: int,
        take: Callable[[Sequence[Mapping[str, Value]], str], Taken],
    ) -> Reply:
        if self.rate is not None:
            self.rate.take(who, len(rows), began_ns)
        names = [field.name for field in decoder.fields]
        good = [(i, dict(zip(names, row, strict=True))) for i, row in enumerate(rows) if isinstance(row, tuple)]
        wrong: dict[int, GonogoError] = {i: row for i, row in enumerate(rows) if not isinstance(row, tuple)}
        n_taken = 0
        if good:
            taken = take([row for _, row in good], who)
            n_taken = taken.n_taken
            wrong |= {good[at][0]: error for at, error in taken.refused}
        refused = [{"row": i, "error": wrong[i].as_record()} for i in sorted(wrong)]
        if len(rows) == 1 and wrong:
            raise wrong[0]
        return json_reply({"taken": n_taken, "refused": refused}, 422 if len(wrong) == len(rows) else 200)

    def _other(self, fields: tuple[Field, ...]) -> QuestionDecoder:
        if fields not in self._others:
            if len(self._others) > 100:
                self._others.clear()
            self._others[fields] = QuestionDecoder(fields)
        return self._others[fields]

    async def _later(self, answer: Awaitable[Answer], began_ns: int) -> Reply:
        return self._one(await answer, began_ns)

    def _one(self, answer: Answer, began_ns: int) -> Reply:
        values, status, arm, candidate, request, _ = answer
        tally = self.tally
        tally.answer(arm, status)
        tally.took((monotonic_ns() - began_ns) * 1e-9)
        face = self._faces.get((candidate, arm)) or self._face(answer)
        identity = b"%016x" % request
        if status == _FAILED:
            reply = error_reply(_failed(answer))
            return Reply(reply.status, [*reply.headers, *face.headers, (b"x-request-id", identity)], reply.body)
        if status == _ANSWERED and face.begin:
            body = b'%b%b}%b%b"}' % (face.begin, encode(values[0]), face.by_model, identity)
        else:
            body = self._told(answer, face, identity)
        length = b"%d" % len(body)
        headers = [JSON, *face.headers, (b"content-length", length), (b"x-request-id", identity)]
        return _tuple(Reply, (200, headers, body, b"%b%b\r\nx-request-id: %b\r\n" % (face.lines, length, identity)))

    def _told(self, answer: Answer, face: _Face, identity: bytes) -> bytes:
        outputs = encode(_named(self.served.outputs, answer.values))
        if answer.status == _ANSWERED:
            return b'{"answer":%b%b%b"}' % (outputs, face.by_model, identity)
        how = b',"by":"fallback","status":"%b","why":%b' % (answer.status.name.lower().encode(), encode(answer.why))
        return b'{"answer":%b%b%b%b"}' % (outputs, how, face.by_model.removeprefix(_BY_MODEL), identity)

    async def _batch(self, rows: Sequence[Row], who: str, began_ns: int) -> Reply:
        asked = [row for row in rows if isinstance(row, tuple)]
        self.tally.refuse(len(rows) - len(asked))
        told = iter(await self._ask(asked, who, began_ns)) if asked else iter(())
        parts: list[bytes] = []
        n_answered = n_failed = 0
        for row in rows:
            answer = next(told) if isinstance(row, tuple) else row
            if isinstance(answer, Answer) and answer.status != _FAILED:
                n_answered += 1
                parts.append(self._told(answer, self._face(answer), b"%016x" % answer.request))
                continue
            error = _failed(answer) if isinstance(answer, Answer) else answer
            n_failed += isinstance(answer, Answer)
            parts.append(encode({"error": error.as_record()}))
        self.tally.took((monotonic_ns() - began_ns) * 1e-9)
        body = b'{"rows":[%b]}' % b",".join(parts)
        status = 200 if n_answered else 503 if n_failed else 422
        return Reply(status, [JSON, (b"content-length", b"%d" % len(body))], body)

    async def _ask(self, rows: Sequence[Question], who: str, began_ns: int) -> list[Answer | GonogoError]:
        if self.rate is not None:
            self.rate.take(who, len(rows), began_ns)
        told: list[Answer | GonogoError] = []
        for start in range(0, len(rows), _TURN):
            if start:
                await asyncio.sleep(0)  # one caller's thousand rows do not hold up another's one
            some = self.served.predict_many(rows[start : start + _TURN], began_ns)
            told.extend(some if isinstance(some, Sequence) else await some)
        for answer in told:
            if isinstance(answer, Answer):
                self.tally.answer(answer.arm, answer.status)
        return told

    def _face(self, answer: Answer) -> _Face:
        face = self._faces.get((answer.candidate, answer.arm))
        if face is None:
            if len(self._faces) >= _MOST_FACES:
                self._faces.clear()
            face = self._faces[answer.candidate, answer.arm] = _face_of(answer.candidate, ARMS[answer.arm], self.served.outputs)
        return face


_BY_MODEL = b',"by":"model"'


def _face_of(candidate: str, arm: str, outputs: tuple[str, ...]) -> _Face:
    """outputs: of the candidate, as every answer of it names them."""
    headers = [(b"x-gonogo-candidate", candidate.encode("latin-1")), (b"x-gonogo-arm", arm.encode())]
    return _Face(
        headers,
        b"".join(b"%b: %b\r\n" % header for header in [JSON, *headers]) + b"content-length: ",
        b'{"answer":{%b:' % encode(outputs[0]) if len(outputs) == 1 else b"",
        b'%b,"candidate":%b,"arm":"%b","request":"' % (_BY_MODEL, encode(candidate), arm.encode()),
    )


def _named(names: tuple[str, ...], values: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(names, values, strict=False))


def _tried(decoder: QuestionDecoder, row: Any, i: int) -> Row:
    try:
        return decoder.row(row, f"rows[{i}]")
    except RequestRefused as refused:
        return refused


def _failed(answer: Answer) -> Unavailable:
    return Unavailable(
        "nothing could be answered, and the contract names no fallback",
        found=answer.why,
        expected="an answer of the model, or serving.fallback in the contract",
        where=f"request {answer.request:016x}",
    )
