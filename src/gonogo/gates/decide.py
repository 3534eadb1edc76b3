"""What does the contract say about this evidence?

Pure: the same records give the same verdict, for ever. Every gate is judged at the end of the interval that is worst for the challenger.
It passes only where that end keeps to the limit, fails where the whole interval lies beyond it, and is inconclusive in between. What is
missing, stale, of too few units or unreadable is a ruling too, and never a pass; so is a contract without gates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gonogo.gates.findings import OpenFindings, Waiver, findings_sentence, open_findings
from gonogo.gates.sentences import error_sentence, figure_sentence, missing_sentence
from gonogo.types.evidence import Estimate, Of
from gonogo.types.record import digest
from gonogo.types.verdict import SEVERITY, Ruling, Status, Verdict

if TYPE_CHECKING:
    from gonogo.types.contract import Contract, Gate
    from gonogo.types.evidence import Evidence, Interval, Measurements
    from gonogo.types.record import Digest
    from gonogo.types.snapshot import Snapshot

OPEN_FINDINGS = "open_findings"
# Figures that a clock or a scale gives: they stand in Measurements, never in Evidence, which must repeat to the bit.
MEASURED = (
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "cost_per_1000",
    "throughput_rows_per_s",
    "artifact_mb",
    "peak_memory_mb",
)
COUNTED = ("artifact_mb", "peak_memory_mb")  # read off once and exact: no number of units could make them surer
CHOSEN_ON = ("train", "validate")  # tables on which the candidate was fitted or chosen: no judge of it


@dataclass(frozen=True, kw_only=True, slots=True)
class _Figures:
    """Where a gate's figure is looked up, and why nothing from there counts where it does not."""

    estimates: Mapping[tuple[str, Of, str], tuple[Estimate, ...]]
    stale: str
    n_rows: int | None  # of the whole table; None where slices have no meaning
    slices: Mapping[str, int]  # slice label → its rows
    champion_is: str


def decide(
    contract: Contract,
    snapshot: Snapshot,
    evidence: Evidence,
    measurements: Measurements | None,
    waivers: tuple[Waiver, ...],
    *,
    contract_digest: Digest,
    snapshot_digest: Digest,
    candidate_digest: Digest,
    evidence_digest: Digest,
    measurements_digest: Digest | None,
) -> Verdict:
    """The verdict of this contract on this candidate: one ruling for every gate and every slice that it names.

    Each record must be the one of its digest, and evidence must be of this contract, candidate and snapshot: else nothing in it counts.
    waivers: (entry hash, finding code, place); the verdict names those that cover a finding of this snapshot.
    """
    waivers = tuple(Waiver(*waiver) for waiver in waivers)
    found = open_findings(snapshot.findings, waivers)
    torn = _not_of("the snapshot", snapshot, snapshot_digest)
    measured = _measured(measurements, torn or _stale_measurements(measurements, measurements_digest, candidate_digest))
    judged = _judged(
        evidence, torn or _stale_evidence(evidence, snapshot, evidence_digest, contract_digest, candidate_digest, snapshot_digest)
    )
    rulings: list[Ruling] = []
    for gate in contract.gates:
        if gate.metric == OPEN_FINDINGS:
            rulings.append(_rule_findings(gate, snapshot, found, torn))
        else:
            rulings.extend(_rule_figure(gate, measured if gate.metric in MEASURED else judged))
    return Verdict(
        contract=contract_digest,
        snapshot=snapshot_digest,
        candidate=candidate_digest,
        evidence=evidence_digest,
        measurements=measurements_digest,
        waivers=found.waivers,
        rulings=tuple(rulings),
    )


# ── does the record count at all? ───────────────────────────────────────────────────────────────────────────────────────


def _not_of(name: str, record: object, expected: Digest | None) -> str:
    """Why that record is not the one of its digest; empty where it is."""
    try:
        actual = digest(record)
    except ValueError as error:  # a record that holds NaN has no digest
        return f"{name} is no record: {error}"
    return "" if actual == expected else f"{name} is not the record of its digest"


