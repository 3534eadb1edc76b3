"""Keys: who may ask a folder's server, and for what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gonogo.serving import keys
from gonogo.serving.keys import Key
from gonogo.serving.places import Places


def add_key(folder: Path | str, name: str, scopes: Sequence[str]) -> str:
    """A new key for a folder's server, told this once: only its hash is kept. A running server takes it within a second.

    scopes: some of predict, outcomes, release, admin. Raises UsageError for a name that is taken, and for an unknown scope.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> add_key(folder, "shop", ["predict"]).startswith("gng_")
    True
    >>> [key.name for key in list_keys(folder)], revoke_key(folder, "shop").scopes
    (['shop'], ('predict',))
    """
    return keys.add_key(Places.of(folder).keys, name, scopes)


def list_keys(folder: Path | str) -> tuple[Key, ...]:
    """The keys of a folder's server, oldest first: their names, scopes and hashes, never themselves."""
    return keys.list_keys(Places.of(folder).keys)


def revoke_key(folder: Path | str, name: str) -> Key:
    """The key of that name opens nothing any more, on a running server within a second. Raises NothingThere."""
    return keys.revoke_key(Places.of(folder).keys, name)
