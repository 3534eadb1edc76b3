"""What is written into the ledger, for ever?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gonogo.types.record import Digest

GENESIS: Digest = "sha256:" + "0" * 64  # the parent of the first entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of the ledger. `hash` covers every other field, `parent` is the hash of the entry before."""

    seq: int  # 1, 2, 3, … without a gap
    at: datetime  # when it was appended, aware; a clock that jumps back does not reorder: seq does
    by: str  # who: user@host, or a service's name
    kind: str  # "snapshot" | "candidate" | "evidence" | "measurements" | "verdict" | "opened" | "waiver" | "release" | …
    body: Mapping[str, Any]  # plain JSON; names the records it stands for by digest
    parent: Digest
    hash: Digest
