"""Whatever a model does, somebody is answered, and it is written down."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gonogo.data.planning import Plan, RequestFeature
from gonogo.serving.answer import Answerer
from gonogo.serving.features import Features
from gonogo.serving.predictionlog import Prediction, PredictionLog, decoded
from gonogo.serving.route import Route
from gonogo.serving.service import Answer
from gonogo.serving.shadow import Shadow
from gonogo.serving.tail import Tail
from gonogo.types.contract import Contract, Serving
from gonogo.types.errors import DataError, GonogoError, LogFailed, Unavailable
from gonogo.types.package import Field, Package
from gonogo.types.release import Phase
from gonogo.types.snapshot import Input, Kind, Missing
from gonogo.types.traffic import AnswerStatus, Arm, FrameKind
from tests.oracles.worlds import contract as made_contract
from tests.oracles.worlds import feature

FIELDS = (
    Field(name="id", type="text", needed=True),
    Field(name="uid", type="text", needed=False),
    Field(name="x", type="number", needed=True),
    Field(name="carrier", type="text", needed=False),
    Field(name="at", type="time", needed=True),
)
NOON = datetime(2024, 3, 31, 12, tzinfo=UTC)
PLAN = Plan(
    boundary="before",
    row_source="rows",
    row_columns={"x": "DOUBLE"},
    requests=(RequestFeature(name="x", sql="x", held="floating", columns=("x",)),),
    streams=(),
    sources=(),
    inputs=(Input(name="x", kind=Kind.NUMBER, missing=Missing.REFUSE, feature="x"),),
)
ROUTE = Route(epoch=3, champion="sha256:c", champion_package="pc", bucket_by="uid")


@dataclass
class Cost:
    one_us: float = 5.0


@dataclass
class FakeModel:
    """A model that says ten times its input, or whatever it is told to do."""

    digest: str
    candidate: str
    answer: Callable[[Sequence[Any]], tuple[Any, ...]] = lambda row: (row[0] * 10,)
    is_foreign: bool = False
    batches_one_turn: bool = False
    fields: tuple[Field, ...] = FIELDS
    cost: Cost = field(default_factory=Cost)
    outputs: tuple[str, ...] = ("p",)
    sizes: list[int] = field(default_factory=list)

    @property
    def package(self) -> Package:
        return Package(
            candidate=self.candidate, contract="", family="any", artifact={}, inputs=PLAN.inputs, outputs=self.outputs,
            fields=self.fields, key=("id",), plan="", seeds={}, probes="", tolerance=0.0,
        )  # fmt: skip

    def score(self, row: Sequence[Any]) -> tuple[Any, ...]:
        return self.answer(row)

    def score_rows(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        self.sizes.append(len(rows))
        return [self.answer(row) for row in rows]


class Desk:
    """One worker's answerer over a real log, with a route that a test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.route: Route | None = ROUTE
        self.log = PredictionLog(folder, "w0", segment_bytes=1 << 20)
        self.shadow = Shadow(self.log)
        self.features = Features(PLAN, fields=FIELDS, decided_at="at")
        self.answerer = self.opened()

    def opened(self, **serving: Any) -> Answerer:
        contract: Contract = replace(made_contract({"x": feature(sql="x")}), serving=Serving(**serving))
        self.answerer = Answerer(contract, route=lambda now: self.route, log=self.log, shadow=self.shadow)
        return self.answerer

    def hold(self, *models: FakeModel) -> None:
        for model in models:
            self.answerer.hold(model, self.features)

    def ask(self, x: Any = 2.0, uid: Any = "u", key: str = "k", began_ns: int = 0) -> Answer:
        """An answer that nobody had to wait for."""
        answer = self.answerer.predict((key, uid, x, "UA", NOON), began_ns or time.monotonic_ns())
        assert isinstance(answer, Answer)
        return answer

    def rows(self, kind: FrameKind = FrameKind.PREDICTION) -> list[tuple[Any, Prediction]]:
        batch = Tail(self.folder).poll()
        return [(batch.frames[i], decoded(kind, batch.payload(i))) for i in batch.where(kind)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.shadow.close()
    made.log.close()


CHAMPION = FakeModel("pc", "sha256:c")
CHALLENGER = FakeModel("pn", "sha256:n", answer=lambda row: (row[0] * 100,))
CANARY = replace(
    ROUTE, epoch=4, challenger="sha256:n", challenger_package="pn", phase=Phase.CANARY, step=1, share=0.5, salt="s", slices=("carrier=UA",)
)


def raising(error: BaseException) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    def answer(row: Sequence[Any]) -> tuple[Any, ...]:
        raise error

    return answer


def test_an_answer_is_in_the_log_with_all_that_the_judge_needs_before_the_caller_has_it(desk: Desk) -> None:
    desk.hold(CHAMPION, CHALLENGER)
    desk.route = CANARY
    answer = desk.ask()
    ((frame, payload),) = desk.rows()
    assert (answer.values, answer.status, answer.why) == ((20.0,) if answer.arm == 0 else (200.0,), AnswerStatus.ANSWERED, "")
    assert {name: frame[name].item() for name in ("request", "epoch", "arm", "status", "propensity", "slices", "score")} == {
        "request": answer.request, "epoch": 4, "arm": answer.arm, "status": 0, "propensity": 0.5, "slices": 1, "score": answer.values[0],
    }  # fmt: skip
    assert (payload.key, payload.question, payload.answer, payload.inputs) == (("k",), ("k", "u", 2.0, "UA", NOON), answer.values, ())


def test_each_arm_answers_its_own_buckets_and_nobody_is_answered_by_two(desk: Desk) -> None:
    desk.hold(CHAMPION, CHALLENGER)
    desk.route = CANARY
    by_unit = {uid: {desk.ask(uid=uid).candidate for _ in range(3)} for uid in map(str, range(40))}
    assert {len(candidates) for candidates in by_unit.values()} == {1}
    assert set.union(*by_unit.values()) == {"sha256:c", "sha256:n"}


def test_a_request_without_a_bucketing_key_is_the_champion_s_and_counted_nowhere(desk: Desk) -> None:
    desk.hold(CHAMPION, CHALLENGER)
    desk.route = replace(CANARY, share=1.0)
    assert desk.ask(uid=None).arm is Arm.CHAMPION
    assert desk.rows()[0][0]["unit"] == 0


def test_a_challenger_that_is_not_loaded_here_answers_nobody(desk: Desk) -> None:
    desk.hold(CHAMPION)
    desk.route = replace(CANARY, share=1.0)
    assert {desk.ask(uid=str(i)).candidate for i in range(10)} == {"sha256:c"}
    assert {frame["propensity"] for frame, _ in desk.rows()} == {1.0}
    assert "not loaded yet" in desk.answerer.not_ready()
    desk.hold(CHALLENGER)
    assert desk.ask().candidate == "sha256:n"
    assert desk.answerer.not_ready() == ""


def test_a_route_whose_champion_is_not_here_changes_nothing(desk: Desk) -> None:
    desk.hold(CHAMPION)
    desk.ask()
    desk.route = replace(ROUTE, epoch=9, champion="sha256:x", champion_package="px")
    assert desk.ask().candidate == "sha256:c"
    assert "px" in desk.answerer.not_ready()
    desk.route = None
    assert desk.ask().candidate == "sha256:c"


def test_before_any_model_is_here_nothing_answers_and_says_so(desk: Desk) -> None:
    assert "no model" in desk.answerer.not_ready()
    with pytest.raises(Unavailable):
        desk.ask()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (raising(ZeroDivisionError("by zero")), "by zero"),
        (raising(DataError("a null that is refused")), "GNG-D001"),
        (lambda row: (float("nan"),), "nan"),
        (lambda row: (float("inf"),), "inf"),
        (lambda row: (None,), "nothing"),
        (lambda row: (), "nothing"),
    ],
)
def test_a_model_that_fails_is_replaced_by_the_fallback_which_says_so(desk: Desk, answer: Any, why: str) -> None:
    desk.opened(fallback={"p": 0.25})
    desk.hold(replace(CHAMPION, answer=answer))
    told = desk.ask()
    assert (told.values, told.status) == ((0.25,), AnswerStatus.ERRED)
    assert why in told.why
    assert [(int(frame["status"]), payload.why) for frame, payload in desk.rows()] == [(AnswerStatus.ERRED, told.why)]


