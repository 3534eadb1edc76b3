"""The interval of a percentile comes from order statistics."""

from __future__ import annotations

from itertools import count

import numpy as np
import pyarrow as pa

from gonogo.families.tabular.prior import PriorModel
from gonogo.training.latency import N_ANSWERS, low_rank, one_row_latency


def test_the_low_end_lies_above_the_percentile_in_at_most_1_of_40_samples() -> None:
    rng = np.random.default_rng(0)
    low = np.sort(rng.random((4000, N_ANSWERS)), axis=1)[:, low_rank(N_ANSWERS, 0.99) - 1]
    assert 0.005 < np.mean(low > 0.99) <= 0.035


def test_a_steady_clock_gives_its_own_step() -> None:
    ticks = count(step=2_000_000)
    latency = one_row_latency("prior_rate", PriorModel(rate=0.5), pa.table({"x": [1.0, 2.0]}), clock=lambda: next(ticks))
    assert (latency.low_ms, latency.p99_ms, latency.high_ms) == (2.0, 2.0, 2.0)
