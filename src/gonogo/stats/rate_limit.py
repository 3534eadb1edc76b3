"""Is a rate above a limit, or below it, however often one looks?

Also the question of a latency percentile: the 95th is at most 80 ms where at most 5 % of requests are slower than 80 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats import beta_mixture
from gonogo.stats.bets import FAR_LOWER, HIGHER, PATIENCE, RESERVE, Capital, TwoSided

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class RateLimit(TwoSided):
    """Whether a share of trials is above `limit` ("harm"), and whether it is below ("safe"): read it after every trial.

    0 < limit < 1. Evidence is a natural log: each is shown at level α once `highest_harm` or `highest_safe` ≥ log(1/α), and errs with a
    probability of at most α however often it is read. Without any hit, (log(1/α) + 1) / limit trials show that it is safe, of which
    log(1/α) / limit is the least that any test needs.

    Holds where each trial hits, given those before it, with a chance on one side of the limit. Trials of one unit that move together
    are not so: count one trial a unit.

    Source: mixture of likelihood ratios over odds; Howard et al. (2021), Annals of Statistics 49(2).

    >>> import math
    >>> slow = RateLimit(0.05)  # the 95th percentile against its limit
    >>> slow.take_many([False] * 200)
    >>> slow.highest_safe > math.log(1 / 0.001), slow.value
    (True, 0.0)
    """

    __slots__ = ("limit", "n", "n_hits")
    _safe: Capital  # a limit always says what is safe

    def __init__(self, limit: float) -> None:
        if not 0 < limit < 1:
            raise ValueError(f"the limit of a rate lies between 0 and 1, not at {limit}")
        self.limit = limit
        self.n = self.n_hits = 0
        self._harm = Capital(HIGHER, reserve=RESERVE, patience=PATIENCE)
        self._safe = Capital(FAR_LOWER)

    def take(self, hit: bool) -> None:
        """One trial."""
        self._harm.flip(bool(hit), self.limit)
        self._safe.flip(bool(hit), self.limit)
        self.n += 1
        self.n_hits += bool(hit)

    def take_many(self, hit: ArrayLike) -> None:
        """Trials in their order, hit (n,) of 0 and 1. The same as taking them one by one."""
        given = np.asarray(hit)
        if given.ndim != 1 or not np.isin(given, (0, 1)).all():
            raise ValueError("a trial hit, 1, or did not, 0")
        hits = given.astype(np.bool_)
        chance = np.full(hits.shape, self.limit)
        self._harm.flips(hits, chance)
        self._safe.flips(hits, chance)
        self.n += len(hits)
        self.n_hits += int(np.count_nonzero(hits))

    @property
    def value(self) -> float | None:
        """The share of trials that hit; None before any trial."""
        return self.n_hits / self.n if self.n else None

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """The rates that are not refuted: holds the true one at all times at once with a probability of at least 1 − alpha."""
        return beta_mixture.chances_left(self.n_hits, self.n, alpha)
