"""Which thresholds keep a promise, with probability 1 − delta over the samples that might have been drawn?

Rows that are independent and weigh alike have exact answers (`tolerance`). Rows of units, and weighted rows, have Wilson's one-sided bound
on the effective sample size with t(G−1) at each of up to 200 thresholds, taken in a fixed sequence from the end where the promise is safe:
the first that fails ends it. That is no exact test; `docs/evidence` says how often it was broken.

Alerts a day are promised of days, which are taken for independent: for each day there is a score above which it has no more than the agreed
alerts, and the exact tolerance limit of those scores is the answer. Where only the number of rows a day is known, alerts are Poisson.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.cells import Cells, Ratio, ratio_of_cells
from gonogo.stats.decisions import ALERT_RATE, FALSE_POSITIVE_RATE, PRECISION, RECALL
from gonogo.stats.estimates import unit_codes
from gonogo.stats.refusals import Refused
from gonogo.stats.tolerance import first_rank, least_for_tolerance, proven_ranks, ranks_to_test, tolerance_rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.stats.estimates import Rows
    from gonogo.types.evidence import Array, IntArray

    Mask = NDArray[np.bool_]

N_CANDIDATES = 200  # thresholds that are tried where no exact answer exists


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """One limit that a threshold shall keep in the population."""

    figure: str  # "precision" | "recall" | "false_positive_rate" | "alerts_per_day"
    limit: float
    on_days: float = 1.0  # alerts_per_day: the share of days on which it shall hold

    def __str__(self) -> str:
        """As a person says it: "precision ≥ 60 %"."""
        name = self.figure.replace("_", " ")
        if self.figure == "alerts_per_day":
            return f"{name} ≤ {self.limit:g} on {_percent(self.on_days)} of days"
        return f"{name} {'≤' if self.figure == 'false_positive_rate' else '≥'} {_percent(self.limit)}"


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
        return np.cumsum(self.y > 0)

    def threshold(self, number: int) -> float:
        """The score of that number; −1 is above them all."""
        return math.inf if number < 0 else float(self.score[self.ends[number] - 1])

    def n_called(self, number: int) -> int:
        """Rows at or above the threshold of that number."""
        return 0 if number < 0 else int(self.ends[number])

    def number_of(self, row: int) -> int:
        """The threshold that is the score of that row, rows counted from 0."""
        return int(np.searchsorted(self.ends, row, side="right"))

    def kept(self, rows: Mask) -> Falling:
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


def falling(rows: Rows, *, day: IntArray | None, n_days: int, rows_per_day: float | None) -> Falling:
    """Rows that were checked, highest score first; a stable order, so that sums run alike on every machine."""
    order = np.argsort(-rows.score, kind="stable")
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


def keeping(promise: Promise, rows: Falling, delta: float) -> Mask:
    """(m,) which thresholds keep the promise: the probability that any of them does not is at most delta."""
    exact, bounded = _KEEPING[promise.figure]
    if rows.is_plain or bounded is None or (promise.figure == "alerts_per_day" and rows.day is not None):
        return exact(promise, rows, delta)
    return bounded(promise, rows, delta)


def most_alert_rate(promise: Promise, rows_per_day: float) -> float:
    """The share of rows that may be called so that a Poisson number of alerts keeps within the limit on that share of days."""
    from scipy.special import pdtri

    return min(1.0, float(pdtri(math.floor(promise.limit), promise.on_days)) / rows_per_day)


def least_rows(promise: Promise, rows: Falling, delta: float) -> tuple[int, int, str] | None:
    """How many of what a promise needs at the least, how many there are, and what they are; None where that is no question."""
    positives = int(rows.hits[-1])
    if promise.figure == "recall":
        return least_for_tolerance(1 - promise.limit, delta), positives, "positives"
    if promise.figure == "false_positive_rate":
        return least_for_tolerance(promise.limit, delta), len(rows.y) - positives, "negatives"
    if promise.figure == "precision":
        return first_rank(promise.limit, delta), len(rows.y), "rows"
    if rows.day is not None:
        return least_for_tolerance(1 - promise.on_days, delta), rows.n_days, "days"
    return None


def cells_along(rows: Falling, numbers: IntArray) -> Iterator[Cells]:
    """The four cells at each of those thresholds, numbers rising; every row is added up once."""
    w = np.ones(len(rows.y)) if rows.weight is None else rows.weight
    positive = rows.y > 0
    everyone = _Tally.of(w, positive, rows.unit, rows.n_units)
    called, before = _Tally.nothing(rows.n_units if rows.unit is not None else 0), 0
    for end in rows.ends[numbers].tolist():
        here = slice(before, end)
        called = called.plus(_Tally.of(w[here], positive[here], None if rows.unit is None else rows.unit[here], rows.n_units))
        before = end
        yield called.against(everyone)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tally:
    """Sums over rows, negatives first and positives second."""

    weight: Array  # (2,)
    squared: Array  # (2,)
    rows: IntArray  # (2,)
    by_unit: Array | None  # (2, n_units)

    @classmethod
    def nothing(cls, n_units: int) -> _Tally:
        by_unit = np.zeros((2, n_units)) if n_units else None
        return cls(weight=np.zeros(2), squared=np.zeros(2), rows=np.zeros(2, dtype=np.int64), by_unit=by_unit)

    @classmethod
    def of(cls, w: Array, positive: Mask, unit: IntArray | None, n_units: int) -> _Tally:
        two = positive.astype(np.int64)
        by_unit = None
        if unit is not None:
            flat = np.bincount(two * n_units + unit, weights=w, minlength=2 * n_units)
            by_unit = flat.astype(np.float64, copy=False).reshape(2, n_units)
        return cls(
            weight=np.bincount(two, weights=w, minlength=2).astype(np.float64, copy=False),
            squared=np.bincount(two, weights=w * w, minlength=2).astype(np.float64, copy=False),
            rows=np.bincount(two[w > 0], minlength=2),
            by_unit=by_unit,
        )

    def plus(self, other: _Tally) -> _Tally:
        return _Tally(
            weight=self.weight + other.weight,
            squared=self.squared + other.squared,
            rows=self.rows + other.rows,
            by_unit=None if self.by_unit is None or other.by_unit is None else self.by_unit + other.by_unit,
        )

    def against(self, everyone: _Tally) -> Cells:
        """Called rows (self) out of everyone as TN, FP, FN, TP."""

        def four(mine: Array | IntArray, all_of: Array | IntArray) -> Array:
            # What is left after a subtraction of sums may be −1e-17.
            return np.stack([np.maximum(all_of[0] - mine[0], 0.0), mine[0], np.maximum(all_of[1] - mine[1], 0.0), mine[1]])

        by_unit = None if self.by_unit is None or everyone.by_unit is None else four(self.by_unit, everyone.by_unit)
        return Cells(
            weight=four(self.weight, everyone.weight),
            squared=four(self.squared, everyone.squared),
            rows=four(self.rows, everyone.rows).astype(np.int64),
            by_unit=by_unit,
        )


def _exact_precision(promise: Promise, rows: Falling, delta: float) -> Mask:
    ranks = ranks_to_test(first_rank(promise.limit, delta), len(rows.y))
    numbers = np.searchsorted(rows.ends, ranks)
    numbers = numbers[np.diff(numbers, prepend=-1) > 0]  # equal scores hold several ranks
    called = rows.ends[numbers]
    keeps = np.zeros(len(rows.ends), dtype=np.bool_)
    keeps[numbers[: proven_ranks(called, rows.hits[called - 1], promise.limit, delta)]] = True
    return keeps


def _exact_recall(promise: Promise, rows: Falling, delta: float) -> Mask:
    positives = np.flatnonzero(rows.y > 0)
    rank = tolerance_rank(len(positives), 1 - promise.limit, delta)
    first = rows.number_of(int(positives[-rank])) if rank else len(rows.ends)
    return np.arange(len(rows.ends)) >= first


def _exact_false_positive_rate(promise: Promise, rows: Falling, delta: float) -> Mask:
    return _strictly_above(rows, np.flatnonzero(rows.y <= 0), promise.limit, delta)


def _exact_alerts(promise: Promise, rows: Falling, delta: float) -> Mask:
    if rows.day is None:
        if rows.rows_per_day is None:
            raise AssertionError("alerts a day need days or rows a day")
        return _strictly_above(rows, np.arange(len(rows.y)), most_alert_rate(promise, rows.rows_per_day), delta)
    # The row of each day that would be one alert too many; days without one can never break the promise.
    allowed = math.floor(promise.limit)
    by_day = np.argsort(rows.day, kind="stable")
    sizes = np.bincount(rows.day, minlength=rows.n_days)
    one_too_many = by_day[(np.cumsum(sizes) - sizes + allowed)[sizes > allowed]]
    return _strictly_above(rows, np.sort(one_too_many), 1 - promise.on_days, delta, out_of=rows.n_days)


def _strictly_above(rows: Falling, which: IntArray, share: float, delta: float, *, out_of: int | None = None) -> Mask:
    """Thresholds that at most `share` of the population of those rows reach. which: row numbers, rising; the rest of `out_of` never do."""
    if share >= 1:
        return np.ones(len(rows.ends), dtype=np.bool_)
    rank = tolerance_rank(len(which) if out_of is None else out_of, share, delta)
    if rank > len(which):
        return np.ones(len(rows.ends), dtype=np.bool_)
    return np.arange(len(rows.ends)) < (rows.number_of(int(which[rank - 1])) if rank else 0)


def _bounded_precision(promise: Promise, rows: Falling, delta: float) -> Mask:
    numbers = rows.candidates()
    begun = numbers[rows.ends[numbers] >= _first_rank_of_units(promise, rows, delta)]
    return _from_the_top(rows, begun, [low >= promise.limit for low, _ in _bounds(rows, begun, PRECISION, delta)])


def _bounded_recall(promise: Promise, rows: Falling, delta: float) -> Mask:
    numbers = rows.candidates()
    holds = [low >= promise.limit for low, _ in _bounds(rows, numbers, RECALL, delta)]
    # Recall is safe where all rows are called: the sequence runs upwards from the lowest threshold. What lies between two thresholds that
    # keep it keeps it too, as recall only rises.
    broken = len(holds) - 1 - holds[::-1].index(False) if False in holds else -1
    first = int(numbers[broken + 1]) if broken + 1 < len(numbers) else len(rows.ends)
    return np.arange(len(rows.ends)) >= first


def _bounded_false_positive_rate(promise: Promise, rows: Falling, delta: float) -> Mask:
    return _bounded_ceiling(rows, FALSE_POSITIVE_RATE, promise.limit, delta)


def _bounded_alerts(promise: Promise, rows: Falling, delta: float) -> Mask:
    if rows.rows_per_day is None:
        raise AssertionError("alerts a day need days or rows a day")
    return _bounded_ceiling(rows, ALERT_RATE, most_alert_rate(promise, rows.rows_per_day), delta)


def _bounded_ceiling(rows: Falling, ratio: Ratio, limit: float, delta: float) -> Mask:
    numbers = rows.candidates()
    holds = [high <= limit for _, high in _bounds(rows, numbers, ratio, delta)]
    broken = holds.index(False) if False in holds else len(holds)
    return np.arange(len(rows.ends)) <= (int(numbers[broken - 1]) if broken else -1)


def _first_rank_of_units(promise: Promise, rows: Falling, delta: float) -> int:
    """The first rank whose called rows come from as many units as independent rows would be needed, or from half of all units."""
    first = first_rank(promise.limit, delta)
    if rows.unit is None:
        return first
    _, seen_at = np.unique(rows.unit, return_index=True)
    units_seen = np.sort(seen_at)
    return max(first, int(units_seen[min(first, -(-len(units_seen) // 2)) - 1]) + 1)


def _bounds(rows: Falling, numbers: IntArray, ratio: Ratio, delta: float) -> Iterator[tuple[float, float]]:
    """One-sided bounds, each of which misses with probability delta; none at all (−∞, ∞) where the figure is refused."""
    for cells in cells_along(rows, numbers):
        try:
            found = ratio_of_cells(cells, ratio, level=1 - 2 * delta).interval
        except Refused:
            yield -math.inf, math.inf
        else:
            yield found.low, found.high


def _from_the_top(rows: Falling, numbers: IntArray, holds: list[bool]) -> Mask:
    keeps = np.zeros(len(rows.ends), dtype=np.bool_)
    keeps[numbers[: holds.index(False) if False in holds else len(holds)]] = True
    return keeps


def _percent(share: float) -> str:
    return f"{100 * share:.10g} %"


_KEEPING: dict[str, tuple[Callable[[Promise, Falling, float], Mask], Callable[[Promise, Falling, float], Mask] | None]] = {
    "precision": (_exact_precision, _bounded_precision),
    "recall": (_exact_recall, _bounded_recall),
    "false_positive_rate": (_exact_false_positive_rate, _bounded_false_positive_rate),
    "alerts_per_day": (_exact_alerts, _bounded_alerts),
}
