"""How does what the judge has seen of one stage lie in memory?

In arrays that compiled loops and plain code read alike: `judge.py` lays them out, `judge_kernel.py` moves them on.

Units. `keys` (cap,) uint64 is an open-addressed table of units, 0 for a free place; `marks` (cap, n) holds beside each unit in which slices
it has been counted: bit 0 is all traffic, bit i + 1 the plan's i-th slice. Its columns, where arms answer side by side: 0 the unit's first
request in the stage was taken; then one for each kind of event, its first was taken; then one for each loss. Where every request is
answered by one arm and shown to the other: 0 the first pair was taken; 1 what the live answer was that waits for its other half; 2 the
challenger's first answer was taken for its latency; 3 which request waits; then two for each kind of event, the first pair that differs
and the first with the event at all; then the losses.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

SIDE_BY_SIDE, SHADOWED, LIVE = 0, 1, 2  # both arms answer | the challenger is the shadow | the champion is
COUNT, LATENCY, DISTRIBUTION, LOSS = 0, 1, 2, 3
ERRORS, FALLBACKS, SLOW = 0, 1, 2  # kinds of events
RING = 512  # answers of all traffic by which an outage is seen
BLOCK = 1024  # answers of which the calmest is what an outage is measured against
RECENT = 256  # requests of the challenger by which a rate "now" is taken
REFERENCE = 200  # units of the champion whose answers say what is slow, and where bins of scores lie
BINS = 5
LATE = 3  # AnswerStatus.LATE
GRID = 1000.0  # a share that is moved is a whole thousandth, see `types.allocation`
STEERS = np.uint64(1 << 63)  # see `gates.allocation`

# Places in `n`, whole numbers.
(TAKEN, FOREIGN, STRAY, LIVE_ANSWERS, RING_AT, RING_N, RING_BAD, BLOCK_N, BLOCK_BAD, OUTAGE, OUTAGES, ANCHORED, ANCHOR) = range(13)
(BAKED, ELAPSED, QUIET, HEARD, UNITS_0, UNITS_1, KEYS, SCORES_N, TIMES_N, BINS_N, CHALLENGED, UNTIMED, DEALT_0, DEALT_1) = range(13, 27)
N_WHOLE = 27
# Places in `x`, real numbers.
(CALM, RATIO_E, RATIO_HIGHEST, LOST, DEALT_SHARE) = range(5)
N_REAL = 5

# Kinds of capital, and the bets that they are laid on.
# As numbers of one type, not as literals: each literal that a compiled function is called with is compiled anew.
BEFORE, AFTER, RATIO, RATED = np.arange(4)
NO = CHAMPION = NOTHING = np.int64(0)
YES = CHALLENGER = np.int64(1)
(HIGHER, LOWER, FAR, STAKES) = range(4)
MOST_BETS = 16
(TRIALS, HITS, EVENTS) = range(3)

# What the stage is judged by.
RULES = np.dtype(
    [
        ("mode", "<i8"),
        ("share", "<f8"),
        ("moves", "<i8"),  # 1: a policy moves the share within the stage
        ("steered", "<i8"),  # 1: … by the answers of units with the bit STEERS, which are therefore judged by their first request alone
        ("epoch", "<i8"),
        ("first_epoch", "<i8"),
        ("vouch_ns", "<i8"),  # so much bake time one answer of the challenger vouches for
        ("watched", "<u8"),  # bits of `marks` that any watch looks at
        ("reserve", "<f8"),
        ("patience", "<f8"),
    ]
)
# What each watch that is judged in the stage asks.
WATCH = np.dtype(
    [
        ("kind", "<i8"),
        ("event", "<i8"),  # index of its kind of event; -1
        ("bit", "<u8"),  # of `marks`
        ("loss", "<i8"),  # index of its loss; -1
        ("lane", "<i8"),  # its first sequence; a distribution has BINS of them, any other watch one
        ("margin", "<f8"),  # ratio that is tolerated, at least 1
        ("by_ratio", "<i8"),  # 1: it may be certified by ratio
        ("rate", "<f8"),  # that is harmless whatever the ratio; NaN for none
        ("low", "<f8"),  # of a loss
        ("high", "<f8"),
        ("worse", "<f8"),  # how much worse the mean of a loss may be
        ("harm_at", "<f8"),  # log of 1 / alpha
        ("ratio_at", "<f8"),
        ("rate_at", "<f8"),
    ]
)
EVENT = np.dtype(
    [
        ("sort", "<i8"),  # ERRORS | FALLBACKS | SLOW
        ("quantile", "<f8"),  # of a latency that is compared with the champion's own; NaN where its limit is given
        ("limit", "<f8"),  # µs above which an answer is slow; NaN until it is known
    ]
)
# Where each watch stands.
TALLY = np.dtype(
    [
        ("certified", "<i8"),  # 1: in this stage
        ("failed", "<i8"),
        ("harm", "<f8"),  # log of the evidence
        ("highest", "<f8"),  # … at its highest
        ("safe", "<f8"),
        ("rows", "<i8"),  # requests of the challenger
        ("row_hits", "<i8"),  # … with the event
        ("recent_at", "<i8"),
        ("recent_n", "<i8"),
        ("recent_hits", "<i8"),
        ("total", "<f8"),  # of differences of losses, as shares of their range
        ("square", "<f8"),
        ("cut", "<i8"),
        ("certified_at", "<i8"),  # how many lines of the stage had been taken when it was; 0: it is not
        ("failed_at", "<i8"),
    ]
)


class Rules(NamedTuple):
    """What the stage is judged by."""

    c: Any  # (1,) RULES
    w: Any  # (w,) WATCH
    bets: Any  # (4, 2, MOST_BETS) float64: what is bet on, and the part of the capital that is laid on it


class State(NamedTuple):
    """What has been seen of the stage. w: watches that are judged in it; e: kinds of events; l: the plan's losses; k: sequences."""

    n: Any  # (N_WHOLE,) int64
    x: Any  # (N_REAL,) float64
    e: Any  # (e,) EVENT
    t: Any  # (w,) TALLY
    counts: Any  # (w, 3, 2) int64: units whose first request was taken, those of them with the event, units with an event; by arm
    recent: Any  # (w, RECENT) uint8
    ring: Any  # (RING,) uint8
    first: Any  # (2, REFERENCE): the champion's first scores and latencies
    cuts: Any  # (BINS - 1,)
    measured: Any  # (l, 4) int64: rows, rows that could not be compared, exact zeros of the champion, of the challenger
    capital: Any  # (k, 4, MOST_BETS) against "no harm", "within the margin", "at the margin", "at the rate"
    at: Any  # (k, 4, 5) its state, see `stats.kernels_sequential`
    bin_hits: Any  # (k, 2) int64
