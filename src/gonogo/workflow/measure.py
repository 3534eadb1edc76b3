"""Measure: the candidate against the champion, on the test table, which is opened once per candidate and the ledger says so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.data.tables import read_examples
from gonogo.families.registry import find
from gonogo.ledger import registry
from gonogo.types.candidate import Candidate
from gonogo.types.contract import Contract
from gonogo.types.errors import UsageError
from gonogo.types.evidence import Evidence, Measurements
from gonogo.types.record import Digest
from gonogo.types.snapshot import Snapshot
from gonogo.workflow.snapshot import take_snapshot
from gonogo.workflow.steps import Done, once
from gonogo.workflow.train import Training, fit_candidates, load_model
from gonogo.workflow.workspace import Progress, Workspace, inputs_part, open_workspace

if TYPE_CHECKING:
    from gonogo.types.protocols import Examples


def measure(folder: Path | str, *, progress: Progress | None = None) -> Evidence:
    """The evidence of a folder's candidate; measured now unless nothing changed since the last time."""
    workspace = open_workspace(folder, progress=progress)
    snapshot_digest = take_snapshot(workspace).digest
    training = fit_candidates(workspace, snapshot_digest).digest
    return workspace.records.get(Evidence, gather_evidence(workspace, snapshot_digest, training).digest)


def gather_evidence(workspace: Workspace, snapshot_digest: Digest, training_digest: Digest) -> Done:
    """The step: its record is an Evidence."""
    from gonogo.training.environment import environment

    training = workspace.records.get(Training, training_digest)
    champion, champion_is = _reference(workspace, training)
    depends_on = {
        "contract": workspace.contract_digest,
        "snapshot": snapshot_digest,
        "challenger": training.challenger,
        "champion": champion,
        "environment": environment(),
    }
    return once(
        workspace,
        "evidence",
        depends_on,
        lambda: _measured(workspace, snapshot_digest, training.challenger, champion, champion_is),
        lambda measured: {"candidate": measured.candidate, "champion": measured.champion},
    )


def _reference(workspace: Workspace, training: Training) -> tuple[Digest, str]:
    live = registry.champion(workspace.ledger.entries(), workspace.contract.name)
    return (training.baseline, "baseline") if live is None else (live, "champion")


def _measured(workspace: Workspace, snapshot_digest: Digest, challenger: Digest, champion: Digest, champion_is: str) -> Evidence:
    from gonogo.evidence import measure

    workspace.progress("measure", "opens the test table")
    snapshot = workspace.records.get(Snapshot, snapshot_digest)
    test = open_test_table(workspace, snapshot, snapshot_digest, challenger)
    family = find(workspace.contract.family)
    _check_same_inputs(workspace, champion)
    model = load_model(workspace, workspace.records.get(Candidate, challenger), challenger)
    reference = load_model(workspace, workspace.records.get(Candidate, champion), champion)
    workspace.progress("measure", "draws intervals")
    return measure.measure(
        workspace.contract,
        family,
        test,
        model.predict(test.inputs),
        reference.predict(test.inputs),
        contract_digest=workspace.records.put(workspace.contract),
        candidate_digest=challenger,
        champion_digest=champion,
        champion_is=champion_is,
        snapshot_digest=snapshot_digest,
        table="test",
        effects=model.effects(),
    )


def _check_same_inputs(workspace: Workspace, champion: Digest) -> None:
    """Refuses a champion that was trained on other inputs: fed with today's it would look worse than it is, and favour the challenger."""
    ours, theirs = workspace.contract, workspace.records.get(Contract, workspace.records.get(Candidate, champion).contract)
    if inputs_part(ours) == inputs_part(theirs):
        return
    names = sorted(ours.features.keys() | theirs.features.keys())
    changed = [name for name in names if ours.features.get(name) != theirs.features.get(name)]
    raise UsageError(
        "The champion was trained on other inputs than this contract makes: the two cannot be compared on one test table.",
        found=f"changed: {', '.join(changed)}" if changed else "changed: the rows or the sources that features read",
        expected="features, rows and sources as they stand in the champion's own contract",
        next="take the change back; or make it a contract of another name, which is held against the baseline",
    )


def open_test_table(workspace: Workspace, snapshot: Snapshot, snapshot_digest: Digest, candidate: Digest) -> Examples:
    """The test rows; before a byte of them is read, the ledger says for which candidate and contract."""
    body = {"candidate": candidate, "snapshot": snapshot_digest, "table": "test", "contract_digest": workspace.contract_digest}
    # the same measurement, killed and repeated, is one opening
    if registry.last(workspace.ledger.entries("opened"), "opened", **body) is None:
        workspace.ledger.append("opened", {"contract": workspace.contract.name, **body})
    return read_examples(snapshot, "test", workspace.blobs.open_path)


def gather_measurements(workspace: Workspace, snapshot_digest: Digest, training_digest: Digest) -> Done:
    """The step: what a clock measures of the candidate and of the champion beside it. Measured again on another machine."""
    from gonogo.evidence import load
    from gonogo.training.environment import environment

    training = workspace.records.get(Training, training_digest)
    champion, _ = _reference(workspace, training)
    depends_on: dict[str, Any] = {
        "candidate": training.challenger,
        "champion": champion,
        "snapshot": snapshot_digest,
        "cost": workspace.contract.cost.machine_usd_per_hour,
        "mode": workspace.contract.mode,
        "machine": {name: value for name, value in load.machine().items() if name != "load_average"},
        "environment": environment(),
    }
    return once(
        workspace,
        "measurements",
        depends_on,
        lambda: _clocked(workspace, snapshot_digest, training.challenger, champion),
        lambda clocked: {"candidate": clocked.candidate, "champion": champion},
    )


def _clocked(workspace: Workspace, snapshot_digest: Digest, challenger: Digest, champion: Digest) -> Measurements:
    from gonogo.evidence import load

    workspace.progress("measure", "clocks one-row answers")
    snapshot = workspace.records.get(Snapshot, snapshot_digest)
    candidate, reference = workspace.records.get(Candidate, challenger), workspace.records.get(Candidate, champion)
    return load.measure_load(
        load_model(workspace, candidate, challenger),
        read_examples(snapshot, "validate", workspace.blobs.open_path).inputs,
        contract=workspace.contract,
        candidate=challenger,
        artifact_bytes=_artifact_bytes(workspace, candidate),
        now=datetime.now(UTC),
        champion=load_model(workspace, reference, champion),
        champion_bytes=_artifact_bytes(workspace, reference),
    )


def _artifact_bytes(workspace: Workspace, candidate: Candidate) -> int:
    return sum(len(workspace.blobs.get(blob)) for blob in candidate.artifact.values())
