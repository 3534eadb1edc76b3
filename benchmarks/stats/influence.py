"""Is a standard error without resampling that of the bootstrap, and what does it cost beside one call to scikit-learn?

    .venv/bin/python -m benchmarks.stats.influence --rounds 5

The standard error of each figure from its influence, over that of the bootstrap (the spread under draws of independent Poisson(1) weights),
on 100,000 rows; a bootstrap of B draws has itself an error of 1/√(2B), which is printed. Then the CPU seconds of the figure with its
interval at a million rows beside the bare figure of scikit-learn, interleaved, with the least and largest ratio over the rounds.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from benchmarks.harness import Spread
from sklearn import metrics

from gonogo import stats
from gonogo.stats import bootstrap, discrimination, influence
from gonogo.stats.distributions import t_quantile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=2000)
    asked = parser.parse_args()
    for prevalence in (0.02, 0.5):
        spread_of(100_000, prevalence, asked.draws)
    for prevalence in (0.02, 0.5):
        cost_of(1_000_000, prevalence, asked.rounds)


def spread_of(n: int, prevalence: float, n_draws: int) -> None:
    y, p = world(n, prevalence)
    ranked = influence.rank_rows(y, p)
    ranks = bootstrap.draws_of_ranking(ranked, n_draws=n_draws)
    draws = {"roc_auc": ranks.roc_auc, "average_precision": ranks.average_precision}
    resampled = {
        "recall_at_false_positive_rate": discrimination.prepare_recall_at_false_alarm_rate(y, p, 0.1),
        "precision_at_recall": discrimination.prepare_precision_at_recall(y, p, 0.5),
        "log_loss": partial(np.average, -np.log(np.where(y == 1, p, 1 - p))),
        "brier_score": partial(np.average, (y - p) ** 2),
    }
    values: dict[str, list[float]] = {name: [] for name in resampled}
    for b in range(n_draws):
        weight = bootstrap.draw_weights(n, 1, first=b)[0].astype(np.float64)
        for name, figure in resampled.items():
            values[name].append(figure(weight) if name.startswith(("recall", "precision")) else figure(weights=weight))
    draws |= {name: np.array(found) for name, found in values.items()}
    errors = {name: standard_error(name, ranked, y, p) for name in draws}
    print(
        f"standard error over the bootstrap's, {n:,} rows, {prevalence:.0%} positive ({n_draws:,} draws, ± {1 / np.sqrt(2 * n_draws):.3f}):"
    )
    for name, found in draws.items():
        print(f"  {name:30} {errors[name] / found.std():.3f}", flush=True)


def standard_error(name: str, ranked: influence.RankedRows, y: np.ndarray, p: np.ndarray) -> float:
    by_influence = {
        "roc_auc": influence.roc_auc,
        "average_precision": influence.average_precision,
        "recall_at_false_positive_rate": partial(influence.recall_at_false_positive_rate, rate=0.1),
        "precision_at_recall": partial(influence.precision_at_recall, recall=0.5),
    }
    if name in by_influence:
        return float(np.sqrt(np.sum(by_influence[name](ranked).influence ** 2)))
    interval = getattr(stats, name)(y, p).interval
    return (interval.high - interval.low) / (2 * t_quantile(0.975, len(y) - 1))


def cost_of(n: int, prevalence: float, rounds: int) -> None:
    y, p = world(n, prevalence)
    pairs = {
        "roc_auc": (stats.roc_auc, metrics.roc_auc_score),
        "average_precision": (stats.average_precision, metrics.average_precision_score),
        "log_loss": (stats.log_loss, metrics.log_loss),
        "brier_score": (stats.brier_score, metrics.brier_score_loss),
        "recall_at_false_positive_rate": (stats.recall_at_false_positive_rate, partial(peer_recall, rate=0.1)),
        "precision_at_recall": (stats.precision_at_recall, partial(peer_precision, recall=0.5)),
    }
    unit = np.random.default_rng(1).integers(0, n // 20, n)
    print(f"CPU s with interval beside one call of scikit-learn, {n:,} rows, {prevalence:.0%} positive, {rounds} rounds, load {load()}:")
    for name, (ours, peer) in pairs.items():
        ours(y, p), ours(y, p, unit=unit)
        took = [(cpu(lambda: ours(y, p)), cpu(lambda: ours(y, p, unit=unit)), cpu(lambda: peer(y, p))) for _ in range(rounds)]  # noqa: B023
        bare, by_unit, theirs = (Spread.of(column) for column in zip(*took, strict=True))
        ratio = Spread.of([a / c for a, _, c in took])
        print(f"  {name:30} ours {bare}  by unit {by_unit}  scikit-learn {theirs}  ratio {ratio}", flush=True)


def peer_recall(y: np.ndarray, p: np.ndarray, *, rate: float) -> float:
    fpr, tpr, _ = metrics.roc_curve(y, p, drop_intermediate=False)
    return float(tpr[np.searchsorted(fpr, rate, side="right") - 1])


def peer_precision(y: np.ndarray, p: np.ndarray, *, recall: float) -> float:
    precision, recalls, _ = metrics.precision_recall_curve(y, p)
    return float(precision[np.flatnonzero(recalls >= recall)[-1]])


def world(n: int, prevalence: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = (rng.random(n) < prevalence).astype(float)
    odds = np.log(prevalence / (1 - prevalence)) + rng.normal(size=n) + 1.5 * y - 0.5
    return y, 1 / (1 + np.exp(-odds))


def cpu(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
