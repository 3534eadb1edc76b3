"""Decide: what the contract says about the evidence."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gonogo.ledger import registry
from gonogo.ledger.ledger import Ledger
from gonogo.ledger.records import Records, resolve
from gonogo.types.contract import Contract
from gonogo.types.entry import Entry
from gonogo.types.errors import RecordUnknown
from gonogo.types.evidence import Evidence, Measurements
from gonogo.types.record import Digest
from gonogo.types.snapshot import Snapshot
from gonogo.types.verdict import Verdict
from gonogo.workflow.measure import gather_evidence, gather_measurements
from gonogo.workflow.snapshot import take_snapshot
from gonogo.workflow.steps import Done, once
from gonogo.workflow.train import Training, fit_candidates
from gonogo.workflow.workspace import Progress, Workspace, open_workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Docket:
    """All that a verdict is decided on, by digest: enough to decide it again in ten years."""

    contract: Digest
    snapshot: Digest
    candidate: Digest
    evidence: Digest
    measurements: Digest | None
    waivers: tuple[registry.Waiver, ...]


def decide(folder: Path | str, *, progress: Progress | None = None) -> Verdict:
    """The verdict on a folder's candidate; every step that is not done yet is done first."""
    workspace = open_workspace(folder, progress=progress)
    snapshot_digest = take_snapshot(workspace).digest
    training = fit_candidates(workspace, snapshot_digest).digest
    evidence = gather_evidence(workspace, snapshot_digest, training).digest
    measurements = gather_measurements(workspace, snapshot_digest, training).digest
    return workspace.records.get(Verdict, reach_verdict(workspace, snapshot_digest, training, evidence, measurements).digest)


def reach_verdict(workspace: Workspace, snapshot: Digest, training: Digest, evidence: Digest, measurements: Digest) -> Done:
    """The step: its record is a Verdict, and its entry names the docket."""
    from gonogo.training.environment import environment

    workspace.progress("decide", "asks every gate")
    docket = Docket(
        contract=workspace.records.put(workspace.contract),
        snapshot=snapshot,
        candidate=workspace.records.get(Training, training).challenger,
        evidence=evidence,
        measurements=measurements,
        waivers=_standing_waivers(workspace),
    )
    stored = workspace.records.put(docket)
    return once(
        workspace,
        "verdict",
        {"docket": stored, "environment": environment()},
        lambda: judge(workspace.records, docket),
        lambda verdict: {"docket": stored, "candidate": docket.candidate, "go": verdict.go, "status": verdict.status.value},
    )


def judge(records: Records, docket: Docket) -> Verdict:
    """The verdict on a docket: pure but for reading the records it names."""
    from gonogo.gates import decide, findings

    get = records.get
    return decide.decide(
        get(Contract, docket.contract),
        get(Snapshot, docket.snapshot),
        get(Evidence, docket.evidence),
        None if docket.measurements is None else get(Measurements, docket.measurements),
        tuple(findings.Waiver(w.hash, w.code, w.where) for w in docket.waivers),
        contract_digest=docket.contract,
        snapshot_digest=docket.snapshot,
        candidate_digest=docket.candidate,
        evidence_digest=docket.evidence,
        measurements_digest=docket.measurements,
    )


def find_verdict(ledger: Ledger, prefix: str) -> Entry:
    """The entry of the verdict whose digest starts so; "" is the newest. Raises RecordUnknown where none or several do."""
    entries = [dataclasses.replace(e, body={"verdict": e.body["verdict"], "docket": e.body["docket"]}) for e in ledger.entries("verdict")]
    if not entries:
        raise RecordUnknown("There is no verdict yet.", found="a ledger without one", next="gonogo run FOLDER")
    if not prefix:
        return entries[-1]
    digest = resolve(prefix, (dataclasses.replace(e, body={"verdict": e.body["verdict"]}) for e in entries))
    return next(e for e in reversed(entries) if e.body["verdict"] == digest)


def _standing_waivers(workspace: Workspace) -> tuple[registry.Waiver, ...]:
    now = datetime.now(UTC)
    mine = ("", workspace.contract.name)
    return tuple(w for w in registry.waivers(workspace.ledger.entries()) if w.contract in mine and (w.until is None or now < w.until))
