"""How does a figure, or the reason why there is none, become an Estimate?

What the data cannot give (one class only, NaN, too few units) is an Estimate without a value whose `refused` says why. A call that makes
no sense (arrays of other lengths, a level of 2) is a ValueError: the data is not to blame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.stats.figure import Figure
from gonogo.stats.refusals import NotFinite, Refused
from gonogo.types.evidence import Estimate, Of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array, IntArray

_SPREAD = 4  # integer units that span at most so many times the rows are looked up in a table; wider ones are sorted


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """One table of outcomes and scores, shapes checked, values not yet."""

    y: Array  # (n,) float64
    score: Array  # (n,) float64
    weight: Array | None  # (n,) float64; None where every row weighs 1
    unit: IntArray | None  # (n,) int64 codes 0 … n_units − 1; None where every row is a unit of its own
    n_units: int

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.y)

    @property
    def weights(self) -> Array:
        """(n,) weights, ones where none were given."""
        return np.ones(self.n) if self.weight is None else self.weight

    @property
    def units(self) -> IntArray:
        """(n,) unit codes, the row number where none were given."""
        return np.arange(self.n) if self.unit is None else self.unit


def rows_of(y: ArrayLike, score: ArrayLike, *, weight: ArrayLike | None, unit: ArrayLike | None, level: float = 0.95) -> Rows:
    """The arguments of a public statistic as arrays. unit: anything that tells units apart: numbers, text, times.

    Raises ValueError for arrays that are not the same rows, are not numbers, or a level outside (0, 1).
    """
    require_level(level)
    outcomes, scores = as_floats(y, "y"), as_floats(score, "score")
    if outcomes.shape != scores.shape:
        raise ValueError(f"y has the shape {outcomes.shape} and score {scores.shape}: they must be the same rows")
    weights = None if weight is None else as_floats(weight, "weight")
    codes, n_units = unit_codes(unit, len(outcomes))
    if weights is not None and len(weights) != len(outcomes):
        raise ValueError(f"{len(weights):,} weights for {len(outcomes):,} rows")
    return Rows(y=outcomes, score=scores, weight=weights, unit=codes, n_units=n_units)


def as_floats(values: ArrayLike, name: str) -> Array:
    """(n,) float64. Raises ValueError for what is no number or has other than one dimension."""
    given = np.asarray(values)
    if given.ndim != 1 or given.dtype.kind not in "biuf":
        raise ValueError(f"{name} has the shape {given.shape} and the type {given.dtype}: one column of numbers is needed")
    return np.ascontiguousarray(given, dtype=np.float64)


def unit_codes(unit: ArrayLike | None, n: int) -> tuple[IntArray | None, int]:
    """Codes 0 … n_units − 1 in the order of the sorted unit values, and n_units; None and n where no unit was given."""
    if unit is None:
        return None, n
    given = np.asarray(unit)
    if given.shape != (n,):
        raise ValueError(f"unit has the shape {given.shape} for {n:,} rows")
    if given.dtype.kind in "fcmM" and (np.isnat(given) if given.dtype.kind in "mM" else np.isnan(given)).any():
        raise ValueError("a unit is NaN or NaT: whose row it is must be known")
    if given.dtype.kind == "O":
        return _codes_of_objects(given)
    if given.dtype.kind in "iu" and n and int(given.max()) - int(given.min()) <= _SPREAD * n:
        return _codes_of_near_integers(given)
    values, codes = np.unique(given, return_inverse=True)
    return codes.astype(np.int64, copy=False), len(values)


def _codes_of_near_integers(given: NDArray[Any]) -> tuple[IntArray, int]:
    """By a table of which integers are there: no sort."""
    low = given.min()
    # Signed ones are widened first: 127 − (−128) is no int8. Of unsigned ones, and of int64 so near each other, no difference overflows.
    place = given - low if given.dtype.kind == "u" else given.astype(np.int64, copy=False) - np.int64(low)
    place = place.astype(np.int64, copy=False)
    is_there = np.zeros(int(place.max()) + 1, dtype=np.bool_)
    is_there[place] = True
    code = np.cumsum(is_there, dtype=np.int64) - 1
    return code[place], int(code[-1]) + 1


def _codes_of_objects(given: NDArray[Any]) -> tuple[IntArray, int]:
    """By a dictionary: only distinct ones are sorted. Raises ValueError for a missing one, and for kinds that have no common order."""
    labels = given.tolist()
    try:
        distinct = set(labels)
        if None in distinct or any(label != label for label in distinct):
            raise ValueError("a unit is missing (None or NaN): whose row it is must be known")
        number = {label: code for code, label in enumerate(sorted(distinct))}
    except TypeError as error:
        raise ValueError(f"the units are of kinds that do not compare: {error}") from None
    return np.fromiter((number[label] for label in labels), dtype=np.int64, count=len(labels)), len(number)


def require_level(level: float) -> None:
    """Raises ValueError for a level that is no probability of an interval."""
    if not 0 < level < 1:
        raise ValueError(f"the level is {level}: it must lie between 0 and 1, e.g. 0.95")


def require_binary(y: Array) -> None:
    """Raises NotFinite for an outcome that is neither 0 nor 1."""
    if not ((y == 0) | (y == 1)).all():
        raise NotFinite("an outcome is neither 0 nor 1")


def require_weights(weight: Array | None) -> None:
    """Raises NotFinite for a weight that is NaN, infinite or negative."""
    if weight is not None and (not np.isfinite(weight).all() or (weight < 0).any()):
        raise NotFinite("a weight is NaN, infinite or negative")


def estimated(
    metric: str,
    figure: Callable[[], Figure],
    *,
    n_rows: int,
    n_units: int,
    better: str,
    measured_in: str = "",
    of: Of = Of.CHALLENGER,
    slice: str = "",  # noqa: A002
) -> Estimate:
    """What `figure` gives as an Estimate; where it raises Refused, an Estimate without a value that says why."""
    facts: dict[str, Any] = {"metric": metric, "of": of, "slice": slice, "n_rows": n_rows, "measured_in": measured_in, "better": better}
    try:
        found = figure()
    except Refused as refused:
        return Estimate(value=None, interval=None, n_units=n_units, refused=str(refused), **facts)
    return Estimate(value=found.value, interval=found.interval, n_units=found.n_units, **facts)
