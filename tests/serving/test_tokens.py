"""Whose bearer tokens are believed, for how long, and by whose keys?"""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
import time
from dataclasses import replace

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gonogo.serving.access import Access
from gonogo.serving.app import App
from gonogo.serving.tokens import Provider, Tokens, read_provider
from gonogo.types.errors import NotAuthenticated, Unavailable, UsageError
from tests.serving.live import serve
from tests.serving.surface import FakeService
from tests.serving.test_app import ASK, ROW

KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def jwks(**keys) -> bytes:
    return json.dumps(
        {
            "keys": [
                {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"} for kid, key in keys.items()
            ]
        }
    ).encode()


@pytest.fixture
def provider(tmp_path):
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks(one=KEY))
    return Provider(
        issuer="https://id.example", audience="gonogo", jwks=str(file), scopes={"ask": "predict", "ship": "release"}, algorithms=("ES256",)
    )


def token(*, key=KEY, kid="one", algorithm="ES256", **claims) -> str:
    held = {"iss": "https://id.example", "aud": "gonogo", "sub": "ann", "exp": int(time.time()) + 600, "scope": "ask other", **claims}
    return jwt.encode({name: value for name, value in held.items() if value is not None}, key, algorithm=algorithm, headers={"kid": kid})


def check(provider: Provider, text: str):
    return asyncio.run(Tokens(provider).check(text.encode()))


def test_a_token_of_the_provider_says_who_and_what(provider):
    bearer = check(provider, token())
    assert (bearer.subject, bearer.scopes) == ("ann", {"predict"})
    assert check(provider, token(scope=["ship", "ask", 3])).scopes == {"predict", "release"}
    assert check(provider, token(scope=None)).scopes == frozenset()


@pytest.mark.parametrize(
    "made",
    [
        lambda: token(key=OTHER),
        lambda: token(kid="two"),
        lambda: token(exp=int(time.time()) - 3600),
        lambda: token(exp=None),
        lambda: token(iss="https://evil.example"),
        lambda: token(aud="other"),
        lambda: token(aud=None),
        lambda: token(sub=None),
        lambda: token(nbf=int(time.time()) + 3600),
        lambda: token(key="a" * 40, algorithm="HS256"),
        lambda: token(key="", algorithm="none"),
        lambda: token()[:-4] + "AAAA",
        lambda: "a.b.c",
        lambda: "é.b.c",
        lambda: "",
        lambda: "a" * 20_000,
    ],
)
def test_any_other_token_is_refused(provider, made):
    with pytest.raises(NotAuthenticated):
        check(provider, made())


def test_a_secret_made_of_the_public_key_signs_nothing(provider):
    public = KEY.public_key().public_bytes(*_pem())
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "kid": "one"}).encode())
    body = jwt.utils.base64url_encode(
        json.dumps({"iss": provider.issuer, "aud": "gonogo", "sub": "ann", "exp": time.time() + 600}).encode()
    )
    import hashlib
    import hmac

    sign = jwt.utils.base64url_encode(hmac.new(public, head + b"." + body, hashlib.sha256).digest())
    with pytest.raises(NotAuthenticated):
        check(provider, b".".join([head, body, sign]).decode())


def _pem():
    from cryptography.hazmat.primitives import serialization

    return serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo


def test_a_checked_token_is_believed_without_checking_again(provider):
    async def twice():
        tokens = Tokens(provider)
        text = token().encode()
        assert tokens.believed(text) is None
        bearer = await tokens.check(text)
        assert tokens.believed(text) == bearer
        assert tokens.believed(token(sub="bob").encode()) is None

    asyncio.run(twice())


def test_keys_that_cannot_be_had_are_a_failure_of_ours_not_of_the_caller(provider, tmp_path):
    with pytest.raises(Unavailable):
        check(replace(provider, jwks=str(tmp_path / "none.json")), token())
    (tmp_path / "odd.json").write_text("[]")
    with pytest.raises(Unavailable):
        check(replace(provider, jwks=str(tmp_path / "odd.json")), token())
    with pytest.raises(Unavailable):
        check(replace(provider, jwks="http://127.0.0.1:9/jwks"), token())


