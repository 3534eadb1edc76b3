"""Are sequences that are read after every observation right, at all times at once?

A level is the share of streams in which harm was *ever* shown though there is none; a promise, in which harm at the margin was *ever*
refuted though it is there; an interval holds only if it held at each of twenty moments of its stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from benchmarks.truth.claims import Claim
from scipy.stats import norm

from gonogo import stats
from gonogo.stats.relative_risk import at_ratio

ALPHA = 0.05
LIMIT = math.log(1 / ALPHA)
LEVEL = (0.0, ALPHA)
HELD = (1 - ALPHA, 1.0)
MOMENTS = 20
DEAR = 500  # worlds of a claim whose world asks for twenty intervals


def moments(n: int) -> list[int]:
    """Twenty moments of a stream, each later than the one before by the same factor."""
    return sorted({round(n ** (at / MOMENTS) * 10 ** (1 - at / MOMENTS)) for at in range(MOMENTS + 1)})


def holds_at_all_times(sequence, values: np.ndarray, truth: float, *shares: np.ndarray) -> bool:
    before = 0
    for at in moments(len(values)):
        sequence.take_many(values[before:at], *(share[before:at] for share in shares))
        low, high = sequence.interval(ALPHA)
        if not low <= truth <= high:
            return False
        before = at
    return True


# ── bad events ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def arms(seed: int, ratio: float, share: str, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shares = {
        "5 %": np.full(n, 0.05),
        "50 %": np.full(n, 0.5),
        "1, 5, 25, 50 % in turn": np.repeat([0.01, 0.05, 0.25, 0.5], n // 4),
    }[share]
    return rng.random(n) < at_ratio(shares, ratio), shares


def risk(seed: int, ratio: float, share: str, side: str, **options) -> bool:
    sequence = stats.RelativeRisk(**options)
    sequence.take_many(*arms(seed, ratio, share))
    return getattr(sequence, side) >= LIMIT


def risk_claims() -> list[Claim]:
    shares = ("5 %", "50 %", "1, 5, 25, 50 % in turn")
    level = [
        Claim(
            name=f"harm, equal arms, share {share}, 4,000 events",
            method="RelativeRisk",
            kind="level",
            band=LEVEL,
            world=lambda seed, share=share: risk(seed, 1.0, share, "highest_harm"),
        )
        for share in shares
    ]
    promise = [
        Claim(
            name=f"ratio below {margin:g}, in truth {margin:g}, share {share}, 4,000 events",
            method="RelativeRisk",
            kind="promise",
            band=LEVEL,
            world=lambda seed, share=share, margin=margin: risk(seed, margin, share, "highest_safe", margin=margin),
        )
        for share in shares
        for margin in (1.25, 2.0)
    ]
    held = [
        Claim(
            name=f"ratio of {ratio:g}, share {share}, at all times of 4,000 events",
            method="RelativeRisk",
            kind="coverage",
            band=HELD,
            worlds=DEAR,
            world=lambda seed, share=share, ratio=ratio: holds_at_all_times(stats.RelativeRisk(), *_arms_first(seed, ratio, share)),
        )
        for share in shares
        for ratio in (0.5, 1.0, 3.0)
    ]
    return level + promise + held


def _arms_first(seed: int, ratio: float, share: str) -> tuple[np.ndarray, float, np.ndarray]:
    arm, shares = arms(seed, ratio, share)
    return arm, ratio, shares


def found_as_foretold(likely: float) -> Claim:
    n = stats.events_until_harm(3.0, share=0.05, alpha=ALPHA, likely=likely)

    def world(seed: int) -> bool:
        sequence = stats.RelativeRisk()
        sequence.take_many(np.random.default_rng(seed).random(n) < at_ratio(0.05, 3.0), 0.05)
        return sequence.highest_harm >= LIMIT

    return Claim(
        name=f"harm of 3×, share 5 %, after the {n} events that were foretold for {likely:.0%}",
        method="RelativeRisk, events_until_harm",
        kind="power",
        band=(likely - 0.07, likely + 0.07),
        world=world,
    )


# ── units that stay on their arm ─────────────────────────────────────────────────────────────────────────────────────────────


def frail(seed: int, count: str) -> bool:
    """20,000 units of 20 requests, equal arms; one in a hundred errs on 60 %, the others on 0.4 %."""
    rng = np.random.default_rng(seed)
    arm, p = rng.random(20_000) < 0.05, np.where(rng.random(20_000) < 0.01, 0.6, 0.004)
    errors = rng.binomial(20, p)
    events = np.repeat(arm, errors)[rng.permutation(errors.sum())] if count == "every" else rng.permutation(arm[errors > 0])
    sequence = stats.RelativeRisk()
    sequence.take_many(events, 0.05)
    return sequence.highest_harm >= LIMIT


def moody(seed: int, count: str) -> bool:
    """Differences of losses of 300 units with 20 rows each, which share most of their difference; none is worse on average."""
    rng = np.random.default_rng(seed)
    own = rng.uniform(-0.5, 0.5, 300)
    rows = np.clip(own[:, None] + rng.normal(0, 0.1, (300, 20)), -1, 1)
    sequence = stats.BoundedMean(-1, 1)
    sequence.take_many(rows.T.ravel() if count == "every" else rows[:, 0])
    return sequence.highest_harm >= LIMIT


def unit_claims() -> list[Claim]:
    worlds: tuple[tuple[str, str, Callable[[int, str], bool]], ...] = (
        ("harm, equal arms, frail units", "RelativeRisk", frail),
        ("harm, equal means, units of 20 rows that move together", "BoundedMean", moody),
    )
    return [
        Claim(
            name=name,
            method=f"{method}, {'one observation a unit' if count == 'once' else 'every row counted, as it must not be'}",
            kind="level",
            band=LEVEL if count == "once" else (2 * ALPHA, 1.0),
            world=lambda seed, world=world, count=count: world(seed, count),
        )
        for name, method, world in worlds
        for count in ("once", "every")
    ]


# ── rates, means, quantiles, shares ──────────────────────────────────────────────────────────────────────────────────────────


def rate_claims() -> list[Claim]:
    def watch(seed: int, rate: float, limit: float, side: str) -> bool:
        sequence = stats.RateLimit(limit)
        sequence.take_many(np.random.default_rng(seed).random(10_000) < rate)
        return getattr(sequence, side) >= LIMIT

    sides = [
        Claim(
            name=f"rate {words} {limit:g}, in truth {limit:g}, 10,000 trials",
            method="RateLimit",
            kind=kind,
            band=LEVEL,
            world=lambda seed, limit=limit, side=side: watch(seed, limit, limit, side),
        )
        for limit in (0.01, 0.05, 0.5)
        for words, kind, side in (("above", "level", "highest_harm"), ("below", "promise", "highest_safe"))
    ]
    held = [
        Claim(
            name=f"rate of {rate:g} at all times of 10,000 trials",
            method="RateLimit",
            kind="coverage",
            band=HELD,
            worlds=DEAR,
            world=lambda seed, rate=rate: holds_at_all_times(stats.RateLimit(0.5), np.random.default_rng(seed).random(10_000) < rate, rate),
        )
        for rate in (0.01, 0.2, 0.5)
    ]
    return sides + held


def differences(seed: int, kind: str, mean: float, n: int = 4000) -> np.ndarray:
    """(n,) in [−1, 1] with that mean."""
    rng = np.random.default_rng(seed)
    if kind == "even":
        return mean + rng.uniform(-1, 1, n) * (1 - abs(mean))
    if kind == "rare":
        return rng.choice([-1.0, 0.0, 1.0], n, p=[0.03 - mean / 2, 0.94, 0.03 + mean / 2])
    return np.where(
        rng.random(n) < 0.05 + mean / 2, 1.0, -(0.05 - mean / 2) / (0.95 - mean / 2)
    )  # skewed: many small gains, few large losses


def mean_claims() -> list[Claim]:
    def watch(seed: int, kind: str, mean: float, side: str) -> bool:
        sequence = stats.BoundedMean(-1, 1, margin=0.02)
        sequence.take_many(differences(seed, kind, mean))
        return getattr(sequence, side) >= LIMIT

    claims = []
    for kind in ("even", "rare", "skewed"):
        claims += [
            Claim(
                name=f"harm, mean 0, {kind} differences, 4,000",
                method="BoundedMean",
                kind="level",
                band=LEVEL,
                world=lambda seed, kind=kind: watch(seed, kind, 0.0, "highest_harm"),
            ),
            Claim(
                name=f"mean below 0.02, in truth 0.02, {kind} differences, 4,000",
                method="BoundedMean",
                kind="promise",
                band=LEVEL,
                world=lambda seed, kind=kind: watch(seed, kind, 0.02, "highest_safe"),
            ),
            Claim(
                name=f"mean of {kind} differences at all times of 4,000",
                method="BoundedMean",
                kind="coverage",
                band=HELD,
                worlds=DEAR,
                world=lambda seed, kind=kind: holds_at_all_times(stats.BoundedMean(-1, 1), differences(seed, kind, 0.02), 0.02),
            ),
        ]
    return claims


def other_claims() -> list[Claim]:
    quantiles = [
        Claim(
            name=f"quantile {quantile:g} of log-normal latencies at all times of 10,000",
            method="QuantileSequence",
            kind="coverage",
            band=HELD,
            worlds=DEAR,
            world=lambda seed, quantile=quantile: holds_at_all_times(
                stats.QuantileSequence(quantile), np.random.default_rng(seed).lognormal(size=10_000), math.exp(norm.ppf(quantile))
            ),
        )
        for quantile in (0.5, 0.95, 0.99)
    ]

    def dealt(seed: int, share: float, asked: float, level: float) -> bool:
        sequence = stats.SampleRatio()
        sequence.take_many(np.random.default_rng(seed).random(4000) < share, asked)
        return sequence.highest >= math.log(1 / level)

    shares = [
        Claim(
            name=f"mismatch, dealt as asked, share {share:.0%}, 4,000 units",
            method=f"SampleRatio at {level:g}",
            kind="level",
            band=(0.0, level),
            world=lambda seed, share=share, level=level: dealt(seed, share, share, level),
        )
        for share, level in ((0.05, 0.05), (0.5, 0.05), (0.05, 0.001))
    ]
    seen = Claim(
        name="mismatch, 8 % dealt for 5 %, 4,000 units",
        method="SampleRatio at 0.001",
        kind="power",
        band=(0.99, 1.0),
        world=lambda seed: dealt(seed, 0.08, 0.05, 0.001),
    )
    return [*quantiles, *shares, seen]


CLAIMS = (*risk_claims(), found_as_foretold(0.5), found_as_foretold(0.9), *unit_claims(), *rate_claims(), *mean_claims(), *other_claims())
