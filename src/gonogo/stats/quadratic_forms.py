"""How probable is it that a weighted sum of chi-squares exceeds a value?

The null distributions of Anderson–Darling's statistic and of the maximum mean discrepancy are such sums, Q = Σ λ_j χ²_j, m times over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.scientific import special

if TYPE_CHECKING:
    from gonogo.types.evidence import Array

_MOST_STEPS = 1 << 14
_NO_VARIANCE = 1e-7  # of the whole
_NOTHING = 30.0  # e⁻³⁰ is
_FEW = 6  # so few weights have a characteristic function that falls slowly
_EXACT_TO, _EXACT_TO_OF_FEW = 1e-8, 1e-5  # below it the leading term of the tail is nearer than the inversion


def weighted_chi_square_tail(value: float, weights: Array, *, times: int = 1) -> float:
    """P(Q > value) for Q the sum of `times` independent copies of Σ weights · χ²(1).

    weights: (k,) > 0. Inverts the characteristic function on a grid (Davies 1973, Biometrika 60), to 1e-10 for more than a few weights and
    to 1e-5 for one; below that the leading term of the tail is given (Zolotarev 1961, Theory of Probability 6).

    >>> round(weighted_chi_square_tail(3.841458820694124, np.ones(1)), 4), round(weighted_chi_square_tail(4.0, np.ones(2)), 4)
    (0.05, 0.1353)
    """
    largest = float(weights.max())
    scaled, rest = _those_that_vary(weights / largest)
    x = value / largest - times * rest
    mean, variance = times * float(scaled.sum()), 2 * times * float(np.sum(scaled * scaled))
    if x <= 0:
        return 1.0
    tail = _inverted(x, scaled, times, reach=max(x, mean) + 60 + 12 * math.sqrt(variance))
    exact_to = _EXACT_TO_OF_FEW if len(scaled) * times <= _FEW else _EXACT_TO
    return tail if tail > exact_to else min(exact_to, _leading(x, scaled, times))


def _those_that_vary(weights: Array) -> tuple[Array, float]:
    """The weights, falling, up to where what follows has no variance to speak of; and the sum of those, which is all that they add."""
    falling = np.sort(weights)[::-1]
    after = np.cumsum((falling * falling)[::-1])[::-1]
    n = int(np.sum(after > _NO_VARIANCE * after[0]))
    return falling[:n], float(falling[n:].sum())


def _inverted(x: float, weights: Array, times: int, *, reach: float) -> float:
    step = 2 * math.pi / reach
    u = (np.arange(_steps(weights, times, step)) + 0.5) * step
    angle, log_size = np.zeros(len(u)), np.zeros(len(u))
    for weight in weights:
        angle += np.arctan(2 * weight * u)
        log_size -= 0.5 * np.log1p((2 * weight * u) ** 2)
    sine = np.sin(0.5 * times * angle - u * x) * np.exp(0.5 * times * log_size)
    return 0.5 + float(np.sum(sine / u)) * step / math.pi


def _steps(weights: Array, times: int, step: float) -> int:
    """So many that the characteristic function has fallen to nothing at the last of them, up to a limit."""
    steps = 64
    while steps < _MOST_STEPS and times * float(np.sum(np.log1p((2 * weights * steps * step) ** 2))) / 4 < _NOTHING:
        steps *= 2
    return steps


def _leading(x: float, weights: Array, times: int) -> float:
    gammaincc = special().gammaincc

    is_largest = weights > 1 - 1e-9
    repeats = times * int(is_largest.sum())
    log_factor = -0.5 * times * float(np.sum(np.log1p(-weights[~is_largest])))
    return math.exp(min(log_factor, 700.0)) * float(gammaincc(repeats / 2, x / 2))
