"""What do gradient-boosted trees say?

XGBoost grows the trees (see growing.py); here is what surrounds them: which columns they read, what a null becomes, and the artifact.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.families.tabular.logistic import logistic
from gonogo.families.tabular.outcome import PREDICTION, read_both_classes, read_outcome
from gonogo.families.tabular.parameters import require_count, require_names, require_number
from gonogo.families.tabular.sampling import sampled
from gonogo.families.tabular.storage import MODEL_FILE, read_record, write_record
from gonogo.families.tabular.table import UNKNOWN, Codec, fit_codec
from gonogo.types.errors import ArtifactRefused, ExtraMissing, UsageError
from gonogo.types.evidence import Effect
from gonogo.types.record import Digest, digest_of_bytes
from gonogo.types.snapshot import Kind, Missing

if TYPE_CHECKING:
    from types import ModuleType

    import pyarrow as pa

    from gonogo.types.evidence import Array
    from gonogo.types.protocols import Examples
    from gonogo.types.snapshot import Input

KIND = "xgboost"
TREES_FILE = "trees.ubj"


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeInputs:
    """How the codec's matrix becomes the columns of the trees: indicators of `indicated` columns stand behind all others."""

    codec: Codec
    fills: tuple[float | None, ...]  # of each column, what stands in for null; None: the trees' own way with missing values
    indicated: tuple[int, ...]  # columns with an indicator of null

    def columns(self, matrix: Array) -> Array:
        """(n, columns + indicators) float64. An unknown category is missing: the trees send it where they send the missing."""
        columns = np.concatenate([matrix, np.isnan(matrix[:, list(self.indicated)])], axis=1) if self.indicated else matrix.copy()
        for place, (column, fill) in enumerate(zip(self.codec.columns, self.fills, strict=True)):
            x = columns[:, place]
            if fill is not None:
                x[np.isnan(x)] = fill
            if column.kind is Kind.CATEGORY:
                x[x == UNKNOWN] = np.nan
        return columns

    @property
    def names(self) -> tuple[str, ...]:
        """Of each column of the trees."""
        names = [column.name for column in self.codec.columns]
        return (*names, *(f"{names[place]} is null" for place in self.indicated))


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What lies beside the trees."""

    inputs: TreeInputs
    shift: float  # added to the log-odds: takes class weights and sampling back out
    gains: tuple[Effect, ...]
    trees: Digest  # of the bytes beside: XGBoost reads past the end of a file that was cut short, so no others are handed to it


class BoostedModel:
    """p = 1 / (1 + exp(-(shift + Σ leaves)))."""

    def __init__(self, header: Header, trees: bytes) -> None:
        booster = import_xgboost().Booster(model_file=bytearray(trees))
        # One thread answers: waking others costs more than the trees of one row do, and answers compete for cores.
        booster.set_param({"nthread": 1})
        self._header = header
        self._trees = trees
        self._booster = booster

    def predict(self, inputs: pa.Table) -> pa.Table:
        """(n,) probabilities. Raises as `Codec.encode_strictly`."""
        import pyarrow as pa

        matrix = self._header.inputs.codec.encode_strictly(inputs)
        if len(matrix) == 0:
            return pa.table({PREDICTION: np.empty(0)})
        leaves = self._booster.inplace_predict(self._header.inputs.columns(matrix), predict_type="margin", validate_features=False)
        return pa.table({PREDICTION: logistic(leaves.astype(np.float64) + self._header.shift)})

    def save(self, folder: Path) -> None:
        """Write model.json and trees.ubj."""
        write_record(folder, MODEL_FILE, KIND, self._header)
        (folder / TREES_FILE).write_bytes(self._trees)

    def effects(self) -> tuple[Effect, ...]:
        """Each input's share of the gain, the largest first."""
        return self._header.gains


