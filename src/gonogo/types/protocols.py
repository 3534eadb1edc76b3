"""What does a plugin promise?

A family is one plain record. Everything outside `families/` works through these promises and never asks what kind of problem it has.

Tables are pyarrow Tables. `predict` gets inputs only: it cannot see keys, outcomes or units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from gonogo.types.evidence import Curve, Effect, Linearised, UnitScores
from gonogo.types.snapshot import Finding, Input

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from gonogo.types.contract import Cost
    from gonogo.types.evidence import IntArray

    Table: TypeAlias = pa.Table
    Weights: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Examples:
    """One table of a snapshot, told apart by role. All four have the same n rows in the same order, sorted by (decided_at, keys)."""

    keys: Table  # the contract's key columns
    inputs: Table  # what a model may see: one column per Input, in that order
    outcomes: Table  # `unit` (int64 codes of the independent unit), `decided_at` (int64 µs UTC), then the outcome columns
    slices: Table  # slice columns, as text


class Model(Protocol):
    """A fitted model. Predicting changes nothing and keeps the order of rows."""

    def predict(self, inputs: Table) -> Table:
        """One row per input row, in order. Raises ColumnMissing where an input it needs is absent; extra columns are ignored."""

    def save(self, folder: Path) -> None:
        """Write files that execute nothing when read: JSON, npz, UBJ. Same model, same bytes."""

    def effects(self) -> tuple[Effect, ...]:
        """How the inputs move the answer; empty where it cannot say."""


class Scorer(Protocol):
    """A saved model made ready to answer one row at a time, without the libraries that trained it. Pure; safe in any one thread."""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What a row holds, in order: numbers as int, float or bool, categories as str, int or bool, None for null."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The prediction columns, as `Model.predict` names them; the first is what guardrails on the prediction watch."""

    def score(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """The answer to one row, one value per output. Raises DataError for a null that the contract refuses or an infinity."""

    def score_rows(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """The answers to many rows, each equal to what `score` says of it alone."""


class Learner(Protocol):
    """One algorithm; a frozen dataclass whose fields are its hyper-parameters."""

    def fit(
        self, train: Examples, validate: Examples, *, inputs: tuple[Input, ...], seed: int, threads: int, budget_s: float | None
    ) -> Model:
        """A fitted model: same data, seed and versions, same model, for any number of threads."""


class Metric(Protocol):
    """A figure that is Σvalue / Σweight over rows."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def measured_in(self) -> str: ...  # noqa: D102
    @property
    def better(self) -> str: ...  # noqa: D102  "higher" | "lower"

    def score(self, predictions: Table, outcomes: Table) -> UnitScores:
        """Row by row. Refuses (ValueError) an empty table and NaN."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Analytic:
    """A statistic on one table whose spread needs no resampling: each row's share in its error is known. What it sorts, it sorts once."""

    by_group: Callable[[IntArray, int], Linearised]  # (n,) codes of groups of rows, and how many groups there are
    is_share: bool = False  # it lies between 0 and 1, and so must its interval


class Statistic(Protocol):
    """A figure that is no ratio of sums: AUC, a calibration error. Resampled by unit where it has no analytic form."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def measured_in(self) -> str: ...  # noqa: D102
    @property
    def better(self) -> str: ...  # noqa: D102  "higher" | "lower"

    def prepare(self, predictions: Table, outcomes: Table) -> Callable[[Weights], float | None]:
        """A function from row weights (n,) to the figure; sorts once. None where it is undefined, e.g. one class only."""

    def linearise(self, predictions: Table, outcomes: Table) -> Analytic | None:
        """The same figure for any groups of rows with each row's share in its error; None where it must be resampled.

        Refuses (ValueError) an empty table and NaN.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Refined:
    """A model after calibration, or the same one, and what was seen."""

    model: Model
    note: str  # "isotonic: log loss 0.431 → 0.428 [-0.004, -0.001] on held-out days of validate", "left as it was: …"
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """The whole plugin."""

    name: str
    outcome_columns: Mapping[str, str]  # what [outcome.columns] must give: name → "what it is"
    learners: Mapping[str, Callable[..., Learner]]  # name → class; unknown parameters are refused by the class
    metrics: tuple[Metric, ...]
    statistics: tuple[Statistic, ...]
    baseline: str  # the learner that every candidate must beat
    load: Callable[[Path], Model]  # the codec: reads what any of its models saved
    checks: Callable[[Examples, tuple[Input, ...]], tuple[Finding, ...]]  # findings on a train table; raises OutcomeRefused
    refine: Callable[[Model, Examples, int], Refined] | None = None  # (model, validate, seed)
    curves: Callable[[Table, Table, Table, Cost], tuple[Curve, ...]] | None = None  # (challenger, champion, outcomes, prices) → plots
    priced: Callable[[Cost], tuple[Metric, ...]] | None = None  # what the contract's costs make measurable: the cost of a decision
    words: Mapping[str, str] = field(default_factory=dict)  # metric → a sentence for a stakeholder
    scorer: Callable[[Path], Scorer | None] | None = None  # reads what its models saved; None: `load` and `predict` answer instead


AnyParams: TypeAlias = Mapping[str, Any]
