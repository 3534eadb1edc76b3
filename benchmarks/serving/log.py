"""What does it cost to write every prediction down, what does a kill lose, and how fast are rows read, joined and archived?

    python -m benchmarks.serving.log [--rounds 5] [--kills 100] [--rows 1000000] [--pending 10000000] [--only hot,kills,read,pending]

`hot`: rows at a fixed rate, each sink in a process of its own, interleaved round by round. CPU is of the whole process and less that of the
same loop that logs nothing, so what threads do is in it; the hot path is the time until the call returns, by the clock. A row has 30
numbers and a request id; JSON lines and SQLite write the same values.
`kills`: SIGKILL at a random moment; the last row that was acknowledged on a pipe against the last that can be read.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

RATE = 4000
SINKS = ("none", "gonogo", "logging + json", "sqlite, commit per request")
NAMES = [f"f{i}" for i in range(30)]
VALUES = tuple(random.Random(7).random() for _ in NAMES)


def opened(sink: str, folder: Path) -> Callable[[int], None]:
    """A function that logs row i."""
    if sink == "none":
        return lambda i: None
    if sink == "gonogo":
        from gonogo.serving.predictionlog import PredictionLog, Shape

        log = PredictionLog(folder / "log", "w0")
        shape = Shape(candidate="c", key={"id": "integer"}, question=dict.fromkeys(NAMES, "number"), inputs={}, outputs={"p": "number"})
        name = log.declare(shape)

        def write(i: int) -> None:
            ok = log.append_prediction(
                request=i,
                shape=name,
                key=(i,),
                question=VALUES,
                answer=(0.5,),
                request_id=f"{i:016x}",
                unit=i,
                bucket=i,
                epoch=1,
                propensity=0.95,
                latency_us=12,
            )
            assert ok

        return write
    if sink == "logging + json":
        logger = logging.getLogger("predictions")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(logging.FileHandler(folder / "log.jsonl"))

        def write(i: int) -> None:
            row = {
                "time": time.time(),
                "id": f"{i:016x}",
                "key": i,
                "unit": i,
                "bucket": i,
                "epoch": 1,
                "propensity": 0.95,
                "latency_us": 12,
            }
            logger.info(json.dumps({**row, "p": 0.5, **dict(zip(NAMES, VALUES, strict=True))}))

        return write
    db = sqlite3.connect(folder / "log.sqlite", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"CREATE TABLE p (time, id, key, unit, bucket, epoch, propensity, latency_us, p, {', '.join(NAMES)})")
    insert = f"INSERT INTO p VALUES ({', '.join('?' * (9 + len(NAMES)))})"

    def write(i: int) -> None:
        db.execute(insert, (time.time(), f"{i:016x}", i, i, i, 1, 0.95, 12, 0.5, *VALUES))

    return write


def child(sink: str, folder: Path, seconds: float) -> None:
    """Rows at RATE; prints CPU µs per row and the percentiles of the call."""
    write = opened(sink, folder)
    for i in range(200):
        write(i)
    took, n = [], int(RATE * seconds)
    clock = time.perf_counter_ns
    cpu, start = time.process_time_ns(), time.perf_counter()
    for i in range(n):
        if i % 8 == 0:
            wait = start + i / RATE - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
        before = clock()
        write(i)
        took.append(clock() - before)
    cpu = time.process_time_ns() - cpu
    took.sort()
    print(json.dumps([cpu / n / 1000, took[n // 2] / 1000, took[int(n * 0.99)] / 1000, took[int(n * 0.999)] / 1000, took[-1] / 1000]))
    sys.stdout.flush()
    os._exit(0)


def hot(rounds: int, seconds: float) -> None:
    found: dict[str, list[list[float]]] = {sink: [] for sink in SINKS}
    for _ in range(rounds):
        for sink in random.sample(SINKS, len(SINKS)):
            folder = Path(tempfile.mkdtemp())
            command = [sys.executable, "-m", "benchmarks.serving.log", "--child", sink, "--folder", str(folder), "--seconds", str(seconds)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[sink].append(json.loads(said))
            shutil.rmtree(folder)
    print(f"median of {rounds} rounds [least, most], us")
    print(f"{'sink':28}{'+ CPU/row':>20}{'call p50':>20}{'p99':>20}{'p99.9':>22}{'max':>24}")
    for sink, runs in found.items():
        cpu = [run[0] - base[0] for run, base in zip(runs, found["none"], strict=True)]
        columns = [cpu, *([run[i] for run in runs] for i in range(1, 5))]
        print(f"{sink:28}" + "".join(f"{statistics.median(c):9.2f} [{min(c):.1f}, {max(c):.1f}]" for c in columns), flush=True)


KILLED = """
import sys, time
from pathlib import Path
from benchmarks.serving.log import VALUES
from gonogo.serving.predictionlog import PredictionLog, Shape
log = PredictionLog(Path(sys.argv[1]), "w0", wait_s=5)
i = int(sys.argv[2])
while True:
    log.log.wait_for_room(5)
    if log.append_prediction(request=i, shape="s", key=(i,), question=VALUES, answer=(0.5,)):
        i += 1
        sys.stdout.buffer.write(i.to_bytes(8, "little"))
        sys.stdout.buffer.flush()
