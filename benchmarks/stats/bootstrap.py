"""What do 2,000 weightings of a ranking cost beside the loop over scikit-learn that gives the same numbers?

    .venv/bin/python -m benchmarks.stats.bootstrap --rounds 3

CPU seconds of all threads. The loop of scikit-learn (`roc_auc_score` and `average_precision_score` with `sample_weight`) is timed on a few
replicates beside each of our runs and scaled to 2,000; a ratio is taken within a round and its least and largest are printed beside it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from benchmarks.harness import Spread
from sklearn.metrics import average_precision_score, roc_auc_score

from gonogo import stats
from gonogo.stats.bootstrap import N_DRAWS, draws_of_ranking, interval_of_draws, paired_draws_of_rankings
from gonogo.stats.influence import rank_rows

COLD = """
import time
import numpy as np
began = time.perf_counter(), time.process_time()
from gonogo.stats.bootstrap import draws_of_ranking
from gonogo.stats.influence import rank_rows
from gonogo import stats
imported = time.perf_counter(), time.process_time()
y, score = np.arange(1000) % 3 == 0, np.sin(np.arange(1000.0)) + (np.arange(1000) % 3 == 0)
for figure in (stats.roc_auc, stats.average_precision, stats.precision_at_recall, stats.recall_at_false_positive_rate, stats.lift):
    figure(y, score)
called = time.perf_counter(), time.process_time()
draws_of_ranking(rank_rows(y, score), n_draws=16)
drawn = time.perf_counter(), time.process_time()
print(*(f"{b[1] - a[1]:.2f}" for a, b in ((began, imported), (imported, called), (called, drawn))))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    figures_of_one(asked.rounds)
    figures_of_two(asked.rounds)
    first_calls()


def figures_of_one(rounds: int) -> None:
    print(f"{'rows':>9} {'positive':>8}  {'ours CPU s':>22} {'wall s':>7} {'by unit CPU s':>22} {'loop CPU s':>24}  {'ratio':>24}  load")
    for n in (100_000, 1_000_000):
        for prevalence in (0.02, 0.5):
            y, score, unit = world(n, prevalence)
            replicates = max(2, 300_000 // n)
            draws_of_ranking(rank_rows(y, score), n_draws=16)  # compiled, or read from the cache
            ours, walls, by_unit, loop = [], [], [], []
            for _ in range(rounds):
                wall = time.perf_counter()
                ours.append(cpu(lambda: intervals(y, score, None)))  # noqa: B023
                walls.append(time.perf_counter() - wall)
                by_unit.append(cpu(lambda: intervals(y, score, unit)))  # noqa: B023
                loop.append(cpu(lambda: replicate(y, score, replicates)) * N_DRAWS / replicates)  # noqa: B023
            ratio = Spread.of([b / a for a, b in zip(ours, loop, strict=True)])
            print(
                f"{n:9,} {prevalence:8.0%}  {Spread.of(ours)} {Spread.of(walls).median:7.2f}",
                f"{Spread.of(by_unit)} {Spread.of(loop)}  {ratio}  {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def figures_of_two(rounds: int) -> None:
    y, score, _ = world(100_000, 0.02)
    p = 1 / (1 + np.exp(4 - score))
    q = 1 / (1 + np.exp(4 - score - np.random.default_rng(1).normal(0, 0.5, len(y))))
    for name, run in (("2,000 paired draws of AUC and AP, log loss in closed form", drawn), ("all three in closed form", compared)):
        run(y, p, q)
        took = Spread.of([cpu(lambda: run(y, p, q)) for _ in range(rounds)])  # noqa: B023
        print(f"paired dAUC, dAP, dLogLoss, 100,000 rows: {name}: CPU s {took}, load {os.getloadavg()[0]:.1f}", flush=True)


def first_calls() -> None:
    with tempfile.TemporaryDirectory() as fresh:
        for what in ("first call ever, compiling", "first call of a process, cached kernels"):
            said = subprocess.run(
                [sys.executable, "-c", COLD], env={**os.environ, "NUMBA_CACHE_DIR": fresh}, capture_output=True, text=True, check=True
            )
            print(f"{what}: CPU s of import, five figures, draws: {said.stdout.strip()}, load {os.getloadavg()[0]:.1f}", flush=True)


def world(n: int, prevalence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = (rng.random(n) < prevalence).astype(float)
    return y, rng.normal(size=n) + y, rng.integers(0, n // 20, n)


def intervals(y: np.ndarray, score: np.ndarray, unit: np.ndarray | None) -> None:
    """From rows to both intervals: sorting is ours to pay."""
    draws = draws_of_ranking(rank_rows(y, score), unit, n_draws=N_DRAWS)
    for values in (draws.roc_auc, draws.average_precision):
        interval_of_draws(values, n_units=len(y) if unit is None else len(y) // 20)


def replicate(y: np.ndarray, score: np.ndarray, replicates: int) -> None:
    for b in range(replicates):
        weight = WEIGHTS[b % 2][: len(y)]
        roc_auc_score(y, score, sample_weight=weight)
        average_precision_score(y, score, sample_weight=weight)


WEIGHTS = np.random.default_rng(3).poisson(1, (2, 1_000_000)).astype(float)  # drawn beforehand: the loop pays for the figures only


def drawn(y: np.ndarray, p: np.ndarray, q: np.ndarray) -> None:
    draws = paired_draws_of_rankings(rank_rows(y, p), rank_rows(y, q), n_draws=N_DRAWS)
    for values in (draws.roc_auc, draws.average_precision):
        interval_of_draws(values, n_units=len(y))
    stats.compare(y, p, q, metric="log_loss")


def compared(y: np.ndarray, p: np.ndarray, q: np.ndarray) -> None:
    for metric in ("roc_auc", "average_precision", "log_loss"):
        stats.compare(y, p, q, metric=metric)


def cpu(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    main()
