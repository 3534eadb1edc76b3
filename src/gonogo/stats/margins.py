"""Does an interval of a difference keep to a margin that was stated beforehand?

"Not significant" never means "not worse". Whoever wants to release a model that is as good must say how much worse would still do, and
show that the difference is not beyond it: non-inferiority. Equivalence is that on both sides.
Source: Schuirmann (1987), J. Pharmacokinetics 15 (two one-sided tests); ICH E9 (1998) for the levels.

The p-values are read off the interval, and always agree with it: 0 lies outside a 95 % interval exactly where p < 0.05.
"""

from __future__ import annotations

import math

from gonogo.stats.distributions import t_quantile, t_tail
from gonogo.types.evidence import Estimate, Tested


def p_value(difference: Estimate, *, null: float = 0.0) -> float | None:
    """Two-sided p of the null that the true difference is `null`; None where there is no interval.

    >>> from gonogo.stats import compare
    >>> import numpy as np
    >>> found = compare([0.0, 0, 0, 0], [0.1, 0.2, 0.3, 0.2], [0.2, 0.4, 0.4, 0.5], metric="mean_absolute_error")
    >>> found.interval.high < 0, round(p_value(found), 3)
    (True, 0.035)
    """
    t = _statistic(difference, null)
    return None if t is None else min(1.0, 2 * _beyond(abs(t), difference))


def non_inferior(difference: Estimate, margin: float) -> Tested:
    """Ours is worse than theirs by less than the margin. Holds where the null is rejected: p at most half of 1 − level, one-sided.

    difference: ours − theirs, e.g. from `compare`; which side is worse it says itself. margin: > 0, in the metric's own unit.
    p < 0.025 is the same as: the worse end of the 95 % interval keeps to the margin. Refused where the difference was.
    """
    _require_margin(margin)
    worse = margin if difference.better == "lower" else -margin
    t = _statistic(difference, worse)
    towards_better = None if t is None else (-t if difference.better == "lower" else t)
    return _tested(
        difference,
        test="non-inferiority, one-sided t",
        null=f"ours is worse than theirs by {_amount(margin, difference)} or more",
        statistic=towards_better,
        p=None if towards_better is None else _beyond(towards_better, difference),
    )


def equivalent(difference: Estimate, margin: float) -> Tested:
    """Ours and theirs differ by less than the margin, either way: two one-sided tests, of which the weaker p counts.

    p < 0.05 is the same as: the 90 % interval lies within ± margin. Arguments and refusal as for `non_inferior`.
    """
    _require_margin(margin)
    lower, upper = _statistic(difference, -margin), _statistic(difference, margin)
    weaker = None if lower is None or upper is None else min(lower, -upper)
    return _tested(
        difference,
        test="equivalence, two one-sided t",
        null=f"ours and theirs differ by {_amount(margin, difference)} or more",
        statistic=weaker,
        p=None if weaker is None else _beyond(weaker, difference),
    )


def _statistic(difference: Estimate, limit: float) -> float | None:
    """How many standard errors the difference lies above the limit; the error is that of the interval's arm towards the limit."""
    value, interval = difference.value, difference.interval
    if value is None or interval is None:
        return None
    arm = value - interval.low if value > limit else interval.high - value
    if arm <= 0:  # a percentile interval may end at the value itself
        arm = (interval.high - interval.low) / 2
    return (value - limit) * t_quantile((1 + interval.level) / 2, difference.n_units - 1) / arm


def _beyond(t: float, difference: Estimate) -> float:
    """The probability that Student's t with G − 1 degrees of freedom exceeds t."""
    return t_tail(t, difference.n_units - 1)


def _tested(difference: Estimate, *, test: str, null: str, statistic: float | None, p: float | None) -> Tested:
    return Tested(
        test=test,
        null=null,
        statistic=statistic,
        p_value=p,
        effect=difference,
        n_units=difference.n_units,
        n_rows=difference.n_rows,
        refused=difference.refused,
    )


def _require_margin(margin: float) -> None:
    if not 0 < margin < math.inf:
        raise ValueError(f"the margin is {margin}: how much worse would still do must be above 0")


def _amount(margin: float, difference: Estimate) -> str:
    return f"{margin:g} {difference.measured_in}".rstrip()
