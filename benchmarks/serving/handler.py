"""What does the HTTP surface itself cost: bytes → question → a predictor that does nothing → bytes?

    python -m benchmarks.serving.handler [--rounds 9] [--calls 5000] [--keys]

In process, one thread, CPU time; rounds are interleaved. `echo` is a bare ASGI application that reads the body and answers two bytes;
`asgi` is ours, called in the same way; `quick` is what our protocol calls where the last byte is read. The question has 30 named numbers.
With `--keys` every request shows a key. The figure is the median over the rounds, in microseconds of CPU per request.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gonogo.serving.access import Access
from gonogo.serving.app import App
from gonogo.serving.keys import KeyRing, add_key
from gonogo.serving.metrics import Counters
from gonogo.serving.questions import QuestionDecoder
from gonogo.serving.service import Answer, Position, Question
from gonogo.types.package import Field
from gonogo.types.traffic import AnswerStatus, Arm

NAMES = [f"feature_{i:02d}" for i in range(30)]
PATH = "/v1/contracts/flights/predictions"
CANDIDATE = "sha256:" + "c" * 64


class Trivial:
    """A contract that answers one number, always the same."""

    name, question, outputs = "flights", "?", ("p",)
    fields = tuple(Field(name=name, type="number", needed=i % 2 == 0) for i, name in enumerate(NAMES))
    events: Mapping[str, tuple[Field, ...]] = {}
    outcomes = (Field(name="y", type="number", needed=True),)

    def __init__(self) -> None:
        self.answer = Answer((0.25,), AnswerStatus.ANSWERED, Arm.CHAMPION, CANDIDATE, 1)

    def position(self) -> Position:
        return Position(phase="", champion=CANDIDATE, challenger="", share=0.0)

    def not_ready(self) -> str:
        return ""

    def predict(self, question: Question, began_ns: int) -> Answer:
        return self.answer

    def predict_many(self, questions: Sequence[Question], began_ns: int) -> list[Answer]:
        return [self.answer] * len(questions)


class Service:
    jobs, routes = None, ()

    def __init__(self) -> None:
        self.contracts = {"flights": Trivial()}

    def samples(self) -> list[Any]:
        return []


async def echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    while message.get("more_body", False):
        message = await receive()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"{}"})


def driver(app: Any, headers: list[tuple[bytes, bytes]], body: bytes) -> Callable[[], None]:
    """One request through ASGI, without an event loop: nothing waits."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        pass

    def once() -> None:
        scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers}
        try:
            app(scope, receive, send).send(None)
        except StopIteration:
            return
        raise AssertionError("it waited")

    return once


def us_per_call(run: Callable[[], object], calls: int) -> float:
    start = time.process_time_ns()
    for _ in range(calls):
        run()
    return (time.process_time_ns() - start) / calls / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--keys", action="store_true")
    options = parser.parse_args()
    rng = random.Random(7)
    body = json.dumps({name: round(rng.random(), 6) for name in NAMES}).encode()
    batch = json.dumps({"rows": [json.loads(body)] * 32}).encode()
    headers = [(b"host", b"127.0.0.1:8080"), (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"user-agent", b"bench"), (b"accept", b"*/*")]
    folder = Path(tempfile.mkdtemp())
    ring = None
    if options.keys:
        headers.append((b"authorization", b"Bearer " + add_key(folder / "keys.json", "bench", ["predict"]).encode()))
        ring = KeyRing(folder / "keys.json")
    app = App(Service(), access=Access(keys=ring), counters=Counters(folder / "metrics", 0, ("flights",), started_s=0.0))
    match = app.lane(PATH.encode())
    assert match is not None
    decoder = QuestionDecoder(Trivial.fields)
    assert app.answer(match, "POST", PATH, dict(headers), body).status == 200
    runs: dict[str, Callable[[], object]] = {
        "echo": driver(echo, headers, body),
        "asgi": driver(_no_wait(app), headers, body),
        "quick": lambda: app.answer(match, "POST", PATH, dict(headers), body),
        "decode alone": lambda: decoder.decode(body),
        "decode 32 rows": lambda: decoder.decode(batch),
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            taken[name].append(us_per_call(run, options.calls // (20 if "32" in name else 1)))
    for name, each in taken.items():
        over = statistics.median(a - b for a, b in zip(each, taken["echo"], strict=True))
        print(f"{name:<16} {statistics.median(each):8.2f} us [{min(each):.2f}, {max(each):.2f}]   over echo {over:+8.2f}")


def _no_wait(app: App) -> Any:
    """The application reads bodies within a task, for it may have to be ended; here there is none."""
    import asyncio

    task = object()
    asyncio.current_task = lambda loop=None: task  # type: ignore[assignment,return-value]
    app._sweeper = object()  # type: ignore[assignment]
    return app


if __name__ == "__main__":
    main()
