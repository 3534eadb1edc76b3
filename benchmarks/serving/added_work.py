"""What does an answer cost beyond its features and its model, and what does a shadow that misbehaves cost the callers?

    python benchmarks/serving/added_work.py [--requests 20000] [--rounds 8] [--users 1000000] [--flights]

In process, one thread asking: no HTTP. 30 floats, a model that adds two of them, 5 % canary, every request shown to the other arm, a real
log. Added work is what `predict` takes less what making the row and asking the model takes, call by call, in turns. CPU is the asking
thread's own; wall is what a caller sees while neighbours and the shadow's thread take their turns.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from gonogo.data.planning import Plan, RequestFeature
from gonogo.serving.answer import Answerer
from gonogo.serving.features import Features
from gonogo.serving.predictionlog import PredictionLog
from gonogo.serving.route import Route
from gonogo.serving.router import Router, threshold
from gonogo.serving.shadow import Shadow
from gonogo.types.contract import Rollout, Serving
from gonogo.types.package import Field, Package
from gonogo.types.release import Phase
from gonogo.types.snapshot import Input, Kind, Missing

NAMES = tuple(f"f{i}" for i in range(30))
FIELDS = (
    Field(name="id", type="text", needed=True),
    Field(name="user", type="text", needed=True),
    Field(name="at", type="time", needed=True),
    *(Field(name=name, type="number", needed=True) for name in NAMES),
)
PLAN = Plan(
    boundary="before",
    row_source="rows",
    row_columns=dict.fromkeys(NAMES, "DOUBLE"),
    requests=tuple(RequestFeature(name=name, sql=name, held="floating", columns=(name,)) for name in NAMES),
    streams=(),
    sources=(),
    inputs=tuple(Input(name=name, kind=Kind.NUMBER, missing=Missing.NATIVE, feature=name) for name in NAMES),
)
ROUTE = Route(
    epoch=1, champion="sha256:" + "c" * 64, champion_package="pc", challenger="sha256:" + "d" * 64, challenger_package="pd",
    phase=Phase.CANARY, step=1, share=0.05, salt="salt", bucket_by="user", slices=("user=0", "user=1"),
)  # fmt: skip


@dataclass
class Model:
    digest: str
    candidate: str
    answer: Callable[[Sequence[Any]], tuple[Any, ...]] = lambda row: (row[0] + row[1],)
    outputs: tuple[str, ...] = ("p",)
    is_foreign: bool = False
    batches_one_turn: bool = False
    cost: Any = None

    def __post_init__(self) -> None:
        self.cost = SimpleNamespace(one_us=5.0)

    @property
    def package(self) -> Package:
        return Package(
            candidate=self.candidate, contract="", family="", artifact={}, inputs=PLAN.inputs, outputs=self.outputs, fields=FIELDS,
            key=("id",), plan="", seeds={}, probes="", tolerance=0.0,
        )  # fmt: skip

    def score(self, row: Sequence[Any]) -> tuple[Any, ...]:
        return self.answer(row)

    def score_rows(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        return [self.answer(row) for row in rows]


def stalls(row: Sequence[Any]) -> tuple[Any, ...]:
    time.sleep(0.5)
    return (0.0,)


def raises(row: Sequence[Any]) -> tuple[Any, ...]:
    raise ValueError("always")


def kills(row: Sequence[Any]) -> tuple[Any, ...]:
    raise SystemExit


class Desk:
    """One worker's answerer."""

    def __init__(
        self, folder: Path, name: str, *, shadow: Callable[[Sequence[Any]], tuple[Any, ...]] | None = None, route: Route = ROUTE
    ) -> None:
        self.log = PredictionLog(folder, name, segment_bytes=32 << 20)
        self.shadow = Shadow(self.log)
        contract: Any = SimpleNamespace(name="bench", serving=Serving(deadline_ms=10_000.0), rollout=Rollout())
        self.answerer = Answerer(contract, route=lambda now: route, log=self.log, shadow=self.shadow)
        self.features = Features(PLAN, fields=FIELDS, decided_at="at")
        self.champion = Model("pc", ROUTE.champion)
        for model in (self.champion, Model("pd", ROUTE.challenger, shadow or self.champion.answer)):
            self.answerer.hold(model, self.features)
        self.read = self.features.reader(tuple(field.name for field in self.answerer.fields))

    def close(self) -> None:
        self.shadow.close(wait_s=0.1)
        self.log.close()


