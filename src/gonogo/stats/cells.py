"""How many hits, false alarms, misses and correct rejections does a threshold give, and how far may each ratio of them be off?

A row is called positive where its score is at or above the threshold. Every figure of a threshold is a ratio of two sums of the four cells,
R = Σ num_c · W_c / D with D = Σ den_c · W_c, and its spread between units comes from e_g = Σ_c (num_c − R · den_c) · W_cg / D, as in
`clustered`. All of these are read off one small table, the sums of products of the cells unit by unit; where each row is a unit of its own,
that table is the diagonal of the squared weights, and nothing is ever added up by unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.clustered import wilson
from gonogo.stats.estimates import Rows, require_binary, require_weights
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NotFinite, TooFewUnits, Undefined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.evidence import Array, IntArray

# A row's cell is 2 · outcome + (1 where it is called).
TRUE_NEGATIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE = range(4)
N_CELLS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """The rows of each cell, added up."""

    weight: Array  # (4,) Σ of the row weights
    squared: Array  # (4,) Σ of the squared row weights
    rows: IntArray  # (4,) rows with weight
    by_unit: Array | None  # (4, n_units) Σ of the row weights unit by unit; None where each row is a unit of its own

    def units_in(self, cells: NDArray[np.bool_]) -> int:
        """Units with weight in any of those cells."""
        if self.by_unit is None:
            return int(self.rows[cells].sum())
        return int((self.by_unit[cells].sum(axis=0) > 0).sum())

    def products(self) -> Array:
        """(4, 4) Σ over units of one cell's weight times another's."""
        if self.by_unit is None:
            return np.diag(self.squared)
        # Pair by pair: a matrix product would leave the order of the sums, and with it the last bits, to BLAS and its threads.
        table = np.empty((N_CELLS, N_CELLS))
        for a in range(N_CELLS):
            for b in range(a, N_CELLS):
                table[a, b] = table[b, a] = np.sum(self.by_unit[a] * self.by_unit[b])
        return table


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """A ratio of two sums of cells: which cells, how much of each, and what is said where there are none."""

    numerator: tuple[float, float, float, float]  # per cell, in the order TN, FP, FN, TP
    denominator: tuple[float, float, float, float]
    absent: str  # why the figure does not exist where the denominator is empty


def share(numerator: tuple[int, ...], denominator: tuple[int, ...], absent: str) -> Ratio:
    """The share of the rows in some cells among those in others."""
    tn, fp, fn, tp = (float(c in numerator) for c in range(N_CELLS))
    return Ratio(numerator=(tn, fp, fn, tp), denominator=_ones_at(denominator), absent=absent)


def cells_at(rows: Rows, threshold: float) -> Cells:
    """The four cells of rows at a threshold. Raises NotFinite for outcomes that are no 0 or 1, NaN scores and bad weights."""
    require_decidable(rows)
    return cells_of((2 * (rows.y == 1) + (rows.score >= threshold)).astype(np.intp), rows.weight, rows.unit, rows.n_units)


def cells_of(cell: NDArray[np.intp], weight: Array | None, unit: IntArray | None, n_units: int) -> Cells:
    """Rows added up by their cell. cell: (n,) 0 … 3."""
    if weight is None:
        rows = np.bincount(cell, minlength=N_CELLS)
        summed = squared = rows.astype(np.float64)
    else:
        rows = np.bincount(cell[weight > 0], minlength=N_CELLS)
        summed = np.bincount(cell, weights=weight, minlength=N_CELLS).astype(np.float64)
        squared = np.bincount(cell, weights=weight * weight, minlength=N_CELLS).astype(np.float64)
    by_unit = None
    if unit is not None:
        flat = np.bincount(cell * n_units + unit, weights=weight, minlength=N_CELLS * n_units)
        by_unit = flat.astype(np.float64, copy=False).reshape(N_CELLS, n_units)
    return Cells(weight=summed, squared=squared, rows=rows, by_unit=by_unit)


def require_decidable(rows: Rows) -> None:
    """Raises NotFinite for an outcome that is neither 0 nor 1, a score that is NaN, or a weight that is none."""
    require_binary(rows.y)
    require_weights(rows.weight)
    if np.isnan(rows.score).any():
        raise NotFinite("a score is NaN")


def ratio_of_cells(cells: Cells, ratio: Ratio, *, level: float) -> Figure:
    """A ratio in [0, 1] with Wilson's interval on its effective sample size; of 0 and 1 too it has a width.

    Raises Undefined where the denominator is empty, TooFewUnits below 2 units in it.
    """
    numerator, denominator = np.array(ratio.numerator), np.array(ratio.denominator)
    below = float(np.sum(denominator * cells.weight))
    if below <= 0:
        raise Undefined(ratio.absent)
    value = float(np.sum(numerator * cells.weight)) / below
    n_units = cells.units_in(denominator > 0)
    if n_units < 2:
        raise TooFewUnits(f"{n_units} unit with weight: two are needed to see any spread")
    error = (numerator - value * denominator) / below
    standard_error = math.sqrt(variance_of(error, cells.products(), n_units))
    most = _most_effective(cells, error, denominator, value)
    # At 0 and 1 Wilson's interval counts units, and must not count more of them than there are effective rows.
    counted = n_units if 0 < value < 1 else max(2, min(n_units, int(most)))
    interval = wilson(value, standard_error, n_units=counted, n_effective=most, level=level)
    return Figure(value=value, interval=interval, n_units=n_units, n_rows=int(cells.rows.sum()))


def variance_of(error: Array, products: Array, n_units: int) -> float:
    """G/(G−1) · Σ over units of (Σ_c error_c · W_cg)². error: (4,) how much one more of each cell moves the figure."""
    return max(0.0, n_units / (n_units - 1) * float(np.sum(error[:, None] * products * error[None, :])))


def _most_effective(cells: Cells, error: Array, denominator: Array, value: float) -> float:
    """The effective sample size if rows were independent: clusters that happen to agree must not count as more than their rows."""
    row_by_row = float(np.sum(error * error * cells.squared))
    if row_by_row > 0:
        return value * (1 - value) / row_by_row
    # At 0 and 1 no spread is seen: Kish's size, and what counts several times in the denominator (F-beta) counts once.
    at = denominator > 0
    kish = float(np.sum(cells.weight[at])) ** 2 / float(np.sum(cells.squared[at]))
    return kish * float(np.sum(denominator * cells.weight)) / float(np.sum(cells.weight[at]) * denominator.max())


def _ones_at(cells: tuple[int, ...]) -> tuple[float, float, float, float]:
    tn, fp, fn, tp = (float(c in cells) for c in range(N_CELLS))
    return (tn, fp, fn, tp)
