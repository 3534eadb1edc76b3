"""What does an entry's hash cover?

The canonical JSON of every other field. A line stores the pieces of that very text, so hashing is joining them: there is no second copy
that could differ from the first, and no parsing before it is known to be genuine.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from gonogo.backends.protocols import Line
from gonogo.types.entry import GENESIS, Entry
from gonogo.types.errors import LedgerBroken
from gonogo.types.record import Digest, canonical, to_json

_quote = json.JSONEncoder(ensure_ascii=False).encode
_quote_again = functools.lru_cache(maxsize=1024)(_quote)  # the same few names and kinds, in every line


def next_line(head: Line | None, *, at: datetime, by: str, kind: str, body: Mapping[str, Any]) -> Line:
    """The line that follows the head (None: the first one), sealed. Raises ValueError for a naive time and for NaN in the body."""
    line = Line(
        seq=1 if head is None else head.seq + 1,
        at=str(to_json(at)),
        by=by,
        kind=kind,
        body=canonical(body).decode(),
        parent=GENESIS if head is None else head.hash,
        hash="",
    )
    return replace(line, hash=hash_of(line))


def hash_of(line: Line) -> Digest:
    """sha256 over the canonical JSON of at, body, by, kind, parent and seq."""
    text = (
        f'{{"at":{_quote(line.at)},"body":{line.body},"by":{_quote_again(line.by)},"kind":{_quote_again(line.kind)},'
        f'"parent":"{line.parent}","seq":{line.seq}}}'
    )
    return "sha256:" + hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def check_hash(line: Line) -> None:
    """Raises LedgerBroken if any stored field is not what was sealed."""
    found = hash_of(line)
    if found != line.hash:
        raise broken(line.seq, "was edited", found=f"its fields give {found}", expected=f"{line.hash}, the hash stored with it")


def check_link(line: Line, before: Line | None) -> None:
    """Raises LedgerBroken unless the line follows the one before it (None: it must be the first)."""
    seq, parent = (1, GENESIS) if before is None else (before.seq + 1, before.hash)
    if line.seq > seq:
        raise broken(seq, "is missing", found=f"entry {line.seq} stands in its place", expected=f"entry {seq}")
    if line.seq < seq:
        raise broken(line.seq, "stands twice or out of order", found=f"entry {line.seq}", expected=f"entry {seq}")
    if line.parent != parent:
        raise broken(seq, "does not follow the entry before it", found=f"parent {line.parent}", expected=parent)


def entry_of(line: Line) -> Entry:
    """The entry, its time and body read. Only for lines that were checked."""
    return Entry(
        seq=line.seq,
        at=datetime.fromisoformat(line.at),
        by=line.by,
        kind=line.kind,
        body=json.loads(line.body),
        parent=line.parent,
        hash=line.hash,
    )


def broken(seq: int, what: str, *, found: str, expected: str) -> LedgerBroken:
    """The failure, for whoever keeps the ledger."""
    return LedgerBroken(
        f"Entry {seq} of the ledger {what}.",
        found=found,
        expected=expected,
        where=f"entry {seq}",
        next="trust nothing after the entry before it: keep this file for inspection and restore the last good copy",
    )
