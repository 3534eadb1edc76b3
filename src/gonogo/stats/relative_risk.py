"""Do bad events fall on the challenger more often than its share of the traffic explains?

Where requests are dealt at random and the challenger is no worse, a bad event is the challenger's with a chance of exactly its share,
whatever the rate of bad events does over the day, and whether an outage hits both arms. So only the coin is tested: which arm did each bad
event fall on? Two integers hold all the data where the share is constant.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gonogo.stats import beta_mixture
from gonogo.stats.bets import HIGHER, LOWER, PATIENCE, RESERVE, Capital, TwoSided

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array


class RelativeRisk(TwoSided):
    """Whether the challenger's rate of bad events is above the champion's, and whether it is below a margin: read it after every event.

    margin: above 1; "harm" is a ratio of rates above 1, "safe" one below the margin. Without a margin nothing can be called safe.
    Evidence is a natural log: harm is shown at level α once `highest_harm` ≥ log(1/α), and harm at the margin or above is refuted once
    `highest_safe` ≥ log(1/α). Each errs with a probability of at most α however often it is read.

    Holds where each counted event's arm was drawn with the chance that is given for it, independently of the others. Requests of one unit
    that stays on its arm are not: count at most one event a unit. For harm that is its first, whichever request it fell on. A certificate
    needs more: once many units have had an event, those that are left on the worse arm are the better ones, and first events make the
    ratio look smaller than it is. Count for it only events on a unit's first request. An event whose share is 0 or 1 says nothing and is
    passed over.

    Source: mixture of likelihood ratios over the ratio of rates; Lindon & Malek (2022), NeurIPS; Howard et al. (2021).

    >>> import math
    >>> risk = RelativeRisk(margin=2.0)
    >>> for arm in (1, 0, 1, 1, 1, 1):  # of six errors five are the challenger's, which has 5 % of the traffic
    ...     risk.take(arm, share=0.05)
    >>> risk.highest_harm > math.log(1 / 0.001)
    True
    >>> risk.n_champion, risk.n_challenger
    (1, 5)
    """

    __slots__ = ("_tally", "margin")

    def __init__(self, *, margin: float | None = None) -> None:
        if margin is not None and not margin > 1:
            raise ValueError(f"a margin of a ratio lies above 1, not at {margin}")
        self.margin = margin
        self._harm = Capital(HIGHER, reserve=RESERVE, patience=PATIENCE)
        self._safe = Capital(LOWER) if margin is not None else None
        self._tally: dict[float, list[int]] = {}  # share → events of the champion, of the challenger

    def take(self, arm: int, share: float) -> None:
        """One bad event: arm 1 is the challenger's, and `share` the chance that it had of being so."""
        if arm not in (0, 1) or not 0 <= share <= 1:
            raise ValueError(f"an arm is 0 or 1 and a share lies between 0 and 1; this is arm {arm} and share {share}")
        if not 0 < share < 1:
            return
        self._harm.flip(arm == 1, share)
        if self._safe is not None:
            self._safe.flip(arm == 1, at_ratio(share, self.margin or 1.0))
        self._tally.setdefault(share, [0, 0])[arm] += 1

    def take_many(self, arm: ArrayLike, share: ArrayLike) -> None:
        """Bad events in their order: arm (n,) of 0 and 1, share (n,) or one for all. The same as taking them one by one."""
        arms, shares = _checked(arm, share)
        if not arms.size:
            return
        self._harm.flips(arms, shares)
        if self._safe is not None:
            self._safe.flips(arms, at_ratio(shares, self.margin or 1.0))
        for one in np.unique(shares):
            tally = self._tally.setdefault(float(one), [0, 0])
            here = arms[shares == one]
            challenger = int(np.count_nonzero(here))
            tally[0] += len(here) - challenger
            tally[1] += challenger

    @property
    def n_champion(self) -> int:
        """Bad events of the champion."""
        return sum(champion for champion, _ in self._tally.values())

    @property
    def n_challenger(self) -> int:
        """Bad events of the challenger."""
        return sum(challenger for _, challenger in self._tally.values())

    @property
    def value(self) -> float | None:
        """The challenger's rate over the champion's that explains the events best; None before any event, ∞ where the champion had none."""
        if not self._tally:
            return None
        if self.n_champion == 0:
            return math.inf
        if self.n_challenger == 0:
            return 0.0
        if len(self._tally) == 1:
            share = next(iter(self._tally))
            return (self.n_challenger / self.n_champion) * ((1 - share) / share)
        return math.exp(beta_mixture.edge(lambda log_ratio: self._slope(log_ratio) > 0, refuted=-_FAR, kept=_FAR))

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """The ratios that are not refuted: holds the true one at all times at once with a probability of at least 1 − alpha."""
        if not self._tally:
            return 0.0, math.inf
        limit = math.log(1 / alpha)
        foretold = _foretold(self._tally)

        def is_refuted(log_ratio: float) -> bool:
            return foretold - self._log_likelihood(log_ratio) >= limit

        best = self.value
        middle = min(max(math.log(best), -_FAR), _FAR) if best else -_FAR
        low = math.exp(beta_mixture.edge(is_refuted, refuted=-_FAR, kept=middle)) if is_refuted(-_FAR) else 0.0
        high = math.exp(beta_mixture.edge(is_refuted, refuted=_FAR, kept=middle)) if is_refuted(_FAR) else math.inf
        return low, high

    def _log_likelihood(self, log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        return sum(
            beta_mixture.log_likelihood(challenger, champion + challenger, at_ratio(share, ratio))
            for share, (champion, challenger) in self._tally.items()
        )

    def _slope(self, log_ratio: float) -> float:
        """Of the log likelihood: what the challenger had beyond what this ratio foretells."""
        ratio = math.exp(log_ratio)
        return sum(challenger - (champion + challenger) * at_ratio(share, ratio) for share, (champion, challenger) in self._tally.items())


_FAR = 25.0  # log of a ratio beyond all that traffic can show


_Number = TypeVar("_Number", float, "Array")


def at_ratio(share: _Number, ratio: float) -> _Number:
    """The chance that a bad event is the challenger's where its rate is `ratio` times the champion's."""
    return share * ratio / (share * ratio + (1.0 - share))


def _foretold(tally: Mapping[float, Sequence[int]]) -> float:
    """The log of what a mixture over ratios foretold of the arms: weights fall as a Cauchy density of the log ratio."""
    grown = _WEIGHTS.copy()
    for share, (champion, challenger) in tally.items():
        theirs, ours = _logs(share)
        grown += champion * theirs + challenger * ours
    top = float(grown.max())
    return top + math.log(sum(math.exp(one - top) for one in grown.tolist()))


# Of the interval alone. Steps of 2.5 % from 1/400 to 400: narrower than any interval that fewer than a hundred thousand events could give.
_LOG_RATIOS = [step / 40 for step in range(-240, 241)]
_TOTAL = sum(1 / (1 + at * at) for at in _LOG_RATIOS)
_WEIGHTS = np.array([-math.log((1 + at * at) * _TOTAL) for at in _LOG_RATIOS])


@lru_cache(maxsize=64)
def _logs(share: float) -> tuple[Array, Array]:
    """For each ratio of the mixture the logs of the chances that an event is the champion's and the challenger's."""
    chances = [at_ratio(share, math.exp(at)) for at in _LOG_RATIOS]
    return np.array([math.log1p(-chance) for chance in chances]), np.array([math.log(chance) for chance in chances])


def _checked(arm: ArrayLike, share: ArrayLike) -> tuple[NDArray[np.bool_], Array]:
    arms = np.asarray(arm)
    shares = np.broadcast_to(np.asarray(share, dtype=np.float64), arms.shape)
    if arms.ndim != 1 or not np.isin(arms, (0, 1)).all():
        raise ValueError("an arm is 0, the champion's, or 1, the challenger's")
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError("a share lies between 0 and 1")
    says_something = (shares > 0) & (shares < 1)
    return arms[says_something].astype(np.bool_), np.ascontiguousarray(shares[says_something])
