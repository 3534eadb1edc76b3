"""Archive: rewrite what is closed of the prediction log as tables, and delete what nobody reads there any more."""

from __future__ import annotations

import time
from pathlib import Path

from gonogo.ledger import rollouts
from gonogo.serving.archive import Archived, retain
from gonogo.serving.archive import archive as archive_log
from gonogo.serving.judgelog import last_position
from gonogo.serving.outcomes import stored_position
from gonogo.serving.places import Places
from gonogo.serving.tail import Position
from gonogo.types.release import Phase
from gonogo.workflow.contract import CONTRACT_NAME, read_contract_file
from gonogo.workflow.workspace import open_stores

JOIN = "join.sqlite"  # of a rollout, in its part of the judge's folder
_OVER = (Phase.SETTLED, Phase.ROLLED_BACK)


def archive(folder: Path | str, *, days: float | None = None, n_bytes: int | None = None) -> Archived:
    """Archive a folder's prediction log, with or without a running server; one process does it, a second one does nothing.

    days, n_bytes: of the archive, older files or more of them are deleted, oldest first. Nothing is deleted from the log that a rollout
    under way may have to read again. Raises StorageFailed, LogFailed; may be killed anywhere and run again.
    """
    places = Places.of(folder)
    archived = archive_log(places.log, places.archive, _still_read(Path(folder), places))
    if days is not None or n_bytes is not None:
        retain(places.log, places.archive, now_us=time.time_ns() // 1000, days=days, n_bytes=n_bytes)
    return archived


def _still_read(folder: Path, places: Places) -> tuple[Position, ...]:
    """The position behind which the rollout that is under way goes on after a crash."""
    _, _, ledger = open_stores(folder)
    standing = rollouts.standing(ledger.entries(), read_contract_file(folder / CONTRACT_NAME).name)
    if standing is None or standing.phase in _OVER:
        return ()
    judged = places.judge_of(standing.rollout)
    position = stored_position(judged / JOIN) or last_position(judged)
    return () if position is None else (position,)