@dataclass(frozen=True, kw_only=True, slots=True)
class XGBoost:
    """Gradient-boosted trees by histograms, with missing values of their own, stopped early on validate by log loss."""

    n_rounds: int = 500
    learning_rate: float = 0.1
    max_depth: int = 6
    min_child_weight: float = 1.0
    reg_lambda: float = 1.0
    reg_alpha: float = 0.0
    gamma: float = 0.0
    subsample: float = 1.0
    colsample_bytree: float = 1.0
    max_bin: int = 256
    early_stopping_rounds: int = 30  # 0: never
    positive_weight: float = 1.0  # weight of the positives in the fit; the log-odds are corrected so that probabilities stay true
    negatives_kept: float = 1.0  # share of the negatives that the trees are grown on; the log-odds are corrected for that too
    rising: tuple[str, ...] = ()  # numbers with which the answer may only rise
    falling: tuple[str, ...] = ()  # numbers with which the answer may only fall

    def __post_init__(self) -> None:
        require_count(KIND, "n_rounds", self.n_rounds, at_least=1, at_most=100_000)
        require_number(KIND, "learning_rate", self.learning_rate, above=0, at_most=1)
        require_count(KIND, "max_depth", self.max_depth, at_least=1, at_most=20)
        for name in ("min_child_weight", "reg_lambda", "reg_alpha", "gamma"):
            require_number(KIND, name, getattr(self, name), at_least=0)
        for name in ("subsample", "colsample_bytree"):
            require_number(KIND, name, getattr(self, name), above=0, at_most=1)
        require_count(KIND, "max_bin", self.max_bin, at_least=2, at_most=65_536)
        require_count(KIND, "early_stopping_rounds", self.early_stopping_rounds, at_least=0)
        require_number(KIND, "positive_weight", self.positive_weight, above=0)
        require_number(KIND, "negatives_kept", self.negatives_kept, above=0, at_most=1)
        require_names(KIND, "rising", self.rising)
        require_names(KIND, "falling", self.falling)

    def fit(
        self, train: Examples, validate: Examples, *, inputs: tuple[Input, ...], seed: int, threads: int, budget_s: float | None
    ) -> BoostedModel:
        """Trees up to the round that was best on validate; the same for any number of threads.

        Raises OutcomeRefused, BudgetSpent, ExtraMissing without xgboost, UsageError where rising or falling name no number.
        """
        from gonogo.families.tabular import growing

        xgboost = import_xgboost()
        deadline = None if budget_s is None else time.monotonic() + budget_s
        y = read_both_classes(train.outcomes)
        codec = fit_codec(train.inputs, inputs)
        part = sampled(y, negatives_kept=self.negatives_kept, positive_weight=self.positive_weight, seed=seed)
        matrix = codec.encode(part.of(train.inputs))
        shape = _tree_inputs(codec, matrix)
        booster = growing.grow(
            xgboost,
            growing.Rows(columns=shape.columns(matrix), y=y[part.rows]),
            growing.Rows(columns=shape.columns(codec.encode(validate.inputs)), y=read_outcome(validate.outcomes)),
            growing.Plan(
                params=self._params(shape, seed=seed, threads=threads),
                n_rounds=self.n_rounds,
                patience=self.early_stopping_rounds,
                positive_weight=self.positive_weight * part.scale,
                negative_weight=part.scale,
                shift=part.correction.shift,
                max_bin=self.max_bin,
                threads=threads,
                deadline=deadline,
            ),
        )
        trees = bytes(booster.save_raw("ubj"))
        header = Header(inputs=shape, shift=part.correction.shift, gains=_gains(booster, shape.names), trees=digest_of_bytes(trees))
        return BoostedModel(header, trees)

    def _params(self, shape: TreeInputs, *, seed: int, threads: int) -> dict[str, Any]:
        return {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "disable_default_eval_metric": 1,
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "reg_lambda": self.reg_lambda,
            "reg_alpha": self.reg_alpha,
            "gamma": self.gamma,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "max_bin": self.max_bin,
            "seed": seed,
            "nthread": threads,
            **self._monotone(shape),
        }

    def _monotone(self, shape: TreeInputs) -> dict[str, Any]:
        if not (self.rising or self.falling):
            return {}
        numbers = {c.name: i for i, c in enumerate(shape.codec.columns) if c.kind is Kind.NUMBER}
        signs = [0] * len(shape.names)
        for sign, names in ((1, self.rising), (-1, self.falling)):
            for name in names:
                if name not in numbers:
                    raise _no_such_number(name, numbers)
                signs[numbers[name]] = sign
        return {"monotone_constraints": "(" + ",".join(map(str, signs)) + ")"}


