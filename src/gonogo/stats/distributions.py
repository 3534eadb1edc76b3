"""Where do the quantiles of Student's t, the normal and the binomial distribution lie?

Written out here because scipy is only a test oracle: the base install stays small. Tested against scipy to 1e-10.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300
_MANY = 100_000  # degrees of freedom from which the normal expansion is exact to double precision


def normal_quantile(probability: float) -> float:
    """The value below which a standard normal variable falls with that probability.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    return _NORMAL.inv_cdf(probability)


def normal_cdf(value: float) -> float:
    """The probability that a standard normal variable is at most that value."""
    return 0.5 * math.erfc(-value / math.sqrt(2))


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """The value below which Student's t with `df` degrees of freedom falls with that probability.

    0 < probability < 1; df > 0. Inverts the incomplete beta function (DLMF 8.17) by Newton's method, exact to its rounding; remembered.

    >>> round(t_quantile(0.975, 29), 6)
    2.04523
    """
    if not (0 < probability < 1 and df > 0):
        raise ValueError(f"no t quantile at probability {probability} with {df} degrees of freedom")
    if probability == 0.5:
        return 0.0
    if df >= _MANY:
        return _t_quantile_of_many(probability, df)
    return math.copysign(_t_of(min(probability, 1 - probability), abs(probability - 0.5), df), probability - 0.5)


def t_tail(value: float, df: float) -> float:
    """The probability that Student's t with `df` degrees of freedom exceeds that value."""
    if _is_central(value, df):
        return 0.5 - math.copysign(_t_middle(value, df), value)
    half = 0.5 * incomplete_beta(df / 2, 0.5, df / (df + value * value))
    return half if value >= 0 else 1 - half


def _is_central(value: float, df: float) -> bool:
    """Near 0, where the fraction converges fast for the middle and slowly for the tail."""
    return value * value * (df + 2) < 3 * df


def _t_middle(value: float, df: float) -> float:
    """The probability that Student's t lies between 0 and a value near it: 1 less the tails would have lost its digits."""
    return 0.5 * incomplete_beta(0.5, df / 2, value * value / (df + value * value))


def binomial_cdf(k: int, n: int, p: float) -> float:
    """The probability of at most k successes in n tries of probability p.

    >>> round(binomial_cdf(1, 3, 0.5), 6)
    0.5
    """
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    return incomplete_beta(n - k, k + 1, 1 - p)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction (DLMF 8.17.22)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    # The fraction converges fast only on this side of the mean; the other side is its mirror.
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(front) / (a * _continued_fraction(a, b, x))


def _continued_fraction(a: float, b: float, x: float) -> float:
    value, c, d = 1.0, 1.0, 0.0
    for i in range(1, 20_000):
        m = i // 2
        n = a + 2 * m
        term = -(a + m) * (a + b + m) * x / (n * (n + 1)) if i % 2 else m * (b - m) * x / ((n - 1) * n)
        d = 1 / ((1 + term * d) or _TINY)
        c = (1 + term / c) or _TINY
        value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value


def _t_of(tail: float, middle: float, df: float) -> float:
    """The positive value that Student's t exceeds with the probability `tail`, and lies below, but above 0, with `middle`; both sum to 1/2.

    Newton's method within a bracket. Far out on logarithms, where the tail is nearly a power of the value, so that a poor start costs a
    step or two; near 0 on `middle`, which the tail would swallow.
    """
    log_density_at_0 = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    low, high = 0.0, math.inf
    value = _t_quantile_of_many(0.5 + middle, max(df, 1.0))
    for _ in range(1100):  # enough for doubling and halving alone; Newton's steps end within 3 to 6
        density = math.exp(log_density_at_0 - (df + 1) / 2 * math.log1p(value * value / df))
        if _is_central(value, df):
            missing = middle - _t_middle(value, df)
            there = value + missing / density
        else:
            here = t_tail(value, df)
            missing = here - tail
            rise = math.log(here / tail) * here / (density * value) if min(here, density) > 0 else math.inf
            there = value * math.exp(rise) if abs(rise) < 5 else math.inf
        low, high = (value, high) if missing > 0 else (low, value)
        if not low <= there <= high or math.isinf(there):
            there = 2 * low if math.isinf(high) else (low + high) / 2
        if abs(there - value) <= 1e-11 * value:  # the error falls with its square
            return there
        value = there
    return value


def _t_quantile_of_many(probability: float, df: float) -> float:
    """Cornish and Fisher's expansion; its error falls with df⁻³."""
    z = normal_quantile(probability)
    return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
