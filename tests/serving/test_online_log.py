"""Events that one worker took are known to all, at once or soon, and after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gonogo.data import features as batch
from gonogo.data.planning import Plan
from gonogo.serving.archive import archive
from gonogo.serving.features import Features
from gonogo.serving.online_log import LOOK_NS, OnlineLog
from gonogo.serving.predictionlog import PredictionLog
from gonogo.serving.tail import Tail
from gonogo.types.contract import Source
from gonogo.types.errors import ColumnMissing, KeysRefused, LogFailed, RequestRefused
from gonogo.types.package import Field
from tests.oracles.worlds import connected, contract, feature

NOON = datetime(2024, 3, 31, 12, tzinfo=UTC)
FIELDS = (Field(name="asked", type="time", needed=True), Field(name="uid", type="integer", needed=True))


@pytest.fixture(scope="module")
def plan() -> Plan:
    kinds = {"uid": pa.int64(), "at": pa.timestamp("us", tz="UTC"), "seq": pa.string(), "n": pa.int64()}
    events = pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
    labels = pa.table({"uid": pa.array([], pa.int64()), "asked": pa.array([], kinds["at"])})
    source = Source(read="e", event_time="at", known_at="at", sequence="seq")
    declared = {"f": feature(source="events", by=("uid",), aggregates=("sum(n)", "count"))}
    return batch.plan(contract(declared, events=source), connected(events=events, labels=labels))


class Worker:
    """One worker's log, features and view of the others."""

    def __init__(self, folder: Path, name: str, plan: Plan) -> None:
        self.log = PredictionLog(folder / "log", name, segment_bytes=1 << 16)
        self.features = Features(plan, fields=FIELDS, decided_at="asked")
        self.online = OnlineLog(self.log, archive=folder / "archive", features=lambda: (self.features,))
        self.online.open(self.features)
        self.now_ns = 0

    def told(self) -> list[Any]:
        return list(self.features.reader(("asked", "uid"))((NOON, 1))[0])

    def looks(self) -> list[Any]:
        self.now_ns += LOOK_NS
        self.online.catch_up(self.now_ns)
        return self.told()


@pytest.fixture
def workers(tmp_path: Path, plan: Plan) -> Iterator[tuple[Worker, Worker]]:
    both = Worker(tmp_path, "w1", plan), Worker(tmp_path, "w2", plan)
    yield both
    for worker in both:
        worker.log.close()


def event(n: int) -> dict[str, Any]:
    return {"uid": 1, "at": NOON - timedelta(hours=1, seconds=n), "seq": str(n), "n": n}


def test_a_worker_knows_at_once_what_it_took_and_the_other_when_it_looks(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    assert one.online.take("events", [event(3), event(4)]).n_taken == 2
    assert one.told() == [7, 2]
    assert two.told() == [None, 0]
    assert two.looks() == [7, 2]


def test_nobody_looks_more_often_than_it_pays(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    assert two.looks() == [None, 0]
    one.online.take("events", [event(3)])
    two.online.catch_up(two.now_ns + LOOK_NS - 1)
    assert two.told() == [None, 0]
    assert two.looks() == [3, 1]


def test_an_event_that_two_workers_took_counts_once(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    for worker in workers:
        assert worker.online.take("events", [event(3)]).n_taken == 1
    assert [one.looks(), two.looks()] == [[3, 1], [3, 1]]


def test_an_event_that_is_none_is_refused_alone_and_not_written(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    taken = one.online.take("events", [event(3), {"uid": 1}, {**event(3), "n": 9}, event(4), {**event(5), "n": "many"}])
    assert taken.n_taken == 2
    assert [(i, type(error)) for i, error in taken.refused] == [(1, ColumnMissing), (2, KeysRefused), (4, RequestRefused)]
    assert two.looks() == [7, 2]


def test_an_event_that_cannot_be_written_is_not_said_to_be_taken(workers: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = workers
    monkeypatch.setattr(one.log, "append_event", lambda **said: False)
    ((i, error),) = one.online.take("events", [event(3)]).refused
    assert (i, type(error)) == (0, LogFailed)


def test_a_worker_that_starts_again_knows_what_all_of_them_took(workers: tuple[Worker, Worker], tmp_path: Path, plan: Plan) -> None:
    one, two = workers
    one.online.take("events", [event(3)])
    two.online.take("events", [event(4)])
    one.log.close()
    again = Worker(tmp_path, "w1", plan)
    assert again.told() == [7, 2]
    two.online.take("events", [event(5)])
    assert again.looks() == [12, 3]
    again.log.close()


def test_events_that_are_archived_and_gone_from_the_log_are_still_known(workers: tuple[Worker, Worker], tmp_path: Path, plan: Plan) -> None:
    one, _ = workers
    for n in range(1, 801):
        one.online.take("events", [event(n)])
    tail = Tail(tmp_path / "log")
    while len(tail.poll()):
        pass
    done = archive(tmp_path / "log", tmp_path / "archive", [tail.position], kept_us=0)
    assert done.n_deleted > 0
    late = Worker(tmp_path, "w3", plan)
    assert late.told() == [sum(range(1, 801)), 800]
    late.log.close()


def test_a_model_of_another_plan_that_is_loaded_later_knows_what_came_before_and_after(workers: tuple[Worker, Worker], plan: Plan) -> None:
    one, two = workers
    two.online.take("events", [event(3)])
    one.online.take("events", [event(4)])
    new = Features(plan, fields=FIELDS, decided_at="asked")
    one.online._features = lambda: (one.features, new)
    one.online.open(new)
    read = new.reader(("asked", "uid"))
    assert list(read((NOON, 1))[0]) == [7, 2]
    two.online.take("events", [event(5)])
    one.looks()
    assert list(read((NOON, 1))[0]) == [12, 3]


def test_events_of_a_contract_before_this_one_do_no_harm(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    for values in ({"x": 1}, {**event(3), "n": "many"}, {**event(3), "at": "yesterday"}):
        one.log.append_event(source="events", values=values)
    one.log.append_event(source="another", values={})
    one.online.take("events", [event(4)])
    assert two.looks() == [4, 1]
    assert two.online.n_refused == 3


def test_without_features_of_events_nobody_reads_the_log(tmp_path: Path, plan: Plan) -> None:
    with PredictionLog(tmp_path / "log", "w1") as log:
        light = Features(Plan(**{**_fields_of(plan), "streams": (), "sources": (), "inputs": ()}), fields=FIELDS, decided_at="asked")
        online = OnlineLog(log, archive=tmp_path / "archive", features=lambda: (light,))
        online.open(light)
        online.catch_up(LOOK_NS)
        assert online._tail is None


def _fields_of(plan: Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in plan.__dataclass_fields__}
