"""The figure that chooses among learners has an interval, or a reason why it has none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from gonogo.training.interval import measured
from tests.training.worlds import family


def measured_of(name: str, n: int, positives: int):
    y = np.arange(n) < positives
    p = np.random.default_rng(0).uniform(0.1, 0.9, n)
    return measured(family(), name, pa.table({"p": p}), pa.table({"unit": np.arange(n), "y": y.astype(np.int64)}), seed=0)


def test_an_order_of_few_positives_is_refused_as_it_is_everywhere() -> None:
    assert measured_of("roc_auc", 400, 100).interval is not None
    few = measured_of("roc_auc", 400, 30)
    assert few.value is None
    assert few.refused.startswith("30 positives of 400 rows")


def test_a_calibration_error_is_resampled() -> None:
    found = measured_of("calibration_error", 300, 100)
    assert found.interval.low < found.value <= found.interval.high
