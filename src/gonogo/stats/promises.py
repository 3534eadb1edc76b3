"""Which thresholds keep a promise, with probability 1 − delta over the samples that might have been drawn?

Rows that are independent and weigh alike have exact answers (`tolerance`). Rows of units, and weighted rows, have Wilson's one-sided bound
on the effective sample size with t(G−1) at each of up to 200 thresholds, taken in a sequence that begins where the promise is safe: the
first that fails ends it. That is no exact test; `docs/evidence` says how often it was broken.

Alerts a day are promised of days, which are taken for independent: for each day there is a score above which it has no more than the agreed
alerts, and the exact tolerance limit of those scores is the answer. Where only the number of rows a day is known, alerts are Poisson.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.along import shares_along
from gonogo.stats.scientific import special
from gonogo.stats.tolerance import first_rank, least_for_tolerance, proven_in_sequence, proven_ranks, ranks_to_test, tolerance_rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.stats.falling import Falling
    from gonogo.types.evidence import Array, IntArray

    Mask = NDArray[np.bool_]


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


def keeping(promise: Promise, rows: Falling, delta: float) -> Mask:
    """(m,) which thresholds keep the promise: the probability that any of them does not is at most delta."""
    exact, bounded = _KEEPING[promise.figure]
    if rows.is_plain or bounded is None or (promise.figure == "alerts_per_day" and rows.day is not None):
        return exact(promise, rows, delta)
    return bounded(promise, rows, delta)


def most_alert_rate(promise: Promise, rows_per_day: float) -> float:
    """The share of rows that may be called so that a Poisson number of alerts keeps within the limit on that share of days."""
    pdtri = special().pdtri

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


def _exact_precision(promise: Promise, rows: Falling, delta: float) -> Mask:
    first = first_rank(promise.limit, delta)
    numbers = np.searchsorted(rows.ends, ranks_to_test(first, len(rows.y)))
    numbers = numbers[np.diff(numbers, prepend=-1) > 0]  # equal scores hold several ranks
    called = rows.ends[numbers]
    hits = rows.hits[called - 1]
    keeps = np.zeros(len(rows.ends), dtype=np.bool_)
    proven = proven_in_sequence(called, first, delta, lambda here, alpha: proven_ranks(called[here], hits[here], promise.limit, alpha))
    keeps[numbers[proven]] = True
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
        assert rows.rows_per_day is not None
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
    first = _first_rank_of_units(promise, rows, delta)
    numbers = rows.candidates()
    numbers = numbers[rows.ends[numbers] >= first]

    def passed(here: slice, alpha: float) -> int:
        return _until_the_first_that_fails(shares_along(rows, numbers[here], "precision", level=1 - 2 * alpha).low >= promise.limit)

    keeps = np.zeros(len(rows.ends), dtype=np.bool_)
    keeps[numbers[proven_in_sequence(rows.ends[numbers], first, delta, passed)]] = True
    return keeps


def _bounded_recall(promise: Promise, rows: Falling, delta: float) -> Mask:
    """Upwards from the lowest threshold; what lies below one that keeps it keeps it too, as recall only rises."""
    numbers = rows.candidates()
    found = shares_along(rows, numbers, "recall", level=1 - 2 * delta)
    passed = _passed_from_the_middle((1 - found.value)[::-1], (1 - found.low)[::-1], 1 - promise.limit)
    return np.arange(len(rows.ends)) >= (int(numbers[len(numbers) - passed]) if passed else len(rows.ends))


def _bounded_false_positive_rate(promise: Promise, rows: Falling, delta: float) -> Mask:
    return _bounded_ceiling(rows, "false_positive_rate", promise.limit, delta)


def _bounded_alerts(promise: Promise, rows: Falling, delta: float) -> Mask:
    assert rows.rows_per_day is not None
    return _bounded_ceiling(rows, "alert_rate", most_alert_rate(promise, rows.rows_per_day), delta)


def _bounded_ceiling(rows: Falling, figure: str, limit: float, delta: float) -> Mask:
    """Downwards from the highest threshold; what lies above one that keeps it keeps it too, as these rates only fall."""
    numbers = rows.candidates()
    found = shares_along(rows, numbers, figure, level=1 - 2 * delta)
    passed = _passed_from_the_middle(found.value, found.high, limit)
    return np.arange(len(rows.ends)) <= (int(numbers[passed - 1]) if passed else -1)


def _passed_from_the_middle(value: Array, high: Array, limit: float) -> int:
    """How many of the thresholds along a rising rate keep the limit.

    The tests begin at half of it: further out so few rows are counted, perhaps none, that nothing is known of how units differ, and a bound
    says little. What is skipped is kept if the first test is, because the rate rises.
    """
    first = max(0, int(np.searchsorted(value, limit / 2, side="right")) - 1)
    passed = _until_the_first_that_fails(high[first:] <= limit)
    return first + passed if passed else 0


def _first_rank_of_units(promise: Promise, rows: Falling, delta: float) -> int:
    """The first rank whose called rows come from as many units as independent rows would be needed, or from half of all units."""
    first = first_rank(promise.limit, delta)
    if rows.unit is None:
        return first
    units_seen = np.sort(np.unique(rows.unit, return_index=True)[1])
    return max(first, int(units_seen[min(first, -(-len(units_seen) // 2)) - 1]) + 1)


def _until_the_first_that_fails(holds: Mask) -> int:
    return len(holds) if holds.all() else int(np.argmin(holds))


def _percent(share: float) -> str:
    return f"{100 * share:.10g} %"


_KEEPING: dict[str, tuple[Callable[[Promise, Falling, float], Mask], Callable[[Promise, Falling, float], Mask] | None]] = {
    "precision": (_exact_precision, _bounded_precision),
    "recall": (_exact_recall, _bounded_recall),
    "false_positive_rate": (_exact_false_positive_rate, _bounded_false_positive_rate),
    "alerts_per_day": (_exact_alerts, _bounded_alerts),
}
