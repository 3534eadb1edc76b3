"""What would the other model have said, found out later and in nobody's way?

A request is offered after its answer was made: an append to a bounded queue. A thread of its own scores what came in and logs it. What the
queue has no room for is dropped and counted: a model that stalls, raises or kills its thread costs the shadow its rows, never a caller
anything. A row's latency is what its answer would have taken: what the caller's row took before its model was asked, and this model's own.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gonogo.serving.apart import scored
from gonogo.types.traffic import AnswerStatus, Arm

if TYPE_CHECKING:
    from gonogo.serving.features import Row

MOST_WAITING = 4096  # rows: four seconds of a thousand requests a second
GATHER_S = 0.005  # how long rows are let come together: waking a thread for each would cost the callers
_CHUNK = 32  # rows between two breaths, in which callers are answered


class Shadowing(Protocol):
    """The model that is asked, as `answer.Armed` holds it."""

    @property
    def together(self) -> bool: ...  # noqa: D102  whether many rows are scored together
    @property
    def score(self) -> Callable[[Sequence[Any]], tuple[Any, ...]]: ...  # noqa: D102
    @property
    def score_rows(self) -> Callable[[Sequence[Sequence[Any]]], list[tuple[Any, ...]]]: ...  # noqa: D102
    @property
    def read(self) -> Callable[[Sequence[Any]], Row]: ...  # noqa: D102
    @property
    def lock(self) -> threading.Lock: ...  # noqa: D102  held while a model is asked that does not like threads
    @property
    def shape(self) -> str: ...  # noqa: D102
    @property
    def logs_inputs(self) -> bool: ...  # noqa: D102  whether the row is more than the question says


class Offer(NamedTuple):
    """One request, as it was answered by the other arm."""

    model: Shadowing
    question: Sequence[Any]
    row: Sequence[Any] | None  # the inputs, where both models read the same; None: they are made anew
    stale: str
    decided_us: int | None
    before_ns: int  # from its beginning to when its own model was asked
    deadline_ns: int  # how long an answer may take
    request: int
    key: tuple[Any, ...]
    key_hash: int
    unit: int
    bucket: int
    slices: int
    epoch: int
    arm: Arm  # of the shadow: the one that did not answer
    propensity: float  # of the answer

    def as_offer(self) -> Offer:
        """Itself: see `Offered`."""
        return self


class Offered(Protocol):
    """A request that was answered. What is made of it is made by the shadow's thread, not while its caller waits."""

    def as_offer(self) -> Offer: ...  # noqa: D102


class ShadowLog(Protocol):
    """Where shadows are written: `predictionlog.PredictionLog`."""

    def append_shadow(
        self,
        *,
        request: int,
        shape: str,
        key: tuple[Any, ...],
        answer: tuple[Any, ...],
        inputs: tuple[Any, ...] = (),
        decided_us: int | None = None,
        why: str = "",
        unit: int = 0,
        bucket: int = 0,
        slices: int = 0,
        epoch: int = 0,
        arm: int = 0,
        status: int = 0,
        propensity: float = 1.0,
        latency_us: int = 0,
        key_hash: int | None = None,
    ) -> bool:
        """Write one row; False if it was lost."""


