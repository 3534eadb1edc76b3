"""How fast does the model answer, and what does an answer cost on this machine?

What a clock gives is never part of Evidence, which must repeat to the bit: it is a record of its own, with the machine it was measured on.
One-row answers are asked one after the other, as requests come; whole batches are asked for throughput.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gonogo.stats.clustered import paired_difference, ratio_of_sums
from gonogo.stats.quantiles import quantile, quantile_difference
from gonogo.stats.refusals import NoSpread, Refused
from gonogo.types.evidence import Estimate, Interval, Measurements, Of, UnitScores

if TYPE_CHECKING:
    from gonogo.stats.figure import Figure
    from gonogo.types.contract import Contract
    from gonogo.types.protocols import Model, Table
    from gonogo.types.record import Digest

WARM_UP = 20  # answers before the clock counts: first calls build caches that later ones find
LEAST_ANSWERS = 800  # the 99 % quantile needs 368 to be bounded on both sides; of 800, two hiccups of the machine do not decide
MOST_ANSWERS = 1500
ANSWERS_S = 0.8  # wall time after which no more than LEAST_ANSWERS are asked, for both arms together
GIVE_UP_S = 20.0  # a model so slow that even LEAST_ANSWERS take longer is refused its quantiles
BLOCK = 10  # neighbouring answers share what the machine is doing: they count as one unit of cost
BATCHES = 32
BATCH_ROWS = 1000
NS = 1e-9
LATENCIES = (("latency_p50", 0.50), ("latency_p95", 0.95), ("latency_p99", 0.99))


@dataclass(frozen=True, kw_only=True, slots=True)
class Clocks:
    """Where time is read, in nanoseconds: on the wall, and of this process on all processors."""

    wall: Callable[[], int] = time.perf_counter_ns
    cpu: Callable[[], int] = time.process_time_ns


@dataclass(kw_only=True, slots=True)
class _Arm:
    """One model under the clock, and what has been seen of it."""

    of: Of
    model: Model
    wall_ns: list[int] = field(default_factory=list)  # by answer
    cpu_ns: list[int] = field(default_factory=list)
    batch_wall_ns: list[int] = field(default_factory=list)  # by batch
    batch_cpu_ns: list[int] = field(default_factory=list)
    batch_rows: int = 0


def measure_load(
    model: Model,
    inputs: Table,
    *,
    contract: Contract,
    candidate: Digest,
    artifact_bytes: int,
    now: datetime,
    champion: Model | None = None,
    champion_bytes: int | None = None,
    clocks: Clocks | None = None,
) -> Measurements:
    """Latency, throughput, cost, size and memory of a model, and of the champion beside it where one is given, and what changed.

    inputs: rows to ask about, as the model sees them; a sample by the contract's seed is asked one by one. now: aware.
    cost_per_1000 is the processor time of 1,000 answers at the contract's price: of one-row answers where the mode is request or async, of
    batches where it is batch. The two arms are asked in turn, so that what slows the machine slows both. Takes about two seconds.
    """
    clocks = clocks or Clocks()
    arms = [_Arm(of=Of.CHALLENGER, model=model)]
    if champion is not None:
        arms.append(_Arm(of=Of.CHAMPION, model=champion))
    if inputs.num_rows:
        _ask_one_by_one(arms, _one_row_tables(inputs, contract.seed), clocks)
        _ask_in_batches(arms, inputs, clocks)
    estimates = [estimate for arm in arms for estimate in _estimates(arm, contract)]
    return Measurements(
        candidate=candidate,
        machine=machine(),
        measured_at=now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        estimates=(*estimates, *_changes(arms, contract), *_sizes(artifact_bytes, champion_bytes), *_peak_memory()),
    )


def machine() -> Mapping[str, Any]:
    """The machine as a person would name it: processor, cores, memory, system, Python, and how busy it was."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(pages / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


# ── under the clock ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _one_row_tables(inputs: Table, seed: int) -> list[Table]:
    """MOST_ANSWERS tables of one row each; rows repeat where there are fewer. Cut beforehand: cutting is not answering."""
    words = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64)).random_raw(MOST_ANSWERS)
    rows = (words % np.uint64(inputs.num_rows)).astype(np.int64)
    sample = inputs.take(rows).combine_chunks()
    return [sample.slice(i, 1) for i in range(MOST_ANSWERS)]


def _ask_one_by_one(arms: list[_Arm], rows: list[Table], clocks: Clocks) -> None:
    for arm in arms:
        for row in rows[:WARM_UP]:
            arm.model.predict(row)
    start = clocks.wall()
    for n, row in enumerate(rows):
        spent = (clocks.wall() - start) * NS
        if (spent > ANSWERS_S and n >= LEAST_ANSWERS) or spent > GIVE_UP_S:
            return
        for arm in arms:
            wall, cpu = _timed(arm.model, row, clocks)
            arm.wall_ns.append(wall)
            arm.cpu_ns.append(cpu)


def _ask_in_batches(arms: list[_Arm], inputs: Table, clocks: Clocks) -> None:
    batch = inputs.slice(0, min(BATCH_ROWS, inputs.num_rows)).combine_chunks()
    for arm in arms:
        arm.model.predict(batch)
        arm.batch_rows = batch.num_rows
    for _ in range(BATCHES):
        for arm in arms:
            wall, cpu = _timed(arm.model, batch, clocks)
            arm.batch_wall_ns.append(wall)
            arm.batch_cpu_ns.append(cpu)


