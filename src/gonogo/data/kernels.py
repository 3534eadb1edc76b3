# mypy: allow-untyped-defs, allow-untyped-calls
"""How are the windows of millions of labels added up in one pass over sorted events?

Compiled loops over plain arrays, without Arrow or SQL, called by `asof.py`. Legend, shared by all:

    starts[e] … starts[e + 1]   the sorted events of entity e; label_starts likewise for its labels, in time order
    valid_from, valid_until     an event counts for a label at t if valid_from <= t < valid_until
    steady[e]                   1: its events become valid in their own order and none is ever taken back, so the valid ones are a prefix
    arrivals                    the events of an unsteady entity in the order in which they become valid
    leavings                    its events that are taken back, in that order; leaving_starts tells the entities apart
    low[w]                      first event inside window w; it only moves forward, for labels come in time order

Plain loops even where a slice would be shorter: assigning to a slice adds up to a second to the compilation that a first run waits for.

Integers only: the order of additions cannot change a bit. Sums run modulo 2^64 and their differences are exact, because the caller has
proved that no window's sum leaves 62 bits.
"""

from __future__ import annotations

import numba as nb
import numpy as np

NEVER = np.iinfo(np.int64).max
EMPTY = np.iinfo(np.int64).max  # in `minima`: no usable event in the window
_RUN = 16  # runs this short are sorted by insertion


@nb.njit(cache=True, nogil=True)
def group(codes, n_groups, order):
    """Counting sort, stable: returns starts (n_groups + 1,), and fills order (as many as are kept) with the rows brought together.

    Codes below 0 are left out.
    """
    starts = np.zeros(n_groups + 1, np.int64)
    for i in range(codes.size):
        if codes[i] >= 0:
            starts[codes[i] + 1] += 1
    for e in range(n_groups):
        starts[e + 1] += starts[e]
    free = np.empty(n_groups, np.int64)
    for e in range(n_groups):
        free[e] = starts[e]
    for i in range(codes.size):
        code = codes[i]
        if code >= 0:
            order[free[code]] = i
            free[code] += 1
    return starts


@nb.njit(cache=True, nogil=True)
def _sort_slice(first, second, order, start, stop, spare):
    """Stable merge sort of order[start:stop] by (first, second) of the positions it holds; sorted runs cost one look."""
    for a in range(start, stop, _RUN):
        z = min(a + _RUN, stop)
        for i in range(a + 1, z):
            p = order[i]
            j = i - 1
            while j >= a and (first[p] < first[order[j]] or (first[p] == first[order[j]] and second[p] < second[order[j]])):
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = p
    width = _RUN
    while width < stop - start:
        for a in range(start, stop - width, 2 * width):
            middle, z = a + width, min(a + 2 * width, stop)
            p, q = order[middle], order[middle - 1]
            if not (first[p] < first[q] or (first[p] == first[q] and second[p] < second[q])):
                continue
            for i in range(middle - a):
                spare[i] = order[a + i]
            i, j, k = 0, middle, a
            while i < middle - a and j < z:
                p, q = order[j], spare[i]
                if first[p] < first[q] or (first[p] == first[q] and second[p] < second[q]):
                    order[k] = p
                    j += 1
                else:
                    order[k] = q
                    i += 1
                k += 1
            while i < middle - a:
                order[k] = spare[i]
                i += 1
                k += 1
        width *= 2


@nb.njit(cache=True, nogil=True)
def in_order(starts, times):
    """Whether no group has a time that is smaller than the one before it."""
    for e in range(starts.size - 1):
        for i in range(starts[e] + 1, starts[e + 1]):
            if times[i] < times[i - 1]:
                return False
    return True


