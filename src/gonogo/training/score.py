"""By which figure are learners told apart?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.training.learners import unknown

if TYPE_CHECKING:
    from gonogo.types.protocols import Family, Metric, Statistic, Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A figure of the whole validate table, without an interval: it only orders the learners."""

    name: str
    measured_in: str
    better: str  # "higher" | "lower"
    of: Callable[[Table, Table], float | None]  # (predictions, outcomes); None where it is undefined

    def is_better(self, ours: float | None, theirs: float | None) -> bool:
        """Strictly better; an undefined figure is better than nothing."""
        if ours is None or theirs is None:
            return ours is not None
        return ours > theirs if self.better == "higher" else ours < theirs


def selecting_score(family: Family, name: str) -> Score:
    """The family's metric or statistic of that name. Raises UsageError naming the nearest."""
    for metric in family.metrics:
        if metric.name == name:
            return Score(name=name, measured_in=metric.measured_in, better=metric.better, of=_ratio(metric))
    for statistic in family.statistics:
        if statistic.name == name:
            return Score(name=name, measured_in=statistic.measured_in, better=statistic.better, of=_figure(statistic))
    known = [metric.name for metric in family.metrics] + [statistic.name for statistic in family.statistics]
    raise unknown("metric", name, known, where="select_by")


def _ratio(metric: Metric) -> Callable[[Table, Table], float | None]:
    def of(predictions: Table, outcomes: Table) -> float | None:
        scores = metric.score(predictions, outcomes)
        weight = float(np.sum(scores.weight))
        return float(np.sum(scores.value)) / weight if weight > 0 else None

    return of


def _figure(statistic: Statistic) -> Callable[[Table, Table], float | None]:
    return lambda predictions, outcomes: statistic.prepare(predictions, outcomes)(np.ones(outcomes.num_rows))
