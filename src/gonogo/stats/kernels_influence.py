"""How are figures of a ranking, and every row's share in their error, found for many groups of rows in one pass?

Compiled loops, imported only when `influence` needs them. Each has its pure-NumPy twin in `twins_influence`, and a test that they agree.

The rows come presorted: group by group, within a group by falling score. `start` (n_groups + 1,) says where each group begins; `key`
(n,) is 2 · (number of the distinct score) + (1 for a positive), so that equal scores are one run of equal `key >> 1`; `weight` (n,) is in
that order, or empty where every row weighs 1; `row` (n,) is the row that stands there. Influence is written in the order of the rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def group_rows(row, key, weight, group, start):  # type: ignore[no-untyped-def]
    """Row, key and weight, stably ordered by group: a counting sort. start (n_groups + 1,) is where each group begins."""
    at = start[:-1].copy()
    new_row, new_key, new_weight = np.empty_like(row), np.empty_like(key), np.empty_like(weight)
    weighted = weight.size > 0
    for i in range(row.size):
        g = group[row[i]]
        j = at[g]
        at[g] = j + 1
        new_row[j] = row[i]
        new_key[j] = key[i]
        if weighted:
            new_weight[j] = weight[i]
    return new_row, new_key, new_weight


@njit(cache=True, nogil=True)
def merge_classes(positive, negative):  # type: ignore[no-untyped-def]
    """The keys of rows whose scores are given class by class, each rising, in the order of falling scores, negatives first among equals."""
    key = np.empty(positive.size + negative.size, np.int32)
    p, q, number = positive.size - 1, negative.size - 1, np.int32(-1)
    before = np.nan
    for i in range(key.size):
        is_positive = p >= 0 and (q < 0 or positive[p] > negative[q])
        score = positive[p] if is_positive else negative[q]
        if score != before:
            number += np.int32(1)
        before = score
        if is_positive:
            p -= 1
            key[i] = 2 * number + 1
        else:
            q -= 1
            key[i] = 2 * number
    return key


@njit(cache=True, nogil=True)
def area(row, key, start, weight, value, influence):  # type: ignore[no-untyped-def]
    """value[g]: the area under the ROC curve, NaN where a class has no weight; influence[r]: DeLong's placement of row r."""
    weighted = weight.size > 0
    for g in range(start.size - 1):
        tp = fp = won = 0.0
        i = start[g]
        while i < start[g + 1]:
            run, run_tp, run_fp = key[i] >> 1, 0.0, 0.0
            while i < start[g + 1] and key[i] >> 1 == run:
                w = weight[i] if weighted else 1.0
                if key[i] & 1:
                    run_tp += w
                else:
                    run_fp += w
                i += 1
            won += run_fp * (tp + 0.5 * run_tp)
            tp += run_tp
            fp += run_fp
        if tp <= 0.0 or fp <= 0.0:
            value[g] = np.nan
            continue
        value[g] = won / (tp * fp)
        positives, negatives = tp, fp
        tp = fp = 0.0
        i = start[g]
        while i < start[g + 1]:
            first, run, run_tp, run_fp = i, key[i] >> 1, 0.0, 0.0
            while i < start[g + 1] and key[i] >> 1 == run:
                w = weight[i] if weighted else 1.0
                if key[i] & 1:
                    run_tp += w
                else:
                    run_fp += w
                i += 1
            of_positive = ((negatives - fp - 0.5 * run_fp) / negatives - value[g]) / positives
            of_negative = ((tp + 0.5 * run_tp) / positives - value[g]) / negatives
            for k in range(first, i):
                w = weight[k] if weighted else 1.0
                influence[row[k]] = w * (of_positive if key[k] & 1 else of_negative)
            tp += run_tp
            fp += run_fp


