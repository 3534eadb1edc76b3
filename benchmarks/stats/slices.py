"""What do all slices of 20 columns cost beside the figures of the whole table?

    .venv/bin/python benchmarks/stats/slices.py --rows 1000000 --rounds 5 --loop

Log loss, Brier score, ROC-AUC and average precision, each with its interval. "Whole" is the four public functions on the whole table, and
`by_slice` without columns, which sorts once. The columns: whole numbers of few values, numbers to be cut into 5 bins, and categories as a
data frame holds them; in all 20, about 150 slices. `--loop` also times a loop over scikit-learn per slice as fairlearn's MetricFrame runs
it, without any interval. Rounds are interleaved; the median is given with the least and the greatest.
"""

import argparse
import os
import resource
import statistics
import time

import numpy as np
import pandas as pd

from gonogo import stats
from gonogo.stats.slices import by_slice


def world(n: int, prevalence: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    p = np.clip(rng.beta(1, 1 / prevalence - 1, n), 1e-6, 1 - 1e-6)
    y = (rng.random(n) < p).astype(float)
    columns = {f"code_{k}": rng.integers(0, 3 + k, n) for k in range(7)}
    columns |= {f"number_{k}": rng.lognormal(5, 1, n) for k in range(7)}
    columns |= {f"name_{k}": pd.Categorical.from_codes(rng.integers(0, 20, n), [f"v{i}" for i in range(20)]) for k in range(6)}
    return y, p, columns


def four(y, p):
    return stats.log_loss(y, p), stats.brier_score(y, p), stats.roc_auc(y, p), stats.average_precision(y, p)


def loop(y, p, columns) -> int:
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    frame, found = pd.DataFrame({"y": y, "p": p} | {k: v for k, v in columns.items() if "number" not in k}), 0
    for name in (k for k in columns if "number" in k):
        frame[name] = pd.qcut(columns[name], 5)
    for name in columns:
        for _, part in frame.groupby(name, observed=True):
            for figure in (log_loss, brier_score_loss, roc_auc_score, average_precision_score):
                figure(part["y"], part["p"])
                found += 1
    return found


def timed(run) -> tuple[float, float]:
    cpu, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prevalence", type=float, nargs="+", default=[0.02, 0.5])
    parser.add_argument("--loop", action="store_true")
    asked = parser.parse_args()
    print(f"{asked.rows:,} rows, {asked.rounds} rounds, load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for prevalence in asked.prevalence:
        report(prevalence, asked.rows, asked.rounds, with_loop=asked.loop)
    print(f"\nload {os.getloadavg()[0]:.1f}")


def report(prevalence: float, n: int, rounds: int, *, with_loop: bool) -> None:
    y, p, columns = world(n, prevalence)
    unit = np.random.default_rng(1).integers(0, 5000, n)
    runs = {
        "whole table, four functions": lambda: four(y, p),
        "whole table, one sort": lambda: by_slice(y, p, {}),
        "all slices of 20 columns": lambda: by_slice(y, p, columns),
        "whole table by unit, one sort": lambda: by_slice(y, p, {}, unit=unit),
        "all slices by unit": lambda: by_slice(y, p, columns, unit=unit),
    }
    for run in runs.values():
        run()  # compiles, and warms the caches
    taken = {name: [] for name in runs}
    for turn in range(rounds):
        for name, run in runs.items():
            if turn == 0 or "by unit" not in name:  # dear: once
                taken[name].append(timed(run))
    if with_loop:
        taken["loop over scikit-learn, no interval"] = [timed(lambda: loop(y, p, columns))]
    print(f"\n{prevalence:.0%} positives, {len(by_slice(y, p, columns).names)} slices\n\n| | CPU s | wall s |\n|---|---|---|")
    for name, times in taken.items():
        print(f"| {name} | " + " | ".join(spread([one[i] for one in times]) for i in (0, 1)) + " |")
    for over in ("whole table, four functions", "whole table, one sort"):
        ratios = [[s[i] / w[i] for s, w in zip(taken["all slices of 20 columns"], taken[over], strict=True)] for i in (0, 1)]
        print(f"| all slices / {over} | " + " | ".join(spread(one, "×") for one in ratios) + " |")


def spread(values: list[float], unit: str = "") -> str:
    return f"{statistics.median(values):.3f}{unit} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
