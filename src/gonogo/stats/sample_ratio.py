"""Are units dealt to the arms in the shares that were asked for, however often one looks?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

STRENGTH = 200.0  # units that the first guess of the shares weighs as much as: tuned for mismatches of a tenth to a half


class SampleRatio:
    """Whether units fall on the challenger more or less often than its share says: read it after every unit.

    Evidence is a natural log: a mismatch is shown at level α once `highest` ≥ log(1/α), and that errs with a probability of at most α
    however often it is read. Take each unit once, at its first appearance. The share may change; each share is then judged for itself,
    and the evidence multiplies. A unit whose share is 0 or 1 shows a mismatch beyond doubt if it is on the other arm.

    Source: Lindon & Malek (2022), NeurIPS 35, arXiv 2011.03567: Dirichlet-multinomial against the known shares.

    >>> import math
    >>> mismatch = SampleRatio()
    >>> mismatch.take_many([1] * 80 + [0] * 920, share=0.05)
    >>> mismatch.highest > math.log(1 / 0.01)
    True
    """

    __slots__ = ("_log_e", "_tally", "highest")

    def __init__(self) -> None:
        self._log_e = 0.0
        self.highest = 0.0
        self._tally: dict[float, list[int]] = {}  # share → units of the champion, of the challenger

    def take(self, arm: int, share: float) -> None:
        """One unit that is new: arm 1 is the challenger's, and `share` the chance that it had of being so."""
        if arm not in (0, 1) or not 0 <= share <= 1:
            raise ValueError(f"an arm is 0 or 1 and a share lies between 0 and 1; this is arm {arm} and share {share}")
        seen = self._tally.setdefault(share, [0, 0])
        chance = share if arm else 1 - share
        if chance == 0:
            self._log_e = math.inf
        elif chance < 1:
            self._log_e += math.log((STRENGTH * chance + seen[arm]) / (STRENGTH + seen[0] + seen[1]) / chance)
        seen[arm] += 1
        self.highest = max(self.highest, self._log_e)

    def take_many(self, arm: ArrayLike, share: ArrayLike) -> None:
        """Units in their order: arm (n,) of 0 and 1, share (n,) or one for all. The same as taking them one by one."""
        arms = np.asarray(arm)
        shares = np.broadcast_to(np.asarray(share, dtype=np.float64), arms.shape)
        for one, its in zip(arms.tolist(), shares.tolist(), strict=True):
            self.take(one, its)

    @property
    def log_e(self) -> float:
        """Log evidence of a mismatch, as it stands."""
        return self._log_e

    @property
    def n_champion(self) -> int:
        """Units of the champion."""
        return sum(champion for champion, _ in self._tally.values())

    @property
    def n_challenger(self) -> int:
        """Units of the challenger."""
        return sum(challenger for _, challenger in self._tally.values())

    @property
    def value(self) -> float | None:
        """The share of units that are the challenger's; None before any unit."""
        n = self.n_champion + self.n_challenger
        return self.n_challenger / n if n else None
