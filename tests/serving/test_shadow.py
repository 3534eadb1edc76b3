"""The other arm's model is asked in nobody's way, whatever it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gonogo.serving.shadow import Offer, Shadow
from gonogo.types.traffic import AnswerStatus, Arm


@dataclass(eq=False)
class Model:
    answer: Callable[[Sequence[Any]], tuple[Any, ...]] = lambda row: (row[0] * 2,)
    together: bool = False
    read: Callable[[Sequence[Any]], Any] = lambda question: ([question[0] + 1], "", None)
    lock: Any = field(default_factory=threading.Lock)
    shape: str = "shape"
    logs_inputs: bool = True

    def score(self, row: Sequence[Any]) -> tuple[Any, ...]:
        return self.answer(row)

    def score_rows(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        return [self.answer(row) for row in rows]


class Log:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.some = threading.Event()

    def append_shadow(self, **said: Any) -> bool:
        self.rows.append(said)
        self.some.set()
        return True


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def shadow(log: Log) -> Iterator[Shadow]:
    made = Shadow(log, most_waiting=50, gather_s=0.001)
    yield made
    made.close()


def offer(model: Model, i: int = 1, **said: Any) -> Offer:
    given: dict[str, Any] = {
        "model": model, "question": (float(i),), "row": [float(i)], "stale": "", "decided_us": None, "before_ns": 5_000,
        "deadline_ns": 10**9, "request": i, "key": ("k",), "key_hash": 9, "unit": 7, "bucket": 8, "slices": 3, "epoch": 4,
        "arm": Arm.CHALLENGER, "propensity": 0.25,
    }  # fmt: skip
    return Offer(**{**given, **said})


def until(condition: Callable[[], bool]) -> None:
    patience = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0.001)


@pytest.mark.parametrize("together", [False, True])
def test_every_offer_is_scored_and_logged_once_in_order(shadow: Shadow, log: Log, together: bool) -> None:
    model = Model(together=together)
    for i in range(200):
        until(lambda: shadow.n_waiting < 50)
        shadow.offer(offer(model, i))
    shadow.close()
    assert [(row["request"], row["answer"]) for row in log.rows] == [(i, (i * 2.0,)) for i in range(200)]
    assert shadow.drops == 0
    first = log.rows[0]
    assert {name: first[name] for name in ("unit", "bucket", "slices", "epoch", "arm", "propensity", "key_hash", "status")} == {
        "unit": 7, "bucket": 8, "slices": 3, "epoch": 4, "arm": Arm.CHALLENGER, "propensity": 0.25, "key_hash": 9, "status": 0,
    }  # fmt: skip


def test_the_latency_is_what_an_answer_would_have_taken(shadow: Shadow, log: Log) -> None:
    shadow.offer(offer(Model(), before_ns=3_000_000))
    until(lambda: bool(log.rows))
    assert log.rows[0]["latency_us"] >= 3000


def test_a_model_of_other_features_makes_its_own_row(shadow: Shadow, log: Log) -> None:
    shadow.offer(offer(Model(), row=None))
    until(lambda: bool(log.rows))
    assert (log.rows[0]["inputs"], log.rows[0]["answer"]) == ((2.0,), (4.0,))


def test_what_would_have_been_stale_late_or_wrong_is_said_so(shadow: Shadow, log: Log) -> None:
    def fails(row: Sequence[Any]) -> tuple[Any, ...]:
        raise ValueError("no")

    offers = (
        (offer(Model(), stale="old"), AnswerStatus.STALE, "old"),
        (offer(Model(read=lambda question: ([], "older", None)), row=None), AnswerStatus.STALE, "older"),
        (offer(Model(read=fails), row=None), AnswerStatus.ERRED, "ValueError: no"),
        (offer(Model(fails)), AnswerStatus.ERRED, "ValueError: no"),
        (offer(Model(fails, together=True)), AnswerStatus.ERRED, "ValueError: no"),
        (offer(Model(lambda row: (float("nan"),))), AnswerStatus.ERRED, "the model said nan"),
        (offer(Model(), deadline_ns=1), AnswerStatus.LATE, "the deadline would have passed"),
    )
    for each, _, _ in offers:
        shadow.offer(each)
    shadow.close()
    assert [(row["status"], row["why"], row["answer"]) for row in log.rows] == [(status, why, ()) for _, status, why in offers]


def test_a_model_that_stalls_costs_rows_and_nobody_else_anything(shadow: Shadow, log: Log) -> None:
    free = threading.Event()
    model = Model(lambda row: (free.wait(20),))
    shadow.offer(offer(model))
    until(lambda: shadow.n_waiting == 0)
    took = []
    for i in range(200):
        began = time.perf_counter()
        shadow.offer(offer(model, i))
        took.append(time.perf_counter() - began)
    assert (shadow.n_waiting, shadow.drops) == (50, 150)
    free.set()
    until(lambda: len(log.rows) == 51)
    assert shadow.drops == 150


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_killed_is_replaced_and_its_rows_are_counted(shadow: Shadow, log: Log) -> None:
    def kills(row: Sequence[Any]) -> tuple[Any, ...]:
        raise SystemExit

    shadow.offer(offer(Model(kills)))
    until(lambda: shadow.drops == 1)
    shadow.offer(offer(Model(), 5))
    until(lambda: bool(log.rows))
    assert log.rows[0]["request"] == 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_threads_that_are_killed_again_and_again_never_leave_the_queue_to_itself(shadow: Shadow) -> None:
    def kills(row: Sequence[Any]) -> tuple[Any, ...]:
        raise SystemExit

    for i in range(300):
        shadow.offer(offer(Model(kills), i))
        if i % 7 == 0:
            time.sleep(0.001)

    def another_offer_empties_it() -> bool:
        shadow.offer(offer(Model(kills)))
        return shadow.n_waiting <= 1

    until(another_offer_empties_it)
    assert shadow.drops >= 300 - 50


def test_one_row_that_cannot_be_answered_takes_no_other_with_it(shadow: Shadow, log: Log) -> None:
    def picky(row: Sequence[Any]) -> tuple[Any, ...]:
        if row[0] == 3.0:
            raise ValueError("three")
        return (row[0],)

    model = Model(picky, together=True)
    for i in range(6):
        shadow.offer(offer(model, i))
    shadow.close()
    assert [row["status"] for row in log.rows] == [0, 0, 0, AnswerStatus.ERRED, 0, 0]


def test_after_it_is_closed_offers_are_counted_and_nothing_else(shadow: Shadow, log: Log) -> None:
    shadow.close()
    shadow.offer(offer(Model()))
    assert (shadow.drops, log.rows) == (1, [])
