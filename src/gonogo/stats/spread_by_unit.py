"""How far may the figures of many slices be off, from each row's share in their error?

Within a slice a unit's shares add up to e, and the variance is G/(G−1) · Σ e², as in `clustered` and `influence`. All that is kept of a
slice is Σ e², Σ e⁴ and its number of units; nothing of the size slices × units is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.refusals import NoSpread, TooFewUnits
from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.stats.influence import Scale
    from gonogo.types.evidence import Array, IntArray

_ROUNDING = 1e-12  # a spread below this share of the figure's size is rounding, not spread


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitRows:
    """The rows unit by unit."""

    row: IntArray  # (n,) row numbers; empty where each row is a unit of its own
    start: IntArray  # (n_units + 1,) where each unit begins there
    is_own: bool  # each row is a unit of its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Powers:
    """What the spread of m figures of n slices is made of."""

    n_units: IntArray  # (n,) units with weight
    squares: Array  # (n, m) Σ e² over units
    fourths: Array  # (n, m) Σ e⁴ over units


def unit_rows(unit: IntArray | None, n_units: int) -> UnitRows:
    """unit: (n,) codes 0 … n_units − 1; None where each row is its own. One stable sort."""
    if unit is None:
        return UnitRows(row=np.zeros(0, dtype=np.int64), start=np.zeros(1, dtype=np.int64), is_own=True)
    start = np.concatenate([[0], np.cumsum(np.bincount(unit, minlength=n_units))])
    return UnitRows(row=np.argsort(unit, kind="stable").astype(np.int64), start=start, is_own=False)


def powers_of_units(
    influence: Array, code: NDArray[np.signedinteger[Any]], n_slices: int, units: UnitRows, weight: Array | None = None
) -> Powers:
    """The rows' influence (n, m) added up by unit within each slice, and its powers summed. code: (n,) slice of each row."""
    from gonogo.stats.kernels_slices import powers_by_unit, sums_by_slice

    m = influence.shape[1]
    if units.is_own:
        squared = influence * influence
        sums = sums_by_slice(np.concatenate([squared, squared * squared], axis=1), code, n_slices)
        n_units = np.bincount(code if weight is None else code[weight > 0], minlength=n_slices)
        return Powers(n_units=n_units, squares=sums[:, :m], fourths=sums[:, m:])
    sums = powers_by_unit(influence, np.zeros(0) if weight is None else weight, code, units.row, units.start, n_slices)
    return Powers(n_units=sums[:, 0].astype(np.int64), squares=sums[:, 1::2], fourths=sums[:, 2::2])


def interval_of_powers(
    value: float, squares: float, fourths: float, n_units: int, *, level: float, scale: Scale, source: str = "influence"
) -> Interval:
    """`influence.interval_of_influence` of a slice of which only the powers were kept; fourths 0: t has G − 1 degrees of freedom.

    Raises TooFewUnits below 2 units, NoSpread where no unit sways the figure or it lies at an end of its scale.
    """
    if n_units < 2:
        raise TooFewUnits(f"{n_units} unit with weight: two are needed to see any spread")
    error = math.sqrt(n_units / (n_units - 1) * squares)
    if error <= _ROUNDING * max(abs(value), 1e-3) or not scale.low < value < scale.high:
        raise NoSpread("every unit gave the same: how far the truth may be is unknown")
    half = t_quantile((1 + level) / 2, _degrees_of_freedom(squares, fourths, n_units)) * error * scale.slope(value)
    centre = scale.there(value)
    return Interval(low=scale.back(centre - half), high=scale.back(centre + half), level=level, method=f"{source} by unit{scale.words}, t")


def _degrees_of_freedom(squares: float, fourths: float, n_units: int) -> float:
    """As `influence.degrees_of_freedom`, from the sums."""
    spread = fourths - squares * squares / n_units
    limit = float(n_units - 1)
    return limit if spread <= 2 * squares * squares / limit else float(max(1.0, round(2 * squares * squares / spread)))
