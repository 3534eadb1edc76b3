"""Which keys open this server, and what may each of them do?

A key is 256 random bits, so that its SHA-256 cannot be turned back by guessing: what slows a guesser of passwords down (bcrypt, argon2)
would only slow every request down. The file holds the hashes alone. Once it exists, keys are asked for, and a file that cannot be read
opens to nobody.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from gonogo.backends.disk import incoming, storage_errors
from gonogo.types.errors import NothingThere, StorageFailed, UsageError

SCOPES = {
    "predict": "ask for predictions, one by one, in batches and as jobs",
    "outcomes": "send outcomes, and events for the online features",
    "release": "start a release, step it, hold it, bring it back",
    "admin": "everything",
}
PREFIX = "gng"  # so that a scanner for leaked secrets can know one
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LOOK_EVERY_NS = 500_000_000  # a revoked key opens nothing after so long


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One key as it is kept: never the key itself."""

    id: str  # stands in the key, in clear
    name: str  # who holds it; in the ledger as "key:NAME"
    sha256: str  # of the whole key
    scopes: tuple[str, ...]
    made_at: str  # ISO 8601, UTC


def add_key(file: Path, name: str, scopes: Sequence[str], *, now: datetime | None = None) -> str:
    """A new key, told this once. Raises UsageError for a name that is taken or no name, and for an unknown or missing scope."""
    if not _NAME.fullmatch(name):
        raise UsageError("that is no name for a key", found=name, expected="letters, digits, . _ @ -, at most 64", where="name")
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise UsageError(
            f"there is no scope '{unknown[0]}'" if unknown else "a key needs a scope",
            found=", ".join(scopes) or "none",
            expected="; ".join(f"{scope}: {about}" for scope, about in SCOPES.items()),
            where="scope",
        )
    with _locked(file):
        keys = _read(file) if file.exists() else ()
        if any(key.name == name for key in keys):
            raise UsageError(
                f"there is a key of the name '{name}'", where=str(file), next=f"choose another name, or gonogo keys revoke {name} first"
            )
        while (identity := secrets.token_hex(4)) in {key.id for key in keys}:
            pass
        secret = f"{PREFIX}_{identity}_{secrets.token_urlsafe(32)}"
        made = Key(
            id=identity,
            name=name,
            sha256=_hash(secret.encode()).hex(),
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            made_at=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
        )
        _write(file, (*keys, made))
    return secret


def list_keys(file: Path) -> tuple[Key, ...]:
    """The keys that open this server, oldest first; none where no file is. Raises StorageFailed for a file that cannot be read."""
    return _read(file) if file.exists() else ()


def revoke_key(file: Path, name: str) -> Key:
    """The key of that name opens nothing any more; twice is refused. The file stays: a server without any key left opens to nobody.

    Raises NothingThere where no key has that name.
    """
    with _locked(file):
        keys = list_keys(file)
        found = next((key for key in keys if key.name == name), None)
        if found is None:
            raise NothingThere(
                f"no key has the name '{name}'",
                found=name,
                expected=", ".join(key.name for key in keys) or "there are no keys",
                where=str(file),
            )
        _write(file, tuple(key for key in keys if key is not found))
    return found


class KeyRing:
    """The keys of a file, as a server follows them: looked at again at most every half second."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.problem = ""  # why no key opens anything: the file cannot be read
        self._keys: dict[str, tuple[bytes, Key]] = {}
        self._seen: tuple[int, int, int] | None = None
        self._asked = False  # keys were asked for once: a file that vanishes does not open the door
        self._look_at_ns = 0

    def asks(self, now_ns: int) -> bool:
        """Whether a key must be shown."""
        if now_ns >= self._look_at_ns:
            self._look(now_ns)
        return self._asked

    def find(self, secret: bytes, now_ns: int) -> Key | None:
        """The key that these bytes are, if it is known. The comparison takes the same time whatever is wrong with them."""
        if now_ns >= self._look_at_ns:
            self._look(now_ns)
        shown = _hash(secret)
        held = self._keys.get(secret[len(PREFIX) + 1 : len(PREFIX) + 9].decode("latin-1"))
        if held is not None and hmac.compare_digest(shown, held[0]):
            return held[1]
        return None

    def _look(self, now_ns: int) -> None:
        self._look_at_ns = now_ns + _LOOK_EVERY_NS
        try:
            held = os.stat(self.file)  # noqa: PTH116  half the price of Path.stat
        except FileNotFoundError:
            self._keys, self._seen = {}, None
            self.problem = f"{self.file} is gone" if self._asked else ""
            return
        except OSError as error:
            self._close(f"{self.file}: {error.strerror}")
            return
        seen = (held.st_ino, held.st_mtime_ns, held.st_size)
        self._asked = True
        if seen == self._seen:
            return
        try:
            self._keys = {key.id: (bytes.fromhex(key.sha256), key) for key in _read(self.file)}
        except (StorageFailed, ValueError) as error:
            self._close(str(error))
            return
        self._seen, self.problem = seen, ""

    def _close(self, why: str) -> None:
        self._keys, self._seen, self._asked, self.problem = {}, None, True, why


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _read(file: Path) -> tuple[Key, ...]:
    try:
        held = json.loads(file.read_bytes())
        if held["format"] != 1:
            raise ValueError(f"format {held['format']}")
        return tuple(Key(**{**key, "scopes": tuple(key["scopes"])}) for key in held["keys"])
    except OSError as error:
        raise StorageFailed("the file of the keys cannot be read", found=str(error.strerror), where=str(file)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StorageFailed(
            "the file of the keys is not what was written",
            found=f"{type(error).__name__}: {error}"[:200],
            expected="the JSON that `gonogo keys add` writes",
            where=str(file),
            next="restore it, or delete it and add the keys again",
        ) from error


def _write(file: Path, keys: tuple[Key, ...]) -> None:
    data = json.dumps({"format": 1, "keys": [asdict(key) for key in keys]}, indent=1).encode()
    with storage_errors(file), incoming(file.parent) as temporary:
        os.fchmod(temporary.file.fileno(), 0o600)  # before there is anything to read
        temporary.file.write(data)
        temporary.keep_as(file.name, mode=0o600)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One writer at a time: two keys that are added at once are both kept."""
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = (file.parent / f".{file.name}.lock").open("ab")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
