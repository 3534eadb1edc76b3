"""Figures of ranked lists: do the intervals hold the truth?

A world is a number of users, each with lists of ten items. A user has a taste for the score (some are well served, some are not), which
its lists share; the truth is read from one huge world.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from benchmarks.truth.claims import Claim

from gonogo import stats

COVERS, FROM_20 = (0.93, 0.97), (0.92, 0.97)
WIDTH = 10


@dataclass(frozen=True)
class World:
    users: int
    lists: int = 1  # of each user
    skill: float = 1.0  # how far a relevant item's score lies above the others'
    taste: float = 0.0  # standard deviation of the skill over users
    decimals: int = 9  # of the scores: 0 makes ties
    rate: float = 0.15  # of relevant items; lists without one occur


def draw(world: World, users: int, seed: int):
    rng = np.random.default_rng([seed, world.users, world.lists])
    user = np.repeat(np.arange(users), world.lists)
    skill = (world.skill + world.taste * rng.normal(size=users))[user]
    y = (rng.random((len(user), WIDTH)) < world.rate).astype(float)
    return y, np.round(rng.normal(size=y.shape) + skill[:, None] * y, world.decimals), user


@cache
def truth(figure: str, world: World, k: int | None) -> float:
    y, score, _ = draw(world, 300_000 // world.lists, 0)
    return getattr(stats, figure)(y, score, k=k).value


def covers(figure: str, world: World, k: int | None, seed: int) -> bool | None:
    y, score, user = draw(world, world.users, seed)
    found = getattr(stats, figure)(y, score, k=k, unit=user if world.lists > 1 else None)
    return None if found.interval is None else found.interval.low <= truth(figure, world, k) <= found.interval.high


def claim(figure: str, said: str, world: World, k: int | None, band=COVERS) -> Claim:
    name = figure + (f"@{k}" if k else "")
    return Claim(
        name=f"{name}, {said}", method="by unit, logit or Wilson", kind="coverage", band=band, world=partial(covers, figure, world, k)
    )


INDEPENDENT, TIED = World(users=200), World(users=200, decimals=0)
CLUSTERED = World(users=40, lists=8, taste=1.5)
TWENTY = World(users=20, lists=20, taste=1.0)
POOR = World(users=400, skill=-1.5)
CLAIMS = (
    claim("ndcg", "200 lists", INDEPENDENT, None),
    claim("ndcg", "200 lists with ties", TIED, 5),
    claim("ndcg", "40 users of 8 lists", CLUSTERED, 5),
    claim("ndcg", "20 users of 20 lists", TWENTY, None, FROM_20),
    claim("mean_average_precision", "200 lists", INDEPENDENT, None),
    claim("mean_average_precision", "200 lists with ties", TIED, 5),
    claim("mean_average_precision", "40 users of 8 lists", CLUSTERED, None),
    claim("mean_reciprocal_rank", "200 lists", INDEPENDENT, None),
    claim("mean_reciprocal_rank", "20 users of 20 lists", TWENTY, None, FROM_20),
    claim("recall_at_k", "200 lists with ties", TIED, 3),
    claim("recall_at_k", "40 users of 8 lists", CLUSTERED, 3),
    claim("recall_at_k", "400 lists that find 1 in 40: too wide, not too narrow", POOR, 2, (0.93, 1.0)),
    claim("hit_rate", "200 lists", INDEPENDENT, 3),
    claim("hit_rate", "40 users of 8 lists", CLUSTERED, 3),
)