@njit(cache=True, nogil=True)
def mean_precision(row, key, start, weight, value, influence):  # type: ignore[no-untyped-def]
    """value[g]: average precision, NaN where the positives have no weight; influence[r]: weight of row r · its derivative by it."""
    weighted = weight.size > 0
    for g in range(start.size - 1):
        tp = called = won = gain_below = loss_below = 0.0
        i = start[g]
        while i < start[g + 1]:
            run, run_tp = key[i] >> 1, 0.0
            while i < start[g + 1] and key[i] >> 1 == run:
                w = weight[i] if weighted else 1.0
                called += w
                if key[i] & 1:
                    run_tp += w
                i += 1
            if run_tp > 0.0:
                tp += run_tp
                won += run_tp * (tp / called)
                gain_below += run_tp / called
                loss_below += run_tp / called * (tp / called)
        if tp <= 0.0:
            value[g] = np.nan
            continue
        value[g] = won / tp
        positives = tp
        # The sums over the runs at and below a score are the whole minus what lies above it.
        tp = called = 0.0
        i = start[g]
        while i < start[g + 1]:
            first, run, run_tp = i, key[i] >> 1, 0.0
            while i < start[g + 1] and key[i] >> 1 == run:
                w = weight[i] if weighted else 1.0
                called += w
                if key[i] & 1:
                    run_tp += w
                i += 1
            tp += run_tp
            precision = tp / called if called > 0.0 else 0.0
            of_negative = -loss_below / positives
            of_positive = (precision - value[g] + gain_below - loss_below) / positives
            for k in range(first, i):
                w = weight[k] if weighted else 1.0
                influence[row[k]] = w * (of_positive if key[k] & 1 else of_negative)
            if run_tp > 0.0:
                gain_below -= run_tp / called
                loss_below -= run_tp / called * precision


@njit(cache=True, nogil=True)
def crossings(key, start, weight, axis, share, strictly, total, before, after, place):  # type: ignore[no-untyped-def]
    """Where, going down the scores, the called weight of an axis first reaches (strictly: passes) a share of all of it.

    axis: 0 negatives, 1 positives, 2 both. share (n_groups, k), rising in k. total (n_groups, 4): weight of negatives, weight of positives,
    rows of each. before, after (n_groups, k, 2): weight of negatives and positives called before and after the run of equal scores that
    crosses; place (n_groups, k, 2): where it begins and ends. Where nothing crosses, all lies before an empty run at the end.
    """
    weighted = weight.size > 0
    sums = np.zeros(2)
    run_sums = np.zeros(2)
    for g in range(start.size - 1):
        total[g, :] = 0.0
        for i in range(start[g], start[g + 1]):
            total[g, key[i] & 1] += weight[i] if weighted else 1.0
            total[g, 2 + (key[i] & 1)] += 1.0
        whole = total[g, 0] + total[g, 1] if axis == 2 else total[g, axis]
        sums[:] = 0.0
        k = 0
        i = start[g]
        while i < start[g + 1] and k < share.shape[1]:
            first, run = i, key[i] >> 1
            run_sums[:] = 0.0
            while i < start[g + 1] and key[i] >> 1 == run:
                run_sums[key[i] & 1] += weight[i] if weighted else 1.0
                i += 1
            called = sums.sum() + run_sums.sum() if axis == 2 else sums[axis] + run_sums[axis]
            while k < share.shape[1] and (called > share[g, k] * whole or (not strictly and called == share[g, k] * whole)):
                for c in range(2):
                    before[g, k, c] = sums[c]
                    after[g, k, c] = sums[c] + run_sums[c]
                place[g, k, 0] = first
                place[g, k, 1] = i
                k += 1
            sums += run_sums
        for missed in range(k, share.shape[1]):
            for c in range(2):
                before[g, missed, c] = after[g, missed, c] = sums[c]
            place[g, missed, :] = start[g + 1]


@njit(cache=True, nogil=True)
def spread_steps(row, key, start, weight, place, part, step, influence):  # type: ignore[no-untyped-def]
    """influence[r] = weight · step of the row's class: above the crossing run, below it, and in it by the part that is called.

    place (n_groups, 2): where the crossing run begins and ends; part (n_groups,) of it is called; step (n_groups, 2, 2): class, then not
    called and called.
    """
    weighted = weight.size > 0
    for g in range(start.size - 1):
        for i in range(start[g], start[g + 1]):
            called = 1.0 if i < place[g, 0] else (part[g] if i < place[g, 1] else 0.0)
            c = key[i] & 1
            w = weight[i] if weighted else 1.0
            influence[row[i]] = w * (step[g, c, 0] + called * (step[g, c, 1] - step[g, c, 0]))