@pytest.mark.parametrize(
    "changed",
    [
        {"algorithms": ("HS256",)},
        {"algorithms": ("none",)},
        {"algorithms": ()},
        {"scopes": {}},
        {"scopes": {"ask": "everything"}},
        {"jwks": "http://id.example/jwks"},
        {"jwks": "ftp://id.example/jwks"},
        {"jwks": ""},
        {"audience": ""},
    ],
)
def test_a_provider_that_would_believe_too_much_is_refused(provider, changed):
    with pytest.raises(UsageError):
        replace(provider, **changed)


def test_a_provider_is_read_from_toml(tmp_path):
    file = tmp_path / "oidc.toml"
    text = 'issuer = "https://id.example"\naudience = "gonogo"\njwks = "keys.json"\n[scopes]\nask = "predict"\n'
    file.write_text(text)
    read = read_provider(file)
    assert (read.jwks, read.scopes) == (str(tmp_path / "keys.json"), {"ask": "predict"})
    for odd in (
        "issuer = 3",
        text.replace("audience", "audiences"),
        text.replace('"gonogo"', '""'),
        "x",
        text.replace("[scopes]\nask", "scopes"),
    ):
        file.write_text(odd)
        with pytest.raises(UsageError):
            read_provider(file)
    with pytest.raises(UsageError):
        read_provider(tmp_path / "none.toml")


@pytest.fixture
def server():
    """A provider's key set over HTTP: what it says, and how often it was asked."""
    said = {"keys": jwks(one=KEY), "asked": 0, "status": 200}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            said["asked"] += 1
            self.send_response(said["status"])
            if said["status"] == 302:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", str(len(said["keys"])))
            self.end_headers()
            self.wfile.write(said["keys"])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        said["url"] = f"http://127.0.0.1:{serving.server_address[1]}/jwks"
        yield said
        serving.shutdown()
        thread.join()


def test_keys_of_a_url_are_asked_for_once(provider, server):
    async def many():
        tokens = Tokens(replace(provider, jwks=server["url"]))
        await asyncio.gather(*(tokens.check(token(sub=f"u{i}").encode()) for i in range(20)))

    asyncio.run(many())
    assert server["asked"] == 1


def test_an_unknown_key_id_does_not_make_us_ask_the_provider_again_and_again(provider, server):
    async def many():
        tokens = Tokens(replace(provider, jwks=server["url"]))
        for i in range(20):
            with pytest.raises(NotAuthenticated):
                await tokens.check(token(kid=f"odd{i}").encode())

    asyncio.run(many())
    assert server["asked"] == 1


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_redirect_or_an_error_is_no_key_set(provider, server, status):
    server["status"] = status
    with pytest.raises(Unavailable):
        check(replace(provider, jwks=server["url"]), token())


def test_a_token_opens_the_application_as_a_key_does(provider):
    app = App(FakeService(), access=Access(tokens=Tokens(provider)))

    async def all_of_them():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://anywhere.example") as client:
            return [
                (await client.post(ASK, json=ROW, headers={"authorization": f"Bearer {shown}"} if shown else {})).status_code
                for shown in (token(), token(scope="ship"), token(key=OTHER), "")
            ]

    assert asyncio.run(all_of_them()) == [200, 403, 401, 401]


def test_a_token_is_checked_on_the_quick_way_too_while_others_are_answered(provider):
    app = App(FakeService(), access=Access(tokens=Tokens(provider)), log=lambda line: None)
    with serve(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for shown, status in ((token(), 200), (token(), 200), (token(scope="ship"), 403), (token(key=OTHER), 401), (token(), 200)):
            assert client.post(ASK, json=ROW, headers={"authorization": f"Bearer {shown}"}).status_code == status
    assert app.in_flight == 0
