"""What is one request told, by whom, and what is written down of it?

The order never changes: who answers (the route), what the model sees (features), the model or the fallback, the log, and only then the
caller; the other arm's model is shown the request afterwards. Whatever a model does, somebody is answered by the deadline: a fallback
stands in where inputs are stale, where a model or a feature raises, and where the deadline passes, and the answer says so.

A model whose own scorer is quick is asked at once, for handing a row to a thread costs more than the row. A slow or foreign one is asked
apart, and left behind when it hangs.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from random import getrandbits
from typing import TYPE_CHECKING, Any, Protocol

from gonogo.serving.apart import Apart, Late, scored
from gonogo.serving.fallback import Fallback
from gonogo.serving.predictionlog import PredictionLog, Shape, encoded
from gonogo.serving.route import Route
from gonogo.serving.router import NOBODY, Router, Slicer
from gonogo.serving.rowkey import row_key
from gonogo.serving.service import Answer, Position, Question
from gonogo.serving.shadow import Offer, Shadow, told, unfit
from gonogo.types.errors import DataError, GonogoError, LogFailed, Unavailable
from gonogo.types.package import Field, Package
from gonogo.types.record import Digest
from gonogo.types.snapshot import Kind
from gonogo.types.traffic import AnswerStatus, Arm, FrameKind

if TYPE_CHECKING:
    from gonogo.serving.features import Features, Row
    from gonogo.types.contract import Contract

QUICK_US = 2_000.0  # a model whose row takes longer is asked apart
MOST_TOGETHER = 256  # rows of one turn of the event loop that are scored at once

_ANSWERED, _STALE, _ERRED, _LATE, _FAILED = AnswerStatus
_PREDICTION = int(FrameKind.PREDICTION)
_NAN = float("nan")
_tuple = tuple.__new__  # what a named tuple is made by, without the names
_MOST_US = 0xFFFFFFFF  # that a frame's latency holds
_TYPES = {Kind.NUMBER: "number", Kind.CATEGORY: "text", Kind.TEXT: "text"}


class Model(Protocol):
    """A model that was proved: `scorers.Loaded`."""

    @property
    def digest(self) -> Digest: ...  # noqa: D102  of the package
    @property
    def package(self) -> Package: ...  # noqa: D102
    @property
    def candidate(self) -> Digest: ...  # noqa: D102
    @property
    def outputs(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def is_foreign(self) -> bool: ...  # noqa: D102
    @property
    def batches_one_turn(self) -> bool: ...  # noqa: D102
    @property
    def cost(self) -> Any: ...  # noqa: D102  `one_us`: what a row alone takes
    @property
    def score(self) -> Callable[[Sequence[Any]], tuple[Any, ...]]: ...  # noqa: D102
    @property
    def score_rows(self) -> Callable[[Sequence[Sequence[Any]]], list[tuple[Any, ...]]]: ...  # noqa: D102


class Armed:
    """A model, with all that is needed to answer with it for one list of fields."""

    def __init__(self, model: Model, features: Features, fields: tuple[Field, ...], contract: Contract, apart: Apart | None) -> None:
        names = tuple(field.name for field in fields)
        self.model, self.features, self.apart = model, features, apart
        self.candidate = model.candidate
        self.score, self.score_rows = model.score, model.score_rows
        self.together = model.batches_one_turn
        self.read: Callable[[Sequence[Any]], Row] = features.reader(names)
        self.lock: threading.Lock = threading.Lock() if model.is_foreign else _Open()  # type: ignore[assignment]
        self.logs_inputs = bool(features.plan.streams) or features.inputs != tuple(name for name in names if name in features.inputs)
        self.fallback = Fallback(contract.serving.fallback, outputs=model.outputs, inputs=features.inputs, fields=names)
        self.described = Shape(
            candidate=model.candidate,
            key={field.name: field.type for field in fields if field.name in model.package.key},
            question={field.name: field.type for field in fields},
            inputs={each.name: _TYPES[each.kind] for each in features.plan.inputs} if self.logs_inputs else {},
            outputs=dict.fromkeys(model.outputs, ""),
        )
        self.shape = ""
        self.deadline_ns = int(contract.serving.deadline_ms * 1e6)


class _Open:
    """A lock that is always open: own scorers are pure."""

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *raised: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class _Following:
    """A route, ready to be followed by this worker."""

    route: Route
    arms: tuple[Armed, Armed]  # by Arm; without a loaded challenger the champion twice
    router: Router
    slicer: Slicer | None
    slices_inputs: bool  # a slice is of an input that is no field
    bucket_of: Callable[[Question], Any]
    shadows: bool
    lacks: str  # what is routed and not loaded here; "" if nothing is


class _Asked:
    """One request on its way."""

    __slots__ = (
        "armed", "assigned", "began_ns", "bits", "decided_us", "following", "key", "key_hash", "question", "request", "row", "scored_ns",
        "stale",
    )  # fmt: skip

    def __init__(
        self,
        following: _Following,
        armed: Armed,
        assigned: tuple[Arm, int, int, float],  # arm, unit, bucket, propensity
        question: Question,
        key: tuple[Any, ...],
        began_ns: int,
    ) -> None:
        self.following = following
        self.armed = armed
        self.assigned = assigned
        self.question = question
        self.key = key
        self.request = getrandbits(64)
        self.began_ns = began_ns
        self.scored_ns = 0  # when the model was asked
        self.row: Sequence[Any] | None = None
        self.stale = ""
        self.decided_us: int | None = None
        self.bits = self.key_hash = 0  # of the slices, and of the row's key: known once it is written down

    def as_offer(self) -> Offer:
        """What the other arm is shown, once this is answered. Made by the shadow's thread."""
        following, armed = self.following, self.armed
        arm, unit, bucket, propensity = self.assigned
        other = following.arms[1 - arm]
        same = other.features is armed.features
        return Offer(
            model=other,
            question=self.question,
            row=self.row if same else None,
            stale=self.stale if same else "",
            decided_us=self.decided_us,
            before_ns=self.scored_ns - self.began_ns,
            deadline_ns=armed.deadline_ns,
            request=self.request,
            key=self.key,
            key_hash=self.key_hash,
            unit=unit,
            bucket=bucket,
            slices=self.bits,
            epoch=following.route.epoch,
            arm=_OTHER[arm],
            propensity=propensity,
        )


