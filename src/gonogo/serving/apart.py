"""How is a slow or foreign model asked, so that it holds nobody up when it hangs?

A thread of its own scores what has come in since it last looked, all together. Nobody waits for it beyond the deadline. A thread that does
not come back is left behind and another one takes its place, a few times: then the circuit is open, and callers are told at once, until
one comes back or some time has passed.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

Row = Sequence[Any]
Answered = tuple[Any, ...]
MOST_ROWS = 256  # scored together
MOST_WAITING = 1024  # rows; whoever comes then is late already
MOST_STUCK = 3  # threads left behind before the circuit opens
MOST_THREADS = 16  # left behind in all: beyond, only one that comes back closes the circuit
_STUCK_NS = 1_000_000_000  # nothing is called stuck before that
_TRY_AGAIN_NS = 60_000_000_000


class Late(Exception):
    """The deadline passed, or would have: `str` says how."""


class _Asked:
    """One row that somebody waits for."""

    __slots__ = ("deadline_ns", "future", "loop", "row")

    def __init__(self, row: Row, deadline_ns: int, loop: asyncio.AbstractEventLoop) -> None:
        self.row, self.deadline_ns, self.loop = row, deadline_ns, loop
        self.future: asyncio.Future[Answered] = loop.create_future()


class Apart:
    """One model in a thread of its own. Asked from an event loop."""

    def __init__(self, name: str, score_rows: Callable[[Sequence[Row]], list[Answered]], *, stuck_ns: int = _STUCK_NS) -> None:
        self.name = name
        self.n_stuck = 0  # threads that have not come back
        self._score_rows = score_rows
        self._stuck_ns = stuck_ns
        self._lock = threading.Lock()
        self._current: _Thread | None = None
        self._opened_ns = 0
        self._closed = False

    def ask(self, row: Row, deadline_ns: int) -> asyncio.Future[Answered]:
        """The answer to the row, or Late once the monotonic clock reaches the deadline, or what the model raised."""
        loop = asyncio.get_running_loop()
        asked = _Asked(row, deadline_ns, loop)
        why = self._hand_over(asked)
        if why:
            asked.future.set_exception(Late(why))
            return asked.future
        left_s = max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9)
        timer = loop.call_later(left_s, _give_up, asked.future)
        asked.future.add_done_callback(lambda _: timer.cancel())
        return asked.future

    def close(self) -> None:
        """Ask nothing more of the thread."""
        with self._lock:
            self._closed = True
            if self._current is not None:
                self._current.queue.put(None)

    def _hand_over(self, asked: _Asked) -> str:
        now = time.monotonic_ns()
        with self._lock:
            if self._closed:
                return f"{self.name} is unloaded"
            current = self._current
            if current is not None and current.is_stuck(now, self._stuck_ns):
                self._leave(current, now)
                current = None
            if current is None:
                if not self._may_start(now):
                    return f"{self.name} hangs: {self.n_stuck} threads have not come back"
                current = self._current = _Thread(self)
            if current.queue.qsize() >= MOST_WAITING:
                return f"{MOST_WAITING} rows wait for {self.name}"
            current.queue.put(asked)
        return ""

    def _leave(self, thread: _Thread, now: int) -> None:
        thread.is_left = True
        self.n_stuck += 1
        self._opened_ns = now
        self._current = None

    def _may_start(self, now: int) -> bool:
        if self.n_stuck < MOST_STUCK:
            return True
        return self.n_stuck < MOST_THREADS and now - self._opened_ns > _TRY_AGAIN_NS

    def _is_back(self) -> None:
        with self._lock:
            self.n_stuck -= 1


class _Thread:
    """One thread and what waits for it."""

    def __init__(self, apart: Apart) -> None:
        self.queue: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self.since_ns = 0  # when it began to score; 0 while it waits
        self.is_left = False
        self._apart = apart
        # A daemon: a model that hangs must not keep the process from ending.
        threading.Thread(target=self._run, name=f"gonogo-model-{apart.name[:20]}", daemon=True).start()

    def is_stuck(self, now: int, stuck_ns: int) -> bool:
        return bool(self.since_ns) and now - self.since_ns > stuck_ns

    def _run(self) -> None:
        while not self.is_left:
            first = self.queue.get()
            if first is None:
                return
            together = [first]
            while len(together) < MOST_ROWS and not self.queue.empty():
                if (more := self.queue.get()) is None:
                    self.queue.put(None)
                    break
                together.append(more)
            self.since_ns = time.monotonic_ns()
            self._score([asked for asked in together if asked.deadline_ns > self.since_ns])
            self.since_ns = 0
        self._apart._is_back()

    def _score(self, together: list[_Asked]) -> None:
        if not together:
            return
        for asked, outcome in zip(together, scored(self._apart._score_rows, [asked.row for asked in together]), strict=True):
            try:
                asked.loop.call_soon_threadsafe(_tell, asked.future, outcome)
            except RuntimeError:  # the loop was closed meanwhile
                return


def scored(score_rows: Callable[[Sequence[Row]], list[Answered]], rows: Sequence[Row]) -> list[Answered | Exception]:
    """An answer or what was raised for every row: one that cannot be answered takes no other with it."""
    try:
        answers = score_rows(rows)
        if len(answers) == len(rows):
            return list(answers)
        return [ValueError(f"{len(answers)} answers to {len(rows)} rows")] * len(rows)
    except Exception as error:
        if len(rows) == 1:
            return [error]
    return [scored(score_rows, [row])[0] for row in rows]


def _tell(future: asyncio.Future[Answered], outcome: Answered | Exception) -> None:
    if future.done():
        return  # late
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _give_up(future: asyncio.Future[Answered]) -> None:
    if not future.done():
        future.set_exception(Late("the deadline passed"))
