"""Which rows have about the same score?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gonogo.types.evidence import Array, IntArray


def equal_mass_bins(p: Array, n_bins: int) -> IntArray:
    """(n,) bin codes from 0 on without a gap: about equally many rows each, equal probabilities together, so perhaps fewer bins."""
    p = np.asarray(p, dtype=np.float64)
    if len(p) == 0:
        return np.zeros(0, dtype=np.int64)
    at = (np.arange(1, n_bins) * len(p)) // n_bins
    cuts = np.partition(p, at)[at]
    return _without_empty(np.searchsorted(cuts, p, side="right"))


def equal_width_bins(p: Array, n_bins: int) -> IntArray:
    """(n,) bin codes from 0 on without a gap: [0, 1] in n_bins equal parts, those that hold no row left out; 1 is in the last."""
    at = (np.asarray(p, dtype=np.float64) * n_bins).astype(np.int64)
    return _without_empty(np.minimum(at, n_bins - 1))


def _without_empty(codes: IntArray) -> IntArray:
    held = np.bincount(codes) > 0
    return codes if held.all() else (np.cumsum(held) - 1)[codes]
