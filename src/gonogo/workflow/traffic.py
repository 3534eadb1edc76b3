"""What is known of a contract's traffic before a release: how much, how often it errs, how far its losses spread?

From the prediction log that the server wrote, and from the evidence of the verdict. What neither says stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from gonogo.serving.places import Places
from gonogo.serving.tail import Tail
from gonogo.types.evidence import Evidence, Of
from gonogo.types.release import Plan, Traffic
from gonogo.types.traffic import FRAME, AnswerStatus, FrameKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEWEST = 200  # requests; below it a rate is a guess
_SHORTEST_NS = 10_000_000_000
_HOUR_NS = 3_600_000_000_000
_MOST_AT_ONCE = 65_536
_TWO_SIDED = 1.959963984540054  # standard errors on each side of an interval of 95 %


def measured_traffic(places: Places, plan: Plan, evidence: Evidence) -> Traffic:
    """What is known. plan: a draft, whose watches and patience say what is asked for."""
    seen = _predictions(places)
    spreads = {name: sd for name in plan.losses if (sd := _spread(evidence, name)) is not None}
    slices = _slices(evidence, plan.slices)
    if seen is None:
        return Traffic(spreads=spreads, slices=slices)
    hours = (int(seen["at_ns"].max()) - int(seen["at_ns"].min())) / _HOUR_NS
    per_hour = len(np.unique(seen["unit"])) / hours
    patience = max((stage.patience_us for stage in plan.stages), default=0) * 1000 / _HOUR_NS
    return Traffic(
        requests_per_hour=len(seen) / hours,
        units_per_hour=per_hour,
        units=_units_within(seen, patience),
        rates=_rates(seen, plan),
        spreads=spreads,
        slices=slices,
    )


def _predictions(places: Places) -> NDArray[np.void] | None:
    """The answers that the log still holds and that belong to a unit; None where they are too few, or came all at once."""
    tail, found = Tail(places.log), []
    while len(batch := tail.poll(at_most=_MOST_AT_ONCE)):
        frames = batch.frames
        found.append(frames[(frames["kind"] == FrameKind.PREDICTION) & (frames["unit"] != 0)])
    seen: NDArray[np.void] = np.concatenate([np.zeros(0, FRAME), *found])
    if len(seen) < _FEWEST or int(seen["at_ns"].max()) - int(seen["at_ns"].min()) < _SHORTEST_NS:
        return None
    return seen


def _units_within(seen: NDArray[np.void], hours: float) -> float:
    """Units that come within so many hours, by how many of the second half of the log had not been there in the first."""
    half = len(seen) // 2
    first, second = seen[:half], seen[half:]
    new = len(np.setdiff1d(second["unit"], first["unit"]))
    stretch = max(int(second["at_ns"].max()) - int(second["at_ns"].min()), 1) / _HOUR_NS
    return float(max(len(np.unique(seen["unit"])), new / stretch * hours))


def _rates(seen: NDArray[np.void], plan: Plan) -> dict[str, float]:
    """Metric → share of requests that have its event, of the metrics that the plan counts."""
    rates = {
        "errors": float(np.mean(seen["status"] >= AnswerStatus.ERRED)),
        "fallbacks": float(np.mean(seen["status"] != AnswerStatus.ANSWERED)),
    }
    for watch in plan.watches:
        if watch.kind == "latency" and watch.at_most:
            rates[watch.metric] = float(np.mean(seen["latency_us"] > 1000 * watch.at_most))
    return rates


def _spread(evidence: Evidence, metric: str) -> float | None:
    """Standard deviation of the paired difference of one row, from the width of its interval on the test table."""
    for estimate in evidence.estimates:
        if estimate.metric == metric and estimate.of is Of.DIFFERENCE and not estimate.slice and estimate.interval is not None:
            half = (estimate.interval.high - estimate.interval.low) / 2
            return half / _TWO_SIDED * math.sqrt(max(estimate.n_rows, 1))
    return None


def _slices(evidence: Evidence, labels: Iterable[str]) -> dict[str, float]:
    """Slice → its share of the test table's rows."""
    rows = {e.slice: e.n_rows for e in evidence.estimates if e.slice}
    return {label: rows[label] / evidence.n_rows for label in labels if label in rows and evidence.n_rows}


def slices_of(evidence: Evidence, columns: Iterable[str]) -> tuple[str, ...]:
    """The slices that evidence knows of these columns, the largest first."""
    wanted = tuple(f"{column}=" for column in columns)
    rows = {e.slice: e.n_rows for e in evidence.estimates if e.slice.startswith(wanted)} if wanted else {}
    return tuple(sorted(rows, key=lambda name: (-rows[name], name)))