def test_without_a_fallback_a_failure_is_logged_and_told(desk: Desk) -> None:
    desk.hold(replace(CHAMPION, answer=raising(ZeroDivisionError())))
    assert (desk.ask().status, desk.ask().values) == (AnswerStatus.FAILED, ())
    desk.hold(replace(CHAMPION, answer=raising(DataError("a null"))))
    with pytest.raises(DataError, match="a null"):
        desk.ask()
    assert [int(frame["status"]) for frame, _ in desk.rows()] == [AnswerStatus.FAILED] * 3


def test_features_that_cannot_be_made_are_an_error_of_that_row(desk: Desk) -> None:
    desk.opened(fallback={"p": ["x", 0.5]})
    desk.hold(CHAMPION)
    told = desk.ask(x=float("nan"))
    assert (told.status, told.values) == (AnswerStatus.ERRED, (0.5,))


def test_an_answer_after_the_deadline_is_replaced_by_the_fallback(desk: Desk) -> None:
    desk.opened(fallback={"p": "x"}, deadline_ms=1)
    desk.hold(CHAMPION)
    long_ago = time.monotonic_ns() - 5_000_000
    told = desk.ask(began_ns=long_ago)
    assert (told.values, told.status) == ((2.0,), AnswerStatus.LATE)
    assert desk.rows()[0][0]["latency_us"] >= 5000


