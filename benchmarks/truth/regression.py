"""Errors of predicted numbers: do the intervals hold the truth?

Errors are normal with a spread that grows with the prediction (so that rows are not alike); with units, rows of one unit share a shift of
the outcome and the size of their errors. The truth is read from one huge world.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from benchmarks.truth.claims import Claim

from gonogo import stats

COVERS, FROM_20 = (0.93, 0.97), (0.92, 0.97)
MANY = 2_000_000


@dataclass(frozen=True)
class World:
    n: int
    units: int = 0
    tails: float = 0.0  # degrees of freedom of Student's t; 0: normal errors


def draw(world: World, seed: int, *, n: int | None = None, units: int | None = None):
    rng = np.random.default_rng([seed, world.n, world.units])
    n, units = n or world.n, units or world.units
    unit = rng.integers(0, units, n) if units else None
    shift, size = (rng.normal(size=units)[unit], rng.uniform(0.7, 1.3, units)[unit]) if units else (0.0, 1.0)
    score = rng.uniform(5, 15, n)
    noise = rng.standard_t(world.tails, n) if world.tails else rng.normal(size=n)
    return score + 0.5 * shift + 0.1 * score * size * noise, score, unit


def measured(figure: str, y, score, unit):
    if figure == "interval_coverage":
        return stats.interval_coverage(y, 0.84 * score, 1.16 * score, unit=unit)
    return getattr(stats, figure)(y, score, unit=unit, **({"q": 0.8} if figure == "quantile_loss" else {}))


@cache
def truth(figure: str, world: World) -> float:
    # The unit has no part in the value.
    y, score, _ = draw(world, 0, n=MANY, units=MANY // (world.n // world.units) if world.units else 0)
    return measured(figure, y, score, None).value


def covers(figure: str, world: World, seed: int) -> bool | None:
    found = measured(figure, *draw(world, seed))
    return None if found.interval is None else found.interval.low <= truth(figure, world) <= found.interval.high


def claim(figure: str, said: str, world: World, band=COVERS) -> Claim:
    method = "Wilson by unit" if figure == "interval_coverage" else "delta method by unit, log scale"
    return Claim(name=f"{figure}, {said}", method=method, kind="coverage", band=band, world=partial(covers, figure, world))


FIGURES = (
    "root_mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "quantile_loss",
    "r_squared",
    "interval_coverage",
)
CLAIMS = (
    *(claim(figure, "200 rows", World(n=200)) for figure in FIGURES),
    *(claim(figure, "40 units of 20 rows", World(n=800, units=40)) for figure in FIGURES),
    *(claim(figure, "20 units of 50 rows", World(n=1000, units=20), FROM_20) for figure in FIGURES),
    claim("root_mean_squared_error", "1,000 rows, heavy tails (t with 6 degrees)", World(n=1000, tails=6)),
)
