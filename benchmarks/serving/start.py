"""What does a server take before it is asked: seconds to its first answer, memory, and the processor while nobody asks?

    python -m benchmarks.serving.start [--rounds 5] [--fresh 1] [--workers 1] [--model FOLDER]
    python -m benchmarks.serving.start --install     megabytes of the extra `serving` beyond a base install (needs the package index)

Each round serves a copy of the folder, which has a champion and no rollout: seconds from the start of the command to the first good answer;
2,000 requests; memory of each process (PSS: a page that is shared counts once, in parts); processor time of the whole tree during ten
seconds in which nobody asks. Then the second candidate is released, and the same is seen again in the canary: each worker holds two models
of 500 trees then, and the controller the judge. The rollout's server is started once more, as after a crash.

`--fresh` rounds come first, with no bytecode and no compiled kernel anywhere: what an install takes once, more pessimistic than pip, which
compiles bytecode as it installs. Goals: first answer within 1 s, 150 MB, 120 MB of install.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Spread
from benchmarks.serving.peers import first_answer, release
from benchmarks.serving.tree import Tree

ROOT = Path(__file__).parents[2]
PORT = 21_231
N_REQUESTS = 2_000
IDLE_S = 10.0
BIN = Path(sys.executable).parent


@dataclass(frozen=True, kw_only=True)
class Resting:
    """A server that nobody asks."""

    pss_mb: Mapping[str, float]  # process → memory
    idle: Mapping[str, float]  # process → share of a core

    @property
    def all_mb(self) -> float:
        """The whole tree, with whatever else of it was at work."""
        return sum(self.pss_mb.values())


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one server took."""

    first_s: float  # from the start to the first answer of a folder that was never served: its champion is packaged, once
    start_s: float  # … of any other start without a rollout
    alone: Resting
    canary_s: float  # from `gonogo release` to the canary, at 300 requests/s in bursts
    canary: Resting
    again_s: float  # start to first answer with the rollout under way


def measure(asked: argparse.Namespace, env: Mapping[str, str], kept: Mapping[str, str], scratch: Path) -> Round:
    """One round. kept: settings of the places where bytecode and kernels are kept, of every start but the first of the folder."""
    folder = scratch / "served"
    shutil.copytree(asked.model, folder)
    bodies = folder / "bodies.jsonl"
    url = f"http://127.0.0.1:{PORT}/v1/contracts/trees/predictions"
    body = bodies.read_bytes().split(b"\n", 1)[0]
    command = [str(BIN / "gonogo"), "serve", str(folder), "--port", str(PORT), "--workers", str(asked.workers)]
    log = scratch / "served.log"
    tree = Tree(command, env=env, log=log, cwd=ROOT)
    try:
        first_s, _ = first_answer(tree, url, body, log)
    finally:
        tree.stop()
    env = {**env, **kept}
    tree = Tree(command, env=env, log=log, cwd=ROOT)
    try:
        start_s, _ = first_answer(tree, url, body, log)
        alone = resting(tree, folder, url, bodies)
        began = time.perf_counter()
        release(folder, url, bodies)
        canary_s = time.perf_counter() - began
        canary = resting(tree, folder, url, bodies)
    finally:
        tree.stop()
    tree = Tree(command, env=env, log=log, cwd=ROOT)
    try:
        again_s, _ = first_answer(tree, url, body, log)
    finally:
        tree.stop()
        shutil.rmtree(folder)
    return Round(first_s=first_s, start_s=start_s, alone=alone, canary_s=canary_s, canary=canary, again_s=again_s)


def resting(tree: Tree, folder: Path, url: str, bodies: Path) -> Resting:
    """Memory behind 2,000 requests, and what is done when nobody asks."""
    load = [sys.executable, "-m", "benchmarks.serving.load", url, "--bodies", str(bodies), "--rate", "500", "--seconds"]
    subprocess.run([*load, str(N_REQUESTS / 500)], check=True, capture_output=True, cwd=ROOT)
    time.sleep(3.0)
    names = roles(tree, folder)
    before, began = {pid: tree.cpu_s_of(pid) for pid in names}, time.perf_counter()
    time.sleep(IDLE_S)
    took = time.perf_counter() - began
    return Resting(
        pss_mb={name: tree.pss_mb_of(pid) for pid, name in names.items()},
        # Who ended meanwhile, the archive say, had its own work to do.
        idle={name: max(tree.cpu_s_of(pid) - before[pid], 0.0) / took for pid, name in names.items()},
    )


