"""Which coefficient of a logistic regression stands for what?

Numbers are scaled by train's mean and standard deviation, nulls imputed with train's median and told by an indicator, categories one-hot;
rare categories share one coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gonogo.families.tabular.table import UNKNOWN, Codec

if TYPE_CHECKING:
    from gonogo.types.evidence import Array, IntArray

PER_SD = "odds ratio per standard deviation"
PRESENT = "odds ratio, present against absent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number's part of the answer: coefficient · (x - mean) / scale, with `fill` for null, plus `null` where it is null."""

    place: int  # of its column in the codec
    fill: float
    mean: float
    scale: float
    coefficient: float = 0.0
    null: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Category:
    """A category's part of the answer: one coefficient per kept level; `other` for the rare and the unknown, `null` for null."""

    place: int
    levels: tuple[int, ...]  # the codes that have a coefficient of their own
    coefficients: tuple[float, ...] = ()
    other: float = 0.0
    null: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What the solver sees: a design with its outcomes."""

    dense: Array  # (n, d); the first column is 1, the intercept
    places: IntArray  # (n, c): for each row the coefficients that its categories switch on
    y: Array  # (n,) 0 or 1
    weight: Array  # (n,)
    ridge: Array  # (k,) 0 for the intercept

    def every(self, step: int) -> Problem:
        """Every step-th row, with a ridge that shrinks alike."""
        rows = slice(None, None, step)
        return Problem(
            dense=np.ascontiguousarray(self.dense[rows]),
            places=np.ascontiguousarray(self.places[rows]),
            y=np.ascontiguousarray(self.y[rows]),
            weight=np.ascontiguousarray(self.weight[rows]),
            ridge=self.ridge / step,
        )


class Design:
    """Which coefficient stands for what. `names` runs along the coefficients: (name, what it is measured in)."""

    def __init__(self, *, matrix: Array, numbers: tuple[Number, ...], categories: tuple[Category, ...]) -> None:
        self.matrix, self.numbers, self.categories = matrix, numbers, categories
        self.null_groups = _null_groups(matrix, numbers)  # places of columns that are null in the very same rows
        self.first_null = 1 + len(numbers)
        self.n_dense = self.first_null + len(self.null_groups)

    def problem(self, y: Array, *, positive_weight: float, ridge: float) -> Problem:
        """The rows as the solver wants them."""

        dense = np.empty((len(y), self.n_dense))
        dense[:, 0] = 1
        for j, number in enumerate(self.numbers, start=1):
            x = self.matrix[:, number.place]
            dense[:, j] = (np.where(np.isnan(x), number.fill, x) - number.mean) / number.scale
        for j, group in enumerate(self.null_groups, start=self.first_null):
            dense[:, j] = np.isnan(self.matrix[:, group[0]])
        places = np.full((len(y), len(self.categories)), -1, dtype=np.int64)
        first = self.n_dense
        for a, category in enumerate(self.categories):
            places[:, a] = first + _slots(self.matrix[:, category.place], category)
            first += len(category.levels) + 2
        penalties = np.full(first, ridge)
        penalties[0] = 0  # the intercept is left alone
        return Problem(dense=dense, places=places, y=y, weight=np.where(y > 0, positive_weight, 1.0), ridge=penalties)

    def fitted_numbers(self, beta: Array) -> tuple[Number, ...]:
        """The numbers with their coefficients."""
        null = {group[0]: float(beta[j]) for j, group in enumerate(self.null_groups, start=self.first_null)}
        return tuple(
            replace(number, coefficient=float(beta[j]), null=null.get(number.place, 0.0)) for j, number in enumerate(self.numbers, start=1)
        )

    def fitted_categories(self, beta: Array) -> tuple[Category, ...]:
        """The categories with their coefficients."""
        categories, first = [], self.n_dense
        for category in self.categories:
            part = beta[first : first + len(category.levels) + 2].tolist()
            categories.append(replace(category, coefficients=tuple(part[:-2]), other=part[-2], null=part[-1]))
            first += len(part)
        return tuple(categories)

    def names(self, codec: Codec) -> list[tuple[str, str]]:
        """Of each coefficient, in order."""
        names = [("intercept", "odds")]
        names += [(codec.columns[number.place].name, PER_SD) for number in self.numbers]
        names += [(" and ".join(codec.columns[place].name for place in group) + " is null", PRESENT) for group in self.null_groups]
        for category in self.categories:
            column = codec.columns[category.place]
            levels = [column.categories[code] for code in category.levels]
            names += [(f"{column.name}={level}", PRESENT) for level in [*levels, "(rare or unknown)", "(null)"]]
        return names

    def spreads(self, codec: Codec) -> Array:
        """Of each coefficient: the standard deviation of its column over the rows, by which effects are ranked."""
        spreads = [0.0] + [1.0 for _ in self.numbers]
        shares = [float(np.mean(np.isnan(self.matrix[:, group[0]]))) for group in self.null_groups]
        for category in self.categories:
            slots = _slots(self.matrix[:, category.place], category)
            shares += (np.bincount(slots, minlength=len(category.levels) + 2) / len(slots)).tolist()
        return np.array(spreads + [float(np.sqrt(share * (1 - share))) for share in shares])


def number_of(place: int, x: Array) -> Number | None:
    """How to fill and scale a number; None where it says nothing: always null, or one value and never null."""
    known = x[~np.isnan(x)]
    if len(known) == 0:
        return None
    fill = float(np.median(known))
    filled = np.where(np.isnan(x), fill, x)
    mean, deviation = float(np.mean(filled)), float(np.std(filled))
    if not deviation > 1e-12 * (1 + abs(mean)):
        return None if len(known) == len(x) else Number(place=place, fill=fill, mean=fill, scale=1.0)
    return Number(place=place, fill=fill, mean=mean, scale=deviation)


def _null_groups(matrix: Array, numbers: tuple[Number, ...]) -> list[list[int]]:
    """Columns with nulls, grouped where they are null in the very same rows: equal indicators would only split one coefficient."""
    groups: dict[bytes, list[int]] = {}
    for number in numbers:
        null = np.isnan(matrix[:, number.place])
        if null.any():
            groups.setdefault(np.packbits(null).tobytes(), []).append(number.place)
    return list(groups.values())


def slot_of_code(codes: Array, n_codes: int) -> IntArray:
    """Code → place in a table of n_codes coefficients, then `other`, then `null`."""
    slot = np.where(np.isnan(codes), n_codes + 1, np.where(codes == UNKNOWN, n_codes, codes))
    return slot.astype(np.int64)


def _slots(codes: Array, category: Category) -> IntArray:
    """Code → place among the kept levels, then `other`, then `null`."""
    n_levels = len(category.levels)
    n_codes = int(np.nanmax(codes, initial=-1)) + 1
    table = np.full(n_codes + 2, n_levels, dtype=np.int64)
    for place, code in enumerate(category.levels):
        table[code] = place
    table[-1] = n_levels + 1
    return table[slot_of_code(codes, n_codes)]
