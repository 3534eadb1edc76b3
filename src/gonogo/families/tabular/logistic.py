"""Which odds does each input multiply?

Numbers are scaled by train's mean and standard deviation, nulls imputed with train's median and told by an indicator, categories one-hot.
Rare categories share one coefficient, which an unknown one gets too. Prediction is plain numpy, one column after the other, so that one
row at a time gives the bits of the batch.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.design import Category, Design, Number, number_of, slot_of_code
from gonogo.families.tabular.outcome import PREDICTION, read_both_classes, read_unit
from gonogo.families.tabular.parameters import require_count, require_number
from gonogo.families.tabular.sampling import sampled
from gonogo.families.tabular.storage import MODEL_FILE, read_record, write_record
from gonogo.families.tabular.table import Codec, fit_codec
from gonogo.stats.distributions import t_quantile
from gonogo.types.evidence import Effect
from gonogo.types.snapshot import Kind

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.families.tabular.design import Problem
    from gonogo.families.tabular.newton import Solution
    from gonogo.types.evidence import Array, IntArray
    from gonogo.types.protocols import Examples
    from gonogo.types.snapshot import Input

KIND = "logistic_regression"


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """The parts of all numbers side by side, (numbers,) each."""

    places: IntArray
    fills: Array
    means: Array
    scales: Array
    coefficients: Array
    nulls: Array


@dataclass(frozen=True, kw_only=True)
class LogisticModel:
    """p = 1 / (1 + exp(-(intercept + Σ parts)))."""

    codec: Codec
    intercept: float
    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    ratios: tuple[Effect, ...]

    def predict(self, inputs: pa.Table) -> pa.Table:
        """(n,) probabilities. Raises as `Codec.encode_strictly`."""
        import pyarrow as pa

        matrix = self.codec.encode_strictly(inputs)
        log_odds = np.full(len(matrix), self.intercept)
        x = matrix[:, self._terms.places]
        null = np.isnan(x)
        parts = np.where(null, self._terms.fills, x)
        parts = self._terms.coefficients * ((parts - self._terms.means) / self._terms.scales) + self._terms.nulls * null
        for j in range(parts.shape[1]):  # not a sum over the axis, whose order of adding depends on the number of rows
            log_odds += parts[:, j]
        for category, table in zip(self.categories, self._coefficients, strict=True):
            log_odds += table[slot_of_code(matrix[:, category.place], len(table) - 2)]
        return pa.table({PREDICTION: logistic(log_odds)})

    def save(self, folder: Path) -> None:
        """Write model.json."""
        write_record(folder, MODEL_FILE, KIND, self)

    def effects(self) -> tuple[Effect, ...]:
        """Odds ratios with 95 % intervals clustered by unit, the strongest first."""
        return self.ratios

    @cached_property
    def _terms(self) -> Terms:
        numbers = self.numbers
        return Terms(
            places=np.array([number.place for number in numbers], dtype=np.int64),
            fills=np.array([number.fill for number in numbers]),
            means=np.array([number.mean for number in numbers]),
            scales=np.array([number.scale for number in numbers]),
            coefficients=np.array([number.coefficient for number in numbers]),
            nulls=np.array([number.null for number in numbers]),
        )

    @cached_property
    def _coefficients(self) -> tuple[Array, ...]:
        """For each category: one coefficient per code, then `other`, then `null`."""
        tables = []
        for category in self.categories:
            n_codes = len(self.codec.columns[category.place].categories)
            table = np.full(n_codes + 2, category.other)
            table[list(category.levels)] = category.coefficients
            table[-1] = category.null
            tables.append(table)
        return tuple(tables)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogisticRegression:
    """Logistic regression with a ridge that leaves the intercept alone."""

    C: float = 1.0  # weight of the data against the ridge: loss = ½ Σβ² + C · Σ nats; class weights make the data weigh no more
    min_category_rows: int = 20  # a category with fewer train rows shares the coefficient of the rare ones
    max_categories: int = 200  # at most so many categories of one input, the most frequent, have a coefficient of their own
    positive_weight: float = 1.0  # weight of the positives in the fit; the intercept is corrected so that probabilities stay true
    negatives_kept: float = 1.0  # share of the negatives that are fitted on; the intercept is corrected for that too

    def __post_init__(self) -> None:
        require_number(KIND, "C", self.C, above=0)
        require_count(KIND, "min_category_rows", self.min_category_rows, at_least=1)
        require_count(KIND, "max_categories", self.max_categories, at_least=1)
        require_number(KIND, "positive_weight", self.positive_weight, above=0)
        require_number(KIND, "negatives_kept", self.negatives_kept, above=0, at_most=1)

    def fit(
        self, train: Examples, validate: Examples, *, inputs: tuple[Input, ...], seed: int, threads: int, budget_s: float | None
    ) -> LogisticModel:
        """The penalised maximum of the likelihood, by one thread; the seed draws the negatives where not all are kept.

        Raises OutcomeRefused for one class only, BudgetSpent where it takes longer than budget_s.
        Source: Newton's method; prior correction as in King & Zeng (2001), Political Analysis 9(2).
        """
        from gonogo.families.tabular.newton import minimise

        deadline = None if budget_s is None else time.monotonic() + budget_s
        y = read_both_classes(train.outcomes)
        codec = fit_codec(train.inputs, inputs)
        part = sampled(y, negatives_kept=self.negatives_kept, positive_weight=self.positive_weight, seed=seed)
        design = self._design(codec, codec.encode(part.of(train.inputs)))
        problem = design.problem(y[part.rows], positive_weight=self.positive_weight, ridge=1 / (self.C * part.scale))
        solution = minimise(problem, deadline=deadline)
        return LogisticModel(
            codec=codec,
            intercept=float(solution.beta[0]) + part.correction.shift,
            numbers=design.fitted_numbers(solution.beta),
            categories=design.fitted_categories(solution.beta),
            ratios=_ratios(codec, design, problem, solution, read_unit(train.outcomes)[part.rows]),
        )

    def _design(self, codec: Codec, matrix: Array) -> Design:
        numbers, categories = [], []
        for place, column in enumerate(codec.columns):
            x = matrix[:, place]
            if column.kind is Kind.CATEGORY:
                categories.append(self._category(place, x, len(column.categories)))
            elif (number := number_of(place, x)) is not None:
                numbers.append(number)
        return Design(matrix=matrix, numbers=tuple(numbers), categories=tuple(categories))

    def _category(self, place: int, codes: Array, n_codes: int) -> Category:
        rows = np.bincount(codes[codes >= 0].astype(np.int64), minlength=n_codes)
        by_size = np.lexsort((np.arange(n_codes), -rows))[: self.max_categories]
        kept = sorted(int(code) for code in by_size if rows[code] >= self.min_category_rows)
        return Category(place=place, levels=tuple(kept))


def logistic(log_odds: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow at either end."""
    small = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, 1 / (1 + small), small / (1 + small))


