"""On what does a test that may be read after every observation lay its capital?

A test starts with a capital of 1 and bets against the null. Where the null is true no bet gains on average, so the capital ever reaches
1/α with probability at most α, however often it is looked at and whenever one stops (Ville 1939; Ramdas et al. 2023, Statistical Science
38(4)). The bets are written out as decimals rather than computed, so that they are the same on every machine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.evidence import Array

# Odds of a hit over what the null allows, and the percentage of the capital that is laid on each. Most lies where a fault of 2 to 4 times
# is found; the far end is there for an outage, which 3 or 4 hits in a row then show.
HIGHER = {
    1.15: 1.0,
    1.3: 2.5,
    1.5: 5.0,
    1.75: 10.0,
    2.0: 15.0,
    2.5: 20.0,
    3.0: 17.0,
    4.0: 10.0,
    5.0: 5.0,
    7.0: 4.0,
    10.0: 2.5,
    15.0: 2.0,
    25.0: 1.5,
    50.0: 1.5,
    150.0: 1.5,
    1000.0: 1.5,
}
# Odds below the least that the null allows. A margin of 2 against equal arms is odds of 0.5, one of 1.5 is 0.67; 0: no hit ever.
LOWER = {0.0: 2.5, 0.1: 2.5, 0.2: 5.0, 0.3: 7.0, 0.4: 15.0, 0.5: 25.0, 0.6: 17.0, 0.7: 13.0, 0.8: 7.0, 0.9: 4.0, 0.95: 2.0}
# The same against a limit that was stated for a rate: it may well lie far above the rate, and there may never be a hit.
FAR_LOWER = {0.0: 17.0, 0.05: 15.0, 0.15: 15.0, 0.3: 15.0, 0.45: 13.0, 0.6: 11.0, 0.75: 8.0, 0.9: 6.0}
# Stakes, as shares of the largest that cannot ruin. The best one is about mean / variance: losses that hardly vary want a large one, a
# small effect in a wide range a small one. On simulated differences these six need about as many values as bets that adapt (aGRAPA).
STAKES = {0.98: 20.0, 0.6: 24.0, 0.3: 22.0, 0.12: 16.0, 0.04: 12.0, 0.012: 6.0}

# A fifth of the capital against harm waits for harm that begins late, see `kernels_sequential`. It delays early findings by some 5 %, and
# finds a tripling that begins after 500 quiet events in two thirds of the time. Against the margin nothing waits: harm may only fade.
RESERVE = 0.2
PATIENCE = 30.0


class Capital:
    """The capital of one test, spread over its bets, and how it stands."""

    __slots__ = ("_at", "_kernels", "_patience", "_reserve", "_state", "_wealth", "_weight")

    def __init__(self, bets: dict[float, float], *, reserve: float = 0.0, patience: float = PATIENCE) -> None:
        from gonogo.stats import kernels_sequential  # compiled code, and only where a test is made

        self._kernels: Any = kernels_sequential
        self._at: Array = np.array(list(bets), dtype=np.float64)
        self._weight: Array = np.array(list(bets.values()), dtype=np.float64) / 100.0
        self._reserve, self._patience = reserve, patience
        self._wealth: Array = self._weight * (1.0 - reserve)
        self._state: Array = np.array([0.0, reserve, 0.0, 0.0, 0.0])

    @property
    def log_e(self) -> float:
        """The natural log of the capital now."""
        return float(self._state[3])

    @property
    def highest(self) -> float:
        """The natural log of the most that the capital ever was: the null is refuted at level α once this reaches log(1/α)."""
        return float(self._state[4])

    def flip(self, hit: bool, chance: float) -> None:
        """One coin, whose chance of a hit under the null is `chance` at the worst."""
        self._kernels.flip(hit, chance, self._at, self._weight, self._reserve, self._patience, self._wealth, self._state)

    def flips(self, hit: NDArray[np.bool_], chance: Array) -> None:
        """The same, one after the other, for hit (n,) and chance (n,)."""
        self._kernels.flips(hit, chance, self._at, self._weight, self._reserve, self._patience, self._wealth, self._state)

    def bet(self, gain: float) -> None:
        """One value of mean at most 0 under the null, as a share of the most that can be lost: gain ≥ −1."""
        self._kernels.bet(gain, self._at, self._weight, self._reserve, self._patience, self._wealth, self._state)

    def bets(self, gain: Array) -> None:
        """The same, one after the other, for gain (n,)."""
        self._kernels.bets(gain, self._at, self._weight, self._reserve, self._patience, self._wealth, self._state)


class TwoSided:
    """Evidence of harm and evidence of its absence, side by side: what every test of a sequence can be asked."""

    __slots__ = ("_harm", "_safe")
    _harm: Capital
    _safe: Capital | None  # None: without a margin nothing can be called safe

    @property
    def harm(self) -> float:
        """Log evidence of harm, as it stands."""
        return self._harm.log_e

    @property
    def highest_harm(self) -> float:
        """The most that it ever was: what a decision is made by."""
        return self._harm.highest

    @property
    def safe(self) -> float:
        """Log evidence that harm stays below the margin, as it stands; −∞ where there is no margin."""
        return -math.inf if self._safe is None else self._safe.log_e

    @property
    def highest_safe(self) -> float:
        """The most that it ever was; −∞ where there is no margin."""
        return -math.inf if self._safe is None else self._safe.highest
