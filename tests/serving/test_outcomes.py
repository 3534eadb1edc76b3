"""The join of outcomes: each key once, its first prediction with its first outcome, and no negative before its time."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.serving.outcomes import JOINED, OutcomeJoin, catch_up
from gonogo.serving.predictionlog import PredictionLog, Shape, encoded
from gonogo.serving.rowkey import row_key
from gonogo.serving.segments import FRAME_BYTES
from gonogo.serving.tail import Batch, Position, Tail
from gonogo.types.errors import LogFailed
from gonogo.types.traffic import FRAME, AnswerStatus, FrameKind

WINDOW, SETTLE = 100, 5
NOTHING: list[Any] = []


@dataclass(frozen=True, kw_only=True, slots=True)
class P:
    key: int
    at: int
    request: int = 0
    decided: int | None = None
    status: int = 0
    score: float = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class S:
    key: int
    at: int
    request: int = 0
    score: float = 0.75


@dataclass(frozen=True, kw_only=True, slots=True)
class O:  # noqa: E742
    key: int
    at: int
    known: int
    y: Any = 1


def batch(events: list[Any]) -> Batch:
    """Frames in memory, as a tail gives them."""
    frames, starts, data = np.zeros(len(events), FRAME), [], b""
    for i, event in enumerate(events):
        frame = frames[i]
        frame["key"], frame["wall_us"], frame["at_ns"], frame["score"] = row_key((event.key,)), event.at, event.at * 1000, math.nan
        if isinstance(event, O):
            frame["kind"], payload = FrameKind.OUTCOME, encoded(((event.key,), {"y": event.y}, event.known, ""))
        else:
            frame["kind"] = FrameKind.PREDICTION if isinstance(event, P) else FrameKind.SHADOW
            frame["request"], frame["score"] = event.request, event.score
            frame["unit"], frame["slices"], frame["arm"] = 2**64 - 1 - event.key, 2**63, isinstance(event, S)
            frame["status"] = getattr(event, "status", 0)
            payload = encoded(("", "", (event.key,), getattr(event, "decided", None), (), (), (event.score,), ""))
        frame["length"] = len(payload)
        starts.append(len(data))
        data += bytes(FRAME_BYTES) + payload
    zeros = np.zeros(len(events), np.int64)
    return Batch(
        frames=frames, writers=("w0",), writer=zeros.astype(np.uint16), _maps=(data,), _map=zeros, _start=np.array(starts, np.int64)
    )  # type: ignore[arg-type]


def joining(tmp_path: Path, *, absent: str = "negative", name: str = "join.sqlite") -> OutcomeJoin:
    return OutcomeJoin(tmp_path / name, window_us=WINDOW, absent=absent, settle_us=SETTLE)


def told(join: OutcomeJoin, events: list[Any], now: int) -> list[tuple[int, Any, float, float]]:
    joined = join.take(batch(events), now)
    keys = {row_key((k,)): k for k in range(50)}
    return [
        (keys[int(row["key"])], None if row["absent"] else outcome["y"], float(row["score"]), float(row["other"]))
        for row, outcome in zip(joined.rows, joined.outcomes, strict=True)
    ]


def pairs(rows: list[tuple[int, Any, float, float]]) -> list[tuple[int, Any]]:
    return [row[:2] for row in rows]


def test_an_outcome_is_joined_with_both_arms_answers(tmp_path):
    join = joining(tmp_path)
    assert told(join, [P(key=1, at=10, request=7), S(key=1, at=11, request=7)], 11) == []
    assert told(join, [O(key=1, at=20, known=19, y=0)], 20) == [(1, 0, 0.25, 0.75)]
    assert told(join, NOTHING, 500) == []


def test_what_a_joined_row_holds_is_the_first_answers(tmp_path):
    join = joining(tmp_path)
    joined = join.take(batch([P(key=1, at=10, decided=4), O(key=1, at=12, known=11)]), 20)
    row = joined.rows[0]
    assert joined.rows.dtype == JOINED
    assert [int(row[n]) for n in ("unit", "slices", "decided_us", "known_us", "at_ns", "answered_ns")] == [
        2**64 - 2,
        2**63,
        4,
        11,
        12_000,
        10_000,
    ]
    assert math.isnan(row["other"])


def test_an_outcome_that_is_read_before_its_prediction_waits_for_it(tmp_path):
    join = joining(tmp_path)
    assert told(join, [O(key=1, at=1, known=1)], 1) == []
    assert pairs(told(join, [P(key=1, at=2)], 2 + SETTLE)) == [(1, 1)]


def test_an_outcome_that_comes_at_once_waits_for_the_other_arms_answer(tmp_path):
    join = joining(tmp_path)
    assert told(join, [P(key=1, at=10), O(key=1, at=10, known=10)], 10) == []
    assert told(join, [S(key=1, at=11)], 10 + SETTLE) == [(1, 1, 0.25, 0.75)]


def test_the_first_request_of_a_key_stands(tmp_path):
    join = joining(tmp_path)
    assert told(join, [P(key=1, at=1, request=1), P(key=1, at=2, request=2, score=0.9), S(key=1, at=3, request=2)], 3) == []
    assert str(told(join, [O(key=1, at=30, known=30)], 30)) == str([(1, 1, 0.25, math.nan)])
    assert (join.counts().repeated, join.counts().shadows_alone) == (1, 1)


def test_the_same_outcome_twice_is_joined_once_and_another_one_is_a_conflict(tmp_path):
    join = joining(tmp_path)
    told(join, [P(key=1, at=1)], 1)
    assert pairs(told(join, [O(key=1, at=9, known=9, y=1), O(key=1, at=9, known=9, y=1.0)], 9)) == [(1, 1)]
    assert told(join, [O(key=1, at=10, known=9, y=True), O(key=1, at=10, known=9, y=0)], 10) == []
    assert (join.counts().joined, join.counts().duplicates, join.counts().conflicts) == (1, 2, 1)
    assert len(json.loads(join.report(10))["conflicts"]) == 1


def test_no_outcome_is_no_negative_until_its_window_has_closed(tmp_path):
    join = joining(tmp_path)
    assert told(join, [P(key=1, at=10)], 10) == []
    assert told(join, NOTHING, 10 + WINDOW - 1) == []
    assert pairs(told(join, NOTHING, 10 + WINDOW)) == [(1, None)]
    assert told(join, [O(key=1, at=120, known=20)], 120) == []
    assert (join.counts().absent, join.counts().late) == (1, 1)


def test_where_absence_says_nothing_a_closed_window_tells_nobody(tmp_path):
    join = joining(tmp_path, absent="censored")
    told(join, [P(key=1, at=10)], 10)
    assert told(join, NOTHING, 1000) == []
    assert (join.counts().censored, join.counts().absent) == (1, 0)


def test_an_outcome_known_after_its_window_is_late_however_early_it_is_read(tmp_path):
    join = joining(tmp_path)
    told(join, [P(key=1, at=10, decided=5)], 10)
    assert told(join, [O(key=1, at=20, known=5 + WINDOW + 1)], 20) == []
    assert pairs(told(join, [O(key=1, at=30, known=5 + WINDOW)], 30)) == [(1, 1)]
    assert join.counts().late == 1


def test_a_window_of_a_decision_still_to_come_closes_after_it(tmp_path):
    join = joining(tmp_path)
    told(join, [P(key=1, at=10, decided=1000)], 10)
    assert told(join, NOTHING, 10 + WINDOW) == []
    assert pairs(told(join, NOTHING, 1000 + WINDOW)) == [(1, None)]


@pytest.mark.parametrize("absent", ["negative", "censored"])
def test_what_completes_at_once_is_told_in_blocks_and_none_of_it_twice(tmp_path, monkeypatch, absent):
    monkeypatch.setattr("gonogo.serving.outcomes._TOLD_AT_ONCE", 7)
    join = joining(tmp_path, absent=absent)
    events = [P(key=k, at=10) for k in range(40)] + [O(key=k, at=20, known=20) for k in range(20)]
    blocks = [pairs(told(join, events if n == 0 else NOTHING, 1000)) for n in range(6)]
    assert max(map(len, blocks)) <= 14
    assert sorted(row for block in blocks for row in block if row[1]) == [(k, 1) for k in range(20)]
    assert sorted(row[0] for block in blocks for row in block if row[1] is None) == (list(range(20, 40)) if absent == "negative" else [])
    assert (join.counts().joined, join.counts().absent + join.counts().censored) == (20, 20)


def test_rows_that_nobody_answered_or_nobody_can_name_are_counted(tmp_path):
    join = joining(tmp_path)
    events = batch([P(key=1, at=1, status=AnswerStatus.FAILED), P(key=2, at=1), P(key=1, at=2)])
    events.frames["key"][1] = 0
    join.take(events, 2)
    counts = join.counts()
    assert (counts.predictions, counts.unanswered, counts.without_key) == (1, 1, 1)


def test_outcomes_of_what_nobody_asked_are_forgotten_in_the_end(tmp_path):
    join = OutcomeJoin(tmp_path / "j", window_us=WINDOW, absent="negative", early_kept_us=1000)
    told(join, [O(key=1, at=1, known=1)], 100_000_000)
    told(join, NOTHING, 100_000_500)
    assert json.loads(join.report(0))["outcomes_without_prediction"] == 1
    told(join, NOTHING, 200_000_000)
    assert json.loads(join.report(0))["outcomes_without_prediction"] == 0
    assert join.counts().forgotten == 1


def test_what_is_over_for_a_day_is_no_longer_kept(tmp_path):
    join = joining(tmp_path)
    told(join, [P(key=1, at=10), O(key=1, at=10, known=10)], 20)
    told(join, NOTHING, 90_000_000_000)
    assert join._db.execute("SELECT count(*) FROM prediction").fetchone()[0] == 0


def test_what_was_not_committed_is_taken_again_and_what_was_is_not(tmp_path):
    join = joining(tmp_path)
    told(join, [P(key=1, at=1)], 1)
    join.commit(Position(now_us=1))
    assert pairs(told(join, [O(key=1, at=20, known=9)], 20)) == [(1, 1)]
    join.close()  # killed before the commit
    join = joining(tmp_path)
    assert join.position == Position(now_us=1)
    assert pairs(told(join, [O(key=1, at=20, known=9)], 20)) == [(1, 1)]
    join.commit(Position(now_us=20))
    join.close()
    join = joining(tmp_path)
    assert told(join, [O(key=1, at=21, known=9)], 21) == []
    assert (join.counts().joined, join.counts().duplicates) == (1, 1)


def test_after_a_kill_between_the_judges_log_and_the_join_nothing_is_told_twice(tmp_path):
    folder = tmp_path / "log"
    shape = Shape(candidate="c", key={"id": "integer"}, question={}, inputs={}, outputs={"p": "number"})
    with PredictionLog(folder, "w0", segment_bytes=1 << 16) as log:
        name = log.declare(shape)
        log.append_prediction(request=1, shape=name, key=(1,), question=(), answer=(0.5,), wall_us=1)
        log.append_outcome(key=("1",), values={"y": 1}, known_us=50)
        join, tail = joining(tmp_path), Tail(folder)
        assert len(join.take(tail.poll(now_us=100), 100)) == 1
        judged = Position.from_bytes(tail.position.to_bytes())  # the judge's log has it; the join was killed
        join.close()
        join = joining(tmp_path)
        for _ in range(2):
            catch_up(join, folder, [Position(), judged])
        tail = Tail(folder, join.position)
        log.append_outcome(key=(1,), values={"y": 1}, known_us=50)
        assert len(join.take(tail.poll(now_us=200), 200)) == 0
        assert (join.counts().joined, join.counts().duplicates) == (1, 1)


def test_a_join_that_is_computed_again_from_the_log_tells_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("gonogo.serving.outcomes._TOLD_AT_ONCE", 3)
    folder = tmp_path / "log"
    shape = Shape(candidate="c", key={"id": "integer"}, question={}, inputs={}, outputs={"p": "number"})
    with PredictionLog(folder, "w0", segment_bytes=1 << 16) as log:
        name = log.declare(shape)
        log.append_prediction(request=9, shape=name, key=(9,), question=(), answer=(0.5,), wall_us=1)  # before the rollout
        join, tail = joining(tmp_path), Tail(folder)
        join.commit(tail.skip())
        positions, n_told = [tail.position], 0
        for i in range(8):
            log.append_prediction(request=i, shape=name, key=(i,), question=(), answer=(0.5,), wall_us=1)
            log.append_outcome(key=(i,), values={"y": 1}, known_us=50)
        log.append_outcome(key=(9,), values={"y": 1}, known_us=50)
        for now_us in (50, 60, 70):
            n_told += len(join.take(tail.poll(now_us=now_us), now_us))
            join.commit(tail.position)
            positions.append(tail.position)
        again = joining(tmp_path, name="again")
        catch_up(again, folder, positions)
        assert n_told == 8
        assert len(again.take(tail.poll(now_us=80), 80)) == 0
        assert again.counts() == join.counts()


def test_a_file_that_is_no_join_is_refused(tmp_path):
    (tmp_path / "join.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(LogFailed):
        joining(tmp_path)
    with pytest.raises(ValueError, match="negative or censored"):
        joining(tmp_path, absent="positive", name="other")


class Oracle:
    """The same join, by a dict and one event after the other."""

    def __init__(self, absent: str) -> None:
        self.absent, self.rows, self.early, self.n = absent, {}, {}, Counter()

    def take(self, events: list[Any], now: int) -> list[tuple[Any, ...]]:
        for event in sorted(events, key=lambda e: (P, S, O).index(type(e))):
            getattr(self, f"take_{type(event).__name__}")(event)
        return self.tell(now)

    def take_P(self, event: P) -> None:
        if event.status == AnswerStatus.FAILED:
            self.n["unanswered"] += 1
        elif event.key in self.rows:
            self.n["repeated"] += 1
        else:
            self.n["predictions"] += 1
            decided = event.at if event.decided is None else event.decided
            self.rows[event.key] = {"p": event, "decided": decided, "other": math.nan, "state": "waits"}
            for outcome in self.early.pop(event.key, []):
                self.take_O(outcome)

    def take_S(self, event: S) -> None:
        row = self.rows.get(event.key)
        if row and row["p"].request == event.request and row["state"] in ("waits", "matched"):
            row["other"] = event.score
        else:
            self.n["shadows_alone"] += 1

    def take_O(self, event: O) -> None:
        row = self.rows.get(event.key)
        if row is None:
            self.early.setdefault(event.key, []).append(event)
        elif event.known > row["decided"] + WINDOW or row["state"] == "closed":
            self.n["late"] += 1
        elif row["state"] == "waits":
            row |= {"state": "matched", "y": event.y, "at": event.at}
        else:
            self.n["duplicates" if row["y"] == event.y else "conflicts"] += 1

    def tell(self, now: int) -> list[tuple[Any, ...]]:
        found = []
        for key, row in self.rows.items():
            if row["state"] == "matched" and row["p"].at + SETTLE <= now:
                row["state"] = "joined"
                self.n["joined"] += 1
                found.append((key, row["y"], row["p"].score, row["other"]))
            elif row["state"] == "waits" and max(row["decided"], row["p"].at) + WINDOW <= now:
                row["state"] = "closed"
                self.n["absent" if self.absent == "negative" else "censored"] += 1
                if self.absent == "negative":
                    found.append((key, None, row["p"].score, row["other"]))
        return found


TIMES = st.integers(0, 300)
KEYS = st.integers(1, 4)
SOME = st.one_of(
    st.builds(
        P,
        key=KEYS,
        at=TIMES,
        request=st.integers(0, 2),
        decided=st.none() | TIMES,
        status=st.sampled_from([0, 0, 1, 4]),
        score=st.just(0.5),
    ),
    st.builds(S, key=KEYS, at=TIMES, request=st.integers(0, 2)),
    st.builds(O, key=KEYS, at=TIMES, known=TIMES, y=st.integers(0, 1)),
)
counter = itertools.count()


@given(
    blocks=st.lists(st.tuples(st.lists(SOME, max_size=8), st.integers(0, 60)), max_size=8), absent=st.sampled_from(["negative", "censored"])
)
@settings(max_examples=60, deadline=None)
def test_the_join_is_what_one_event_after_the_other_gives(tmp_path_factory, blocks, absent):
    join, oracle, now = joining(tmp_path_factory.getbasetemp(), absent=absent, name=f"join{next(counter)}"), Oracle(absent), 0
    for events, passed in blocks:
        now += passed
        assert sorted(map(str, told(join, events, now))) == sorted(map(str, oracle.take(events, now)))
        join.commit(Position(now_us=now))
    assert {name: n for name, n in asdict(join.counts()).items() if n} == {name: n for name, n in oracle.n.items() if n}
    join.close()
    join.path.unlink()


@given(events=st.lists(SOME, max_size=30), cuts=st.sets(st.integers(0, 30)))
@settings(max_examples=25, deadline=None)
def test_how_outcomes_are_cut_into_blocks_changes_nothing(tmp_path_factory, events, cuts):
    predictions = [e for e in events if not isinstance(e, O)]
    outcomes = [e for e in events if isinstance(e, O)]
    reports = []
    for parts in ([predictions + outcomes], [*_cut(outcomes, cuts), predictions], [predictions, *_cut(outcomes, cuts)]):
        join = joining(tmp_path_factory.getbasetemp(), name=f"cut{next(counter)}")
        for part in parts:
            join.take(batch(part), 0)
        join.take(batch([]), 1000)
        report = json.loads(join.report(1000))
        del report["conflicts"]
        reports.append(report)
        join.close()
        join.path.unlink()
    assert reports[0] == reports[1] == reports[2]


def _cut(events: list[Any], cuts: set[int]) -> list[list[Any]]:
    edges = [0, *sorted(c for c in cuts if c < len(events)), len(events)]
    return [events[a:b] for a, b in itertools.pairwise(edges)]


def test_the_same_frames_and_moment_give_the_same_report(tmp_path):
    reports = set()
    for name in ("one", "two"):
        join = joining(tmp_path, name=name)
        told(join, [P(key=k, at=k) for k in range(1, 20)] + [O(key=k, at=30, known=k, y=k % 2) for k in range(1, 40, 3)], 50)
        reports.add(join.report(50))
    assert len(reports) == 1


def test_a_row_that_was_written_by_a_clock_that_had_been_set_back_is_no_negative_before_its_window(tmp_path):
    """The reader's clock goes on; the writer's says an hour less."""
    hour = 3_600_000_000
    join = OutcomeJoin(tmp_path / "j", window_us=hour, absent="negative", settle_us=SETTLE)
    now = 100 * hour
    assert len(join.take(batch([P(key=1, at=now - hour)]), now)) == 0
    assert len(join.take(batch([]), now + hour - 1)) == 0
    assert join.take(batch([]), now + hour).rows["absent"].tolist() == [True]
