"""Archive: rewrite what is closed of the prediction log as tables, and delete what nobody reads there any more.

`python -m gonogo.workflow.archive FOLDER` does it and ends; a server's controller starts it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from gonogo.ledger import rollouts
from gonogo.serving.archive import Archived, retain
from gonogo.serving.archive import archive as archive_log
from gonogo.serving.jobs import give_way
from gonogo.serving.judgelog import last_position
from gonogo.serving.outcomes import stored_position
from gonogo.serving.places import Places
from gonogo.serving.tail import Position
from gonogo.types.errors import GonogoError
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


def main() -> int:
    """Archive the folder that is named; its exit status."""
    give_way()
    try:
        archive(sys.argv[1])
    except GonogoError as error:  # what is not archived stays in the log, and is tried again
        print(json.dumps({"trouble": error.as_record()}), file=sys.stderr, flush=True)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
