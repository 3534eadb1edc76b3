"""Which path asks for what, may the caller ask it, and what is sent back?

A raw ASGI 3 application: a request is matched to an endpoint, the caller is known, the body is read within its limits, the endpoint
answers, and whatever goes wrong becomes a status and a record. No endpoint knows of ASGI.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic_ns
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import parse_qsl

from gonogo.serving.access import Access, Caller
from gonogo.serving.desk import Desk
from gonogo.serving.limits import Rate, TooOften
from gonogo.serving.metrics import ENDPOINTS, Counters, NoCounters
from gonogo.serving.responses import Headers, Refusal, Reply, encode, error_reply, unforeseen
from gonogo.serving.service import Service
from gonogo.serving.settings import Settings
from gonogo.types.errors import GonogoError, NothingThere, RequestRefused, TooMuch

Scope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
T = TypeVar("T")
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

_JSON_TYPES = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")
_CHUNK = 256 << 10
_SWEEP_S = 0.5
_MOST_PATHS = 4096
_MOST_LINES_S = 100
_CLOSE = (b"connection", b"close")


class Incoming(Protocol):
    """A body that is still on its way."""

    most_bytes: int  # how long it may be: what it says itself, if it does

    async def read_to(self, write: Callable[[bytes], object]) -> None:
        """Give all of it to `write`, piece by piece and in a thread. Raises a Refusal for what is too long or comes too slowly."""


@dataclass(slots=True)
class Call:
    """One request as an endpoint sees it."""

    method: str
    path: str
    parts: Mapping[str, str]  # what stands for {name} in the path
    query_string: bytes
    body: bytes
    who: str
    began_ns: int
    incoming: Incoming | None = None  # of an endpoint that reads its body itself; None where it came whole, as `body`

    @property
    def query(self) -> dict[str, str]:
        """The last value of each name."""
        return dict(parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=100))


@dataclass(frozen=True, slots=True)
class FileReply:
    """A file that is sent in pieces."""

    path: Path
    content_type: str


Answered: TypeAlias = Reply | FileReply


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """What one method of one path does."""

    kind: int  # its place in metrics.ENDPOINTS
    scope: str  # "" for anybody, access.ANY for whoever is known, or a scope of keys.SCOPES
    run: Callable[[Call], Answered | Awaitable[Answered]]
    most_bytes: int = 0  # of the body; 0: it has none
    in_pieces: bool = False  # the endpoint reads a long body itself
    predicts: bool = False  # `run` is the predict of the desk that the path names: a caller may go to the desk itself
    tell: Callable[[GonogoError], Reply] = error_reply  # how this protocol writes an error


@dataclass(frozen=True, slots=True)
class Match:
    """A path that is there: what its methods do, and what stands for {name} in it."""

    methods: Mapping[str, Endpoint]
    parts: Mapping[str, str]
    allow: bytes  # the methods, as the header names them
    post: Endpoint | None  # of methods


class App:
    """The application of one worker."""

    def __init__(
        self,
        service: Service,
        *,
        settings: Settings | None = None,
        access: Access | None = None,
        counters: Counters | None = None,
        counters_folder: Path | None = None,
        log: Callable[[str], Any] | None = None,
        rate: Rate | None = None,
    ) -> None:
        """counters_folder: where all workers' counters lie, for `/metrics`. log: takes one line of JSON; by default standard error.

        rate: shared with other workers; by default that of the settings, for this one alone.
        """
        from gonogo.serving.endpoints import table

        self.service = service
        self.settings = settings or Settings()
        self.access = access or Access(hosts=self.settings.hosts)
        self.counters = counters or NoCounters(tuple(service.contracts))
        self.counters_folder = counters_folder
        self.in_flight = 0
        self.draining = False
        self.rate = rate
        if rate is None and self.settings.rate_per_s is not None:
            self.rate = Rate(per_s=self.settings.rate_per_s, burst_s=self.settings.burst_s)
        self._contracts: Mapping[str, Any] | None = None
        self._desks: dict[str, Desk] = {}
        self._table = table(self)
        self._matches: dict[str, Match] = {}
        self._reading: dict[asyncio.Task[Any], int] = {}  # task → until when its body must be there
        self._too_slow: set[asyncio.Task[Any]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._log = log or _to_stderr
        self._slow_ns = self.settings.slow_s * 1e9
        self._lanes: dict[bytes, Match] = {}
        self._lines_second = 0
        self._lines = 0
        self.reads_job = asyncio.Lock()  # a job's rows take many times the memory of their text: one at a time

    def desk(self, name: str) -> Desk:
        """Where the contract of that name is asked. Raises NothingThere."""
        contracts = self.service.contracts
        if contracts is not self._contracts:
            self._desks = {each: self._new_desk(each) for each in contracts}
            self._contracts = contracts
        desk = self._desks.get(name)
        if desk is None:
            raise NothingThere(
                f"no contract '{name[:60]}' is served here",
                found=name[:60],
                expected=", ".join(self._desks) or "no contract is served",
                where="path",
            )
        return desk

    def only_desk(self) -> Desk:
        """The desk of a server of one contract, for protocols whose path names none. Raises NothingThere."""
        names = list(self.service.contracts)
        if len(names) != 1:
            raise NothingThere(
                "this path names no contract, and not exactly one is served here",
                found=", ".join(names) or "none",
                expected="one contract",
                where="path",
                next="POST /v1/contracts/NAME/predictions",
            )
        return self.desk(names[0])

    def not_ready(self) -> str:
        """Why this worker should be sent nothing, in words; "" if it can answer."""
        if self.draining:
            return "the server is draining"
        if not self.service.contracts:
            return "no contract is served"
        waiting = sum(bool(served.not_ready()) for served in self.service.contracts.values())
        return f"{waiting} of {len(self.service.contracts)} contracts cannot be answered yet" if waiting else ""

    def drain(self) -> None:
        """From now on `/readyz` says no and connections are closed after their answer; what comes is still answered."""
        self.draining = True

    async def drained(self, timeout_s: float) -> bool:
        """Wait until no request is under way, at most so long; whether that was reached."""
        until = monotonic_ns() + int(timeout_s * 1e9)
        while self.in_flight and monotonic_ns() < until:
            await asyncio.sleep(0.005)
        return not self.in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await _lifespan(scope, receive, send)
            return
        began_ns = monotonic_ns()
        path, method = scope["path"], scope["method"]
        match = self._matches.get(path) or self._find(path)
        headers = dict(scope["headers"])
        self._enter(1)
        try:
            said = await self._answer(match, method, path, headers, scope["query_string"], receive, began_ns)
            if said is not None:
                await self._send(said, method, send)
        finally:
            self._enter(-1)

    def lane(self, url: bytes) -> Match | None:
        """The endpoint of a small POST that came whole, for a server that can do without a task; None where there is none."""
        match = self._lanes.get(url)
        if match is None and b"%" not in url and b"?" not in url:
            found = self._find(url.decode("latin-1"))
            if found.post is not None and len(self._lanes) < _MOST_PATHS and len(url) < 256:
                match = self._lanes[url] = found
        return match

    def answer(self, match: Match, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes) -> Reply | Awaitable[Reply]:
        """What `__call__` would send to a POST of `lane` with this body: at once, or where something takes long, later."""
        began_ns = monotonic_ns()
        endpoint = match.post
        assert endpoint is not None
        who = ""
        error: Exception | None = None
        try:
            if headers.get(b"content-type") != _JSON_TYPES[0] or len(body) > endpoint.most_bytes:
                self._check_body(headers, endpoint)
            caller = self.access.known(headers, began_ns)
            if caller is None:
                self._enter(1)
                return self._answer_later(self._checked(match, method, path, headers, body, began_ns), endpoint, path, began_ns)
            who = caller.who
            if endpoint.scope not in caller.scopes:
                caller.check(endpoint.scope)
            # What is answered before anybody else gets a turn is never under way.
            if self.in_flight - len(self._reading) >= self.settings.max_in_flight:
                raise _too_busy(self.settings.max_in_flight)
            if endpoint.predicts:
                made: Answered | Awaitable[Answered] = self.desk(match.parts["name"]).predict(body, who, began_ns)
            else:
                made = endpoint.run(Call(method, path, match.parts, b"", body, who, began_ns))
            if type(made) is not Reply:
                self._enter(1)
                return self._answer_later(_only_replies(made), endpoint, path, began_ns, who)
            reply = made
        except Exception as caught:
            reply, error = self._tell(endpoint, caught), caught
        self.counters.request(endpoint.kind, reply[0])
        took_ns = monotonic_ns() - began_ns
        if error is not None or took_ns > self._slow_ns:
            self._note(method, path, reply[0], took_ns, who, error)
        return reply

    async def _answer_later(self, made: Awaitable[Reply], endpoint: Endpoint, path: str, began_ns: int, who: str = "") -> Reply:
        error = None
        try:
            reply = await made
        except Exception as caught:
            reply, error = self._tell(endpoint, caught), caught
        finally:
            self._enter(-1)
        self._done(endpoint, "POST", path, reply.status, began_ns, who, error)
        return reply

    async def _checked(self, match: Match, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes, began_ns: int) -> Reply:
        """The answer to somebody whose token must be checked first."""
        assert match.post is not None
        caller = await self.access.check(headers)
        self._admit(caller, match.post)
        made = match.post.run(Call(method, path, match.parts, b"", body, caller.who, began_ns))
        return await _only_replies(made)

    async def _answer(
        self,
        match: Match,
        method: str,
        path: str,
        headers: Mapping[bytes, bytes],
        query_string: bytes,
        receive: Receive,
        began_ns: int,
    ) -> Answered | None:
        """The answer to any request; None where the caller went away."""
        endpoint = match.methods.get(method)
        who, body, incoming = "", b"", _Incoming(receive, _has_body(headers))
        reply: Answered
        error: Exception | None = None
        try:
            if endpoint is None:
                reply = await self._no_endpoint(match, method, headers, began_ns)
            else:
                if endpoint.scope:
                    caller = self.access.known(headers, began_ns) or await self.access.check(headers)
                    who = caller.who
                    self._admit(caller, endpoint)
                pieces = None
                if endpoint.most_bytes:
                    length = self._check_body(headers, endpoint)
                    if endpoint.in_pieces:
                        pieces = _Pieces(self, incoming, length or endpoint.most_bytes)
                    else:
                        body = await self._in_time(_read(incoming, endpoint.most_bytes))
                made = endpoint.run(Call(method, path, match.parts, query_string, body, who, began_ns, pieces))
                reply = made if isinstance(made, Reply | FileReply) else await made
        except _Gone:
            return None
        except Exception as caught:
            reply, error = self._tell(endpoint, caught), caught
        self._done(endpoint, method, path, reply.status if isinstance(reply, Reply) else 200, began_ns, who, error)
        if incoming.more and isinstance(reply, Reply) and _CLOSE not in reply.headers and not await self._discard(headers, incoming):
            reply = Reply(reply.status, [*reply.headers, _CLOSE], reply.body)
        return reply

    def _admit(self, caller: Caller, endpoint: Endpoint) -> None:
        """Whether this caller may, and whether there is room. Raises NotPermitted or TooMuch."""
        if endpoint.scope not in caller.scopes:
            caller.check(endpoint.scope)
        # Whose body is still on its way takes nothing from the others.
        if self.in_flight - len(self._reading) > self.settings.max_in_flight:
            raise _too_busy(self.settings.max_in_flight)

    def _done(
        self, endpoint: Endpoint | None, method: str, path: str, status: int, began_ns: int, who: str, error: Exception | None
    ) -> None:
        """Count the request, and write a line if there is something to say."""
        self.counters.request(endpoint.kind if endpoint is not None else _UNKNOWN, status)
        took_ns = monotonic_ns() - began_ns
        if error is not None or took_ns > self._slow_ns:
            self._note(method, path, status, took_ns, who, error)

    def _enter(self, change: int) -> None:
        self.in_flight += change
        self.counters.in_flight(change)

    def _find(self, path: str) -> Match:
        """The endpoints of a path; those of a path that exists are remembered."""
        for pattern, methods in self._table:
            if found := pattern.fullmatch(path):
                allow = ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
                heads = {"HEAD": methods["GET"]} if "GET" in methods else {}
                match = Match({**methods, **heads}, found.groupdict(), allow.encode(), methods.get("POST"))
                # Whoever asks chooses the path: what is remembered is bounded.
                if len(self._matches) < _MOST_PATHS and len(path) < 256:
                    self._matches[path] = match
                return match
        return _NO_MATCH

    async def _no_endpoint(self, match: Match, method: str, headers: Mapping[bytes, bytes], began_ns: int) -> Reply:
        """A path that is not there, or a method that it does not have."""
        if match.allow and method == "OPTIONS":
            return Reply(204, [(b"allow", match.allow), (b"content-length", b"0")], b"")
        if self.access.asks(began_ns) and self.access.known(headers, began_ns) is None:
            await self.access.check(headers)
        if not match.allow:
            raise NothingThere("this path is not served here", expected="a path of /openapi.json", where="path", next="GET /openapi.json")
        error = NothingThere(f"this path does not take {method[:20]}", found=method[:20], expected=match.allow.decode(), where="method")
        raise Refusal(405, error, headers=[(b"allow", match.allow)])

    def _check_body(self, headers: Mapping[bytes, bytes], endpoint: Endpoint) -> int:
        """How long the body says it is, 0 where it does not. Raises a Refusal for what is no JSON or too long."""
        content_type = headers.get(b"content-type", b"")
        # A page of another origin can make a browser send text or a form without asking, but not JSON.
        if content_type not in _JSON_TYPES and not _is_json(content_type):
            error = RequestRefused(
                "the body must be declared as JSON",
                found=content_type.decode("latin-1")[:60] or "no header content-type",
                expected="content-type: application/json",
                where="header content-type",
            )
            raise Refusal(415, error)
        length = headers.get(b"content-length", b"")
        n_bytes = int(length) if length.isdigit() else 0
        if n_bytes > endpoint.most_bytes:
            raise _too_long(endpoint.most_bytes)
        return n_bytes

    async def _in_time(self, reading: Coroutine[Any, Any, T]) -> T:
        """What is read of a body. Raises a Refusal where it comes too slowly, and _Gone."""
        task = asyncio.current_task()
        assert task is not None
        if len(self._reading) >= self.settings.max_in_flight:
            self._end_slowest()
        self._reading[task] = monotonic_ns() + int(self.settings.body_timeout_s * 1e9)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
        try:
            return await reading
        except asyncio.CancelledError:
            if task not in self._too_slow:
                raise
            task.uncancel()
            slow = TooMuch(
                "the body came too slowly",
                found="a part of it",
                expected=f"all of it within {self.settings.body_timeout_s:g} s, sooner while many others send theirs",
                where="body",
            )
            raise Refusal(408, slow, close=True) from None
        finally:
            del self._reading[task]
            self._too_slow.discard(task)

    def _end_slowest(self) -> None:
        """Whoever has been sending for longest makes room: bodies that never come keep nobody out."""
        for task in self._reading:
            if task not in self._too_slow:
                self._too_slow.add(task)
                task.cancel()
                return

    async def _discard(self, headers: Mapping[bytes, bytes], incoming: _Incoming) -> bool:
        """Whether the rest of a body that nobody wants was read to its end.

        Who is still sending would not see the answer if the connection were closed at once. Who waits to be told to send is not told to.
        """
        length = headers.get(b"content-length", b"")
        if b"expect" in headers or (length.isdigit() and int(length) > self.settings.max_job_bytes):
            return False
        try:
            return await self._in_time(_forget(incoming, self.settings.max_job_bytes))
        except (Refusal, _Gone):
            return False

    def _sweep(self) -> None:
        """End the requests whose bodies do not come: one timer for all, for one each would cost every request a microsecond."""
        now_ns = monotonic_ns()
        for task, until_ns in list(self._reading.items()):
            if now_ns > until_ns and task not in self._too_slow:
                self._too_slow.add(task)
                task.cancel()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep) if self._reading else None

    def _tell(self, endpoint: Endpoint | None, error: Exception) -> Reply:
        told = error if isinstance(error, GonogoError) else unforeseen(error)
        if isinstance(told, TooOften):
            told = Refusal(429, told, headers=[(b"retry-after", b"%d" % max(1, round(told.wait_s + 0.5)))])
        reply = (endpoint.tell if endpoint is not None else error_reply)(told)
        return Reply(reply.status, [*reply.headers, (b"x-request-id", os.urandom(8).hex().encode())], reply.body)

    async def _send(self, reply: Answered, method: str, send: Send) -> None:
        if isinstance(reply, FileReply):
            await _send_file(reply, method, send)
            return
        headers = [*reply.headers, _CLOSE] if self.draining else reply.headers
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else reply.body})

    def _note(self, method: str, path: str, status: int, took_ns: int, who: str, error: Exception | None) -> None:
        """A line of the access log: of errors of ours, of refused callers and of what was slow. A flood is cut, and says so."""
        if status < 500 and status not in (401, 403, 408, 429) and took_ns <= self._slow_ns:
            return
        second = monotonic_ns() // 1_000_000_000
        if second != self._lines_second:
            cut, self._lines_second, self._lines = self._lines - _MOST_LINES_S, second, 0
            if cut > 0:
                self._log(encode({"event": "lines_left_out", "lines": cut}).decode())
        self._lines += 1
        if self._lines > _MOST_LINES_S:
            return
        line: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": "request",
            "method": method[:20],
            "path": path[:200],
            "status": status,
            "ms": round(took_ns / 1e6, 3),
            "who": who,
        }
        if isinstance(error, GonogoError):
            told = error.error if isinstance(error, Refusal) else error
            line |= {"code": told.code, "message": told.message, "found": told.found[:200], "where": told.where[:200]}
        elif error is not None:
            line |= {"message": f"{type(error).__name__}: {error}"[:500], "trace": "".join(traceback.format_exception(error))[-4000:]}
        self._log(encode(line).decode())

    def _new_desk(self, name: str) -> Desk:
        counted = self.counters if name in self.counters.contracts else NoCounters((name,))
        return Desk(self.service.contracts[name], self.settings, counted.of(name), self.rate)


class _Gone(Exception):
    """The caller went away before the body was there."""


class _Incoming:
    """A body, piece by piece."""

    __slots__ = ("_receive", "more")

    def __init__(self, receive: Receive, more: bool) -> None:
        self._receive = receive
        self.more = more  # whether a part of it was not read

    async def piece(self) -> bytes:
        """The next piece; empty where there is no body. Raises _Gone."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        self.more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


