"""What does a loss with its interval cost beside scikit-learn's bare loss, and what does the rest of calibration cost?

    .venv/bin/python -m benchmarks.stats.probabilities --rows 1000000 --rounds 9

CPU seconds of this process, ours and theirs by turns; the ratio is taken within a round. scikit-learn has no peer for the lower half: its
`log_loss` is the yardstick there too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from gonogo import stats

PEER_OF = {"brier_score": "sklearn brier_score_loss", "brier_score, 50,000 units": "sklearn brier_score_loss"}


def calls(n: int, rate: float) -> dict[str, Callable[[], object]]:
    rng = np.random.default_rng(0)
    p = rng.beta(2 * rate, 2 * (1 - rate), n).clip(1e-9, 1 - 1e-9)
    y, unit = (rng.random(n) < p).astype(float), rng.integers(0, 50_000, n)
    return {
        "sklearn log_loss": lambda: sklearn_log_loss(y, p),
        "log_loss": lambda: stats.log_loss(y, p),
        "log_loss, 50,000 units": lambda: stats.log_loss(y, p, unit=unit),
        "sklearn brier_score_loss": lambda: brier_score_loss(y, p),
        "brier_score": lambda: stats.brier_score(y, p),
        "brier_score, 50,000 units": lambda: stats.brier_score(y, p, unit=unit),
        "expected_calibration_error": lambda: stats.expected_calibration_error(y, p),
        "brier_decomposition": lambda: stats.brier_decomposition(y, p),
        "calibration_slope": lambda: stats.calibration_slope(y, p),
        "calibration_test": lambda: stats.calibration_test(y, p),
        "reliability": lambda: stats.reliability(y, p),
    }


def cpu_s(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    them = calls(asked.rows, asked.rate)
    for call in them.values():
        call()
    rounds = [{name: cpu_s(call) for name, call in them.items()} for _ in range(asked.rounds)]
    load = os.getloadavg()[0]
    print(f"{asked.rows:,} rows, {asked.rate:.0%} positive, {asked.rounds} rounds, load {load:.1f}; median [least, largest]\n")
    print("| call | CPU s | ratio to scikit-learn's |\n|---|---|---|")
    for name in them:
        took = [one[name] for one in rounds]
        ratios = [one[name] / one[PEER_OF.get(name, "sklearn log_loss")] for one in rounds]
        said = "1" if name.startswith("sklearn") else f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        print(f"| {name} | {statistics.median(took):.4f} [{min(took):.4f}, {max(took):.4f}] | {said} |")


if __name__ == "__main__":
    main()
