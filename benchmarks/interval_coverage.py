"""How often do the 95 % intervals hold the truth when rows of one unit move together?

    .venv/bin/python benchmarks/interval_coverage.py --units 30 60 --worlds 2000

Worlds: G units (days) of about 60 rows; each unit shifts the log-odds of all its rows by a normal shock. Scores are the true marginal
probabilities, or those tilted by 0.3 in log-odds. Truth comes from one world of 20,000 units. Prints a table.

Not named coverage.py: numba looks for a package of that name beside the script.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from gonogo.stats.calibration_error import calibration_error, prepare_calibration_error
from gonogo.stats.clustered import paired_difference, ratio_of_sums
from gonogo.stats.delong import roc_auc_difference, roc_auc_interval
from gonogo.stats.discrimination import (
    average_precision,
    precision_at_recall,
    prepare_average_precision,
    prepare_precision_at_recall,
    prepare_recall_at_false_alarm_rate,
    prepare_roc_auc,
    recall_at_false_alarm_rate,
    roc_auc,
)
from gonogo.stats.resampling import percentile_interval, unit_draws
from gonogo.types.evidence import UnitScores

SHOCK = 0.6  # standard deviation of a unit's shift of the log-odds
ROWS = 60  # mean rows of a unit
NODES, MASS = np.polynomial.hermite_e.hermegauss(40)


def world(n_units: int, seed: int):
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), rng.poisson(ROWS, n_units) + 5)
    logit = -1.5 + 1.5 * rng.normal(size=len(unit))
    shifted = logit + rng.normal(0, SHOCK, n_units)[unit]
    y = (rng.random(len(unit)) < 1 / (1 + np.exp(-shifted))).astype(float)
    # The probability given the score alone: the shock integrated out.
    p = (1 / (1 + np.exp(-(logit[:, None] + SHOCK * NODES)))) @ (MASS / MASS.sum())
    blurred = 1 / (1 + np.exp(-(0.8 * (np.log(p / (1 - p)) + rng.normal(0, 0.7, len(p))))))
    return unit, y, p, 1 / (1 + (1 / p - 1) * np.exp(-0.3)), blurred


def losses(y, p):
    return -np.log(np.where(y > 0, p, 1 - p))


def truths() -> dict[str, float]:
    unit, y, p, tilted, blurred = world(20_000, 999_999)
    return {
        "log_loss (t)": losses(y, p).mean(),
        "log_loss difference (t)": losses(y, p).mean() - losses(y, blurred).mean(),
        "rate (Wilson)": y.mean(),
        "rare rate (Wilson)": float(np.mean(y * (p > 0.9))),
        "roc_auc (DeLong)": roc_auc(y, p),
        "roc_auc difference (DeLong)": roc_auc(y, p) - roc_auc(y, blurred),
        "roc_auc (draws)": roc_auc(y, p),
        "average_precision (draws)": average_precision(y, p),
        "average_precision difference (draws)": average_precision(y, p) - average_precision(y, blurred),
        "recall at 10 % false alarms (draws)": recall_at_false_alarm_rate(y, p, 0.1),
        "precision at 50 % recall (draws)": precision_at_recall(y, p, 0.5),
        "calibration error, true 0 (draws)": 0.0,
        "calibration error, tilted (draws)": calibration_error(y, tilted, unit),
    }


def intervals(n_units: int, seed: int, n_draws: int):
    unit, y, p, tilted, blurred = world(n_units, seed)
    ones = np.ones(len(y))
    scores = partial(UnitScores, unit, weight=ones)
    found = {
        "log_loss (t)": ratio_of_sums(scores(value=losses(y, p))),
        "log_loss difference (t)": paired_difference(scores(value=losses(y, p)), scores(value=losses(y, blurred))),
        "rate (Wilson)": ratio_of_sums(scores(value=y)),
        "rare rate (Wilson)": ratio_of_sums(scores(value=y * (p > 0.9))),
        "roc_auc (DeLong)": roc_auc_interval(y, p, unit),
        "roc_auc difference (DeLong)": roc_auc_difference(y, p, blurred, unit),
    }
    ours, theirs = prepare_average_precision(y, p), prepare_average_precision(y, blurred)
    drawn = {
        "roc_auc (draws)": prepare_roc_auc(y, p),
        "average_precision (draws)": ours,
        "average_precision difference (draws)": lambda w: ours(w) - theirs(w),
        "recall at 10 % false alarms (draws)": prepare_recall_at_false_alarm_rate(y, p, 0.1),
        "precision at 50 % recall (draws)": prepare_precision_at_recall(y, p, 0.5),
        "calibration error, true 0 (draws)": prepare_calibration_error(y, p, unit),
        "calibration error, tilted (draws)": prepare_calibration_error(y, tilted, unit),
    }
    values = {name: np.empty(n_draws) for name in drawn}
    for i, draw in enumerate(unit_draws(n_units, n_draws, seed)):
        weight = draw[unit]
        for name, figure in drawn.items():
            values[name][i] = figure(weight)
    return {name: f.interval for name, f in found.items()} | {name: percentile_interval(v, n_units=n_units) for name, v in values.items()}


def outcomes(n_units: int, n_draws: int, truth: dict[str, float], seed: int) -> dict[str, tuple[float, float, float]]:
    return {
        name: (float(i.high < truth[name]), float(i.low > truth[name]), i.high - i.low)
        for name, i in intervals(n_units, seed, n_draws).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, nargs="+", default=[20, 30, 60])
    parser.add_argument("--worlds", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    truth = truths()
    print("| units | figure | truth | covered | truth above | truth below | mean width |\n|---|---|---|---|---|---|---|")
    for n_units in asked.units:
        start = time.perf_counter()
        one = partial(outcomes, n_units, asked.draws, truth)
        with ProcessPoolExecutor(asked.processes) as pool:
            worlds = list(pool.map(one, range(asked.worlds), chunksize=20))
        for name in truth:
            above, below, width = np.mean([w[name] for w in worlds], axis=0)
            print(f"| {n_units} | {name} | {truth[name]:.4f} | {1 - above - below:.3f} | {above:.3f} | {below:.3f} | {width:.4f} |")
        print(f"\n{asked.worlds} worlds of {n_units} units in {time.perf_counter() - start:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()