def load(folder: Path) -> LogisticModel:
    """The model that `save` wrote."""
    return read_record(folder, MODEL_FILE, LogisticModel)


def _ratios(codec: Codec, design: Design, problem: Problem, solution: Solution, unit: IntArray) -> tuple[Effect, ...]:
    """Odds ratios of every coefficient that some row moved, the strongest per standard deviation first."""
    from gonogo.families.tabular.sandwich import standard_errors

    errors = standard_errors(problem, solution, unit)
    n_units = len(np.unique(unit))
    spread = design.spreads(codec)
    rank = np.argsort(-np.abs(solution.beta) * spread, kind="stable")
    names = design.names(codec)
    return tuple(
        _ratio(names[k], float(solution.beta[k]), None if errors is None else float(errors[k]), n_units) for k in rank if spread[k] > 0
    )


def _ratio(name: tuple[str, str], beta: float, error: float | None, n_units: int) -> Effect:
    if error is None:
        return Effect(name=name[0], value=_odds(beta), measured_in=name[1])
    half = t_quantile(0.975, n_units - 1) * error
    return Effect(name=name[0], value=_odds(beta), low=_odds(beta - half), high=_odds(beta + half), measured_in=name[1])


def _odds(log_odds: float) -> float:
    """exp, kept finite: a record holds no infinity."""
    return float(np.exp(min(max(log_odds, -700.0), 700.0)))
