"""Who asks, and may they?

Where there are keys or a provider, everything but health asks for one of them, on loopback too. Where there are none, the server listens
on loopback alone (`check_bind`) and answers only to this machine's names: a page in a browser could otherwise reach it under a name of
its own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gonogo.serving.keys import KeyRing
from gonogo.types.errors import NotAuthenticated, NotPermitted, UsageError

if TYPE_CHECKING:
    from gonogo.serving.tokens import Tokens  # brings PyJWT and urllib: only where a provider is believed

ANY = "any"  # a route's scope: whoever is known


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks."""

    who: str  # as the ledger shows it: "key:NAME", "token:SUBJECT", "local"
    scopes: frozenset[str]

    def check(self, scope: str) -> None:
        """Raises NotPermitted unless this caller has the scope."""
        if scope and scope != ANY and scope not in self.scopes and "admin" not in self.scopes:
            raise NotPermitted(
                f"this needs the scope '{scope}'",
                found=", ".join(sorted(self.scopes)) or "no scope",
                expected=scope,
                where=self.who,
                next=f"gonogo keys add NAME --scope {scope}",
            )


LOCAL = Caller(who="local", scopes=frozenset({"admin"}))


class Access:
    """The door: keys of a file, tokens of a provider, or this machine alone."""

    def __init__(
        self, *, keys: KeyRing | None = None, tokens: Tokens | None = None, hosts: tuple[str, ...] = (), must_ask: bool = False
    ) -> None:
        """must_ask: others can reach this address. Somebody must say who they are even where the file of the keys has vanished."""
        self.keys = keys
        self.must_ask = must_ask
        self.tokens = tokens
        self._hosts = frozenset(host.lower() for host in hosts)
        self._own: dict[bytes, bool] = {}  # Host header → is it a name of this machine
        self._callers: dict[str, Caller] = {}

    def asks(self, now_ns: int) -> bool:
        """Whether somebody must say who they are."""
        return self.must_ask or self.tokens is not None or (self.keys is not None and self.keys.asks(now_ns))

    def known(self, headers: Mapping[bytes, bytes], now_ns: int) -> Caller | None:
        """Who asks, if that is known at once; None where a token must be checked first (`check`).

        Raises NotAuthenticated, or NotPermitted for a name that is not this machine's.
        """
        keys = self.keys
        if not self.must_ask and self.tokens is None and (keys is None or not keys.asks(now_ns)):
            host = headers.get(b"host", b"")
            if not (self._own[host] if host in self._own else self._is_own(host)):
                raise _foreign(host)
            return LOCAL
        shown = headers.get(b"authorization") or b""
        scheme, _, secret = shown.partition(b" ")
        if scheme.lower() != b"bearer" or not secret:
            raise NotAuthenticated(
                "who is asking?",
                found="another scheme than Bearer" if shown else "no header authorization",
                expected="authorization: Bearer KEY",
                where="header authorization",
                next="gonogo keys add NAME --scope predict",
            )
        secret = secret.strip()
        if keys is not None and (key := keys.find(secret, now_ns)) is not None:
            return self._caller(f"key:{key.name}", frozenset(key.scopes))
        if self.tokens is None or secret.count(b".") != 2:
            raise NotAuthenticated(
                "that key is not known here",
                found="a key that is not in the file" + (f" ({keys.problem})" if keys is not None and keys.problem else ""),
                expected="a key of `gonogo keys list`",
                where="header authorization",
                next="gonogo keys add NAME --scope predict",
            )
        bearer = self.tokens.believed(secret)
        return None if bearer is None else self._caller(f"token:{bearer.subject}", bearer.scopes)

    async def check(self, headers: Mapping[bytes, bytes]) -> Caller:
        """Who shows the token that `known` could not answer for. Raises NotAuthenticated or Unavailable."""
        assert self.tokens is not None
        bearer = await self.tokens.check((headers.get(b"authorization") or b"").partition(b" ")[2].strip())
        return self._caller(f"token:{bearer.subject}", bearer.scopes)

    def _caller(self, who: str, scopes: frozenset[str]) -> Caller:
        held = self._callers.get(who)
        if held is None or held.scopes != scopes:
            if len(self._callers) > 10_000:
                self._callers.clear()
            held = self._callers[who] = Caller(who=who, scopes=scopes)
        return held

    def _is_own(self, host: bytes) -> bool:
        name = _name_of(host.decode("latin-1").lower())
        own = not name or name in self._hosts or is_loopback(name)  # a browser always says a name
        if len(self._own) < 100:  # whoever asks chooses the header: what is remembered is bounded
            self._own[host] = own
        return own


def open_tokens(file: Path) -> Tokens | None:
    """The tokens of the provider that the file describes; None where there is no file. Raises UsageError and ExtraMissing."""
    if not file.exists():
        return None
    from gonogo.serving.tokens import Tokens, read_provider

    return Tokens(read_provider(file))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("example.com")
    (True, True, True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may lead anywhere, and elsewhere tomorrow


def check_bind(host: str, *, has_auth: bool) -> None:
    """Whether a server may listen there. Raises UsageError for an address that others reach, unless keys or tokens are asked for."""
    if not has_auth and not is_loopback(host):
        raise UsageError(
            f"'{host}' can be reached by others, and nobody would be asked who they are",
            found=host or "every address",
            expected="127.0.0.1, or a key",
            where="--host",
            next="gonogo keys add NAME --scope predict, then start again; or listen on 127.0.0.1",
        )


def _name_of(host: str) -> str:
    """ "localhost:8080" → "localhost", "[::1]:8080" → "::1"."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _foreign(host: bytes) -> NotPermitted:
    return NotPermitted(
        "without keys this server answers only to this machine's own names",
        found=host.decode("latin-1")[:100],
        expected="localhost or 127.0.0.1",
        where="header host",
        next="gonogo keys add NAME --scope predict, and show the key; or allow the name (Settings.hosts)",
    )
