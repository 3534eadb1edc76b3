"""Who asks, may they, and where may a server listen?"""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from gonogo.serving.access import LOCAL, Access, check_bind
from gonogo.serving.app import App
from gonogo.serving.keys import KeyRing, add_key, revoke_key
from gonogo.serving.service import Response, Route
from gonogo.serving.settings import Settings
from gonogo.types.errors import NotPermitted, UsageError
from tests.serving.surface import FakeContract, FakeService
from tests.serving.test_app import ASK, ROW


async def _who(request) -> Response:
    return Response(body={"by": request.who})


RELEASES = Route(method="POST", path="/v1/releases", scope="release", answer=_who, summary="A release")


def ask(app: App, method: str, path: str, key: str = "", host: str = "localhost", **more) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{host}") as client:
            return await client.request(method, path, headers=headers, **more)

    return asyncio.run(once())


@pytest.fixture
def locked(tmp_path):
    """An application with keys, its keys by scope, and its file."""
    file = tmp_path / "keys.json"
    keys = {scope: add_key(file, scope, [scope]) for scope in ("predict", "outcomes", "release", "admin")}
    lines: list[str] = []
    app = App(FakeService(routes=(RELEASES,)), access=Access(keys=KeyRing(file)), log=lines.append)
    return app, keys, file, lines


CALLS = {
    "predict": ("POST", ASK, ROW),
    "outcomes": ("POST", "/v1/contracts/flights/events", {"source": "landings", "rows": [{"tail": "N1"}]}),
    "release": ("POST", "/v1/releases", {}),
}


@pytest.mark.parametrize("scope", ["predict", "outcomes", "release", "admin"])
@pytest.mark.parametrize("needed", list(CALLS))
def test_a_key_opens_what_its_scope_names_and_admin_opens_all(locked, scope, needed):
    app, keys, _, _ = locked
    method, path, body = CALLS[needed]
    assert ask(app, method, path, keys[scope], json=body).status_code == (200 if scope in (needed, "admin") else 403)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/health", "/ping", "/v2/health/live", "/v2/health/ready"])
def test_health_is_for_anybody(locked, path):
    assert ask(locked[0], "GET", path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/contracts",
        "/v1/contracts/flights",
        "/v2",
        "/v2/models/flights",
        "/metrics",
        "/openapi.json",
        "/version",
        "/nope",
        "/v1/contracts/nope",
    ],
)
def test_everything_else_asks_who_is_there_and_takes_any_key(locked, path):
    app, keys, _, _ = locked
    told = ask(app, "GET", path)
    assert (told.status_code, told.json().get("code", "GNG-H002")) == (401, "GNG-H002")
    assert told.headers["www-authenticate"].startswith("Bearer")
    assert ask(app, "GET", path, keys["outcomes"]).status_code in (200, 404)


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer ", "Basic abc", "Bearer gng_00000000_x", "bearer\tx", "Bearer a.b.c"])
def test_a_header_that_is_no_known_key_is_401_and_logged_without_it(locked, shown):
    app, _, _, lines = locked
    told = ask(app, "POST", ASK, json=ROW) if not shown else _with(app, shown)
    assert told.status_code == 401
    assert app.service.contracts["flights"].n_answered == 0
    assert len(lines) == 1
    assert "gng_00000000_x" not in lines[0]


def _with(app: App, shown: str) -> httpx.Response:
    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post(ASK, json=ROW, headers={"authorization": shown})

    return asyncio.run(once())


def test_who_it_was_reaches_what_is_mounted(locked):
    app, keys, _, _ = locked
    assert ask(app, "POST", "/v1/releases", keys["release"], json={}).json() == {"by": "key:release"}


def test_a_revoked_key_opens_nothing_soon_after(locked):
    app, keys, file, _ = locked
    assert ask(app, "POST", ASK, keys["predict"], json=ROW).status_code == 200
    revoke_key(file, "predict")
    until = time.monotonic() + 5
    while ask(app, "POST", ASK, keys["predict"], json=ROW).status_code == 200:
        assert time.monotonic() < until
    assert ask(app, "POST", ASK, keys["predict"], json=ROW).status_code == 401


def test_a_body_is_not_read_before_the_caller_is_known(locked):
    app = locked[0]
    asked = []

    async def receive():
        asked.append(1)
        return {"type": "http.request", "body": b"", "more_body": False}

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": ASK, "query_string": b"", "headers": [(b"content-type", b"application/json")]}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 401
    assert not asked


def test_without_keys_only_names_of_this_machine_are_answered():
    app = App(FakeService(FakeContract()), settings=Settings(hosts=("box.lan",)))
    for host in ("localhost", "127.0.0.1", "127.9.9.9", "[::1]", "box.lan", "BOX.lan:8080"):
        assert ask(app, "POST", ASK, host=host, json=ROW).status_code == 200, host
    for host in ("evil.example", "localhost.evil.example", "10.0.0.1", "[2001:db8::1]"):
        assert ask(app, "POST", ASK, host=host, json=ROW).status_code == 403, host
        assert ask(app, "GET", "/livez", host=host).status_code == 200


def test_where_others_can_reach_it_a_file_that_is_gone_opens_to_nobody(tmp_path):
    app = App(FakeService(), access=Access(keys=KeyRing(tmp_path / "keys.json"), must_ask=True), log=lambda line: None)
    assert ask(app, "POST", ASK, json=ROW).status_code == 401
    assert ask(app, "POST", ASK, add_key(tmp_path / "other.json", "a", ["admin"]), json=ROW).status_code == 401
    assert ask(app, "GET", "/livez").status_code == 200


def test_an_address_that_others_reach_needs_keys():
    for host in ("127.0.0.1", "::1", "localhost", "127.0.0.2"):
        check_bind(host, has_auth=False)
    for host in ("0.0.0.0", "::", "", "10.0.0.1", "example.com"):
        check_bind(host, has_auth=True)
        with pytest.raises(UsageError):
            check_bind(host, has_auth=False)


def test_who_is_local_may_do_all():
    LOCAL.check("release")
    with pytest.raises(NotPermitted):
        type(LOCAL)(who="key:x", scopes=frozenset({"predict"})).check("release")


def test_rows_a_second_are_limited_per_key_and_a_batch_counts_its_rows(tmp_path):
    file = tmp_path / "keys.json"
    first, second = add_key(file, "a", ["predict"]), add_key(file, "b", ["predict"])
    app = App(FakeService(), settings=Settings(rate_per_s=0.001, burst_s=3000), access=Access(keys=KeyRing(file)))
    assert ask(app, "POST", ASK, first, json={"rows": [ROW] * 3}).status_code == 200
    told = ask(app, "POST", ASK, first, json=ROW)
    assert (told.status_code, told.json()["code"]) == (429, "GNG-H004")
    assert int(told.headers["retry-after"]) > 900
    assert ask(app, "POST", ASK, second, json=ROW).status_code == 200
