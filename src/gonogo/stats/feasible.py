"""Why does no threshold keep the promises: can they not be had, or are they only not proven; and what is nearest?

They cannot be had where at every threshold some promise lies outside its interval at `level`. If a threshold kept them all, its own
intervals would say otherwise with no more than their own error, so no correction for the many thresholds is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.along import Shares, shares_along
from gonogo.stats.clustered import wilson
from gonogo.stats.promises import Promise, least_rows
from gonogo.stats.scientific import special
from gonogo.stats.tolerance import least_for_tolerance
from gonogo.types.evidence import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gonogo.stats.falling import Falling
    from gonogo.types.evidence import Array, IntArray

_SAID = 0.05  # the chance that a low precision shows itself as nothing but hits


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One promise's figure at one threshold, as measured."""

    promise: Promise
    value: float
    interval: Interval

    def __str__(self) -> str:
        """For example "precision is 0.17 [0.15, 0.19]"."""
        name = "the share of days within it" if self.promise.figure == "alerts_per_day" else self.promise.figure.replace("_", " ")
        return f"{name} is {self.value:.3g} [{self.interval.low:.3g}, {self.interval.high:.3g}]"

    @property
    def kept(self) -> bool:
        """As measured, without proof."""
        return self.value <= self.promise.limit if _is_ceiling(self.promise) else self.value >= _floor(self.promise)

    @property
    def refuted(self) -> bool:
        """The whole interval lies on the wrong side."""
        return self.interval.low > self.promise.limit if _is_ceiling(self.promise) else self.interval.high < _floor(self.promise)


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearest:
    """A threshold that comes near, and every promise's figure there."""

    threshold: float
    seen: tuple[Seen, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class WhyNot:
    """The reason, and what can be had instead."""

    sentence: str
    is_infeasible: bool
    nearest: tuple[Nearest, ...]


def why_not(rows: Falling, promises: tuple[Promise, ...], delta: float, level: float) -> WhyNot:
    """The reason why no threshold is proven to keep all promises."""
    asked = " with ".join(map(str, promises))
    points = _points(rows, promises, level)
    nearest = tuple(_nearest(points, i) for i in range(len(promises)))
    told = "; ".join(dict.fromkeys(_told(one, i) for i, one in enumerate(nearest) if one is not None))
    known = tuple(dict.fromkeys(one for one in nearest if one is not None))
    if points and all(any(seen.refuted for seen in point.seen) for point in points):
        least = _least_called(promises)
        among = f" at any threshold that calls {least:,} of these rows or more" if least > 1 else ""
        return WhyNot(sentence=f"{asked} cannot be had{among}: {told}", is_infeasible=True, nearest=known)
    why = "; ".join(part for part in (_short_of(rows, promises, delta), told) if part)
    why = why or "two independent units with weight are needed to see any spread"
    return WhyNot(sentence=f"{asked} is not proven: {why}", is_infeasible=False, nearest=known)


def _short_of(rows: Falling, promises: tuple[Promise, ...], delta: float) -> str:
    """What there is too little of, if anything."""
    for promise in promises:
        needs = least_rows(promise, rows, delta / len(promises))
        if needs is not None and needs[1] < needs[0]:
            return f"it takes {needs[0]:,} {needs[2]} at the least, and there are {needs[1]:,}"
    return ""


def _points(rows: Falling, promises: tuple[Promise, ...], level: float) -> tuple[Nearest, ...]:
    """The candidate thresholds at which every promise's figure is defined, from the highest."""
    numbers = rows.candidates()
    numbers = numbers[rows.ends[numbers] >= _least_called(promises)]
    along = [_along(rows, promise, numbers, level) for promise in promises]
    return tuple(
        Nearest(threshold=rows.threshold(number), seen=tuple(_seen(p, s, i, level) for p, s in zip(promises, along, strict=True)))
        for i, number in enumerate(numbers.tolist())
        if not any(np.isnan(shares.value[i]) for shares in along)
    )


def _least_called(promises: tuple[Promise, ...]) -> int:
    """Of fewer called rows than could prove it if all were positive, a precision says nothing."""
    return max((least_for_tolerance(1 - p.limit, _SAID) for p in promises if p.figure == "precision"), default=1)


def _seen(promise: Promise, shares: Shares, i: int, level: float) -> Seen:
    interval = Interval(low=float(shares.low[i]), high=float(shares.high[i]), level=level, method=shares.method)
    return Seen(promise=promise, value=float(shares.value[i]), interval=interval)


def _along(rows: Falling, promise: Promise, numbers: IntArray, level: float) -> Shares:
    """What a promise is about at each threshold; of alerts, the share of days within the limit."""
    if promise.figure != "alerts_per_day":
        return shares_along(rows, numbers, promise.figure, level=level)
    if rows.day is not None:
        return _days_along(rows, rows.day, promise, numbers, level)
    rate = shares_along(rows, numbers, "alert_rate", level=level)
    # The more alerts the fewer days within the limit: the interval is that of the rate, mirrored.
    return Shares(
        value=_days_within(rows, promise, rate.value),
        low=_days_within(rows, promise, rate.high),
        high=_days_within(rows, promise, rate.low),
        n_units=rate.n_units,
        method="Poisson, from the interval of the alert rate",
    )


def _days_along(rows: Falling, day: IntArray, promise: Promise, numbers: IntArray, level: float) -> Shares:
    n, shares = rows.n_days, []
    for number in numbers.tolist():
        alerts = np.bincount(day[: rows.n_called(number)], minlength=n)
        share = float(np.mean(alerts <= promise.limit))
        within = wilson(share, (share * (1 - share) / n) ** 0.5, n_units=n, n_effective=n, level=level)
        shares.append((share, within.low, within.high))
    value, low, high = np.array(shares).T
    return Shares(value=value, low=low, high=high, n_units=np.full(len(value), n), method="Wilson, days")


def _days_within(rows: Falling, promise: Promise, rate: Array) -> Array:
    pdtr = special().pdtr

    assert rows.rows_per_day is not None
    return np.asarray(pdtr(np.floor(promise.limit), rate * rows.rows_per_day))


def _nearest(points: Sequence[Nearest], which: int) -> Nearest | None:
    """Where that promise is kept as measured and the others come nearest, or, where it is kept nowhere, the best of it."""
    if not points:
        return None
    keeping = [point for point in points if point.seen[which].kept]
    if not keeping or len(points[0].seen) == 1:
        return max(keeping or points, key=lambda point: _margin(point.seen[which]))
    return max(keeping, key=lambda point: min(_margin(seen) for i, seen in enumerate(point.seen) if i != which))


def _told(point: Nearest, which: int) -> str:
    here = point.seen[which]
    others = [seen for i, seen in enumerate(point.seen) if i != which]
    if others and here.kept:
        return f"at {here.promise} {' and '.join(map(str, others))} (threshold {point.threshold:.4g})"
    alone = f"the best {here}, at the threshold {point.threshold:.4g}".replace("the best the share", "the best share")
    return alone + (f", where {' and '.join(map(str, others))}" if others else "")


def _margin(seen: Seen) -> float:
    """How far the worse end of the interval lies on the right side; negative on the wrong one."""
    return seen.promise.limit - seen.interval.high if _is_ceiling(seen.promise) else seen.interval.low - _floor(seen.promise)


def _is_ceiling(promise: Promise) -> bool:
    return promise.figure == "false_positive_rate"


def _floor(promise: Promise) -> float:
    return promise.on_days if promise.figure == "alerts_per_day" else promise.limit
