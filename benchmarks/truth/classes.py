"""Figures of several classes: do the intervals hold the truth?

A row's class shows in its scores through noise; with units, rows of one unit share their luck, so some units are told well and others not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from benchmarks.truth.claims import Claim

from gonogo import stats

COVERS, FROM_20 = (0.93, 0.97), (0.92, 0.97)
MANY = 1_000_000


@dataclass(frozen=True)
class World:
    n: int
    shares: tuple[float, ...] = (0.5, 0.3, 0.2)
    units: int = 0
    skill: float = 1.2


def draw(world: World, seed: int, *, n: int | None = None, units: int | None = None):
    rng = np.random.default_rng([seed, world.n, world.units])
    n, units = n or world.n, units or world.units
    unit = rng.integers(0, units, n) if units else None
    k = len(world.shares)
    truth = rng.choice(k, n, p=world.shares)
    skill = world.skill + (0.8 * rng.normal(size=units)[unit] if units else np.zeros(n))
    p = np.exp(rng.normal(size=(n, k)) + skill[:, None] * np.eye(k)[truth])
    return truth, p / p.sum(axis=1, keepdims=True), unit


def measured(figure: str, truth, p, unit):
    return getattr(stats, figure)(truth, p, labels=np.arange(p.shape[1]), unit=unit)


@cache
def truth_of(figure: str, world: World) -> float:
    truth, p, _ = draw(world, 0, n=MANY, units=MANY // (world.n // world.units) if world.units else 0)
    return measured(figure, truth, p, None).value


def covers(figure: str, world: World, seed: int) -> bool | None:
    found = measured(figure, *draw(world, seed))
    return None if found.interval is None else found.interval.low <= truth_of(figure, world) <= found.interval.high


def claim(figure: str, said: str, world: World, band=COVERS, refusals: float = 0.0) -> Claim:
    return Claim(
        name=f"{figure}, {said}",
        method={"accuracy": "Wilson by unit", "one_vs_rest_auc": "DeLong by unit, logit"}.get(figure, "delta method by unit"),
        kind="coverage",
        band=band,
        world=partial(covers, figure, world),
        refusals_at_most=refusals,
    )


FIGURES = ("accuracy", "macro_f1", "one_vs_rest_auc", "multiclass_log_loss")
RARE = (0.75, 0.2, 0.05)
CLAIMS = (
    *(claim(figure, "500 rows of three classes", World(n=500)) for figure in FIGURES),
    *(claim(figure, "40 units of 50 rows", World(n=2000, units=40)) for figure in FIGURES),
    *(claim(figure, "20 units of 50 rows", World(n=1000, units=20), FROM_20) for figure in FIGURES),
    claim("macro_f1", "a class of about 25 of 500 rows", World(n=500, shares=RARE), (0.92, 0.97), 0.2),
    claim("one_vs_rest_auc", "a class of about 60 of 1,200 rows", World(n=1200, shares=RARE), (0.92, 0.97), 0.15),
    claim(
        "macro_f1", "a class of about 25 of 500 rows, told well: rather too wide", World(n=500, shares=RARE, skill=3.0), (0.92, 1.0), 0.2
    ),
)
