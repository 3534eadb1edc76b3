"""What was measured, and how sure are we?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from gonogo.types.record import Digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]
    IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A range that holds the truth with the stated probability."""

    low: float
    high: float
    level: float = 0.95
    method: str  # how it was made, e.g. "cluster-robust t, G-1" or "percentile bootstrap by unit, 1000 draws"


class Of(Enum):
    """Whose figure it is."""

    CHALLENGER = "challenger"
    CHAMPION = "champion"  # the live model, or the family's baseline where none is live
    DIFFERENCE = "difference"  # challenger - champion, paired on the same rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """One figure with its interval, or the reason why there is none.

    A figure that could not be computed has value None, interval None, and `refused` says why in words.
    """

    metric: str  # "log_loss"
    of: Of
    slice: str = ""  # "" is the whole table; else "origin=JFK"
    value: float | None
    interval: Interval | None
    n_units: int  # independent units behind it
    n_rows: int
    measured_in: str  # "nats", "ms", "usd", "" for a pure number
    better: str  # "higher" | "lower"; "" where neither side is
    refused: str = ""  # why there is no value; empty where there is one

    def __str__(self) -> str:
        """One line for a person: "roc_auc 0.8312 [0.8250, 0.8371] DeLong by unit …, 2,000 units", or why there is no figure."""
        name = self.metric + (f" ({self.slice})" if self.slice else "") + (" difference" if self.of is Of.DIFFERENCE else "")
        if self.value is None or self.interval is None:
            return f"{name}: refused, {self.refused}"
        unit = f" {self.measured_in}" if self.measured_in else ""
        ends = f"[{self.interval.low:.4g}, {self.interval.high:.4g}]"
        return f"{name} {self.value:.4g} {ends}{unit}, {self.interval.method}, {self.n_units:,} units"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tested:
    """One hypothesis test: never a p-value without the size of the effect beside it.

    A test that could not be made has statistic and p_value None, and `refused` says why in words.
    """

    test: str  # "McNemar, mid-p"
    null: str  # what is tested, as a sentence: "both models are right equally often"
    statistic: float | None
    p_value: float | None
    effect: Estimate  # how large, with its interval
    n_units: int  # independent units behind it
    n_rows: int
    refused: str = ""


@dataclass(frozen=True, slots=True)
class UnitScores:
    """Row by row: the independent unit, a numerator and a denominator; the estimate is Σvalue / Σweight.

    unit: (n,) int64 codes of the independent unit; value, weight: (n,) float64, weight ≥ 0.
    """

    unit: IntArray
    value: Array
    weight: Array


@dataclass(frozen=True, slots=True)
class Linearised:
    """A figure that is no ratio of sums, group of rows by group, and each row's share in its error.

    value: (n_groups,) float64, NaN where the figure is undefined; influence: (n,) float64 in row order, so that within a group g
    value[g] − truth ≈ Σ influence over the rows of g. Its spread follows from the sums by unit: G/(G−1) · Σ e², as for `UnitScores`.
    """

    value: Array
    influence: Array
    refused: tuple[str, ...] = ()  # by group, why its figure must not be given; empty for "it may" everywhere


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One point of a curve, with the interval of y where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One line of a curve."""

    name: str  # "challenger", "champion", "validate", …
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Something a page can draw without knowing what it means."""

    name: str  # "reliability"
    title: str  # a sentence a stakeholder follows
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    diagonal: bool = False  # draw y = x as the ideal
    marks: str = "line"  # "line" | "points" | "bars"


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """How one input moves the answer: an odds ratio, an importance."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    measured_in: str = ""  # "odds ratio per standard deviation", "share of gain"


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Everything that was measured on one table, for one candidate against one reference. No clock touches it."""

    contract: Digest
    candidate: Digest
    champion: Digest  # the reference candidate: the live one, or the baseline fitted on the same snapshot
    champion_is: str  # "champion" | "baseline"
    snapshot: Digest
    table: str  # "test" | "validate" | "window"
    n_rows: int
    n_units: int
    estimates: tuple[Estimate, ...]
    curves: tuple[Curve, ...] = ()
    effects: tuple[Effect, ...] = ()
    worst: tuple[Tested, ...] = ()  # slices found by searching, in which the challenger's loss is higher than elsewhere, worst first
    searched: int = 0  # how many slices were looked at for them; 0 where nothing was searched


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurements:
    """What a clock measured, with the machine it was measured on: never part of Evidence, which must repeat to the bit."""

    candidate: Digest
    machine: Mapping[str, Any]  # processor, cores, memory, python, system
    measured_at: str  # UTC, ISO 8601
    estimates: tuple[Estimate, ...]  # latency_p50, latency_p95, latency_p99 (ms), cost_per_1000 (usd), artifact_mb, …
