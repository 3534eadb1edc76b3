"""How often do the intervals of a ranking's figures hold the truth?

Independent rows: negatives are N(0, 1), positives N(separation, spread); the truth is a closed form or one integral. Rows in units: every
unit shifts its odds and its scores; the truth is the figure of one population of millions of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from benchmarks.truth.claims import Claim

from gonogo import stats
from gonogo.stats import influence
from gonogo.stats.delong import roc_auc_difference
from gonogo.stats.distributions import normal_cdf, normal_quantile
from gonogo.stats.refusals import Refused

FIGURES = {
    "ROC-AUC": (stats.roc_auc, influence.roc_auc),
    "average precision": (stats.average_precision, influence.average_precision),
    "recall at a tenth of false alarms": (stats.recall_at_false_positive_rate, partial(influence.recall_at_false_positive_rate, rate=0.1)),
    "precision at half recall": (stats.precision_at_recall, partial(influence.precision_at_recall, recall=0.5)),
    "lift of the top tenth": (stats.lift, partial(influence.lift, share=0.1)),
}
HEAVY = 3.0  # scores are sinh(3 · normal): as far out as 10⁵, with the same ranks


@dataclass(frozen=True, slots=True)
class Rows:
    """Independent rows, of which `positives` are positive on average."""

    n: int
    positives: int
    separation: float = 1.0
    spread: float = 1.0
    heavy: bool = False

    def draw(self, seed: int) -> tuple[np.ndarray, np.ndarray, None]:
        """Outcomes, scores, no units."""
        rng = np.random.default_rng(seed)
        y = rng.random(self.n) < self.positives / self.n
        score = rng.normal(size=self.n)
        score[y] = score[y] * self.spread + self.separation
        return y, np.sinh(HEAVY * score) if self.heavy else score, None

    def truth(self, figure: str) -> float:
        return closed_form(figure, self.positives / self.n, self.separation, self.spread)

    def __str__(self) -> str:
        return f"{self.positives:,} positives of {self.n:,}" + (", heavy-tailed scores" if self.heavy else "")


@dataclass(frozen=True, slots=True)
class Units:
    """Units of Poisson(rows) + 2 rows that share a shift of their odds and one of their scores."""

    n: int
    rows: int

    def draw(self, seed: int, n: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Outcomes, scores, units."""
        rng = np.random.default_rng(seed)
        n = n or self.n
        unit = np.repeat(np.arange(n), rng.poisson(self.rows, n) + 2)
        odds, shift = rng.normal(-1.4, 0.7, n)[unit], rng.normal(0, 0.5, n)[unit]
        y = rng.random(len(unit)) < 1 / (1 + np.exp(-odds))
        return y, rng.normal(size=len(unit)) + y + shift, unit

    def truth(self, figure: str) -> float:
        return population(self, 0.0)[figure]

    def __str__(self) -> str:
        return f"{self.n} units of {self.rows} rows"


def holds(figure: str, rows: Rows | Units, seed: int) -> bool | None:
    """Whether the interval of this world holds the truth; None where it is refused."""
    y, score, unit = rows.draw(seed)
    found = FIGURES[figure][0](y, score, unit=unit)
    return None if found.interval is None else found.interval.low <= rows.truth(figure) <= found.interval.high


def difference_holds(figure: str, rows: Rows | Units, noise: float, seed: int) -> bool | None:
    """Whether the paired interval of a difference holds its truth: the same rows by a score, and by that score with noise."""
    y, ours, unit = rows.draw(seed)
    theirs = ours + np.random.default_rng([seed, 1]).normal(0, noise, len(y))
    truth = rows.truth(figure) - noisy_truth(figure, rows, noise)
    try:
        interval = _difference(figure, y.astype(float), ours, theirs, np.arange(len(y)) if unit is None else unit)
    except Refused:
        return None
    return interval.low <= truth <= interval.high


def _difference(figure: str, y, ours, theirs, unit):
    if figure == "ROC-AUC":
        return roc_auc_difference(y, ours, theirs, unit).interval
    a, b = (FIGURES[figure][1](influence.rank_rows(y, score)) for score in (ours, theirs))
    errors = np.bincount(unit, weights=a.influence - b.influence)
    return influence.interval_of_influence(float(a.value[0] - b.value[0]), errors, len(errors))