class _Pieces:
    """The body of an endpoint that reads it itself."""

    __slots__ = ("_app", "_body", "most_bytes")

    def __init__(self, app: App, body: _Incoming, most_bytes: int) -> None:
        self._app, self._body, self.most_bytes = app, body, most_bytes

    async def read_to(self, write: Callable[[bytes], object]) -> None:
        await self._app._in_time(_pass_on(self._body, self.most_bytes, write))


def pattern_of(path: str) -> re.Pattern[str]:
    """The expression that a path with {names} is.

    >>> pattern_of("/v2/models/{name}/infer").fullmatch("/v2/models/flights/infer").groupdict()
    {'name': 'flights'}
    """
    parts = re.split(r"(\{\w+\})", path)
    return re.compile("".join(f"(?P<{part[1:-1]}>[^/]+?)" if part.startswith("{") else re.escape(part) for part in parts))


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


def _is_json(content_type: bytes) -> bool:
    kind, _, parameter = content_type.lower().partition(b";")
    name, _, charset = parameter.strip().partition(b"=")
    return kind.strip() == b"application/json" and (name != b"charset" or charset.strip(b'"') == b"utf-8")


async def _only_replies(made: Answered | Awaitable[Answered]) -> Reply:
    """No path that takes a body answers with a file."""
    reply = made if isinstance(made, Reply | FileReply) else await made
    assert isinstance(reply, Reply)
    return reply