"""


def kills(n: int) -> None:
    from gonogo.serving.tail import Tail
    from gonogo.types.traffic import FrameKind

    folder, rng = Path(tempfile.mkdtemp()), random.Random(1)
    tail, seen, missing, damaged = Tail(folder), 0, 0, 0
    for _ in range(n):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(seen)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.read(8)
        until, said = time.monotonic() + rng.uniform(0.0, 0.25), b""
        os.set_blocking(process.stdout.fileno(), False)
        while time.monotonic() < until:
            said = ((process.stdout.read() or b"") or said)[-16:] if not said or len(said) % 8 == 0 else said
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        rest = said + (process.stdout.read() or b"")
        process.stdout.close()
        whole = rest[: len(rest) // 8 * 8]
        acknowledged = int.from_bytes(whole[-8:], "little") if whole else 0
        while len(batch := tail.poll()):
            damaged += int((batch.frames["kind"] == FrameKind.LOST).sum())
            requests = batch.frames["request"].tolist()
            assert requests == list(range(seen, seen + len(requests))), "a row is missing or doubled"
            seen += len(requests)
        missing += max(0, acknowledged - seen)
    print(f"{n} kills, {seen:,} rows read: {missing} acknowledged rows lost, {damaged} damaged")
    shutil.rmtree(folder)


def read(n: int) -> None:
    """Rows per second of CPU: written in a burst, read by a tail, joined with an outcome each, archived."""
    from gonogo.serving.archive import archive
    from gonogo.serving.outcomes import OutcomeJoin
    from gonogo.serving.predictionlog import PredictionLog, Shape
    from gonogo.serving.tail import Tail

    folder = Path(tempfile.mkdtemp())
    shape = Shape(candidate="c", key={"id": "integer"}, question=dict.fromkeys(NAMES, "number"), inputs={}, outputs={"p": "number"})
    with PredictionLog(folder / "log", "w0") as log:
        name = log.declare(shape)
        cpu = time.process_time()
        for i in range(n):
            log.log.wait_for_room(10)
            log.append_prediction(request=i, shape=name, key=(i,), question=VALUES, answer=(0.5,), unit=i, wall_us=1)
        told("written", n, time.process_time() - cpu)
    with PredictionLog(folder / "log", "outcomes") as log:
        for i in range(n):
            log.log.wait_for_room(10)
            log.append_outcome(key=(i,), values={"y": i % 2}, known_us=2)
    tail, cpu = Tail(folder / "log"), time.process_time()
    while len(tail.poll()):
        pass
    told("read by a tail", 2 * n, time.process_time() - cpu)
    join, tail, cpu, joined = OutcomeJoin(folder / "join", window_us=10**9, absent="negative"), Tail(folder / "log"), time.process_time(), 0
    while len(batch := tail.poll(at_most=1000, now_us=2_000_000)):
        joined += len(join.take(batch, 2_000_000))
        join.commit(tail.position)
    assert joined == n, joined
    told("joined, a prediction and its outcome", n, time.process_time() - cpu)
    join.close()
    cpu, wall = time.process_time(), time.perf_counter()
    made = archive(folder / "log", folder / "archive", [tail.position])
    assert made.n_rows == 2 * n
    size = sum(path.stat().st_size for path in (folder / "archive").rglob("*.parquet"))
    told("archived (half predictions, half outcomes)", 2 * n, time.process_time() - cpu)
    print(f"  {size / made.n_rows:.0f} bytes a row, {made.n_rows / (time.perf_counter() - wall):,.0f} rows/s by the clock")
    shutil.rmtree(folder)


def pending(n: int) -> None:
    """So many predictions wait for outcomes: what it takes to keep them, and to join outcomes drawn at random among them."""
    import numpy as np

    from gonogo.serving.outcomes import OutcomeJoin
    from gonogo.serving.predictionlog import encoded
    from gonogo.serving.segments import FRAME_BYTES
    from gonogo.serving.tail import Batch, Position
    from gonogo.types.traffic import FRAME, FrameKind

    folder = Path(tempfile.mkdtemp())
    join, rng, at_once = OutcomeJoin(folder / "join", window_us=10**12, absent="negative"), np.random.default_rng(1), 10_000
    keys = rng.integers(1, 2**64, n, np.uint64)

    def batch(kind: FrameKind, some: np.ndarray, payload: bytes) -> Batch:
        frames = np.zeros(len(some), FRAME)
        frames["kind"], frames["key"], frames["unit"], frames["wall_us"], frames["length"] = kind, some, some, 1, len(payload)
        nothing = np.zeros(len(some), np.int64)
        data = bytes(FRAME_BYTES) + payload
        return Batch(frames=frames, writers=("w0",), writer=nothing.astype(np.uint16), _maps=(data,), _map=nothing, _start=nothing)

    before, cpu, wall, last = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time(), time.perf_counter(), 0.0
    for start in range(0, n, at_once):
        began = time.process_time()
        join.take(batch(FrameKind.PREDICTION, keys[start : start + at_once], encoded(("", "", (1,), 1, (), (), (0.5,), ""))), 2)
        join.commit(Position(now_us=2))
        last = time.process_time() - began
    told(f"predictions until {n:,} wait", n, time.process_time() - cpu)
    print(f"  {n / (time.perf_counter() - wall):,.0f}/s by the clock; the last {at_once:,}: {at_once / last:,.0f} per CPU s")
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"  memory + {used:.0f} MB; file {(folder / 'join').stat().st_size / n:.0f} bytes each")
    some = rng.choice(keys, 200_000, replace=False)
    cpu, wall, joined = time.process_time(), time.perf_counter(), 0
    for start in range(0, len(some), 1000):
        joined += len(join.take(batch(FrameKind.OUTCOME, some[start : start + 1000], encoded(((1,), {"y": 1}, 2, ""))), 3_000_000))
        join.commit(Position(now_us=3_000_000))
    assert joined == len(some)
    told("outcomes joined among them", len(some), time.process_time() - cpu)
    print(f"  {len(some) / (time.perf_counter() - wall):,.0f}/s by the clock")
    join.close()
    shutil.rmtree(folder)


def told(what: str, n: int, cpu_s: float) -> None:
    print(f"{what:45} {n / cpu_s:12,.0f} per CPU s   {cpu_s / n * 1e6:6.2f} us each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pending", type=int, default=10_000_000)
    parser.add_argument("--only", default="hot,kills,read,pending")
    parser.add_argument("--child", choices=SINKS)
    parser.add_argument("--folder", type=Path)
    said = parser.parse_args()
    if said.child:
        child(said.child, said.folder, said.seconds)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    parts = {
        "hot": lambda: hot(said.rounds, said.seconds),
        "kills": lambda: kills(said.kills),
        "read": lambda: read(said.rows),
        "pending": lambda: pending(said.pending),
    }
    for part in said.only.split(","):
        parts[part]()
        sys.stdout.flush()


if __name__ == "__main__":
    main()
