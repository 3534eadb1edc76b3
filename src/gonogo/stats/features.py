"""Which rows of several columns do two samples hold?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.estimates import require_level
from gonogo.stats.refusals import NotFinite, TooFewUnits
from gonogo.stats.two_samples import LARGEST, Outcome, Pair, Side, concluded

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Array, Tested


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """Two samples of the same columns; rows are independent."""

    a: Array  # (n_a, d) float64
    b: Array  # (n_b, d)

    @property
    def d(self) -> int:
        """Columns."""
        return int(self.a.shape[1])

    @property
    def n_rows(self) -> int:
        """Rows of both sides."""
        return len(self.a) + len(self.b)


def features_of(a: ArrayLike, b: ArrayLike, *, level: float) -> Features:
    """The arguments of a test of several columns. Raises ValueError for other columns on either side, for types and for levels."""
    require_level(level)
    both = Features(a=_columns(a, "a"), b=_columns(b, "b"))
    if both.a.shape[1] != both.b.shape[1] or both.d == 0:
        raise ValueError(f"a has {both.a.shape[1]} columns and b {both.b.shape[1]}: they must be the same, and at least one")
    return both


def require_finite(features: Features) -> None:
    """Raises the refusal of rows that have no distance: too few, NaN, infinite."""
    for side, name in ((features.a, "a"), (features.b, "b")):
        if len(side) < 2:
            raise TooFewUnits(f"{len(side)} row{'' if len(side) == 1 else 's'} in {name}: two are needed to see any spread")
        odd = int(len(side) - np.isfinite(side).all(axis=1).sum())
        if odd:
            raise NotFinite(f"{odd:,} of {len(side):,} rows of {name} hold NaN or infinity: they have no distance")
        if np.abs(side).max(initial=0.0) > LARGEST:
            raise NotFinite(f"{name} holds values beyond {LARGEST:g}, whose squares are no numbers any more: compare ranks")


def rows_at_most(features: Features, most: int, rng: np.random.Generator) -> Features:
    """At most so many rows of either side, drawn without replacement."""
    a, b = (side if len(side) <= most else side[np.sort(rng.choice(len(side), most, replace=False))] for side in (features.a, features.b))
    return Features(a=a, b=b)


def standardised(features: Features) -> Features:
    """Each column less its pooled mean, over its pooled standard deviation; a column without any becomes 0."""
    both = np.concatenate([features.a, features.b])
    mean, sd = both.mean(axis=0), both.std(axis=0)
    sd = np.where(sd > 1e-12 * np.abs(mean), sd, np.inf)
    return Features(a=(features.a - mean) / sd, b=(features.b - mean) / sd)


def concluded_of(test: str, null: str, found: Callable[[], Outcome], features: Features, *, metric: str) -> Tested:
    """What `found` gives as a Tested; where it raises Refused, one that says why."""
    return concluded(test, null, found, _rows(features), metric=metric)


def _rows(features: Features) -> Pair:
    """The rows without their columns: how many there are."""
    a, b = (Side(values=side[:, 0], weight=None, unit=None, n_units=len(side)) for side in (features.a, features.b))
    return Pair(a=a, b=b, n_codes=0, is_shared=False)


def _columns(given: ArrayLike, name: str) -> Array:
    values = np.asarray(given)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise ValueError(f"{name} has the shape {values.shape} and the type {values.dtype}: rows of numbers are needed")
    return np.ascontiguousarray(values, dtype=np.float64)