def test_without_a_fallback_a_late_answer_is_better_than_none(desk: Desk) -> None:
    desk.opened(deadline_ms=1)
    desk.hold(CHAMPION)
    assert desk.ask(began_ns=time.monotonic_ns() - 5_000_000).status is AnswerStatus.ANSWERED


def test_a_batch_is_answered_row_by_row_and_one_bad_row_takes_no_other_with_it(desk: Desk) -> None:
    def answer(row: Sequence[Any]) -> tuple[Any, ...]:
        if row[0] == 3.0:
            raise DataError("three is refused")
        return (row[0],)

    model = replace(CHAMPION, answer=answer, sizes=[])
    desk.hold(model)
    questions = [(str(i), "u", x, None, NOON) for i, x in enumerate((1.0, float("nan"), 3.0, 4.0))]
    told = desk.answerer.predict_many(questions, time.monotonic_ns())
    assert [each.values if isinstance(each, Answer) else type(each).__name__ for each in told] == [
        (1.0,),
        "ScaleRefused",
        "DataError",
        (4.0,),
    ]  # type: ignore[union-attr]
    assert len(desk.rows()) == 4


def test_what_arrives_in_one_turn_is_scored_at_once_where_that_pays(desk: Desk) -> None:
    model = replace(CHAMPION, batches_one_turn=True, sizes=[])
    desk.hold(model)

    async def ask_all() -> list[Any]:
        asked = [desk.answerer.predict((str(i), "u", float(i), None, NOON), time.monotonic_ns()) for i in range(300)]
        return list(await asyncio.gather(*asked))  # type: ignore[arg-type]

    told = asyncio.run(ask_all())
    assert [answer.values for answer in told] == [(i * 10.0,) for i in range(300)]
    assert model.sizes == [256, 44]


def test_a_slow_model_is_asked_apart_and_answers_like_any_other(desk: Desk) -> None:
    threads = set()

    def answer(row: Sequence[Any]) -> tuple[Any, ...]:
        threads.add(threading.current_thread())
        return (row[0],)

    desk.hold(replace(CHAMPION, answer=answer, is_foreign=True))
    told = asyncio.run(_awaited(desk, 3))
    assert [each.values for each in told] == [(0.0,), (1.0,), (2.0,)]
    assert threading.current_thread() not in threads
    assert len(desk.rows()) == 3


