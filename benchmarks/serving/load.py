"""What do callers see of a server: at a steady rate, and when it can take no more?

    python -m benchmarks.serving.load http://127.0.0.1:8080/v1/contracts/NAME/predictions --bodies FILE --rate 1000 --seconds 10
    python -m benchmarks.serving.load URL --bodies FILE --closed 32 --seconds 5

At a rate the loop is open: arrivals follow the clock (Poisson, or evenly with --even), and a latency counts from the moment at which a
request was meant to leave, so that a server that stalls is charged for everybody who waited. Closed, each of so many connections asks again
as soon as it is answered: that is saturation. One thread, plain sockets and `select`, whose timer knows microseconds; --bodies holds one
JSON body a line. A body with an `id` of eight digits is sent with another one each time, so that no request is that of an earlier row.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import random
import re
import select
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PR_SET_TIMERSLACK = 29
N_IDS = 90_000_000
GRACE_S = 10.0  # for the answers that are still out when the time is over


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What the callers saw."""

    sent: int
    answered: int
    statuses: dict[str, int]  # HTTP status, or "broken" for a connection that ended, "unanswered" for none at all
    seconds: float
    per_second: float
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float
    late_us: float  # p99 of how late the generator itself sent: its own part in the latencies

    @property
    def failed(self) -> int:
        """Requests that were not answered with 200."""
        return self.sent - self.statuses.get("200", 0)


@dataclass
class Line:
    """One connection, at most one request in flight."""

    address: tuple[str, int]
    sock: socket.socket | None = None
    turn: int = 0  # which request it carries
    due: float = 0.0
    got: bytearray = field(default_factory=bytearray)
    need: int = -1  # bytes of the whole answer; -1: not known yet
    status: str = ""

    def send(self, request: bytes, due: float) -> None:
        """Send a request; connects first where there is no connection."""
        self.due, self.need, self.status = due, -1, ""
        self.got.clear()
        if self.sock is not None and self._was_closed(self.sock):
            self.close()
        if self.sock is None:
            self.sock = socket.create_connection(self.address, timeout=GRACE_S)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(request)

    @staticmethod
    def _was_closed(sock: socket.socket) -> bool:
        """Did the server end this connection while nobody used it, as it may after a while?"""
        ready, _, _ = select.select([sock], [], [], 0)
        return bool(ready)  # nothing was asked, so this is no answer

    def read(self) -> bool:
        """Take what has come; True once the answer is whole or the connection broke."""
        assert self.sock is not None
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.close()
            self.status = "broken"
            return True
        self.got += data
        if self.need == -1 and not self._read_head():
            return False
        if self.need == -2:  # chunked
            return self.got.endswith(b"0\r\n\r\n")
        return len(self.got) >= self.need

    def _read_head(self) -> bool:
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.got[:end]).lower()
        self.status = head[9:12].decode()
        at = head.find(b"content-length:")
        if at >= 0:
            self.need = end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
        else:
            self.need = -2 if b"transfer-encoding: chunked" in head else end + 4
        return True

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
        self.sock = None


@dataclass
class Tally:
    """What has been seen so far."""

    sent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    hear: Callable[[Line, float], None] | None = None  # who else wants to know of an answer, and when it was whole

    def take(self, line: Line, now: float) -> None:
        self.statuses[line.status] += 1
        self.latencies.append(now - line.due)
        if self.hear is not None:
            self.hear(line, now)

    def seen(self, seconds: float) -> Seen:
        ordered, late = sorted(self.latencies), sorted(self.late)
        answered = len(self.latencies)
        return Seen(
            sent=self.sent,
            answered=answered,
            statuses=dict(self.statuses),
            seconds=seconds,
            per_second=answered / seconds,
            p50_us=_at(ordered, 0.5),
            p90_us=_at(ordered, 0.9),
            p99_us=_at(ordered, 0.99),
            p999_us=_at(ordered, 0.999),
            max_us=_at(ordered, 1.0),
            late_us=_at(late, 0.99),
        )


