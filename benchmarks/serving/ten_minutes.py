"""Does anything fail or get lost at 1,000 requests a second through every stage of a release and two rollbacks by order?

    python -m benchmarks.serving.ten_minutes [--minutes 10] [--rate 1000] [--workers 2]

500 trees over 30 numbers (model.py). The contract's stages last as long in all as is asked: shadow, 1, 5, 25, 50 %, full, probation; then
it is settled, and a rollback by order undoes it; the same verdict is released again, and a second rollback brings it back from its canary.
Requests come in an open loop (Poisson); what came true is posted in batches, two thirds a second after the answer, one third much later.

Afterwards, with the server ended, log and archive are read: each request that was answered must stand in them exactly once, and each
outcome that was taken. What is told besides: answers of each arm beside its share, latencies and CPU per request by stage, memory by
process. It goes to benchmarks/results/ten_minutes.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.serving import model
from benchmarks.serving.servers import ROOT
from benchmarks.serving.ten_minutes_load import read_calls
from benchmarks.serving.tree import Tree
from numpy.typing import NDArray

from gonogo.ledger.rollouts import history, standing
from gonogo.serving.archive import files, manifests
from gonogo.serving.places import Places
from gonogo.serving.tail import Tail
from gonogo.serving.workerpage import living
from gonogo.types.release import Phase, Standing
from gonogo.types.traffic import Arm, FrameKind
from gonogo.workflow.workspace import open_stores

RESULTS = ROOT / "benchmarks" / "results"
PORT = 21_500
GONOGO = str(Path(sys.executable).parent / "gonogo")
SHADOW, BAKE, PROBATION = 5, 6, 6  # sixtieths of the whole; there are five shares, and the second release takes the rest
ROLLOUT = """
[rollout]
bucket_by = "who"
shares = [0.01, 0.05, 0.25, 0.5, 1.0]
shadow = "{shadow}s"
bake = "{bake}s"
probation = "{probation}s"

[[guardrails]]
name = "no more errors"
metric = "errors"
ratio_at_most = 2.0
rate_at_most = 0.1

[[guardrails]]
name = "fast enough"
metric = "latency_p95"
at_most = 50.0

[[guardrails]]
name = "predicts as well"
metric = "log_loss"
at_most = 0.1
range = [0.0, 3.0]
"""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the server had taken at one moment."""

    at_ns: int  # monotonic
    cpu_s: float
    memory: dict[str, tuple[float, float]]  # process → MB resident, MB of it its own (anonymous)


class Watch(threading.Thread):
    """A sample of the server each second."""

    def __init__(self, tree: Tree, places: Places) -> None:
        super().__init__(daemon=True)
        self.samples: list[Sample] = []
        self._tree, self._places, self._over = tree, places, threading.Event()

    def run(self) -> None:
        while not self._over.wait(1.0):
            memory = {self._role(pid): _memory_mb(pid) for pid in self._tree.pids()}
            self.samples.append(Sample(at_ns=time.monotonic_ns(), cpu_s=self._tree.cpu_s(), memory=memory))

    def _role(self, pid: int) -> str:
        if pid == self._tree.pid:
            return "supervisor"
        workers = {page.pid: f"worker {page.worker}" for page in living(self._places.workers)}
        return workers.get(pid) or ("controller" if self._places.controller_lock.read_text().strip() == str(pid) else f"process {pid}")

    def end(self) -> None:
        self._over.set()
        self.join()


def prepared(minutes: float) -> Path:
    """A folder of its own: the contract's stages last as long as was asked."""
    made = RESULTS / f"ten-minutes-{minutes:g}"
    whole = {"shadow": SHADOW, "bake": BAKE, "probation": PROBATION}
    model.build(made, ROLLOUT.format(**{name: max(1, round(minutes * part)) for name, part in whole.items()}))
    folder = made / "served"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns("served", "serving", "scratch"))
    return folder


