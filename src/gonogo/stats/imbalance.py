"""What does a probability become when its model was fitted on other odds than those of the world it answers?

Negatives that were left out, classes that were weighted, or a deployed rate that is not the rate of the training table: each multiplies the
odds of every row by one known number, so that dividing by it is exact. Ranking never changes. What has to hold is that positives look
alike in both worlds, and negatives too; only their numbers differ.
Source: Elkan (2001), The foundations of cost-sensitive learning, IJCAI, theorem 2; Saerens, Latinne & Decaestecker (2002), Adjusting the
outputs of a classifier to new a priori probabilities, Neural Computation 14(1); King & Zeng (2001), Political Analysis 9(2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array

_WIDEST = 1400.0  # beyond that not even half of the factor is a float


@dataclass(frozen=True, kw_only=True, slots=True)
class PriorCorrection:
    """p → odds · factor / (1 + odds · factor) with odds = p / (1 - p); factor exp(shift)."""

    shift: float  # added to the log-odds; 0 is the identity

    def __post_init__(self) -> None:
        if not abs(self.shift) <= _WIDEST:
            raise ValueError(f"a shift of {self.shift} log-odds: it must lie within ±{_WIDEST:,.0f}")

    def apply(self, score: ArrayLike) -> Array:
        """(n,) probabilities in [0, 1] from (n,) probabilities, in the same order; 0 and 1 stay."""
        p = np.asarray(score, dtype=np.float64)
        # Half of the factor to each class, so that neither overflows.
        positive, negative = p * math.exp(self.shift / 2), (1 - p) * math.exp(-self.shift / 2)
        return np.asarray(positive / (positive + negative))


def prior_correction(*, trained_rate: float, deployed_rate: float) -> PriorCorrection:
    """What takes probabilities learnt at one rate of positives to a world with another.

    trained_rate: the share of positives among the rows that the model was fitted on, by weight and after sampling; deployed_rate: the share
    where it answers. Raises ValueError unless both lie strictly between 0 and 1.

    >>> balanced = prior_correction(trained_rate=0.5, deployed_rate=0.02)
    >>> balanced.apply([0.5, 0.9]).round(4).tolist()
    [0.02, 0.1552]
    """
    return PriorCorrection(shift=_log_odds(deployed_rate, "deployed_rate") - _log_odds(trained_rate, "trained_rate"))


def sampling_correction(*, negatives_kept: float = 1.0, positive_weight: float = 1.0) -> PriorCorrection:
    """What takes back that a model saw only a share of the negatives, or counted each positive several times.

    negatives_kept: the share in (0, 1] that was fitted on; positive_weight: above 0, of a positive when a negative weighs 1. Keeping a
    tenth of the negatives and weighting positives by ten do the same to the odds. Raises ValueError outside these ranges.

    >>> sampling_correction(negatives_kept=0.1).apply([0.5]).round(4).tolist()
    [0.0909]
    """
    if not 0 < negatives_kept <= 1:
        raise ValueError(f"negatives_kept is {negatives_kept}: it must be a share above 0 and at most 1")
    if not 0 < positive_weight < math.inf:
        raise ValueError(f"positive_weight is {positive_weight}: it must be above 0")
    return PriorCorrection(shift=math.log(negatives_kept) - math.log(positive_weight))


def _log_odds(rate: float, name: str) -> float:
    if not 0 < rate < 1:
        raise ValueError(f"{name} is {rate}: it must lie strictly between 0 and 1")
    return math.log(rate) - math.log1p(-rate)
