"""What is claimed of a statistic, and how often was it true?

A claim is a world (a function of a seed) and what must come out of it. `True`, `False` or `None` for each world: the interval held the
truth, the test rejected, the promise was kept; None where the statistic refused. The share of True among those that did not refuse must
lie within the claimed band, give or take the simulation's own error.

    .venv/bin/python -m benchmarks.truth.run --worlds 2000 --areas probabilities comparison
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One sentence that a simulation may refute."""

    name: str  # "ROC-AUC, 100 positives of 2,000"
    method: str  # "DeLong on the logit scale"
    kind: Literal["coverage", "level", "power", "promise"]  # what True means, see `MEANS`
    band: tuple[float, float]  # the share of True that is claimed
    world: Callable[[int], bool | None]
    worlds: int | None = None  # at most so many, where one is dear; None: as many as asked
    refusals_at_most: float = 1.0  # the share of None that is claimed


MEANS = {
    "coverage": "the interval held the truth",
    "level": "a true null was rejected",
    "power": "a false null was rejected",
    "promise": "the promise was broken",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a claim's worlds gave."""

    area: str
    name: str
    method: str
    kind: str
    band: tuple[float, float]
    worlds: int
    refused: int
    share: float | None  # of True among those not refused

    @property
    def error(self) -> float:
        """One standard error of the share."""
        n = self.worlds - self.refused
        return math.sqrt(max(self.share * (1 - self.share), 1 / n) / n) if self.share is not None and n else math.nan

    @property
    def lies_inside(self) -> bool:
        """The share lies in the band itself."""
        return self.share is not None and self.band[0] <= self.share <= self.band[1]

    @property
    def holds(self) -> bool:
        """The share lies in the band, give or take two standard errors of the simulation."""
        return self.share is not None and self.band[0] - 2 * self.error <= self.share <= self.band[1] + 2 * self.error
