"""Which prediction does an outcome belong to, and is it time to say that none came?

Outcomes come late, early, twice, in any order, after their window, or differ. Each row's key is joined at most once: its first prediction
with its first outcome. A row without an outcome is nothing, never a negative, until its window has closed.

What waits lies in a file of SQLite, so memory does not grow with it; what the join does follows from the blocks it is given alone. A block
is taken in one transaction, which `commit` ends together with the position of the log: a process that is killed goes on from there, and a
block that was already told to the judge is taken again without telling it twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import numpy as np

from gonogo.serving.keyindex import KeyIndex
from gonogo.serving.labelclock import MOST_APART_US
from gonogo.serving.predictionlog import decoded, encoded
from gonogo.serving.router import key_text
from gonogo.serving.rowkey import NO_KEY
from gonogo.serving.tail import Batch, Position, Tail
from gonogo.types.errors import LogFailed
from gonogo.types.record import canonical
from gonogo.types.traffic import AnswerStatus, FrameKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

SETTLE_US = 1_000_000  # after an answer, for the other arm's to the same request to come
_KEPT_US = 86_400_000_000  # after a window has closed, to tell repeats of its outcome as such
_SWEEP_EVERY_US = 250_000
_SWEPT_AT_ONCE = 4096  # a few ms
_CACHE_KIB = 32_768
_TOLD_AT_ONCE = 4096  # of each kind in one block; the next block tells the rest
_WAITS, _MATCHED, _JOINED, _ABSENT, _CENSORED = range(5)
_PREDICTION, _SHADOW, _OUTCOME = (int(kind) for kind in (FrameKind.PREDICTION, FrameKind.SHADOW, FrameKind.OUTCOME))
_CONFLICTS_NAMED = 20
_LIMIT = 2**64
_DECODE = msgspec.msgpack.Decoder(dict[str, Any]).decode

_TABLES = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS prediction (
  id INTEGER PRIMARY KEY, key INTEGER, request INTEGER,
  unit INTEGER, slices INTEGER, epoch INTEGER, arm INTEGER, status INTEGER, propensity REAL,
  answered_ns INTEGER, decided_us INTEGER, closes_us INTEGER, settled_us INTEGER, score REAL, other REAL,
  state INTEGER NOT NULL DEFAULT 0, mark INTEGER, known_us INTEGER, outcome_ns INTEGER, outcome BLOB);
CREATE INDEX IF NOT EXISTS closes ON prediction (closes_us);
CREATE INDEX IF NOT EXISTS matched ON prediction (settled_us) WHERE state = 1;
CREATE TABLE IF NOT EXISTS early (
  id INTEGER PRIMARY KEY, key INTEGER, mark INTEGER, known_us INTEGER, at_ns INTEGER, outcome BLOB, seen_us INTEGER, times INTEGER,
  UNIQUE (key, mark, known_us));
CREATE INDEX IF NOT EXISTS seen ON early (seen_us);
CREATE TABLE IF NOT EXISTS conflict (key TEXT, kept TEXT, other TEXT);
"""
_INSERT = (
    "INSERT INTO prediction (id, key, request, unit, slices, epoch, arm, status, propensity, answered_ns, decided_us, closes_us,"
    " settled_us, score, other) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_SELECTED = ("key", "unit", "slices", "epoch", "arm", "status", "propensity", "answered_ns", "decided_us", "score", "other")
_TOLD = ", ".join(_SELECTED)
_ANSWERED_NS = 1 + _SELECTED.index("answered_ns")

JOINED = np.dtype(
    [
        ("at_ns", "<i8"),  # monotonic: when the outcome was read, or the window closed
        ("key", "<u8"),
        ("unit", "<u8"),
        ("slices", "<u8"),
        ("epoch", "<u4"),
        ("arm", "u1"),
        ("status", "u1"),
        ("absent", "?"),  # no outcome came in its window, and the contract calls that a negative
        ("propensity", "<f4"),
        ("answered_ns", "<i8"),
        ("decided_us", "<i8"),
        ("known_us", "<i8"),
        ("score", "<f8"),  # the first output of the answer; NaN for none
        ("other", "<f8"),  # what the other arm said to the same request; NaN where it said nothing
    ]
)


class _Head(msgspec.Struct, array_like=True):
    """As much of a Prediction's payload as the join needs; the rest is passed over."""

    request_id: msgspec.Raw
    shape: msgspec.Raw
    key: msgspec.Raw
    decided_us: int | None


_HEAD = msgspec.msgpack.Decoder(_Head)


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """Rows whose outcome is known, each for the first and only time."""

    rows: NDArray[np.void]  # (n,) of JOINED
    outcomes: tuple[Mapping[str, Any], ...]  # (n,) outcome column → value; empty where `absent`

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What became of everything that was read. Predictions = joined + absent + censored + immature + about to be joined."""

    predictions: int = 0  # rows whose key was seen for the first time
    repeated: int = 0  # further requests for such a key: the first one stands
    without_key: int = 0  # a part of the key was null: nothing can be joined
    unanswered: int = 0  # neither model nor fallback answered: no decision was made
    joined: int = 0
    absent: int = 0  # negative, for the window closed without an outcome
    censored: int = 0  # the window closed without an outcome, which then says nothing
    duplicates: int = 0  # the same outcome again
    conflicts: int = 0  # another outcome for a key that has one: the first one stands
    late: int = 0  # known after the window, or read after it had closed
    unreadable: int = 0
    shadows_alone: int = 0  # of a repeated request, or after the row was told
    forgotten: int = 0  # outcomes of keys that nobody asked about, no longer kept


class OutcomeJoin:
    """The join of one contract, to be used by one process at a time."""

    def __init__(
        self,
        path: Path,
        *,
        window_us: int,
        absent: str,
        settle_us: int = SETTLE_US,
        early_kept_us: int = 7 * 86_400_000_000,
    ) -> None:
        """Go on where the last commit was. absent: "negative" or "censored", as the contract says; window_us: after decided_at.

        early_kept_us: how long an outcome is kept for which there is no prediction (yet). Raises LogFailed for a file that cannot be read;
        it may then be deleted: all that it held is computed again from the log.
        """
        if absent not in ("negative", "censored"):
            raise ValueError(f"absent is negative or censored, not {absent!r}")
        self.path, self.window_us, self.absent, self.settle_us, self.early_kept_us = path, window_us, absent, settle_us, early_kept_us
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._db.execute("PRAGMA journal_mode = WAL")
            # A commit is not lost by a kill; what a power failure takes is computed again from the log.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_TABLES)
            state = dict(self._db.execute("SELECT name, value FROM state").fetchall())
        except sqlite3.DatabaseError as error:
            raise _failed(path, error) from error
        self.position = Position.from_bytes(state["position"]) if "position" in state else Position()
        self._counts = {name: int(state.get(f"n_{name}", 0)) for name in asdict(Counts())}
        self._swept_us, self._closed_us = int(state.get("swept_us", 0)), int(state.get("closed_us", 0))
        self._last_id = int(state.get("last_id", 0))
        self._index = KeyIndex(path.with_name(path.name + ".keys"), up_to=self._last_id, missing=self._keys_behind)
        self._open = False

    def take(self, batch: Batch, now_us: int, now_ns: int = 0) -> Joined:
        """The rows that these frames, or the time that passed, have completed. Part of the state once `commit` is called.

        now_us: wall time of a clock that is never set back (a monotonic one with an anchor); now_ns: the monotonic one, for `at_ns` of
        windows that close. The same blocks with the same times give the same rows, however often. Within a block predictions come first,
        then shadows, then outcomes.
        """
        try:
            if not self._open:
                self._db.execute("BEGIN")
                self._open = True
            frames = batch.frames
            if len(frames):
                self._take_predictions(batch, frames, now_us)
                self._take_outcomes(batch, frames, now_us)
            return self._tell(now_us, now_ns)
        except sqlite3.DatabaseError as error:
            raise _failed(self.path, error) from error

    def commit(self, position: Position) -> None:
        """Keep what was taken, up to this position of the log. After the judge's log holds what came of it, never before."""
        try:
            if not self._open:
                self._db.execute("BEGIN")
            state = [("position", position.to_bytes()), ("swept_us", self._swept_us)]
            state += [("closed_us", self._closed_us), ("last_id", self._last_id)]
            state += [(f"n_{name}", n) for name, n in self._counts.items()]
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", state)
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise _failed(self.path, error) from error
        self._open = False
        self.position = position
        self._index.settle()

    def close(self) -> None:
        """Let go of the file; what was not committed is forgotten."""
        self._db.close()

    def counts(self) -> Counts:
        """What became of everything so far."""
        return Counts(**self._counts)

    def report(self, now_us: int) -> bytes:
        """The state as of that moment, as canonical JSON: the same frames and moment give the same bytes."""
        waiting = self._db.execute(
            "SELECT count(*), count(*) FILTER (WHERE state = ?), min(closes_us), max(closes_us) FROM prediction WHERE state IN (?, ?)",
            (_MATCHED, _WAITS, _MATCHED),
        ).fetchone()
        early = self._db.execute("SELECT count(*) FROM early").fetchone()[0]
        conflicts = self._db.execute("SELECT key, kept, other FROM conflict ORDER BY key, kept, other LIMIT ?", (_CONFLICTS_NAMED,))
        return canonical(
            {
                "as_of_us": now_us,
                "absent": self.absent,
                "window_us": self.window_us,
                "counts": asdict(self.counts()),
                "immature": waiting[0] - waiting[1],
                "matched": waiting[1],
                "first_closes_us": waiting[2],
                "last_closes_us": waiting[3],
                "outcomes_without_prediction": early,
                "conflicts": [{"key": key, "kept": kept, "other": other} for key, kept, other in conflicts],
            }
        )

    def _keys_behind(self, last: int) -> Iterator[tuple[int, int]]:
        return self._db.execute("SELECT id, key FROM prediction WHERE id > ? ORDER BY id", (last,))

    def _take_predictions(self, batch: Batch, frames: NDArray[np.void], now_us: int) -> None:
        """Rows whose key is new, each with the shadow of the same block; then the shadows of earlier blocks."""
        is_prediction = frames["kind"] == _PREDICTION
        failed = is_prediction & (frames["status"] == AnswerStatus.FAILED)
        nameless = is_prediction & ~failed & (frames["key"] == NO_KEY)
        chosen = np.flatnonzero(is_prediction & ~failed & ~nameless)
        shadows = frames[(frames["kind"] == _SHADOW) & (frames["key"] != NO_KEY) & np.isfinite(frames["score"])]
        self._count("unanswered", int(np.count_nonzero(failed)))
        self._count("without_key", int(np.count_nonzero(nameless)))
        if not len(chosen) and not len(shadows):
            return
        keys, first = np.unique(frames["key"][chosen], return_index=True)
        is_new = self._find(keys) == 0
        first = np.sort(first[is_new])
        self._count("predictions", len(first))
        self._count("repeated", len(chosen) - len(first))
        shadows, other = _paired(frames[chosen[first]], shadows)
        if len(first):
            self._insert(batch, chosen[first], frames[chosen[first]], other, now_us)
        if len(shadows):
            self._take_shadows(shadows)

    def _find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """(n,) ids of rows that are still kept; 0 for none."""
        found = self._index.find(keys)
        for i in np.flatnonzero(found).tolist():
            if not self._db.execute("SELECT 1 FROM prediction WHERE id = ?", (int(found[i]),)).fetchone():
                found[i] = 0
        return found

    def _insert(self, batch: Batch, chosen: NDArray[np.int64], some: NDArray[np.void], other: NDArray[np.float64], now_us: int) -> None:
        wall = some["wall_us"]
        decided = [_decided(payload, at) for payload, at in zip(batch.payloads(chosen), wall.tolist(), strict=True)]
        # What says that it is older than the clocks may be apart was read late, or written by a clock that had been set back.
        seen = np.where(wall < now_us - MOST_APART_US, now_us, wall)
        closes = np.maximum(np.asarray(decided, np.int64), seen) + self.window_us
        ids = np.arange(self._last_id + 1, self._last_id + 1 + len(some))
        rows = zip(
            ids.tolist(),
            *(_signed(some[name]) for name in ("key", "request", "unit", "slices")),
            *(some[name].tolist() for name in ("epoch", "arm", "status", "propensity", "at_ns")),
            decided,
            closes.tolist(),
            (wall + self.settle_us).tolist(),
            some["score"].tolist(),
            other.tolist(),
            strict=True,
        )
        self._db.executemany(_INSERT, rows)
        self._last_id += len(some)
        self._index.add(np.ascontiguousarray(some["key"]), ids)
        self._closed_us = min(self._closed_us, int(closes.min()) - 1)  # one that came so late that its window is over is still to be closed
        if self._has_early():
            self._match_early(_signed(some["key"]), ids.tolist())

    def _has_early(self) -> bool:
        return bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM early)").fetchone()[0])

    def _match_early(self, keys: list[int], ids: list[int]) -> None:
        for key, each in zip(keys, ids, strict=True):
            waiting = self._db.execute(
                "SELECT mark, known_us, at_ns, outcome, times FROM early WHERE key = ? ORDER BY id", (key,)
            ).fetchall()
            if waiting:
                self._db.execute("DELETE FROM early WHERE key = ?", (key,))
                for mark, known_us, at_ns, values, times in waiting:
                    for _ in range(times):
                        self._match(key, each, mark, known_us, at_ns, values, 0)

    def _take_shadows(self, shadows: NDArray[np.void]) -> None:
        """Those whose prediction came in an earlier block."""
        ids = self._index.find(np.ascontiguousarray(shadows["key"]))
        cursor = self._db.executemany(
            f"UPDATE prediction SET other = ? WHERE id = ? AND request = ? AND state IN ({_WAITS}, {_MATCHED})",
            zip(shadows["score"].tolist(), ids.tolist(), _signed(shadows["request"]), strict=True),
        )
        self._count("shadows_alone", len(shadows) - cursor.rowcount)

    def _take_outcomes(self, batch: Batch, frames: NDArray[np.void], now_us: int) -> None:
        chosen = np.flatnonzero(frames["kind"] == _OUTCOME)
        if not len(chosen):
            return
        keys = np.ascontiguousarray(frames["key"][chosen])
        ids, at_ns = self._index.find(keys).tolist(), frames["at_ns"][chosen].tolist()
        for payload, key, each, at in zip(batch.payloads(chosen), _signed(keys), ids, at_ns, strict=True):
            try:
                outcome = decoded(_OUTCOME, payload)
            except LogFailed:
                self._count("unreadable", 1)
                continue
            if key == NO_KEY:
                self._count("without_key", 1)
                continue
            self._match(key, each, _mark(outcome.values), outcome.known_us, at, encoded(outcome.values), now_us)

    def _match(self, key: int, each: int, mark: int, known_us: int, at_ns: int, values: bytes, now_us: int) -> None:
        """One outcome: to its prediction, which has that id, or among those that wait for one."""
        found = self._db.execute("SELECT state, mark, decided_us FROM prediction WHERE id = ?", (each,)).fetchone() if each else None
        if found is None:
            self._db.execute(
                "INSERT INTO early (key, mark, known_us, at_ns, outcome, seen_us, times) VALUES (?, ?, ?, ?, ?, ?, 1)"
                " ON CONFLICT (key, mark, known_us) DO UPDATE SET times = times + 1",
                (key, mark, known_us, at_ns, values, now_us),
            )
            return
        state, kept, decided_us = found
        if known_us > decided_us + self.window_us or state in (_ABSENT, _CENSORED):
            self._count("late", 1)
        elif state == _WAITS:
            self._db.execute(
                f"UPDATE prediction SET state = {_MATCHED}, mark = ?, known_us = ?, outcome_ns = ?, outcome = ? WHERE id = ?",
                (mark, known_us, at_ns, values, each),
            )
        else:
            self._repeat(key, kept, mark)

    def _repeat(self, key: int, kept: int, mark: int) -> None:
        if kept == mark:
            self._count("duplicates", 1)
            return
        self._count("conflicts", 1)
        if self._counts["conflicts"] <= _CONFLICTS_NAMED:
            self._db.execute("INSERT INTO conflict VALUES (?, ?, ?)", tuple(f"{value % _LIMIT:016x}" for value in (key, kept, mark)))

    def _tell(self, now_us: int, now_ns: int) -> Joined:
        """What is complete by now, in an order that the state alone decides."""
        matched = self._db.execute(
            f"SELECT id, {_TOLD}, known_us, outcome_ns, outcome FROM prediction WHERE state = {_MATCHED} AND settled_us <= ?"
            f" ORDER BY outcome_ns, key LIMIT {_TOLD_AT_ONCE}",
            (now_us,),
        ).fetchall()
        self._become(_JOINED, matched)
        self._count("joined", len(matched))
        closed = self._close(now_us)
        self._sweep(now_us)
        absent = closed if self.absent == "negative" else []
        rows = _rows([*(row[1:] for row in matched), *((*row[1:], now_ns or row[_ANSWERED_NS], None) for row in absent)])
        rows["absent"][len(matched) :] = True
        return Joined(rows=rows, outcomes=(*(_DECODE(row[-1]) for row in matched), *({} for _ in absent)))

    def _close(self, now_us: int) -> list[Any]:
        """Windows that are over without an outcome."""
        rows = self._db.execute(
            f"SELECT id, {_TOLD}, closes_us FROM prediction WHERE closes_us > ? AND closes_us <= ? AND state = {_WAITS}"
            f" ORDER BY closes_us, key LIMIT {_TOLD_AT_ONCE}",
            (self._closed_us, now_us),
        ).fetchall()
        self._closed_us = max(self._closed_us, now_us) if len(rows) < _TOLD_AT_ONCE else rows[-1][-1] - 1
        is_negative = self.absent == "negative"
        self._become(_ABSENT if is_negative else _CENSORED, rows)
        self._count("absent" if is_negative else "censored", len(rows))
        return rows

    def _become(self, state: int, rows: Sequence[Any]) -> None:
        if rows:
            self._db.executemany(f"UPDATE prediction SET state = {state}, outcome = NULL WHERE id = ?", [row[:1] for row in rows])

    def _sweep(self, now_us: int) -> None:
        """Forget what no outcome is expected for any more."""
        if now_us - self._swept_us < _SWEEP_EVERY_US:
            return
        self._swept_us = now_us
        over = f"SELECT id FROM prediction WHERE closes_us <= ? AND state IN ({_JOINED}, {_ABSENT}, {_CENSORED}) LIMIT {_SWEPT_AT_ONCE}"
        if self._db.execute(f"DELETE FROM prediction WHERE id IN ({over})", (now_us - _KEPT_US,)).rowcount:
            first = self._db.execute("SELECT min(id) FROM prediction").fetchone()[0]
            self._index.forget(self._last_id + 1 if first is None else first)
        seen = f"SELECT id FROM early WHERE seen_us <= ? LIMIT {_SWEPT_AT_ONCE}"
        self._count("forgotten", self._db.execute(f"DELETE FROM early WHERE id IN ({seen})", (now_us - self.early_kept_us,)).rowcount)

    def _count(self, name: str, n: int) -> None:
        self._counts[name] += n


