"""Worlds of two populations: equal ones, which a test must call different in at most its level, and ones whose distance is known."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from benchmarks.truth.claims import Claim

from gonogo.stats.categories import chi_square, fisher
from gonogo.stats.classifier_test import classifier_two_sample
from gonogo.stats.differences import Answer
from gonogo.stats.energy import energy_distance
from gonogo.stats.mean_embedding import maximum_mean_discrepancy
from gonogo.stats.means import hedges_g, welch
from gonogo.stats.populations import differ
from gonogo.stats.ranks import anderson_darling, kolmogorov_smirnov, mann_whitney
from gonogo.types.evidence import Estimate, Tested

Draw = Callable[[np.random.Generator, int], np.ndarray]
World = Callable[[int], bool | None]

LEVEL, COVERAGE, WIDE = (0.0, 0.06), (0.93, 0.97), (0.93, 1.0)


def normal(rng, n):
    return rng.normal(size=n)


def skewed(rng, n):
    return np.exp(rng.normal(size=n))


def exponential(rng, n):
    return rng.exponential(size=n)


def tied(rng, n):
    return rng.poisson(2.0, size=n).astype(float)


def categories(rng, n):
    return rng.choice(8, size=n, p=[0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.015, 0.005])


def rare(rng, n):
    return rng.random(n) < 0.04


def correlated(rng, n):
    x = rng.normal(size=(n, 3))
    x[:, 1] += 0.8 * x[:, 0]
    return x


def rejected(test: Callable[..., Tested], draw: Draw, n_a: int, n_b: int) -> World:
    def world(seed):
        rng = np.random.default_rng(seed)
        p = test(draw(rng, n_a), draw(rng, n_b), seed=seed).p_value
        return None if p is None else p <= 0.05

    return world


def clusters(rng, draw: Draw, n_units: int, first: int, share: float = 0.3):
    """Rows in units of 1 to 19: each repeats its unit's own value in that share of its rows."""
    sizes = rng.integers(1, 20, n_units)
    unit = np.repeat(np.arange(n_units), sizes)
    own, free = draw(rng, n_units)[unit], draw(rng, len(unit))
    repeats = rng.random(len(unit)) < share
    if free.ndim == 2:
        repeats = repeats[:, None]
    return np.where(repeats, own, free), unit + first


def rejected_by_unit(test: Callable[..., Tested], draw: Draw, units_a: int, units_b: int, *, shared: bool = False) -> World:
    def world(seed):
        rng = np.random.default_rng(seed)
        a, unit_a = clusters(rng, draw, units_a, 0)
        b, unit_b = clusters(rng, draw, units_b, 0 if shared else units_a)
        p = test(a, b, unit_a=unit_a, unit_b=unit_b, seed=seed).p_value
        return None if p is None else p <= 0.05

    return world


def held(estimate: Callable[[np.random.Generator], Estimate], truth: Callable[[], float]) -> World:
    def world(seed):
        found = estimate(np.random.default_rng(seed)).interval
        return None if found is None else found.low - 1e-12 <= truth() <= found.high + 1e-12

    return world


def level(name: str, method: str, world: World, **more: Any) -> Claim:
    return Claim(name=name, method=method, kind="level", band=LEVEL, world=world, **more)


def coverage(name: str, method: str, estimate, truth: Callable[[], float], band=COVERAGE, **more: Any) -> Claim:
    return Claim(name=name, method=method, kind="coverage", band=band, world=held(estimate, truth), **more)


def phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


# what is true of the worlds below
SHARES_A, SHARES_B = np.array([0.5, 0.3, 0.2]), np.array([0.35, 0.35, 0.3])


def cramers_v(n_a: int, n_b: int) -> float:
    part = n_a / (n_a + n_b)
    pooled = part * SHARES_A + (1 - part) * SHARES_B
    return math.sqrt(part * (1 - part) * float(np.sum((SHARES_A - SHARES_B) ** 2 / pooled)))


@functools.cache
def exponential_g() -> float:
    return 0.5 / math.sqrt((1 + 1.5**2) / 2)


@functools.cache
def shifted_energy() -> float:
    """Of N(0, 1) and N(0.5, 1): 2E|X−Y| − 2E|X−X′|, with X−Y normal of variance 2."""
    mean, sd = 0.5, math.sqrt(2)
    apart = sd * math.sqrt(2 / math.pi) * math.exp(-(mean**2) / (2 * sd**2)) + mean * (1 - 2 * phi(-mean / sd))
    return math.sqrt(2 * apart - 2 * sd * math.sqrt(2 / math.pi))


@functools.cache
def shifted_discrepancy() -> float:
    rng = np.random.default_rng(0)
    found = maximum_mean_discrepancy(rng.normal(size=200_000), rng.normal(0.5, 1, size=200_000)).effect.value
    assert found is not None
    return found


def superiority_by_unit(rng):
    a, unit_a = clusters(rng, normal, 20, 0)
    b, unit_b = clusters(rng, normal, 20, 20)
    return mann_whitney(a, b + 0.4, unit_a=unit_a, unit_b=unit_b).effect