def roles(tree: Tree, folder: Path) -> dict[int, str]:
    """Process → what it does: its locks name it."""
    from gonogo.serving.places import Places
    from gonogo.serving.workerpage import living

    places = Places.of(folder)
    names = {pid: f"other {pid}" for pid in tree.pids()}
    names[tree.pid] = "supervisor"
    names[int(places.controller_lock.read_text())] = "controller"
    names.update({seen.pid: f"worker {seen.worker}" for seen in living(places.workers)})
    return names


def installed(extras: str) -> float:
    """Megabytes of an install with these extras, in an environment of its own."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        before = _megabytes(Path(folder))
        subprocess.run([Path(folder) / "bin" / "python", "-m", "pip", "install", "--quiet", f"{ROOT}{extras}"], check=True)
        return _megabytes(Path(folder)) - before


def _megabytes(folder: Path) -> float:
    return sum(f.lstat().st_size for f in folder.rglob("*") if not f.is_symlink() and f.is_file()) / 1e6


def table(rounds: list[Round]) -> str:
    lines = [
        f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {len(rounds)} rounds; median [least, largest]",
        "| | no rollout | canary, full shadow |",
        "|---|---|---|",
        f"| start to first answer, s | {_spread([r.start_s for r in rounds], 2)} | {_spread([r.again_s for r in rounds], 2)} |",
        f"| the folder's very first, s | {_spread([r.first_s for r in rounds], 2)} | |",
        f"| release to canary, s | | {_spread([r.canary_s for r in rounds], 1)} |",
    ]
    names = ["supervisor", "controller", *sorted(name for name in rounds[0].alone.pss_mb if name.startswith("worker"))]
    for name in names:
        alone, canary = ([of.pss_mb.get(name, 0.0) for of in side] for side in _sides(rounds))
        lines.append(f"| PSS of the {name}, MB | {_spread(alone)} | {_spread(canary)} |")
    alone, canary = ([of.all_mb for of in side] for side in _sides(rounds))
    lines.append(f"| PSS of all, MB | {_spread(alone)} | {_spread(canary)} |")
    for name in names:
        alone, canary = ([100 * of.idle.get(name, 0.0) for of in side] for side in _sides(rounds))
        lines.append(f"| idle {name}, % of a core | {_spread(alone, 2)} | {_spread(canary, 2)} |")
    alone, canary = ([100 * sum(of.idle.values()) for of in side] for side in _sides(rounds))
    lines.append(f"| idle in all, % of a core | {_spread(alone, 2)} | {_spread(canary, 2)} |")
    return "\n".join(lines)


def _sides(rounds: list[Round]) -> tuple[list[Resting], list[Resting]]:
    return [r.alone for r in rounds], [r.canary for r in rounds]


def _spread(values: list[float], digits: int = 0) -> str:
    s = Spread.of(values)
    return f"{s.median:,.{digits}f} [{s.low:,.{digits}f}, {s.high:,.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fresh", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--model", type=Path, default=ROOT / "benchmarks" / "results" / "trees-at-rest")
    parser.add_argument("--install", action="store_true")
    asked = parser.parse_args()
    if asked.install:
        base, serving = installed(""), installed("[serving]")
        print(f"base {base:.0f} MB, with [serving] {serving:.0f} MB: {serving - base:.1f} MB more")
        return
    asked.model = asked.model.absolute()
    subprocess.run([sys.executable, "-m", "benchmarks.serving.model", str(asked.model)], check=True, cwd=ROOT)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "OMP_NUM_THREADS": "1"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an install has its bytecode
    for title, count in (("fresh", asked.fresh), ("warm", asked.rounds + bool(asked.rounds))):
        rounds = []
        for number in range(count):
            with tempfile.TemporaryDirectory() as scratch:
                kept = {"PYTHONPYCACHEPREFIX": f"{scratch}/bytecode", "NUMBA_CACHE_DIR": f"{scratch}/kernels"} if title == "fresh" else {}
                took = measure(asked, env, kept, Path(scratch))
            print(f"{title} {number}: {took}", file=sys.stderr, flush=True)
            if title == "fresh" or number:  # the first of the warm ones fills the caches
                rounds.append(took)
        if rounds:
            print(f"{title}:\n{table(rounds)}")


if __name__ == "__main__":
    main()
