"""What does a statistic give?"""

from __future__ import annotations

from dataclasses import dataclass

from gonogo.types.evidence import Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A value with its interval and how much independent data stands behind it."""

    value: float
    interval: Interval
    n_units: int  # independent units with weight
    n_rows: int
