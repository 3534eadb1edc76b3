"""Does one column differ between two populations, and in which way?

Each kind of column has one effect that exists for any values (the distance of distributions, Cramér's V, the difference of shares); numbers
have their means and their order beside it, and whatever is missing somewhere has its share compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.stats.categories import as_column, category_codes, chi_square_of_codes, fisher, is_nothing
from gonogo.stats.differences import Examined, Margins, Measured
from gonogo.stats.means import hedges_g, welch
from gonogo.stats.ranks import distance_of, kolmogorov_smirnov, mann_whitney, superiority_of, tally
from gonogo.stats.two_samples import Pair, concluded, pair_of, require_comparable

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gonogo.types.evidence import Array, IntArray, Tested


@dataclass(frozen=True, kw_only=True, slots=True)
class Coded:
    """A column of categories as codes, for what would be too large as text."""

    codes: IntArray  # (n,) places in `values`; −1 is missing
    values: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Both:
    """One column of both sides, of one kind."""

    kind: str  # "numbers" | "yes or no" | "categories"
    a: NDArray[Any]  # (n_a,) float64, NaN missing; of categories codes, −1 missing
    b: NDArray[Any]
    n_categories: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Units:
    """The independent unit of every row; None where every row is one."""

    a: IntArray | None
    b: IntArray | None


def both_sides(a: ArrayLike | Coded, b: ArrayLike | Coded) -> Both | str:
    """The column as numbers, yes or no, or categories; or a sentence where the sides are of different types.

    Times become seconds; numbers of which all are 0 or 1 are yes or no.
    """
    type_a, type_b = _type(a), _type(b)
    if type_a != type_b and "nothing" not in (type_a, type_b):
        return f"of another type: {type_a} in A, {type_b} in B"
    if type_a in ("text", "nothing") and type_b in ("text", "nothing"):
        return _as_categories(a, b)
    numbers_a, numbers_b = _as_numbers(a), _as_numbers(b)
    if all(_is_binary(side) for side in (numbers_a, numbers_b)):
        return Both(kind="yes or no", a=numbers_a, b=numbers_b)
    return Both(kind="numbers", a=numbers_a, b=numbers_b)


def examined(column: str, kind: str, both: Both, units: Units, margins: Margins, *, level: float, seed: int) -> Examined:
    """Every effect of a column without missing values, with its test.

    kind: "feature", "score" or "rate", which decides what a yes or no is held against.
    """
    smaller = min(_n_units(side, unit) for side, unit in ((both.a, units.a), (both.b, units.b)))
    effects = MEASURES["rate" if kind == "rate" and both.kind == "yes or no" else both.kind](both, units, margins, level, seed)
    return Examined(column=column, kind=kind, measured=effects, n_units=smaller)


def missing_shares(both: Both, units: Units, margins: Margins, *, level: float) -> tuple[Measured, ...]:
    """The difference of the shares that are missing; nothing where no value is."""
    is_missing_a, is_missing_b = _missing(both.a, both), _missing(both.b, both)
    if not is_missing_a.any() and not is_missing_b.any():
        return ()
    test = fisher(is_missing_a, is_missing_b, unit_a=units.a, unit_b=units.b, level=level)
    named = replace(test, effect=replace(test.effect, metric="difference of missing shares"))
    return (Measured(tested=named, null=0.0, margin=margins.missing),)


def with_value(both: Both, units: Units) -> tuple[Both, Units]:
    """The rows of a column that are not missing."""
    is_missing_a, is_missing_b = _missing(both.a, both), _missing(both.b, both)
    if not is_missing_a.any() and not is_missing_b.any():
        return both, units
    there_a, there_b = ~is_missing_a, ~is_missing_b
    kept = Units(a=None if units.a is None else units.a[there_a], b=None if units.b is None else units.b[there_b])
    return replace(both, a=both.a[there_a], b=both.b[there_b]), kept


def relative_margin(share: float, times: float) -> float:
    """That share of the rarer of yes and no; of at least one row in a million, where there is none of one."""
    return times * max(min(share, 1 - share), 1e-6)


def _numbers(both: Both, units: Units, margins: Margins, level: float, seed: int) -> tuple[Measured, ...]:
    shape, order = _shape_and_order(both, units, level, seed)  # which lets go of what it sorted
    g = hedges_g(both.a, both.b, unit_a=units.a, unit_b=units.b, level=level)
    mean = replace(welch(both.a, both.b, unit_a=units.a, unit_b=units.b, level=level), effect=g)
    return (
        Measured(tested=shape, null=0.0, margin=margins.distance),
        Measured(tested=order, null=0.5, margin=margins.superiority),
        Measured(tested=replace(mean, refused=mean.refused or g.refused), null=0.0, margin=margins.hedges_g),
    )


def _shape_and_order(both: Both, units: Units, level: float, seed: int) -> tuple[Tested, Tested]:
    if units.a is not None:
        shape = kolmogorov_smirnov(both.a, both.b, unit_a=units.a, unit_b=units.b, level=level, seed=seed)
        return shape, mann_whitney(both.a, both.b, unit_a=units.a, unit_b=units.b, level=level)
    pair = pair_of(both.a, both.b, level=level)
    if min(pair.a.n, pair.b.n) < 2:
        return kolmogorov_smirnov(both.a, both.b, level=level), mann_whitney(both.a, both.b, level=level)
    counts = tally(both.a, both.b)  # one sort for both tests

    def shape_of() -> Any:
        require_comparable(pair, finite=False)
        return distance_of(counts, level=level)

    return (
        concluded(
            "Kolmogorov–Smirnov",
            "both populations have the same distribution",
            shape_of,
            pair,
            metric="largest difference of shares",
        ),
        concluded(
            "Mann–Whitney U",
            "both populations have the same distribution",
            lambda: superiority_of(counts, level=level),
            pair,
            metric="probability of superiority",
        ),
    )


def _yes_or_no(both: Both, units: Units, margins: Margins, level: float, seed: int) -> tuple[Measured, ...]:
    return _categories(replace(both, n_categories=2), units, margins, level, seed)


def _rate(both: Both, units: Units, margins: Margins, level: float, seed: int) -> tuple[Measured, ...]:
    del seed
    share = float(np.concatenate([both.a, both.b]).mean()) if len(both.a) + len(both.b) else 0.0
    test = fisher(both.a, both.b, unit_a=units.a, unit_b=units.b, level=level)
    return (Measured(tested=test, null=0.0, margin=relative_margin(share, margins.rate)),)


def _categories(both: Both, units: Units, margins: Margins, level: float, seed: int) -> tuple[Measured, ...]:
    del seed
    pair: Pair = pair_of(both.a, both.b, unit_a=units.a, unit_b=units.b, level=level)
    return (Measured(tested=chi_square_of_codes(pair, both.n_categories, level=level), null=0.0, margin=margins.cramers_v),)


MEASURES = {"numbers": _numbers, "yes or no": _yes_or_no, "rate": _rate, "categories": _categories}


def _missing(side: NDArray[Any], both: Both) -> NDArray[np.bool_]:
    return np.asarray(side < 0 if both.kind == "categories" else np.isnan(side))


def _n_units(side: NDArray[Any], unit: IntArray | None) -> int:
    return len(side) if unit is None else len(np.unique(unit))


def _type(side: ArrayLike | Coded) -> str:
    if isinstance(side, Coded):
        return "text" if (side.codes >= 0).any() else "nothing"
    given = as_column(side)
    if given.ndim != 1:
        raise ValueError(f"a column has the shape {given.shape}: one value a row is needed")
    if given.dtype.kind in "biuf":
        is_nothing = given.dtype.kind == "f" and bool(np.isnan(given).all())
        return "nothing" if is_nothing else "numbers"
    return "times" if given.dtype.kind in "mM" else "text"


def _is_binary(side: Array) -> bool:
    return bool(((side == 0) | (side == 1) | np.isnan(side)).all())


def _as_numbers(side: ArrayLike | Coded) -> Array:
    if isinstance(side, Coded):
        return np.full(len(side), np.nan)
    given = as_column(side)
    if given.dtype.kind == "O":  # nothing but None
        return np.full(len(given), np.nan)
    if given.dtype.kind in "mM":
        unit = "M8[us]" if given.dtype.kind == "M" else "m8[us]"
        return np.where(np.isnat(given), np.nan, given.astype(unit).astype(np.int64) / 1e6)
    return np.ascontiguousarray(given, dtype=np.float64)


def _as_categories(a: ArrayLike | Coded, b: ArrayLike | Coded) -> Both:
    if not isinstance(a, Coded) and not isinstance(b, Coded):
        code_a, code_b, n = category_codes(a, b)
        return Both(kind="categories", a=code_a, b=code_b, n_categories=n)
    coded_a, coded_b = _coded(a), _coded(b)
    known = {value: code for code, value in enumerate(coded_a.values)}
    to_a = np.array([known.setdefault(value, len(known)) for value in coded_b.values] + [-1], dtype=np.int64)
    return Both(kind="categories", a=coded_a.codes, b=to_a[coded_b.codes], n_categories=len(known))  # code −1 is the last of them: −1


def _coded(side: ArrayLike | Coded) -> Coded:
    if isinstance(side, Coded):
        return side
    given = as_column(side)
    known: dict[Any, int] = {}
    codes = [-1 if is_nothing(value) else known.setdefault(value, len(known)) for value in given.tolist()]
    return Coded(codes=np.array(codes, dtype=np.int64), values=tuple(known))
