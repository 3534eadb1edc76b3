"""Train: fit what the contract lists, choose on the validate table, store the candidate and its baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gonogo.data.tables import read_examples
from gonogo.families.registry import find
from gonogo.types.candidate import Candidate
from gonogo.types.evidence import Curve
from gonogo.types.protocols import Examples, Model
from gonogo.types.record import Digest
from gonogo.types.snapshot import Snapshot
from gonogo.workflow.snapshot import take_snapshot
from gonogo.workflow.steps import Done, once
from gonogo.workflow.workspace import Progress, Workspace, open_workspace, training_part


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What one training left: the candidate, the baseline it must beat, and what the page shows of the fit."""

    challenger: Digest
    baseline: Digest
    curves: tuple[Curve, ...]  # what recalibration did, and whether more data would help


def train(folder: Path | str, *, progress: Progress | None = None) -> Candidate:
    """The candidate of a folder; trained now unless nothing changed since the last one."""
    workspace = open_workspace(folder, progress=progress)
    training = workspace.records.get(Training, fit_candidates(workspace, take_snapshot(workspace).digest).digest)
    return workspace.records.get(Candidate, training.challenger)


def fit_candidates(workspace: Workspace, snapshot_digest: Digest) -> Done:
    """The step: its record is a Training."""
    from gonogo.training.environment import environment

    depends_on = {"part": training_part(workspace.contract), "snapshot": snapshot_digest, "environment": environment()}
    return once(
        workspace,
        "training",
        depends_on,
        lambda: _fitted(workspace, snapshot_digest),
        lambda fitted: {"candidate": fitted.challenger, "baseline": fitted.baseline, "snapshot": snapshot_digest},
        lambda stored: _models(workspace, stored),
    )


def _models(workspace: Workspace, stored: Digest) -> Iterator[Digest]:
    """The candidates of a training and their files; each candidate before its files, which only it names."""
    training = workspace.records.get(Training, stored)
    for candidate in (training.challenger, training.baseline):
        yield candidate
        yield from workspace.records.get(Candidate, candidate).artifact.values()


def _fitted(workspace: Workspace, snapshot_digest: Digest) -> Training:
    from gonogo.training import curve, fit

    contract, family = workspace.contract, find(workspace.contract.family)
    workspace.progress("train", "fits and chooses")
    snapshot = workspace.records.get(Snapshot, snapshot_digest)
    examples: Mapping[str, Examples] = {name: read_examples(snapshot, name, workspace.blobs.open_path) for name in ("train", "validate")}
    fitted = fit.fit(
        contract,
        family,
        examples,
        inputs=snapshot.inputs,
        contract_digest=workspace.records.put(contract),
        snapshot_digest=snapshot_digest,
        blobs=workspace.blobs,
        workspace=workspace.scratch,
    )
    workspace.progress("train", "asks whether more data would help")
    learning = curve.learning_curve(contract, family, examples, inputs=snapshot.inputs, chosen=fitted.challenger, model=fitted.model)
    return Training(
        challenger=workspace.records.put(fitted.challenger),
        baseline=workspace.records.put(fitted.baseline),
        curves=fitted.curves if learning is None else (*fitted.curves, learning),
    )


def load_model(workspace: Workspace, candidate: Candidate, candidate_digest: Digest) -> Model:
    """The fitted model of a candidate, every byte verified before it is read."""
    from gonogo.ledger.artifacts import restore_artifact

    into = workspace.scratch / "artifacts" / candidate_digest.removeprefix("sha256:")
    return find(workspace.contract.family).load(restore_artifact(workspace.blobs, candidate.artifact, into))