@nb.njit(cache=True, nogil=True)
def sort_groups(starts, first, second, wanted, order):
    """Fills order with positions in the order (group, first, second), stable; only groups that are wanted and out of order are sorted.

    Groups that are not wanted are left as they are: nobody reads them. Returns how many groups moved.
    """
    longest = 0
    for e in range(starts.size - 1):
        longest = max(longest, starts[e + 1] - starts[e])
    spare = np.empty(longest, np.int64)
    moved = 0
    for e in range(starts.size - 1):
        if wanted.size > 0 and wanted[e] == 0:
            continue
        for i in range(starts[e], starts[e + 1]):
            order[i] = i
        for i in range(starts[e] + 1, starts[e + 1]):
            if first[i] < first[i - 1] or (first[i] == first[i - 1] and second[i] < second[i - 1]):
                _sort_slice(first, second, order, starts[e], starts[e + 1], spare)
                moved += 1
                break
    return moved


@nb.njit(cache=True, nogil=True)
def validity(starts, event_time, known_at, valid_until, shift, valid_from, steady):
    """Fills valid_from and steady. An event that is taken back before it counts never counts."""
    n_unsteady = 0
    for e in range(starts.size - 1):
        steady[e] = 1
        for i in range(starts[e], starts[e + 1]):
            begin = max(event_time[i] + 1 - shift, known_at[i])
            if valid_until.size > 0 and valid_until[i] != NEVER:
                steady[e] = 0
                if valid_until[i] <= begin:
                    begin = NEVER
            valid_from[i] = begin
            if i > starts[e] and begin < valid_from[i - 1]:
                steady[e] = 0
        n_unsteady += 1 - steady[e]
    return n_unsteady


@nb.njit(cache=True, nogil=True)
def _steady_sums(a, z, la, lz, event_time, valid_from, label_time, label_order, windows, shift, prefix, low, out):
    high = a
    for j in range(la, lz):
        t, row = label_time[j], label_order[j]
        while high < z and valid_from[high] <= t:
            high += 1
        for w in range(windows.size):
            p = low[w]
            if windows[w] >= 0:
                edge = t - windows[w] + shift
                while p < high and event_time[p] < edge:
                    p += 1
                low[w] = p
            at = w * (1 + prefix.shape[0])
            out[row, at] = high - p
            for k in range(prefix.shape[0]):
                out[row, at + 1 + k] = prefix[k, high] - prefix[k, p]


@nb.njit(cache=True, nogil=True)
def _change(i, sign, low, prefix, count, total):
    for w in range(low.size):
        if i >= low[w]:
            count[w] += sign
            for k in range(prefix.shape[0]):
                total[w, k] += sign * (prefix[k, i + 1] - prefix[k, i])


@nb.njit(cache=True, nogil=True)
def sums(
    starts,
    event_time,
    valid_from,
    valid_until,
    steady,
    arrivals,
    leaving_starts,
    leavings,
    label_starts,
    label_time,
    label_order,
    windows,
    shift,
    prefix,
    out,
):
    """Fills out (labels, windows × (1 + columns)): for each window its count and its totals; prefix is (columns, events + 1).

    A label's numbers lie side by side, because labels come by entity and rows do not: each row is one jump in memory instead of many.
    """
    low = np.empty(windows.size, np.int64)
    count = np.empty(windows.size, np.int64)
    total = np.empty((windows.size, prefix.shape[0]), np.int64)
    active = np.zeros(_longest_unsteady(starts, steady), np.uint8)
    for e in range(starts.size - 1):
        a, z, la, lz = starts[e], starts[e + 1], label_starts[e], label_starts[e + 1]
        if a == z or la == lz:
            continue
        for w in range(windows.size):
            low[w] = a
        if steady[e]:
            _steady_sums(a, z, la, lz, event_time, valid_from, label_time, label_order, windows, shift, prefix, low, out)
            continue
        for i in range(z - a):
            active[i] = 0
        for w in range(windows.size):
            count[w] = 0
            for k in range(prefix.shape[0]):
                total[w, k] = 0
        arriving, leaving = a, leaving_starts[e]
        for j in range(la, lz):
            t, row = label_time[j], label_order[j]
            while arriving < z and valid_from[arrivals[arriving]] <= t:
                i = arrivals[arriving]
                arriving += 1
                active[i - a] = 1
                _change(i, 1, low, prefix, count, total)
            while leaving < leaving_starts[e + 1] and valid_until[leavings[leaving]] <= t:
                i = leavings[leaving]
                leaving += 1
                if active[i - a]:
                    active[i - a] = 0
                    _change(i, -1, low, prefix, count, total)
            for w in range(windows.size):
                if windows[w] >= 0:
                    edge = t - windows[w] + shift
                    while low[w] < z and event_time[low[w]] < edge:
                        i = low[w]
                        if active[i - a]:
                            count[w] -= 1
                            for k in range(prefix.shape[0]):
                                total[w, k] -= prefix[k, i + 1] - prefix[k, i]
                        low[w] += 1
                at = w * (1 + prefix.shape[0])
                out[row, at] = count[w]
                for k in range(prefix.shape[0]):
                    out[row, at + 1 + k] = total[w, k]