def test_a_model_that_hangs_holds_nobody_beyond_the_deadline_and_is_seen_by_the_judge(desk: Desk) -> None:
    free = threading.Event()

    def answer(row: Sequence[Any]) -> tuple[Any, ...]:
        free.wait(20)
        return (row[0],)

    desk.opened(fallback={"p": 0.5}, deadline_ms=20)
    desk.hold(replace(CHAMPION, answer=answer, cost=Cost(one_us=10_000.0)))
    try:
        told = asyncio.run(_awaited(desk, 4))
    finally:
        free.set()
    assert {(each.values, each.status) for each in told} == {((0.5,), AnswerStatus.LATE)}
    assert [int(frame["status"]) for frame, _ in desk.rows()] == [AnswerStatus.LATE] * 4


def test_a_caller_who_goes_away_does_not_take_the_evidence_with_him(desk: Desk) -> None:
    free = threading.Event()
    desk.opened(fallback={"p": 0.5}, deadline_ms=20)
    desk.hold(replace(CHAMPION, answer=lambda row: (float(free.wait(20)),), is_foreign=True))

    async def leave() -> None:
        answer = desk.answerer.predict(("k", "u", 1.0, None, NOON), time.monotonic_ns())
        answer.cancel()  # type: ignore[union-attr]
        while not desk.rows():
            await asyncio.sleep(0.005)

    try:
        asyncio.run(asyncio.wait_for(leave(), 10))
    finally:
        free.set()


def test_new_fields_come_behind_the_old_ones_and_a_question_without_them_is_still_one(desk: Desk) -> None:
    desk.hold(CHAMPION)
    assert desk.answerer.fields == FIELDS
    before = desk.answerer.fields
    desk.hold(replace(CHALLENGER, fields=(Field(name="new", type="number", needed=True), *FIELDS[:2], replace_needed(FIELDS[2]))))
    assert [each.name for each in desk.answerer.fields] == ["id", "uid", "x", "carrier", "at", "new"]
    assert [each.needed for each in desk.answerer.fields] == [True, False, False, False, False, False]
    assert desk.ask().values == (20.0,)  # asked by the fields as they were
    desk.answerer.drop("pn")
    assert desk.answerer.fields is not before
    assert desk.answerer.held == ("pc",)


def replace_needed(one: Field) -> Field:
    return replace(one, needed=False)


def test_a_contract_that_refuses_what_it_cannot_log_answers_nothing_then(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.opened(log_full="refuse")
    desk.hold(CHAMPION)
    monkeypatch.setattr(desk.log.log, "_make_room", lambda length: False)
    monkeypatch.setattr(desk.log.log, "_stop", 0)
    with pytest.raises(LogFailed):
        desk.ask()
    desk.opened(log_full="answer")
    desk.hold(CHAMPION)
    assert desk.ask().values == (20.0,)
    assert desk.answerer.n_unlogged == 1


def test_the_shadow_is_shown_what_the_other_arm_answered(desk: Desk) -> None:
    desk.hold(CHAMPION, CHALLENGER)
    desk.route = CANARY
    answers = {answer.request: answer for answer in (desk.ask(uid=str(i), key=str(i)) for i in range(50))}
    desk.shadow.close()
    shadows = desk.rows(FrameKind.SHADOW)
    assert len(shadows) == 50
    for frame, payload in shadows:
        answer = answers[int(frame["request"])]
        assert frame["arm"] == 1 - answer.arm
        assert payload.answer == ((200.0,) if frame["arm"] else (20.0,))


def test_nothing_is_shadowed_without_a_rollout(desk: Desk) -> None:
    desk.hold(CHAMPION, CHALLENGER)
    desk.route = replace(CANARY, phase=Phase.SETTLED)
    desk.ask()
    desk.shadow.close()
    assert desk.rows(FrameKind.SHADOW) == []


def test_the_position_is_that_of_the_route(desk: Desk) -> None:
    desk.hold(CHAMPION)
    assert desk.answerer.position().phase == ""
    desk.route = CANARY
    position = desk.answerer.position()
    assert (position.phase, position.champion, position.challenger, position.share) == ("canary", "sha256:c", "sha256:n", 0.5)


async def _awaited(desk: Desk, n: int) -> list[Answer]:
    told = await desk.answerer.predict_many([(str(i), "u", float(i), None, NOON) for i in range(n)], time.monotonic_ns())  # type: ignore[misc]
    assert not any(isinstance(each, GonogoError) for each in told)
    return told  # type: ignore[return-value]