def request_of(url: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of one POST with keep-alive."""
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path or '/'} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Questions(Sequence[bytes]):
    """Requests in turn, for ever; an `id` of eight digits is another one each time."""

    _ID = re.compile(rb'"id": (\d{8})\b')

    def __init__(self, url: str, lines: Sequence[bytes], headers: dict[str, str] | None = None) -> None:
        self._parts = [self._cut(request_of(url, line, headers)) for line in lines]
        self._first = first_id()

    def _cut(self, request: bytes) -> tuple[bytes, bytes | None]:
        """What stands before and after the id; all of it and None where there is none."""
        found = self._ID.search(request)
        return (request, None) if found is None else (request[: found.start(1)], request[found.end(1) :])

    def __len__(self) -> int:
        return 1 << 62

    def __getitem__(self, turn: int) -> bytes:  # type: ignore[override]
        before, after = self._parts[turn % len(self._parts)]
        return before if after is None else b"%b%d%b" % (before, id_of(self._first, turn), after)


def first_id() -> int:
    """Where the ids of a run start: 10,000 of them a second are never told twice within two hours."""
    return time.time_ns() // 100_000 % N_IDS


def id_of(first: int, turn: int) -> int:
    """Eight digits."""
    return N_IDS // 9 + (first + turn) % N_IDS


def at_rate(
    url: str,
    requests: Sequence[bytes],
    *,
    rate: float,
    seconds: float,
    connections: int = 64,
    even: bool = False,
    seed: int = 1,
    hear: Callable[[Line, float], None] | None = None,
    go_on: Callable[[], bool] = lambda: True,
) -> tuple[Seen, Tally]:
    """An open loop: requests in turn at that rate, each counted from when it was due.

    hear: called with every answer. go_on: asked at each arrival; False ends it early.
    """
    rng = random.Random(seed)
    tally = Tally(hear=hear)
    free = [Line(_address(url)) for _ in range(connections)]
    busy: dict[int, Line] = {}
    waiting: deque[float] = deque()
    began = time.perf_counter()
    due, turn, asking, until = began, 0, True, began + seconds
    while asking or waiting or busy:
        now = time.perf_counter()
        while asking and due <= now:
            waiting.append(due)
            due += 1 / rate if even else rng.expovariate(rate)
            asking = due < until and go_on()
            until = until if asking else now
        while waiting and free:
            line = free.pop()
            line.turn = turn
            line_due = waiting.popleft()
            tally.late.append(time.perf_counter() - line_due)
            tally.sent += 1
            _start(line, requests[turn % len(requests)], line_due, busy, free, tally)
            turn += 1
        if not asking and now > until + GRACE_S:
            break
        _take_answers(busy, free, tally, max(0.0, due - time.perf_counter()) if asking else 0.2)
    for line in busy.values():
        line.status = "unanswered"
        tally.statuses[line.status] += 1
        if hear is not None:
            hear(line, time.perf_counter())
        line.close()
    took = time.perf_counter() - began
    for line in free:
        line.close()
    return tally.seen(took), tally


def saturate(url: str, requests: Sequence[bytes], *, connections: int, seconds: float) -> Seen:
    """A closed loop: every connection asks again once it is answered."""
    tally = Tally()
    free = [Line(_address(url)) for _ in range(connections)]
    busy: dict[int, Line] = {}
    began = time.perf_counter()
    turn = 0
    while (now := time.perf_counter()) < began + seconds or busy:
        while free and now < began + seconds:
            tally.sent += 1
            _start(free.pop(), requests[turn % len(requests)], time.perf_counter(), busy, free, tally)
            turn += 1
        if now > began + seconds + GRACE_S:
            break
        _take_answers(busy, free, tally, 0.2)
    took = time.perf_counter() - began
    for line in (*free, *busy.values()):
        line.close()
    return tally.seen(took)


def _start(line: Line, request: bytes, due: float, busy: dict[int, Line], free: list[Line], tally: Tally) -> None:
    try:
        line.send(request, due)
    except OSError:
        line.close()
        line.status = "broken"
        tally.take(line, time.perf_counter())
        free.append(line)
        return
    assert line.sock is not None
    busy[line.sock.fileno()] = line


def _take_answers(busy: dict[int, Line], free: list[Line], tally: Tally, patience: float) -> None:
    if not busy:
        time.sleep(min(patience, 0.2))
        return
    ready, _, _ = select.select(list(busy), [], [], patience)
    for number in ready:
        line = busy[number]
        if line.read():
            tally.take(line, time.perf_counter())
            del busy[number]
            free.append(line)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def _at(ordered: Sequence[float], share: float) -> float:
    """A quantile in microseconds; NaN of nothing."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e6 if ordered else float("nan")


def exact_timer() -> None:
    """Wake this process when it asked to be woken, not up to 50 µs later."""
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--bodies", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--closed", type=int, default=0, metavar="CONNECTIONS")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--even", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    given = parser.parse_args()
    if bool(given.rate) == bool(given.closed):
        parser.error("either --rate or --closed")
    exact_timer()
    headers = dict(one.split(":", 1) for one in given.header)
    requests = Questions(given.url, [line for line in given.bodies.read_bytes().splitlines() if line], headers)
    if given.closed:
        seen = saturate(given.url, requests, connections=given.closed, seconds=given.seconds)
    else:
        seen, _ = at_rate(
            given.url,
            requests,
            rate=given.rate,
            seconds=given.seconds,
            connections=given.connections,
            even=given.even,
            seed=given.seed,
        )
    json.dump(asdict(seen), sys.stdout)


if __name__ == "__main__":
    main()
