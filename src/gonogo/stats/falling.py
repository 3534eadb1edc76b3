"""Which thresholds are there, and how many rows does each call?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.estimates import unit_codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.stats.estimates import Rows
    from gonogo.types.evidence import Array, IntArray

N_CANDIDATES = 200  # thresholds that are tried where not each is


@dataclass(frozen=True, kw_only=True)
class Falling:
    """Rows in the order of falling scores. Thresholds are the distinct scores, numbered from the highest."""

    y: Array  # (n,) in that order, as all below
    score: Array
    weight: Array | None
    unit: IntArray | None
    n_units: int
    day: IntArray | None  # codes 0 … n_days − 1
    n_days: int
    rows_per_day: float | None

    @cached_property
    def ends(self) -> IntArray:
        """(m,) rows called at each threshold: the last of each run of equal scores, counted from 1."""
        last = np.ones(len(self.score), dtype=np.bool_)
        last[:-1] = self.score[1:] != self.score[:-1]
        return np.flatnonzero(last) + 1

    @cached_property
    def hits(self) -> IntArray:
        """(n,) positives among the first 1, 2, … rows."""
        return np.cumsum(self.y > 0, dtype=np.int64)

    def threshold(self, number: int) -> float:
        """The score of that number; −1 is above them all."""
        return math.inf if number < 0 else float(self.score[self.ends[number] - 1])

    def n_called(self, number: int) -> int:
        """Rows at or above the threshold of that number."""
        return 0 if number < 0 else int(self.ends[number])

    def number_of(self, row: int) -> int:
        """The threshold that is the score of that row, rows counted from 0."""
        return int(np.searchsorted(self.ends, row, side="right"))

    def kept(self, rows: NDArray[np.bool_]) -> Falling:
        """Those rows alone."""
        day, n_days = unit_codes(None if self.day is None else self.day[rows], 0 if self.day is None else int(rows.sum()))
        return Falling(
            y=self.y[rows],
            score=self.score[rows],
            weight=None if self.weight is None else self.weight[rows],
            unit=None if self.unit is None else self.unit[rows],
            n_units=self.n_units,
            day=day,
            n_days=n_days,
            rows_per_day=self.rows_per_day,
        )

    @property
    def is_plain(self) -> bool:
        """Rows are independent and weigh alike: exact answers hold."""
        return self.unit is None and self.weight is None

    def candidates(self) -> IntArray:
        """Up to N_CANDIDATES thresholds, their called rows about evenly apart on a log scale."""
        ranks = np.geomspace(1, len(self.y), N_CANDIDATES)
        return np.unique(np.searchsorted(self.ends, ranks - 0.5).clip(0, len(self.ends) - 1))


def falling(rows: Rows, *, day: IntArray | None, n_days: int, rows_per_day: float | None, are_only_counted: bool) -> Falling:
    """Rows that were checked, highest score first. are_only_counted: row by row they are asked for nothing but score and outcome."""
    # Sums of weights, folds and the first row of a unit need one order on every machine; rows that are only counted may stand in any order
    # among their equals, which sorts three times faster.
    order = np.argsort(-rows.score, kind=None if are_only_counted else "stable")
    return Falling(
        y=rows.y[order],
        score=rows.score[order],
        weight=None if rows.weight is None else rows.weight[order],
        unit=None if rows.unit is None else rows.unit[order],
        n_units=rows.n_units,
        day=None if day is None else day[order],
        n_days=n_days,
        rows_per_day=rows_per_day,
    )
