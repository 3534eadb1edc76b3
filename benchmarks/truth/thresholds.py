"""How often is the promise of a threshold broken in the population, and do the figures beside it hold?

Scores of two normal classes: what a threshold does in the population is then known in closed form, or from one huge world where units share
a shock. A promise is broken if the population's figure at the chosen threshold is on the wrong side. `as measured` is what most people do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from benchmarks.truth.claims import Claim
from scipy.special import ndtr, pdtr

from gonogo import stats

DELTA = 0.1
KEPT = (0.0, DELTA)
GOOD = (0.93, 0.97)


@dataclass(frozen=True)
class World:
    """Rows, and what a threshold does to the population that they come from."""

    n: int = 8000
    rate: float = 0.05
    apart: float = 2.06  # between the means of the two classes
    decimals: int | None = None  # scores are rounded: ties
    units: int = 0  # 0: every row is a unit of its own
    shock: float = 0.7  # of a unit, on the odds; a quarter of it on the score
    weighted: bool = False
    dip: float = 0.0  # a share of negatives that score above everything: precision rises before it falls

    def rows(self, rng: np.random.Generator, n: int, units: int) -> tuple:
        unit = rng.integers(units, size=n) if units else None
        shift = rng.normal(0, self.shock, units)[unit] if units else 0.0
        odds = math.log(self.rate / (1 - self.rate)) + shift
        y = (rng.uniform(size=n) < 1 / (1 + np.exp(-odds))).astype(float)
        score = rng.normal(self.apart * y + 0.25 * shift, 1)
        score[(y == 0) & (rng.uniform(size=n) < self.dip)] += 5
        weight = rng.exponential(size=n) + 0.1 if self.weighted else None
        return y, score if self.decimals is None else np.round(score, self.decimals), weight, unit

    def drawn(self, seed: int) -> tuple:
        return self.rows(np.random.default_rng(seed), self.n, self.units)

    def population(self, threshold: float) -> dict[str, float]:
        """Precision, recall, false-positive rate and alert rate of score ≥ threshold."""
        if self.units:
            y, score = huge(replace(self, n=0, weighted=False))
            called, hits = len(score) - np.searchsorted(score, threshold), y[-1] - y[np.searchsorted(score, threshold)]
            recall, alarms, rate = hits / y[-1], (called - hits) / (len(score) - y[-1]), y[-1] / len(score)
        else:
            # A score that is rounded reaches the threshold from half a step below it.
            at = threshold - (0.5 * 10.0**-self.decimals if self.decimals is not None else 0.0)
            recall, alarms, rate = ndtr(self.apart - at), (1 - self.dip) * ndtr(-at) + self.dip * ndtr(5 - at), self.rate
        alerts = rate * recall + (1 - rate) * alarms
        return {"precision": rate * recall / alerts, "recall": recall, "false_positive_rate": alarms, "alert_rate": alerts}


@cache
def huge(world: World) -> tuple:
    """Rising scores of a very large sample, and the positives before each."""
    y, score, _, _ = world.rows(np.random.default_rng(10**6), 6_000_000, 100_000)
    order = np.argsort(score)
    return np.r_[0, np.cumsum(y[order])], score[order]


PLAIN = World()
TIES = World(decimals=1)
FEW = World(n=2000, rate=0.05)
DIP = World(dip=0.002)
UNITS = World(n=6000, rate=0.1, units=60)
FEW_UNITS = World(n=3000, rate=0.15, units=20)
WEIGHTED = World(weighted=True)
EXACT, BOUNDED = "exact, fixed sequence and tolerance limits", "Wilson by unit, fixed sequence"
ASKED = {
    "precision ≥ 60 %": ({"precision_at_least": 0.6}, {"precision": 0.6}),
    "recall ≥ 90 %": ({"recall_at_least": 0.9}, {"recall": 0.9}),
    "false positives ≤ 2 %": ({"false_positive_rate_at_most": 0.02}, {"false_positive_rate": 0.02}),
    "precision ≥ 50 % and recall ≥ 35 %": ({"precision_at_least": 0.5, "recall_at_least": 0.35}, {"precision": 0.5, "recall": 0.35}),
    "recall ≥ 80 % and false positives ≤ 20 %": (
        {"recall_at_least": 0.8, "false_positive_rate_at_most": 0.2},
        {"recall": 0.8, "false_positive_rate": 0.2},
    ),
}


def is_broken(world: World, threshold: float, limits: dict[str, float]) -> bool:
    found = world.population(threshold)
    return any(found[name] > limit if name == "false_positive_rate" else found[name] < limit for name, limit in limits.items())


def promise(asked: str, where: str, world: World, *, refused: bool | None = None) -> Claim:
    """refused: what a refusal counts as; the guarantee is of all samples, of which a refusal breaks none."""
    options, limits = ASKED[asked]

    def broken(seed: int) -> bool | None:
        y, score, weight, unit = world.drawn(seed)
        chosen = stats.choose_threshold(y, score, weight=weight, unit=unit, delta=DELTA, **options)
        return refused if chosen.threshold is None else is_broken(world, chosen.threshold, limits)

    return Claim(
        name=f"{asked}, {where}", method=BOUNDED if world.units or world.weighted else EXACT, kind="promise", band=KEPT, world=broken
    )


def as_measured(asked: str) -> Claim:
    limits = ASKED[asked][1]
    ((figure, limit),) = limits.items()

    def broken(seed: int) -> bool | None:
        y, score, _, _ = PLAIN.drawn(seed)
        order = np.argsort(-score)
        called, hits = np.arange(1, len(y) + 1), np.cumsum(y[order])
        here = {"precision": hits / called >= limit, "recall": hits / hits[-1] >= limit}[figure]
        last = np.flatnonzero(here)[-1 if figure == "precision" else 0]
        return is_broken(PLAIN, float(score[order][last]), limits)

    return Claim(name=f"{asked}, as measured", method="the rows' own figure, without proof", kind="promise", band=(0.4, 0.6), world=broken)


@dataclass(frozen=True)
class Days:
    """Days whose number of rows varies by more than chance."""

    n: int = 90
    rows: float = 150.0
    spread: float = 0.3  # deviation of the log of a day's rows

    def volumes(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return self.rows * np.exp(rng.normal(0, self.spread, n)) if self.spread else np.full(n, self.rows)

    def drawn(self, seed: int) -> tuple:
        rng = np.random.default_rng(seed)
        day = np.repeat(np.arange(self.n), rng.poisson(self.volumes(rng, self.n)))
        y, score, _, _ = PLAIN.rows(rng, len(day), 0)
        return y, score, day

    @property
    def world(self) -> World:
        return PLAIN

    def share_within(self, threshold: float, low: float, high: float) -> float:
        """The share of days whose alerts lie from low to high."""
        rate = PLAIN.population(threshold)["alert_rate"]
        alerts = self.volumes(np.random.default_rng(7), 4000) * rate
        return float(np.mean(pdtr(math.floor(high), alerts) - (pdtr(math.ceil(low) - 1, alerts) if low > 0 else 0.0)))


STEADY, UNEVEN, SHORT = Days(spread=0.0), Days(), Days(n=30)


def alerts(where: str, days: Days, *, by_day: bool, recall: float | None = None) -> Claim:
    def broken(seed: int) -> bool | None:
        y, score, day = days.drawn(seed)
        told = {"day": day} if by_day else {"rows_per_day": days.rows}
        chosen = stats.choose_threshold(y, score, alerts_per_day_at_most=8, recall_at_least=recall, on_days=0.9, delta=DELTA, **told)
        if chosen.threshold is None:
            return None
        lost = recall is not None and PLAIN.population(chosen.threshold)["recall"] < recall
        return lost or days.share_within(chosen.threshold, 0, 8) < 0.9

    also = f" and recall ≥ {100 * recall:g} %" if recall else ""
    return Claim(name=f"alerts ≤ 8 on 90 % of days{also}, {where}", method=EXACT, kind="promise", band=KEPT, world=broken)


def beside(figure: str, asked: str, where: str, world: World, band: tuple[float, float] = GOOD) -> Claim:
    """The interval beside the chosen threshold holds what that threshold does in the population."""
    options, _ = ASKED[asked]

    def held(seed: int) -> bool | None:
        y, score, weight, unit = world.drawn(seed)
        chosen = stats.choose_threshold(y, score, weight=weight, unit=unit, delta=DELTA, **options)
        found = getattr(chosen, figure)
        truth = None if chosen.threshold is None else world.population(chosen.threshold)[figure]
        return None if found is None or found.interval is None else found.interval.low <= truth <= found.interval.high

    return Claim(name=f"{figure} where {asked}, {where}", method="at the chosen point", kind="coverage", band=band, world=held)


def next_day(where: str, days: Days) -> Claim:
    """One more day lies within the interval for it: the share over days to come, drawn for each world."""

    def held(seed: int) -> bool | None:
        y, score, day = days.drawn(seed)
        chosen = stats.choose_threshold(y, score, precision_at_least=0.5, day=day, delta=DELTA)
        if chosen.next_day is None:
            return None
        rng = np.random.default_rng(seed + 10**7)
        alerts_then = rng.poisson(float(days.volumes(rng, 1)[0]) * PLAIN.population(chosen.threshold)["alert_rate"])
        return chosen.next_day.low <= alerts_then <= chosen.next_day.high

    # Alerts are whole numbers: an interval that ends between two of them holds more than was asked.
    return Claim(name=f"alerts of the next day, {where}", method="one more day", kind="coverage", band=(0.93, 0.99), world=held)


COSTS = {"false_positive": 1.0, "false_negative": 10.0}


def cost(where: str, world: World, options: dict[str, float], band: tuple[float, float] = GOOD) -> Claim:
    """The interval of the cost holds what the chosen threshold costs in the population."""

    def held(seed: int) -> bool | None:
        y, score, weight, unit = world.drawn(seed)
        chosen = stats.choose_threshold(y, score, weight=weight, unit=unit, delta=DELTA, **COSTS, **options)
        if chosen.cost is None or chosen.cost.interval is None:
            return None
        return chosen.cost.interval.low <= true_cost(world, chosen.threshold) <= chosen.cost.interval.high

    return Claim(name=f"cost of the cheapest threshold, {where}", method="ten folds of units", kind="coverage", band=band, world=held)


def true_cost(world: World, threshold: float) -> float:
    at = world.population(threshold)
    rate = at["alert_rate"] * at["precision"] / at["recall"]
    return COSTS["false_positive"] * (1 - rate) * at["false_positive_rate"] + COSTS["false_negative"] * rate * (1 - at["recall"])


CLAIMS = (
    *(as_measured(asked) for asked in ("precision ≥ 60 %", "recall ≥ 90 %")),
    *(promise(asked, "8,000 rows", PLAIN) for asked in ASKED),
    *(promise(asked, "tied scores", TIES) for asked in ASKED),
    *(promise(asked, "100 positives of 2,000", FEW) for asked in ASKED),
    promise("precision ≥ 60 %", "false alarms at the top (a refusal breaks nothing)", DIP, refused=False),
    *(promise(asked, "60 units of 100 rows", UNITS) for asked in ASKED),
    *(promise(asked, "20 units of 150 rows", FEW_UNITS) for asked in ASKED),
    *(promise(asked, "weighted rows", WEIGHTED) for asked in ASKED),
    alerts("90 uneven days", UNEVEN, by_day=True),
    alerts("30 uneven days", SHORT, by_day=True),
    alerts("steady days, by the rows of a day", STEADY, by_day=False),
    alerts("90 uneven days", UNEVEN, by_day=True, recall=0.2),
    beside("recall", "precision ≥ 60 %", "8,000 rows", PLAIN),
    beside("precision", "precision ≥ 60 %", "8,000 rows", PLAIN),
    beside("precision", "recall ≥ 90 %", "8,000 rows", PLAIN),
    beside("recall", "recall ≥ 90 %", "8,000 rows", PLAIN),
    beside("false_positive_rate", "recall ≥ 90 %", "60 units of 100 rows", UNITS),
    beside("alert_rate", "precision ≥ 60 %", "8,000 rows", PLAIN),
    next_day("90 uneven days", UNEVEN),
    next_day("30 uneven days", SHORT),
    cost("100 positives of 2,000", FEW, {}),
    cost("8,000 rows", PLAIN, {}),
    cost("60 units of 100 rows", UNITS, {}),
    cost("8,000 rows, recall ≥ 80 %", PLAIN, {"recall_at_least": 0.8}),
)