def noisy_truth(figure: str, rows: Rows | Units, noise: float) -> float:
    """The figure of the same rows by their score with noise."""
    if isinstance(rows, Units):
        return population(rows, noise)[figure]
    scale, spread = np.sqrt(1 + noise**2), np.sqrt(rows.spread**2 + noise**2)
    return closed_form(figure, rows.positives / rows.n, rows.separation / scale, spread / scale)


@cache
def population(units: Units, noise: float) -> dict[str, float]:
    """Every figure of 30,000 units, by their score with noise."""
    y, score, _ = units.draw(10**6, 30_000)
    ranked = influence.rank_rows(y, score + np.random.default_rng(5).normal(0, noise, len(y)))
    return {name: float(figure(ranked).value[0]) for name, (_, figure) in FIGURES.items()}


@cache
def closed_form(figure: str, prevalence: float, separation: float, spread: float) -> float:
    """The figure of negatives N(0, 1) and positives N(separation, spread)."""

    def found(threshold: float) -> float:
        return 1 - normal_cdf((threshold - separation) / spread)

    def alarms(threshold: float) -> float:
        return 1 - normal_cdf(threshold)

    def precision(threshold: float) -> float:
        return prevalence * found(threshold) / (prevalence * found(threshold) + (1 - prevalence) * alarms(threshold))

    if figure == "ROC-AUC":
        return normal_cdf(separation / np.sqrt(1 + spread**2))
    if figure == "average precision":
        recalls = (np.arange(20_000) + 0.5) / 20_000
        return float(np.mean([precision(separation - spread * normal_quantile(recall)) for recall in recalls.tolist()]))
    if figure == "recall at a tenth of false alarms":
        return found(normal_quantile(0.9))
    if figure == "precision at half recall":
        return precision(separation)
    low, high = -10.0, 10.0 + separation
    for _ in range(80):  # the threshold above which a tenth of all rows lie
        middle = (low + high) / 2
        share = prevalence * found(middle) + (1 - prevalence) * alarms(middle)
        low, high = (middle, high) if share > 0.1 else (low, middle)
    return found(low) / 0.1


def _claims() -> tuple[Claim, ...]:
    wide, narrow = (0.92, 0.98), (0.93, 0.97)
    worlds: list[tuple[Rows | Units, tuple[float, float], int | None]] = [
        (Rows(n=500, positives=60), wide, None),
        (Rows(n=2000, positives=60, separation=2.0), wide, None),
        (Rows(n=2000, positives=100), narrow, None),
        (Rows(n=2000, positives=100, separation=2.0), narrow, None),
        (Rows(n=2000, positives=100, separation=1.5, spread=1.5, heavy=True), narrow, None),
        (Rows(n=5000, positives=1500), narrow, None),
        (Rows(n=100_000, positives=100, separation=2.0), narrow, 600),
        (Rows(n=60_000, positives=60, separation=2.0), wide, 600),
        (Units(n=5, rows=100), wide, None),
        (Units(n=20, rows=60), narrow, None),
        (Units(n=30, rows=60), narrow, None),
        (Units(n=60, rows=20), narrow, None),
    ]
    singles = [
        Claim(
            name=f"{figure}, {rows}" + (f" {rows.separation:g} apart" if isinstance(rows, Rows) and rows.separation != 1 else ""),
            method="DeLong on the logit scale" if figure == "ROC-AUC" else "influence on the logit scale",
            kind="coverage",
            band=band,
            world=partial(holds, figure, rows),
            worlds=most,
        )
        for figure in FIGURES
        for rows, band, most in worlds
    ]
    pairs: list[Rows | Units] = [Rows(n=2000, positives=100), Rows(n=5000, positives=1500), Units(n=20, rows=60), Units(n=60, rows=20)]
    differences = [
        Claim(
            name=f"{figure} difference, {rows}",
            method="paired DeLong" if figure == "ROC-AUC" else "paired influence",
            kind="coverage",
            band=narrow,
            world=partial(difference_holds, figure, rows, 0.7),
        )
        for figure in FIGURES
        for rows in pairs
    ]
    return (*singles, *differences)


CLAIMS = _claims()