def _stale_evidence(
    evidence: Evidence, snapshot: Snapshot, own: Digest, contract: Digest, candidate: Digest, snapshot_digest: Digest
) -> str:
    if torn := _not_of("the evidence", evidence, own):
        return torn
    for name, of, asked in (
        ("contract", evidence.contract, contract),
        ("candidate", evidence.candidate, candidate),
        ("snapshot", evidence.snapshot, snapshot_digest),
    ):
        if of != asked:
            return f"the evidence was measured for another {name}"
    if evidence.table in CHOSEN_ON:
        return f"the evidence was measured on the {evidence.table} table, on which the candidate was fitted or chosen"
    pin = snapshot.tables.get(evidence.table)
    if pin is None or pin.n_rows != evidence.n_rows:
        held = "no such table" if pin is None else f"{pin.n_rows:,}"
        return f"the evidence is of {evidence.n_rows:,} rows of {evidence.table}, the snapshot holds {held}"
    return ""


def _stale_measurements(measurements: Measurements | None, own: Digest | None, candidate: Digest) -> str:
    if measurements is None or own is None:
        return "nothing was measured by the clock"
    if torn := _not_of("the measurements", measurements, own):
        return torn
    return "" if measurements.candidate == candidate else "the measurements are of another candidate"


def _judged(evidence: Evidence, stale: str) -> _Figures:
    slices: dict[str, int] = {}
    for estimate in evidence.estimates:
        slices[estimate.slice] = max(estimate.n_rows, slices.get(estimate.slice, 0))
    return _Figures(
        estimates=_by_name(evidence.estimates), stale=stale, n_rows=evidence.n_rows, slices=slices, champion_is=evidence.champion_is
    )


def _measured(measurements: Measurements | None, stale: str) -> _Figures:
    estimates = () if measurements is None else measurements.estimates
    return _Figures(estimates=_by_name(estimates), stale=stale, n_rows=None, slices={}, champion_is="champion")


def _by_name(estimates: tuple[Estimate, ...]) -> dict[tuple[str, Of, str], tuple[Estimate, ...]]:
    found: dict[tuple[str, Of, str], tuple[Estimate, ...]] = {}
    for estimate in estimates:
        key = (estimate.metric, estimate.of, estimate.slice)
        found[key] = (*found.get(key, ()), estimate)
    return found


# ── one gate ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rule_findings(gate: Gate, snapshot: Snapshot, found: OpenFindings, torn: str) -> Ruling:
    if torn or not snapshot.findings:
        return _missing(gate, "", torn or "no check of the data left a record")
    if gate.against or gate.slices:
        return _error(gate, "", "findings have no champion and no slices")
    count = float(len(found.blocking))
    status, limit = _compare(gate, count, count)
    return Ruling(
        gate=gate.name,
        metric=gate.metric,
        slice="",
        status=status,
        value=count,
        low=count,
        high=count,
        limit=limit,
        n_units=len(snapshot.findings),
        measured_in="findings",
        sentence=findings_sentence(found, len(snapshot.findings)),
    )


def _rule_figure(gate: Gate, figures: _Figures) -> Iterator[Ruling]:
    """One ruling, or one for every slice of every column the gate names; what keeps all of them from counting is said once."""
    if gate.at_least is None and gate.at_most is None:
        yield _error(gate, "", "the gate has no limit")
    elif figures.stale:
        yield _missing(gate, "", figures.stale)
    elif gate.metric not in {name for name, _, _ in figures.estimates}:
        yield _unknown(gate, figures)
    elif gate.against == "baseline" and figures.champion_is != "baseline":
        yield _missing(gate, "", f"the difference was measured to the {figures.champion_is}, not to the baseline")
    elif gate.slices:
        yield from itertools.chain.from_iterable(_rule_slices(gate, column, figures) for column in gate.slices)
    else:
        yield _rule_slice(gate, "", figures)


def _unknown(gate: Gate, figures: _Figures) -> Ruling:
    if gate.metric in MEASURED:
        return _missing(gate, "", "it is not among the measurements")
    names = sorted({name for name, _, _ in figures.estimates})
    return _error(gate, "", f"no figure has that name; measured were {', '.join(names) or 'none at all'}")


