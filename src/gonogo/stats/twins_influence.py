"""What do the compiled loops of `kernels_influence` compute, in plain NumPy?

The same functions with the same arguments, a group at a time. They are the definition that the tests hold the compiled ones to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gonogo.types.evidence import Array, IntArray

    Keys = NDArray[np.int32]


def group_rows(row: IntArray, key: Keys, weight: Array, group: IntArray, start: IntArray) -> tuple[IntArray, Keys, Array]:
    """Row, key and weight, stably ordered by group."""
    order = np.argsort(group[row], kind="stable")
    return row[order], key[order], weight[order] if weight.size else weight


def merge_classes(positive: Array, negative: Array) -> Keys:
    """The keys of rows whose scores are given class by class, each rising, in the order of falling scores, negatives first among equals."""
    score = np.concatenate([positive, negative])
    is_positive = np.arange(len(score)) < len(positive)
    order = np.lexsort((is_positive, -score))
    falling = score[order]
    number = np.concatenate([[0], np.cumsum(falling[1:] != falling[:-1])])[: len(score)]
    return (2 * number + is_positive[order]).astype(np.int32)


def area(row: IntArray, key: Keys, start: IntArray, weight: Array, value: Array, influence: Array) -> None:
    """value[g]: the area under the ROC curve; influence[r]: DeLong's placement of row r."""
    for g, at, run, positive, w in _groups(key, start, weight):
        tp, fp = np.bincount(run, weights=w * positive), np.bincount(run, weights=w * ~positive)
        positives, negatives = tp.sum(), fp.sum()
        if positives <= 0 or negatives <= 0:
            value[g] = np.nan
            continue
        beaten = (negatives - np.cumsum(fp) + fp / 2) / negatives
        beating = (np.cumsum(tp) - tp / 2) / positives
        value[g] = np.sum(tp * beaten) / positives
        influence[row[at]] = w * np.where(positive, (beaten[run] - value[g]) / positives, (beating[run] - value[g]) / negatives)


def mean_precision(row: IntArray, key: Keys, start: IntArray, weight: Array, value: Array, influence: Array) -> None:
    """value[g]: average precision; influence[r]: weight of row r · its derivative by it."""
    for g, at, run, positive, w in _groups(key, start, weight):
        tp, called = np.bincount(run, weights=w * positive), np.cumsum(np.bincount(run, weights=w))
        positives = tp.sum()
        if positives <= 0:
            value[g] = np.nan
            continue
        precision = np.divide(np.cumsum(tp), called, out=np.zeros_like(tp), where=called > 0)
        gain = np.divide(tp, called, out=np.zeros_like(tp), where=called > 0)
        value[g] = np.sum(tp * precision) / positives
        gain_below, loss_below = (np.cumsum(part[::-1])[::-1] for part in (gain, gain * precision))
        influence[row[at]] = w / positives * (positive * (precision - value[g] + gain_below)[run] - loss_below[run])


def crossings(
    key: Keys,
    start: IntArray,
    weight: Array,
    axis: int,
    share: Array,
    strictly: bool,
    total: Array,
    before: Array,
    after: Array,
    place: IntArray,
) -> None:
    """Where, going down the scores, the called weight of an axis first reaches (strictly: passes) a share of all of it."""
    for g, at, run, positive, w in _groups(key, start, weight):
        classes = np.stack([~positive, positive])
        total[g] = np.concatenate([(classes * w).sum(axis=1), classes.sum(axis=1)])
        called = np.stack([np.cumsum(np.bincount(run, weights=w * one)) for one in classes], axis=1)
        climbed = called.sum(axis=1) if axis == 2 else called[:, axis]
        ends = at[np.flatnonzero(np.diff(run, append=-1))] + 1 if at.size else at
        edge = np.concatenate([[start[g]], ends])
        reached = np.concatenate([np.zeros((1, 2)), called])
        whole = total[g, :2].sum() if axis == 2 else total[g, axis]
        for k, limit in enumerate(share[g] * whole):
            i = int(np.searchsorted(climbed, limit, side="right" if strictly else "left"))
            j = min(i + 1, len(ends))
            before[g, k], after[g, k], place[g, k] = reached[i], reached[j], (edge[i], edge[j])


def spread_steps(
    row: IntArray, key: Keys, start: IntArray, weight: Array, place: IntArray, part: Array, step: Array, influence: Array
) -> None:
    """influence[r] = weight · step of the row's class: above the crossing run, below it, and in it by the part that is called."""
    for g, at, _, positive, w in _groups(key, start, weight):
        called = np.where(at < place[g, 0], 1.0, np.where(at < place[g, 1], part[g], 0.0))
        uncalled, gained = step[g, :, 0], step[g, :, 1] - step[g, :, 0]
        influence[row[at]] = w * (uncalled[positive.astype(int)] + called * gained[positive.astype(int)])


def _groups(key: Keys, start: IntArray, weight: Array) -> Iterator[tuple[int, IntArray, IntArray, NDArray[np.bool_], Any]]:
    """Each group: its number, its places, its runs from 0 on, its positives, its weights."""
    for g, (begin, end) in enumerate(zip(start[:-1].tolist(), start[1:].tolist(), strict=True)):
        run = np.unique(key[begin:end] >> 1, return_inverse=True)[1]
        yield g, np.arange(begin, end), run, (key[begin:end] & 1) == 1, weight[begin:end] if weight.size else np.ones(end - begin)
