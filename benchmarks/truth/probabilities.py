"""Probabilities: do losses, calibration errors and lines cover, and is a perfect model left in peace?

A world draws a latent z for every row and says p = Φ(z); y comes true where z exceeds a normal noise. That noise has a part which all rows
of a unit share, so that units move together and yet every row comes true with probability p exactly. What is scored is p, or p bent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from benchmarks.truth.claims import Claim
from scipy.special import expit, logit, ndtr, ndtri

from gonogo import stats

COVERS, FROM_50, NEAR_ZERO, LEVEL, POWER = (0.93, 0.97), (0.92, 0.98), (0.93, 0.99), (0.0, 0.06), (0.9, 1.0)
MANY = 4_000_000  # rows from which a truth is read where no closed form gives it

BENT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "perfect": lambda p: p,
    "1 point high": lambda p: np.minimum(p + 0.01, 1),
    "1 point low": lambda p: np.maximum(p - 0.01, 0),
    "5 points high": lambda p: np.minimum(p + 0.05, 1),
    "bold": lambda p: expit(1.3 * logit(p)),
    "low log-odds": lambda p: expit(logit(p) - 0.3),
}


@dataclass(frozen=True)
class World:
    """How rows come about."""

    n: int
    rate: float = 0.5
    spread: float = 0.7  # standard deviation of z
    units: int = 0  # 0: each row its own
    shared: float = 0.15  # of the noise's variance, by the rows of a unit
    unit_spread: float = 0.0  # standard deviation of z between units: the score follows the unit
    bent: str = "perfect"

    @property
    def centre(self) -> float:
        return float(ndtri(self.rate) * np.sqrt(1 + self.spread**2 + self.unit_spread**2))


@dataclass(frozen=True)
class Drawn:
    y: np.ndarray
    p: np.ndarray  # the truth
    score: np.ndarray
    unit: np.ndarray | None


def draw(world: World, seed: int) -> Drawn:
    rng = np.random.default_rng([seed, world.n, int(world.rate * 1e6), world.units])
    z, noise, unit = world.centre + world.spread * rng.standard_normal(world.n), rng.standard_normal(world.n), None
    if world.units:
        unit = rng.integers(0, world.units, world.n)
        z += world.unit_spread * rng.standard_normal(world.units)[unit]
        noise = np.sqrt(1 - world.shared) * noise + np.sqrt(world.shared) * rng.standard_normal(world.units)[unit]
    p = ndtr(z)
    return Drawn(y=(noise < z).astype(float), p=p, score=np.clip(BENT[world.bent](p), 0, 1), unit=unit)


@cache
def population(world: World) -> Drawn:
    """p and score of very many rows; y is not needed where p is known."""
    return draw(replace(world, n=MANY, units=0, spread=float(np.hypot(world.spread, world.unit_spread)), unit_spread=0.0), 0)


@cache
def bins_of(world: World, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """(said, comes true) in equal-mass bins of the population."""
    many = population(world)
    order = np.argsort(many.score)
    parts = [np.array_split(values[order], n_bins) for values in (many.score, many.p)]
    said, true = ([float(part.mean()) for part in of] for of in parts)
    return np.array(said), np.array(true)


def in_bins(world: World) -> tuple[np.ndarray, np.ndarray]:
    return bins_of(replace(world, n=0), max(1, min(15, (world.units or world.n) // 4)))


@cache
def fitted_line(world: World) -> float:
    """The population's slope: 1 where the score is right, 1/1.3 where it is 1.3 times too bold."""
    return {"perfect": 1.0, "bold": 1 / 1.3}[world.bent]


@cache
def shift(world: World) -> float:
    """What must be added to the log-odds so that as many come true as are said to, by bisection."""
    many = population(replace(world, n=0))
    x, rate, low, high = logit(many.score[:400_000]), float(many.p[:400_000].mean()), -5.0, 5.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(x + middle).mean() < rate else (low, middle)
    return low


@cache
def log_loss_of(world: World) -> float:
    many = population(replace(world, n=0))
    return float(-(many.p * np.log(many.score) + (1 - many.p) * np.log1p(-many.score)).mean())


@cache
def brier_of(world: World) -> float:
    many = population(replace(world, n=0))
    return float((many.p * (1 - many.score) ** 2 + (1 - many.p) * many.score**2).mean())


def root_mean_square(world: World) -> float:
    said, true = in_bins(world)
    return float(np.sqrt(np.mean((true - said) ** 2)))


def resolution_of(world: World) -> float:
    _, true = in_bins(world)
    return float(np.mean((true - true.mean()) ** 2))


def covers(figure: Callable[..., object], truth: Callable[[World], float], world: World, seed: int) -> bool | None:
    rows = draw(world, seed)
    found = figure(rows.y, rows.score, unit=rows.unit, seed=seed)
    return None if found.interval is None else found.interval.low <= truth(world) <= found.interval.high


def term(name: str) -> Callable[..., object]:
    return lambda *rows, **options: getattr(stats.brier_decomposition(*rows, **options), name)


def band_of_a_bin(world: World, seed: int) -> bool | None:
    """The band of the third of five bins holds what comes true there."""
    rows = draw(world, seed)
    bins = stats.reliability(rows.y, rows.score, unit=rows.unit, n_bins=5).bins
    interval = bins[2].interval
    low, high = np.quantile(rows.score, [0.4, 0.6])
    truth = float(rows.p[(rows.score >= low) & (rows.score < high)].mean())
    return None if interval is None else interval.low <= truth <= interval.high


