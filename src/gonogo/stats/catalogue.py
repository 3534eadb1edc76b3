"""How much of the catalogue do the lists reach?"""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.stats.distributions import t_quantile
from gonogo.stats.estimates import estimated, require_level, unit_codes
from gonogo.stats.figure import Figure
from gonogo.stats.refusals import TooFewUnits, Undefined
from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, Estimate, IntArray


def catalogue_coverage(
    recommended: ArrayLike,
    *,
    catalogue: int | ArrayLike | AbstractSet[Any],
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """The share of the catalogue's items that stand in at least one list.

    recommended: (n_lists, k) item ids, or (n,) ids with `unit`; catalogue: how many items there are, or their ids; unit: of each list, or
    of each row, the list where none is given. A weight has no meaning here, and `seed` has no effect.

    More lists reach more items, so this says nothing of all lists that will ever be: it estimates, without bias, what as many units like
    these reach. Drawing units again would not do: a resample repeats some and lacks a third of them, and so reaches too little. The
    interval is the jackknife's: without unit g just the items vanish that g alone showed. Its variance is on average never below the true
    one (Efron & Stein 1981, Annals of Statistics 9), and is taken as at least that of one item shown by one unit, as coverage moves by
    whole items. Refuses below 2 units, and an empty catalogue.

    >>> coverage = catalogue_coverage([[1, 2], [2, 3], [2, 1]], catalogue=10)
    >>> coverage.value, coverage.n_units
    (0.3, 3)
    """
    require_level(level)
    items, units, n_units = _shown(recommended, unit)
    n_items = _size(catalogue, items)

    def figure() -> Figure:
        if n_units < 2:
            raise TooFewUnits(f"{n_units} unit: two are needed to see any spread")
        if n_items == 0:
            raise Undefined("the catalogue is empty: no share of it exists")
        n_reached, alone = _reached(items, units, n_units)
        error = _jackknife_error(alone) / n_items
        value, half = n_reached / n_items, t_quantile((1 + level) / 2, n_units - 1) * error
        interval = Interval(low=max(0.0, value - half), high=min(1.0, value + half), level=level, method="jackknife by unit, t(G-1)")
        return Figure(value=value, interval=interval, n_units=n_units, n_rows=len(items))

    return estimated("catalogue_coverage", figure, n_rows=len(items), n_units=n_units, better="higher")


def _shown(recommended: ArrayLike, unit: ArrayLike | None) -> tuple[np.ndarray, IntArray, int]:
    """(n,) ids and their unit codes."""
    given = np.asarray(recommended)
    _require_known(given, "an item that was shown")
    if given.ndim == 1 and unit is None:
        raise ValueError("one column of ids needs `unit`, which says whose list a row belongs to")
    if given.ndim not in (1, 2):
        raise ValueError(f"recommended has the shape {given.shape}: lists as rows, or one column of ids with their units")
    codes, n_units = unit_codes(unit, len(given))
    codes = np.arange(len(given)) if codes is None else codes
    return given.ravel(), np.repeat(codes, given.shape[1]) if given.ndim == 2 else codes, n_units


def _size(catalogue: int | ArrayLike | AbstractSet[Any], items: np.ndarray) -> int:
    """How many items there are. Raises ValueError where more were shown, or others: the share would not be one."""
    if isinstance(catalogue, AbstractSet):
        catalogue = np.array(list(catalogue))
    if np.ndim(catalogue) == 0:
        n_items, n_shown = int(catalogue), len(np.unique(items))  # type: ignore[arg-type]
        if n_shown > n_items:
            raise ValueError(f"{n_shown:,} different items were shown, of a catalogue of {n_items:,}")
        return n_items
    given = np.asarray(catalogue)
    _require_known(given, "an item of the catalogue")
    ids = np.unique(given)
    strange = np.setdiff1d(items, ids)
    if len(strange):
        raise ValueError(f"{len(strange):,} items that were shown are not in the catalogue, e.g. {strange[0]}")
    return len(ids)


def _require_known(items: np.ndarray, what: str) -> None:
    """Raises ValueError for NaN and None: shorter lists are given as one column of ids with their units, not filled up."""
    if (items != items).any() if items.dtype.kind != "O" else any(one is None or one != one for one in items.ravel().tolist()):
        raise ValueError(f"{what} is missing (None or NaN): give lists of unequal length as one column of ids with `unit`")


def _reached(items: np.ndarray, units: IntArray, n_units: int) -> tuple[int, Array]:
    """How many items were shown, and (n_units,) how many of them by this unit alone."""
    ids, item = np.unique(items, return_inverse=True)
    pairs = np.unique(item * n_units + units)  # an item twice in a unit's lists is shown once
    shown_by = np.bincount(pairs // n_units, minlength=len(ids))
    lone = pairs[shown_by[pairs // n_units] == 1] % n_units
    return len(ids), np.bincount(lone, minlength=n_units).astype(np.float64)


def _jackknife_error(alone: Array) -> float:
    """Of the number of items reached; 1 at least."""
    n_units = len(alone)
    return math.sqrt(max(1.0, (n_units - 1) / n_units * float(np.sum((alone - alone.mean()) ** 2))))
