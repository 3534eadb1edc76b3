"""Two models on the same rows: do differences cover, do tests keep their level, is power what was predicted?

A world draws a latent propensity by row; both models see it through noise of their own. With units, rows of one unit share a shift of the
odds and of both models' noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from benchmarks.truth.claims import Claim

from gonogo import stats

COVERS, FROM_50, LEVEL = (0.93, 0.97), (0.92, 0.98), (0.0, 0.06)
MANY = 2_000_000  # rows from which a truth is read where no closed form gives it


@dataclass(frozen=True)
class World:
    """How rows come about."""

    n: int
    rate: float  # about the share of positives
    noise: tuple[float, float]  # of ours and of theirs
    units: int = 0  # 0: each row its own


@dataclass(frozen=True)
class Drawn:
    y: np.ndarray
    ours: np.ndarray  # probabilities
    theirs: np.ndarray
    unit: np.ndarray | None


def draw(world: World, seed: int, *, n: int | None = None, units: int | None = None) -> Drawn:
    rng = np.random.default_rng([seed, world.n, int(world.rate * 1e6), world.units])
    n, units = n or world.n, units or world.units
    unit = rng.integers(0, units, n) if units else None
    signal = rng.normal(size=n)
    shift, muddle = rng.normal(scale=0.5, size=(3, units))[:, unit][[0, 1]] if units else np.zeros((2, 1))
    logit = np.log(world.rate / (1 - world.rate)) - 0.4 + 1.2 * signal + shift
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    models = [1 / (1 + np.exp(-(logit - shift + scale * (rng.normal(size=n) + muddle)))) for scale in world.noise]
    return Drawn(y=y, ours=models[0], theirs=models[1], unit=unit)


@cache
def truth(world: World, metric: str) -> float:
    many = draw(world, 0, n=MANY, units=MANY // max(1, world.n // world.units) if world.units else 0)
    return stats.compare(many.y, many.ours, many.theirs, metric=metric, unit=many.unit).value


def covers(world: World, metric: str, seed: int) -> bool | None:
    rows = draw(world, seed)
    found = stats.compare(rows.y, rows.ours, rows.theirs, metric=metric, unit=rows.unit)
    return None if found.interval is None else found.interval.low <= truth(world, metric) <= found.interval.high


def rejects(world: World, metric: str, seed: int) -> bool | None:
    rows = draw(world, seed)
    found = stats.compare(rows.y, rows.ours, rows.theirs, metric=metric, unit=rows.unit)
    return None if found.interval is None else not found.interval.low <= 0 <= found.interval.high


EQUAL = (0.6, 0.6)
UNLIKE = (0.4, 0.9)
DIFFERENCES = ("roc_auc", "average_precision", "log_loss", "brier_score")
CUTS = ("recall_at_false_positive_rate", "precision_at_recall")
WORLDS = {
    "100 positives of 2,000": (World(n=2000, rate=0.05, noise=UNLIKE), COVERS),
    "50 to 60 positives of 1,100": (World(n=1100, rate=0.05, noise=UNLIKE), FROM_50),
    "100 positives, 1:1000": (World(n=100_000, rate=0.001, noise=UNLIKE), COVERS),
    "20 units of 100 rows": (World(n=2000, rate=0.3, noise=UNLIKE, units=20), COVERS),
    "60 units of 30 rows": (World(n=1800, rate=0.3, noise=UNLIKE, units=60), COVERS),
}
CLAIMS = tuple(
    Claim(
        name=f"{metric} difference, {name}",
        method="paired influence by unit, t(G-1)",
        kind="coverage",
        band=band,
        world=partial(covers, world, metric),
    )
    for name, (world, band) in WORLDS.items()
    for metric in (*DIFFERENCES, *CUTS)
)