def load(folder: Path) -> BoostedModel:
    """The model that `save` wrote. Raises ArtifactRefused for trees of other bytes."""
    return BoostedModel(*read_trees(folder))


def read_trees(folder: Path) -> tuple[Header, bytes]:
    """What `save` wrote: the header, and the trees' bytes. Raises ArtifactRefused for trees of other bytes."""
    header = read_record(folder, MODEL_FILE, Header)
    try:
        trees = (folder / TREES_FILE).read_bytes()
    except OSError as error:
        raise _other_trees(folder, type(error).__name__, header.trees) from error
    if digest_of_bytes(trees) != header.trees:
        raise _other_trees(folder, digest_of_bytes(trees), header.trees)
    return header, trees


def _other_trees(folder: Path, found: str, expected: str) -> ArtifactRefused:
    return ArtifactRefused("the trees are not those that were saved", found=found, expected=expected, where=f"{folder.name}/{TREES_FILE}")


def import_xgboost() -> ModuleType:
    """The xgboost package. Raises ExtraMissing where it is not installed."""
    try:
        with _patient_threads():
            import xgboost
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            "xgboost is not installed", found=str(error), expected="xgboost-cpu ≥ 3", next="pip install 'gonogo[tabular]'"
        ) from error
    module: ModuleType = xgboost
    return module


@contextmanager
def _patient_threads() -> Iterator[None]:
    """While xgboost is loaded, ask its threads to sleep when they wait.

    OpenMP reads this once. By default its threads spin, and burn the cores of whoever else is at work: on two busy cores a fit then cost
    three times the processor seconds.
    """
    before = os.environ.get("OMP_WAIT_POLICY")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_WAIT_POLICY"]


def _tree_inputs(codec: Codec, matrix: Array) -> TreeInputs:
    fills: list[float | None] = []
    indicated = []
    for place, column in enumerate(codec.columns):
        x = matrix[:, place]
        known = x[~np.isnan(x)]
        if column.missing is not Missing.INDICATE or len(known) == 0:
            fills.append(None)
            continue
        # A null category is a category of its own; it needs no indicator beside it.
        is_category = column.kind is Kind.CATEGORY
        fills.append(float(len(column.categories)) if is_category else float(np.median(known)))
        if len(known) < len(x) and not is_category:
            indicated.append(place)
    return TreeInputs(codec=codec, fills=tuple(fills), indicated=tuple(indicated))


def _gains(booster: Any, names: tuple[str, ...]) -> tuple[Effect, ...]:
    gain = booster.get_score(importance_type="total_gain")
    total = sum(gain.values())
    effects = [
        Effect(name=name, value=gain.get(f"f{i}", 0.0) / total if total else 0.0, measured_in="share of gain")
        for i, name in enumerate(names)
    ]
    return tuple(sorted(effects, key=lambda effect: -effect.value))


def _no_such_number(name: str, numbers: dict[str, int]) -> UsageError:
    nearest = get_close_matches(name, numbers, n=1)
    return UsageError(
        f"'{name}' is no number among the inputs" + (f"; did you mean '{nearest[0]}'?" if nearest else ""),
        found=name,
        expected="the name of an input that is a number",
        where="learners.xgboost.params",
    )
