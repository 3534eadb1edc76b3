"""How well does the probability rank, and does it mean what it says?

Figures of the order are given with each row's share in their error, so that they cost one sort for the table and all of its slices. The
calibration error takes its own noise away and has no such form: it is resampled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.outcome import read_outcome, read_probability, read_unit
from gonogo.stats.calibration_error import prepare_calibration_error
from gonogo.stats.discrimination import (
    prepare_average_precision,
    prepare_precision_at_recall,
    prepare_recall_at_false_alarm_rate,
    prepare_roc_auc,
)
from gonogo.stats.influence import average_precision, precision_at_recall, rank_rows, recall_at_false_positive_rate, roc_auc
from gonogo.stats.scores import LEAST_OF_A_CLASS
from gonogo.types.protocols import Analytic

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.stats.influence import RankedRows
    from gonogo.types.evidence import Array, IntArray, Linearised
    from gonogo.types.protocols import Weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """A figure of the order of the probabilities."""

    name: str
    prepared: Callable[[Array, Array], Callable[[Weights], float | None]]  # (y, p) → weights → figure
    linearised: Callable[[RankedRows], Linearised]  # the same of ranked rows, group by group
    measured_in: str = ""
    better: str = "higher"

    def prepare(self, predictions: pa.Table, outcomes: pa.Table) -> Callable[[Weights], float | None]:
        """Row weights → the figure; None where a class is absent."""
        return self.prepared(read_outcome(outcomes), read_probability(predictions))

    def linearise(self, predictions: pa.Table, outcomes: pa.Table) -> Analytic:
        """Any groups of rows, after one sort. A group of one class, or of fewer than LEAST_OF_A_CLASS rows of the rarer one, is refused."""
        y = read_outcome(outcomes)
        ranked = rank_rows(y, read_probability(predictions))

        def by_group(group: IntArray, n_groups: int) -> Linearised:
            return replace(self.linearised(ranked.by_group(group, n_groups)), refused=_too_few(y, group, n_groups))

        return Analytic(by_group=by_group, is_share=True)


def _too_few(y: Array, group: IntArray, n_groups: int) -> tuple[str, ...]:
    """By group, why a figure of its order must not be given."""
    positives = np.bincount(group, weights=y, minlength=n_groups).astype(np.int64)
    negatives = np.bincount(group, minlength=n_groups) - positives
    return tuple(_why(int(p), int(n)) for p, n in zip(positives, negatives, strict=True))


def _why(positives: int, negatives: int) -> str:
    rarer, which = min((positives, "positives"), (negatives, "negatives"))
    if rarer == 0:
        return "one class only: there is nothing to rank"
    if rarer < LEAST_OF_A_CLASS:
        return f"{rarer} {which} of {positives + negatives:,} rows: an interval that can be trusted needs {LEAST_OF_A_CLASS}"
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationError:
    """How far the probability is from the share that came true: the debiased root mean squared gap of at most 15 equal-mass bins."""

    name: str = "calibration_error"
    measured_in: str = ""
    better: str = "lower"

    def prepare(self, predictions: pa.Table, outcomes: pa.Table) -> Callable[[Weights], float | None]:
        """Row weights → the error; 0 where the noise of the bins explains the gaps."""
        return prepare_calibration_error(read_outcome(outcomes), read_probability(predictions), read_unit(outcomes))

    def linearise(self, predictions: pa.Table, outcomes: pa.Table) -> None:
        """None: near 0 the error is no smooth figure of the weights, and only draws say how far it may be off."""


STATISTICS = (
    Ranking(name="roc_auc", prepared=prepare_roc_auc, linearised=roc_auc),
    Ranking(name="average_precision", prepared=prepare_average_precision, linearised=average_precision),
    CalibrationError(),
    Ranking(
        name="recall_at_false_alarm_rate_10",
        prepared=partial(prepare_recall_at_false_alarm_rate, rate=0.10),
        linearised=partial(recall_at_false_positive_rate, rate=0.10),
    ),
    Ranking(
        name="recall_at_false_alarm_rate_05",
        prepared=partial(prepare_recall_at_false_alarm_rate, rate=0.05),
        linearised=partial(recall_at_false_positive_rate, rate=0.05),
    ),
    Ranking(
        name="precision_at_recall_50",
        prepared=partial(prepare_precision_at_recall, recall=0.50),
        linearised=partial(precision_at_recall, recall=0.50),
    ),
)
