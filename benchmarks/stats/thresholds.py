"""Do thresholds keep their promise, how much recall do they leave, and what do they cost, beside MAPIE and beside "as measured"?

    python -m venv benchmarks/.peers/mapie && benchmarks/.peers/mapie/bin/pip install mapie==1.6.0
    .venv/bin/python -m benchmarks.stats.thresholds --worlds 1000

World by world, ours and every mode of MAPIE on the same rows; CPU seconds of the choice alone (ours with its intervals). The ratio of
costs is taken within each of ten rounds, and its least and largest stand beside it. Recall (of a recall promise: precision) is that of the
population at the chosen threshold, on average over worlds, 0 where none was given.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from benchmarks.stats.thresholds_world import ASKED, DELTA, is_broken, population, rows

from gonogo import stats

ROOT = Path(__file__).parents[2]
PEER = ROOT / "benchmarks/.peers/mapie/bin/python"
N_ROUNDS = 10
OPTIONS = {"precision": "precision_at_least", "recall": "recall_at_least", "false_positive_rate": "false_positive_rate_at_most"}


def ours(asked: str, y: np.ndarray, p: np.ndarray) -> tuple[float | None, float]:
    began = time.process_time()
    chosen = stats.choose_threshold(y, p, delta=DELTA, **{OPTIONS[name]: limit for name, limit in ASKED[asked].items()})
    return chosen.threshold, time.process_time() - began


def as_measured(asked: str, y: np.ndarray, p: np.ndarray) -> float | None:
    """The last threshold that keeps everything on these rows; what most people do."""
    order = np.argsort(-p)
    called, hits = np.arange(1, len(y) + 1), np.cumsum(y[order])
    here = {"precision": hits / called, "recall": hits / hits[-1], "false_positive_rate": (called - hits) / (len(y) - hits[-1])}
    kept = np.ones(len(y), dtype=bool)
    for name, limit in ASKED[asked].items():
        kept &= here[name] <= limit if name == "false_positive_rate" else here[name] >= limit
    numbers = np.flatnonzero(kept)
    return float(p[order][numbers[0 if asked.startswith("recall") else -1]]) if len(numbers) else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=1)
    asked_for = parser.parse_args()
    found: dict[tuple[str, str], list[tuple[float | None, float]]] = defaultdict(list)
    with subprocess.Popen(
        [PEER, ROOT / "benchmarks/stats/thresholds_mapie.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as peer:
        assert peer.stdin is not None and peer.stdout is not None  # noqa: PT018
        for seed in range(asked_for.first_seed - 1, asked_for.first_seed + asked_for.worlds):
            y, p = rows(seed)
            mine = {asked: ours(asked, y, p) for asked in ASKED}
            peer.stdin.write(f"{seed}\n")
            peer.stdin.flush()
            theirs = json.loads(peer.stdout.readline())
            if seed < asked_for.first_seed:
                continue  # the first world is for warming up: imports and caches
            for asked in ASKED:
                found[asked, "gonogo"].append(mine[asked])
                found[asked, "as measured"].append((as_measured(asked, y, p), 0.0))
                for mode, (threshold, cpu_s) in theirs[asked].items():
                    found[asked, f"MAPIE {mode}"].append((threshold, cpu_s))
        peer.stdin.close()
    for asked in ASKED:
        table(asked, {who: answers for (what, who), answers in found.items() if what == asked})
    print(f"{asked_for.worlds:,} worlds, delta {DELTA}, load {' '.join(f'{one:.1f}' for one in os.getloadavg())}")
    return 0


def table(asked: str, answers: dict[str, list[tuple[float | None, float]]]) -> None:
    side = "precision" if asked.startswith("recall") else "recall"
    print(f"\n{asked:38}  broken  refused  {side:>9}  CPU ms  ratio to gonogo [least, largest of {N_ROUNDS} rounds]")
    mine = rounds([cpu_s for _, cpu_s in answers["gonogo"]])
    for who, given in answers.items():
        thresholds = [threshold for threshold, _ in given]
        broken = np.mean([threshold is not None and is_broken(asked, threshold) for threshold in thresholds])
        obtained = np.mean([0.0 if threshold is None else population(threshold)[side] for threshold in thresholds])
        refused = np.mean([threshold is None for threshold in thresholds])
        cpu = rounds([cpu_s for _, cpu_s in given])
        ratios = [theirs / ours_ for theirs, ours_ in zip(cpu, mine, strict=True)]
        cost = f"{1000 * statistics.median(cpu):6.2f}  {statistics.median(ratios):6.1f} [{min(ratios):.1f}, {max(ratios):.1f}]"
        print(f"  {who:36}  {broken:6.3f}  {refused:7.3f}  {obtained:9.4f}  {cost if any(cpu) else ''}")


def rounds(values: list[float]) -> list[float]:
    """The mean of each of N_ROUNDS rounds of neighbouring worlds."""
    return [float(np.mean(part)) for part in np.array_split(np.array(values), min(N_ROUNDS, len(values)))]


if __name__ == "__main__":
    sys.exit(main())