def g_by_unit(rng):
    a, unit_a = clusters(rng, normal, 20, 0)
    b, unit_b = clusters(rng, normal, 25, 20)
    return hedges_g(a, b + 0.4, unit_a=unit_a, unit_b=unit_b)


def distance_by_unit(rng):
    a, unit_a = clusters(rng, normal, 20, 0)
    b, unit_b = clusters(rng, normal, 25, 20)
    return kolmogorov_smirnov(a, b + 0.4, unit_a=unit_a, unit_b=unit_b).effect


def v_by_unit(rng):
    def of(shares):
        return lambda rng, n: rng.choice(3, size=n, p=shares)

    a, unit_a = clusters(rng, of(SHARES_A), 40, 0)
    b, unit_b = clusters(rng, of(SHARES_B), 40, 40)
    return chi_square(a, b, unit_a=unit_a, unit_b=unit_b).effect


TESTS = (
    level("Welch, exponential, 60 and 200 rows", "Welch's t", rejected(welch, exponential, 60, 200)),
    # Known to reject too often: means of so few rows so skewed are not yet normal. Kept, so that the page says so.
    level("Welch, skewed, 60 and 200 rows", "Welch's t", rejected(welch, skewed, 60, 200)),
    level("Welch, skewed, 400 and 800 rows", "Welch's t", rejected(welch, skewed, 400, 800)),
    level("Welch, 20 and 20 units of 1 to 19 rows", "clustered by unit", rejected_by_unit(welch, normal, 20, 20)),
    level("Welch, the same 30 units on both sides", "clustered by unit", rejected_by_unit(welch, normal, 30, 30, shared=True)),
    level("Mann–Whitney, ties, 40 and 90 rows", "normal with ties", rejected(mann_whitney, tied, 40, 90)),
    level("Mann–Whitney, 6 and 8 rows", "exact", rejected(mann_whitney, skewed, 6, 8)),
    level("Mann–Whitney, ties, 20 and 30 units", "clustered by unit", rejected_by_unit(mann_whitney, tied, 20, 30)),
    level("Kolmogorov–Smirnov, skewed, 50 and 120 rows", "exact", rejected(kolmogorov_smirnov, skewed, 50, 120)),
    level("Kolmogorov–Smirnov, ties, 100 and 100 rows", "exact, conservative", rejected(kolmogorov_smirnov, tied, 100, 100)),
    level("Kolmogorov–Smirnov, 20 and 30 units", "Gaussian maximum by unit", rejected_by_unit(kolmogorov_smirnov, skewed, 20, 30)),
    level("Anderson–Darling, skewed, 40 and 80 rows", "limit of A²", rejected(anderson_darling, skewed, 40, 80)),
    level("Anderson–Darling, ties, 100 and 30 rows", "limit of A²", rejected(anderson_darling, tied, 100, 30)),
    level("chi-square, 8 categories, 3 rare, 150 and 90 rows", "Pearson, rare pooled", rejected(chi_square, categories, 150, 90)),
    level("chi-square, 8 categories, 30 and 40 units", "Rao–Scott by unit", rejected_by_unit(chi_square, categories, 30, 40)),
    level("Fisher, 4 % yes, 80 and 150 rows", "exact, conservative", rejected(fisher, rare, 80, 150)),
    level("difference of shares, 4 % yes, 40 and 40 units", "t by unit", rejected_by_unit(fisher, rare, 40, 40)),
    level("classifier, 3 correlated columns, 120 and 200 rows", "held-out half", rejected(classifier_two_sample, correlated, 120, 200)),
    level("classifier, 3 columns, 60 and 60 units", "held-out half, by unit", rejected_by_unit(classifier_two_sample, correlated, 60, 60)),
    level("mean discrepancy, skewed, 50 and 80 rows", "limit of MMD²", rejected(maximum_mean_discrepancy, skewed, 50, 80), worlds=1000),
    level("mean discrepancy, ties, 60 and 60 rows", "limit of MMD²", rejected(maximum_mean_discrepancy, tied, 60, 60), worlds=1000),
    level(
        "mean discrepancy, 3 columns, 100 and 60 rows",
        "limit of MMD²",
        rejected(maximum_mean_discrepancy, correlated, 100, 60),
        worlds=1000,
    ),
    level("energy distance, skewed, 50 and 80 rows", "permuted labels", rejected(energy_distance, skewed, 50, 80), worlds=1000),
    level("energy distance, ties, 60 and 60 rows", "permuted labels", rejected(energy_distance, tied, 60, 60), worlds=1000),
    level("energy distance, 3 columns, 60 and 40 rows", "permuted labels", rejected(energy_distance, correlated, 60, 40), worlds=1000),
)

