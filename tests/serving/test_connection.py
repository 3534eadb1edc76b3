"""What becomes of connections that are slow, long, broken, or ask several things at once?"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Awaitable

import httpx
import pytest

from gonogo.serving.app import App
from gonogo.serving.service import Answer, Question
from gonogo.serving.settings import Settings
from tests.serving.live import serve, talk
from tests.serving.surface import FakeContract, FakeService
from tests.serving.test_app import ASK, ROW

BODY = json.dumps(ROW).encode()
HURRIED = Settings(head_timeout_s=0.3, body_timeout_s=0.3, keep_alive_s=0.3, max_head_bytes=4096, max_headers=20, max_connections=8)


def post(body: bytes = BODY, *, path: str = ASK, more: bytes = b"", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n".encode()
    return head + more + b"\r\n" + body


@pytest.fixture(params=[True, False], ids=["quick", "asgi"])
def quick(request):
    return request.param


def test_a_body_that_does_not_come_is_408_and_others_are_answered_meanwhile(quick):
    with serve(App(FakeService(), settings=HURRIED), quick=quick) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as slow:
            slow.sendall(post(BODY[:10], length=len(BODY)))
            assert httpx.post(f"http://127.0.0.1:{port}{ASK}", json=ROW, trust_env=False).status_code == 200
            assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert talk(port, post(BODY[:10], length=100_000)).startswith(b"HTTP/1.1 408 ")  # too long for the quick way


@pytest.mark.parametrize("beginning", [b"", b"P", b"POST / HTTP/1.1\r\nhost: local", b"\r\n"])
def test_a_head_that_does_not_come_is_cut_off(quick, beginning):
    with serve(App(FakeService(), settings=HURRIED), quick=quick) as port:
        assert talk(port, beginning).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_comes_byte_by_byte_is_cut_off_all_the_same():
    with serve(App(FakeService(), settings=HURRIED)) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as slow:
        slow.settimeout(0.05)
        said, until = b"", time.monotonic() + 5
        while not said and time.monotonic() < until:
            slow.sendall(b"x")
            try:
                said = slow.recv(4096)
            except TimeoutError:
                continue
        assert said.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 "))


def test_an_idle_connection_is_closed_without_a_word_and_drops_of_nothing_do_not_keep_it(quick):
    with serve(App(FakeService(), settings=HURRIED), quick=quick) as port:
        said = talk(port, post())
        assert said.startswith(b"HTTP/1.1 200 ")
        assert b"408" not in said.split(b"\r\n\r\n")[-1]
        assert talk(port, post() + b"\r\n").count(b"HTTP/1.1 ") <= 2


@pytest.mark.parametrize("head", [b"x: " + b"a" * 5000 + b"\r\n", b"".join(b"x%d: y\r\n" % i for i in range(30))])
def test_a_head_that_is_too_long_is_431(quick, head):
    with serve(App(FakeService(), settings=HURRIED), quick=quick) as port:
        assert talk(port, post(more=head)).startswith(b"HTTP/1.1 431 ")


def test_a_head_without_end_is_431():
    settings = Settings(max_head_bytes=4096)
    with serve(App(FakeService(), settings=settings)) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as endless:
        endless.sendall(b"POST / HTTP/1.1\r\nx: ")
        said = b""
        try:
            for _ in range(2000):
                endless.sendall(b"a" * 4096)
            said = endless.recv(4096)
        except (BrokenPipeError, ConnectionResetError):
            said = b"HTTP/1.1 431 "  # it was closed while we were still sending
        assert said.startswith(b"HTTP/1.1 431 ")


def test_connections_beyond_the_limit_are_told_to_come_back():
    with serve(App(FakeService(), settings=Settings(max_connections=2))) as port:
        held = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(2)]
        try:
            assert talk(port, b"").startswith(b"HTTP/1.1 503 ")
            held[0].sendall(post())
            assert held[0].recv(4096).startswith(b"HTTP/1.1 200 ")
        finally:
            for each in held:
                each.close()


class Slow(FakeContract):
    """Its answers come later, each one sooner than the one before."""

    def predict(self, question: Question, began_ns: int) -> Answer | Awaitable[Answer]:  # type: ignore[override]
        answer = FakeContract.predict(self, question, began_ns)

        async def later() -> Answer:
            await asyncio.sleep(0.05 / self.n_answered)
            return answer

        return later()


@pytest.mark.parametrize("contract", [FakeContract, Slow])
def test_requests_that_are_sent_at_once_are_answered_in_their_order(quick, contract):
    mixed = post() * 3 + b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n" + post() + post(b"{") + post(more=b"connection: close\r\n")
    with serve(App(FakeService(contract())), quick=quick) as port:
        said = talk(port, mixed)
    assert re.findall(rb"HTTP/1\.1 (\d+)", said) == [b"200"] * 5 + [b"400", b"200"]
    ids = [int(each, 16) for each in re.findall(rb"x-request-id: (0000000\w+)", said)]
    assert ids == [1, 2, 3, 4, 5]


def test_a_request_that_comes_in_pieces_is_one_request(quick):
    with serve(App(FakeService()), quick=quick) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as pieces:
        pieces.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post():
            pieces.sendall(bytes([byte]))
        assert pieces.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "more", [b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n", b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n%b"]
)
def test_chunks_and_expectations_take_the_long_way_to_the_same_answer(quick, more):
    head = f"POST {ASK} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n".encode()
    with serve(App(FakeService()), quick=quick) as port:
        said = talk(port, head + more % (len(BODY), BODY))
    assert b"HTTP/1.1 200 OK" in said
    assert b'"answer":{"p":0.5}' in said


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"POST http:// HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400_and_closes(quick, data):
    with serve(App(FakeService()), quick=quick) as port:
        assert talk(port, data).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("data", [post(length=4, more=b"content-length: 10\r\n"), post(more=b"transfer-encoding: chunked\r\n")])
def test_two_lengths_of_one_request_are_refused(quick, data):
    """Two servers in a row could otherwise disagree where the next request begins."""
    with serve(App(FakeService()), quick=quick) as port:
        assert talk(port, data).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("second", [b"host: localhost\r\n", b"content-type: application/json\r\n"])
@pytest.mark.parametrize("method", [b"POST", b"GET"])
def test_a_header_that_says_who_asks_stands_once(quick, second, method):
    with serve(App(FakeService()), quick=quick) as port:
        assert talk(port, post(more=second).replace(b"POST", method)).startswith(b"HTTP/1.1 400 ")
        assert talk(port, post(more=b"x-a: b\r\nx-a: c\r\nconnection: close\r\n")).startswith(b"HTTP/1.1 200 ")


def test_an_old_client_is_answered_and_closed(quick):
    with serve(App(FakeService()), quick=quick) as port:
        said = talk(port, post().replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert b" 200 " in said.split(b"\r\n")[0]


def test_a_caller_that_goes_away_disturbs_nobody(quick):
    app = App(FakeService(Slow()))
    with serve(app, quick=quick) as port:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as gone:
                gone.sendall(post())
            with socket.create_connection(("127.0.0.1", port)) as gone:
                gone.sendall(post(BODY[:5], length=len(BODY)))
        assert httpx.post(f"http://127.0.0.1:{port}{ASK}", json=ROW, trust_env=False).status_code == 200
        until = time.monotonic() + 5
        while app.in_flight and time.monotonic() < until:
            time.sleep(0.01)
        assert app.in_flight == 0


def test_stopping_lets_what_is_under_way_be_answered(quick):
    contract = Slow()
    app = App(FakeService(contract))
    told: list[bytes] = []
    with serve(app, quick=quick) as port:
        asking = threading.Thread(target=lambda: told.append(talk(port, post())))
        asking.start()
        until = time.monotonic() + 5
        while not contract.n_answered and time.monotonic() < until:
            time.sleep(0.001)
    asking.join(5)
    assert told
    assert told[0].startswith(b"HTTP/1.1 200 ")


def test_an_answer_under_way_is_waited_for_when_it_drains():
    app = App(FakeService(Slow()))

    async def drained() -> tuple[bool, bool, int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            asking = asyncio.create_task(client.post(ASK, json=ROW))
            while not app.in_flight:
                await asyncio.sleep(0)
            app.drain()
            return await app.drained(0.0), await app.drained(5.0), (await asking).status_code

    assert asyncio.run(drained()) == (False, True, 200)


def test_an_answer_that_closes_is_the_last_one(quick):
    contract = FakeContract()
    closing = post(more=b"connection: close\r\n")
    with serve(App(FakeService(contract)), quick=quick) as port:
        assert talk(port, closing + post()).count(b"HTTP/1.1 ") == 1
    assert contract.n_answered == 1


CHUNKED = f"POST {ASK} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n".encode()


@pytest.mark.parametrize("trailer", [b"host: evil.example\r\n", b"content-type: text/plain\r\n", b"authorization: Bearer another\r\n"])
def test_what_stands_behind_a_body_does_not_change_who_asked(quick, trailer):
    with serve(App(FakeService()), quick=quick) as port:
        said = talk(port, CHUNKED + b"connection: close\r\n\r\n%x\r\n%b\r\n0\r\n%b\r\n" % (len(BODY), BODY, trailer))
    assert said.startswith(b"HTTP/1.1 200 ")


def test_what_stands_behind_a_body_has_an_end():
    settings = Settings(max_head_bytes=4096)
    with serve(App(FakeService(), settings=settings)) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as endless:
        endless.sendall(CHUNKED + b"\r\n2\r\n{}\r\n0\r\nx: ")
        assert not floods(endless, b"a" * 4096)


@pytest.mark.parametrize("path", ["/nowhere", ASK])
@pytest.mark.parametrize("more", [b"", b"connection: close\r\n"], ids=["stays", "closes"])
def test_who_sends_a_body_that_nobody_wants_is_told_why_and_stays_in_step(quick, path, more):
    """A connection that is closed while bytes are on their way takes the answer with it."""
    long = b" " * (6 << 20)
    with serve(App(FakeService()), quick=quick) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as sending:
        sending.sendall(post(long, path=path, more=more))
        if not more:
            sending.sendall(post(more=b"connection: close\r\n"))
        said = b"".join(iter(lambda: sending.recv(65536), b""))
    refused = b"404" if path == "/nowhere" else b"413"
    assert re.findall(rb"HTTP/1\.1 (\d+)", said) == ([refused] if more else [refused, b"200"])


def floods(endless: socket.socket, piece: bytes) -> bool:
    """Whether twenty megabytes were taken."""
    try:
        for _ in range(5000):
            endless.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def test_a_body_that_never_ends_is_told_so_and_cut_off():
    settings = Settings(max_body_bytes=1 << 16, max_job_bytes=1 << 17)
    with serve(App(FakeService(), settings=settings)) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as endless:
        endless.sendall(CHUNKED + b"\r\n")
        assert not floods(endless, b"1000\r\n" + b" " * 4096 + b"\r\n")


def test_who_was_not_told_to_send_does_not_have_the_next_request_taken_for_a_body(quick):
    waiting = post(b"", length=400, path="/nowhere", more=b"expect: 100-continue\r\n")
    with serve(App(FakeService()), quick=quick) as port:
        said = talk(port, waiting)
    assert said.startswith(b"HTTP/1.1 404 ")
    assert b"connection: close" in said


@pytest.mark.parametrize(
    "offer",
    [
        b"upgrade: h2c\r\nconnection: Upgrade, HTTP2-Settings\r\nhttp2-settings: AAMAAABk\r\n",
        b"upgrade: websocket\r\nconnection: upgrade\r\n",
    ],
)
def test_an_offer_to_speak_something_else_is_declined_and_the_request_answered(quick, offer):
    """Java's client makes it with its first request."""
    with serve(App(FakeService()), quick=quick) as port:
        said = talk(port, post(more=offer) + post() + post(more=b"connection: close\r\n"))
    assert re.findall(rb"HTTP/1\.1 (\d+)", said) == [b"200"] * 3


def test_bodies_that_never_come_keep_nobody_out(quick):
    settings = Settings(max_in_flight=4, body_timeout_s=30.0)
    with serve(App(FakeService(), settings=settings), quick=quick) as port:
        slow = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(8)]
        try:
            for each in slow:
                each.sendall(CHUNKED + b"\r\n1\r\n{\r\n")
            assert slow[0].recv(4096).startswith(b"HTTP/1.1 408 ")
            assert talk(port, post(more=b"connection: close\r\n")).startswith(b"HTTP/1.1 200 ")
            whole = CHUNKED + b"connection: close\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
            assert talk(port, whole).startswith(b"HTTP/1.1 200 ")
        finally:
            for each in slow:
                each.close()


def test_a_slow_second_head_is_not_answered_in_the_place_of_the_first_request(quick):
    class Long(Slow):
        def predict(self, question: Question, began_ns: int) -> Answer | Awaitable[Answer]:  # type: ignore[override]
            answer = FakeContract.predict(self, question, began_ns)

            async def later() -> Answer:
                await asyncio.sleep(3)
                return answer

            return later()

    with serve(App(FakeService(Long()), settings=HURRIED), quick=quick) as port:
        assert talk(port, post() + b"POST / HT") == b""
