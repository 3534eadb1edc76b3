"""How are thousands of weightings of one ranking scored in the time of a few?

Sixteen draws are taken side by side, and the rows are walked once for all sixteen: hashing, drawing and adding are then a few vector
instructions a row. Nothing that grows with rows × draws is ever held. The pure-NumPy twins are in `twins_bootstrap`, and a test holds
the two to the same numbers.

`who` (n,) uint32 is the unit of the row at each place of the ranking, the row's own number where each is a unit; `weight` (n,) float64 in
that order, or None where every row weighs 1: what weights need is then not even compiled. `at` (k,) int64 and `kind` (k,) uint8 are the
places where the running weight is read, see `bootstrap.Readings`. `keys` (8 · blocks, 2) uint32: a key for each two draws.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LANES = 16  # draws side by side: one vector of 16-bit halves
PAIRS = LANES // 2  # a 32-bit word holds two draws
TILE = 128  # rows hashed at once: all that is touched stays in the first-level cache, and running counts fit 16 bits

TIE, START_TIED, START, END = range(4)  # of negatives as high as positives, of those positives, of positives without such; of positives

GOLDEN = np.uint32(0x9E3779B1)
FIRST_FACTOR, SECOND_FACTOR = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)
FIFTEEN, SIXTEEN = np.uint32(15), np.uint32(16)

# A uniform signed 16-bit number is a Poisson(1) draw by how many of these it reaches: of the 65,536, so many are 0, 1, … 8, rounded so
# that mean and variance are 1 exactly: 24109, 24108, 12058, 4018, 1003, 201, 33, 5, 1.
AT_LEAST_1, AT_LEAST_2, AT_LEAST_3, AT_LEAST_4, AT_LEAST_5, AT_LEAST_6, AT_LEAST_7, AT_LEAST_8 = (
    np.int16(reached - 32768) for reached in (24109, 48217, 60275, 64293, 65296, 65497, 65530, 65535)
)

# Where each of the sixteen lanes keeps what: a flat array, so that the compiler sees that nothing overlaps.
BASE, TIED_FROM, POSITIVES_FROM, READ_TO, TRUE, FALSE, WON, GAINED, STATES = (LANES * i for i in range(9))


@njit(cache=True, nogil=True)
def score_draws(who, weight, at, kind, keys, auc, precision):  # type: ignore[no-untyped-def]
    """auc[b], precision[b]: the area and the average precision under each draw of keys, NaN where a class was not drawn."""
    words = np.empty(TILE * PAIRS, np.uint32)
    counts = np.zeros((TILE + 1) * LANES, np.int16)
    sums = np.zeros((TILE + 1) * LANES)
    state = np.zeros(STATES)
    for block in range(keys.shape[0] // PAIRS):
        state[:] = 0.0
        event = 0
        for first in range(0, who.size, TILE):
            rows = min(TILE, who.size - first)
            _draw(who, first, rows, keys, block * PAIRS, words, counts)
            if weight is not None:
                _add_weighted(counts, weight, first, rows, sums)
                event = _read(at, kind, event, first, rows, sums, state)
            else:
                _add_up(counts, rows)
                event = _read(at, kind, event, first, rows, counts, state)
        for lane in range(LANES):
            below = state[BASE + lane] - state[READ_TO + lane]
            true, false = state[TRUE + lane], state[FALSE + lane] + below
            won = state[WON + lane] + true * below
            i = block * LANES + lane
            auc[i] = won / (true * false) if true > 0.0 and false > 0.0 else np.nan
            precision[i] = state[GAINED + lane] / true if true > 0.0 else np.nan


@njit(nogil=True)
def _draw(who, first, rows, keys, pair, words, counts):  # type: ignore[no-untyped-def]
    """counts: how often each of 16 draws drew each row, from a hash of (key, unit); a multiply and shift mix as Wellons' lowbias32."""
    for i in range(rows):
        unit = np.uint32(who[first + i] * GOLDEN)
        for m in range(PAIRS):
            x = np.uint32(unit + keys[pair + m, 0])
            x ^= x >> SIXTEEN
            x = np.uint32(x * FIRST_FACTOR)
            x ^= x >> FIFTEEN
            x = np.uint32(x + keys[pair + m, 1])
            x = np.uint32(x * SECOND_FACTOR)
            x ^= x >> SIXTEEN
            words[i * PAIRS + m] = x
    halves = words.view(np.int16)
    for j in range(rows * LANES):
        h = halves[j]
        counts[LANES + j] = (
            np.int16(h >= AT_LEAST_1)
            + np.int16(h >= AT_LEAST_2)
            + np.int16(h >= AT_LEAST_3)
            + np.int16(h >= AT_LEAST_4)
            + np.int16(h >= AT_LEAST_5)
            + np.int16(h >= AT_LEAST_6)
            + np.int16(h >= AT_LEAST_7)
            + np.int16(h >= AT_LEAST_8)
        )


@njit(nogil=True)
def _add_up(counts, rows):  # type: ignore[no-untyped-def]
    """Counts become running counts. Four 16-bit lanes are added as one 64-bit number: they cannot overflow into each other."""
    fours = counts.view(np.uint64)
    a = b = c = d = np.uint64(0)
    for i in range(1, rows + 1):
        a += fours[4 * i]
        b += fours[4 * i + 1]
        c += fours[4 * i + 2]
        d += fours[4 * i + 3]
        fours[4 * i], fours[4 * i + 1], fours[4 * i + 2], fours[4 * i + 3] = a, b, c, d


@njit(nogil=True)
def _add_weighted(counts, weight, first, rows, sums):  # type: ignore[no-untyped-def]
    """sums: running sums of count · weight."""
    for i in range(rows):
        w = weight[first + i]
        for lane in range(LANES):
            sums[(i + 1) * LANES + lane] = sums[i * LANES + lane] + w * counts[(i + 1) * LANES + lane]


@njit(nogil=True)
def _read(at, kind, event, first, rows, running, state):  # type: ignore[no-untyped-def]
    """Takes in every reading of this tile; gives the number of the next one. All sums of counts are whole, so exact below 2⁵³."""
    while event < at.size and at[event] <= first + rows:
        here = max(at[event] - first, 0) * LANES
        what = kind[event]
        if what == END:
            for lane in range(LANES):
                now = state[BASE + lane] + running[here + lane]
                positives = now - state[POSITIVES_FROM + lane]
                negatives = state[POSITIVES_FROM + lane] - state[READ_TO + lane]
                tied = state[POSITIVES_FROM + lane] - state[TIED_FROM + lane]
                true = state[TRUE + lane]
                state[WON + lane] += true * negatives + 0.5 * tied * positives
                true += positives
                state[TRUE + lane] = true
                state[FALSE + lane] += negatives
                state[GAINED + lane] += positives * (true / (now if now > 0.0 else 1.0))
                state[READ_TO + lane] = now
        elif what == START:
            for lane in range(LANES):
                now = state[BASE + lane] + running[here + lane]
                state[TIED_FROM + lane] = now
                state[POSITIVES_FROM + lane] = now
        else:
            to = TIED_FROM if what == TIE else POSITIVES_FROM
            for lane in range(LANES):
                state[to + lane] = state[BASE + lane] + running[here + lane]
        event += 1
    for lane in range(LANES):
        state[BASE + lane] += running[rows * LANES + lane]
    return event
