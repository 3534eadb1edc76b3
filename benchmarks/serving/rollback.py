"""How long does it take from the event that decides to the last answer of the challenger, and how many slip through?

    python benchmarks/serving/rollback.py [--rollbacks 200] [--rate 1000]

A server with two workers, an open loop of callers at a fixed rate, a canary of half of the traffic. Each round ends with an order to roll
back, which stands in for the deciding event: its moment is taken before the order is read, so that ledger, route and workers are all in the
figure. Last answers are read from the prediction log, by the monotonic clock of the machine. After how many requests the judge decides is
measured by `benchmarks/rollout/judging.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.web.releasable import make
from tests.web.served import NAME, TRAFFIC, Served, question

from gonogo.serving.tail import Tail
from gonogo.types.release import Phase
from gonogo.types.traffic import Arm, FrameKind
from gonogo.workflow.release import release
from gonogo.workflow.rollback import rollback

QUICK = TRAFFIC.replace("shares = [0.2, 1.0]", "shares = [0.5, 1.0]").replace('bake = "200ms"', 'bake = "1h"', 1)


async def call(port: int, rate: float, stop: asyncio.Event) -> None:
    """Requests at fixed moments over kept connections; answers are read by whoever is free."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(32):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    tasks: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    while not stop.is_set():
        due += random.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        task = asyncio.create_task(_ask(free))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    reader, writer = await free.get()
    body = json.dumps(question()).encode()
    head = f"POST /v1/contracts/{NAME}/predictions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    said = await reader.readuntil(b"\r\n\r\n")
    length = int(next(line for line in said.lower().split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1])
    await reader.readexactly(length)
    free.put_nowait((reader, writer))


async def rounds(served: Served, n: int, rate: float) -> list[tuple[float, int]]:
    """(ms to the last answer of the challenger, answers of it after the order), of each round."""
    stop = asyncio.Event()
    caller = asyncio.create_task(call(served.port, rate, stop))
    tail, found = Tail(served.places.log), []
    try:
        for i in range(n):
            await asyncio.to_thread(release, folder=served.folder)
            await asyncio.to_thread(served.reaches, Phase.CANARY)
            await asyncio.sleep(0.3)
            while len(tail.poll(at_most=1 << 16)):
                pass
            began = time.monotonic_ns()
            await asyncio.to_thread(rollback, NAME, f"round {i}", folder=served.folder)
            await asyncio.sleep(0.3)
            late = []
            while len(batch := tail.poll(at_most=1 << 16)):
                frames = batch.frames
                told = (frames["kind"] == FrameKind.PREDICTION) & (frames["arm"] == Arm.CHALLENGER) & (frames["at_ns"] > began)
                late.extend(frames["at_ns"][told].tolist())
            found.append(((max(late, default=began) - began) / 1e6, len(late)))
            print(f"{i + 1:>4}  {found[-1][0]:7.1f} ms  {found[-1][1]:>4} answers", flush=True)
    finally:
        stop.set()
        await caller
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollbacks", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1000.0)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp())
    try:
        served = Served(make(home / NAME, QUICK))
        try:
            found = asyncio.run(rounds(served, options.rollbacks, options.rate))
        finally:
            served.end()
    finally:
        shutil.rmtree(home)
    ms = np.array([one for one, _ in found])
    print(f"{len(ms)} rollbacks at {options.rate:g} requests/s, 2 workers: order to last challenger answer "
          f"p50 {np.quantile(ms, 0.5):.1f} ms, p99 {np.quantile(ms, 0.99):.1f} ms, max {ms.max():.1f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