def order(*words: str) -> None:
    """A command of gonogo's that must do what it says."""
    done = subprocess.run([GONOGO, *words], capture_output=True, text=True, check=False)
    print(f"{time.strftime('%H:%M:%S')}  gonogo {words[0]}: {(done.stdout + done.stderr).strip().splitlines()[0]}", flush=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def course(folder: Path, minutes: float) -> None:
    """One release to its end, undone; a second one, brought back from its canary."""
    _, verdict = model.digests_of(folder)
    order("release", verdict, "--folder", str(folder))
    reaches(folder, Phase.SETTLED, minutes * 120 + 120)
    order("rollback", model.NAME, "--why", "a person wants the old one back", "--folder", str(folder))
    time.sleep(minutes)
    order("release", verdict, "--folder", str(folder))
    reaches(folder, Phase.CANARY, minutes * 60 + 60)
    time.sleep(minutes * 3)
    order("rollback", model.NAME, "--why", "a person saw harm", "--folder", str(folder))


def reaches(folder: Path, phase: Phase, timeout_s: float) -> None:
    """Raises RuntimeError where the rollout does not come there, or comes to another end."""
    until, before = time.monotonic() + timeout_s, None
    while time.monotonic() < until:
        now = standing(open_stores(folder)[2].entries(), model.NAME)
        if now is not None and (now.phase, now.share) != before:
            before = now.phase, now.share
            print(f"{time.strftime('%H:%M:%S')}  {now.phase.value} {now.share:.0%}: {now.why}", flush=True)
        if now is not None and now.phase is phase:
            return
        if now is not None and not now.is_under_way:
            raise RuntimeError(f"it came to {now.phase.value}: {now.why}")
        time.sleep(0.2)
    raise RuntimeError(f"it is not {phase.value} after {timeout_s:.0f} s: {before}")


@dataclass(frozen=True, kw_only=True)
class Logged:
    """Rows of log and archive together."""

    request: NDArray[np.uint64]  # of predictions
    arm: NDArray[np.uint8]
    epoch: NDArray[np.uint32]
    at_ns: NDArray[np.int64]
    outcomes: NDArray[np.uint64]  # hashes of their keys
    shadows: int
    lost: int  # rows that the log says it lost
    in_archive: int


def logged(places: Places) -> Logged:
    """Every row once: an archived segment may still be in the log, where its rows are passed over by their numbers."""
    import pyarrow.parquet as pq

    archived = {m.writer: 0 for m in manifests(places.archive)}
    for m in manifests(places.archive):
        archived[m.writer] = max(archived[m.writer], m.last_seq)
    found = [
        pq.read_table(path, columns=["request", "arm", "epoch", "monotonic_ns"]) for path in files(places.archive, FrameKind.PREDICTION)
    ]
    parts: dict[str, list[Any]] = {
        "request": [table["request"].to_numpy() for table in found],
        "arm": [(table["arm"].to_numpy() == "challenger").astype(np.uint8) for table in found],
        "epoch": [table["epoch"].to_numpy() for table in found],
        "at_ns": [table["monotonic_ns"].to_numpy() for table in found],
        "outcomes": [pq.read_table(path, columns=["key_hash"])["key_hash"].to_numpy() for path in files(places.archive, FrameKind.OUTCOME)],
    }
    lost = sum(m.lost for m in manifests(places.archive))
    shadows = sum(m.rows.get("shadows", 0) for m in manifests(places.archive))
    in_archive = sum(len(table) for table in found)
    tail = Tail(places.log)
    while len(batch := tail.poll(at_most=1 << 16)):
        frames, last = batch.frames, np.array([archived.get(writer, 0) for writer in batch.writers], np.uint64)
        frames = frames[frames["seq"] > last[batch.writer]]
        told = frames[frames["kind"] == FrameKind.PREDICTION]
        for name in ("request", "arm", "epoch", "at_ns"):
            parts[name].append(told[name].copy())
        parts["outcomes"].append(frames["key"][frames["kind"] == FrameKind.OUTCOME])
        shadows += int((frames["kind"] == FrameKind.SHADOW).sum())
        lost += int(frames["unit"][frames["kind"] == FrameKind.LOST].sum())
    whole: dict[str, Any] = {name: np.concatenate(some) if some else np.empty(0) for name, some in parts.items()}
    return Logged(**whole, shadows=shadows, lost=lost, in_archive=in_archive)


def compared(calls: NDArray[np.void], rows: Logged, taken: NDArray[np.uint64]) -> dict[str, int]:
    """Each acknowledged request, and each outcome that was taken, held against what was written."""
    acknowledged = calls["request"][calls["status"] == 200]
    times = Counter(rows.request.tolist())
    outcome_times = Counter(rows.outcomes.tolist())
    return {
        "sent": len(calls),
        "failed": int((calls["status"] != 200).sum()),
        "acknowledged": len(acknowledged),
        "acknowledged twice": len(acknowledged) - len(np.unique(acknowledged)),
        "in log and archive": len(rows.request),
        "of them in the archive": rows.in_archive,
        "acknowledged and not logged": sum(times[one] == 0 for one in acknowledged.tolist()),
        "logged more than once": sum(n > 1 for n in times.values()),
        "logged and not acknowledged": len(set(times) - set(acknowledged.tolist())),
        "rows that the log says it lost": rows.lost,
        "shadow answers": rows.shadows,
        "outcomes taken": len(taken),
        "outcomes taken and not logged": sum(outcome_times[one] == 0 for one in taken.tolist()),
        "outcomes logged more than once": sum(n > 1 for n in outcome_times.values()),
    }


def stages(folder: Path, calls: NDArray[np.void], rows: Logged, samples: list[Sample]) -> list[dict[str, Any]]:
    """By stage: whose answers, how long they took, what they cost. A row's stage is that of the epoch under which it was answered."""
    places: dict[int, Standing] = {}
    for happening in history(tuple(open_stores(folder)[2].entries()), model.NAME):
        places.setdefault(happening.standing.epoch, happening.standing)  # what comes without a new epoch moves no traffic
    at = np.argsort(rows.request)
    good = calls[calls["status"] == 200]
    row = at[np.clip(np.searchsorted(rows.request[at], good["request"]), 0, len(at) - 1)]
    epoch_of_call = rows.epoch[row]
    told = []
    for epoch in np.unique(rows.epoch).tolist():
        now = places.get(epoch)
        of = rows.epoch == epoch
        first, last = int(rows.at_ns[of].min()), int(rows.at_ns[of].max())
        within = [sample for sample in samples if first <= sample.at_ns <= last]
        n_between = int(((rows.at_ns >= within[0].at_ns) & (rows.at_ns <= within[-1].at_ns)).sum()) if len(within) > 1 else 0
        latency = np.sort(good["latency_us"][epoch_of_call == epoch])
        told.append(
            {
                "phase": "none" if now is None else now.phase.value,
                "share": 0.0 if now is None or not now.is_under_way else now.share,
                "seconds": round((last - first) / 1e9, 1),
                "answers": int(of.sum()),
                "challenger": round(float((rows.arm[of] == Arm.CHALLENGER).mean()), 5),
                "p50_us": float(np.quantile(latency, 0.5)) if len(latency) else None,
                "p99_us": float(np.quantile(latency, 0.99)) if len(latency) else None,
                "max_us": float(latency[-1]) if len(latency) else None,
                "cpu_us": round((within[-1].cpu_s - within[0].cpu_s) / n_between * 1e6, 1) if n_between else None,
            }
        )
    return told


def memory(samples: list[Sample], minutes: float) -> dict[str, dict[str, float]]:
    """By process, resident and its own: at a tenth of the time and at its end. Mapped pages of the log count as resident."""
    early, late = samples[min(len(samples) - 1, round(minutes * 6))], samples[-1]
    return {
        role: {
            "early_mb": round(early.memory[role][0], 1),
            "late_mb": round(late.memory[role][0], 1),
            "early_own_mb": round(early.memory[role][1], 1),
            "late_own_mb": round(late.memory[role][1], 1),
        }
        for role in late.memory
        if role in early.memory
    }


def _memory_mb(pid: int) -> tuple[float, float]:
    try:
        said = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    except OSError:
        return 0.0, 0.0
    return tuple(int(said.get(name, "0 kB").split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))  # type: ignore[return-value]


def run(minutes: float, rate: float, workers: int) -> dict[str, Any]:
    folder = prepared(minutes)
    places = Places.of(folder)
    stop = folder / "stop"
    command = [GONOGO, "serve", str(folder), "--port", str(PORT), "--workers", str(workers)]
    server = Tree(command, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "OMP_NUM_THREADS": "1"}, log=folder / "serve.log")
    load = None
    try:
        until = time.monotonic() + 60
        while "ready after" not in (folder / "serve.log").read_text():
            if time.monotonic() > until or server.process.poll() is not None:
                raise RuntimeError((folder / "serve.log").read_text())
            time.sleep(0.1)
        ask = [sys.executable, "-m", "benchmarks.serving.ten_minutes_load", str(folder), "--port", str(PORT), "--rate", f"{rate:g}"]
        load = subprocess.Popen([*ask, "--late", f"{minutes * 10:g}"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        watch = Watch(server, places)
        watch.start()
        began = time.monotonic()
        course(folder, minutes)
        time.sleep(max(minutes * 2, began + minutes * 60 - time.monotonic()))
        watch.end()
        stop.touch()
        said, _ = load.communicate(timeout=120)
        if load.returncode:
            raise RuntimeError("the callers ended with an error")
    finally:
        if load is not None and load.poll() is None:
            load.kill()
            load.wait()
        server.stop(30)
    calls, taken = read_calls(folder)
    rows, seen = logged(places), json.loads(said)
    return {
        "taken": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "load": os.getloadavg(),
        "minutes": minutes,
        "rate": rate,
        "workers": workers,
        "asked_per_second": seen["sent"] / seen["seconds"],
        "sent_late_us": seen["late_us"],  # p99 of how late the callers themselves were
        "rows": compared(calls, rows, taken),
        "statuses": {str(status): int(n) for status, n in zip(*np.unique(calls["status"], return_counts=True), strict=True)},
        "stages": stages(folder, calls, rows, watch.samples),
        "memory": memory(watch.samples, minutes),
    }


def table(told: dict[str, Any]) -> str:
    asked = f"{told['asked_per_second']:,.0f} requests/s, the callers' own delay p99 {told['sent_late_us']:,.0f} µs"
    lines = [f"{asked}; {told['workers']} workers, load {told['load'][0]:.1f}", ""]
    lines += [f"{name:<34} {n:>10,}" for name, n in told["rows"].items()]
    lines += [
        "",
        "| phase | share | seconds | answers | by the challenger | p50 µs | p99 µs | most µs | CPU µs a request |",
        "|" + "---|" * 9,
    ]
    for one in told["stages"]:
        times = " | ".join("" if one[name] is None else f"{one[name]:,.0f}" for name in ("p50_us", "p99_us", "max_us", "cpu_us"))
        lines.append(f"| {one['phase']} | {one['share']:.0%} | {one['seconds']} | {one['answers']:,} | {one['challenger']:.2%} | {times} |")
    lines += ["", "| process | resident MB early, late | its own MB early, late |", "|---|---|---|"]
    for role, mb in told["memory"].items():
        lines.append(f"| {role} | {mb['early_mb']}, {mb['late_mb']} | {mb['early_own_mb']}, {mb['late_own_mb']} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS / "ten_minutes.json")
    asked = parser.parse_args()
    told = run(asked.minutes, asked.rate, asked.workers)
    asked.json.write_text(json.dumps(told, indent=1))
    print(table(told))


if __name__ == "__main__":
    main()
