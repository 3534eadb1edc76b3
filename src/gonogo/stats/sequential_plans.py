"""How many observations will it take until a sequence decides?

Worked out without drawing anything: the capital of the bet that grows fastest is taken for a Brownian motion with its drift and variance,
which must climb to log(1/α) and over what the other bets cost (inverse Gaussian; Siegmund 1985, Sequential Analysis, chapter III).
`likely` is the chance that it has decided by then (0.5: the median). Simulations lie within a quarter, mostly below. None stands for never,
and for more than 10¹².
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gonogo.stats import beta_mixture
from gonogo.stats.bets import FAR_LOWER, HIGHER, LOWER, RESERVE, STAKES
from gonogo.stats.distributions import normal_cdf
from gonogo.stats.relative_risk import at_ratio
from gonogo.stats.sample_ratio import STRENGTH

_NEVER = 10**12


def events_until_harm(ratio: float, *, share: float, alpha: float, likely: float = 0.5) -> int | None:
    """Bad events, of both arms, after which `RelativeRisk` has shown harm where the challenger's rate is `ratio` times the champion's.

    >>> events_until_harm(3.0, share=0.05, alpha=0.05)
    55
    """
    _check(share, alpha, likely)
    return _flips(HIGHER, share, at_ratio(share, ratio), alpha, likely, laid=1 - RESERVE) if ratio > 1 else None


def events_until_safe(margin: float, *, share: float, alpha: float, ratio: float = 1.0, likely: float = 0.5) -> int | None:
    """Bad events, of both arms, after which `RelativeRisk` has refuted harm at the margin where the ratio is in truth `ratio`.

    >>> events_until_safe(2.0, share=0.05, alpha=0.05)
    199
    """
    _check(share, alpha, likely)
    return _flips(LOWER, at_ratio(share, margin), at_ratio(share, ratio), alpha, likely) if ratio < margin else None


def requests_until(events: float, *, share: float, rate: float, ratio: float = 1.0) -> float:
    """Requests of both arms that hold so many bad events: the champion's rate of them is `rate`, the challenger's `ratio` times it.

    For first events of units, give the rate by unit: the count is then of units.

    >>> round(requests_until(55, share=0.05, rate=0.01, ratio=3.0))
    5000
    """
    return events / ((1 - share) * rate + share * min(1.0, ratio * rate))


def trials_until_above(limit: float, *, rate: float, alpha: float, likely: float = 0.5) -> int | None:
    """Trials after which `RateLimit` has shown a rate above the limit."""
    _check(limit, alpha, likely)
    return _flips(HIGHER, limit, rate, alpha, likely, laid=1 - RESERVE) if rate > limit else None


def trials_until_below(limit: float, *, rate: float, alpha: float, likely: float = 0.5) -> int | None:
    """Trials after which `RateLimit` has shown a rate below the limit.

    >>> trials_until_below(0.01, rate=0.0, alpha=0.001)
    797
    """
    _check(limit, alpha, likely)
    return _flips(FAR_LOWER, limit, rate, alpha, likely) if rate < limit else None


def values_until_told(distance: float, *, sd: float, reach: float, alpha: float, likely: float = 0.5) -> int | None:
    """Values after which `BoundedMean` has told a mean from a bound that is `distance` away from it.

    sd: of one value; reach: from the bound to the far end of the range: high − margin for "safe", harmless − low for "harm".

    >>> values_until_told(0.05, sd=0.3, reach=1.0, alpha=0.05)
    227
    """
    if distance <= 0:
        return None
    mean, spread = distance / reach, sd / reach
    bets = [
        _Bet(
            share=(1 - RESERVE) * percent / 100,
            drift=math.log1p(stake * mean) - (stake * spread / (1 + stake * mean)) ** 2 / 2,
            variance=(stake * spread / (1 + stake * mean)) ** 2,
        )
        for stake, percent in STAKES.items()
    ]
    return _first(lambda n: _decided(n, bets, alpha), likely)


def units_until_mismatch(share: float, *, dealt: float, alpha: float, likely: float = 0.5) -> int | None:
    """Units after which `SampleRatio` has shown that the challenger is dealt the share `dealt` instead of `share`.

    >>> units_until_mismatch(0.05, dealt=0.06, alpha=0.001)
    8182
    """
    _check(share, alpha, likely)
    if dealt == share:
        return None
    a, b = STRENGTH * share, STRENGTH * (1 - share)
    known = _coin(dealt * (1 - share) / (share * (1 - dealt)), 1.0, chance=share, truth=dealt)

    def decided(n: int) -> float:
        hits = n * dealt
        foretold = beta_mixture.log_beta(a + hits, b + n - hits) - beta_mixture.log_beta(a, b)
        log_e = foretold - hits * math.log(share) - (n - hits) * math.log1p(-share)
        return _crossed(n * known.drift, n * known.variance, math.log(1 / alpha) + n * known.drift - log_e)

    return _first(decided, likely)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bet:
    """One bet: its part of the capital, and how the log of it moves with each observation."""

    share: float
    drift: float
    variance: float


def _coin(odds: float, share: float, *, chance: float, truth: float) -> _Bet:
    if odds == 0:  # ruined by the first hit
        return _Bet(share=share, drift=-math.log1p(-chance) if truth == 0 else -math.inf, variance=0.0)
    return _Bet(
        share=share,
        drift=truth * math.log(odds) - math.log1p(chance * (odds - 1)),
        variance=truth * (1 - truth) * math.log(odds) ** 2,
    )


def _flips(bets: Mapping[float, float], chance: float, truth: float, alpha: float, likely: float, *, laid: float = 1.0) -> int | None:
    coins = [_coin(odds, laid * percent / 100, chance=chance, truth=truth) for odds, percent in bets.items()]
    return _first(lambda n: _decided(n, coins, alpha), likely)


def _decided(n: int, bets: Sequence[_Bet], alpha: float) -> float:
    """The chance that a mixture of bets has reached 1/alpha by the n-th observation."""
    grown = [math.log(bet.share) + n * bet.drift for bet in bets]
    top = max(grown)
    best = bets[grown.index(top)]
    log_e = top + math.log(sum(math.exp(one - top) for one in grown))
    return _crossed(n * best.drift, n * best.variance, math.log(1 / alpha) + n * best.drift - log_e)


def _crossed(drift: float, variance: float, barrier: float) -> float:
    """The chance that a Brownian motion was ever above the barrier, with its drift and variance summed up until now."""
    if variance <= 0:
        return float(drift >= barrier)
    sd = math.sqrt(variance)
    there = normal_cdf((drift - barrier) / sd)
    back = normal_cdf(-(drift + barrier) / sd)
    return there + (math.exp(min(2 * drift * barrier / variance + math.log(back), 0.0)) if back > 0 else 0.0)


def _first(decided: Callable[[int], float], likely: float) -> int | None:
    """The n by which the sequence has decided with that chance, found between a power of two that is too few and the next."""
    low, high = 0, 1
    while decided(high) < likely:
        low, high = high, 2 * high
        if high > _NEVER:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if decided(middle) < likely else (low, middle)
    return high


def _check(chance: float, alpha: float, likely: float) -> None:
    if not (0 < chance < 1 and 0 < alpha < 1 and 0 < likely < 1):
        raise ValueError(f"a share or limit, a level and a likelihood lie between 0 and 1, not at {chance}, {alpha} and {likely}")
