"""What would be answered by somebody who knows only how often it happens?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.outcome import PREDICTION, read_both_classes
from gonogo.families.tabular.storage import MODEL_FILE, read_record, write_record

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.types.evidence import Effect
    from gonogo.types.protocols import Examples
    from gonogo.types.snapshot import Input

KIND = "prior_rate"


@dataclass(frozen=True, kw_only=True, slots=True)
class PriorRate:
    """The share of positives in train, for every row: the model that every other must beat."""

    def fit(
        self, train: Examples, validate: Examples, *, inputs: tuple[Input, ...], seed: int, threads: int, budget_s: float | None
    ) -> PriorModel:
        """The rate of train. Raises OutcomeRefused for one class only."""
        y = read_both_classes(train.outcomes)
        return PriorModel(rate=int(y.sum()) / len(y))


@dataclass(frozen=True, kw_only=True, slots=True)
class PriorModel:
    """One probability for every row."""

    rate: float

    def predict(self, inputs: pa.Table) -> pa.Table:
        """(n,) the rate."""
        import pyarrow as pa

        return pa.table({PREDICTION: np.full(inputs.num_rows, self.rate)})

    def save(self, folder: Path) -> None:
        """Write model.json."""
        write_record(folder, MODEL_FILE, KIND, self)

    def effects(self) -> tuple[Effect, ...]:
        """None: it looks at no input."""
        return ()


def load(folder: Path) -> PriorModel:
    """The model that `save` wrote."""
    return read_record(folder, MODEL_FILE, PriorModel)
