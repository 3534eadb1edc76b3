"""Bias or variance: are worlds diagnosed rightly whose limit is known, and what would another doubling of the data have bought?

Least squares on normal features, where all is known (Breiman & Freedman 1983, JASA 78): with n rows and d features the loss on new rows is
σ²(1 + d/(n − d − 1)) on average, on the rows fitted σ²(1 − d/n). A feature that is left out adds its variance to both: bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from benchmarks.truth.claims import Claim

from gonogo import stats
from gonogo.stats.learning import Limit


@dataclass(frozen=True)
class World:
    """Noise has variance 1, which is the target."""

    features: int
    largest: int  # training rows at the last of four sizes
    validate: int
    left_out: float = 0.0  # variance of what the model cannot see
    worth: float = 0.1
    has_target: bool = True


def diagnosed(world: World, seed: int) -> Limit:
    """One training at each size, on nested rows, and the losses of one validate table."""
    rng = np.random.default_rng([seed, world.features, world.largest])
    beta = np.ones(world.features)
    n = world.largest + world.validate
    x = rng.normal(size=(n, world.features))
    unseen = np.sqrt(world.left_out / 2) * (rng.normal(size=n) ** 2 - 1)
    y = x @ beta + unseen + rng.normal(size=n)
    fresh_x, fresh_y = x[world.largest :], y[world.largest :]
    sizes = [round(share * world.largest) for share in (0.4, 0.55, 0.75, 1.0)]
    train, validate = [], []
    for size in sizes:
        fitted = np.linalg.solve(x[:size].T @ x[:size], x[:size].T @ y[:size])
        train.append(loss(y[:size], x[:size] @ fitted))
        validate.append(loss(fresh_y, fresh_x @ fitted))
    target = 1.0 if world.has_target else None
    return stats.diagnose(sizes, train, validate, target=target, worth=world.worth).limited_by


def loss(y, predicted):
    off = (y - predicted) ** 2
    return stats.mean_absolute_error(off, np.zeros(len(off)))  # the mean of squares, with its interval


def rightly(world: World, limit: Limit, seed: int) -> bool:
    return diagnosed(world, seed) is limit


def falsely(world: World, right: Limit, seed: int) -> bool:
    """A limit was named that it is not. Not to tell is no false answer."""
    return diagnosed(world, seed) not in (right, Limit.UNKNOWN)


def gain_held(features: int, repeats: int, largest: int, seed: int) -> bool | None:
    """Repeats, each with training rows of its own and its exact loss on new rows: is what a doubling buys on average held?"""
    rng = np.random.default_rng([seed, features, repeats])
    sizes = np.array([largest // 8, largest // 4, largest // 2, largest])
    x = rng.normal(size=(repeats, largest, features))
    noise = rng.normal(size=(repeats, largest))
    losses = []
    for size in sizes:
        gram = np.einsum("rni,rnj->rij", x[:, :size], x[:, :size])
        missed = np.linalg.solve(gram, np.einsum("rni,rn->ri", x[:, :size], noise[:, :size])[..., None])[..., 0]
        losses.append(1 + (missed**2).sum(axis=1))
    train = np.ones((4, 2)) - np.array([0.0, 1e-3])  # has no part in it
    gain = stats.diagnose(sizes, train, np.stack(losses)).doubling
    if gain.interval is None:
        return None
    truth = features / (largest - features - 1) - features / (2 * largest - features - 1)
    return gain.interval.low <= truth <= gain.interval.high


DEGREES = np.arange(0, 7)
BEST_DEGREE = 2  # of the polynomial that the world is made of


def takes_the_best_for_worse(rows: int, seed: int) -> bool | None:
    """Polynomials of rising degree on a quadratic world: was the true degree called worse than the one that came out best?"""
    rng = np.random.default_rng([seed, rows])
    x, fresh = rng.uniform(-1, 1, rows), rng.uniform(-1, 1, 500)
    y, fresh_y = (x**2 + 0.3 * rng.normal(size=len(x)) for x in (x, fresh))
    train, validate = [], []
    for degree in DEGREES:
        fitted = np.polynomial.polynomial.polyfit(x, y, degree)
        train.append((y - np.polynomial.polynomial.polyval(x, fitted)) ** 2)
        validate.append((fresh_y - np.polynomial.polynomial.polyval(fresh, fitted)) ** 2)
    found = stats.diagnose_validation_curve(DEGREES, np.stack(train), np.stack(validate))
    return None if found.best is None else BEST_DEGREE not in found.as_good


def right(said: str, world: World, limit: Limit) -> Claim:
    name = f"{said} is called {limit.value}"
    return Claim(name=name, method="learning curve", kind="power", band=(0.9, 1.0), world=partial(rightly, world, limit))


def wrong(said: str, world: World, limit: Limit) -> Claim:
    name = f"{said} is called what it is not"
    return Claim(name=name, method="learning curve", kind="promise", band=(0.0, 0.05), world=partial(falsely, world, limit))


MANY_FEATURES = World(features=30, largest=120, validate=2000)
LEFT_OUT = World(features=3, largest=6400, validate=6400, left_out=1.0, worth=0.3)
AT_THE_FLOOR = World(features=3, largest=12_800, validate=12_800)
NO_TARGET = World(features=3, largest=12_800, validate=12_800, has_target=False)
NOISY = World(features=5, largest=320, validate=60)
NOISY_VARIANCE = World(features=20, largest=160, validate=60)
CLAIMS = (
    right("30 features on 120 rows", MANY_FEATURES, Limit.VARIANCE),
    right("a model that lacks half of the signal", LEFT_OUT, Limit.BIAS),
    right("a model that has all of it", AT_THE_FLOOR, Limit.FLOOR),
    right("the same without a target", NO_TARGET, Limit.BIAS_OR_FLOOR),
    right("60 validate rows at the floor", NOISY, Limit.UNKNOWN),
    wrong("60 validate rows at the floor", NOISY, Limit.FLOOR),
    wrong("60 validate rows under variance", NOISY_VARIANCE, Limit.VARIANCE),
    Claim(
        name="the true degree of a polynomial is called worse than another",
        method="validation curve, Bonferroni",
        kind="promise",
        band=(0.0, 0.05),
        world=partial(takes_the_best_for_worse, 100),
    ),
    Claim(
        name="what a doubling buys, 40 repeats",
        method="power law, extrapolated",
        kind="coverage",
        band=(0.93, 0.98),
        world=partial(gain_held, 5, 40, 320),
    ),
    Claim(
        name="what a doubling buys, 10 repeats",
        method="power law, extrapolated",
        kind="coverage",
        band=(0.92, 0.98),
        world=partial(gain_held, 8, 10, 400),
    ),
)