class Answerer:
    """Answers for one contract in one worker. Its methods are called by the thread of the event loop, `hold` and `drop` by any."""

    def __init__(
        self,
        contract: Contract,
        *,
        route: Callable[[int], Route | None],
        log: PredictionLog,
        shadow: Shadow,
        catch_up: Callable[[int], None] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """route: `RouteReader.current`. catch_up: brings the features up to events that other workers took (`online_log.OnlineLog`)."""
        self.contract = contract
        self.name = contract.name
        self.shadow = shadow
        self.n_answered = 0
        self.n_unlogged = 0
        self.in_flight = 0
        self._route = route
        self._log = log
        self._append = log.log.append
        self._offer = shadow.offer
        self._catch_up = catch_up
        self._clock = clock
        self._deadline_ns = int(contract.serving.deadline_ms * 1e6)
        self._refuses_unlogged = contract.serving.log_full == "refuse"
        self._lock = threading.Lock()
        self._models: dict[Digest, tuple[Model, Features]] = {}
        self._aparts: dict[Digest, Apart] = {}
        self._armed: dict[Digest, Armed] = {}
        self._fields: tuple[Field, ...] = ()
        self._key: Callable[[Question], tuple[Any, ...]] = _picker([])
        self._n_held = 0  # changes of what is held
        self._n_followed = -1
        self._followed: _Following | None = None
        self._turn: list[tuple[_Asked, asyncio.Future[Answer]]] = []

    # What is held

    def hold(self, model: Model, features: Features) -> None:
        """A model that was proved may answer from now on. Writes to disk what its rows look like.

        Raises UsageError for a fallback that its inputs do not have, DataError for fields that do not fit.
        """
        with self._lock:
            models = {**self._models, model.digest: (model, features)}
            self._arm(models)

    def drop(self, package: Digest) -> None:
        """A model that no route names any more is let go."""
        with self._lock:
            models = {digest: held for digest, held in self._models.items() if digest != package}
            if apart := self._aparts.pop(package, None):
                apart.close()
            self._arm(models)

    @property
    def held(self) -> tuple[Digest, ...]:
        """The packages that are held."""
        return tuple(self._models)

    def _arm(self, models: dict[Digest, tuple[Model, Features]]) -> None:
        fields = _union(self._fields, [model.package for model, _ in models.values()])
        armed = {}
        for digest, (model, features) in models.items():
            apart = self._aparts.get(digest)
            if apart is None and (model.is_foreign or model.cost.one_us > QUICK_US):
                apart = Apart(model.candidate[:15], model.score_rows, stuck_ns=max(1_000_000_000, 2 * self._deadline_ns))
            made = Armed(model, features, fields, self.contract, apart)
            made.shape = self._log.declare(made.described)
            armed[digest] = made
            if apart is not None:
                self._aparts[digest] = apart
        names = [field.name for field in fields]
        key = next(iter(models.values()))[0].package.key if models else ()
        # One assignment each, the count last: the thread that answers sees it and then looks at the others.
        self._models, self._armed, self._fields = models, armed, fields
        self._key = _picker([names.index(column) for column in key])
        self._n_held += 1

    # What is followed

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of a request: those of every model that is held, the oldest first. They never change their places."""
        return self._fields

    @property
    def outputs(self) -> tuple[str, ...]:
        """The prediction columns."""
        return self._current().arms[0].model.outputs

    def position(self) -> Position:
        """Who answers now."""
        route = self._current().route
        return Position(
            phase=route.phase.value if route.challenger else "",
            champion=route.champion,
            challenger=route.challenger,
            share=route.share,
            rollout=route.plan,
        )

    def not_ready(self) -> str:
        """Why this worker cannot answer yet, in words; "" if every routed candidate is loaded here."""
        try:
            return self._current().lacks
        except Unavailable as error:
            return error.message

    def _current(self) -> _Following:
        route = self._route(self._clock())
        followed = self._followed
        if followed is not None and route is followed.route and self._n_followed == self._n_held:
            return followed
        return self._follow(route)

    def _follow(self, route: Route | None) -> _Following:
        n_held, armed, fields = self._n_held, self._armed, self._fields
        if route is None or route.champion_package not in armed:
            return self._cannot_follow(route)
        champion = armed[route.champion_package]
        challenger = armed.get(route.challenger_package) if route.challenger else None
        tried = challenger is not None and challenger.model.outputs == champion.model.outputs
        names = tuple(field.name for field in fields)
        slicer = Slicer(route.slices, names=names) if route.slices else None
        slices_inputs = slicer is not None and bool(slicer.missing)
        if slices_inputs:
            slicer = Slicer(route.slices, names=names + champion.features.inputs)
        self._followed = followed = _Following(
            route=route,
            arms=(champion, challenger if challenger is not None and tried else champion),
            router=Router(salt=route.salt, share=route.share if tried else 0.0),
            slicer=slicer,
            slices_inputs=slices_inputs,
            bucket_of=_bucket_of(route.bucket_by or self.contract.rollout.bucket_by, names, self._key),
            shadows=tried and route.shadows,
            lacks=", ".join(package[:19] for package in route.packages if package not in armed),
        )
        if followed.lacks:
            self._followed = replace(followed, lacks=f"not loaded yet: {followed.lacks}")
        self._n_followed = n_held
        return self._followed

    def _cannot_follow(self, route: Route | None) -> _Following:
        """The last champion goes on where there was one: a route that nobody can follow changes nothing."""
        last = self._followed
        if last is None:
            raise Unavailable(
                "no model is loaded here yet",
                found="no route" if route is None else f"the route names {route.champion_package[:19]}",
                expected="a champion that is loaded and proved",
                where=f"contract {self.name}",
                next="ask again in a second; GET /readyz says when",
            )
        if last.route is route:
            return last
        champion = last.arms[0]
        kept = last.route if route is None else replace(last.route, share=0.0, challenger="", challenger_package="")
        lacks = "no route" if route is None else f"not loaded yet: {route.champion_package[:19]}"
        return replace(last, route=kept, arms=(champion, champion), router=_CHAMPIONS, shadows=False, lacks=lacks)

    # Answers

    def predict(self, question: Question, began_ns: int) -> Answer | Awaitable[Answer]:
        """The answer to one row, logged. See `service.Served`."""
        now = self._clock()
        if self._catch_up is not None:
            self._catch_up(now)
        route = self._route(now)
        following = self._followed
        if following is None or route is not following.route or self._n_followed != self._n_held:
            following = self._follow(route)
        asked = self._asked(following, question, began_ns)
        armed = asked.armed
        try:
            asked.row, asked.stale, asked.decided_us = armed.read(asked.question)
        except Exception as error:
            return self._instead(asked, _ERRED, told(error), error)
        if asked.stale:
            return self._instead(asked, _STALE, asked.stale)
        asked.scored_ns = self._clock()
        if armed.apart is not None:
            return self._ask_apart(asked)
        if armed.together and (future := self._join_turn(asked)) is not None:
            return future
        try:
            values = armed.score(asked.row)
        except Exception as error:
            return self._instead(asked, _ERRED, told(error), error)
        return self._answered(asked, values)

    def predict_many(
        self, questions: Sequence[Question], began_ns: int
    ) -> Sequence[Answer | GonogoError] | Awaitable[Sequence[Answer | GonogoError]]:
        """An answer, or the error that `predict` would raise, for each row in order."""
        now = self._clock()
        if self._catch_up is not None:
            self._catch_up(now)
        following = self._current()
        told_of: list[Any] = [None] * len(questions)
        ready: dict[int, list[tuple[int, _Asked]]] = {Arm.CHAMPION: [], Arm.CHALLENGER: []}
        for i, question in enumerate(questions):
            try:
                told_of[i] = self._read(self._asked(following, question, began_ns), i, ready)
            except GonogoError as error:
                told_of[i] = error
        for asked_of in ready.values():
            if not asked_of:
                continue
            if asked_of[0][1].armed.apart is not None:
                for i, asked in asked_of:
                    told_of[i] = self._ask_apart(asked)
            else:
                for (i, _), answer in zip(asked_of, self._score_together([asked for _, asked in asked_of]), strict=True):
                    told_of[i] = answer
        if any(isinstance(one, asyncio.Future) for one in told_of):
            return _all_of(told_of)
        return told_of

    def _asked(self, following: _Following, question: Question, began_ns: int) -> _Asked:
        if self._refuses_unlogged and not self._log.has_room:
            raise _cannot_log(self._log.blocked)
        if len(question) < len(self._fields):  # decoded before a model brought new fields
            question = (*question, *(None for _ in self._fields[len(question) :]))
        assigned = following.router.assign(following.bucket_of(question))
        return _Asked(following, following.arms[assigned[0]], assigned, question, self._key(question), began_ns)

    def _read(self, asked: _Asked, i: int, ready: dict[int, list[tuple[int, _Asked]]]) -> Answer | None:
        """The fallback where the row cannot be read or is stale; else nothing, and the row is ready to be scored."""
        try:
            asked.row, asked.stale, asked.decided_us = asked.armed.read(asked.question)
        except Exception as error:
            return self._instead(asked, _ERRED, told(error), error)
        if asked.stale:
            return self._instead(asked, _STALE, asked.stale)
        asked.scored_ns = self._clock()
        ready[asked.assigned[0]].append((i, asked))
        return None

    def _score_together(self, asked: Sequence[_Asked]) -> list[Answer | GonogoError]:
        """Rows of one arm, at once."""
        told_of: list[Answer | GonogoError] = []
        for one, outcome in zip(asked, scored(asked[0].armed.score_rows, [one.row or () for one in asked]), strict=True):
            try:
                told_of.append(self._outcome(one, outcome))
            except GonogoError as error:
                told_of.append(error)
        return told_of

    def _outcome(self, asked: _Asked, outcome: tuple[Any, ...] | Exception) -> Answer:
        if isinstance(outcome, Late):
            return self._instead(asked, _LATE, str(outcome))
        if isinstance(outcome, Exception):
            return self._instead(asked, _ERRED, told(outcome), outcome)
        return self._answered(asked, outcome)

    def _join_turn(self, asked: _Asked) -> asyncio.Future[Answer] | None:
        """What arrives within one turn of the event loop is scored at once; nobody waits for a clock. None outside of a loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        if not self._turn:
            loop.call_soon(self._end_turn)
        future: asyncio.Future[Answer] = loop.create_future()
        self._turn.append((asked, future))
        self.in_flight += 1
        if len(self._turn) >= MOST_TOGETHER:
            self._end_turn()
        return future

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, []
        for armed in dict.fromkeys(asked.armed for asked, _ in turn):
            ours = [(asked, future) for asked, future in turn if asked.armed is armed]
            for (_, future), answer in zip(ours, self._score_together([asked for asked, _ in ours]), strict=True):
                self.in_flight -= 1
                _settle(future, answer)

    def _ask_apart(self, asked: _Asked) -> asyncio.Future[Answer]:
        """Logged and answered whether the caller still waits or not: a canary that hangs must not go unseen."""
        apart = asked.armed.apart
        assert apart is not None
        asking = apart.ask(asked.row or (), asked.began_ns + self._deadline_ns)
        answer: asyncio.Future[Answer] = asking.get_loop().create_future()
        self.in_flight += 1

        def finish(done: asyncio.Future[tuple[Any, ...]]) -> None:
            self.in_flight -= 1
            error = done.exception()
            outcome = done.result() if error is None else error if isinstance(error, Exception) else RuntimeError(str(error))
            try:
                _settle(answer, self._outcome(asked, outcome))
            except GonogoError as refused:
                _settle(answer, refused)

        asking.add_done_callback(finish)
        return answer

    def _answered(self, asked: _Asked, values: tuple[Any, ...]) -> Answer:
        """What the model said, unless it is no answer or comes too late."""
        first = values[0] if len(values) == 1 else None
        if (type(first) is not float or first - first != 0.0) and (fault := unfit(values)):
            return self._instead(asked, _ERRED, fault)
        took_ns = self._clock() - asked.began_ns
        if took_ns > self._deadline_ns and (instead := asked.armed.fallback.of(asked.row, asked.question)) is not None:
            return self._end(asked, instead, _LATE, "the deadline passed", took_ns)
        # Without a fallback a late answer is better than none; its latency is judged like any other.
        return self._end(asked, values, _ANSWERED, "", took_ns)

    def _instead(self, asked: _Asked, status: AnswerStatus, why: str, error: Exception | None = None) -> Answer:
        """The fallback. Where there is none: DataError as it was raised, for the caller can mend it; else an answer that FAILED."""
        values = asked.armed.fallback.of(asked.row, asked.question)
        took_ns = self._clock() - asked.began_ns
        if values is not None:
            return self._end(asked, values, status, why, took_ns)
        answer = self._end(asked, (), _FAILED, why, took_ns)
        if isinstance(error, DataError):
            raise error
        return answer

    def _end(self, asked: _Asked, values: tuple[Any, ...], status: AnswerStatus, why: str, took_ns: int) -> Answer:
        """Write it down, show it to the other arm, and tell the caller."""
        following, armed, key = asked.following, asked.armed, asked.key
        slicer, bits = following.slicer, 0
        if slicer is not None:
            bits = slicer.of(asked.question if not following.slices_inputs else self._with_inputs(asked))
        key_hash = row_key(key)
        request = asked.request
        arm, unit, bucket, propensity = asked.assigned
        score = values[0] if values else _NAN
        # What `append_prediction` does, with nothing by name: a microsecond of every request.
        written = self._append(
            _PREDICTION,
            encoded(
                (
                    "",
                    armed.shape,
                    key,
                    asked.decided_us,
                    asked.question,
                    tuple(asked.row) if armed.logs_inputs and asked.row is not None else (),
                    values,
                    why,
                )
            ),
            asked.began_ns + took_ns,
            0,
            request,
            key_hash,
            unit,
            bucket,
            bits,
            following.route.epoch,
            arm,
            status,
            propensity,
            min(took_ns // 1000, _MOST_US),
            score if type(score) is float else _number(score),
        )
        if not written:
            self.n_unlogged += 1
            if self._refuses_unlogged:
                raise _cannot_log(self._log.blocked)
        if following.shadows and unit != NOBODY:
            asked.bits, asked.key_hash = bits, key_hash
            if not asked.scored_ns:  # the model was never asked
                asked.scored_ns = asked.began_ns + took_ns
            self._offer(asked)
        self.n_answered += 1
        return _tuple(Answer, (values, status, arm, armed.candidate, request, why))

    def _with_inputs(self, asked: _Asked) -> tuple[Any, ...]:
        """Fields, then the champion's inputs; where they are not known, nulls."""
        inputs = asked.following.arms[0].features.inputs
        if asked.row is None or asked.armed.features is not asked.following.arms[0].features:
            own = dict(zip(asked.armed.features.inputs, asked.row or (), strict=False))
            return (*asked.question, *(own.get(name) for name in inputs))
        return (*asked.question, *asked.row)


def _number(value: Any) -> float:
    """The first output where it is a number that a float holds, else NaN."""
    try:
        return float(value) if isinstance(value, int | float) else _NAN
    except OverflowError:
        return _NAN


_OTHER = (Arm.CHALLENGER, Arm.CHAMPION)
_CHAMPIONS = Router(salt="", share=0.0)  # everybody is the champion's


def _union(known: tuple[Field, ...], packages: Sequence[Package]) -> tuple[Field, ...]:
    """Every field, those that are known already in their places. One is needed if every model that is held has it and needs it."""
    types = {field.name: field.type for field in known}
    for package in packages:
        for field in package.fields:
            types.setdefault(field.name, field.type)
    needing = [{field.name for field in package.fields if field.needed} for package in packages]
    made = tuple(
        Field(name=name, type=kind, needed=bool(needing) and all(name in needed for needed in needing)) for name, kind in types.items()
    )
    return known if made == known else made  # the same object as long as nothing changed


def _bucket_of(column: str, names: tuple[str, ...], key: Callable[[Question], tuple[Any, ...]]) -> Callable[[Question], Any]:
    """The value by which traffic is assigned; without a column of the request the row's key."""
    if column in names:
        return itemgetter(names.index(column))

    def of_key(question: Question) -> Any:
        values = key(question)
        if len(values) == 1:
            return values[0]
        return None if not values or None in values else f"{row_key(values):016x}"

    return of_key


def _picker(places: list[int]) -> Callable[[Question], tuple[Any, ...]]:
    if len(places) > 1:
        return itemgetter(*places)
    if not places:
        return lambda question: ()
    only = places[0]
    return lambda question: (question[only],)


def _cannot_log(why: str) -> LogFailed:
    return LogFailed(
        "The prediction cannot be logged, and the contract answers nothing that is not.",
        found=why or "the log has no room",
        expected="a log that can be written (serving.log_full = refuse)",
        where="serving.log_full",
        next="free some space on the disk",
    )


def _settle(future: asyncio.Future[Answer], answer: Answer | GonogoError) -> None:
    if future.done():
        return  # the caller went away
    if isinstance(answer, Answer):
        future.set_result(answer)
    else:
        future.set_exception(answer)


async def _all_of(told_of: list[Any]) -> list[Answer | GonogoError]:
    for i, one in enumerate(told_of):
        if isinstance(one, asyncio.Future):
            try:
                told_of[i] = await one
            except GonogoError as error:
                told_of[i] = error
    return told_of
