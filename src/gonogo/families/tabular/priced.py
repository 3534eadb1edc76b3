"""What does it cost to act on the probabilities, at the prices that the contract names?

A probability that means what it says is best acted on from c_FP / (c_FP + c_FN) on: there a false alarm is expected to cost what a miss
does (Elkan 2001, The foundations of cost-sensitive learning, IJCAI). Every figure here is taken at that threshold; a model whose
probabilities are bent pays for it in the first of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.outcome import read_outcome, read_probability, read_unit
from gonogo.types.evidence import UnitScores

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.types.contract import Cost
    from gonogo.types.evidence import Array
    from gonogo.types.protocols import Metric

# Sums do not notice it. A row that cost nothing must differ from a share's "no": where no row of a slice costs anything the interval is
# then refused for want of spread, instead of being that of a share, which knows nothing of what one miss would cost.
_NOTHING = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, kw_only=True, slots=True)
class AtThreshold:
    """A figure of the rows that are called, those whose probability is at or above the threshold."""

    name: str
    measured_in: str
    better: str  # "higher", "lower"; empty where neither is: fewer alerts alone are no gain
    threshold: float
    counted: Callable[[Array, Array], tuple[Array, Array]]  # (y, called), both 0 or 1 → numerator and denominator, (n,) each

    def score(self, predictions: pa.Table, outcomes: pa.Table) -> UnitScores:
        """Row by row. Raises ValueError for an empty table and for what is no probability."""
        p, y = read_probability(predictions), read_outcome(outcomes)
        if len(p) == 0 or len(p) != len(y):
            raise ValueError(f"{len(p)} predictions of {len(y)} outcomes have no {self.name}")
        value, weight = self.counted(y, (p >= self.threshold).astype(np.float64))
        return UnitScores(read_unit(outcomes), value, weight)


def priced(cost: Cost) -> tuple[Metric, ...]:
    """Cost per decision, precision, recall and alert rate at the threshold that the two prices make best.

    None where a mistake costs nothing: always, or never, to act is then best, whatever the model says.
    """
    alarm, miss, threshold = cost.false_positive_usd, cost.false_negative_usd, best_threshold(cost)
    if threshold is None:
        return ()

    def paid(y: Array, called: Array) -> tuple[Array, Array]:
        return np.maximum(_NOTHING, alarm * called * (1 - y) + miss * (1 - called) * y), np.ones(len(y))

    return (
        AtThreshold(name="cost_per_decision", measured_in="usd", better="lower", threshold=threshold, counted=paid),
        AtThreshold(name="precision", measured_in="", better="higher", threshold=threshold, counted=_precision),
        AtThreshold(name="recall", measured_in="", better="higher", threshold=threshold, counted=_recall),
        AtThreshold(name="alert_rate", measured_in="", better="", threshold=threshold, counted=_alert_rate),
    )


def best_threshold(cost: Cost) -> float | None:
    """From which probability on to act, if it means what it says; None where a mistake costs nothing."""
    alarm, miss = cost.false_positive_usd, cost.false_negative_usd
    return alarm / (alarm + miss) if alarm > 0 and miss > 0 else None


def _precision(y: Array, called: Array) -> tuple[Array, Array]:
    return y * called, called


def _recall(y: Array, called: Array) -> tuple[Array, Array]:
    return y * called, y


def _alert_rate(y: Array, called: Array) -> tuple[Array, Array]:
    return called, np.ones(len(y))
