"""How far into the order of a sample may one go, so that no more than a share of the population is passed, for sure?

Two exact answers, whatever the distribution. Of n independent values, how many of the r highest lie within the population's highest `share`
is binomial: the r-th highest is passed by more than that share with the probability P(Bin(n, share) < r). And of the k rows of the highest
scores, the number that is positive is binomial with the precision of that threshold, so a low precision can be tested rank by rank; going
from the top and stopping at the first rank that fails keeps the error of the whole sequence at that of one test.
Sources: Wilks (1941), Determination of sample sizes for setting tolerance limits, Annals of Mathematical Statistics 12; for the fixed
sequence Angelopoulos, Bates, Candès, Jordan & Lei (2021), Learn then Test, arXiv 2110.01052.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gonogo.stats.scientific import special

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gonogo.types.evidence import IntArray

_STRONG = 3  # a model is taken to be strong at the top if it makes a third of the false alarms per hit that are allowed
_POWER = 0.95  # with which such a model passes the first test
_FIRST_START = 0.9  # of the delta that is left goes to the next start of a sequence
_FINE = 200  # ranks are tested one by one up to here, and by two-hundredths above


@lru_cache(maxsize=4096)
def tolerance_rank(n: int, share: float, delta: float) -> int:
    """The largest r whose r-th highest of n values is passed by at most `share` of the population with probability ≥ 1 − delta; 0: none is.

    >>> tolerance_rank(58, 0.05, 0.05), tolerance_rank(59, 0.05, 0.05)
    (0, 1)
    """
    bdtr = special().bdtr

    low, high = 0, n + 1  # P(Bin < r) ≤ delta holds at `low` and fails at `high`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bdtr(middle - 1, n, share) <= delta else (low, middle)
    return low


def least_for_tolerance(share: float, delta: float) -> int:
    """How many values are needed for any `tolerance_rank`: the least n with (1 − share)ⁿ ≤ delta.

    >>> least_for_tolerance(0.05, 0.05)
    59
    """
    return math.ceil(math.log(delta) / math.log1p(-share))


@lru_cache(maxsize=1024)
def first_rank(precision: float, delta: float) -> int:
    """How many called rows the sequence of tests begins with: the fewest that would prove `precision` of a strong model with 95 % chance.

    It depends on what is asked alone, never on the outcomes: else the tests would not be the sequence that was fixed.

    >>> first_rank(0.6, 0.05)
    48
    """
    bdtrc = special().bdtrc

    odds = _STRONG * precision / (1 - precision)
    k = 0
    # For each number of false alarms the fewest rows that prove it: more rows with as many false alarms come rarer to a strong model too.
    for false_alarms in itertools.count():
        k = _fewest_that_prove(false_alarms, precision, delta, above=k)
        if bdtrc(k - false_alarms - 1, k, odds / (1 + odds)) >= _POWER:
            return k
    raise AssertionError("some number of rows proves any precision below 1")


def _fewest_that_prove(false_alarms: int, precision: float, delta: float, *, above: int) -> int:
    """The fewest rows that prove a precision in spite of so many false alarms; `above`: so many do not."""
    bdtrc = special().bdtrc

    low, step = above, 1
    while bdtrc(low + step - false_alarms - 1, low + step, precision) > delta:
        low, step = low + step, 2 * step
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bdtrc(middle - false_alarms - 1, middle, precision) > delta else (low, middle)
    return high


def ranks_to_test(first: int, n: int) -> IntArray:
    """Ranks first … n, every one up to two hundred and then a two-hundredth further each."""
    begun = max(first, _FINE)
    one_by_one = np.arange(first, min(n, begun - 1) + 1)
    if n < begun:
        return one_by_one
    by_shares = begun * (1 + 1 / _FINE) ** np.arange(math.floor(math.log(n / begun) / math.log1p(1 / _FINE)) + 1)
    return np.concatenate([one_by_one, np.ceil(by_shares).astype(np.int64)])


def proven_in_sequence(called: IntArray, first: int, delta: float, passed: Callable[[slice, float], int]) -> NDArray[np.bool_]:
    """(k,) which of the thresholds are proven, all errors together at most delta.

    called: (k,) rows called, rising; passed(here, alpha): how many of those thresholds pass one after another at that level. The sequence
    starts anew at 4 and at 16 times the first rank with a small part of delta, so that a few false alarms at the very top do not end it
    all; a part that passes wholly hands its level on. Source: Wiens (2003), A fixed sequence Bonferroni procedure, Pharmaceutical
    Statistics 2.
    """
    proven = np.zeros(len(called), dtype=np.bool_)
    starts = [start for start in (first, 4 * first, 16 * first) if len(called) and start <= called[-1]]
    ends = [*np.searchsorted(called, starts).tolist(), len(called)]
    handed_on, left = 0.0, delta
    for i in range(len(starts)):
        own = left if i + 1 == len(starts) else _FIRST_START * left
        alpha, left = handed_on + own, left - own
        n = passed(slice(ends[i], ends[i + 1]), alpha)
        proven[ends[i] : ends[i] + n] = True
        handed_on = alpha if ends[i] + n == ends[i + 1] else 0.0
    return proven


def proven_ranks(called: IntArray, true: IntArray, precision: float, delta: float) -> int:
    """How many of the first tests prove that more than `precision` of the called rows are positive, before the first that does not.

    called, true: (k,) rows called and positives among them, in the order of the sequence. The test is the exact binomial's.
    """
    bdtrc = special().bdtrc

    passed, size = 0, 256
    # In growing pieces: most sequences end early, and then nothing beyond is computed.
    while passed < len(called):
        here = slice(passed, passed + size)
        fails = (true[here] <= 0) | (bdtrc(np.maximum(true[here] - 1, 0), called[here], precision) > delta)
        if fails.any():
            return passed + int(np.argmax(fails))
        passed, size = passed + len(fails), size * 2
    return passed
