"""A folder that is served by real processes, and somebody who asks."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from gonogo.ledger import rollouts
from gonogo.serving.places import Places
from gonogo.serving.workerpage import Seen, living
from gonogo.types.release import Phase, Standing
from gonogo.workflow import rollout
from gonogo.workflow.workspace import open_stores

T = TypeVar("T")
NAME = "parcels"
TRAFFIC = """
[serving]
deadline_ms = 500.0
fallback = { p = 0.3 }

[rollout]
shares = [0.2, 1.0]
bake = "200ms"
shadow = "200ms"
patience = "60s"
probation = "400ms"
bucket_by = "parcel"

[[guardrails]]
name = "no more errors"
metric = "errors"
ratio_at_most = 2.0
rate_at_most = 0.1
"""


def wait_for(condition: Callable[[], T], *, timeout_s: float = 20.0, what: str = "") -> T:
    """What the condition gives, once it gives anything."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"it never came true: {what or condition}")


def question(n: int | None = None) -> dict[str, Any]:
    """A parcel that nobody asked about before."""
    name = f"q{random.getrandbits(48):x}" if n is None else f"q{n}"
    return {"parcel": name, "handed_in_at": "2024-06-14T00:00:00Z", "depot": random.choice(("ams", "ber", "cdg")), "weight_kg": 3.25}


class Served:
    """A running `gonogo serve`."""

    def __init__(self, folder: Path, *, workers: int = 2, environment: dict[str, str] | None = None) -> None:
        self.folder, self.places = folder, Places.of(folder)
        command = [sys.executable, "-m", "gonogo.cli.main", "serve", str(folder), "--port", "0", "--workers", str(workers)]
        self.log = (folder / "serve.log").open("w+")
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.log, env={**os.environ, **(environment or {})})
        self.workers = workers
        try:
            self._await()
        except BaseException:
            self.end()
            raise

    def _await(self) -> None:
        self.port = int(wait_for(lambda: re.search(r"http://127\.0\.0\.1:(\d+)", self.said()), what="a port")[1])
        wait_for(lambda: "ready after" in self.said(), what="ready")

    def said(self) -> str:
        return (self.folder / "serve.log").read_text()

    def pages(self) -> tuple[Seen, ...]:
        return living(self.places.workers)

    def controller(self) -> int:
        """The process of the controller; 0 where none holds the lock."""
        text = self.places.controller_lock.read_text().strip() if self.places.controller_lock.exists() else ""
        return int(text) if text and Path(f"/proc/{text}").exists() else 0

    def ask(self, body: Any = None, *, path: str = f"/v1/contracts/{NAME}/predictions", timeout_s: float = 10.0) -> tuple[int, Any]:
        return self.post(path, question() if body is None else body, timeout_s=timeout_s)

    def post(self, path: str, body: Any, *, timeout_s: float = 10.0) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            said = answer.read()
            return answer.status, json.loads(said) if answer.getheader("content-type") == "application/json" else said.decode()
        finally:
            connection.close()

    def standing(self) -> Standing | None:
        return standing(self.folder)

    def reaches(self, *phases: Phase, timeout_s: float = 40.0) -> Standing:
        """Where the rollout stands, once it is in one of these phases."""

        def look() -> Standing | None:
            now = self.standing()
            return now if now is not None and now.phase in phases else None

        try:
            found = wait_for(look, timeout_s=timeout_s)
        except AssertionError:
            situation = rollout.status(self.folder)
            raise AssertionError(
                f"it never reached {', '.join(phase.value for phase in phases)}: {situation.standing}\n"
                f"waits for: {situation.waits_for or 'nothing'}\n{situation.judgement}\n{situation.alarms}\n{self.said()}"
            ) from None
        assert found is not None
        return found

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        return self.process.returncode


class Callers:
    """Threads that ask one question after the other, each on a connection of its own."""

    def __init__(self, served: Served, *, n: int = 3, pause_s: float = 0.003) -> None:
        self.served, self.pause_s = served, pause_s
        self.answers: Counter[tuple[int, str, str]] = Counter()  # status, arm, by
        self.last_challenger_ns = 0
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(n)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=10)
        while not self._stop.is_set():
            try:
                connection.request(
                    "POST", f"/v1/contracts/{NAME}/predictions", json.dumps(question()), {"content-type": "application/json"}
                )
                answer = connection.getresponse()
                body = json.loads(answer.read())
                key = (answer.status, body.get("arm", ""), body.get("by", ""))
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                key = (0, "", type(error).__name__)
            with self._lock:
                self.answers[key] += 1
                if key[1] == "challenger":
                    self.last_challenger_ns = time.monotonic_ns()
            time.sleep(self.pause_s)
        connection.close()

    def n(self, status: int | None = None, arm: str | None = None, by: str | None = None) -> int:
        with self._lock:
            return sum(
                n for key, n in self.answers.items() if all(want in (None, got) for want, got in zip((status, arm, by), key, strict=True))
            )

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)


def standing(folder: Path) -> Standing | None:
    """By the ledger."""
    return rollouts.standing(entries(folder), NAME)


def entries(folder: Path) -> tuple[Any, ...]:
    return tuple(open_stores(folder)[2].entries())


@contextmanager
def serving(folder: Path, **how: Any) -> Iterator[Served]:
    served = Served(folder, **how)
    try:
        yield served
    finally:
        served.end()


@contextmanager
def calling(served: Served, **how: Any) -> Iterator[Callers]:
    callers = Callers(served, **how)
    try:
        yield callers
    finally:
        callers.end()