@nb.njit(cache=True, nogil=True)
def _longest_unsteady(starts, steady):
    longest = 0
    for e in range(starts.size - 1):
        if not steady[e]:
            longest = max(longest, starts[e + 1] - starts[e])
    return longest


@nb.njit(cache=True, nogil=True)
def latest(
    starts, valid_from, valid_until, steady, arrivals, leaving_starts, leavings, label_starts, label_time, label_order, usable, found
):
    """Fills found (labels,) with the position of the latest valid usable event, or leaves it; usable may be empty: all are."""
    active = np.zeros(_longest_unsteady(starts, steady), np.uint8)
    every = usable.size == 0
    for e in range(starts.size - 1):
        a, z, la, lz = starts[e], starts[e + 1], label_starts[e], label_starts[e + 1]
        if a == z or la == lz:
            continue
        best = a - 1
        if steady[e]:
            high = a
            for j in range(la, lz):
                while high < z and valid_from[high] <= label_time[j]:
                    if every or usable[high]:
                        best = high
                    high += 1
                if best >= a:
                    found[label_order[j]] = best
            continue
        for i in range(z - a):
            active[i] = 0
        arriving, leaving = a, leaving_starts[e]
        for j in range(la, lz):
            t = label_time[j]
            while arriving < z and valid_from[arrivals[arriving]] <= t:
                i = arrivals[arriving]
                arriving += 1
                if every or usable[i]:
                    active[i - a] = 1
                    best = max(best, i)
            while leaving < leaving_starts[e + 1] and valid_until[leavings[leaving]] <= t:
                active[leavings[leaving] - a] = 0
                leaving += 1
            while best >= a and not active[best - a]:
                best -= 1
            if best >= a:
                found[label_order[j]] = best


@nb.njit(cache=True, nogil=True)
def _steady_minima(a, z, la, lz, event_time, valid_from, label_time, label_order, window, shift, values, usable, queue, out):
    """One window of one entity by a queue whose values rise: its head is the smallest value inside."""
    head = tail = 0
    high = a
    for j in range(la, lz):
        t = label_time[j]
        while high < z and valid_from[high] <= t:
            if usable.size == 0 or usable[high]:
                while tail > head and values[queue[tail - 1]] >= values[high]:
                    tail -= 1
                queue[tail] = high
                tail += 1
            high += 1
        if window >= 0:
            edge = t - window + shift
            while head < tail and event_time[queue[head]] < edge:
                head += 1
        if head < tail:
            out[label_order[j]] = values[queue[head]]


@nb.njit(cache=True, nogil=True)
def _plant(tree, n_leaves, leaf, value):
    p = leaf + n_leaves
    tree[p] = value
    while p > 1:
        p //= 2
        tree[p] = min(tree[2 * p], tree[2 * p + 1])


@nb.njit(cache=True, nogil=True)
def _smallest_from(tree, n_leaves, leaf):
    """The smallest leaf value from that leaf to the last one."""
    best = EMPTY
    left, right = leaf + n_leaves, 2 * n_leaves
    while left < right:
        if left & 1:
            best = min(best, tree[left])
            left += 1
        if right & 1:
            right -= 1
            best = min(best, tree[right])
        left //= 2
        right //= 2
    return best


