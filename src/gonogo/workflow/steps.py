"""Was this step already done with the same inputs?

Every step has a key: the digest of all it depends on, gonogo's own code included. A finished step is an entry in the ledger that holds its
key; a step that finds its key there is not run again. What is killed before its entry is written leaves nothing but scratch.

The newest entry of a kind is the one that holds: who went back to an older contract, or let a waiver run out, is answered by the older
record, and the ledger says so with a new entry. Otherwise a GO that holds no longer would still be the last word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from gonogo.ledger import registry
from gonogo.types.record import Digest, digest
from gonogo.workflow.workspace import Workspace

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A finished step: the entry's body, and how long it took when it ran."""

    digest: Digest
    seconds: float
    repeated: bool  # False: found in the ledger, nothing was computed


def once(
    workspace: Workspace,
    kind: str,
    depends_on: dict[str, Any],
    work: Callable[[], R],
    facts: Callable[[R], dict[str, Any]] = lambda record: {},
    rests_on: Callable[[Digest], Iterable[Digest]] = lambda stored: (),
) -> Done:
    """The record of this step: from the ledger where its key stands there, else made, stored and appended.

    work: makes the record. facts: plain JSON that the entry says beside the record's digest. rests_on: what the record of that digest names
    and later steps read; where any of it is gone the step runs again, which is how a lost file comes back.
    """
    key = digest({"kind": kind, **depends_on})
    entries = tuple(workspace.ledger.entries(kind))
    entry = registry.last(entries, kind, key=key)
    if entry is not None and _is_whole(workspace, entry.body[kind], rests_on):
        if entry != registry.last(entries, kind, contract=workspace.contract.name):
            workspace.ledger.append(kind, {**entry.body, "contract": workspace.contract.name})
        return Done(digest=entry.body[kind], seconds=entry.body["seconds"], repeated=False)
    started = time.perf_counter()
    record = work()
    stored = workspace.records.put(record)
    seconds = round(time.perf_counter() - started, 3)
    body = {"contract": workspace.contract.name, "key": key, kind: stored, "seconds": seconds, **facts(record)}
    workspace.ledger.append(kind, body)
    return Done(digest=stored, seconds=seconds, repeated=True)


def _is_whole(workspace: Workspace, stored: Digest, rests_on: Callable[[Digest], Iterable[Digest]]) -> bool:
    # the record itself first: what it rests on is read from it
    return workspace.blobs.has(stored) and all(workspace.blobs.has(digest) for digest in rests_on(stored))
