"""Which chances of a coin are not refuted by what it showed, however often one looks?

A Beta mixture of coins against one coin of known chance is a martingale that needs two counters, in closed form: the beta-binomial. The
chances that it has not refuted are a confidence sequence.

Source: Howard, Ramdas, McAuliffe & Sekhon (2021), Annals of Statistics 49(2): beta-binomial mixture, and its tuning.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_HALVINGS = 44  # of the whole range: an end is exact to its 13th digit


def log_beta(a: float, b: float) -> float:
    """The log of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def log_capital(hits: int, n: int, chance: float, a: float, b: float) -> float:
    """The log of how much better Beta(a, b) foretold `hits` of n than `chance` did; a martingale from 0 where `chance` is true."""
    return log_beta(a + hits, b + n - hits) - log_beta(a, b) - log_likelihood(hits, n, chance)


def log_likelihood(hits: int, n: int, chance: float) -> float:
    """hits · log(chance) + (n − hits) · log(1 − chance); −∞ where that cannot have been."""
    if (hits and chance <= 0) or (hits < n and chance >= 1):
        return -math.inf
    return (hits * math.log(chance) if hits else 0.0) + ((n - hits) * math.log1p(-chance) if hits < n else 0.0)


def tuned(chance: float, alpha: float, variance: float) -> float:
    """Strength r of the mixture whose boundary is about tightest when the coin's variance has summed up to `variance`.

    The mixture is then Beta(r / (1 − chance), r / chance).

    >>> round(tuned(0.05, alpha=0.05, variance=50), 4)
    6.2528
    """
    tail = 2 * math.log(1 / alpha)
    return variance / (tail + math.log(1 + tail)) - chance * (1 - chance)


def chances_left(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """The chances that `hits` of n have not refuted at level alpha, at this n and at all before: Beta(½, ½) mixture."""
    if n == 0:
        return 0.0, 1.0
    best = hits / n
    foretold = log_beta(0.5 + hits, 0.5 + n - hits) - log_beta(0.5, 0.5)

    def is_refuted(chance: float) -> bool:
        return foretold - log_likelihood(hits, n, chance) >= math.log(1 / alpha)

    low = 0.0 if hits == 0 else edge(is_refuted, refuted=0.0, kept=best)
    high = 1.0 if hits == n else edge(is_refuted, refuted=1.0, kept=best)
    return low, high


def edge(is_refuted: Callable[[float], bool], *, refuted: float, kept: float) -> float:
    """The last refuted value between one that is and one that is not: an interval ends outside rather than inside."""
    for _ in range(_HALVINGS):
        middle = (refuted + kept) / 2
        refuted, kept = (middle, kept) if is_refuted(middle) else (refuted, middle)
    return refuted


def counts_left(n: int, chance: float, alpha: float, strength: float) -> tuple[int, int]:
    """The least and the most hits of n that do not refute `chance`, at this n and at all before."""
    a, b = strength / (1 - chance), strength / chance
    limit = math.log(1 / alpha)
    middle = min(max(round(n * chance), 0), n)
    if log_capital(middle, n, chance, a, b) >= limit:  # cannot be for any n, but would make the search below loop
        return middle, middle
    low, high = _first_kept(n, chance, a, b, limit, -1, middle), _first_kept(n, chance, a, b, limit, n + 1, middle)
    return low, high


def _first_kept(n: int, chance: float, a: float, b: float, limit: float, refuted: int, kept: int) -> int:
    while abs(kept - refuted) > 1:
        middle = (refuted + kept) // 2
        refuted, kept = (middle, kept) if log_capital(middle, n, chance, a, b) >= limit else (refuted, middle)
    return kept
