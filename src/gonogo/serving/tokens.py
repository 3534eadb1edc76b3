"""Who shows this bearer token of an OpenID Connect provider, and what may they do?

Only signatures by a provider's private key count: a shared secret (HS256) or "none" is no proof of who signed. A token is believed for at
most a minute after it was checked, and never beyond its own end.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import tomllib
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gonogo.serving.keys import SCOPES
from gonogo.types.errors import ExtraMissing, NotAuthenticated, SourceUnreadable, Unavailable, UsageError

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_BELIEVED_S = 60.0
_FETCH_S = 5.0  # how long the provider may take to say its keys
_FRESH_S = 600.0  # after which its keys are asked for again
_STALE_S = 3600.0  # beyond which keys that could not be asked for again are not believed
_AGAIN_S = 30.0  # an unknown key id does not make us ask more often than this
_MOST_BYTES = 1 << 20
_MOST_TOKENS = 4096
_MOST_TOKEN_BYTES = 16 << 10
_LEEWAY_S = 30  # clocks differ


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """Whose tokens are believed."""

    issuer: str
    audience: str
    jwks: str  # a file, or an https URL
    scopes: Mapping[str, str]  # value of the scope claim → one of `keys.SCOPES`
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    scope_claim: str = "scope"  # a text of words, or a list
    who_claim: str = "sub"

    def __post_init__(self) -> None:
        """Raises UsageError for a provider that would believe too much."""
        weak = [name for name in self.algorithms if name not in ALGORITHMS]
        if weak or not self.algorithms:
            raise _wrong("algorithms", ", ".join(self.algorithms), "some of " + ", ".join(ALGORITHMS))
        unknown = [scope for scope in self.scopes.values() if scope not in SCOPES]
        if unknown or not self.scopes:
            raise _wrong("scopes", ", ".join(self.scopes.values()) or "none", 'claim = scope, of "' + '", "'.join(SCOPES) + '"')
        for name in ("issuer", "audience", "jwks", "scope_claim", "who_claim"):
            if not getattr(self, name):
                raise _wrong(name, "nothing", "a text")
        url = urlsplit(self.jwks)
        if url.scheme == "http" and url.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise _wrong("jwks", self.jwks, "https: who can change the keys on their way can sign anything")
        if "://" in self.jwks and url.scheme not in ("http", "https"):
            raise _wrong("jwks", self.jwks, "a file, or an https URL")


def read_provider(file: Path) -> Provider:
    """The provider that a TOML file describes: issuer, audience, jwks, [scopes], and what else `Provider` has. Raises UsageError."""
    try:
        held = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError("the provider's file cannot be read", found=str(error.strerror), where=str(file)) from error
    except ValueError as error:
        raise UsageError("the provider's file is no TOML", found=str(error)[:200], where=str(file)) from error
    known = {each.name for each in fields(Provider)}
    needed = {"issuer", "audience", "jwks", "scopes"}
    if not needed <= held.keys() <= known:
        odd = sorted(held.keys() - known) or sorted(needed - held.keys())
        raise UsageError(
            f"the provider's file: {', '.join(odd)}", found=", ".join(held), expected=", ".join(sorted(known)), where=str(file)
        )
    if "algorithms" in held:
        held["algorithms"] = tuple(held["algorithms"])
    if not isinstance(held["scopes"], dict):
        raise UsageError("scopes is a table: claim = scope", found=str(held["scopes"])[:60], where=f"{file}, scopes")
    jwks = Path(held["jwks"])
    if "://" not in held["jwks"] and not jwks.is_absolute():
        held["jwks"] = str(file.parent / jwks)
    return Provider(**held)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bearer:
    """Who showed a token that is believed."""

    subject: str
    scopes: frozenset[str]


@dataclass(slots=True)
class _Held:
    """The provider's keys as they were last said."""

    keys: Mapping[str, PyJWK] = field(default_factory=dict)
    asked_s: float = float("-inf")  # monotonic: last try
    said_s: float = float("-inf")  # monotonic: last success
    problem: str = "its keys were never read"


