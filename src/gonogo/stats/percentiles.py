"""Below which value does a stated share lie?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gonogo.stats.estimates import as_floats, estimated, require_level
from gonogo.stats.quantiles import quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gonogo.types.evidence import Estimate


def percentile(values: ArrayLike, *, share: float, level: float = 0.95, seed: int = 0, measured_in: str = "") -> Estimate:
    """The value below which `share` of independent values lie, between two order statistics, whatever their distribution.

    values: (n,), e.g. latencies in ms; 0 < share < 1. Refused where n values cannot bound it on both sides (368 are needed for 0.99 at
    95 %) and where a value is NaN or infinite. seed: nothing is drawn, so it changes nothing. Raises ValueError for another share or level.
    Source: David & Nagaraja (2003), Order statistics, 7.1.

    >>> import numpy as np
    >>> print(percentile(np.arange(1001.0), share=0.95, measured_in="ms"))
    percentile_95 950 [936, 964] ms, order statistics, binomial, 1,001 units
    """
    require_level(level)
    if not 0 < share < 1:
        raise ValueError(f"the share is {share}: it must lie between 0 and 1, e.g. 0.95")
    given = as_floats(values, "values")
    return estimated(
        f"percentile_{100 * share:g}",
        lambda: quantile(given, share, level=level),
        n_rows=len(given),
        n_units=len(given),
        better="",
        measured_in=measured_in,
    )
