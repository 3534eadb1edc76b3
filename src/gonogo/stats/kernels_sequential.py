"""How is a test that may be read after every observation moved on by one observation?

Compiled loops over a handful of bets, imported only when a sequence is made. Each has its plain twin in `twins_sequential`, and a test that
they agree. Nothing here is summed in parallel or in another order than written: the same observations give the same bits.

The capital of a test is spread over bets. `wealth` (k,) float64 is what each has become; `state` (5,) float64 holds, in this order:
observations taken, capital that has not been laid yet, log of the factor that was taken out of `wealth`, log of the capital now, and the
highest that this ever was. A capital is a non-negative supermartingale from 1 where the null is true, so it ever reaches 1/α with
probability at most α (Ville 1939).

Some capital waits: `reserve` · √(patience / (patience + n)) is still held back after n observations, and what is released is laid on all
bets in their first proportions. A change after many quiet observations is then met by bets that have not lost what the others have.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_LARGE = 1e100  # beyond it a factor is taken out, so that nothing overflows
_LOG_LARGE = 230.25850929940458
_NOTHING = 1e-280  # a bet that has lost so much is dropped: products of denormal numbers are slow


@njit(cache=True, nogil=True)
def flip(hit, chance, odds, weight, reserve, patience, wealth, state):  # type: ignore[no-untyped-def]
    """One coin whose chance of a hit is at most (odds > 1) or at least (odds < 1) `chance` under the null. Gives the log of the capital.

    A bet on the odds θ multiplies by θ / (1 + chance · (θ − 1)) on a hit and by 1 / (1 + chance · (θ − 1)) otherwise.
    """
    n = state[0]
    laid = 0.0
    if reserve > 0.0:
        left = reserve * math.sqrt(patience / (patience + n + 1.0))
        laid = (state[1] - left) * math.exp(-state[2])
        state[1] = left
    total = 0.0
    for j in range(odds.size):
        factor = (odds[j] if hit else 1.0) / (1.0 + chance * (odds[j] - 1.0))
        w = (wealth[j] + laid * weight[j]) * factor
        wealth[j] = w if w > _NOTHING else 0.0
        total += wealth[j]
    return _settle(total, n, wealth, state)


@njit(cache=True, nogil=True)
def bet(gain, stake, weight, reserve, patience, wealth, state):  # type: ignore[no-untyped-def]
    """One value whose mean is at most 0 under the null: a bet multiplies by 1 + stake · gain. Gives the log of the capital.

    gain ≥ −1, as a share of the largest loss that there can be; 0 ≤ stake < 1.
    """
    n = state[0]
    laid = 0.0
    if reserve > 0.0:
        left = reserve * math.sqrt(patience / (patience + n + 1.0))
        laid = (state[1] - left) * math.exp(-state[2])
        state[1] = left
    total = 0.0
    for j in range(stake.size):
        w = (wealth[j] + laid * weight[j]) * (1.0 + stake[j] * gain)
        wealth[j] = w if w > _NOTHING else 0.0
        total += wealth[j]
    return _settle(total, n, wealth, state)


@njit(cache=True, nogil=True)
def _settle(total, n, wealth, state):  # type: ignore[no-untyped-def]
    state[0] = n + 1.0
    if total > _LARGE:
        for j in range(wealth.size):
            wealth[j] /= _LARGE
        total /= _LARGE
        state[2] += _LOG_LARGE
    elif 0.0 < total < 1.0 / _LARGE and state[1] == 0.0:
        for j in range(wealth.size):
            wealth[j] *= _LARGE
        total *= _LARGE
        state[2] -= _LOG_LARGE
    capital = total + state[1] * math.exp(-state[2])
    log_e = math.log(capital) + state[2] if capital > 0.0 else -np.inf
    state[3] = log_e
    state[4] = max(state[4], log_e)
    return log_e


@njit(cache=True, nogil=True)
def flips(hit, chance, odds, weight, reserve, patience, wealth, state):  # type: ignore[no-untyped-def]
    """`flip` for each of hit (n,) bool and chance (n,), in their order."""
    for i in range(hit.size):
        flip(hit[i], chance[i], odds, weight, reserve, patience, wealth, state)


@njit(cache=True, nogil=True)
def bets(gain, stake, weight, reserve, patience, wealth, state):  # type: ignore[no-untyped-def]
    """`bet` for each of gain (n,), in their order."""
    for i in range(gain.size):
        bet(gain[i], stake, weight, reserve, patience, wealth, state)


@njit(cache=True, nogil=True)
def spread(share, sums):  # type: ignore[no-untyped-def]
    """Adds values (n,), each in [0, 1], to sums (3,): their number, Σ value, and Σ (value − mean of those before it)².

    The mean begins at ½ as of one value, so that it is known before each value: the empirical Bernstein interval needs that.
    """
    for i in range(share.size):
        sums[2] += (share[i] - (0.5 + sums[1]) / (1.0 + sums[0])) ** 2
        sums[1] += share[i]
        sums[0] += 1.0