class Tokens:
    """The tokens of one provider. `believed` answers at once where a token was checked lately; `check` does the work."""

    def __init__(self, provider: Provider) -> None:
        """Raises ExtraMissing without PyJWT: better at the start than at the first token."""
        try:
            import jwt  # noqa: F401
        except ImportError as error:
            raise ExtraMissing(
                "bearer tokens need PyJWT", expected="pip install 'gonogo[oidc]'", next="pip install 'gonogo[oidc]'"
            ) from error
        self.provider = provider
        self._held = _Held()
        self._asking = asyncio.Lock()
        self._believed: dict[bytes, tuple[float, Bearer]] = {}

    def believed(self, token: bytes) -> Bearer | None:
        """Who showed this token less than a minute ago, if it has not ended since."""
        found = self._believed.get(hashlib.sha256(token).digest())
        return found[1] if found is not None and time.monotonic() < found[0] else None

    async def check(self, token: bytes) -> Bearer:
        """Who shows it. Raises NotAuthenticated, and Unavailable where the provider's keys cannot be had."""
        import jwt

        if len(token) > _MOST_TOKEN_BYTES:
            raise _refused("it is longer than any token", f"{len(token):,} bytes")
        try:
            text = token.decode("ascii")
            header = jwt.get_unverified_header(text)
            # Before any key is looked for: the algorithm is ours to choose, not the token's.
            if header.get("alg") not in self.provider.algorithms:
                raise _refused("its algorithm is not allowed", str(header.get("alg"))[:20])
            key = await self._key(str(header.get("kid", "")))
            claims = jwt.decode(
                text,
                key,
                algorithms=list(self.provider.algorithms),
                audience=self.provider.audience,
                issuer=self.provider.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iss", "aud", self.provider.who_claim]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise _refused("it is not believed", f"{type(error).__name__}: {error}"[:120]) from error
        bearer = self._bearer(claims)
        if len(self._believed) >= _MOST_TOKENS:
            self._believed.clear()
        left_s = min(_BELIEVED_S, float(claims["exp"]) + _LEEWAY_S - time.time())
        self._believed[hashlib.sha256(token).digest()] = (time.monotonic() + left_s, bearer)
        return bearer

    def _bearer(self, claims: Mapping[str, Any]) -> Bearer:
        said = claims.get(self.provider.scope_claim, ())
        words = said.split() if isinstance(said, str) else said if isinstance(said, list) else ()
        scopes = frozenset(self.provider.scopes[word] for word in words if isinstance(word, str) and word in self.provider.scopes)
        return Bearer(subject=str(claims[self.provider.who_claim])[:200], scopes=scopes)

    async def _key(self, kid: str) -> PyJWK:
        if self._is_due(kid):
            async with self._asking:
                if self._is_due(kid):  # whoever waited here hears what the first one was told
                    await self._ask()
        held = self._held
        if time.monotonic() - held.said_s > _STALE_S:
            raise Unavailable(
                "tokens cannot be checked: the provider's keys cannot be had",
                found=held.problem,
                expected=f"a key set (JWKS) at {self.provider.jwks}",
                where="jwks",
                next="look at the provider; keys of `gonogo keys add` still work",
            )
        if kid in held.keys:
            return held.keys[kid]
        if not kid and len(held.keys) == 1:
            return next(iter(held.keys.values()))
        raise _refused("its key is not one of the provider's", kid[:60] or "no key id")

    def _is_due(self, kid: str) -> bool:
        """Whether the provider is asked for its keys again: they are old, or lack this one, and it was not asked just now."""
        now = time.monotonic()
        held = self._held
        return (now - held.said_s > _FRESH_S or kid not in held.keys) and now - held.asked_s > _AGAIN_S

    async def _ask(self) -> None:
        try:
            keys = _keys_of(await asyncio.to_thread(_read_jwks, self.provider.jwks))
        except (OSError, ValueError, SourceUnreadable) as error:
            self._held.problem = f"{type(error).__name__}: {error}"[:200]
            self._held.asked_s = time.monotonic()  # now, not before: until then whoever comes waits for the answer
            return
        now = time.monotonic()
        self._held = _Held(keys=keys, asked_s=now, said_s=now, problem="")


def _keys_of(data: bytes) -> dict[str, PyJWK]:
    import jwt

    try:
        held = jwt.PyJWKSet.from_dict(json.loads(data))
    except (jwt.PyJWTError, AttributeError, TypeError, KeyError) as error:
        raise SourceUnreadable("no key set", found=f"{type(error).__name__}: {error}"[:120], expected="a JWKS") from error
    return {str(key.key_id or ""): key for key in held.keys if key.public_key_use in (None, "sig")}


def _read_jwks(where: str) -> bytes:
    """In a thread: a provider that hangs holds nobody up but those who show its tokens."""
    if "://" not in where:
        return Path(where).read_bytes()
    request = urllib.request.Request(where, headers={"accept": "application/json"})  # noqa: S310  https, or this machine: see Provider
    with urllib.request.build_opener(_NoRedirect()).open(request, timeout=_FETCH_S) as response:
        data: bytes = response.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError("a key set of more than a megabyte")
    return data


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead away from https, and from the provider."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _refused(why: str, found: str) -> NotAuthenticated:
    return NotAuthenticated(
        f"the token is refused: {why}",
        found=found,
        expected="a token of the provider that this server believes, for its audience",
        where="header authorization",
        next="ask the provider for a new one; `gonogo explain GNG-H002`",
    )


def _wrong(name: str, found: str, expected: str) -> UsageError:
    return UsageError(f"the provider's {name} will not do", found=found, expected=expected, where=name)
