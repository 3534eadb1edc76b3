"""How far is a probability from the share that comes true?

Rows of about the same score are one bin; a bin's gap is what came true minus what was said. The error is the root of the mean squared gap,
noise taken away (`gaps`), in the unit of a probability: 0.02 is two points. This is the ℓ2 form of the expected calibration error. The ℓ1
form, the mean absolute gap, is never larger, is equal where every bin misses by as much, and has no unbiased estimate: its plug-in
(`calibration_error.plug_in_calibration_error`) is never 0, however perfect the model.

Refused: what `probabilities` refuses. There are at most a quarter as many bins as units, so that each shows its noise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gonogo.stats.estimates import estimated, rows_of
from gonogo.stats.figure import Figure
from gonogo.stats.gaps import gaps_from_zero, mean_square_interval, rooted
from gonogo.stats.probabilities import told_of_both_classes
from gonogo.stats.score_bins import equal_mass_bins, equal_width_bins

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from gonogo.stats.estimates import Rows
    from gonogo.types.evidence import Array, Estimate, IntArray

UNITS_OF_A_BIN = 4  # on average, at least


def expected_calibration_error(
    y: ArrayLike,
    score: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    n_bins: int = 15,
) -> Estimate:
    """Root of the mean squared gap between said and came true over bins of equally many rows, debiased; 0 where noise explains it.

    The interval begins at 0 unless noise alone would show such gaps in less than (1 − level)/2 of draws.

    >>> import numpy as np
    >>> p = np.random.default_rng(0).uniform(size=4000)
    >>> y = np.random.default_rng(1).uniform(size=4000) < p
    >>> expected_calibration_error(y, p).interval.low, expected_calibration_error(y, p**2).interval.low > 0.1
    (0.0, True)
    """
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return _estimate("expected_calibration_error", rows, equal_mass_bins, n_bins, level, seed)


def expected_calibration_error_of_equal_widths(
    y: ArrayLike,
    score: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    unit: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
    n_bins: int = 15,
) -> Estimate:
    """`expected_calibration_error` over bins of [0, 1] that are equally wide: thin ones are noisy, and count by their weight."""
    rows = rows_of(y, score, weight=weight, unit=unit, level=level)
    return _estimate("expected_calibration_error_of_equal_widths", rows, equal_width_bins, n_bins, level, seed)


def bins_that_show_noise(n_units: int, n_bins: int) -> int:
    """How many bins are made: n_bins, or fewer where units are few."""
    return max(1, min(n_bins, n_units // UNITS_OF_A_BIN))


def require_bins(n_bins: int) -> None:
    """Raises ValueError below 1 bin, and for no whole number."""
    if n_bins < 1 or n_bins != int(n_bins):
        raise ValueError(f"{n_bins} bins: a whole number of them is needed, at least one")


def _estimate(metric: str, rows: Rows, cut: Callable[[Array, int], IntArray], n_bins: int, level: float, seed: int) -> Estimate:
    require_bins(n_bins)

    def figure() -> Figure:
        seen = told_of_both_classes(rows)
        k = bins_that_show_noise(seen.n_units, n_bins)
        gaps = gaps_from_zero(seen, seen.y - seen.score, cut(seen.score, k))
        interval = rooted(mean_square_interval(gaps, level=level, seed=seed))
        return Figure(value=math.sqrt(gaps.mean_square), interval=interval, n_units=seen.n_units, n_rows=rows.n)

    return estimated(metric, figure, n_rows=rows.n, n_units=rows.n_units, better="lower")
