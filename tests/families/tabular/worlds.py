"""Small worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from gonogo.types.protocols import Examples
from gonogo.types.snapshot import Input, Kind, Missing
from tests.contracts.learner_suite import World

KINDS = {"k": Kind.CATEGORY}
MISSING = {"x2": Missing.INDICATE, "x0": Missing.REFUSE}


def world(*, seed: int = 0, n: int = 3000, strength: float = 1.0, units: int = 60) -> World:
    """log-odds = strength · (x0 + x1·x2 + effect of k) - 1; x1 and k have nulls. strength 0: nothing to learn."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    k = rng.integers(0, 6, n)
    effect = np.array([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0])
    log_odds = strength * (x[:, 0] + x[:, 1] * x[:, 2] + effect[k]) - 1
    y = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    x[rng.random(n) < 0.1, 1] = np.nan
    x[rng.random(n) < 0.05, 2] = np.nan
    texts = np.array(["a", "b", "c", "d", "e", "f"], dtype=object)[k]
    texts[rng.random(n) < 0.02] = None
    columns = {f"x{i}": pa.array(x[:, i], from_pandas=True) for i in range(4)} | {"k": pa.array(texts, type=pa.string())}
    unit = np.sort(rng.integers(0, units, n))
    third = n // 2, n // 4, n - n // 2 - n // 4
    whole = examples(columns, y, unit)
    parts = [take(whole, sum(third[:i]), third[i]) for i in range(3)]
    return World(train=parts[0], validate=parts[1], test=parts[2], inputs=inputs_of(columns))


def examples(columns: Mapping[str, pa.Array], y: np.ndarray, unit: np.ndarray) -> Examples:
    rows = np.arange(len(y))
    return Examples(
        keys=pa.table({"row": rows}),
        inputs=pa.table(dict(columns)),
        outcomes=pa.table({"unit": unit, "decided_at": rows * 1_000_000, "y": y}),
        slices=pa.table({"half": pa.array(["low" if row < len(y) / 2 else "high" for row in rows], type=pa.string())}),
    )


def inputs_of(columns: Mapping[str, object], **missing: Missing) -> tuple[Input, ...]:
    return tuple(
        Input(name=name, kind=KINDS.get(name, Kind.NUMBER), missing={**MISSING, **missing}.get(name, Missing.NATIVE), feature=name)
        for name in columns
    )


def take(whole: Examples, start: int, length: int) -> Examples:
    return Examples(
        keys=whole.keys.slice(start, length),
        inputs=whole.inputs.slice(start, length),
        outcomes=whole.outcomes.slice(start, length),
        slices=whole.slices.slice(start, length),
    )
