"""How are the slices of a column summed up in one pass, without a matrix of slices by units?

Compiled loops, imported only when `slices` needs them. Each has its pure-NumPy twin in `twins_slices`, and a test that they agree.
`code` (n,) int16 is the slice of each row, in the order of the rows; `start` (n_slices + 1,) is where each slice begins once the rows are
dealt to their slices.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def deal(row, key, code, start):  # type: ignore[no-untyped-def]
    """The keys of `influence.RankedRows`, slice by slice and within a slice by falling score: a counting sort of 8 ns a row."""
    at = start[:-1].copy()
    dealt = np.empty_like(key)
    for i in range(row.size):
        g = code[row[i]]
        j = at[g]
        at[g] = j + 1
        dealt[j] = key[i]
    return dealt


@njit(cache=True, nogil=True)
def ranking_sums(key, start):  # type: ignore[no-untyped-def]
    """(n_slices, 17): the sums of which a slice's area under the ROC curve, its average precision and their spreads are made.

    Columns: negatives, positives; Σ over positives of the negatives above them to the powers 1 to 4; Σ over negatives of the positives
    below them likewise; Σ precision over positives; Σ over positives of what they sway average precision by, powers 1 to 4; Σ over
    negatives likewise, powers 2 and 4. Equal scores count half. Walks up once from the lowest score.
    """
    out = np.zeros((start.size - 1, 17))
    for g in range(start.size - 1):
        rows, positives = start[g + 1] - start[g], 0
        for i in range(start[g], start[g + 1]):
            positives += key[i] & 1
        tn, tp = float(rows - positives), float(positives)
        of_tn, of_tp = 1.0 / max(tn, 1.0), 1.0 / max(tp, 1.0)
        below_n = below_p = run_n = run_p = passed = gain = loss = 0.0
        p1 = p2 = p3 = p4 = n1 = n2 = n3 = n4 = precisions = u1 = u2 = u3 = u4 = b2 = b4 = 0.0
        for i in range(start[g + 1] - 1, start[g] - 1, -1):
            positive = float(key[i] & 1)
            run_p += positive
            run_n += 1.0 - positive
            if i > start[g] and key[i - 1] >> 1 == key[i] >> 1:
                continue
            if run_p == 0.0:
                # Negatives with the same positives below them are alike: they are counted, and settled together.
                passed += run_n
                run_n = 0.0
                continue
            under = below_p * of_tp
            power = passed * under
            n1 += power
            power *= under
            n2 += power
            power *= under
            n3 += power
            n4 += power * under
            squared = loss * loss
            b2 += passed * squared
            b4 += passed * squared * squared
            below_n += passed
            passed = 0.0
            above = (tn - below_n - 0.5 * run_n) * of_tn
            power = run_p * above
            p1 += power
            power *= above
            p2 += power
            power *= above
            p3 += power
            p4 += power * above
            called_p = tp - below_p
            share = 1.0 / (tn - below_n + called_p)
            precision = called_p * share
            share *= run_p
            gain += share
            loss += share * precision
            precisions += run_p * precision
            swayed = precision + gain - loss
            power = run_p * swayed
            u1 += power
            power *= swayed
            u2 += power
            power *= swayed
            u3 += power
            u4 += power * swayed
            if run_n > 0.0:
                under = (below_p + 0.5 * run_p) * of_tp
                n1 += run_n * under
                n2 += run_n * under**2
                n3 += run_n * under**3
                n4 += run_n * under**4
                b2 += run_n * loss**2
                b4 += run_n * loss**4
            below_n += run_n
            below_p += run_p
            run_n = run_p = 0.0
        under = below_p * of_tp  # all positives, or none at all
        n1 += passed * under
        n2 += passed * under
        n3 += passed * under
        n4 += passed * under
        b2 += passed * loss**2
        b4 += passed * loss**4
        sums = (tn, tp, p1, p2, p3, p4, n1, n2, n3, n4, precisions, u1, u2, u3, u4, b2, b4)
        for k in range(17):
            out[g, k] = sums[k]
    return out


@njit(cache=True, nogil=True)
def sums_by_slice(value, code, n_slices):  # type: ignore[no-untyped-def]
    """(n_slices, m): the rows of value (n, m) added up by slice, in row order."""
    out = np.zeros((n_slices, value.shape[1]))
    for i in range(code.size):
        g = code[i]
        for k in range(value.shape[1]):
            out[g, k] += value[i, k]
    return out


@njit(cache=True, nogil=True)
def moments_by_slice(value, code, n_slices):  # type: ignore[no-untyped-def]
    """(n_slices, 1 + 2 m): rows, then Σ v and Σ v² of each of m columns of value (n, m), in row order."""
    out = np.zeros((n_slices, 1 + 2 * value.shape[1]))
    for i in range(code.size):
        g = code[i]
        out[g, 0] += 1.0
        for k in range(value.shape[1]):
            v = value[i, k]
            out[g, 1 + 2 * k] += v
            out[g, 2 + 2 * k] += v * v
    return out


@njit(cache=True, nogil=True)
def powers_by_unit(value, weight, code, row, start, n_slices):  # type: ignore[no-untyped-def]
    """(n_slices, 1 + 2 m): units with weight, then Σ e² and Σ e⁴ of each of m columns, where e is a unit's sum within the slice.

    value: (n, m); weight: (n,), or empty where every row weighs 1; row: (n,) rows unit by unit; start: (n_units + 1,) where each begins.
    Only the slices that a unit touches are held, so nothing of slices × units is ever made.
    """
    n_values = value.shape[1]
    out = np.zeros((n_slices, 1 + 2 * n_values))
    held = np.zeros((n_slices, 1 + n_values))
    touched = np.empty(n_slices, np.int64)
    is_touched = np.zeros(n_slices, np.bool_)
    for unit in range(start.size - 1):
        n_touched = 0
        for j in range(start[unit], start[unit + 1]):
            i = row[j]
            g = code[i]
            if not is_touched[g]:
                is_touched[g] = True
                touched[n_touched] = g
                n_touched += 1
            held[g, 0] += weight[i] if weight.size > 0 else 1.0
            for k in range(n_values):
                held[g, 1 + k] += value[i, k]
        for t in range(n_touched):
            g = touched[t]
            is_touched[g] = False
            if held[g, 0] > 0.0:
                out[g, 0] += 1.0
            for k in range(n_values):
                squared = held[g, 1 + k] * held[g, 1 + k]
                out[g, 1 + 2 * k] += squared
                out[g, 2 + 2 * k] += squared * squared
            held[g, :] = 0.0
    return out
