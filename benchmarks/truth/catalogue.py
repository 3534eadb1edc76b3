"""Catalogue coverage: does the interval hold what as many units reach on average?

Items are shown in proportion to a power law, as a recommender does that likes what is popular. What G units reach on average is known:
Σ over items of 1 − (1 − chance that a unit shows it)^G. The jackknife promises too wide rather than too narrow.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
from benchmarks.truth.claims import Claim

from gonogo import stats

ITEMS, PICKS = 500, 10


@cache
def chances(steepness: float) -> np.ndarray:
    share = np.arange(1, ITEMS + 1) ** -steepness
    return share / share.sum()


def covers(units: int, lists: int, steepness: float, seed: int) -> bool | None:
    rng = np.random.default_rng([seed, units])
    share = chances(steepness)
    # Every list of a unit shows the unit's own picks or other ones, so that lists of a unit are alike.
    own = rng.choice(ITEMS, (units, PICKS), p=share)
    shown = np.repeat(own, lists, axis=0)
    found = stats.catalogue_coverage(shown, catalogue=ITEMS, unit=np.repeat(np.arange(units), lists))
    truth = float((1 - (1 - share) ** (PICKS * units)).mean())
    return None if found.interval is None else found.interval.low <= truth <= found.interval.high


def claim(said: str, *world: float) -> Claim:
    return Claim(
        name=f"catalogue coverage, {said}", method="jackknife by unit", kind="coverage", band=(0.93, 1.0), world=partial(covers, *world)
    )


CLAIMS = (
    claim("100 units, most items popular", 100, 1, 0.5),
    claim("100 units of 3 lists, few popular items", 100, 3, 1.2),
    claim("20 units, few popular items", 20, 1, 1.2),
    claim("400 units that reach nearly all", 400, 1, 0.3),
)
