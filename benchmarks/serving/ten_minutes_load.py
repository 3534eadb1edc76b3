"""The callers of ten_minutes.py: questions at a rate, and what came true of them, until a file named `stop` appears.

    python -m benchmarks.serving.ten_minutes_load FOLDER --port 8080 --rate 1000 --late 100

Every question has an id of its own and is asked for one of 900,000 people. A thread posts outcomes in batches: two thirds of them a second
after the answer, the rest --late seconds after it; what is not due at the end is not posted. FOLDER/calls.npy holds every call,
FOLDER/outcomes.npy the hashes of the keys whose outcome was taken. Prints what load.py prints.
"""

from __future__ import annotations

import argparse
import gc
import http.client
import json
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from benchmarks.serving.load import Line, at_rate, exact_timer, first_id, id_of, request_of
from numpy.typing import NDArray

from gonogo.serving.rowkey import row_key

CALL = np.dtype([("at_s", "<f8"), ("latency_us", "<f8"), ("status", "<i4"), ("request", "<u8")])
CONTRACT = "/v1/contracts/trees"
BATCH = 500  # outcomes in one post
SOON_S = 1.0
STATUSES = {"broken": 0, "unanswered": -1}


class Asked(Sequence[bytes]):
    """Questions without end, decided now, each with an id of its own."""

    def __init__(self, url: str, rows: Sequence[str]) -> None:
        self._url, self._first = url, first_id()
        self._rests = [row[row.index('"x0"') :] for row in rows]
        self._random = random.Random(5)

    def id(self, turn: int) -> int:
        return id_of(self._first, turn)

    def __len__(self) -> int:
        return 1 << 62

    def __getitem__(self, turn: int) -> bytes:  # type: ignore[override]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        head = f'{{"id": {self.id(turn)}, "who": {self._random.randrange(100_000, 1_000_000)}, "asked_at": "{now}", '
        return request_of(self._url, (head + self._rests[turn % len(self._rests)]).encode())


class Callers:
    """What was answered, and which outcome is due when."""

    def __init__(self, asked: Asked, late_s: float) -> None:
        self.calls: list[tuple[float, float, int, int]] = []
        self.taken: list[int] = []  # ids whose outcome was taken
        self._asked, self._late_s = asked, late_s
        self._soon: deque[tuple[float, int, int]] = deque()  # when, id, what came true
        self._later: deque[tuple[float, int, int]] = deque()
        self._random = random.Random(6)
        self._began = time.perf_counter()
        self._over = threading.Event()

    def hear(self, line: Line, now: float) -> None:
        status = STATUSES[line.status] if line.status in STATUSES else int(line.status)
        request = 0
        if status == 200:
            body = bytes(line.got)
            at = body.index(b'"request":"') + 11
            request = int(body[at : at + 16], 16)
            at = body.index(b'{"p":') + 5
            came_true = int(self._random.random() < float(body[at : body.index(b"}", at)]))
            due = now + SOON_S if line.turn % 3 else now + self._late_s
            (self._soon if line.turn % 3 else self._later).append((due, self._asked.id(line.turn), came_true))
        self.calls.append((line.due - self._began, (now - line.due) * 1e6, status, request))

    def post(self, port: int) -> None:
        """Outcomes as they come due, until it is over. Raises RuntimeError where one is refused."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not self._over.is_set():
            rows = [row for due in (self._soon, self._later) for row in self._take(due)]
            if not rows:
                time.sleep(0.1)
                continue
            body = json.dumps({"rows": [{"id": number, "y": y} for _, number, y in rows]})
            connection.request("POST", f"{CONTRACT}/outcomes", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status != 200 or said["taken"] != len(rows):
                raise RuntimeError(f"{answer.status} {str(said)[:500]}")
            self.taken += [number for _, number, _ in rows]

    def _take(self, due: deque[tuple[float, int, int]]) -> list[tuple[float, int, int]]:
        rows: list[tuple[float, int, int]] = []
        while due and due[0][0] <= time.perf_counter() and len(rows) < BATCH:
            rows.append(due.popleft())
        return rows

    def end(self) -> None:
        self._over.set()


def read_calls(folder: Path) -> tuple[NDArray[np.void], NDArray[np.uint64]]:
    """Every call, and the keys whose outcome was taken."""
    return np.load(folder / "calls.npy"), np.load(folder / "outcomes.npy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--late", type=float, required=True, metavar="SECONDS")
    given = parser.parse_args()
    exact_timer()
    sys.setswitchinterval(0.0005)
    gc.disable()  # it would look through all calls so far, in the middle of somebody's latency
    url = f"http://127.0.0.1:{given.port}{CONTRACT}/predictions"
    asked = Asked(url, (given.folder / "bodies.jsonl").read_text().splitlines())
    callers = Callers(asked, given.late)
    poster = threading.Thread(target=callers.post, args=(given.port,))
    poster.start()
    stop = given.folder / "stop"
    seen, _ = at_rate(url, asked, rate=given.rate, seconds=1e9, hear=callers.hear, go_on=lambda: poster.is_alive() and not stop.exists())
    failed = not poster.is_alive()
    callers.end()
    poster.join()
    np.save(given.folder / "calls.npy", np.array(callers.calls, CALL))
    np.save(given.folder / "outcomes.npy", np.array([row_key((number,)) for number in callers.taken], np.uint64))
    json.dump(asdict(seen), sys.stdout)
    sys.exit(failed)


if __name__ == "__main__":
    main()
