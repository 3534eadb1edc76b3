"""How is the judge moved on by one line of traffic?

Compiled loops over the state of one stage; `judge.py` lays it out and reads it. Lines are taken one by one in the order of the judge's log,
so the same lines in any blocks leave the same bits. The sequences themselves are those of `stats/kernels_sequential.py`.

Nobody imports this file but `judge_compile.py`: it needs numba, compiling takes long, and what comes of it is kept (`judge_code.py`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from gonogo.gates.judge_state import (
    AFTER,
    ANCHOR,
    ANCHORED,
    BAKED,
    BEFORE,
    BINS,
    BINS_N,
    BLOCK,
    BLOCK_BAD,
    BLOCK_N,
    CALM,
    CHALLENGED,
    CHALLENGER,
    CHAMPION,
    DEALT_0,
    DEALT_1,
    DEALT_SHARE,
    DISTRIBUTION,
    ELAPSED,
    ERRORS,
    EVENTS,
    FOREIGN,
    GRID,
    HEARD,
    HIGHER,
    HITS,
    KEYS,
    LATE,
    LATENCY,
    LIVE_ANSWERS,
    LOSS,
    LOST,
    NO,
    NOTHING,
    OUTAGE,
    OUTAGES,
    QUIET,
    RATED,
    RATIO,
    RATIO_E,
    RATIO_HIGHEST,
    RECENT,
    REFERENCE,
    RING,
    RING_AT,
    RING_BAD,
    RING_N,
    SCORES_N,
    SHADOWED,
    SIDE_BY_SIDE,
    SLOW,
    STAKES,
    STEERS,
    STRAY,
    TAKEN,
    TIMES_N,
    TRIALS,
    UNITS_0,
    UNITS_1,
    UNTIMED,
    YES,
)
from gonogo.stats.kernels_sequential import bet, flip
from gonogo.stats.sample_ratio import STRENGTH

_PENDING = np.uint64(1)
_BIN_AT = np.uint64(20)
_NO_BIN = 7
_LATER = np.uint64(1 << 23)  # one more request of the unit since the one that waits …
_LATEST = np.uint64(15 << 23)  # … and so many that its shadow is taken for lost
_TAG = np.uint64(0xFFFFFFFF)

# Python calls none of this, so it needs no door: that alone takes a fifth off the time to compile.
_NO_DOOR: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_inner: Any = njit(nogil=True, error_model="numpy", **_NO_DOOR)


@_inner
def place(unit, keys, s):  # type: ignore[no-untyped-def]
    """Where the unit is kept, entered if it is new. The hash is the unit: it is one already."""
    mask = np.uint64(keys.size - 1)
    at = unit & mask
    while keys[at] != np.uint64(0) and keys[at] != unit:
        at = (at + np.uint64(1)) & mask
    if keys[at] == np.uint64(0):
        keys[at] = unit
        s.n[KEYS] += 1
    return at


@_inner
def moved(keys, marks, new_keys, new_marks):  # type: ignore[no-untyped-def]
    """Move all units into a larger table."""
    mask = np.uint64(new_keys.size - 1)
    for i in range(keys.size):
        if keys[i] != np.uint64(0):
            at = keys[i] & mask
            while new_keys[at] != np.uint64(0):
                at = (at + np.uint64(1)) & mask
            new_keys[at] = keys[i]
            for j in range(marks.shape[1]):
                new_marks[at, j] = marks[i, j]


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_inner
def _tick(at_ns, r, s):  # type: ignore[no-untyped-def]
    """Time passed. It bakes only as far as answers of the challenger vouch for it, so neither silence nor a leap of the clock bakes."""
    if s.n[ANCHORED] == 1 and at_ns > s.n[ANCHOR]:
        passed = at_ns - s.n[ANCHOR]
        s.n[ELAPSED] += passed
        if s.n[HEARD] == 1:
            s.n[BAKED] += min(passed, max(r.c[0].vouch_ns - s.n[QUIET], 0))
        s.n[QUIET] += passed
    s.n[ANCHORED] = 1
    s.n[ANCHOR] = at_ns


@_inner
def _heard(s):  # type: ignore[no-untyped-def]
    s.n[HEARD] = 1
    s.n[QUIET] = 0


@_inner
def _flip(hit, chance, lane, which, r, s):  # type: ignore[no-untyped-def]
    """One coin, 1 or 0, for one of a lane's sequences. Only against harm does some capital wait."""
    on = max(which - 1, 0)  # BEFORE and AFTER lay on HIGHER, RATIO on LOWER, RATED on FAR
    reserve = r.c[0].reserve if on == HIGHER else 0.0
    flip(hit == 1, chance, r.bets[on, 0], r.bets[on, 1], reserve, r.c[0].patience, s.capital[lane, which], s.at[lane, which])


