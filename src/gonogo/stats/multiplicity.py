"""What is left of a p-value when many were looked at?

Holm keeps the chance of even one false alarm at the level: for gates. Benjamini and Hochberg keep the expected share of false alarms among
all alarms at the level: for exploring. An adjusted p-value is held against the same level as a plain one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gonogo.types.evidence import Array, IntArray


def holm(p_values: Sequence[float | None] | Array) -> Array:
    """(m,) p-values such that rejecting those at most α makes any false rejection at all with probability at most α.

    Holds however the tests depend on one another. p_values: (m,) in [0, 1]. One that is None or NaN, a test that refused, stays NaN and
    yet counts among the m: it was asked. Raises ValueError outside [0, 1].
    Source: Holm (1979), Scandinavian Journal of Statistics 6: p₍ᵢ₎ · (m − i + 1), made rising.

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable").astype(np.int64)  # NaN comes last
    rising = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    return _in_the_order_given(np.minimum(1.0, rising), order)


def benjamini_hochberg(p_values: Sequence[float | None] | Array) -> Array:
    """(m,) p-values such that, of those at most α, an expected share of at most α is false.

    Holds for tests that are independent or depend positively on one another. Arguments and refused tests as for `holm`.
    Source: Benjamini & Hochberg (1995), JRSS B 57: p₍ᵢ₎ · m / i, made rising from the largest down.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.04, 0.04]
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable").astype(np.int64)
    scaled = p[order] * len(p) / (1 + np.arange(len(p)))
    rising = np.fmin.accumulate(scaled[::-1])[::-1]
    rising[np.isnan(p[order])] = np.nan
    return _in_the_order_given(np.minimum(1.0, rising), order)


def _checked(p_values: Sequence[float | None] | Array) -> Array:
    p = np.array([np.nan if one is None else one for one in p_values], dtype=np.float64)
    if p.ndim != 1 or ((p < 0) | (p > 1)).any():
        raise ValueError("p-values are one column of numbers between 0 and 1")
    return p


def _in_the_order_given(adjusted: Array, order: IntArray) -> Array:
    back = np.empty_like(adjusted)
    back[order] = adjusted
    return back
