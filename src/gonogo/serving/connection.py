"""How long may a caller take, and how is a small question answered without the detour through a task?

uvicorn's HTTP protocol with two additions. Who sends a request byte by byte, or never reads its answer, is cut off by one timer for all
connections. And a small POST is answered where its last byte is read: no scope, no task, no queue, a third of the processor's time; what is
not small, not whole or not alone on its connection takes uvicorn's own way. Both ways call the same application, and one test runs on both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from time import monotonic
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gonogo.serving.responses import Refusal, Reply, error_reply
from gonogo.types.errors import TooMuch

if TYPE_CHECKING:
    import uvicorn

    from gonogo.serving.app import App, Match

_SWEEP_S = 0.5
_SMALL_BYTES = 64 << 10  # a longer body is read by the application, which asks who sends it first


_ONCE = (b"host", b"authorization", b"content-type")  # of two, a proxy might go by the first and we by the last
_OFFERS = (b"upgrade", b"http2-settings")  # headers by which a client offers to speak something else


class _Trailers(list[tuple[bytes, bytes]]):
    """Where headers go that come behind a body: nowhere. Who asks, and under which name, was said before it."""

    def append(self, item: tuple[bytes, bytes]) -> None:
        """Forget it."""


class _Pending:
    """Stands where uvicorn keeps the request that is answered at the moment, so that it queues what is sent meanwhile."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True
        self.message_event = asyncio.Event()