def questions(n: int, rng: np.random.Generator) -> list[tuple[Any, ...]]:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    numbers = rng.normal(size=(n, 30)).tolist()
    return [(f"k{i}", f"u{i % 5000}", at, *row) for i, row in enumerate(numbers)]


def added_work(folder: Path, n: int) -> dict[str, Any]:
    """Call by call: predict, less making the row and asking the model."""
    desk = Desk(folder, "added")
    asked = questions(n, np.random.default_rng(1))
    predict, read, score, clock = desk.answerer.predict, desk.read, desk.champion.score, time.monotonic_ns
    told: dict[str, Any] = {}
    for name, timer in (("cpu", time.thread_time_ns), ("wall", time.perf_counter_ns)):
        added, whole = [], []
        gc.collect()
        gc.disable()
        for i, question in enumerate(asked):
            a = timer()
            score(read(question)[0])
            b = timer()
            predict(question, clock())
            c = timer()
            if i > 500:
                added.append((c - b) - (b - a))
                whole.append(c - b)
            if i % 64 == 0:
                time.sleep(0.002)  # the shadow's thread has its turn, as between two requests of a server
        gc.enable()
        told[name] = {f"p{q}_us": round(float(np.percentile(added, q)) / 1e3, 2) for q in (50, 90, 99)}
        told[f"{name}_whole_predict"] = {f"p{q}_us": round(float(np.percentile(whole, q)) / 1e3, 2) for q in (50, 99)}
    told["dropped"], told["unlogged"], told["shadowed"] = desk.shadow.drops, desk.answerer.n_unlogged, desk.shadow.n_logged
    desk.close()
    return told


def bad_shadows(folder: Path, rounds: int, per_block: int) -> dict[str, Any]:
    """Blocks of requests at some 700 a second, in turns: the median of each beside that of a shadow that behaves, in the same round."""
    threading.excepthook = lambda args: None  # a thread that is killed is the point
    kinds = {"none": None, "well": None, "stalls": stalls, "raises": raises, "kills": kills}
    settled = replace(ROUTE, phase=Phase.SETTLED, share=0.0)
    # Champion requests alone are shown to the model that misbehaves; a canary's share of 0 keeps it from answering.
    shadowed = replace(ROUTE, phase=Phase.SHADOW, share=0.0)
    desks = {name: Desk(folder, name, shadow=kind, route=settled if name == "none" else shadowed) for name, kind in kinds.items()}
    asked = questions(per_block, np.random.default_rng(2))
    medians: dict[str, list[float]] = {name: [] for name in desks}
    errors = dict.fromkeys(desks, 0)
    order = list(desks)
    rng = np.random.default_rng(3)
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            predict, took = desks[name].answerer.predict, []
            for question in asked:
                began = time.perf_counter_ns()
                answer = predict(question, time.monotonic_ns())
                took.append(time.perf_counter_ns() - began)
                errors[name] += getattr(answer, "status", 1) != 0
                time.sleep(0.001)
            medians[name].append(statistics.median(took) / 1e3)
    told: dict[str, Any] = {}
    for name, desk in desks.items():
        ratios = [ours / well for ours, well in zip(medians[name], medians["well"], strict=True)]
        told[name] = {
            "p50_us": round(statistics.median(medians[name]), 1),
            "p50_to_well": round(statistics.median(ratios), 3),
            "spread": [round(min(ratios), 3), round(max(ratios), 3)],
            "caller_errors": errors[name],
            "offered": 0 if name == "none" else rounds * per_block,
            "dropped": desk.shadow.drops,
            "logged": desk.shadow.n_logged,
            "waiting": desk.shadow.n_waiting,
        }
        desk.close()
    return told