@nb.njit(cache=True, nogil=True)
def minima(
    starts,
    event_time,
    valid_from,
    valid_until,
    steady,
    arrivals,
    leaving_starts,
    leavings,
    label_starts,
    label_time,
    label_order,
    windows,
    shift,
    values,
    usable,
    out,
):
    """Fills out (windows, labels) with the smallest usable value, or leaves it. Steady entities by a queue, others by a tree of minima."""
    longest = 0
    for e in range(starts.size - 1):
        longest = max(longest, starts[e + 1] - starts[e])
    queue = np.empty(longest, np.int64)
    tree = np.empty(2 * _longest_unsteady(starts, steady), np.int64)
    low = np.empty(windows.size, np.int64)
    for e in range(starts.size - 1):
        a, z, la, lz = starts[e], starts[e + 1], label_starts[e], label_starts[e + 1]
        if a == z or la == lz:
            continue
        if steady[e]:
            for w in range(windows.size):
                _steady_minima(
                    a, z, la, lz, event_time, valid_from, label_time, label_order, windows[w], shift, values, usable, queue, out[w]
                )
            continue
        n = z - a
        for i in range(2 * n):
            tree[i] = EMPTY
        for w in range(windows.size):
            low[w] = a
        arriving, leaving = a, leaving_starts[e]
        for j in range(la, lz):
            t, row = label_time[j], label_order[j]
            while arriving < z and valid_from[arrivals[arriving]] <= t:
                i = arrivals[arriving]
                arriving += 1
                if usable.size == 0 or usable[i]:
                    _plant(tree, n, i - a, values[i])
            while leaving < leaving_starts[e + 1] and valid_until[leavings[leaving]] <= t:
                _plant(tree, n, leavings[leaving] - a, EMPTY)
                leaving += 1
            for w in range(windows.size):
                if windows[w] >= 0:
                    edge = t - windows[w] + shift
                    while low[w] < z and event_time[low[w]] < edge:
                        low[w] += 1
                best = _smallest_from(tree, n, low[w] - a)
                if best != EMPTY:
                    out[w, row] = best


@nb.njit(cache=True, nogil=True)
def distinct(
    starts,
    event_time,
    valid_from,
    valid_until,
    steady,
    arrivals,
    leaving_starts,
    leavings,
    label_starts,
    label_time,
    label_order,
    windows,
    shift,
    codes,
    n_codes,
    out,
):
    """Fills out (windows, labels) with how many different codes stand in the window; codes below 0 are not counted."""
    tally = np.zeros(n_codes, np.int64)
    longest = 0
    for e in range(starts.size - 1):
        longest = max(longest, starts[e + 1] - starts[e])
    active = np.empty(longest, np.uint8)
    for e in range(starts.size - 1):
        a, z, la, lz = starts[e], starts[e + 1], label_starts[e], label_starts[e + 1]
        if a == z or la == lz:
            continue
        for w in range(windows.size):
            for i in range(z - a):
                active[i] = 0
            low = arriving = a
            leaving = leaving_starts[e]
            n = 0
            for j in range(la, lz):
                t = label_time[j]
                while arriving < z:
                    i = arriving if steady[e] else arrivals[arriving]
                    if valid_from[i] > t:
                        break
                    arriving += 1
                    if i >= low and codes[i] >= 0:
                        active[i - a] = 1
                        tally[codes[i]] += 1
                        n += tally[codes[i]] == 1
                while leaving < leaving_starts[e + 1] and valid_until[leavings[leaving]] <= t:
                    i = leavings[leaving]
                    leaving += 1
                    if active[i - a]:
                        active[i - a] = 0
                        tally[codes[i]] -= 1
                        n -= tally[codes[i]] == 0
                if windows[w] >= 0:
                    edge = t - windows[w] + shift
                    while low < z and event_time[low] < edge:
                        if active[low - a]:
                            active[low - a] = 0
                            tally[codes[low]] -= 1
                            n -= tally[codes[low]] == 0
                        low += 1
                out[w, label_order[j]] = n
            for i in range(a, z):
                if codes[i] >= 0:
                    tally[codes[i]] = 0
