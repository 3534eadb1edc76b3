"""Is one value of an input answered too high or too low throughout, and does that hold on units that it was not learnt from?

The log-odds of a value's rows are shifted, on top of what bends all rows. A model sees inputs only, so that a slice column takes part only
where an input of the same name says the same in every row. One column at most is kept: its values share no row, so that every shift does
what it was judged to do. A value is kept where its gain on held-out units is beyond doubt, the doubt divided among all values of all
columns that were tried; all others are answered as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gonogo.families.tabular.bends import SLICES_FILE, SliceShifts, read_shifts
from gonogo.families.tabular.held_out import BLOCKS, Gain, Judged, answered, gain
from gonogo.families.tabular.outcome import PREDICTION, read_probability
from gonogo.families.tabular.storage import write_record
from gonogo.stats.calibration import logistic, logit
from gonogo.stats.refusals import Refused
from gonogo.types.errors import ColumnMissing

if TYPE_CHECKING:
    from gonogo.stats.calibration import Recalibration
    from gonogo.types.evidence import Array, Effect, IntArray
    from gonogo.types.protocols import Examples, Model

KIND = "slice_shifts"
LEAST_UNITS = 30  # of a value: with fewer an interval at a level far out does not hold what it promises
LEAST_OF_A_CLASS = 50  # rows of a value
DOUBT = 0.05  # divided among all values that are tried
TOLD = 3  # values in a sentence, those that gain most


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftedValue:
    """A value whose shift holds on units that it was not learnt from."""

    column: str
    value: str
    gain: Gain
    n_rows: int

    @property
    def nats(self) -> float:
        """Gained in all."""
        return (self.gain.before - self.gain.after) * self.n_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldShifts:
    """What holds out of sample."""

    values: tuple[ShiftedValue, ...]  # of one column
    p: Array  # (n,) held-out probabilities with these values shifted
    n_tried: int  # values of all columns

    @property
    def column(self) -> str:
        """Whose values are shifted."""
        return self.values[0].column

    def __str__(self) -> str:
        by_gain = sorted(self.values, key=lambda one: -one.nats)
        told = [f"{one.column}={one.value}: {one.gain}" for one in by_gain[:TOLD]]
        told += [f"and {len(by_gain) - TOLD} more"] if len(by_gain) > TOLD else []
        return f"{len(self.values)} of {self.n_tried} values shifted ({'; '.join(told)})"


class ShiftedModel:
    """A model whose log-odds are shifted where an input holds certain values."""

    def __init__(self, model: Model, shifts: SliceShifts) -> None:
        self._model = model
        self._shifts = shifts

    def predict(self, inputs: pa.Table) -> pa.Table:
        """(n,) shifted probabilities. Raises what the model raises, and ColumnMissing."""
        p = read_probability(self._model.predict(inputs))
        return pa.table({PREDICTION: self._shifts.apply(p, _required(inputs, self._shifts.column))})

    def save(self, folder: Path) -> None:
        """Write the model's files and slices.json."""
        self._model.save(folder)
        write_record(folder, SLICES_FILE, KIND, self._shifts)

    def effects(self) -> tuple[Effect, ...]:
        """Those of the model."""
        return self._model.effects()


def shifts_that_hold(validate: Examples, judged: Judged, recalibrations: tuple[Recalibration, ...]) -> HeldShifts | None:
    """The values of one column whose shift helps beyond doubt; None where there is none.

    recalibrations: of each block the bend of all rows, fitted on the other blocks; shifts are learnt and judged on top of it.
    """
    before = answered(recalibrations, judged)
    after = {column: _held_out_answers(_codes(validate, column), judged, recalibrations) for column in slice_inputs(validate)}
    tried = [(column, value, rows) for column in after for value, rows in _large_values(_codes(validate, column), judged)]
    held = []
    for column, value, rows in tried:
        seen = _gain_of_rows(judged, before, after[column], rows, level=1 - DOUBT / len(tried))
        if seen is not None and seen.is_beyond_doubt:
            held.append(ShiftedValue(column=column, value=value, gain=seen, n_rows=len(rows)))
    if not held:
        return None
    best = max(after, key=lambda column: sum(one.nats for one in held if one.column == column))
    kept = tuple(one for one in held if one.column == best)
    shifted = pc.is_in(_texts(validate.inputs, best), value_set=pa.array([one.value for one in kept])).to_numpy()
    return HeldShifts(values=kept, p=np.where(shifted, after[best], before), n_tried=len(tried))


def fit_shifts(validate: Examples, y: Array, p: Array, held: HeldShifts) -> SliceShifts:
    """The shifts of the values that held, learnt from the whole of validate. p: (n,) as all rows are bent."""
    coded = _codes(validate, held.column)
    shifts = dict(zip(coded.values, _shifts(coded.code, len(coded.values), y, p).tolist(), strict=True))
    values = tuple(sorted(one.value for one in held.values))
    # Ten digits, as for every other fit that an artifact holds.
    return SliceShifts(column=held.column, values=values, shifts=tuple(float(f"{shifts[value]:.10g}") for value in values))


