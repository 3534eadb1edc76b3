"""Below which value does a stated share lie, and how sure is that?"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import binomial_cdf
from gonogo.stats.estimates import require_level
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NotFinite, TooFewUnits
from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from gonogo.types.evidence import Array


def quantile(values: Array, share: float, *, level: float = 0.95) -> Figure:
    """The value below which `share` of independent values lie, between two order statistics, whatever their distribution.

    values: (n,) finite, independent; 0 < share < 1. How many of them lie below the true quantile is binomial (n, share).
    Raises TooFewUnits where n values cannot bound it on both sides: 368 are needed for 0.99 at 95 %; NotFinite for NaN.
    Source: David & Nagaraja (2003), Order statistics, 7.1.

    >>> quantile(np.arange(101.0), 0.5).interval.low
    40.0
    """
    require_level(level)
    if not 0 < share < 1:
        raise ValueError(f"the share is {share}: it must lie between 0 and 1, e.g. 0.5 for the median")
    values = np.sort(np.asarray(values, dtype=np.float64))
    if not np.isfinite(values).all():
        raise NotFinite("a value is NaN or infinite")
    n, tail = len(values), (1 - level) / 2
    if n == 0 or share**n > tail or (1 - share) ** n > tail:
        raise TooFewUnits(f"{n} values are too few to bound the {share:g} quantile on both sides")
    # With B values below the truth, the l-th is above it with P(B < l), the u-th below it with P(B ≥ u): each at most `tail`.
    low = bisect_left(range(n), True, key=lambda k: binomial_cdf(k, n, share) > tail) - 1
    high = bisect_left(range(n), True, key=lambda k: binomial_cdf(k, n, share) >= 1 - tail)
    interval = Interval(low=float(values[low]), high=float(values[high]), level=level, method="order statistics, binomial")
    return Figure(value=float(np.quantile(values, share)), interval=interval, n_units=n, n_rows=n)


def quantile_difference(ours: Array, theirs: Array, share: float, *, level: float = 0.95) -> Figure:
    """The `share` quantile of ours minus that of theirs, between order statistics, however the two samples hang together.

    ours, theirs: (n,) and (m,) finite; values within one sample are independent. Each quantile is held at the level 1 − (1 − level)/2, so
    that both are held at once with `level` at least (Bonferroni): paired or not, the interval is never too narrow, and often wide.
    Raises as `quantile`; 437 values are needed for 0.99 at 95 %.

    >>> quantile_difference(np.arange(101.0) + 5, np.arange(101.0), 0.5).value
    5.0
    """
    each = 1 - (1 - level) / 2
    a, b = quantile(ours, share, level=each), quantile(theirs, share, level=each)
    low, high = a.interval.low - b.interval.high, a.interval.high - b.interval.low
    interval = Interval(low=low, high=high, level=level, method="order statistics of both, Bonferroni")
    return Figure(value=a.value - b.value, interval=interval, n_units=min(a.n_units, b.n_units), n_rows=min(a.n_rows, b.n_rows))