class Shadow:
    """The queue of offers and its thread."""

    def __init__(self, log: ShadowLog, *, most_waiting: int = MOST_WAITING, gather_s: float = GATHER_S) -> None:
        self.drops = 0  # offers that found no room, and those that a dying thread took with it
        self.n_logged = 0
        self._log = log
        self._most = most_waiting
        self._gather_s = gather_s
        self._waiting: deque[Offered] = deque()
        self._wake = threading.Event()
        self._sleeps = True
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def n_waiting(self) -> int:
        """Offers that nobody has looked at yet."""
        return len(self._waiting)

    def offer(self, offer: Offered) -> None:
        """Take the request if there is room. Never blocks, never raises."""
        waiting = self._waiting
        if len(waiting) >= self._most or self._closed:
            self.drops += 1
            self._tend()
            return
        waiting.append(offer)
        if self._sleeps:
            self._sleeps = False
            self._tend()
            self._wake.set()

    def close(self, *, wait_s: float = 1.0) -> None:
        """Score what waits, for so long, and stop."""
        self._closed = True
        self._wake.set()
        if (thread := self._thread) is not None:
            thread.join(wait_s)

    def _tend(self) -> None:
        """A thread, if there is none or it was killed."""
        if self._thread is not None or self._closed:
            return
        thread = threading.Thread(target=self._run, name="gonogo-shadow", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: a later offer tries again
            self._thread, self._sleeps = None, True

    def _run(self) -> None:
        taken: list[Offer] = []
        try:
            while True:
                self._wake.wait()
                self._wake.clear()
                if not self._closed:
                    time.sleep(self._gather_s)
                self._sleeps = True  # before the queue is emptied: who comes during it wakes the thread again
                while self._waiting:
                    taken = [self._waiting.popleft().as_offer() for _ in range(min(_CHUNK, len(self._waiting)))]
                    for model, offers in groupby(taken, key=attrgetter("model")):
                        self._score(model, list(offers))
                    taken = []
                    time.sleep(0)
                if self._closed:
                    return
        finally:
            self.drops += len(taken)
            # In this order: who sees that somebody must be woken finds nobody there, and starts another. A thread that is on its way out
            # still says that it is alive.
            self._thread = None
            self._sleeps = True

    def _score(self, model: Shadowing, offers: list[Offer]) -> None:
        ready: list[tuple[Offer, Sequence[Any], int]] = []  # offer, inputs, what it took until now
        for offer in offers:
            row, stale, took = offer.row, offer.stale, 0
            if row is None and not stale:
                began = time.monotonic_ns()
                try:
                    row, stale, _ = model.read(offer.question)
                except Exception as error:
                    self._write(offer, (), (), AnswerStatus.ERRED, told(error), offer.before_ns)
                    continue
                took = time.monotonic_ns() - began
            if stale:
                self._write(offer, row or (), (), AnswerStatus.STALE, stale, offer.before_ns)
            else:
                ready.append((offer, row or (), took))
        if ready:
            with model.lock:
                if model.together:
                    self._score_together(model, ready)
                else:
                    self._score_alone(model, ready)

    def _score_alone(self, model: Shadowing, ready: list[tuple[Offer, Sequence[Any], int]]) -> None:
        score, clock = model.score, time.monotonic_ns
        for offer, row, took in ready:
            began = clock()
            try:
                answer: tuple[Any, ...] | Exception = score(row)
            except Exception as error:
                answer = error
            self._told(offer, row, answer, offer.before_ns + took + clock() - began)

    def _score_together(self, model: Shadowing, ready: list[tuple[Offer, Sequence[Any], int]]) -> None:
        began = time.monotonic_ns()
        answers = scored(model.score_rows, [row for _, row, _ in ready])
        # Each waited for all: at most it is too much that is said of a row's latency, never too little.
        took_all = time.monotonic_ns() - began
        for (offer, row, took), answer in zip(ready, answers, strict=True):
            self._told(offer, row, answer, offer.before_ns + took + took_all)

    def _told(self, offer: Offer, row: Sequence[Any], answer: tuple[Any, ...] | Exception, latency_ns: int) -> None:
        if isinstance(answer, Exception):
            self._write(offer, row, (), AnswerStatus.ERRED, told(answer), latency_ns)
        elif fault := unfit(answer):
            self._write(offer, row, (), AnswerStatus.ERRED, fault, latency_ns)
        elif latency_ns > offer.deadline_ns:
            self._write(offer, row, (), AnswerStatus.LATE, "the deadline would have passed", latency_ns)
        else:
            self._write(offer, row, answer, AnswerStatus.ANSWERED, "", latency_ns)

    def _write(self, offer: Offer, row: Sequence[Any], answer: tuple[Any, ...], status: AnswerStatus, why: str, latency_ns: int) -> None:
        self.n_logged += self._log.append_shadow(
            request=offer.request,
            shape=offer.model.shape,
            key=offer.key,
            key_hash=offer.key_hash,
            answer=answer,
            inputs=tuple(row) if offer.model.logs_inputs else (),
            decided_us=offer.decided_us,
            why=why,
            unit=offer.unit,
            bucket=offer.bucket,
            slices=offer.slices,
            epoch=offer.epoch,
            arm=offer.arm,
            status=status,
            propensity=offer.propensity,
            latency_us=latency_ns // 1000,
        )


def told(error: BaseException) -> str:
    """What went wrong, in a line that a log can hold.

    >>> told(ValueError("no such\\nthing"))
    'ValueError: no such thing'
    """
    said = " ".join(str(getattr(error, "message", "") or error).split())
    return f"{getattr(error, 'code', type(error).__name__)}: {said}"[:200]


def unfit(answer: tuple[Any, ...]) -> str:
    """What is wrong with an answer that is none; "" if it is one.

    >>> unfit((0.5, "late")), unfit((float("nan"),)), unfit(())
    ('', 'the model said nan', 'the model said nothing')
    """
    if not answer:
        return "the model said nothing"
    for value in answer:
        if type(value) is float:
            if value - value != 0.0:
                return f"the model said {value}"
        elif value is None:
            return "the model said nothing"
    return ""
