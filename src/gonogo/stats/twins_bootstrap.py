"""What do the compiled loops of `kernels_bootstrap` compute, in plain NumPy, one draw after the other?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gonogo.types.evidence import Array, IntArray

TIE, START_TIED, START, END = range(4)
_OF_65536 = np.array([24109, 24108, 12058, 4018, 1003, 201, 33, 5, 1])  # Poisson(1), rounded so that mean and variance are 1 exactly
_REACHED = np.cumsum(_OF_65536)[:-1] - 32768


def score_draws(
    who: NDArray[np.uint32],
    weight: Array | None,
    at: IntArray,
    kind: NDArray[np.uint8],
    keys: NDArray[np.uint32],
    auc: Array,
    precision: Array,
) -> None:
    """auc[b], precision[b]: the area and the average precision under each draw of keys, NaN where a class was not drawn."""
    for pair, key in enumerate(keys):
        for half, drawn in enumerate(drawn_pair(who, key)):
            i = 2 * pair + half
            auc[i], precision[i] = _score(drawn.astype(np.float64) if weight is None else drawn * weight, at, kind)


def drawn_pair(who: NDArray[np.uint32], key: NDArray[np.uint32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """How often the two draws of a key drew each unit of who."""
    x = who * np.uint32(0x9E3779B1) + key[:1]
    x ^= x >> 16
    x *= np.uint32(0x7FEB352D)
    x ^= x >> 15
    x += key[1:]
    x *= np.uint32(0x846CA68B)
    x ^= x >> 16
    low, high = (x & 0xFFFF).astype(np.uint16).view(np.int16), (x >> 16).astype(np.uint16).view(np.int16)
    first, second = (np.searchsorted(_REACHED, half, side="right").astype(np.uint8) for half in (low, high))
    return first, second


def _score(weight: Array, at: IntArray, kind: NDArray[np.uint8]) -> tuple[float, float]:
    running = np.concatenate([[0.0], np.cumsum(weight)])
    begins = (kind == START) | (kind == START_TIED)
    start, end = running[at[begins]], running[at[kind == END]]
    tied_from = start.copy()
    tied_from[kind[begins] == START_TIED] = running[at[kind == TIE]]
    positives, tied = end - start, start - tied_from
    negatives = start - np.concatenate([[0.0], end])[: len(start)]
    true = np.cumsum(positives)
    all_true = float(positives.sum())
    below = running[-1] - (end[-1] if len(end) else 0.0)
    all_false = float(negatives.sum() + below)
    won = float(np.sum((true - positives) * negatives + 0.5 * tied * positives) + all_true * below)
    gained = float(np.sum(positives * true / np.where(end > 0, end, 1.0)))
    return (won / (all_true * all_false) if all_true > 0 and all_false > 0 else np.nan, gained / all_true if all_true > 0 else np.nan)
