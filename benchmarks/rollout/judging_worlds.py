"""What do requests, units and their errors look like to several judges at once? Compiled worlds for `judging`.

Ours is the product's own loop.

Requests come one by one; each is the canary's with the chance `share`, and errs with a chance that may follow the day. Between two requests
of the canary the champion's are drawn in one go, which is exact: of the requests that are not the champion's good ones, each is an error or
the canary's independently, and before each of them lie geometrically many good ones.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from gonogo.stats.bets import HIGHER, LOWER, PATIENCE, RESERVE
from gonogo.stats.kernels_sequential import flip

FIRST_OF = ("ours", "ours, 100 watches", "ours, no reserve", "certificate", "z-test", "N of M", "asymptotic CS")
ALPHA = 0.05
LOOK = 50  # canary requests between two looks of the peers; ours looks after every request


def laid(bets: dict[float, float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(list(bets)), np.array(list(bets.values())) / 100


@njit(nogil=True)
def geometric(chance):
    """Trials of that chance before the first that fails."""
    return int(math.log(1.0 - np.random.random()) / math.log(chance)) if chance > 0.0 else 0


@njit(nogil=True)
def z_statistic(e1, n1, e0, n0):
    pooled = (e1 + e0) / (n1 + n0)
    if pooled <= 0.0 or pooled >= 1.0:
        return 0.0
    return (e1 / n1 - e0 / n0) / math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n0))


@njit(nogil=True)
def lower_end(e1, e0, n, share, alpha, tuned_at):
    """One-sided asymptotic confidence sequence of the difference of rates (Waudby-Smith et al. 2024).

    Each request is weighted by one over the chance of its arm.
    """
    mean = e1 / (n * share) - e0 / (n * (1 - share))
    variance = e1 / (n * share**2) + e0 / (n * (1 - share) ** 2) - mean**2
    tail = -2 * math.log(2 * alpha)
    rho2 = (tail + math.log(tail + 1)) / tuned_at
    return mean - math.sqrt(variance * 2 * (n * rho2 + 1) / (n**2 * rho2) * math.log(1 + math.sqrt(n * rho2 + 1) / (2 * alpha)))


@njit(nogil=True)
def streams(
    seed,
    n,
    share,
    base,
    ratio,
    ratio_2,
    onset,
    depth,
    shock,
    cap,
    margin,
    until,
    asked,
    higher,
    on_higher,
    lower,
    on_lower,
    reserve,
    patience,
):
    """(n, 7): at which canary request each judge of FIRST_OF first spoke; 0: never within `cap`; −1: it was not asked.

    The canary errs `ratio` times as often as the champion from request `onset` on, and `ratio_2` times in every second thousand. Both arms'
    rates follow `depth` · a sine of four days, and are `shock` times as high in the second half. A stream ends early once judge number
    `until` spoke, or, at −1, all did. asked: which of our capitals are moved on, as they cost most: harm, without its reserve, certificate.
    """
    np.random.seed(seed)
    first = np.zeros((n, 7), dtype=np.int64)
    limit, limit_100 = math.log(1 / ALPHA), math.log(100 / ALPHA)
    at_margin = share * margin / (share * margin + (1 - share))
    for i in range(n):
        harm, plain, safe = on_higher * (1 - reserve), on_higher.copy(), on_lower.copy()
        of_harm, of_plain, of_safe = np.zeros(5), np.zeros(5), np.zeros(5)
        of_harm[1] = reserve
        first[i, :2] = 0 if asked[0] else -1
        first[i, 2:4] = np.where(np.array(asked[1:]), 0, -1)
        e0 = e1 = n0 = window = failures = 0
        for c in range(1, cap + 1):
            p0 = base * (1 + depth * math.sin(8 * math.pi * c / cap))
            if c > cap // 2:
                p0 *= shock
            r = 1.0 if c <= onset else (ratio_2 if (c // 1000) % 2 else ratio)
            p1 = min(1.0, p0 * r)
            errs, good = (1 - share) * p0 / ((1 - share) * p0 + share), (1 - share) * (1 - p0)
            while True:
                n0 += geometric(good)
                is_canary = np.random.random() >= errs
                if is_canary and np.random.random() >= p1:
                    break
                if is_canary:
                    e1 += 1
                    window += 1
                else:
                    e0 += 1
                    n0 += 1
                if asked[0]:
                    flip(is_canary, share, higher, on_higher, reserve, patience, harm, of_harm)
                if asked[1]:
                    flip(is_canary, share, higher, on_higher, 0.0, patience, plain, of_plain)
                if asked[2]:
                    flip(is_canary, at_margin, lower, on_lower, 0.0, patience, safe, of_safe)
                if is_canary:
                    break
            if first[i, 0] == 0 and of_harm[4] >= limit:
                first[i, 0] = c
            if first[i, 1] == 0 and of_harm[4] >= limit_100:
                first[i, 1] = c
            if first[i, 2] == 0 and of_plain[4] >= limit:
                first[i, 2] = c
            if first[i, 3] == 0 and of_safe[4] >= limit:
                first[i, 3] = c
            if first[i, until] > 0 if until >= 0 else np.all(first[i] != 0):
                break
            if c % LOOK == 0:
                if first[i, 4] == 0 and z_statistic(e1, c, e0, n0) > 1.6448536269514722:
                    first[i, 4] = c
                failures += window > 3 * base * LOOK
                if first[i, 5] == 0 and failures >= 5:
                    first[i, 5] = c
                window = 0
                if first[i, 6] == 0 and e1 > 0 and e0 > 0 and lower_end(e1, e0, c + n0, share, ALPHA, 5000 / share) > 0:
                    first[i, 6] = c
    return first


@njit(nogil=True)
def families(seed, n, share, cap, rate, slice_up_to, joint, higher, on_higher, reserve, patience):
    """(n,): at which canary request the first of guardrails × slices called a harmless challenger harmful; 0: none did.

    rate: (guardrails,) of each guardrail's events; slice_up_to: (slices,) running sum of their shares. With the chance `joint` an event of
    one guardrail is one of the next as well, on the same request.
    """
    np.random.seed(seed)
    first = np.zeros(n, dtype=np.int64)
    g, k = rate.size, slice_up_to.size
    limit = math.log(g * k / ALPHA)
    up_to = np.cumsum(rate)
    any_event = up_to[-1]
    errs = (1 - share) * any_event / ((1 - share) * any_event + share)
    for i in range(n):
        wealth, state = np.empty((g, k, higher.size)), np.zeros((g, k, 5))
        wealth[:] = on_higher * (1 - reserve)
        state[:, :, 1] = reserve
        c = 0
        while c < cap and first[i] == 0:
            is_canary = np.random.random() >= errs
            c += is_canary
            if is_canary and np.random.random() >= any_event:
                continue
            at = min(np.searchsorted(up_to, np.random.random() * any_event, side="right"), g - 1)
            of = min(np.searchsorted(slice_up_to, np.random.random(), side="right"), k - 1)
            while True:
                if flip(is_canary, share, higher, on_higher, reserve, patience, wealth[at, of], state[at, of]) >= limit:
                    first[i] = c
                if np.random.random() >= joint:
                    break
                at = (at + 1) % g
    return first


@njit(nogil=True)
def sticky(seed, n, share, units, requests, rate, frail, frail_rate, ratio, margin, higher, on_higher, lower, on_lower, reserve, patience):
    """(n, 2, 3) bool: harm called, and the margin refuted; by every event, by each unit's first event, and by its first request alone.

    Units stay on their arm, with `requests` each at random times of the stage; a share `frail` of them errs at `frail_rate`, the others at
    `rate`. The canary multiplies both by `ratio`, and what is counted is compared with `margin`.
    """
    np.random.seed(seed)
    found = np.zeros((n, 2, 3), dtype=np.bool_)
    limit = math.log(1 / ALPHA)
    at_margin = share * margin / (share * margin + (1 - share))
    for i in range(n):
        arm = np.random.random(units) < share
        errors, on_first = np.empty(units, dtype=np.int64), np.empty(units, dtype=np.bool_)
        for u in range(units):
            p = min(1.0, (frail_rate if np.random.random() < frail else rate) * (ratio if arm[u] else 1.0))
            on_first[u] = np.random.random() < p
            errors[u] = on_first[u] + np.random.binomial(requests - 1, p)
        total = errors.sum()
        whose, when, j = np.empty(total, dtype=np.int64), np.random.random(total), 0
        for u in range(units):
            for _ in range(errors[u]):
                whose[j] = u
                j += 1
        seen = np.zeros(units, dtype=np.bool_)
        harm, safe = np.empty((3, higher.size)), np.empty((3, lower.size))
        harm[:], safe[:] = on_higher * (1 - reserve), on_lower
        of_harm, of_safe = np.zeros((3, 5)), np.zeros((3, 5))
        of_harm[:, 1] = reserve
        for j in np.argsort(when):
            u = whose[j]
            for way in range(3):
                if way == 0 or (not seen[u] and (way == 1 or on_first[u])):
                    flip(arm[u], share, higher, on_higher, reserve, patience, harm[way], of_harm[way])
                    flip(arm[u], at_margin, lower, on_lower, 0.0, patience, safe[way], of_safe[way])
            seen[u] = True
        for way in range(3):
            found[i, 0, way], found[i, 1, way] = of_harm[way, 4] >= limit, of_safe[way, 4] >= limit
    return found


BETS = (*laid(HIGHER), *laid(LOWER), RESERVE, PATIENCE)
HARM = (*laid(HIGHER), RESERVE, PATIENCE)
