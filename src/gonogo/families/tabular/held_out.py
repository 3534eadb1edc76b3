"""What does a bend of the probabilities do to units that it was not fitted on?

Units are cut into blocks, one after the other in time; each block is answered by a fit on the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.metrics import log_loss
from gonogo.stats.clustered import paired_difference
from gonogo.types.evidence import Interval, UnitScores

if TYPE_CHECKING:
    from gonogo.stats.calibration import Recalibration
    from gonogo.types.evidence import Array, IntArray

BLOCKS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """Probabilities that were said of a table, and what came true."""

    y: Array  # (n,)
    p: Array  # (n,)
    unit: IntArray  # (n,)
    block: IntArray  # (n,) 0 … BLOCKS − 1: rows of one unit lie in one block

    @property
    def n_units(self) -> int:
        """Independent units."""
        return len(np.unique(self.unit))


@dataclass(frozen=True, kw_only=True, slots=True)
class Gain:
    """Log loss of the same rows before and after, in nats."""

    before: float
    after: float
    interval: Interval  # of after − before

    @property
    def is_beyond_doubt(self) -> bool:
        """Even the worst end of the interval is a gain."""
        return self.interval.high < 0

    def __str__(self) -> str:
        ends = f"[{self.interval.low:+.4f}, {self.interval.high:+.4f}]"
        return f"log loss {self.before:.4f} → {self.after:.4f} nats, difference {ends}"


def blocks_in_time(unit: IntArray) -> IntArray | None:
    """(n,) block of each row: units in the order in which they first appear, cut into BLOCKS runs; None where there are too few."""
    units, first, place = np.unique(unit, return_index=True, return_inverse=True)
    if len(units) < BLOCKS:
        return None
    rank = np.empty(len(units), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(units))
    return np.asarray(rank[place] * BLOCKS // len(units))


def fitted_on_the_others(fit: Callable[[Array, Array], Recalibration], judged: Judged) -> tuple[Recalibration, ...]:
    """Of each block, the fit (of outcomes and probabilities) on all other blocks. Raises what the fit refuses."""
    return tuple(fit(judged.y[judged.block != b], judged.p[judged.block != b]) for b in range(BLOCKS))


def answered(recalibrations: tuple[Recalibration, ...], judged: Judged) -> Array:
    """(n,) what each block is told by its recalibration."""
    p = np.empty_like(judged.p)
    for b, recalibration in enumerate(recalibrations):
        p[judged.block == b] = recalibration.apply(judged.p[judged.block == b])
    return p


def gain(y: Array, before: Array, after: Array, unit: IntArray, *, level: float) -> Gain:
    """What changing the probabilities from before to after does to these rows' log loss. Raises as `paired_difference`."""
    ours, theirs, ones = log_loss(after, y), log_loss(before, y), np.ones(len(y))
    difference = paired_difference(UnitScores(unit, ours, ones), UnitScores(unit, theirs, ones), level=level)
    return Gain(before=float(np.mean(theirs)), after=float(np.mean(ours)), interval=difference.interval)