@_inner
def _bet(gain, lane, which, r, s):  # type: ignore[no-untyped-def]
    """One value for one of a lane's sequences."""
    reserve = r.c[0].reserve if which != RATIO else 0.0
    bet(gain, r.bets[STAKES, 0], r.bets[STAKES, 1], reserve, r.c[0].patience, s.capital[lane, which], s.at[lane, which])


# ── what an answer says ─────────────────────────────────────────────────────────────────────────────────────────────────────


@_inner
def _is_hit(e, status, latency, s):  # type: ignore[no-untyped-def]
    """Is it an event of that kind? 1, 0, or -1 where that cannot be said."""
    sort = s.e[e].sort
    if sort == SLOW:
        if math.isnan(s.e[e].limit) or latency == 0:
            return -1
        # An error may be quick; it is slow all the same, for the model's own answer never came.
        return 1 if (latency > s.e[e].limit or status >= 2) else 0
    if sort == ERRORS:
        return 1 if status >= 2 else 0
    return 1 if status != 0 else 0


@_inner
def _bin(score, status, s):  # type: ignore[no-untyped-def]
    """The bin of a score; -1 before there are bins. What is no number, or was not said by the model itself, lies in the last: left out, a
    challenger that does not answer would seem to have less of everything."""
    if s.n[BINS_N] < 2:
        return -1
    if status != 0 or not math.isfinite(score):
        return s.n[BINS_N] - 1
    at = 0
    while at < s.n[BINS_N] - 1 and score > s.cuts[at]:
        at += 1
    return at


