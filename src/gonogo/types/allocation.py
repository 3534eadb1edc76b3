"""Who moves the share of a canary, within which bounds, and what is it shown?

A policy is a plain function, found by its name in the entry-point group `gonogo.policies`:

    def cautious(seen: Seen) -> float:
        if min(seen.champion.units, seen.challenger.units) < 500:
            return seen.share
        gain, error = seen.advantage()
        return seen.share + (0.05 if gain > 2 * error else -0.10 if gain < -2 * error else 0.0)

It says which share it would like. The bounds of the contract are laid on that by others, so no policy can leave them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from gonogo.types.record import Digest

GRID = 1000  # shares that are moved are whole thousandths: what a row was logged with is then known exactly


@dataclass(frozen=True, kw_only=True, slots=True)
class Moves:
    """The bounds of whoever moves the share of a canary, as the plan has them."""

    reward: str  # the guardrail by which the arms are compared
    lowest: float
    highest: float
    step: float  # the largest change at once
    every_us: int  # so long is a period; the share moves at its end or not at all


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """The rewards of independent units: of each unit one number, the mean over its rows, from 0 to 1, where more is better."""

    units: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float | None:
        """The reward of a unit; None where nobody was seen."""
        return self.total / self.units if self.units else None

    @property
    def variance(self) -> float:
        """… and how far units lie from it, as if one more had lain at each end: never 0 for want of units."""
        n, total, squares = self.units + 2, self.total + 1.0, self.squares + 1.0
        return max(squares / n - (total / n) ** 2, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """All that a policy is shown when a period closes."""

    share: float  # the challenger's, as it stands
    champion: Sums  # since the canary began
    challenger: Sums
    lately_champion: Sums  # in the period that closed
    lately_challenger: Sums
    lowest: float
    highest: float
    step: float
    period: int  # 1, 2, 3, … since the canary began
    seed: int  # of this rollout and period: whoever draws, draws by it alone
    gain: Sums | None = None  # of losses both arms are asked on each row: (1 + challenger's reward − champion's) / 2 of each unit

    def advantage(self) -> tuple[float, float]:
        """By how much the challenger's mean reward is above the champion's, and the standard error of that.

        >>> nobody = Sums()
        >>> seen = Seen(share=0.1, champion=Sums(units=900, total=882, squares=882), challenger=Sums(units=100, total=99, squares=99),
        ...     lately_champion=nobody, lately_challenger=nobody, lowest=0.01, highest=0.5, step=0.1, period=3, seed=1)
        >>> gain, error = seen.advantage()
        >>> round(gain, 3), round(error, 3)
        (0.01, 0.015)
        """
        if self.gain is not None:
            middle = 0.5 if self.gain.mean is None else self.gain.mean
            return 2 * middle - 1, 2 * math.sqrt(self.gain.variance / max(self.gain.units, 1))
        arms = (self.challenger, self.champion)
        gain = (self.challenger.mean or 0.0) - (self.champion.mean or 0.0)
        return gain, math.sqrt(sum(arm.variance / max(arm.units, 1) for arm in arms))


Policy: TypeAlias = Callable[[Seen], float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Allotment:
    """Which share a policy gave the challenger, and on what: a pure function of the plan and the judge's log up to `cut`."""

    plan: Digest
    step: int  # index of the stage
    start: int  # place in the judge's log of the stage's first observation
    cut: int  # … and of the first that was not seen
    epoch: int  # of the route when the stage began
    first_epoch: int  # … when the rollout began
    policy: str
    version: str  # of the distribution that brought the policy
    seen: Seen
    asked: float  # what the policy said
    share: float  # what the bounds made of it
    sentence: str