INTERVALS = (
    coverage(
        "difference of means, exponential, 60 and 100 rows",
        "Welch's t",
        lambda rng: welch(rng.exponential(size=60), rng.exponential(1.5, size=100)).effect,
        lambda: 0.5,
        band=(0.92, 0.97),
    ),
    coverage("Hedges g, normal, 30 and 50 rows", "delta method", lambda rng: hedges_g(normal(rng, 30), normal(rng, 50) + 0.5), lambda: 0.5),
    coverage(
        "Hedges g, exponential, 150 and 150 rows",
        "delta method",
        lambda rng: hedges_g(rng.exponential(size=150), rng.exponential(1.5, size=150)),
        exponential_g,
    ),
    coverage("Hedges g, normal, 20 and 25 units", "delta method by unit", g_by_unit, lambda: 0.4, band=(0.92, 0.97)),
    coverage(
        "probability of superiority, unequal variances, 50 and 80 rows",
        "DeLong on the logit scale",
        lambda rng: mann_whitney(normal(rng, 50), 2 * normal(rng, 80) + 0.5).effect,
        lambda: phi(0.5 / math.sqrt(5)),
    ),
    coverage(
        "probability of superiority, 20 and 20 units",
        "DeLong by unit",
        superiority_by_unit,
        lambda: phi(0.4 / math.sqrt(2)),
        band=(0.92, 0.97),
    ),
    coverage(
        "largest difference of shares, equal, 100 and 200 rows",
        "Kolmogorov band",
        lambda rng: kolmogorov_smirnov(normal(rng, 100), normal(rng, 200)).effect,
        lambda: 0.0,
        band=WIDE,
    ),
    coverage(
        "largest difference of shares, shifted, 100 and 200 rows",
        "Kolmogorov band",
        lambda rng: kolmogorov_smirnov(normal(rng, 100), normal(rng, 200) + 0.5).effect,
        lambda: 2 * phi(0.25) - 1,
        band=WIDE,
    ),
    coverage(
        "largest difference of shares, shifted, 20 and 25 units", "band by unit", distance_by_unit, lambda: 2 * phi(0.2) - 1, band=WIDE
    ),
    coverage(
        "Cramér's V, equal shares, 200 and 300 rows",
        "delta method and null variance",
        lambda rng: chi_square(rng.choice(3, 200, p=SHARES_A), rng.choice(3, 300, p=SHARES_A)).effect,
        lambda: 0.0,
        band=WIDE,
    ),
    coverage(
        "Cramér's V = 0.16, 200 and 300 rows",
        "delta method and null variance",
        lambda rng: chi_square(rng.choice(3, 200, p=SHARES_A), rng.choice(3, 300, p=SHARES_B)).effect,
        lambda: cramers_v(200, 300),
    ),
    coverage("Cramér's V = 0.16, 40 and 40 units", "delta method by unit", v_by_unit, lambda: cramers_v(1, 1), band=(0.92, 0.975)),
    coverage(
        "difference of shares, 2 % and 5 %, 150 and 200 rows",
        "Newcombe",
        lambda rng: fisher(rng.random(150) < 0.02, rng.random(200) < 0.05).effect,
        lambda: 0.03,
        band=(0.93, 0.98),
    ),
    coverage(
        "mean discrepancy, shifted, 100 and 150 rows",
        "delta method and null variance",
        lambda rng: maximum_mean_discrepancy(normal(rng, 100), normal(rng, 150) + 0.5).effect,
        shifted_discrepancy,
        worlds=1000,
    ),
    coverage(
        "energy distance, shifted, 100 and 150 rows",
        "influence and permuted labels",
        lambda rng: energy_distance(normal(rng, 100), normal(rng, 150) + 0.5).effect,
        shifted_energy,
        worlds=1000,
    ),
    coverage(
        "energy distance, equal, 100 and 150 rows",
        "influence and permuted labels",
        lambda rng: energy_distance(normal(rng, 100), normal(rng, 150)).effect,
        lambda: 0.0,
        band=WIDE,
        worlds=1000,
    ),
)


def called(answer: Answer, shift: float, n: int) -> World:
    """Whether a column that lies so far off is called that."""

    def world(seed):
        rng = np.random.default_rng(seed)
        found = differ({"x": normal(rng, n)}, {"x": normal(rng, n) + shift}, columns=["x"])
        return next(one for one in found.columns if one.column == "x").answer is answer

    return world


# A shift of 0.1 has g = 0.1, the margin itself; superiority 0.528 and a distance of 0.04 lie within theirs.
PROMISES = (
    Claim(
        name="differ: a shift on the margin is called trivial",
        method="every effect's interval within its margin",
        kind="promise",
        band=(0.0, 0.05),
        world=called(Answer.TRIVIAL, 0.1, 5_000),
        worlds=500,
    ),
    Claim(
        name="differ: a shift on the margin is called a difference",
        method="an effect's interval beyond its margin, Holm",
        kind="promise",
        band=(0.0, 0.05),
        world=called(Answer.DIFFERS, 0.1, 5_000),
        worlds=500,
    ),
)

CLAIMS = (*TESTS, *INTERVALS, *PROMISES)