@_inner
def _refer(score, latency, status, r, s):  # type: ignore[no-untyped-def]
    """One more answer of the champion by which "slow" and the bins are fixed, once there are enough of them."""
    if s.n[SCORES_N] < REFERENCE and status == 0 and math.isfinite(score):
        _keep_sorted(score, s.first[0], s.n[SCORES_N])
        s.n[SCORES_N] += 1
        if s.n[SCORES_N] == REFERENCE:
            found = 0
            for j in range(1, BINS):
                cut = s.first[0, REFERENCE * j // BINS - 1]
                if cut < s.first[0, REFERENCE - 1] and (found == 0 or cut > s.cuts[found - 1]):
                    s.cuts[found] = cut
                    found += 1
            s.n[BINS_N] = found + 1
    if s.n[TIMES_N] < REFERENCE and latency > 0:
        _keep_sorted(float(latency), s.first[1], s.n[TIMES_N])
        s.n[TIMES_N] += 1
        if s.n[TIMES_N] == REFERENCE:
            for e in range(s.e.size):
                if s.e[e].sort == SLOW and math.isnan(s.e[e].limit) and not math.isnan(s.e[e].quantile):
                    s.e[e].limit = s.first[1, np.int64(math.ceil(s.e[e].quantile * REFERENCE)) - 1]


@_inner
def _keep_sorted(value, kept, n):  # type: ignore[no-untyped-def]
    while n > 0 and kept[n - 1] > value:
        kept[n] = kept[n - 1]
        n -= 1
    kept[n] = value


@_inner
def _outage(status, s):  # type: ignore[no-untyped-def]
    """Do the answers that callers get fail far more than in the calmest block of this stage, or every second time?"""
    bad = 1 if status >= 2 else 0
    at = s.n[RING_AT]
    if s.n[RING_N] == RING:
        s.n[RING_BAD] -= s.ring[at]
    else:
        s.n[RING_N] += 1
    s.ring[at] = bad
    s.n[RING_BAD] += bad
    s.n[RING_AT] = (at + 1) % RING
    s.n[BLOCK_N] += 1
    s.n[BLOCK_BAD] += bad
    if s.n[BLOCK_N] == BLOCK:
        share = s.n[BLOCK_BAD] / BLOCK
        if s.x[CALM] < 0.0 or share < s.x[CALM]:
            s.x[CALM] = share
        s.n[BLOCK_N] = 0
        s.n[BLOCK_BAD] = 0
    now = s.n[RING_BAD] / s.n[RING_N]
    calm = s.x[CALM]
    out = (s.n[RING_N] >= 64 and now > 0.5) or (calm >= 0.0 and s.n[RING_N] == RING and now > max(0.1, 5.0 * calm))
    if out and s.n[OUTAGE] == 0:
        s.n[OUTAGES] += 1
    s.n[OUTAGE] = 1 if out else 0


@_inner
def _dealt(arm, share, s):  # type: ignore[no-untyped-def]
    """One new unit and its arm, for the sample ratio: `stats.sample_ratio`, each share judged for itself."""
    if share != s.x[DEALT_SHARE]:
        s.x[DEALT_SHARE] = share
        s.n[DEALT_0] = 0
        s.n[DEALT_1] = 0
    seen = s.n[DEALT_1] if arm == 1 else s.n[DEALT_0]
    chance = share if arm == 1 else 1.0 - share
    s.x[RATIO_E] += math.log((STRENGTH * chance + seen) / (STRENGTH + s.n[DEALT_0] + s.n[DEALT_1]) / chance)
    s.x[RATIO_HIGHEST] = max(s.x[RATIO_HIGHEST], s.x[RATIO_E])
    if arm == 1:
        s.n[DEALT_1] += 1
    else:
        s.n[DEALT_0] += 1


# ── both arms answer, each its own units ────────────────────────────────────────────────────────────────────────────────────


@_inner
def _side_by_side(line, r, s, keys, marks):  # type: ignore[no-untyped-def]
    # Propensities are logged with 32 bits: of a share that is moved the thousandths are kept, and nothing else was ever asked for.
    share = math.floor(float(line.share) * GRID + 0.5) / GRID if r.c[0].moves == 1 else r.c[0].share
    if (
        not 0.0 < line.share < 1.0
        or not 0.0 < share < 1.0
        or (r.c[0].moves == 0 and abs(line.share - r.c[0].share) > 1e-6)
        or line.unit == np.uint64(0)
    ):
        return  # nobody watched, or nobody's request: the arm was not drawn
    arm, status, latency = np.int64(line.arm), np.int64(line.status), np.int64(line.latency_us)
    s.n[LIVE_ANSWERS] += 1
    if arm == 1:
        _heard(s)
        s.n[CHALLENGED] += 1
        s.n[UNTIMED] += 1 if latency == 0 else 0
    else:
        _outage(status, s)
    at = place(line.unit, keys, s)
    mask = ((line.slices << np.uint64(1)) | np.uint64(1)) & r.c[0].watched
    new = mask & ~np.uint64(marks[at, 0])
    if r.c[0].steered == 1 and line.unit & STEERS and not new & np.uint64(1):
        # The share may have been moved by what this unit said before, so its arm is no coin of that share any more.
        if arm == 1:
            for e in range(s.e.size):
                hit = _is_hit(e, status, latency, s)
                if hit >= 0:
                    _rows(e, hit, mask, r, s)
        return
    if new & np.uint64(1):
        if arm == 1:
            s.n[UNITS_1] += 1
        else:
            s.n[UNITS_0] += 1
        _dealt(arm, share, s)
    marks[at, 0] = np.uint64(marks[at, 0]) | mask
    if s.n[OUTAGE] == 1:
        new = np.uint64(0)  # errors that both arms share would certify a challenger by their sheer number
    if r.w.size:
        _events_side_by_side(arm, status, latency, share, mask, new, at, r, s, marks)
        if new:
            _bins_side_by_side(arm, _bin(line.score, status, s), share, new, r, s)
    if arm == 0 and (new & np.uint64(1)):
        _refer(line.score, latency, status, r, s)


@_inner
def _events_side_by_side(arm, status, latency, share, mask, new, at, r, s, marks):  # type: ignore[no-untyped-def]
    for e in range(s.e.size):
        hit = _is_hit(e, status, latency, s)
        if hit < 0:
            continue
        fresh = np.uint64(0)
        if hit == 1:
            fresh = mask & ~np.uint64(marks[at, 1 + e])
            marks[at, 1 + e] = np.uint64(marks[at, 1 + e]) | mask
        for w in range(r.w.size):
            if r.w[w].event != e or not mask & r.w[w].bit:
                continue
            touched = False
            if arm == 1:
                _row(w, hit, s)
            if new & r.w[w].bit:
                touched = True
                _trial(w, arm, hit, share, r, s)
            if fresh & r.w[w].bit:
                touched = True
                s.counts[w, EVENTS, arm] += 1
                _harm(w, arm, share, r, s)
            if touched or (arm == 1 and s.t[w].highest >= r.w[w].harm_at):
                _settle(w, r, s)


@_inner
def _trial(w, arm, hit, share, r, s):  # type: ignore[no-untyped-def]
    """A unit's first request: what certificates are made of."""
    lane = r.w[w].lane
    s.counts[w, TRIALS, arm] += 1
    s.counts[w, HITS, arm] += hit
    if hit == 1:
        chance = share * r.w[w].margin / (share * r.w[w].margin + (1.0 - share))
        _flip(arm, chance, lane, RATIO, r, s)
    if arm == 1 and not math.isnan(r.w[w].rate):
        _flip(hit, r.w[w].rate, lane, RATED, r, s)


@_inner
def _harm(w, arm, share, r, s):  # type: ignore[no-untyped-def]
    """A unit's first event: whose is it? Until the stage has certified the watch, against "no harm"; then against "within the margin"."""
    lane = r.w[w].lane
    if s.t[w].certified == 1:
        chance = share * r.w[w].margin / (share * r.w[w].margin + (1.0 - share))
        _flip(arm, chance, lane, AFTER, r, s)
    else:
        _flip(arm, share, lane, BEFORE, r, s)


@_inner
def _row(w, hit, s):  # type: ignore[no-untyped-def]
    """Any request of the challenger: the rate as it is, and as it is now."""
    s.t[w].rows += 1
    s.t[w].row_hits += hit
    at = s.t[w].recent_at
    if s.t[w].recent_n == RECENT:
        s.t[w].recent_hits -= s.recent[w, at]
    else:
        s.t[w].recent_n += 1
    s.recent[w, at] = hit
    s.t[w].recent_hits += hit
    s.t[w].recent_at = (at + 1) % RECENT


@_inner
def _bins_side_by_side(arm, found, share, new, r, s):  # type: ignore[no-untyped-def]
    if found < 0:
        return
    for w in range(r.w.size):
        if r.w[w].kind == DISTRIBUTION and new & r.w[w].bit:
            s.counts[w, TRIALS, arm] += 1
            _bin_trial(w, found, arm, share, YES, r, s)
            _settle(w, r, s)


@_inner
def _bin_trial(w, found, arm, share, rates, r, s):  # type: ignore[no-untyped-def]
    """One answer that lies in that bin, on that arm."""
    for b in range(s.n[BINS_N]):
        lane = r.w[w].lane + b
        if b == found:
            s.bin_hits[lane, arm] += 1
            chance = share * r.w[w].margin / (share * r.w[w].margin + (1.0 - share))
            _flip(arm, chance, lane, BEFORE, r, s)
            _flip(arm, chance, lane, RATIO, r, s)
        if rates == 1 and arm == 1 and not math.isnan(r.w[w].rate):
            _flip(np.int64(b == found), r.w[w].rate, lane, RATED, r, s)


# ── one arm answers everybody, the other is asked the same ──────────────────────────────────────────────────────────────────


@_inner
def _live(line, r, s, keys, marks):  # type: ignore[no-untyped-def]
    """An answer to a caller. It waits for what the other arm says to the same unit."""
    live = 0 if r.c[0].mode == SHADOWED else 1
    arm, status, latency = np.int64(line.arm), np.int64(line.status), np.int64(line.latency_us)
    if line.unit == np.uint64(0):
        return
    if arm != live:
        if arm == 1 or line.share > 0.0:  # with a share of 0 nobody watched, and the champion is who answers then
            s.n[STRAY] += 1
        return
    s.n[LIVE_ANSWERS] += 1
    _outage(status, s)
    at = place(line.unit, keys, s)
    mask = ((line.slices << np.uint64(1)) | np.uint64(1)) & r.c[0].watched
    if live == 1:
        _heard(s)
        s.n[CHALLENGED] += 1
        s.n[UNTIMED] += 1 if latency == 0 else 0
        new = mask & ~np.uint64(marks[at, 2])
        marks[at, 2] = np.uint64(marks[at, 2]) | mask
        if new & np.uint64(1):
            s.n[UNITS_1] += 1
        if s.n[OUTAGE] == 0:
            _quick_enough(status, latency, new, r, s)
    elif not marks[at, 0] & np.uint64(1):
        _refer(line.score, latency, status, r, s)
    waiting = _PENDING if status != LATE else np.uint64(0)
    for e in range(s.e.size):
        if s.e[e].sort != SLOW:
            hit = _is_hit(e, status, latency, s)
            if hit == 1:
                waiting |= np.uint64(1) << np.uint64(1 + e)
            if live == 1:
                _rows(e, hit, mask, r, s)
    found = _bin(line.score, status, s)
    waiting |= np.uint64(_NO_BIN if found < 0 else found) << _BIN_AT
    before = np.uint64(marks[at, 1])
    if before & _PENDING and before & _LATEST != _LATEST:
        marks[at, 1] = before + _LATER  # the one that waits is not given up for a later one, whose shadow comes later too
    else:
        marks[at, 1] = waiting
        marks[at, 3] = _tag(line.value)


@_inner
def _tag(request):  # type: ignore[no-untyped-def]
    """By what the two halves of a pair know each other: half of the request's number, and 0 where the line has none."""
    return np.uint64(np.int64(request)) & _TAG if math.isfinite(request) else np.uint64(0)


@_inner
def _rows(e, hit, mask, r, s):  # type: ignore[no-untyped-def]
    for w in range(r.w.size):
        if r.w[w].event == e and mask & r.w[w].bit:
            _row(w, hit, s)
            if s.t[w].highest >= r.w[w].harm_at:
                _settle(w, r, s)


@_inner
def _quick_enough(status, latency, new, r, s):  # type: ignore[no-untyped-def]
    """Of a limit in milliseconds no other arm is needed: the challenger's first answers to its units say whether they keep to it."""
    for w in range(r.w.size):
        if r.w[w].kind == LATENCY and new & r.w[w].bit and not math.isnan(r.w[w].rate):
            hit = _is_hit(r.w[w].event, status, latency, s)
            if hit >= 0:
                s.counts[w, TRIALS, 1] += 1
                s.counts[w, HITS, 1] += hit
                lane = r.w[w].lane
                _flip(hit, r.w[w].rate, lane, RATED, r, s)
                _settle(w, r, s)


@_inner
def _other_half(line, r, s, keys, marks):  # type: ignore[no-untyped-def]
    """What the other arm said: with the live answer that waits for it, a pair."""
    shadow = 1 if r.c[0].mode == SHADOWED else 0
    if line.unit == np.uint64(0) or np.int64(line.arm) != shadow:
        return
    status = np.int64(line.status)
    if shadow == 1:
        _heard(s)
        s.n[CHALLENGED] += 1
    at = place(line.unit, keys, s)
    mask = ((line.slices << np.uint64(1)) | np.uint64(1)) & r.c[0].watched
    if shadow == 0 and not marks[at, 0] & np.uint64(1):
        _refer(line.score, NOTHING, status, r, s)
    for e in range(s.e.size):
        if s.e[e].sort != SLOW and shadow == 1:
            _rows(e, _is_hit(e, status, NOTHING, s), mask, r, s)
    if shadow == 1 and s.n[OUTAGE] == 0:
        first = mask & ~np.uint64(marks[at, 2])
        marks[at, 2] = np.uint64(marks[at, 2]) | mask
        _quick_enough(status, np.int64(line.latency_us), first, r, s)
    waiting = np.uint64(marks[at, 1])
    if not waiting & _PENDING or np.uint64(marks[at, 3]) != _tag(line.value):
        return  # no live answer waits for it: another request of the unit may
    marks[at, 1] = np.uint64(0)
    if status == LATE:
        return  # nobody waits for a shadow, so a late one says nothing of what it would have said
    new = np.uint64(0)
    if s.n[OUTAGE] == 0:
        new = mask & ~np.uint64(marks[at, 0])
        if new & np.uint64(1):
            s.n[UNITS_0] += 1
            if shadow == 1:
                s.n[UNITS_1] += 1
        marks[at, 0] = np.uint64(marks[at, 0]) | mask
    for e in range(s.e.size):
        if s.e[e].sort != SLOW:
            live_hit = 1 if waiting & (np.uint64(1) << np.uint64(1 + e)) else 0
            other_hit = _is_hit(e, status, NOTHING, s)
            champion, challenger = (live_hit, other_hit) if shadow == 1 else (other_hit, live_hit)
            _pair(e, champion, challenger, mask, new, at, r, s, marks)
    if new:
        live_bin, other_bin = np.int64((waiting >> _BIN_AT) & np.uint64(7)), _bin(line.score, status, s)
        if live_bin != _NO_BIN and other_bin >= 0:
            champion, challenger = (live_bin, other_bin) if shadow == 1 else (other_bin, live_bin)
            _pair_of_bins(champion, challenger, new, r, s)


@_inner
def _pair(e, champion, challenger, mask, new, at, r, s, marks):  # type: ignore[no-untyped-def]
    """Both arms on one request. An event that both have cannot tell them apart; one that differs falls on each with the same chance."""
    column = 4 + 2 * e
    differs = any_at_all = np.uint64(0)
    if champion != challenger:
        differs = mask & ~np.uint64(marks[at, column])
        marks[at, column] = np.uint64(marks[at, column]) | mask
    if champion + challenger > 0:
        any_at_all = mask & ~np.uint64(marks[at, column + 1])
        marks[at, column + 1] = np.uint64(marks[at, column + 1]) | mask
    for w in range(r.w.size):
        if r.w[w].event != e or not mask & r.w[w].bit:
            continue
        touched = False
        if new & r.w[w].bit:
            touched = True
            # The challenger's first: between two halves of a pair the capital may then only be lower than after it.
            _trial(w, CHALLENGER, challenger, 0.5, r, s)
            _trial(w, CHAMPION, champion, 0.5, r, s)
        if s.t[w].certified == 1:
            if any_at_all & r.w[w].bit:
                touched = True
                if champion == 1:
                    _harm(w, CHAMPION, 0.5, r, s)
                if challenger == 1:
                    _harm(w, CHALLENGER, 0.5, r, s)
        elif differs & r.w[w].bit:
            touched = True
            _harm(w, challenger, 0.5, r, s)
        if differs & r.w[w].bit:
            s.counts[w, EVENTS, challenger] += 1
        if touched:
            _settle(w, r, s)


@_inner
def _pair_of_bins(champion, challenger, new, r, s):  # type: ignore[no-untyped-def]
    for w in range(r.w.size):
        if r.w[w].kind == DISTRIBUTION and new & r.w[w].bit:
            s.counts[w, TRIALS, 0] += 1
            s.counts[w, TRIALS, 1] += 1
            lane = r.w[w].lane
            if champion == challenger:
                lane += champion
                chance = r.w[w].margin / (r.w[w].margin + 1.0)
                s.bin_hits[lane, 0] += 1
                s.bin_hits[lane, 1] += 1
                # Lower first, higher last, on both sides: no capital is ever read between two halves of a pair at more than it has after.
                _flip(NO, chance, lane, BEFORE, r, s)
                _flip(YES, chance, lane, BEFORE, r, s)
                _flip(YES, chance, lane, RATIO, r, s)
                _flip(NO, chance, lane, RATIO, r, s)
                if not math.isnan(r.w[w].rate):
                    for b in range(s.n[BINS_N]):
                        its = r.w[w].lane + b
                        _flip(np.int64(b == challenger), r.w[w].rate, its, RATED, r, s)
            else:
                _bin_trial(w, challenger, CHALLENGER, 0.5, YES, r, s)
                _bin_trial(w, champion, CHAMPION, 0.5, NO, r, s)
            _settle(w, r, s)


# ── what came true ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@_inner
def _loss(line, r, s, keys, marks):  # type: ignore[no-untyped-def]
    """A matured outcome: both arms' losses on one row, of any stage of this rollout, for both were asked in all of them."""
    which = np.int64(line.watch)
    if line.unit == np.uint64(0) or which >= s.measured.shape[0]:
        return
    if line.epoch < r.c[0].first_epoch or (line.epoch > r.c[0].epoch and r.c[0].moves == 0):
        s.n[FOREIGN] += 1
        return
    s.measured[which, 0] += 1
    challenger, champion = (line.value, line.other) if np.int64(line.arm) == 1 else (line.other, line.value)
    if not (math.isfinite(challenger) and math.isfinite(champion)):
        s.measured[which, 1] += 1
        return
    s.measured[which, 2] += 1 if champion == 0.0 else 0
    s.measured[which, 3] += 1 if challenger == 0.0 else 0
    at = place(line.unit, keys, s)
    mask = ((line.slices << np.uint64(1)) | np.uint64(1)) & r.c[0].watched
    column = marks.shape[1] - s.measured.shape[0] + which
    new = mask & ~np.uint64(marks[at, column])
    marks[at, column] = np.uint64(marks[at, column]) | mask
    for w in range(r.w.size):
        if r.w[w].kind == LOSS and r.w[w].loss == which and new & r.w[w].bit:
            _difference(w, challenger, champion, r, s)
            _settle(w, r, s)


@_inner
def _difference(w, challenger, champion, r, s):  # type: ignore[no-untyped-def]
    ours = min(max(challenger, r.w[w].low), r.w[w].high)
    theirs = min(max(champion, r.w[w].low), r.w[w].high)
    reach, worse, lane = r.w[w].high - r.w[w].low, r.w[w].worse, r.w[w].lane
    d = ours - theirs
    if s.t[w].certified == 1:
        gain = (d - worse) / (reach + worse)
        _bet(gain, lane, AFTER, r, s)
    else:
        _bet(d / reach, lane, BEFORE, r, s)
    _bet((worse - d) / (reach - worse), lane, RATIO, r, s)
    share = (d + reach) / (2.0 * reach)
    s.t[w].square += (share - (0.5 + s.t[w].total) / (1.0 + s.counts[w, TRIALS, 0])) ** 2
    s.t[w].total += share
    s.t[w].cut += 1 if (ours != challenger or theirs != champion) else 0
    s.counts[w, TRIALS, 0] += 1
    s.counts[w, TRIALS, 1] += 1


# ── what it comes to ────────────────────────────────────────────────────────────────────────────────────────────────────────


@_inner
def _settle(w, r, s):  # type: ignore[no-untyped-def]
    """Read the watch's sequences after a line that moved them."""
    lane = r.w[w].lane
    if r.w[w].kind == DISTRIBUTION:
        bins = s.n[BINS_N]
        top = -np.inf
        for b in range(bins):
            top = max(top, s.at[lane + b, BEFORE, 3])
        total = 0.0
        for b in range(bins):
            total += math.exp(s.at[lane + b, BEFORE, 3] - top)
        s.t[w].harm = top + math.log(total / bins)
        sure = True
        least = np.inf
        for b in range(bins):
            by_ratio = s.at[lane + b, RATIO, 4] if r.w[w].by_ratio == 1 else -np.inf
            by_rate = s.at[lane + b, RATED, 4] if not math.isnan(r.w[w].rate) else -np.inf
            sure = sure and (by_ratio >= r.w[w].ratio_at or by_rate >= r.w[w].rate_at)
            least = min(least, max(by_ratio, by_rate))
        s.t[w].safe = least
        if sure:
            s.t[w].certified = 1
    else:
        first, then = s.at[lane, BEFORE, 3], s.at[lane, AFTER, 3]
        top = max(first, then)
        s.t[w].harm = top + math.log((math.exp(first - top) + math.exp(then - top)) / 2.0)
        by_ratio = s.at[lane, RATIO, 4] if r.w[w].by_ratio == 1 else -np.inf
        by_rate = s.at[lane, RATED, 4] if not math.isnan(r.w[w].rate) else -np.inf
        s.t[w].safe = max(by_ratio, by_rate)
        if by_ratio >= r.w[w].ratio_at or by_rate >= r.w[w].rate_at:
            s.t[w].certified = 1
    s.t[w].highest = max(s.t[w].highest, s.t[w].harm)
    if s.t[w].highest >= r.w[w].harm_at and _is_beyond_the_rate(w, r, s):
        s.t[w].failed = 1
    if s.t[w].certified == 1 and s.t[w].certified_at == 0:
        s.t[w].certified_at = s.n[TAKEN]
    if s.t[w].failed == 1 and s.t[w].failed_at == 0:
        s.t[w].failed_at = s.n[TAKEN]


@_inner
def _is_beyond_the_rate(w, r, s):  # type: ignore[no-untyped-def]
    """Where a rate is harmless whatever the ratio, harm is called only where the challenger's is above it: over the stage, or lately."""
    if math.isnan(r.w[w].rate) or r.w[w].kind == DISTRIBUTION:
        return True
    rate = r.w[w].rate
    if s.t[w].rows == 0:
        return False
    return s.t[w].row_hits > rate * s.t[w].rows or s.t[w].recent_hits > rate * s.t[w].recent_n


# ── all of it ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_inner
def judge(lines, begin, r, s, keys, marks):  # type: ignore[no-untyped-def]
    """Take lines (n,) of OBSERVATION from `begin`. Gives the place of the first that was not taken: n, or where the table must grow."""
    most = keys.size * 6 // 10
    for i in range(begin, lines.size):
        if s.n[KEYS] >= most:
            return i
        s.n[TAKEN] += 1
        kind = lines[i].kind
        if kind == 4:
            _tick(lines[i].at_ns, r, s)
        elif kind == 6:
            s.n[ANCHORED] = 1
            s.n[ANCHOR] = lines[i].at_ns
        elif kind == 5:
            value = lines[i].value
            s.x[LOST] += value if value > 0.0 else 1.0
        elif kind == 3:
            _loss(lines[i], r, s, keys, marks)
        elif kind == 1 or kind == 2:
            epoch = lines[i].epoch
            if epoch == r.c[0].epoch or (r.c[0].moves == 1 and epoch > r.c[0].epoch):
                if r.c[0].mode == SIDE_BY_SIDE:
                    if kind == 1:
                        _side_by_side(lines[i], r, s, keys, marks)
                elif kind == 1:
                    _live(lines[i], r, s, keys, marks)
                else:
                    _other_half(lines[i], r, s, keys, marks)
            else:
                s.n[FOREIGN] += 1
    return lines.size
