"""What must the compiled loops of `kernels_slices` give? The same in plain NumPy, slow and short: the tests hold one to the other."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.evidence import Array, IntArray


def deal(row: IntArray, key: NDArray[np.int32], code: NDArray[np.int16], start: IntArray) -> NDArray[np.int32]:
    """The keys, stably sorted by slice."""
    dealt: NDArray[np.int32] = key[np.argsort(code[row], kind="stable")]
    return dealt


def ranking_sums(key: NDArray[np.int32], start: IntArray) -> Array:
    """One row of sums a slice, each by comparing every row with every other."""
    return np.array([_sums(key[a:b]) for a, b in itertools.pairwise(start)]).reshape(-1, 17)


def _sums(key: NDArray[np.int32]) -> Array:
    run, is_positive = key >> 1, key & 1 == 1
    above = (run[:, None] > run[None, :]) + 0.5 * (run[:, None] == run[None, :])  # [i, j]: j scores above i, ties count half
    n_negatives, n_positives = int((~is_positive).sum()), int(is_positive.sum())
    lost = above[:, ~is_positive].sum(axis=1)[is_positive] / max(n_negatives, 1)
    under = (1 - above)[:, is_positive].sum(axis=1)[~is_positive] / max(n_positives, 1)
    called = run[:, None] >= run[None, :]  # [i, j]: j is called positive at the threshold of i
    precision = called[:, is_positive].sum(axis=1) / np.maximum(called.sum(axis=1), 1)
    step = is_positive / np.maximum(called.sum(axis=1), 1)
    gain, loss = called.T @ step, called.T @ (step * precision)
    swayed = (precision + gain - loss)[is_positive]
    return np.array(
        [
            n_negatives,
            n_positives,
            *(float((lost**k).sum()) for k in range(1, 5)),
            *(float((under**k).sum()) for k in range(1, 5)),
            float(precision[is_positive].sum()),
            *(float((swayed**k).sum()) for k in range(1, 5)),
            *(float((loss[~is_positive] ** k).sum()) for k in (2, 4)),
        ]
    )


def sums_by_slice(value: Array, code: NDArray[np.int16], n_slices: int) -> Array:
    """The rows of value added up by slice."""
    return np.stack([np.bincount(code, weights=column, minlength=n_slices) for column in value.T], axis=1)


def moments_by_slice(value: Array, code: NDArray[np.int16], n_slices: int) -> Array:
    """Rows, Σ v and Σ v² by slice."""
    powers = [np.ones(len(code)), *(power for column in value.T for power in (column, column**2))]
    return sums_by_slice(np.stack(powers, axis=1), code, n_slices)


def powers_by_unit(value: Array, weight: Array, code: NDArray[np.int16], row: IntArray, start: IntArray, n_slices: int) -> Array:
    """Units with weight, Σ e² and Σ e⁴ of each column, through the matrix of slices × units that the kernel never makes."""
    unit = np.empty(len(row), dtype=np.int64)
    unit[row] = np.repeat(np.arange(len(start) - 1), np.diff(start))
    shape = (n_slices, len(start) - 1)
    cell = code.astype(np.int64) * shape[1] + unit
    weights = np.bincount(cell, weights=weight if weight.size else None, minlength=shape[0] * shape[1]).reshape(shape)
    found = [(weights > 0).sum(axis=1).astype(np.float64)]
    for column in value.T:
        errors = np.bincount(cell, weights=column, minlength=shape[0] * shape[1]).reshape(shape)
        found += [(errors**2).sum(axis=1), (errors**4).sum(axis=1)]
    return np.stack(found, axis=1)