def rejects(world: World, seed: int) -> bool | None:
    rows = draw(world, seed)
    tested = stats.calibration_test(rows.y, rows.score, unit=rows.unit, seed=seed)
    return None if tested.p_value is None else tested.p_value <= 0.05


WORLDS = {
    "100 positives of 200": World(n=200),
    "100 positives of 5,000": World(n=5000, rate=0.02),
    "100 positives of 100,000": World(n=100_000, rate=0.001),
    "50 positives of 2,500": World(n=2500, rate=0.02),
    "20 units of 60 rows": World(n=1200, units=20),
    "30 units of 60 rows, 10 % positive": World(n=1800, rate=0.1, units=30),
    "40 units whose score follows them": World(n=2400, rate=0.3, units=40, unit_spread=0.7),
}
LOSSES = {"log loss": (stats.log_loss, log_loss_of), "Brier score": (stats.brier_score, brier_of)}
LINES = {"calibration slope": (stats.calibration_slope, fitted_line), "calibration intercept": (stats.calibration_intercept, shift)}
_ERROR = (stats.expected_calibration_error, root_mean_square)


def claim(name: str, method: str, figure, truth, world: World, band=COVERS, worlds: int | None = None) -> Claim:  # type: ignore[no-untyped-def]
    return Claim(name=name, method=method, kind="coverage", band=band, world=partial(covers, figure, truth, world), worlds=worlds)


def band(name: str) -> tuple[float, float]:
    return FROM_50 if name.startswith("50 ") else COVERS


CLAIMS = (
    *(
        claim(f"{figure}, {name}", "cluster-robust t(G-1)", *of, replace(world, bent="bold"), band(name))
        for figure, of in LOSSES.items()
        for name, world in WORLDS.items()
    ),
    *(
        claim(f"{figure}, {name}", "sandwich by unit, t(G-1)", *of, replace(world, bent=bent), band(name))
        for (figure, of), bent in zip(LINES.items(), ("bold", "low log-odds"), strict=True)
        for name, world in WORLDS.items()
        if world.n < 100_000
    ),
    *(
        claim(f"calibration error, {bent}, {name}", "inverted noise of the bins", *_ERROR, replace(world, bent=bent), band)
        for name, bent, world, band in (
            ("n = 1,000", "perfect", World(n=1000), NEAR_ZERO),
            ("n = 20,000", "perfect", World(n=20_000), NEAR_ZERO),
            ("100 positives of 5,000", "perfect", World(n=5000, rate=0.02), NEAR_ZERO),
            ("20 units of 60 rows", "perfect", World(n=1200, units=20), NEAR_ZERO),
            ("100 units of 60 rows", "perfect", World(n=6000, units=100), NEAR_ZERO),
            ("n = 20,000", "1 point high", World(n=20_000), NEAR_ZERO),
            ("n = 20,000", "5 points high", World(n=20_000), COVERS),
            ("n = 20,000", "bold", World(n=20_000), COVERS),
            ("100 positives of 5,000", "5 points high", World(n=5000, rate=0.02), COVERS),
            ("20 units of 60 rows", "5 points high", World(n=1200, units=20), NEAR_ZERO),
            ("100 units of 60 rows", "5 points high", World(n=6000, units=100), NEAR_ZERO),
            ("40 units whose score follows them", "bold", WORLDS["40 units whose score follows them"], NEAR_ZERO),
        )
    ),
    *(
        claim(f"Brier {of}, {name}", method, term(of), truth, replace(world, bent="bold"), band)
        for of, method, truth, band in (
            ("reliability", "inverted noise of the bins", lambda world: root_mean_square(world) ** 2, NEAR_ZERO),
            ("resolution", "inverted noise of the bins", resolution_of, COVERS),
            ("uncertainty", "Wilson of the rate, carried over", lambda world: world.rate * (1 - world.rate), FROM_50),
        )
        for name, world in (
            ("n = 2,000", World(n=2000, rate=0.3)),
            ("100 positives of 5,000", World(n=5000, rate=0.02)),
            ("60 units of 60 rows", World(n=3600, rate=0.3, units=60)),
        )
    ),
    *(
        Claim(
            name=f"band of a bin, {name}", method="Wilson, effective size", kind="coverage", band=FROM_50, world=partial(band_of_a_bin, w)
        )
        for name, w in (("n = 2,000", World(n=2000)), ("30 units of 60 rows", World(n=1800, units=30)))
    ),
    *(
        Claim(
            name=f"a perfect model, {name}", method="calibration test", kind="level", band=LEVEL, world=partial(rejects, w), worlds=worlds
        )
        for name, w, worlds in (
            ("n = 1,000", World(n=1000), None),
            ("n = 1,000, 2 % positive", World(n=1000, rate=0.02), None),
            ("n = 20,000", World(n=20_000), None),
            ("n = 20,000, 0.1 % positive", World(n=20_000, rate=0.001), None),
            ("n = 100,000, 2 % positive", World(n=100_000, rate=0.02), 1000),
            ("n = 1,000,000, 10 % positive", World(n=1_000_000, rate=0.1), 400),
            ("20 units of 60 rows", World(n=1200, units=20), None),
            ("40 units whose score follows them", WORLDS["40 units whose score follows them"], None),
            ("200 units of 60 rows, 2 % positive", World(n=12_000, rate=0.02, units=200), None),
        )
    ),
    *(
        Claim(name=f"{bent}, {name}", method="calibration test", kind="power", band=POWER, world=partial(rejects, replace(w, bent=bent)))
        for name, w in (("n = 20,000, uniform", World(n=20_000, spread=1.0)), ("n = 20,000, 10 % positive", World(n=20_000, rate=0.1)))
        for bent in ("1 point high", "1 point low")
    ),
)
