"""A slow model is asked in a thread that nobody waits for beyond the deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from gonogo.serving import apart as module
from gonogo.serving.apart import Apart, Late, scored

SECOND = 1_000_000_000


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(work(), 20))


def in_ns(n: int) -> int:
    return time.monotonic_ns() + n


def test_rows_that_wait_are_scored_together_and_each_caller_has_his_own() -> None:
    sizes: list[int] = []
    begun, free = threading.Event(), threading.Event()

    def score_rows(rows: Sequence[Any]) -> list[Any]:
        sizes.append(len(rows))
        begun.set()
        free.wait(10)
        return [(row[0] * 2,) for row in rows]

    async def work() -> list[Any]:
        apart = Apart("m", score_rows)
        first = apart.ask((0,), in_ns(20 * SECOND))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        others = [apart.ask((i,), in_ns(20 * SECOND)) for i in range(1, 400)]
        free.set()
        answers = await asyncio.gather(first, *others)
        apart.close()
        return answers

    assert run(work) == [(i * 2,) for i in range(400)]
    assert sizes == [1, 256, 143]


def test_one_row_that_is_refused_takes_no_other_with_it() -> None:
    def score_rows(rows: Sequence[Any]) -> list[Any]:
        if (3,) in rows:
            raise ValueError("three")
        return list(rows)

    told = scored(score_rows, [(1,), (3,), (4,)])
    assert (told[0], type(told[1]), told[2]) == ((1,), ValueError, (4,))
    assert isinstance(scored(lambda rows: [], [(1,)])[0], ValueError)


def test_nobody_waits_beyond_the_deadline() -> None:
    free = threading.Event()

    async def work() -> None:
        apart = Apart("m", lambda rows: [(free.wait(20),)] * len(rows))
        with pytest.raises(Late, match="deadline passed"):
            await apart.ask((1,), in_ns(10_000_000))
        with pytest.raises(Late):
            await apart.ask((1,), in_ns(-1))
        free.set()
        apart.close()

    run(work)


def test_a_model_that_hangs_takes_a_few_threads_and_no_more_and_is_asked_again_once_one_is_back() -> None:
    free = threading.Event()

    def score_rows(rows: Sequence[Any]) -> list[Any]:
        if rows[0] == ("hang",):
            free.wait(20)
        return list(rows)

    async def work() -> None:
        apart = Apart("m", score_rows, stuck_ns=1_000_000)
        before = threading.active_count()
        why = set()
        for _ in range(30):
            with pytest.raises(Late) as late:
                await apart.ask(("hang",), in_ns(5_000_000))
            why.add(str(late.value))
        assert why == {"the deadline passed", f"m hangs: {module.MOST_STUCK} threads have not come back"}
        assert apart.n_stuck == module.MOST_STUCK
        assert threading.active_count() - before <= module.MOST_STUCK
        free.set()
        while apart.n_stuck:
            await asyncio.sleep(0.001)
        assert await apart.ask(("well",), in_ns(10 * SECOND)) == ("well",)
        apart.close()

    run(work)


def test_too_many_that_wait_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    free, begun = threading.Event(), threading.Event()

    def score_rows(rows: Sequence[Any]) -> list[Any]:
        begun.set()
        free.wait(10)
        return list(rows)

    async def work() -> None:
        apart = Apart("m", score_rows)
        first = apart.ask((0,), in_ns(10 * SECOND))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        asked = [apart.ask((i,), in_ns(10 * SECOND)) for i in range(1, 4)]
        with pytest.raises(Late, match="3 rows wait"):
            await apart.ask((9,), in_ns(10 * SECOND))
        free.set()
        assert await asyncio.gather(first, *asked) == [(i,) for i in range(4)]
        apart.close()

    run(work)


def test_a_model_that_is_unloaded_answers_nobody() -> None:
    async def work() -> None:
        apart = Apart("m", lambda rows: list(rows))
        apart.close()
        with pytest.raises(Late, match="unloaded"):
            await apart.ask((1,), in_ns(SECOND))

    run(work)


def test_what_a_model_raises_is_told_to_its_caller() -> None:
    def score_rows(rows: Sequence[Any]) -> list[Any]:
        raise ZeroDivisionError("by zero")

    async def work() -> None:
        apart = Apart("m", score_rows)
        with pytest.raises(ZeroDivisionError):
            await apart.ask((1,), in_ns(10 * SECOND))
        apart.close()

    run(work)
