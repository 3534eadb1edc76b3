"""What does each row cost the model, given what came true?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.outcome import read_outcome, read_probability, read_unit
from gonogo.stats.probabilities import EPS
from gonogo.types.evidence import UnitScores

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.types.evidence import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class RowLoss:
    """The mean of a loss over rows; lower is better."""

    name: str
    measured_in: str
    loss: Callable[[Array, Array], Array]  # (p, y) → (n,)
    better: str = "lower"

    def score(self, predictions: pa.Table, outcomes: pa.Table) -> UnitScores:
        """One loss per row, each of weight 1. Raises ValueError for an empty table and for what is no probability."""
        p, y = read_probability(predictions), read_outcome(outcomes)
        if len(p) == 0 or len(p) != len(y):
            raise ValueError(f"{len(p)} predictions of {len(y)} outcomes have no {self.name}")
        return UnitScores(read_unit(outcomes), self.loss(p, y), np.ones(len(y)))


def log_loss(p: Array, y: Array) -> Array:
    """(n,) nats: -log of the probability given to what came true, clipped at EPS: a sure mistake costs 36 nats, not infinitely many.

    >>> log_loss(np.array([0.5, 1.0]), np.array([1.0, 1.0])).round(4).tolist()
    [0.6931, 0.0]
    """
    said = np.clip(np.where(y > 0, p, 1 - p), EPS, 1.0)
    return np.asarray(-np.log(said)) + 0.0  # -log(1) is -0.0, which a page would print


def brier_score(p: Array, y: Array) -> Array:
    """(n,) squared distance of the probability from what came true. Source: Brier (1950), Monthly Weather Review 78(1)."""
    return np.asarray((p - y) ** 2)


METRICS = (
    RowLoss(name="log_loss", measured_in="nats", loss=log_loss),
    RowLoss(name="brier_score", measured_in="", loss=brier_score),
)