def _rule_slices(gate: Gate, column: str, figures: _Figures) -> Iterator[Ruling]:
    labels = sorted(label for label in figures.slices if label.startswith(f"{column}="))
    if not labels or figures.n_rows is None:
        yield _missing(gate, column, f"no slice of {column} was measured")
        return
    yield from (_rule_slice(gate, label, figures) for label in labels)
    # Slices that were left out of the evidence would otherwise be passed over in silence.
    covered = sum(figures.slices[label] for label in labels)
    if covered != figures.n_rows:
        yield _missing(gate, column, f"the slices of {column} hold {covered:,} of {figures.n_rows:,} rows")


def _rule_slice(gate: Gate, slice: str, figures: _Figures) -> Ruling:  # noqa: A002
    of = Of.DIFFERENCE if gate.against else Of.CHALLENGER
    found = figures.estimates.get((gate.metric, of, slice), ())
    if not found:
        return _missing(gate, slice, f"{'the difference' if gate.against else 'it'} was not measured")
    if len(found) > 1:
        return _error(gate, slice, f"{len(found)} estimates of it contradict or repeat one another")
    return _rule_estimate(gate, found[0], figures.champion_is)


def _rule_estimate(gate: Gate, estimate: Estimate, reference: str) -> Ruling:
    interval = estimate.interval
    if estimate.refused or estimate.value is None or interval is None:
        return _missing(gate, estimate.slice, estimate.refused or "it has no interval", estimate)
    if not _is_sound(estimate.value, interval):
        return _error(gate, estimate.slice, "its interval is not finite or does not hold its value", estimate)
    if estimate.n_units < gate.min_units and gate.metric not in COUNTED:
        return _missing(gate, estimate.slice, f"{estimate.n_units} units of the {gate.min_units} asked", estimate)
    status, limit = _compare(gate, interval.low, interval.high)
    return Ruling(
        gate=gate.name,
        metric=gate.metric,
        slice=estimate.slice,
        status=status,
        value=estimate.value,
        low=interval.low,
        high=interval.high,
        limit=limit,
        n_units=estimate.n_units,
        measured_in=estimate.measured_in,
        sentence=figure_sentence(gate, estimate, interval, status, reference),
    )


def _is_sound(value: float, interval: Interval) -> bool:
    return all(math.isfinite(x) for x in (value, interval.low, interval.high)) and interval.low <= value <= interval.high


def _compare(gate: Gate, low: float, high: float) -> tuple[Status, float]:
    """The status of an interval against the gate's limits, and the limit that decided. A gate without a limit was refused before."""
    sides: list[tuple[Status, float]] = []
    if gate.at_most is not None:
        sides.append((_side(kept=high <= gate.at_most, broken=low > gate.at_most), gate.at_most))
    if gate.at_least is not None:
        sides.append((_side(kept=low >= gate.at_least, broken=high < gate.at_least), gate.at_least))
    return max(sides, key=lambda side: SEVERITY.index(side[0]))


def _side(*, kept: bool, broken: bool) -> Status:
    if kept:
        return Status.PASS
    return Status.FAIL if broken else Status.INCONCLUSIVE


def _missing(gate: Gate, slice: str, why: str, estimate: Estimate | None = None) -> Ruling:  # noqa: A002
    return _without_figure(gate, slice, Status.MISSING, missing_sentence(gate, slice, why), estimate)


def _error(gate: Gate, slice: str, why: str, estimate: Estimate | None = None) -> Ruling:  # noqa: A002
    return _without_figure(gate, slice, Status.ERROR, error_sentence(gate, slice, why), estimate)


def _without_figure(gate: Gate, slice: str, status: Status, sentence: str, estimate: Estimate | None) -> Ruling:  # noqa: A002
    return Ruling(
        gate=gate.name,
        metric=gate.metric,
        slice=slice,
        status=status,
        value=None,
        low=None,
        high=None,
        limit=gate.at_most if gate.at_most is not None else gate.at_least,
        n_units=estimate.n_units if estimate else 0,
        measured_in=estimate.measured_in if estimate else "",
        sentence=sentence,
    )
