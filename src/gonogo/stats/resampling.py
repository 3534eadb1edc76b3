"""How sure is a figure that is no ratio of sums, when rows of one unit move together?

Whole units are drawn again, with replacement, as many as there are; every draw is a weighting of the rows. Challenger and champion
are weighted by the same draws, so that their difference is paired.

A plain percentile interval of G units is too narrow by the factor √((G−1)/G) · z/t. Its two probabilities are therefore moved out to
Φ(∓ √(G/(G−1)) · t(G−1)): the expanded percentile interval of Hesterberg (2015), What teachers should know about the bootstrap,
The American Statistician 69(4). `benchmarks/interval_coverage.py` shows what it covers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import normal_cdf, t_quantile
from gonogo.stats.refusals import NoSpread, NotFinite, TooFewUnits
from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from gonogo.types.evidence import Array

_HIGH_WORD = np.uint64(32)


def unit_draws(n_units: int, n_draws: int, seed: int, *, first: int = 0) -> Array:
    """(n_draws, n_units): how often each unit was drawn, float64; every row sums to n_units.

    Draw number b is a function of (seed, n_units, b) alone: any chunking (by `first`) and any number of threads give the same bits. It
    comes from the raw stream of Philox (Salmon et al. 2011, SC'11), which NumPy keeps stable, not from a method that it may better.

    >>> unit_draws(4, 2, seed=1).sum(axis=1).tolist()
    [4.0, 4.0]
    >>> bool((unit_draws(4, 3, seed=1)[2:] == unit_draws(4, 1, seed=1, first=2)).all())
    True
    """
    draws = np.empty((n_draws, n_units))
    for i in range(n_draws):
        words = np.random.Philox(key=np.array([seed % 2**64, first + i], dtype=np.uint64)).random_raw(n_units)
        # The high word times n, high word again: a whole number below n, uneven by at most n / 2³².
        drawn = ((words >> _HIGH_WORD) * np.uint64(n_units)) >> _HIGH_WORD
        draws[i] = np.bincount(drawn.astype(np.int64), minlength=n_units)
    return draws


def percentile_interval(values: Array, *, n_units: int, level: float = 0.95) -> Interval:
    """The expanded percentile interval of a figure's values over draws of n_units units.

    values: (draws,) finite. Raises TooFewUnits below 2 units, NoSpread where every draw gave the same, NotFinite for NaN.
    """
    if n_units < 2:
        raise TooFewUnits(f"{n_units} unit: two are needed to see any spread")
    if not np.isfinite(values).all():
        raise NotFinite("a resampled value is NaN or infinite")
    if float(np.ptp(values)) <= 1e-12 * float(np.max(np.abs(values))):
        raise NoSpread("every resample gave the same: how far the truth may be is unknown")
    tail = normal_cdf(-math.sqrt(n_units / (n_units - 1)) * t_quantile((1 + level) / 2, n_units - 1))
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high), level=level, method=f"expanded percentile bootstrap by unit, {len(values)} draws")
