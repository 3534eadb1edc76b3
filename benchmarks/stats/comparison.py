"""What does a paired comparison cost: champion against challenger, dAUC, dAP and dLogLoss with their intervals?

    .venv/bin/python benchmarks/stats/comparison.py --rounds 5

CPU seconds of `stats.compare_all` on 100,000 and 1,000,000 rows, by row and by unit; beside it, interleaved, the loop over scikit-learn
that people write today: the three metrics of both models on rows drawn again, timed on a few draws and scaled to 2,000. Then a cold
process, with its imports and the cached kernels. Load average first and last.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from benchmarks.harness import Spread
from sklearn import metrics

from gonogo import stats

DRAWS = 2000
COLD = """
import numpy as np
from gonogo import stats
rng = np.random.default_rng(0)
y = rng.random(100_000) < 0.02
ours, theirs = np.clip(0.02 + 0.1 * y + 0.05 * rng.random((2, 100_000)), 0, 1)
stats.compare_all(y, ours, theirs)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=3, help="of the loop, in each round; scaled to 2,000")
    asked = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}")
    for n in (100_000, 1_000_000):
        for prevalence in (0.02, 0.5):
            _warm(n, prevalence, asked.rounds, asked.draws if n == 100_000 else 1)
    cold = Spread.of([_cold(COLD) for _ in range(asked.rounds)])
    bare = Spread.of([_cold("import numpy") for _ in range(asked.rounds)])
    print(f"a cold process with 100,000 rows: {cold} CPU s, of which Python and NumPy {bare}")
    print(f"load average {os.getloadavg()[0]:.1f}")


def _warm(n: int, prevalence: float, rounds: int, draws: int) -> None:
    y, ours, theirs, unit = world(n, prevalence)
    rng = np.random.default_rng(1)
    stats.compare_all(y, ours, theirs)
    by_row, by_unit, loop = [], [], []
    for _ in range(rounds):
        by_row.append(cpu_s(lambda: stats.compare_all(y, ours, theirs)))
        by_unit.append(cpu_s(lambda: stats.compare_all(y, ours, theirs, unit=unit)))
        loop.append(cpu_s(lambda: [drawn_again(y, ours, theirs, rng) for _ in range(draws)]) * DRAWS / draws)
    print(f"{n:,} rows, {prevalence:.0%} positive, CPU s: by row {Spread.of(by_row)}  by {n // 50:,} units {Spread.of(by_unit)}")
    ratios = Spread.of([peer / own for own, peer in zip(by_row, loop, strict=True)])
    print(f"  loop over scikit-learn, {DRAWS:,} draws {Spread.of(loop)}: {ratios} times ours", flush=True)


def drawn_again(y: np.ndarray, ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator) -> tuple[float, ...]:
    rows = rng.integers(0, len(y), len(y))
    figures = (metrics.roc_auc_score, metrics.average_precision_score, metrics.log_loss)
    return tuple(figure(y[rows], ours[rows]) - figure(y[rows], theirs[rows]) for figure in figures)


def world(n: int, prevalence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=n) + np.log(prevalence / (1 - prevalence))
    y = (rng.random(n) < 1 / (1 + np.exp(-signal))).astype(float)
    ours, theirs = (1 / (1 + np.exp(-(signal + scale * rng.normal(size=n)))) for scale in (0.5, 0.7))
    return y, ours, theirs, rng.integers(0, n // 50, n)


def cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _cold(program: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