def catch_up(join: OutcomeJoin, log: Path, positions: Iterable[Position]) -> None:
    """After a start: take again, without telling anybody, the blocks that the judge's log holds and the join does not.

    log: the prediction log's folder. positions: of all blocks of the judge's log, in order; the first is where the rollout begins. Usually
    one block is missing at most; after a power failure, or where the join's file was deleted, it may be many. Each is taken as it was the
    first time, for what one block tells is limited: what a join of all at once left to be told later would be told to the judge again.
    """
    blocks = iter(positions)
    at = join.position
    if at == Position():  # a new file
        at = next(blocks, at)
        join.commit(at)
        passed: Position | None = at
    else:
        passed = next((position for position in blocks if position == at), None)
    if passed is None:  # the disk kept the join and not the judge's last blocks: what was told in them is not told again
        return
    tail = Tail(log, at)
    for position in blocks:
        if position != join.position:  # a mark between two blocks took nothing
            join.take(tail.read(position), position.now_us)
            join.commit(position)


def stored_position(path: Path) -> Position | None:
    """How far a join that another process uses has read the log; None where there is none yet."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as db:
            found = db.execute("SELECT value FROM state WHERE name = 'position'").fetchone()
    except sqlite3.DatabaseError as error:
        raise _failed(path, error) from error
    return None if found is None else Position.from_bytes(found[0])


def _rows(told: Sequence[Sequence[Any]]) -> NDArray[np.void]:
    """(n,) of JOINED from what was selected: _SELECTED, then known_us, at_ns and the outcome."""
    found = np.zeros(len(told), JOINED)
    if told:
        for name, column in zip((*_SELECTED, "known_us", "at_ns"), zip(*told, strict=True), strict=False):
            if found.dtype[name] == np.uint64:  # SQLite's numbers have a sign
                found[name] = np.asarray(column, np.int64).view(np.uint64)
            else:
                found[name] = np.asarray(column, np.float64 if found.dtype[name].kind == "f" else np.int64)
    return found


def _paired(some: NDArray[np.void], shadows: NDArray[np.void]) -> tuple[NDArray[np.void], NDArray[np.float64]]:
    """The shadows that belong to none of these predictions, and what the others say to each prediction (NaN for nothing)."""
    other = np.full(len(some), np.nan)
    if not len(some) or not len(shadows):
        return shadows, other
    place = {(key, request): i for i, (key, request) in enumerate(zip(some["key"].tolist(), some["request"].tolist(), strict=True))}
    at = np.array([place.get(pair, -1) for pair in zip(shadows["key"].tolist(), shadows["request"].tolist(), strict=True)])
    other[at[at >= 0]] = shadows["score"][at >= 0]
    return shadows[at < 0], other


def _signed(numbers: NDArray[np.uint64]) -> list[int]:
    """64 bits as SQLite's numbers, which have a sign."""
    found: list[int] = np.ascontiguousarray(numbers).view(np.int64).tolist()
    return found


def _decided(payload: bytes, wall_us: int) -> int:
    """The moment that the answer is for; where the row does not say, when it was given."""
    try:
        decided = _HEAD.decode(payload).decided_us
    except msgspec.MsgspecError:
        return wall_us
    return wall_us if decided is None else decided


def _mark(values: Mapping[str, Any]) -> int:
    """What tells two outcomes apart: their values by what they look like, so that 1 and 1.0 and true do not differ."""
    texts = ((name, key_text(int(value) if isinstance(value, bool) else value)) for name, value in sorted(values.items()))
    return int.from_bytes(hashlib.blake2b(encoded(list(texts)), digest_size=8).digest(), "little", signed=True)


def _failed(path: Path, error: sqlite3.DatabaseError) -> LogFailed:
    return LogFailed(
        "The join of outcomes cannot be read or written.",
        found=str(error),
        where=str(path),
        next="free some space; where the file itself is damaged, delete it: it is computed again from what the log still holds",
    )
