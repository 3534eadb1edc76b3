"""What does a rollout wait for, word for word?

The controller says it in one small file whenever it changes, so that `gonogo rollout status` names the worker, the model or the trouble
that it is, and not only that nothing moves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gonogo.backends.disk import storage_errors
from gonogo.serving.places import Places
from gonogo.serving.workerpage import Seen, is_silent
from gonogo.types.record import Digest

NO_CONTROLLER = "The controller gives no sign of life: nothing moves until it does."


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """What the controller waits for."""

    what: str
    since: datetime


def unready(workers: Sequence[Seen], models: Mapping[str, Digest], now_ns: int) -> str:
    """Who has not loaded what, "" where everybody has everything. models: what is to be loaded, by the name that a person knows it by."""
    if not workers:
        return "No worker serves yet."
    lacks = [(seen, [f"{name} {_short(d)}" for name, d in models.items() if d not in seen.holds.ready]) for seen in workers]
    return _told(
        (seen, f"has not loaded the {' and the '.join(missing)}" if missing else _silence(seen, now_ns)) for seen, missing in lacks
    )


def behind(workers: Sequence[Seen], epoch: int, now_ns: int) -> str:
    """Who does not follow the route of that epoch, "" where everybody does."""
    if not workers:
        return "No worker serves."
    return _told((seen, f"follows epoch {seen.epoch}, not {epoch}" if seen.epoch < epoch else _silence(seen, now_ns)) for seen in workers)


def say_waiting(places: Places, what: str) -> None:
    """Put it where `read_waiting` finds it; "": for nothing. Raises StorageFailed."""
    path = places.waiting
    with storage_errors(path):
        if not what:
            path.unlink(missing_ok=True)
            return
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps({"what": what, "since": datetime.now(UTC).isoformat()}))
        temporary.replace(path)


def read_waiting(places: Places) -> Waiting | None:
    """What the controller last said that it waits for; None where it waits for nothing but evidence."""
    try:
        said = json.loads(places.waiting.read_bytes())
        return Waiting(what=str(said["what"]), since=datetime.fromisoformat(said["since"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _told(found: Iterable[tuple[Seen, str]]) -> str:
    said = [f"worker {seen.worker} (process {seen.pid}) {what}" for seen, what in found if what]
    return f"{'; '.join(said)}." if said else ""


def _silence(seen: Seen, now_ns: int) -> str:
    if not seen.heartbeat_ns:
        return "is still starting"
    return "gives no sign of life" if is_silent(seen, now_ns) else ""


def _short(digest: Digest) -> str:
    return digest.removeprefix("sha256:")[:12]
