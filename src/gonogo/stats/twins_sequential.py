"""What must the compiled loops of `kernels_sequential` give? The capital by its definition: bet by bet, start by start."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gonogo.types.evidence import Array


def capital_of_flips(hit: Array, chance: Array, bets: Mapping[float, float], *, reserve: float, patience: float) -> Array:
    """(n,) logs of the capital after each coin."""
    return _capital({odds: np.where(hit, odds, 1.0) / (1 + chance * (odds - 1)) for odds in bets}, bets, reserve, patience)


def capital_of_bets(gain: Array, bets: Mapping[float, float], *, reserve: float, patience: float) -> Array:
    """(n,) logs of the capital after each value."""
    return _capital({stake: 1 + stake * gain for stake in bets}, bets, reserve, patience)


def _capital(factor: Mapping[float, Array], bets: Mapping[float, float], reserve: float, patience: float) -> Array:
    n = len(next(iter(factor.values())))
    waits = reserve * np.sqrt(patience / (patience + np.arange(n + 1)))  # after i observations
    laid = waits[:-1] - waits[1:]  # just before the i-th
    laid[:1] += 1 - reserve
    out = np.empty(n)
    for last in range(n):
        grown = (
            math.prod(of[start : last + 1].tolist()) * laid[start] * bets[at] / 100
            for at, of in factor.items()
            for start in range(last + 1)
        )
        out[last] = math.log(math.fsum(grown) + waits[last + 1])
    return out
