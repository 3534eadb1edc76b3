"""How many alerts does a day bring: on average, and a day to come?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.clustered import ratio_of_sums
from gonogo.stats.distributions import normal_quantile, t_quantile
from gonogo.stats.estimates import estimated
from gonogo.types.evidence import Estimate, Interval, Of, UnitScores

if TYPE_CHECKING:
    from gonogo.types.evidence import Array

_NAME, _LOWER = "alerts_per_day", "lower"


def alerts_of_days(counts: Array, *, n_rows: int, level: float) -> tuple[Estimate, Interval | None]:
    """The mean day with Student's interval over days, and an interval for one more day of the same kind. counts: (days,) alerts.

    From 2 / (1 − level) − 1 days on (39 at 95 %) the second lies between order statistics, whatever the distribution; below, between t
    limits on the scale of the square root, which evens out counts. None below 2 days.
    """
    n = len(counts)
    scores = UnitScores(np.arange(n), counts, np.ones(n))
    mean = estimated(_NAME, lambda: ratio_of_sums(scores, level=level), n_rows=n_rows, n_units=n, better=_LOWER)
    if n < 2:
        return mean, None
    rank = math.floor((n + 1) * (1 - level) / 2 + 1e-9)
    if rank >= 1:
        ordered = np.sort(counts)
        return mean, Interval(low=float(ordered[rank - 1]), high=float(ordered[-rank]), level=level, method="order statistics of days")
    root = np.sqrt(counts)
    centre, half = float(root.mean()), t_quantile((1 + level) / 2, n - 1) * float(root.std(ddof=1)) * math.sqrt(1 + 1 / n)
    low, high = max(0.0, centre - half) ** 2, (centre + half) ** 2
    return mean, Interval(low=math.floor(low), high=math.ceil(high), level=level, method="t on the square root of counts, one more day")


def alerts_of_rate(rate: Estimate, rows_per_day: float) -> tuple[Estimate, Interval | None]:
    """The same from a share of rows: a day's alerts are Poisson, and the share is known as well as its interval says.

    The square root of a Poisson count plus 3/8 has the deviation ½ whatever its mean; the share's own error adds to it.
    Source: Anscombe (1948), The transformation of Poisson, binomial and negative-binomial data, Biometrika 35.
    """
    if rate.value is None or rate.interval is None:
        refused = Estimate(
            metric=_NAME,
            of=Of.CHALLENGER,
            value=None,
            interval=None,
            n_units=rate.n_units,
            n_rows=rate.n_rows,
            measured_in="",
            better=_LOWER,
            refused=rate.refused,
        )
        return refused, None
    level, method = rate.interval.level, rate.interval.method
    ends = Interval(low=rate.interval.low * rows_per_day, high=rate.interval.high * rows_per_day, level=level, method=method)
    mean = Estimate(
        metric=_NAME,
        of=Of.CHALLENGER,
        value=rate.value * rows_per_day,
        interval=ends,
        n_units=rate.n_units,
        n_rows=rate.n_rows,
        measured_in="",
        better=_LOWER,
    )
    centre = math.sqrt(rate.value * rows_per_day + 0.375)
    noise = normal_quantile((1 + level) / 2) / 2
    below = math.hypot(noise, centre - math.sqrt(ends.low + 0.375))
    above = math.hypot(noise, math.sqrt(ends.high + 0.375) - centre)
    low, high = max(0.0, centre - below) ** 2 - 0.375, (centre + above) ** 2 - 0.375
    return mean, Interval(low=max(0, math.floor(low)), high=math.ceil(high), level=level, method="Poisson, with the error of its mean")
