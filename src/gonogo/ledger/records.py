"""How is a record kept, and found again by a few digits of its digest?"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from gonogo.backends.protocols import Blobs
from gonogo.types.entry import Entry
from gonogo.types.errors import ArtifactRefused, RecordUnknown
from gonogo.types.record import Digest, canonical, from_bytes

R = TypeVar("R")
_SHORTEST = 6


class Records:
    """Frozen records as canonical JSON in blobs."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def put(self, record: object) -> Digest:
        """Store it under `digest(record)`. Raises ArtifactRefused if it would not read back to the same bytes."""
        data = canonical(record)
        _read(type(record), data)
        return self._blobs.put(data)

    def get(self, cls: type[R], digest: Digest) -> R:
        """The record of that digest. Raises RecordUnknown, BlobCorrupt; ArtifactRefused for one of another type or version."""
        return _read(cls, self._blobs.get(digest))


def _read(cls: type[R], data: bytes) -> R:
    try:
        record = from_bytes(cls, data)
        again = canonical(record)
    except ValueError as error:  # no JSON, no UTF-8, no such member of an enum, no moment, NaN
        raise ArtifactRefused(f"What is stored is no {cls.__name__}.", found=str(error), expected="canonical JSON") from error
    if again != data:
        # An int in a float field: the record would have another digest once it was read, and replay would differ.
        raise ArtifactRefused(
            f"This {cls.__name__} does not read back to the same bytes.",
            found=_first_difference(data, again),
            expected="every value of the type that its field declares, e.g. 0.0 and not 0 for a float",
        )
    return record


def _first_difference(written: bytes, read: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(written, read, strict=False)) if a != b), min(len(written), len(read)))
    stretch = slice(max(at - 40, 0), at + 20)
    return f"{written[stretch].decode(errors='replace')!r} reads as {read[stretch].decode(errors='replace')!r}"


def resolve(prefix: str, entries: Iterable[Entry], *, kind: str | None = None) -> Digest:
    """The one digest that starts so, among those that the entries (of that kind) name in their bodies.

    prefix: at least 6 hex digits, with or without "sha256:".
    Raises RecordUnknown: with the nearest digests where none fits, with all that fit where several do.
    """
    hex_digits = prefix.removeprefix("sha256:").lower()
    named = {d: e.kind for e in entries if kind is None or e.kind == kind for d in digests_in(e.body)}
    fits = [d for d in named if d.removeprefix("sha256:").startswith(hex_digits)] if len(hex_digits) >= _SHORTEST else []
    if len(fits) == 1:
        return fits[0]
    raise RecordUnknown(
        f"{len(fits) or 'No'} records have a digest that starts with {hex_digits!r}.",
        found=", ".join(sorted(d[:23] for d in fits)) or _nearest(hex_digits, named),
        expected=f"exactly one{f' {kind}' if kind else ''}; at least {_SHORTEST} hex digits",
        next="give more digits; `gonogo ledger list` prints the digests",
    )


def _nearest(hex_digits: str, named: Iterable[Digest]) -> str:
    starts = {digest[7 : 7 + max(len(hex_digits), _SHORTEST)]: digest for digest in named}
    nearest = difflib.get_close_matches(hex_digits, starts, n=3)
    return ", ".join(starts[start][:23] for start in nearest) + " (nearest)" if nearest else "nothing like it"


def digests_in(value: Any) -> Iterator[Digest]:
    """Every digest in plain JSON values, in order.

    >>> list(digests_in({"a": ["sha256:" + "0" * 64, 3]})) == ["sha256:" + "0" * 64]
    True
    """
    if isinstance(value, str):
        if value.startswith("sha256:") and len(value) == 71:
            yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from digests_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from digests_in(part)