class GuardedProtocol(HttpToolsProtocol):
    """One connection. `guarded` makes the class that knows its application."""

    serves: App  # set by `guarded`
    sweeper: asyncio.TimerHandle | None = None
    quick = True

    def __init__(self, config: uvicorn.Config, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._waits_since = 0.0  # a request began, or the connection did, and its head is not whole; 0: nothing is awaited
        self._idle_since = 0.0  # between two requests
        self._stuck_since = 0.0  # the caller does not read
        self._head_bytes = self._chunk = 0
        self._lane: Match | None = None
        self._offers = False  # to speak something else: declined, see `_decline`
        self._body = b""
        self._defaults: Any = None
        self._rendered = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connected: beyond the limit they are told to come back."""
        super().connection_made(transport)
        self._waits_since = monotonic()
        cls = type(self)
        if cls.sweeper is None:
            cls.sweeper = self.loop.call_later(_SWEEP_S, cls.sweep, self.connections, self.loop)
        if len(self.connections) > self.serves.settings.max_connections:
            self._refuse(503, "too many connections", f"at most {self.serves.settings.max_connections}")

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._idle_since:
            self._waits_since, self._idle_since = monotonic(), 0.0
        self._chunk = len(data)
        self._head_bytes += self._chunk
        self._feed(data)
        if self._lane is None and self._head_bytes > self.serves.settings.max_head_bytes:
            self._refuse(431, "the request's head is too long", f"at most {self.serves.settings.max_head_bytes:,} bytes")

    def _feed(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])

    def _decline(self, rest: bytes) -> None:
        """Read the request again as if it offered nothing: Java's client offers HTTP/2 with its first request, body and all."""
        self._offers = False
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("Invalid HTTP request received.")
            return
        head = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(word for word in map(bytes.strip, value.split(b",")) if word.lower() not in _OFFERS)
            if name not in _OFFERS and (value or name != b"connection"):
                head.append(b"%b: %b" % (name, value))
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"\r\n".join([*head, b"", rest]))

    def on_message_begin(self) -> None:
        """A request begins: uvicorn's scope is made only if the request takes its way."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._head_bytes = 0  # of the pieces to come that are no body; a head within one piece is measured when it is whole
        if not self._waits_since:
            self._waits_since = monotonic()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self.transport.is_closing():
            raise ValueError("refused")  # the last answer said that no other follows: the parser stops
        if self.parser.should_upgrade():
            self._offers = True
            return
        self._waits_since = 0.0
        settings = self.serves.settings
        if len(self.headers) > settings.max_headers or self._chunk > settings.max_head_bytes:
            self._check_head()
        self._lane = self._quick_lane()
        if self._lane is not None:
            self._body = b""
            self._waits_since = monotonic()  # for the body
            return
        self._check_once()
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        self.headers = _Trailers()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._lane is None:
            self._head_bytes = 0
            super().on_body(body)
        else:
            self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        """The request is whole."""
        lane = self._lane
        self._head_bytes = 0
        if self._offers:
            return
        if lane is None:
            super().on_message_complete()
            if self.cycle.response_complete:  # it was answered before its body was read: only now is the connection idle
                self._waits_since, self._idle_since = 0.0, monotonic()
            return
        self._lane = None
        self._waits_since = 0.0
        headers = dict(self.headers)
        if len(headers) != len(self.headers):
            self._check_once()
        made = self.serves.answer(lane, "POST", self.url.decode("latin-1"), headers, self._body)
        if isinstance(made, Reply):
            self._write(made, keep=True)
            self.server_state.total_requests += 1
            self._idle_since = monotonic()
        else:
            pending = _Pending()
            self.cycle = pending  # type: ignore[assignment]
            task = self.loop.create_task(self._write_later(made, pending))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)

    def on_response_complete(self) -> None:
        """An answer was sent by uvicorn's way: what is idle is swept, not timed."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if not self.pipeline:
            self._idle_since = monotonic()

    @classmethod
    def sweep(cls, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Cut off who is too slow. One timer for all connections."""
        now = monotonic()
        for connection in list(connections):
            if isinstance(connection, GuardedProtocol):
                connection.look(now)
        cls.sweeper = loop.call_later(_SWEEP_S, cls.sweep, connections, loop) if connections else None

    def look(self, now: float) -> None:
        """Whether this connection has had its time."""
        settings = self.serves.settings
        if self._lane is not None and now - self._waits_since > settings.body_timeout_s:
            self._refuse(408, "the body came too slowly", f"all of it within {settings.body_timeout_s:g} s")
        elif self._lane is None and self._waits_since and now - self._waits_since > settings.head_timeout_s:
            self._refuse(408, "the head of a request came too slowly", f"all of it within {settings.head_timeout_s:g} s")
        elif self._idle_since and now - self._idle_since > settings.keep_alive_s:
            self.transport.close()
        if not self.flow.write_paused:
            self._stuck_since = 0.0
        elif not self._stuck_since:
            self._stuck_since = now
        elif now - self._stuck_since > settings.body_timeout_s:
            self.transport.abort()

    def _quick_lane(self) -> Match | None:
        """The endpoint, where this request can be answered at once when it is whole."""
        if (
            not self.quick
            or self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or not self.parser.should_keep_alive()
            or self.expect_100_continue
            or self.pipeline
            or self.flow.write_paused
            or not (self.cycle is None or self.cycle.response_complete)
            or self.serves.draining
        ):
            return None
        for name, value in self.headers:
            if name == b"content-length":
                return self.serves.lane(self.url) if value.isdigit() and int(value) <= _SMALL_BYTES else None
        return None

    def _write(self, reply: Reply, *, keep: bool) -> None:
        if reply.lines and keep:
            defaults = self._rendered if self.server_state.default_headers is self._defaults else self._default_headers()
            self.transport.write(b"%b%b%b\r\n%b" % (STATUS_LINE[reply.status], defaults, reply.lines, reply.body))
            return
        parts = [STATUS_LINE[reply.status], self._default_headers()]
        for name, value in reply.headers:
            if name == b"connection":
                keep = False
                continue
            parts += (name, b": ", value, b"\r\n")
        if not keep:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", reply.body)
        self.transport.write(b"".join(parts))
        if not keep:
            self.transport.close()

    async def _write_later(self, made: Awaitable[Reply], pending: _Pending) -> None:
        try:
            reply = await made
        except BaseException:  # the server is stopped
            self.transport.close()
            raise
        finally:
            pending.response_complete = True
        if pending.disconnected or self.transport.is_closing():
            return
        self._write(reply, keep=pending.keep_alive)
        self.on_response_complete()

    def _default_headers(self) -> bytes:
        defaults = self.server_state.default_headers
        if defaults is not self._defaults:
            self._defaults = defaults
            self._rendered = b"".join(name + b": " + value + b"\r\n" for name, value in defaults)
        return self._rendered

    def _check_once(self) -> None:
        names = [name for name, _ in self.headers]
        if any(names.count(name) > 1 for name in _ONCE):
            raise ValueError("a header stands twice")  # the parser stops: 400

    def _check_head(self) -> None:
        """Whether a head that came with more, in one piece, is itself too long."""
        settings = self.serves.settings
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > settings.max_head_bytes or len(self.headers) > settings.max_headers:
            self._refuse(
                431, "the request's head is too long", f"at most {settings.max_head_bytes:,} bytes, {settings.max_headers} headers"
            )
            raise ValueError("refused")  # the parser stops; the answer is written

    def _refuse(self, status: int, message: str, expected: str) -> None:
        if self.transport.is_closing():
            return
        is_next = bool(self._waits_since)  # what is refused is no part of the request that is answered at the moment
        self._waits_since = self._idle_since = 0.0
        if is_next and self._lane is None and self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # words would be taken for the answer that is still to come
            return
        error = TooMuch(message, found="more than that", expected=expected, where="connection")
        self._write(error_reply(Refusal(status, error)), keep=False)

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what is no HTTP, unless something was said already."""
        if not self.transport.is_closing():
            super().send_400_response(msg)


def guarded(app: App, *, quick: bool = True) -> type[GuardedProtocol]:
    """The protocol for uvicorn's `http` setting. quick: whether small requests are answered on the spot."""
    return type("Guarded", (GuardedProtocol,), {"serves": app, "quick": quick})


def config(app: App, *, quick: bool = True, **more: Any) -> uvicorn.Config:
    """uvicorn's settings for the application: no access log, no websockets, uvloop where it is installed."""
    import uvicorn

    return uvicorn.Config(
        app,
        http=guarded(app, quick=quick),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",  # the application writes its own lines
        server_header=False,
        date_header=True,
        timeout_keep_alive=int(app.settings.keep_alive_s) + 1,
        timeout_graceful_shutdown=int(app.settings.drain_s),
        backlog=2048,
        **more,
    )
