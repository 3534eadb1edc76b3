"""Why does no threshold keep the promises: can they not be had, or are they only not proven; and what is nearest?

They cannot be had where at every threshold some promise lies outside its interval at `level`. If a threshold kept them all, its own
intervals would say otherwise with no more than their own error, so no correction for the many thresholds is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.cells import Cells, ratio_of_cells
from gonogo.stats.clustered import wilson
from gonogo.stats.decisions import ALERT_RATE, FALSE_POSITIVE_RATE, PRECISION, RECALL
from gonogo.stats.promises import Falling, Promise, cells_along, least_rows
from gonogo.stats.refusals import Refused
from gonogo.stats.tolerance import least_for_tolerance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gonogo.types.evidence import Interval

_SAID = 0.05  # the chance that a low precision shows itself as nothing but hits
_RATIOS = {"precision": PRECISION, "recall": RECALL, "false_positive_rate": FALSE_POSITIVE_RATE, "alerts_per_day": ALERT_RATE}


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
    return WhyNot(sentence=f"{asked} is not proven: {_short_of(rows, promises, delta)}{told}", is_infeasible=False, nearest=known)


def _short_of(rows: Falling, promises: tuple[Promise, ...], delta: float) -> str:
    """What there is too little of, if anything."""
    for promise in promises:
        needs = least_rows(promise, rows, delta / len(promises))
        if needs is not None and needs[1] < needs[0]:
            return f"it takes {needs[0]:,} {needs[2]} at the least, and there are {needs[1]:,}; "
    return ""


def _points(rows: Falling, promises: tuple[Promise, ...], level: float) -> tuple[Nearest, ...]:
    """The candidate thresholds at which every promise's figure is defined, from the highest."""
    numbers = rows.candidates()
    numbers = numbers[rows.ends[numbers] >= _least_called(promises)]
    found = []
    for number, cells in zip(numbers.tolist(), cells_along(rows, numbers), strict=True):
        try:
            seen = tuple(_seen(rows, promise, number, cells, level) for promise in promises)
        except Refused:
            continue
        found.append(Nearest(threshold=rows.threshold(number), seen=seen))
    return tuple(found)


def _least_called(promises: tuple[Promise, ...]) -> int:
    """Of fewer called rows than could prove it if all were positive, a precision says nothing."""
    return max((least_for_tolerance(1 - p.limit, _SAID) for p in promises if p.figure == "precision"), default=1)


def _seen(rows: Falling, promise: Promise, number: int, cells: Cells, level: float) -> Seen:
    if promise.figure == "alerts_per_day" and rows.day is not None:
        alerts = np.bincount(rows.day[: rows.n_called(number)], minlength=rows.n_days)
        share = float(np.mean(alerts <= promise.limit))
        within = wilson(share, (share * (1 - share) / rows.n_days) ** 0.5, n_units=rows.n_days, n_effective=rows.n_days, level=level)
        return Seen(promise=promise, value=share, interval=within)
    figure = ratio_of_cells(cells, _RATIOS[promise.figure], level=level)
    if promise.figure == "alerts_per_day" and rows.rows_per_day is not None:
        # The share of days within the limit falls as the alert rate rises, so its interval is that of the rate, mirrored.
        days = [_days_within(promise, rate, rows.rows_per_day) for rate in (figure.interval.high, figure.value, figure.interval.low)]
        return Seen(promise=promise, value=days[1], interval=replace(figure.interval, low=days[0], high=days[2]))
    return Seen(promise=promise, value=figure.value, interval=figure.interval)


def _days_within(promise: Promise, rate: float, rows_per_day: float) -> float:
    from scipy.special import pdtr

    return float(pdtr(np.floor(promise.limit), rate * rows_per_day))


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
