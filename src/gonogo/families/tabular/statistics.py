"""How well does the probability rank, and does it mean what it says?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gonogo.families.tabular.outcome import read_outcome, read_probability, read_unit
from gonogo.stats.calibration_error import prepare_calibration_error
from gonogo.stats.discrimination import (
    prepare_average_precision,
    prepare_precision_at_recall,
    prepare_recall_at_false_alarm_rate,
    prepare_roc_auc,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.types.evidence import Array
    from gonogo.types.protocols import Weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """A figure of the order of the probabilities."""

    name: str
    prepared: Callable[[Array, Array], Callable[[Weights], float | None]]  # (y, p) → weights → figure
    measured_in: str = ""
    better: str = "higher"

    def prepare(self, predictions: pa.Table, outcomes: pa.Table) -> Callable[[Weights], float | None]:
        """Row weights → the figure; None where a class is absent."""
        return self.prepared(read_outcome(outcomes), read_probability(predictions))


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationError:
    """How far the probability is from the share that came true: the debiased root mean squared gap of at most 15 equal-mass bins."""

    name: str = "calibration_error"
    measured_in: str = ""
    better: str = "lower"

    def prepare(self, predictions: pa.Table, outcomes: pa.Table) -> Callable[[Weights], float | None]:
        """Row weights → the error; 0 where the noise of the bins explains the gaps."""
        return prepare_calibration_error(read_outcome(outcomes), read_probability(predictions), read_unit(outcomes))


STATISTICS = (
    Ranking(name="roc_auc", prepared=prepare_roc_auc),
    Ranking(name="average_precision", prepared=prepare_average_precision),
    CalibrationError(),
    Ranking(name="recall_at_false_alarm_rate_10", prepared=partial(prepare_recall_at_false_alarm_rate, rate=0.10)),
    Ranking(name="recall_at_false_alarm_rate_05", prepared=partial(prepare_recall_at_false_alarm_rate, rate=0.05)),
    Ranking(name="precision_at_recall_50", prepared=partial(prepare_precision_at_recall, recall=0.50)),
)
