"""Do the intervals of what a threshold does hold the truth: rare positives, weights, units that share a shock?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from benchmarks.truth.claims import Claim

from gonogo import stats

THRESHOLD = 1.5
COSTS = {"false_positive": 2.0, "false_negative": 40.0}
GOOD = (0.93, 0.97)


@dataclass(frozen=True)
class World:
    """Scores of two normal classes one and a half or more apart; units shift both the odds and the scores of all their rows."""

    n: int
    rate: float
    apart: float = 1.8
    units: int = 0  # 0: every row is a unit of its own
    weighted: bool = False

    def rows(self, rng: np.random.Generator, n: int, units: int) -> tuple:
        unit = rng.integers(units, size=n) if units else None
        shift = rng.normal(0, 0.5, units)[unit] if units else 0.0
        odds = np.log(self.rate / (1 - self.rate)) + shift
        y = (rng.uniform(size=n) < 1 / (1 + np.exp(-odds))).astype(float)
        score = rng.normal(self.apart * y + 0.3 * shift, 1)
        weight = rng.exponential(size=n) + 0.2 if self.weighted else None
        return y, score, weight, unit


@cache
def truth(world: World, name: str) -> float:
    rng = np.random.default_rng(10**6)
    huge = 4_000_000
    y, score, _, _ = world.rows(rng, huge, huge // 60 if world.units else 0)
    return FIGURES[name](y, score, None, None).value


FIGURES: dict[str, Callable] = {
    "precision": lambda y, s, w, u: stats.precision(y, s, threshold=THRESHOLD, weight=w, unit=u),
    "recall": lambda y, s, w, u: stats.recall(y, s, threshold=THRESHOLD, weight=w, unit=u),
    "false positive rate": lambda y, s, w, u: stats.false_positive_rate(y, s, threshold=THRESHOLD, weight=w, unit=u),
    "F1": lambda y, s, w, u: stats.f_beta(y, s, threshold=THRESHOLD, weight=w, unit=u),
    "F2": lambda y, s, w, u: stats.f_beta(y, s, threshold=THRESHOLD, beta=2, weight=w, unit=u),
    "MCC": lambda y, s, w, u: stats.matthews_correlation(y, s, threshold=THRESHOLD, weight=w, unit=u),
    "cost": lambda y, s, w, u: stats.cost_per_decision(y, s, threshold=THRESHOLD, **COSTS, weight=w, unit=u),
    "accuracy": lambda y, s, w, u: stats.confusion(y, s, threshold=THRESHOLD, weight=w, unit=u).accuracy,
}
METHODS = {"MCC": "delta method on Fisher's z", "cost": "MOVER of Wilson's intervals"}
WORLDS = {
    "50 positives of 1,000": (World(n=1000, rate=0.05), (0.92, 0.98)),
    "100 positives of 1,000": (World(n=1000, rate=0.1), GOOD),
    "1,000 of 2,000": (World(n=2000, rate=0.5), GOOD),
    "100 of 100,000": (World(n=100_000, rate=0.001, apart=3.5), GOOD),
    "200 of 2,000, weighted": (World(n=2000, rate=0.1, weighted=True), GOOD),
    "20 units of 60 rows": (World(n=1200, rate=0.2, units=20), GOOD),
    "50 units of 60 rows": (World(n=3000, rate=0.1, units=50), GOOD),
}


def coverage(name: str, where: str) -> Claim:
    world, band = WORLDS[where]

    def held(seed: int) -> bool | None:
        found = FIGURES[name](*world.rows(np.random.default_rng(seed), world.n, world.units))
        return None if found.interval is None else found.interval.low <= truth(world, name) <= found.interval.high

    return Claim(
        name=f"{name}, {where}", method=METHODS.get(name, "Wilson on the effective sample size"), kind="coverage", band=band, world=held
    )


CLAIMS = tuple(coverage(name, where) for where in WORLDS for name in FIGURES)