def _timed(model: Model, rows: Table, clocks: Clocks) -> tuple[int, int]:
    """Wall and processor nanoseconds of one call."""
    wall, cpu = clocks.wall(), clocks.cpu()
    model.predict(rows)
    return clocks.wall() - wall, clocks.cpu() - cpu


# ── from clock readings to estimates ────────────────────────────────────────────────────────────────────────────────────


def _estimates(arm: _Arm, contract: Contract) -> Iterator[Estimate]:
    latencies_ms = np.array(arm.wall_ns, dtype=np.float64) * 1e-6
    for name, share in LATENCIES:
        yield _estimate(name, arm.of, "ms", "lower", len(latencies_ms), lambda share=share: quantile(latencies_ms, share))  # type: ignore[misc]
    yield _estimate("cost_per_1000", arm.of, "usd", "lower", len(arm.cpu_ns), lambda: _cost(arm, contract))
    yield _estimate("throughput_rows_per_s", arm.of, "rows/s", "higher", len(arm.batch_wall_ns), lambda: _throughput(arm))


def _cost(arm: _Arm, contract: Contract) -> Figure:
    """USD for 1,000 answers, with an interval over blocks of neighbouring answers, or over batches."""
    return _priced(ratio_of_sums(_spent(arm, contract)), contract)


def _spent(arm: _Arm, contract: Contract) -> UnitScores:
    """Processor nanoseconds by block of neighbouring answers (or by batch), and how many thousand answers they paid for."""
    batch = contract.mode == "batch"
    spent = np.array(arm.batch_cpu_ns if batch else arm.cpu_ns, dtype=np.float64)
    if not spent.any():
        raise NoSpread("the processor's clock did not move: it is too coarse for answers this quick")
    unit = np.arange(len(spent)) if batch else np.arange(len(spent)) // BLOCK
    return UnitScores(unit, spent, np.full(len(spent), (arm.batch_rows if batch else 1) / 1000))


def _priced(found: Figure, contract: Contract) -> Figure:
    """Nanoseconds as USD; priced last, so that a machine that costs nothing gives exactly nothing, and no share of zeros."""
    usd_per_ns = contract.cost.machine_usd_per_hour / 3600 * NS
    low, high = found.interval.low * usd_per_ns, found.interval.high * usd_per_ns
    return replace(found, value=found.value * usd_per_ns, interval=replace(found.interval, low=low, high=high))


def _throughput(arm: _Arm) -> Figure:
    return ratio_of_sums(_batches(arm))


def _batches(arm: _Arm) -> UnitScores:
    seconds = np.array(arm.batch_wall_ns, dtype=np.float64) * NS
    return UnitScores(np.arange(len(seconds)), np.full(len(seconds), float(arm.batch_rows)), seconds)


def _changes(arms: list[_Arm], contract: Contract) -> Iterator[Estimate]:
    """What the challenger takes more than the champion; nothing where there is no champion."""
    if len(arms) < 2:
        return
    ours, theirs = arms
    after, before = (np.array(arm.wall_ns, dtype=np.float64) * 1e-6 for arm in arms)
    n, change = len(ours.wall_ns), Of.DIFFERENCE
    for name, share in LATENCIES:
        yield _estimate(name, change, "ms", "lower", n, lambda share=share: quantile_difference(after, before, share))  # type: ignore[misc]
    yield _estimate("cost_per_1000", change, "usd", "lower", n, lambda: _cost_difference(ours, theirs, contract))
    batches = len(ours.batch_wall_ns)
    yield _estimate(
        "throughput_rows_per_s", change, "rows/s", "higher", batches, lambda: paired_difference(_batches(ours), _batches(theirs))
    )


def _cost_difference(ours: _Arm, theirs: _Arm, contract: Contract) -> Figure:
    return _priced(paired_difference(_spent(ours, contract), _spent(theirs, contract)), contract)


def _estimate(name: str, of: Of, measured_in: str, better: str, n: int, figure: Callable[[], Figure]) -> Estimate:
    try:
        found = figure()
    except Refused as refused:
        return Estimate(
            metric=name, of=of, value=None, interval=None, n_units=n, n_rows=n, measured_in=measured_in, better=better, refused=str(refused)
        )
    return Estimate(
        metric=name,
        of=of,
        value=found.value,
        interval=found.interval,
        n_units=found.n_units,
        n_rows=found.n_rows,
        measured_in=measured_in,
        better=better,
    )


def _sizes(challenger: int, champion: int | None) -> Iterator[Estimate]:
    """Of the artifacts, read off."""
    yield _counted("artifact_mb", challenger / 1e6)
    if champion is not None:
        yield _counted("artifact_mb", champion / 1e6, Of.CHAMPION)
        yield _counted("artifact_mb", (challenger - champion) / 1e6, Of.DIFFERENCE)


def _counted(name: str, megabytes: float, of: Of = Of.CHALLENGER) -> Estimate:
    """A figure that is read off, not sampled: its interval has no width and says so."""
    exact = Interval(low=megabytes, high=megabytes, level=1.0, method="read off, not sampled")
    return Estimate(metric=name, of=of, value=megabytes, interval=exact, n_units=1, n_rows=1, measured_in="MB", better="lower")


def _peak_memory() -> tuple[Estimate, ...]:
    """The most memory this process has held, data and model together; nothing where the system does not tell."""
    try:
        import resource
    except ImportError:  # not on Windows
        return ()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (_counted("peak_memory_mb", peak * (1 if platform.system() == "Darwin" else 1024) / 1e6),)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
