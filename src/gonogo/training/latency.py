"""Does a model answer one row in time?

A quick look that lets a learner into the choice; the gates read the full measurement (`evidence/load.py`). It counts the processor time of
the answering thread, which is the least that an answer takes: a machine that is busy with something else must not change what is chosen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.distributions import binomial_cdf

if TYPE_CHECKING:
    from gonogo.types.protocols import Model, Table

N_ANSWERS = 300  # the least from which the 99th percentile has an interval is 299
N_WARM = 5  # answers before the clock starts: the first ones load code


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """The 99th percentile of one-row answers in processor time, with a 95 % interval from order statistics."""

    learner: str
    p99_ms: float
    low_ms: float
    high_ms: float
    n_answers: int


def one_row_latency(learner: str, model: Model, inputs: Table, *, clock: Callable[[], int] = time.thread_time_ns) -> Latency:
    """Clock one-row answers over evenly spaced rows of inputs, which must hold at least one.

    clock: nanoseconds. Source: the distribution-free interval of a quantile, Conover (1999), Practical Nonparametric Statistics, 3.2.
    """
    rows = [inputs.slice(int(i), 1) for i in np.linspace(0, inputs.num_rows - 1, N_ANSWERS)]
    for row in rows[:N_WARM]:
        model.predict(row)
    taken_ms = []
    for row in rows:
        start = clock()
        model.predict(row)
        taken_ms.append((clock() - start) / 1e6)
    taken_ms.sort()
    return Latency(
        learner=learner,
        p99_ms=taken_ms[math.ceil(0.99 * N_ANSWERS) - 1],
        low_ms=taken_ms[low_rank(N_ANSWERS, 0.99) - 1],
        high_ms=taken_ms[-1],
        n_answers=N_ANSWERS,
    )


def low_rank(n: int, quantile: float, *, alpha: float = 0.025) -> int:
    """The largest rank whose value lies above the quantile with probability at most alpha.

    >>> low_rank(300, 0.99)
    293
    """
    # rank k lies above the quantile where fewer than k of the n values lie below it
    return next(max(k, 1) for k in range(n + 1) if binomial_cdf(k, n, quantile) > alpha)
