"""Below which value does a share of the stream lie, however often one looks?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats import beta_mixture

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_STEPS = 64  # bins to each doubling: a bin is 1.1 to 1.6 % wide
_TIGHT_AT = 50.0  # the summed variance at which the ends are about tightest: 5,000 values for the 99th percentile, 200 for the median


class QuantileSequence:
    """A quantile of a stream of values ≥ 0 with ends that hold at all times at once.

    0 < quantile < 1. Values are counted in bins that are 1.1 to 1.6 % wide, some hundred of them, so memory does not grow; an end is
    moved outwards to the next edge of a bin. A value that is negative or NaN raises ValueError.

    Holds where values are drawn independently from one distribution. Values of one unit that move together are not so: take one a unit.

    Source: Howard & Ramdas (2022), Bernoulli 28(3): the beta-binomial boundary, for one quantile.

    >>> p95 = QuantileSequence(0.95)
    >>> p95.take_many(range(1, 2001))
    >>> low, high = p95.interval(alpha=0.05)
    >>> low < 1900 < high
    True
    """

    __slots__ = ("_counts", "n", "quantile")

    def __init__(self, quantile: float) -> None:
        if not 0 < quantile < 1:
            raise ValueError(f"a quantile lies between 0 and 1, not at {quantile}")
        self.quantile = quantile
        self.n = 0
        self._counts: dict[int, int] = {}

    def take(self, value: float) -> None:
        """One value."""
        self.take_many([value])

    def take_many(self, value: ArrayLike) -> None:
        """Values in any order, (n,)."""
        values = np.asarray(value, dtype=np.float64)
        if values.ndim != 1 or not (values >= 0).all() or np.isinf(values).any():
            raise ValueError("values are one column of finite numbers, none below 0: what is NaN is missing, and no evidence")
        part, power = np.frexp(values)  # exact: the bins are the same on every machine
        bins = np.where(values > 0, power * _STEPS + np.floor((part - 0.5) * (2 * _STEPS)).astype(np.int64), _ZERO)
        for one, count in zip(*(column.tolist() for column in np.unique(bins, return_counts=True)), strict=True):
            self._counts[one] = self._counts.get(one, 0) + count
        self.n += len(values)

    @property
    def value(self) -> float | None:
        """The quantile of what was seen, to the width of a bin; None before any value."""
        if self.n == 0:
            return None
        least = math.ceil(self.n * self.quantile)
        seen = 0
        for one in sorted(self._counts):
            seen += self._counts[one]
            if seen >= least:
                return (_edge(one) + _edge(one + 1)) / 2 if one > _ZERO else 0.0
        raise AssertionError("all values were counted")

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """The quantiles that are not refuted: holds the true one at all times at once with a probability of at least 1 − alpha."""
        if self.n == 0:
            return 0.0, math.inf
        strength = beta_mixture.tuned(self.quantile, alpha, _TIGHT_AT)
        least, most = beta_mixture.counts_left(self.n, self.quantile, alpha, strength)
        low, high, seen = 0.0, math.inf, 0
        for one in sorted(self._counts):
            if seen < least:  # so few lie below this bin
                low = _edge(one)
            seen += self._counts[one]
            if seen > most:
                high = _edge(one + 1)
                break
        return low, high


_ZERO = -(2**20)  # the bin of the value 0, below every other


def _edge(one: int) -> float:
    """The lower edge of a bin."""
    if one <= _ZERO + 1:
        return 0.0
    power, step = divmod(one, _STEPS)
    return math.ldexp(0.5 + step / (2 * _STEPS), power)