def load_around(model: Model, folder: Path) -> Model:
    """The model, with the shifts that lie in its folder, if any do."""
    shifts = read_shifts(folder)
    return model if shifts is None else ShiftedModel(model, shifts)


def slice_inputs(examples: Examples) -> tuple[str, ...]:
    """The slice columns that are inputs too and say the same in every row: what a model can tell apart when it answers.

    Text, whole numbers and booleans only: a measured number seldom comes twice.
    """
    shared = [name for name in examples.slices.column_names if name in examples.inputs.column_names]
    return tuple(name for name in shared if _has_values(examples.inputs.column(name).type) and _is_same(examples, name))


def _has_values(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _is_same(examples: Examples, name: str) -> bool:
    """Null is no value of an input, and however a slice calls it, it is never shifted."""
    ours, theirs = _texts(examples.inputs, name), examples.slices.column(name)
    return bool(pc.all(pc.equal(ours, theirs.cast(pa.string())), min_count=0).as_py())


def _texts(inputs: pa.Table, column: str) -> pa.ChunkedArray:
    return inputs.column(column).cast(pa.string())


def _required(inputs: pa.Table, column: str) -> pa.ChunkedArray:
    if column not in inputs.column_names:
        raise ColumnMissing(
            f"the input '{column}' is not there",
            found=", ".join(inputs.column_names[:12]) or "no columns",
            expected=column,
            where=f"inputs.{column}",
            next="give every column that the model was fitted on; further ones are ignored",
        )
    return _texts(inputs, column)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Coded:
    """A column's values, and which row holds which; null is −1."""

    values: tuple[str, ...]
    code: IntArray


def _codes(examples: Examples, column: str) -> _Coded:
    texts = _texts(examples.inputs, column)
    values = pc.unique(texts).drop_null().sort()
    return _Coded(values=tuple(values.to_pylist()), code=pc.fill_null(pc.index_in(texts, value_set=values), -1).to_numpy().astype(np.int64))


def _large_values(coded: _Coded, judged: Judged) -> list[tuple[str, IntArray]]:
    """The values with units and rows of both classes enough to be judged, each with its rows."""
    known = coded.code >= 0
    rows = np.bincount(coded.code[known], minlength=len(coded.values))
    positives = np.bincount(coded.code[known], weights=judged.y[known], minlength=len(coded.values))
    large = np.flatnonzero(np.minimum(positives, rows - positives) >= LEAST_OF_A_CLASS)
    order = np.argsort(coded.code, kind="stable")
    starts, ends = (np.searchsorted(coded.code[order], large, side=side) for side in ("left", "right"))
    each = [(coded.values[v], order[start:end]) for v, start, end in zip(large, starts, ends, strict=True)]
    return [(value, rows) for value, rows in each if len(np.unique(judged.unit[rows])) >= LEAST_UNITS]


def _gain_of_rows(judged: Judged, before: Array, after: Array, rows: IntArray, *, level: float) -> Gain | None:
    _, unit = np.unique(judged.unit[rows], return_inverse=True)
    try:
        return gain(judged.y[rows], before[rows], after[rows], unit, level=level)
    except Refused:
        return None


def _held_out_answers(coded: _Coded, judged: Judged, recalibrations: tuple[Recalibration, ...]) -> Array:
    """(n,) every value shifted as the other blocks say."""
    p = np.empty_like(judged.p)
    for b in range(BLOCKS):
        learn, judge = judged.block != b, judged.block == b
        shifts = _shifts(coded.code[learn], len(coded.values), judged.y[learn], recalibrations[b].apply(judged.p[learn]))
        bent = logit(recalibrations[b].apply(judged.p[judge]))
        p[judge] = logistic(bent + np.append(shifts, 0.0)[coded.code[judge]])
    return p


def _shifts(code: IntArray, n_values: int, y: Array, p: Array) -> Array:
    """(values,) what is added to the log-odds of a value's rows so that the outcomes are likeliest, held back by a normal prior of
    spread 1: it counts like a few rows, and keeps a value of one class finite.

    Newton's steps of at most 1: from 1.25 away or less they come ever nearer, because the curvature changes by no more than a factor e.
    """
    known = code >= 0
    code, y, x = code[known], y[known], logit(p[known])
    shift = np.zeros(n_values)
    for _ in range(100):
        said = logistic(x + shift[code])
        slope = np.bincount(code, weights=y - said, minlength=n_values) - shift
        curvature = np.bincount(code, weights=said * (1 - said), minlength=n_values) + 1
        step = np.clip(slope / curvature, -1, 1)
        shift = shift + step
        if np.max(np.abs(step), initial=0.0) <= 1e-12:
            break
    return shift
