"""Which negatives is a model fitted on, and what takes that choice out of its answers again?

A rare outcome is learnt about as well from all of its positives and a share of the negatives, in a fraction of the time. The odds that such
a model learns are too high by a known factor. It is taken out where the model is made, so that no artifact holds a score to be corrected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.imbalance import PriorCorrection, sampling_correction

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.types.evidence import Array, IntArray

_OF_NEGATIVES = 0x6E656761  # keeps these draws apart from all others that start from the same seed


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """What a model is fitted on."""

    rows: IntArray | slice  # of train, in order: every positive and the kept negatives
    scale: float  # of all weights: then the weighted rows say as much against a penalty as they would unweighted
    correction: PriorCorrection  # from the log-odds that the fit learns to those of train

    def of(self, inputs: pa.Table) -> pa.Table:
        """Those rows of train's inputs; the others are not even encoded."""
        import pyarrow as pa

        return inputs if isinstance(self.rows, slice) else inputs.take(pa.array(self.rows))


def sampled(y: Array, *, negatives_kept: float, positive_weight: float, seed: int) -> Sampled:
    """Every positive, and the stated share of the negatives, rounded up: the same for the same seed, and more of them hold the fewer.

    y: (n,) 0 or 1, both present. The correction holds for the share that was really kept and for the weight of the positives.
    """
    positives, negatives = np.flatnonzero(y > 0), np.flatnonzero(y == 0)
    if negatives_kept == 1:
        return Sampled(
            rows=slice(None),
            scale=_scale(len(positives), len(negatives), positive_weight),
            correction=sampling_correction(positive_weight=positive_weight),
        )
    drawn = np.random.Philox(key=np.array([seed, _OF_NEGATIVES], dtype=np.uint64)).random_raw(len(negatives))
    n_kept = math.ceil(negatives_kept * len(negatives))
    kept = negatives[drawn <= np.partition(drawn, n_kept - 1)[n_kept - 1]]
    return Sampled(
        rows=np.sort(np.concatenate([positives, kept])),
        scale=_scale(len(positives), len(kept), positive_weight),
        correction=sampling_correction(negatives_kept=len(kept) / len(negatives), positive_weight=positive_weight),
    )


def _scale(n_positives: int, n_negatives: int, positive_weight: float) -> float:
    """How much less a row's weight must count so that a ridge, or a least weight of a leaf, holds back as much as without weights.

    Rows of which a share q of the weight W is positive tell as much of a coefficient as W q (1 - q), the information of a constant. Weights
    raise that number, and know no more: 200 positives that count 80 times each are still 200 positives.
    """
    weighted = positive_weight * n_positives
    return (weighted + n_negatives) / (positive_weight * (n_positives + n_negatives))
