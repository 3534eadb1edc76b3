"""How is a saved model answered with, one row at a time, without the libraries that trained it?

Each kind of model has its way from a row to a probability; recalibrations and shifts bend it as they bend a table's. The answers are those
of `Model.predict`: a test compares every kind on thousands of rows, and whoever packages a model does so again on stored rows.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gonogo.families.tabular import boosted, logistic, prior
from gonogo.families.tabular.bends import SliceShifts, Stored, read_recalibration, read_shifts
from gonogo.families.tabular.boosted import read_trees
from gonogo.families.tabular.design import Category, Number
from gonogo.families.tabular.flat_trees import FlatTrees, read_nodes
from gonogo.families.tabular.outcome import PREDICTION
from gonogo.families.tabular.row_codec import NAN, RowCodec, as_text
from gonogo.families.tabular.storage import read_kind
from gonogo.stats.calibration import CLIP, Beta, Isotonic, Platt, Temperature
from gonogo.stats.imbalance import PriorCorrection
from gonogo.types.snapshot import Input, Kind, Missing

if TYPE_CHECKING:
    from gonogo.families.tabular.boosted import TreeInputs
    from gonogo.families.tabular.logistic import LogisticModel

Bend = Callable[[float, Sequence[Any]], float]  # (p, row) → p


class Rows(Protocol):
    """What each kind of model gives."""

    inputs: tuple[Input, ...]

    def probability(self, row: Sequence[Any]) -> float:
        """Of one row."""

    def probabilities(self, rows: Sequence[Sequence[Any]]) -> list[float]:
        """Of many rows, each as it is alone."""


class RowScorer:
    """A saved model, ready for single rows. Pure: threads may share it."""

    outputs = (PREDICTION,)

    def __init__(self, rows: Rows, bends: tuple[Bend, ...]) -> None:
        self.inputs = rows.inputs
        self._probability = rows.probability
        self._probabilities = rows.probabilities
        self._bends = bends

    def score(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """(p,). Raises DataError for a null that the contract refuses and for an infinity, ColumnMistyped, ColumnMissing."""
        p = self._probability(row)
        for bend in self._bends:
            p = bend(p, row)
        return (p,)

    def score_rows(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """One answer a row, each with the bits that it has alone. Raises as `score`, for the first row that is refused."""
        answers = self._probabilities(rows)
        for bend in self._bends:
            answers = [bend(p, row) for p, row in zip(answers, rows, strict=True)]
        return [(p,) for p in answers]


def open_scorer(folder: Path) -> RowScorer | None:
    """The scorer of a saved model; None where its kind is not known exactly, and `load` must answer. Raises ArtifactRefused."""
    open_rows = OPENERS.get(read_kind(folder))
    rows = None if open_rows is None else open_rows(folder)
    if rows is None:
        return None
    bends: list[Bend] = []
    recalibration, shifts = read_recalibration(folder), read_shifts(folder)
    if recalibration is not None:
        bends.append(_of_all(recalibration))
    if shifts is not None:
        if shifts.column not in [one.name for one in rows.inputs]:
            return None
        bends.append(_shifted(shifts, rows.inputs))
    return RowScorer(rows, tuple(bends))


class TreeRows:
    """Boosted trees: a null or unknown value goes the way of `TreeInputs.columns`."""

    def __init__(self, shape: TreeInputs, trees: FlatTrees, shift: float) -> None:
        codes = [NAN if fill is None else fill for fill in shape.fills]
        self._codec = RowCodec(shape.codec, null_codes=codes, unknown=NAN)
        self._trees, self._shift = trees, shift
        self._encode = self._codec.encode
        self._kernel, self._at = trees.bare  # no step in between on the way of every row
        self.inputs = self._codec.inputs

    def probability(self, row: Sequence[Any]) -> float:
        """Of one row."""
        log_odds = self._kernel(self._encode(row), self._at)
        if log_odds != log_odds:  # NaN: the kernel saw something that may not be there
            self._codec.refuse(row)
        return _logistic(log_odds + self._shift)

    def probabilities(self, rows: Sequence[Sequence[Any]]) -> list[float]:
        """Of many rows."""
        found = self._trees.log_odds_of_rows(self._codec.encode_rows(rows), len(rows))
        for row, log_odds in zip(rows, found, strict=True):
            if log_odds != log_odds:
                self._codec.refuse(row)
        return [_logistic(log_odds + self._shift) for log_odds in found]


def _open_trees(folder: Path) -> TreeRows | None:
    header, trees = read_trees(folder)
    shape = header.inputs
    nodes = read_nodes(trees, n_columns=len(shape.names))
    if nodes is None:
        return None
    columns = shape.codec.columns
    is_number = [column.kind is Kind.NUMBER for column in columns]
    fills = [fill if number and fill is not None else NAN for fill, number in zip(shape.fills, is_number, strict=True)]
    refused = [number and column.missing is Missing.REFUSE for column, number in zip(columns, is_number, strict=True)]
    flat = FlatTrees(nodes, fills=np.array(fills), refused=np.array(refused, bool), indicated=np.array(shape.indicated, np.int64))
    return TreeRows(shape, flat, header.shift)


class LogisticRows:
    """A logistic regression: the parts of a row added up in the order of `LogisticModel.predict`."""

    def __init__(self, model: LogisticModel) -> None:
        self._codec = RowCodec(model.codec)
        self._intercept = model.intercept
        self._numbers = tuple(_number_part(number) for number in model.numbers)
        self._categories = tuple(
            _category_part(category, len(model.codec.columns[category.place].categories)) for category in model.categories
        )
        self._refusing = tuple(place for place, column in enumerate(model.codec.columns) if column.missing is Missing.REFUSE)
        self.inputs = self._codec.inputs

    def probability(self, row: Sequence[Any]) -> float:
        """Of one row."""
        x = self._codec.numbers(row)
        if math.inf in x or -math.inf in x or any(x[place] != x[place] for place in self._refusing):
            self._codec.refuse(row)
        log_odds = self._intercept
        for place, fill, mean, scale, coefficient, null in self._numbers:
            value = x[place]
            log_odds += coefficient * ((value - mean) / scale) if value == value else coefficient * ((fill - mean) / scale) + null
        for place, coefficients, other, null in self._categories:
            code = x[place]
            log_odds += null if code != code else other if code < 0 else coefficients[int(code)]
        return _logistic(log_odds)

    def probabilities(self, rows: Sequence[Sequence[Any]]) -> list[float]:
        """Of many rows."""
        return [self.probability(row) for row in rows]


def _number_part(number: Number) -> tuple[int, float, float, float, float, float]:
    return (number.place, number.fill, number.mean, number.scale, number.coefficient, number.null)


def _category_part(category: Category, n_codes: int) -> tuple[int, list[float], float, float]:
    coefficients = [category.other] * n_codes
    for level, coefficient in zip(category.levels, category.coefficients, strict=True):
        coefficients[level] = coefficient
    return (category.place, coefficients, category.other, category.null)


def _open_logistic(folder: Path) -> LogisticRows:
    return LogisticRows(logistic.load(folder))


class PriorRows:
    """The rate, whatever the row."""

    inputs: tuple[Input, ...] = ()

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def probability(self, row: Sequence[Any]) -> float:
        """Of one row."""
        return self._rate

    def probabilities(self, rows: Sequence[Sequence[Any]]) -> list[float]:
        """Of many rows."""
        return [self._rate] * len(rows)


def _open_prior(folder: Path) -> PriorRows:
    return PriorRows(prior.load(folder).rate)


OPENERS: dict[str, Callable[[Path], Rows | None]] = {boosted.KIND: _open_trees, logistic.KIND: _open_logistic, prior.KIND: _open_prior}


def _logistic(x: float) -> float:
    small = math.exp(-abs(x))
    return 1.0 / (1.0 + small) if x >= 0 else small / (1.0 + small)


def _of_all(recalibration: Stored) -> Bend:
    """The recalibration of one probability: the formulas of `stats.calibration`, without its arrays."""
    match recalibration:
        case Platt(slope=slope, intercept=intercept):
            return lambda p, row: _logistic(slope * _logit(p) + intercept)
        case Temperature(temperature=temperature):
            return lambda p, row: _logistic(_logit(p) / temperature)
        case Beta(a=a, b=b, c=c):
            return lambda p, row: _logistic(a * math.log(_clipped(p)) - b * math.log1p(-_clipped(p)) + c)
        case Isotonic(scores=scores, probabilities=probabilities):
            return partial(_between_knots, scores, probabilities)
        case PriorCorrection(shift=shift):
            return partial(_with_odds, math.exp(shift / 2))


def _clipped(p: float) -> float:
    return min(max(p, CLIP), 1 - CLIP)


def _logit(p: float) -> float:
    inside = _clipped(p)
    return math.log(inside) - math.log1p(-inside)


def _between_knots(scores: tuple[float, ...], probabilities: tuple[float, ...], p: float, row: Sequence[Any]) -> float:
    above = bisect_right(scores, p)
    if above in (0, len(scores)):
        return probabilities[min(above, len(scores) - 1)]
    left, slope = above - 1, (probabilities[above] - probabilities[above - 1]) / (scores[above] - scores[above - 1])
    return slope * (p - scores[left]) + probabilities[left]


def _with_odds(half: float, p: float, row: Sequence[Any]) -> float:
    """Half of the factor to each class, so that neither overflows."""
    return p * half / (p * half + (1 - p) / half)


def _shifted(shifts: SliceShifts, inputs: tuple[Input, ...]) -> Bend:
    place = [one.name for one in inputs].index(shifts.column)
    halves = {value: math.exp(shift / 2) for value, shift in zip(shifts.values, shifts.shifts, strict=True)}

    def bend(p: float, row: Sequence[Any]) -> float:
        half = None if row[place] is None else halves.get(as_text(row[place]))
        return p if half is None else _with_odds(half, p, row)

    return bend
