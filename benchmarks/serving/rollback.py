"""How long does it take from the event that decides to the last answer of the challenger, and how many slip through?

    python benchmarks/serving/rollback.py [--rollbacks 200] [--rate 1000] [--by both|order|harm] [--minutes 15]

A server with two workers, a process of callers with requests at moments drawn beforehand at a fixed rate, a canary of half of the traffic.
Each round ends with a rollback: by an order, whose moment is taken before the order is read; or by harm, from the moment of the answer at
which the judge, told line by line, has his proof; in turn where both are asked for. No round begins after `--minutes`. Ledger, route and
workers are all in the figure. Answers are read from the prediction log, by the monotonic clock of the machine; the route's moment by a
thread that looks at it every 0.2 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults import canaries
from tests.web.releasable import make
from tests.web.served import NAME, TRAFFIC, Served, question

from gonogo.gates.judge import Judge
from gonogo.ledger.ledger import Ledger
from gonogo.ledger.rollouts import history
from gonogo.serving.cell import Cell
from gonogo.serving.judgelog import read_blocks
from gonogo.serving.places import Places
from gonogo.serving.tail import Tail
from gonogo.types.release import Phase, Plan
from gonogo.types.traffic import Arm, FrameKind
from gonogo.workflow.release import release
from gonogo.workflow.rollback import rollback
from gonogo.workflow.workspace import open_workspace

QUICK = TRAFFIC.replace("shares = [0.2, 1.0]", "shares = [0.5, 1.0]").replace('bake = "200ms"', 'bake = "1h"', 1)
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Round:
    """One rollback: milliseconds from the event that decides."""

    by: str  # order, harm
    recorded: float  # the order stands in the ledger; NaN where nobody ordered
    routed: float  # the route is written
    last: float  # the last answer of the challenger; 0 if there was none after the event
    n_after: int  # answers of the challenger after the event
    in_flight: int  # the most of them in one worker after the route was written


async def call(port: int, rate: float) -> None:
    """Requests at random moments over kept connections; answers are read by whoever is free."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    tasks: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    while True:
        due += random.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        task = asyncio.create_task(_ask(free))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _ask(free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    reader, writer = await free.get()
    body = json.dumps(question()).encode()
    head = f"POST /v1/contracts/{NAME}/predictions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    said = await reader.readuntil(b"\r\n\r\n")
    length = int(next(line for line in said.lower().split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1])
    await reader.readexactly(length)
    free.put_nowait((reader, writer))


class _RouteSeen:
    """When was the route written next?"""

    def __init__(self, places: Places) -> None:
        self._cell = Cell(places.route)
        self._version = self._cell.version
        self.at_ns = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while self._cell.version == self._version:
            time.sleep(0.0002)
        self.at_ns = time.monotonic_ns()

    def moment(self) -> int:
        self._thread.join(30)
        self._cell.close()
        return self.at_ns


def one_round(served: Served, tail: Tail, by: str) -> Round:
    """Release, wait for the canary, bring it back, and read from the log what happened."""
    release(folder=served.folder)
    served.reaches(Phase.CANARY)
    time.sleep(0.5)
    while len(tail.poll(at_most=1 << 16)):
        pass
    seen = _RouteSeen(served.places)
    if by == "order":
        began = time.monotonic_ns()
        recorded = _order(served.folder)
    else:
        (served.folder / "fault").touch()
        served.reaches(Phase.ROLLED_BACK)
        (served.folder / "fault").unlink()
        began, recorded = _decided(served.folder, served.places), 0
    routed = seen.moment()
    time.sleep(0.3)
    late: list[int] = []
    in_flight: Counter[str] = Counter()
    while len(batch := tail.poll(at_most=1 << 16)):
        frames = batch.frames
        told = np.flatnonzero((frames["kind"] == FrameKind.PREDICTION) & (frames["arm"] == Arm.CHALLENGER) & (frames["at_ns"] > began))
        for i in told.tolist():
            late.append(int(frames["at_ns"][i]))
            in_flight[batch.writers[int(batch.writer[i])]] += int(frames["at_ns"][i]) > routed

    def ms(moment: int) -> float:
        return (moment - began) / 1e6 if moment else float("nan")

    return Round(by, ms(recorded), ms(routed), ms(max(late, default=began)), len(late), max(in_flight.values(), default=0))


def _order(folder: Path) -> int:
    """When the order was in the ledger."""
    moments: list[int] = []
    append = Ledger.append

    def timed(self: Ledger, *args: object) -> object:
        entry = append(self, *args)  # type: ignore[arg-type]
        moments.append(time.monotonic_ns())
        return entry

    Ledger.append = timed  # type: ignore[assignment,method-assign]
    try:
        rollback(NAME, "measured", folder=folder)
    finally:
        Ledger.append = append  # type: ignore[method-assign]
    return moments[0]


def _decided(folder: Path, places: Places) -> int:
    """The moment of the line at which harm was proved, by a judge who is told line by line."""
    workspace = open_workspace(folder)
    happened = history(tuple(workspace.ledger.entries()), NAME)
    now = happened[-2].standing  # before it was brought back
    plan = workspace.records.get(Plan, now.rollout)
    lines = np.concatenate([block.observations for block in read_blocks(places.judge_of(now.rollout))])[now.start :]

    def judge() -> Judge:
        return Judge(plan, now.step, now.certified, epoch=now.epoch, first_epoch=now.first_epoch, start=now.start)

    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        one = judge()
        one.take(lines[:middle])
        low, high = (low, middle) if one.decided else (middle + 1, high)
    return int(lines["at_ns"][low - 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollbacks", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--by", choices=("both", "order", "harm"), default="both")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--call", type=int, default=0, help=argparse.SUPPRESS)  # the port: be the callers
    options = parser.parse_args()
    if options.call:
        asyncio.run(call(options.call, options.rate))
    home = Path(tempfile.mkdtemp())
    found: list[Round] = []
    try:
        folder = make(home / NAME, QUICK)
        # The same server for both: the challenger raises once the fault is there, and until then is what it was.
        served = Served(folder, environment=canaries.environment(folder, "raise"))
        callers = subprocess.Popen([sys.executable, __file__, "--call", str(served.port), "--rate", str(options.rate)])
        try:
            tail = Tail(served.places.log)
            until = time.monotonic() + 60 * options.minutes
            while len(found) < options.rollbacks and time.monotonic() < until:
                found.append(one_round(served, tail, ("order", "harm")[len(found) % 2] if options.by == "both" else options.by))
                one = found[-1]
                print(
                    f"{len(found):>4} of {options.rollbacks}  {one.by:<5}"
                    f"  recorded {one.recorded:6.1f}  routed {one.routed:6.1f}  last {one.last:6.1f} ms"
                    f"  {one.n_after:>3} after the event, {one.in_flight} in flight",
                    flush=True,
                )
        finally:
            callers.kill()
            callers.wait()
            served.end()
    finally:
        shutil.rmtree(home)
    for by in ("order", "harm"):
        if of := [one for one in found if one.by == by]:
            _report(of, by, options.rate)


def _report(found: list[Round], by: str, rate: float) -> None:
    start = {"order": "order", "harm": "deciding answer"}[by]
    print(f"{len(found)} rollbacks by {by} at {rate:g} requests/s, 2 workers, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for what in ("recorded", "routed", "last"):
        ms = np.array([getattr(one, what) for one in found])
        if not np.isnan(ms).any():
            print(f"  {start} to {what:<9} p50 {np.quantile(ms, 0.5):6.1f} ms, p99 {np.quantile(ms, 0.99):6.1f} ms, max {ms.max():6.1f} ms")
    print(f"  challenger answers after the route was written: at most {max(one.in_flight for one in found)} in a worker")


if __name__ == "__main__":
    main()
