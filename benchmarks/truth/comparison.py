"""Two models on the same rows: do differences cover, do tests keep their level, is power what was predicted?

A world draws a latent propensity by row; both models see it through noise of their own. With units, rows of one unit share a shift of the
odds and of both models' noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import scipy.stats
from benchmarks.truth.claims import Claim

from gonogo import stats

COVERS, FROM_50 = (0.93, 0.97), (0.92, 0.98)
LEVEL, GATE = (0.0, 0.06), (0.04, 0.06)
MANY = 2_000_000  # rows from which a truth is read where no closed form gives it


@dataclass(frozen=True)
class World:
    """How rows come about."""

    n: int
    rate: float  # about the share of positives
    noise: tuple[float, float]  # of ours and of theirs
    units: int = 0  # 0: each row its own

    @property
    def threshold(self) -> float:
        """Where decisions are cut: at about twice the base rate."""
        return min(0.4, 2 * self.rate)


@dataclass(frozen=True)
class Drawn:
    y: np.ndarray
    ours: np.ndarray  # probabilities
    theirs: np.ndarray
    unit: np.ndarray | None


def draw(world: World, seed: int, *, n: int | None = None, units: int | None = None) -> Drawn:
    rng = np.random.default_rng([abs(seed), int(seed < 0), world.n, int(world.rate * 1e6), world.units])
    n, units = n or world.n, units or world.units
    unit = rng.integers(0, units, n) if units else None
    signal = rng.normal(size=n)
    shift, muddle = rng.normal(scale=0.5, size=(3, units))[:, unit][[0, 1]] if units else np.zeros((2, 1))
    logit = np.log(world.rate / (1 - world.rate)) - 0.4 + 1.2 * signal + shift
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    models = [1 / (1 + np.exp(-(logit - shift + scale * (rng.normal(size=n) + muddle)))) for scale in world.noise]
    return Drawn(y=y, ours=models[0], theirs=models[1], unit=unit)


@cache
def truths(world: World) -> dict[str, float]:
    """Metric → the difference over at least 100 × the world's rows, so that its own error is small beside a world's."""
    metrics = (*DIFFERENCES, *CUTS, *DECISIONS)
    pieces = [draw(world, -piece, n=MANY, units=MANY * world.units // world.n) for piece in range(max(1, 100 * world.n // MANY))]
    found = [stats.compare_all(p.y, p.ours, p.theirs, metrics=metrics, threshold=world.threshold) for p in pieces]
    return {same[0].metric: float(np.mean([e.value for e in same])) for same in zip(*found, strict=True)}


def difference(world: World, metric: str, seed: int, *, level: float = 0.95) -> stats.Estimate:
    rows = draw(world, seed)
    options = {"threshold": world.threshold} if metric in DECISIONS else {}
    return stats.compare(rows.y, rows.ours, rows.theirs, metric=metric, unit=rows.unit, level=level, **options)


def covers(world: World, metric: str, seed: int) -> bool | None:
    found = difference(world, metric, seed)
    return None if found.interval is None else found.interval.low <= truths(world)[metric] <= found.interval.high


def rejects(world: World, metric: str, seed: int) -> bool | None:
    p = stats.p_value(difference(world, metric, seed))
    return None if p is None else p < 0.05


def rejected(test: stats.Tested, at: float = 0.05) -> bool | None:
    return None if test.p_value is None else test.p_value < at


def decides(test: str, world: World, seed: int) -> bool | None:
    """McNemar's tests on decisions at the world's threshold."""
    rows = draw(world, seed)
    decided = [(score >= world.threshold).astype(float) for score in (rows.ours, rows.theirs)]
    unit = {} if rows.unit is None else {"unit": rows.unit}
    return rejected(getattr(stats, test)(rows.y, *decided, **unit))


def resamples(test: str, world: World, metric: str, seed: int, **asked: int) -> bool | None:
    rows = draw(world, seed)
    return rejected(getattr(stats, test)(rows.y, rows.ours, rows.theirs, metric=metric, unit=rows.unit, **asked))


def not_worse(world: World, metric: str, seed: int) -> bool | None:
    """Ours is worse by exactly the margin: how often is it called not worse?"""
    found = difference(world, metric, seed)
    return rejected(stats.non_inferior(found, abs(truths(world)[metric])), at=0.025)


def alike(world: World, metric: str, seed: int) -> bool | None:
    """The two differ by exactly the margin: how often are they called equivalent?"""
    return rejected(stats.equivalent(difference(world, metric, seed), abs(truths(world)[metric])))


def holm_errs(m: int, seed: int) -> bool:
    """Tests of one table hang together; one in four nulls is false. Is any true one rejected?"""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=400)
    effects = np.where(np.arange(m) % 4 == 0, 0.3, 0.0)
    p = [scipy.stats.ttest_1samp(0.7 * shared + rng.normal(size=400) + effect, 0).pvalue for effect in effects]
    return bool((stats.holm(p)[effects == 0] < 0.05).any())


def found_as_predicted(n_units: int, rows_per_unit: int, seed: int) -> bool | None:
    """Units and rows of known spread, a difference of just the size that is found with 80 % power: closed forms on either side."""
    rng = np.random.default_rng(seed)
    n = n_units * rows_per_unit
    error = math.sqrt((0.3**2 + 1 / rows_per_unit) / n_units)  # of the mean of a unit's 0.3 and a row's 1
    least = stats.minimum_detectable_difference(error, n_units)
    unit = np.repeat(np.arange(n_units), rows_per_unit)
    hardness = rng.exponential(size=n)  # moves both models alike, and cancels
    apart = least + 0.3 * rng.normal(size=n_units)[unit] + rng.normal(size=n)
    found = stats.compare(np.zeros(n), hardness + apart, hardness, metric=score_itself, unit=unit)
    return stats.p_value(found) < 0.05


def score_itself(y: np.ndarray, score: np.ndarray) -> np.ndarray:
    return score


# ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

EQUAL, UNLIKE, WORSE = (0.6, 0.6), (0.4, 0.9), (0.75, 0.6)
DIFFERENCES = ("roc_auc", "average_precision", "log_loss", "brier_score")
CUTS = ("recall_at_false_positive_rate", "precision_at_recall")
DECISIONS = ("f_beta", "matthews_correlation")
BY_UNIT = "paired influence by unit, t(G-1)"
WORLDS = {
    "100 positives of 2,000": (World(n=2000, rate=0.05, noise=UNLIKE), COVERS),
    "50 to 80 positives of 1,100": (World(n=1100, rate=0.05, noise=UNLIKE), FROM_50),
    "20 units of 100 rows": (World(n=2000, rate=0.3, noise=UNLIKE, units=20), COVERS),
    "60 units of 30 rows": (World(n=1800, rate=0.3, noise=UNLIKE, units=60), COVERS),
}
RARE = World(n=100_000, rate=0.001, noise=UNLIKE)
NULL, NULL_BY_UNIT = World(n=2000, rate=0.2, noise=EQUAL), World(n=1500, rate=0.3, noise=EQUAL, units=30)
NULLS = {"2,000 rows": NULL, "30 units of 50 rows": NULL_BY_UNIT}
FAR_ENOUGH = World(n=2000, rate=0.2, noise=(1.6, 0.6))  # the margin is several standard errors wide
ON_THE_MARGIN = {"2,000 rows": World(n=2000, rate=0.2, noise=WORSE), "40 units of 50 rows": World(n=2000, rate=0.3, noise=WORSE, units=40)}


def coverage(name: str, world: World, metric: str, band: tuple[float, float], worlds: int | None = None) -> Claim:
    of = partial(covers, world, metric)
    return Claim(name=f"{metric} difference, {name}", method=BY_UNIT, kind="coverage", band=band, world=of, worlds=worlds)


def level(
    name: str, method: str, world: Callable[[int], bool | None], band: tuple[float, float] = LEVEL, worlds: int | None = None
) -> Claim:
    return Claim(name=name, method=method, kind="level", band=band, world=world, worlds=worlds)


CLAIMS = (
    *(coverage(name, world, m, band) for name, (world, band) in WORLDS.items() for m in (*DIFFERENCES, *CUTS, *DECISIONS)),
    *(coverage("about 120 positives, 1:1000", RARE, m, COVERS, worlds=500) for m in ("roc_auc", "average_precision", "log_loss")),
    *(
        level(f"{m} difference of models that are equally good, {name}", BY_UNIT, partial(rejects, world, m), GATE)
        for name, world in NULLS.items()
        for m in (*DIFFERENCES, "f_beta")
    ),
    level("right equally often, 2,000 rows", "McNemar, mid-p", partial(decides, "mcnemar", NULL)),
    level("right equally often, 200 rows", "McNemar, mid-p", partial(decides, "mcnemar", World(n=200, rate=0.3, noise=EQUAL))),
    level("right equally often, 200 rows", "McNemar, exact", partial(decides, "mcnemar_exact", World(n=200, rate=0.3, noise=EQUAL))),
    level("right equally often, 30 units of 50 rows", "McNemar by unit", partial(decides, "mcnemar", NULL_BY_UNIT)),
    level(
        "log_loss, 8 units of 50 rows",
        "approximate randomisation, every flip",
        partial(resamples, "approximate_randomisation", World(n=400, rate=0.3, noise=EQUAL, units=8), "log_loss"),
    ),
    level(
        "log_loss, 30 units of 50 rows",
        "approximate randomisation, 999 flips",
        partial(resamples, "approximate_randomisation", NULL_BY_UNIT, "log_loss", n_draws=999),
    ),
    level(
        "roc_auc, 30 units of 50 rows",
        "approximate randomisation of ranks, 199 flips",
        partial(resamples, "approximate_randomisation", NULL_BY_UNIT, "roc_auc", n_draws=199),
        worlds=500,
    ),
    level(
        "average_precision, 30 units of 50 rows",
        "paired bootstrap by unit, 400 draws",
        partial(resamples, "paired_bootstrap", NULL_BY_UNIT, "average_precision", n_draws=400),
        worlds=500,
    ),
    level("brier_score, 30 units of 50 rows", "Wilcoxon by unit", partial(resamples, "wilcoxon", NULL_BY_UNIT, "brier_score")),
    *(
        level(f"{m} worse by the margin, {name}", "non-inferiority, 2.5 %", partial(not_worse, world, m), (0.0, 0.035))
        for name, world in ON_THE_MARGIN.items()
        for m in ("roc_auc", "log_loss")
    ),
    level(
        "roc_auc unlike by the margin, 2,000 rows",
        "equivalence, two one-sided tests",
        partial(alike, FAR_ENOUGH, "roc_auc"),
    ),
    level("any false alarm among 8 figures that hang together", "Holm", partial(holm_errs, 8)),
    *(
        Claim(
            name=f"a difference of the detectable size is found, {n_units} units of {rows} rows",
            method="noncentral t(G-1), 80 %",
            kind="power",
            band=(0.78, 0.82),
            world=partial(found_as_predicted, n_units, rows),
        )
        for n_units, rows in ((20, 30), (100, 10))
    ),
)
