"""How does an event that one worker took reach every worker, and outlive all of them?

It is applied where it came in, so its sender reads what he wrote, and written to that worker's log before he is told so. The other workers
follow that log and look into it before they answer. A worker that starts replays the log and its archive behind the package's seeds. An
event that is read twice changes nothing, so nobody keeps count of who has read what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.serving.archive import archived_events
from gonogo.serving.predictionlog import Event, PredictionLog, decoded
from gonogo.serving.service import Taken
from gonogo.serving.tail import Batch, Position, Tail
from gonogo.types.errors import GonogoError, LogFailed, RequestRefused
from gonogo.types.traffic import FrameKind

if TYPE_CHECKING:
    from gonogo.serving.features import Features

LOOK_NS = 5_000_000  # how old what a worker knows of the others' events may be when it answers
_AT_ONCE = 2048  # rows of each writer that are looked through while a caller waits; the rest after …
_SOON_NS = 1_000_000  # … so long
_NO_EVENT = (TypeError, ValueError, OverflowError)  # values of other types than the plan's, of a contract before this one


class OnlineLog:
    """The events of one worker and of all others. `catch_up` and `take` by the thread that answers, `open` by any."""

    def __init__(self, log: PredictionLog, *, archive: Path, features: Callable[[], Sequence[Features]]) -> None:
        """log: this worker's own. archive: FOLDER/.gonogo/serving/archive. features: those of every model that is held, each once."""
        self.n_refused = 0  # events of other workers, or of the log, that contradict what is known
        self.n_unread = 0  # looks into the log that failed
        self._log = log
        self._archive = archive
        self._features = features
        self._tail: Tail | None = None
        self._next_ns = 0

    def open(self, features: Features) -> None:
        """Replay every event that was ever taken and is still kept. Before it returns the features are not complete.

        They must be among those that `features` gives already: what comes in meanwhile is applied as well, and once.
        """
        if not features.sources:
            return
        # The log first: a segment that is archived meanwhile is then found in one of the two.
        tail = Tail(self._log.folder)
        while len(batch := tail.poll()):
            self._apply(_events(batch), (features,))
        if self._archive.exists():
            self._apply(archived_events(self._archive), (features,))
        if self._tail is None:
            self._tail = Tail(self._log.folder, _without(tail.position, self._log.log.writer), without=(self._log.log.writer,))

    def catch_up(self, now_ns: int) -> None:
        """Apply what other workers took, if it is time to look. now_ns: the monotonic clock."""
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + LOOK_NS
        tail = self._tail
        if tail is None:
            return
        try:
            batch = tail.poll(at_most=_AT_ONCE)
        except (GonogoError, OSError):  # a log that cannot be read now is no reason to answer nobody; features grow stale and say so
            self.n_unread += 1
            return
        if len(batch):
            self._apply(_events(batch), self._features())
            if len(batch) >= _AT_ONCE:
                self._next_ns = now_ns + _SOON_NS

    def take(self, source: str, rows: Sequence[Mapping[str, Any]], who: str = "") -> Taken:
        """Events that somebody sends to this worker, each alone: applied here, then written down for all.

        Of an event that is no such event or contradicts another one the error is told, and it is not written.
        """
        n_taken = 0
        refused: list[tuple[int, GonogoError]] = []
        for i, row in enumerate(rows):
            try:
                for features in self._features():
                    features.take(source, row)
            except GonogoError as error:
                refused.append((i, error))
                continue
            except _NO_EVENT as error:
                refused.append((i, RequestRefused(f"this is no event of {source}", found=str(error)[:100], where=f"rows[{i}]")))
                continue
            if self._log.append_event(source=source, values=row):
                n_taken += 1
            else:
                refused.append((i, _unwritten(self._log)))
        return Taken(n_taken=n_taken, refused=tuple(refused))

    def _apply(self, events: Iterator[Event], features: Sequence[Features]) -> None:
        for event in events:
            for each in features:
                try:
                    each.take(event.source, event.values)
                except (GonogoError, *_NO_EVENT):  # its sender was told
                    self.n_refused += 1


def _events(batch: Batch) -> Iterator[Event]:
    for i in batch.where(FrameKind.EVENT):
        try:
            yield decoded(FrameKind.EVENT, batch.payload(i))
        except LogFailed:
            continue


def _without(position: Position, writer: str) -> Position:
    return Position(places={name: place for name, place in position.places.items() if name != writer}, now_us=position.now_us)


def _unwritten(log: PredictionLog) -> LogFailed:
    return LogFailed(
        "It could not be written to the log, so it was not taken.", found=log.blocked or "no room", next="free some space; send it again"
    )
