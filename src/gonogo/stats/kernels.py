"""How are many weightings of one ranking scored quickly?

Compiled loops, imported only by the closures of `discrimination`. Each has its pure-NumPy twin there, and a test that they agree.
The rows come presorted: `order` (n,) int64 is the order of falling scores, `positive` (n,) uint8 and `last` (n,) bool are in that order;
`last` is true where a run of equal scores ends. `weight` (n,) float64 is in the order of the rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def area(weight, order, positive, last):  # type: ignore[no-untyped-def]
    """The area under the ROC curve; NaN where a class has no weight."""
    tp = fp = run_tp = run_fp = won = 0.0
    for i in range(order.size):
        w = weight[order[i]]
        if positive[i]:
            run_tp += w
        else:
            run_fp += w
        if last[i]:
            won += run_fp * (tp + 0.5 * run_tp)
            tp += run_tp
            fp += run_fp
            run_tp = run_fp = 0.0
    if tp <= 0.0 or fp <= 0.0:
        return np.nan
    return won / (tp * fp)


@njit(cache=True)
def mean_precision(weight, order, positive, last):  # type: ignore[no-untyped-def]
    """Average precision; NaN where the positives have no weight."""
    tp = total = run_tp = won = 0.0
    for i in range(order.size):
        w = weight[order[i]]
        total += w
        if positive[i]:
            run_tp += w
        if last[i] and run_tp > 0.0:
            tp += run_tp
            won += run_tp * (tp / total)
            run_tp = 0.0
    if tp <= 0.0:
        return np.nan
    return won / tp


@njit(cache=True)
def first_beyond(weight, order, positive, last, of_positives, share):  # type: ignore[no-untyped-def]
    """(tp, fp, tp before, fp before, all positives, all negatives) at the first run of equal scores beyond the limit.

    The limit is `share` of the weight of the positives (reached: ≥) or of the negatives (passed: >).
    """
    all_tp = all_fp = 0.0
    for i in range(order.size):
        if positive[i]:
            all_tp += weight[order[i]]
        else:
            all_fp += weight[order[i]]
    limit = share * (all_tp if of_positives else all_fp)
    tp = fp = tp_before = fp_before = 0.0
    for i in range(order.size):
        if positive[i]:
            tp += weight[order[i]]
        else:
            fp += weight[order[i]]
        if last[i]:
            if (of_positives and tp >= limit) or (not of_positives and fp > limit):
                break
            tp_before, fp_before = tp, fp
    return tp, fp, tp_before, fp_before, all_tp, all_fp
