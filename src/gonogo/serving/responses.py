"""How does an answer, or an error, become status, headers and bytes?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from gonogo.serving.questions import MalformedJson
from gonogo.types import errors
from gonogo.types.errors import GonogoError

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
TEXT = (b"content-type", b"text/plain; charset=utf-8")
_CLOSE = (b"connection", b"close")
# What a page of another origin could do with an answer that it got a browser to fetch.
SAFE: Headers = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]

# The class nearest to the error's own decides.
STATUS: Mapping[type[GonogoError], int] = {
    GonogoError: 500,
    errors.UserError: 422,
    MalformedJson: 400,
    errors.NotAuthenticated: 401,
    errors.NotPermitted: 403,
    errors.TooMuch: 413,
    errors.NothingThere: 404,
    errors.ReleaseRefused: 409,
    errors.OutcomeConflict: 409,
    errors.Unavailable: 503,
    errors.LogFailed: 503,
    errors.StorageFailed: 503,
    errors.LedgerBusy: 503,
    errors.ControllerBusy: 503,
    # It is recorded, and whether it is in force is not known: neither a success nor a refusal.
    errors.NotConfirmed: 504,
}
RETRY = frozenset({408, 429, 503, 504})  # statuses after which the same request may succeed
RETRY_AFTER_S = 1


class Refusal(GonogoError):
    """An error of HTTP alone, with its status: the code is that of the error that it tells."""

    def __init__(self, status: int, error: GonogoError, *, headers: Headers | None = None, close: bool = False) -> None:
        super().__init__(error.message, found=error.found, expected=error.expected, where=error.where, next=error.next)
        self.status = status
        self.error = error
        self.headers = headers or []
        self.close = close  # the rest of the request is not read


class Reply(NamedTuple):
    """What is sent. A named tuple, for one is made for every request."""

    status: int
    headers: Headers
    body: bytes
    lines: bytes = b""  # the headers as HTTP/1.1 writes them, where somebody has them ready


encode = msgspec.json.Encoder().encode


def json_reply(body: Any, status: int = 200, *, headers: Headers | None = None) -> Reply:
    """A JSON answer."""
    return bytes_reply(encode(body), status, headers=headers)


def bytes_reply(data: bytes, status: int = 200, *, content_type: tuple[bytes, bytes] = JSON, headers: Headers | None = None) -> Reply:
    """An answer of bytes that are there already."""
    return Reply(status, [content_type, (b"content-length", b"%d" % len(data)), *SAFE, *(headers or ())], data)


def status_of(error: GonogoError) -> int:
    """The HTTP status that tells this error.

    >>> status_of(errors.SourceEmpty("nothing")), status_of(errors.NotConfirmed("not yet"))
    (422, 504)
    """
    if isinstance(error, Refusal):
        return error.status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def error_reply(error: GonogoError, *, body: Any = None) -> Reply:
    """The error as its record, or as `body` where a protocol has a form of its own."""
    status = status_of(error)
    told = error.error if isinstance(error, Refusal) else error
    headers: Headers = list(error.headers) if isinstance(error, Refusal) else []
    if status in RETRY and not any(name == b"retry-after" for name, _ in headers):
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="gonogo"'))
    if isinstance(error, Refusal) and error.close:
        headers.append(_CLOSE)
    return json_reply(told.as_record() if body is None else body, status, headers=headers)


def unforeseen(error: BaseException) -> GonogoError:
    """What a caller is told of a failure that nobody foresaw: that it is ours, and nothing of the inside."""
    return GonogoError(
        "the server failed in a way that nobody foresaw",
        found=type(error).__name__,
        expected="an answer, or an error with a code",
        next="look at the server's log: it holds the whole story",
    )