async def _read(incoming: _Incoming, most_bytes: int) -> bytes:
    """The whole body. Raises a Refusal for what is too long, and _Gone."""
    body = await incoming.piece()
    pieces, size = [body], len(body)
    while size <= most_bytes:
        if not incoming.more:
            return body if len(pieces) == 1 else b"".join(pieces)
        pieces.append(await incoming.piece())
        size += len(pieces[-1])
    raise _too_long(most_bytes)


async def _pass_on(incoming: _Incoming, most_bytes: int, write: Callable[[bytes], object]) -> None:
    """The whole body, in pieces that are worth a thread: a slow disk stops nobody. Raises a Refusal for what is too long, and _Gone."""
    size, held = 0, bytearray()
    while True:
        piece = await incoming.piece()
        size += len(piece)
        if size > most_bytes:
            raise _too_long(most_bytes)
        held += piece
        if held and (not incoming.more or len(held) >= _CHUNK):
            await asyncio.to_thread(write, bytes(held))
            held.clear()
        if not incoming.more:
            return


async def _forget(incoming: _Incoming, most_bytes: int) -> bool:
    """Whether the rest of a body came to its end within so many bytes. Raises _Gone."""
    size = 0
    while incoming.more and size <= most_bytes:
        size += len(await incoming.piece())
    return not incoming.more


async def _send_file(reply: FileReply, method: str, send: Send) -> None:
    with reply.path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        headers: Headers = [(b"content-type", reply.content_type.encode("latin-1")), (b"content-length", b"%d" % size)]
        headers += [(b"x-content-type-options", b"nosniff"), (b"x-request-id", os.urandom(8).hex().encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        left = 0 if method == "HEAD" else size
        while left and (piece := file.read(min(left, _CHUNK))):
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        if not size or method == "HEAD":
            await send({"type": "http.response.body", "body": b""})


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1003})
        return
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _too_long(most_bytes: int) -> Refusal:
    error = TooMuch("the body is too long", found=f"more than {most_bytes:,} bytes", expected=f"at most {most_bytes:,} bytes", where="body")
    return Refusal(413, error)


def _too_busy(most: int) -> Refusal:
    found, expected = f"more than {most}", f"at most {most} at a time"
    error = TooMuch("too many requests are under way", found=found, expected=expected, where="server", next="come back in 1 s")
    return Refusal(503, error)


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")


_UNKNOWN = ENDPOINTS.index("unknown")
_NO_MATCH = Match({}, {}, b"", None)
