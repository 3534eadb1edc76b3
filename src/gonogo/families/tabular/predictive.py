"""How much does one column alone know of the outcome?"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gonogo.types.snapshot import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.evidence import Array, IntArray

    Flags: TypeAlias = NDArray[np.bool_]

ROWS_OF_A_CLASS = 25_000  # at most so many of each class are looked at: an AUC does not depend on how many there are
BINS = 20  # of a number, in which a relation that turns round shows
COPY = 0.995  # agreement within each class


def systematic_rows(y: Array) -> IntArray:
    """Sorted rows, evenly spaced within each class, at most ROWS_OF_A_CLASS of each."""
    kept = []
    for value in (0, 1):
        rows = np.flatnonzero(y == value)
        kept.append(rows[np.linspace(0, len(rows) - 1, min(len(rows), ROWS_OF_A_CLASS)).astype(np.int64)])
    return np.sort(np.concatenate(kept))


def strongest_auc(x: Array, y: Array, kind: Kind, *, n_categories: int) -> float:
    """The AUC of the column, in the direction that suits it: of its order, and of its values as groups.

    x: (n,) numbers or category codes, NaN for null; y: (n,) with both classes. Nulls are a group of their own.
    """
    if kind is Kind.CATEGORY:
        return _auc_of_groups(np.where(np.isnan(x), n_categories, x).astype(np.int64), y)
    known = x[~np.isnan(x)]
    if len(known) == 0:
        return 0.5
    of_order = _auc_of_order(np.where(np.isnan(x), np.median(known), x), y)
    cuts = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
    groups = np.where(np.isnan(x), len(cuts) + 1, np.searchsorted(cuts, x, side="right"))
    return max(of_order, 1 - of_order, _auc_of_groups(groups, y))


def is_copy(x: Array, y: Array) -> tuple[float, str]:
    """Agreement with the outcome in the class where it is worse, and "itself" or "turned round"; "" where it is no copy."""
    null = np.isnan(x)
    if null.mean() > 1 - COPY or not ((x == 0) | (x == 1) | null).all():
        return 0.0, ""
    for word, copy in (("itself", x), ("turned round", 1 - x)):
        agreement = min(float(np.mean(copy[y == 1] == 1)), float(np.mean(copy[y == 0] == 0)))
        if agreement >= COPY:
            return agreement, word
    return 0.0, ""


def null_rates(null: Flags, y: Array) -> tuple[float, float]:
    """Share of nulls among the positives and among the negatives."""
    return float(np.mean(null[y == 1])), float(np.mean(null[y == 0]))


def _auc_of_groups(group: IntArray, y: Array) -> float:
    """AUC of each group's rate, learnt on every other row and judged on the rest, so that groups of one row know nothing."""
    prior = float(np.mean(y))
    n_groups = int(group.max()) + 1
    ranked = []
    # By turns within each class, so that both halves hold both.
    half = np.empty(len(y), dtype=np.int64)
    for value in (0, 1):
        rows = np.flatnonzero(y == value)
        half[rows] = np.arange(len(rows)) % 2
    for fold in (0, 1):
        learn, judge = half != fold, half == fold
        rows_of = np.bincount(group[learn], minlength=n_groups)
        rate = (np.bincount(group[learn], weights=y[learn], minlength=n_groups) + prior) / (rows_of + 1)
        if 0 < y[judge].sum() < judge.sum():
            ranked.append(_auc_of_order(rate[group[judge]], y[judge]))
    return float(np.mean(ranked)) if ranked else 0.5


def _auc_of_order(x: Array, y: Array) -> float:
    """The chance that a positive lies above a negative, ties counting half. Source: Mann & Whitney (1947)."""
    _, place, count = np.unique(x, return_inverse=True, return_counts=True)
    below = np.cumsum(count) - count
    rank = below + (count + 1) / 2
    positives = int(y.sum())
    total = float(np.sum(rank[place][y == 1]))
    return (total - positives * (positives + 1) / 2) / (positives * (len(y) - positives))