def bucketing(n: int) -> dict[str, Any]:
    """Who leaves as the share grows, and do two rollouts assign independently of one another?"""
    place = {}
    began = time.process_time()
    for salt in ("a", "b"):
        router = Router(salt=salt, share=0.5)
        place[salt] = np.fromiter((router.assign(f"user-{i}")[2] for i in range(n)), np.uint64, n)
    took = time.process_time() - began
    shares = (0.01, 0.05, 0.25, 0.5)
    inside = [place["a"] < np.uint64(threshold(share)) for share in shares]
    left = sum(int((fewer & ~more).sum()) for fewer, more in itertools.pairwise(inside))
    a, b = (place[salt] < np.uint64(threshold(0.5)) for salt in ("a", "b"))
    return {
        "users": n,
        "left_the_canary": left,
        "phi_of_two_salts": round(float(np.corrcoef(a, b)[0, 1]), 5),
        "shares": {str(share): round(float(mask.mean()), 5) for share, mask in zip(shares, inside, strict=True)},
        "assign_us": round(took / (2 * n) * 1e6, 2),
    }


def flights(n: int) -> dict[str, Any]:
    """One row of the flights' 41 inputs, with events of eight days as seeds; each held against the batch."""
    import pyarrow.compute as pc

    from gonogo.data import features, sources
    from gonogo.data.connection import open_connection
    from gonogo.data.expressions import read_events
    from gonogo.data.planning import field_type
    from gonogo.data.sql import column_types
    from gonogo.workflow.contract import read_contract_file

    folder = Path(__file__).parents[2] / "examples" / "flights"
    contract = read_contract_file(folder)
    connection = open_connection(threads=1)
    sources.read_sources(contract, folder=folder, connection=connection)
    plan = features.plan(contract, connection)
    types = column_types(connection, "SELECT * FROM src_flights")
    names = tuple(dict.fromkeys([*plan.row_columns, "sched_dep_at"]))
    fields = tuple(Field(name=name, type=field_type(types[name]), needed=False) for name in names)
    first, last = datetime(2013, 11, 1, 4, tzinfo=UTC), datetime(2013, 11, 1, 20, tzinfo=UTC)
    seeds = {}
    for source in plan.sources:
        seeds[source.name] = events = read_events(source, connection)
        if not source.timeless:
            seeds[source.name] = events.filter(
                pc.and_(
                    pc.greater_equal(pc.cast(events["event_time"], "int64"), int((first.timestamp() - 8 * 86_400) * 1e6)),
                    pc.less_equal(pc.cast(events["known_at"], "int64"), int(last.timestamp() * 1e6)),
                )
            ).combine_chunks()
    rows = connection.sql(
        f"SELECT *, epoch_us(sched_dep_at - interval 2 hours) AS gng_decided_at FROM src_flights "
        f"WHERE sched_dep_at - interval 2 hours BETWEEN '{first.isoformat()}' AND '{last.isoformat()}' LIMIT {n}"
    ).to_arrow_table()
    expected = features.compute(plan, connection, rows).to_pylist()
    asked = [tuple(row[name] for name in names) for row in rows.to_pylist()]
    opened = []
    for _ in range(3):
        began = time.process_time()
        online = Features(plan, fields=fields, decided_at=contract.rows.decided_at, freshness="", seeds=seeds)
        online.warm()
        opened.append(time.process_time() - began)
    read = online.reader(names)
    told: dict[str, Any] = {
        "inputs": len(plan.inputs),
        "rows": len(asked),
        "events": sum(len(events) for events in seeds.values()),
        "open_cpu_s": round(min(opened), 3),
    }
    for turn in ("first", "again"):
        took, differing = [], 0
        for question, row in zip(asked, expected, strict=True):
            began = time.thread_time_ns()
            values = read(question)[0]
            took.append(time.thread_time_ns() - began)
            differing += repr(list(values)) != repr(list(row.values()))
        told[turn] = {f"p{q}_cpu_us": round(float(np.percentile(took, q)) / 1e3, 1) for q in (50, 99, 100)}
        told["differing_from_batch"] = differing
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--per-block", type=int, default=300)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--flights", action="store_true")
    given = parser.parse_args()
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({"added_work": added_work(Path(folder), given.requests)}, indent=1), flush=True)
        print(json.dumps({"bad_shadows": bad_shadows(Path(folder), given.rounds, given.per_block)}, indent=1), flush=True)
    print(json.dumps({"bucketing": bucketing(given.users)}, indent=1), flush=True)
    if given.flights:
        print(json.dumps({"flights": flights(2_000)}, indent=1), flush=True)


if __name__ == "__main__":
    main()
