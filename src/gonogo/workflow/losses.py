"""What did each answer cost, now that it is known what came true?

Both arms' answers to the same row are scored by the same metric of the family, so the difference is paired. A loss that cannot be computed
is NaN, which the judge takes for no evidence, never for a loss of zero.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.types.protocols import Family, Metric
from gonogo.types.traffic import OBSERVATION, ObservationKind
from gonogo.workflow.observe import Observations

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Matured:
    """n answers whose outcome is known. Arrays are (n,), in the order in which they were joined."""

    at_ns: NDArray[np.int64]  # monotonic: when the outcome was read
    unit: NDArray[np.uint64]
    slices: NDArray[np.uint64]
    epoch: NDArray[np.uint32]  # of the answer
    arm: NDArray[np.uint8]
    status: NDArray[np.uint8]
    share: NDArray[np.float64]
    own: NDArray[np.float64]  # the first output as it was answered; NaN for none
    other: NDArray[np.float64]  # what the other arm said to the same request; NaN where it said nothing
    outcomes: Mapping[str, Sequence[Any]]  # outcome column → n values


def metrics_of(family: Family, names: tuple[str, ...]) -> tuple[Metric | None, ...]:
    """The family's metrics of these names; None for one that it does not have."""
    by_name = {metric.name: metric for metric in family.metrics}
    return tuple(by_name.get(name) for name in names)


def losses(matured: Matured, metrics: tuple[Metric | None, ...], output: str) -> Observations:
    """One line per answer and metric: the arm's own loss and the other arm's on the same row; more is worse for every metric.

    output: the prediction column that the metrics read.
    """
    return np.concatenate([np.zeros(0, OBSERVATION), *(_of_metric(matured, index, metric, output) for index, metric in enumerate(metrics))])


def _of_metric(matured: Matured, index: int, metric: Metric | None, output: str) -> Observations:
    lines = np.zeros(len(matured.unit), OBSERVATION)
    for name in ("at_ns", "unit", "slices", "epoch", "arm", "status", "share"):
        lines[name] = getattr(matured, name)
    lines["kind"], lines["watch"], lines["score"] = ObservationKind.LOSS, index, matured.own
    lines["value"] = _scored(metric, output, matured.own, matured.outcomes)
    lines["other"] = _scored(metric, output, matured.other, matured.outcomes)
    return lines


def _scored(
    metric: Metric | None, output: str, predictions: NDArray[np.float64], outcomes: Mapping[str, Sequence[Any]]
) -> NDArray[np.float64]:
    """(n,) losses; NaN where nothing was predicted or the metric refuses the row."""
    found = np.full(len(predictions), np.nan)
    answered = np.flatnonzero(np.isfinite(predictions)).tolist()
    if metric is None or not answered:
        return found
    try:
        found[answered] = _score(metric, output, predictions[answered], {n: [c[i] for i in answered] for n, c in outcomes.items()})
    except Exception:  # a metric of a plugin may raise anything: what it cannot say is no evidence, and too much of that an error
        # One row that the metric refuses must not silence the others: each is asked alone.
        for i in answered:
            with contextlib.suppress(Exception):
                found[i] = _score(metric, output, predictions[i : i + 1], {n: [c[i]] for n, c in outcomes.items()})[0]
    return found


def _score(metric: Metric, output: str, predictions: NDArray[np.float64], outcomes: Mapping[str, Sequence[Any]]) -> NDArray[np.float64]:
    import pyarrow as pa

    n = len(predictions)
    table = pa.table({"unit": pa.array(np.arange(n)), **{name: pa.array(list(column)) for name, column in outcomes.items()}})
    scores = metric.score(pa.table({output: predictions}), table)
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = np.asarray(scores.value, np.float64) / np.asarray(scores.weight, np.float64)
    if loss.shape != (n,):  # one number for all of them would be laid on each
        raise ValueError(f"{metric.name} says {loss.shape} losses of {n} rows")
    return -loss if metric.better == "higher" else loss
