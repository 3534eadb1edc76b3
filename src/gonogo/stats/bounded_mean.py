"""Is the mean of bounded values above what is harmless, or below the margin, however often one looks?

For paired differences of losses (challenger − champion on the same row), cut off at a range that was stated beforehand.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.stats import beta_mixture
from gonogo.stats.bets import PATIENCE, RESERVE, STAKES, Capital, TwoSided

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array


class BoundedMean(TwoSided):
    """Whether a mean is above `harmless` ("harm"), and whether it is below `margin` ("safe"): read it after every value.

    low, high: no value lies outside. low < harmless ≤ margin < high; without a margin nothing can be called safe. Values beyond the range
    are cut off to it and counted (`n_cut`): the mean of what is cut is then judged. A value that is NaN raises ValueError.

    Evidence is a natural log: shown at level α once `highest_harm` or `highest_safe` ≥ log(1/α); each errs with a probability of at most
    α however often it is read. Holds where each value's mean, given those before it, is on one side. Values of one unit that move
    together are not so: take one a unit. What it costs grows with the range over the spread: state a range that is no wider than needed.

    Source: Waudby-Smith & Ramdas (2024), JRSS B 86(1): bets of several fixed stakes, in a mixture. Interval: Howard et al.
    (2021), Annals of Statistics 49(2), theorem 4 (empirical Bernstein), mixed over stakes.

    >>> import math
    >>> worse = BoundedMean(-1.0, 1.0, margin=0.1)
    >>> worse.take_many([0.3, -0.1, 0.2, 0.4] * 100)
    >>> round(worse.value, 6), worse.highest_harm > math.log(1 / 0.001)
    (0.2, True)
    """

    __slots__ = ("_kernels", "_sums", "harmless", "high", "low", "margin", "n_cut")

    def __init__(self, low: float, high: float, *, harmless: float = 0.0, margin: float | None = None) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low < harmless < high):
            raise ValueError(f"what is harmless, {harmless}, lies within the range from {low} to {high}")
        if margin is not None and not harmless <= margin < high:
            raise ValueError(f"the margin, {margin}, lies between {harmless} and {high}")
        self.low, self.high, self.harmless, self.margin = low, high, harmless, margin
        from gonogo.stats import kernels_sequential  # compiled code, and only where a test is made

        self._kernels: Any = kernels_sequential
        self._sums: Array = np.zeros(3)  # values, Σ value, Σ (value − mean of those before it)²; values as shares of the range
        self.n_cut = 0
        self._harm = Capital(STAKES, reserve=RESERVE, patience=PATIENCE)
        self._safe = Capital(STAKES) if margin is not None else None

    def take(self, value: float) -> None:
        """One value."""
        if math.isnan(value):
            raise ValueError("a value is NaN: it is missing, and no evidence")
        cut = min(max(value, self.low), self.high)
        self.n_cut += cut != value
        self._harm.bet((cut - self.harmless) / (self.harmless - self.low))
        if self._safe is not None and self.margin is not None:
            self._safe.bet((self.margin - cut) / (self.high - self.margin))
        self._kernels.spread(np.array([(cut - self.low) / (self.high - self.low)]), self._sums)

    def take_many(self, value: ArrayLike) -> None:
        """Values in their order, (n,). The same as taking them one by one."""
        values = np.asarray(value, dtype=np.float64)
        if values.ndim != 1 or np.isnan(values).any():
            raise ValueError("values are one column, and none is NaN: that is missing, and no evidence")
        cut: Array = np.minimum(np.maximum(values, self.low), self.high)
        self.n_cut += int(np.count_nonzero(cut != values))
        self._harm.bets((cut - self.harmless) / (self.harmless - self.low))
        if self._safe is not None and self.margin is not None:
            self._safe.bets((self.margin - cut) / (self.high - self.margin))
        self._kernels.spread((cut - self.low) / (self.high - self.low), self._sums)

    @property
    def n(self) -> int:
        """Values taken."""
        return int(self._sums[0])

    @property
    def value(self) -> float | None:
        """The mean; None before any value."""
        return self.low + (self.high - self.low) * float(self._sums[1] / self.n) if self.n else None

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """The means that are not refuted: holds the true one at all times at once with a probability of at least 1 − alpha."""
        if self.n == 0:
            return self.low, self.high
        _, low, high = mean_interval(self.n, float(self._sums[1]), float(self._sums[2]), self.low, self.high, alpha=alpha)
        return low, high


def mean_interval(n: int, total: float, square: float, low: float, high: float, *, alpha: float) -> tuple[float, float, float]:
    """The mean and its anytime-valid ends from what `BoundedMean` sums up, for those who keep the sums themselves.

    total: Σ of the n values as shares of the range from low to high; square: Σ (share − mean of those before it, begun at ½ of one)².
    """
    mean, reach, span = total / n, _reach(square, math.log(2 / alpha)) / n, high - low
    return low + span * mean, low + span * max(mean - reach, 0.0), low + span * min(mean + reach, 1.0)


# Of the interval alone: its ends are wanted tight at 50 values and at 10 million.
_ENDS = (0.9, 0.7, 0.5, 0.35, 0.25, 0.16, 0.1, 0.06, 0.035, 0.02, 0.01, 0.005, 0.002)


def _reach(square: float, limit: float) -> float:
    """The sum of deviations at which the mean over stakes λ of exp(λ · sum + (log(1 − λ) + λ) · square) reaches the limit, on one side."""
    spent = [-(math.log1p(-stake) + stake) * square for stake in _ENDS]

    def is_refuted(total: float) -> bool:
        terms = [stake * total - cost for stake, cost in zip(_ENDS, spent, strict=True)]
        top = max(terms)
        return top + math.log(sum(math.exp(term - top) for term in terms) / len(_ENDS)) >= limit

    beyond = min((limit + math.log(len(_ENDS)) + cost) / stake for stake, cost in zip(_ENDS, spent, strict=True))
    return beta_mixture.edge(is_refuted, refuted=beyond * (1 + 1e-12), kept=0.0)
