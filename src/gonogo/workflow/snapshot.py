"""Take a snapshot: what the data looked like, as it could be known at that time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from gonogo.families.registry import find
from gonogo.ledger import registry
from gonogo.types.record import Digest
from gonogo.types.snapshot import Snapshot
from gonogo.workflow.steps import Done, once
from gonogo.workflow.workspace import Progress, Workspace, data_part, open_workspace

if TYPE_CHECKING:
    from gonogo.data.opened import Opened


def snapshot(folder: Path | str, *, progress: Progress | None = None) -> Snapshot:
    """The snapshot of a folder's sources; taken now unless nothing changed since the last one."""
    workspace = open_workspace(folder, progress=progress)
    return workspace.records.get(Snapshot, take_snapshot(workspace).digest)


def take_snapshot(workspace: Workspace) -> Done:
    """The step: sources are read and pinned first; all else only where their content, the contract or the code is new."""
    from gonogo.data.opened import open_sources
    from gonogo.training import fit
    from gonogo.training.environment import environment

    contract = workspace.contract
    fit.choices(contract, find(contract.family))  # refused before an hour of work, not after it
    workspace.progress("snapshot", "reads the sources")
    opened = open_sources(contract, folder=workspace.folder)
    part = data_part(contract)
    depends_on = {"part": part, "sources": opened.digests, "environment": environment()}
    return once(
        workspace, "snapshot", depends_on, lambda: _taken(workspace, opened, part), rests_on=lambda stored: _tables(workspace, stored)
    )


def _tables(workspace: Workspace, stored: Digest) -> tuple[Digest, ...]:
    return tuple(table.blob for table in workspace.records.get(Snapshot, stored).tables.values())


def _taken(workspace: Workspace, opened: Opened, part: Digest) -> Snapshot:
    from gonogo.data import take

    taken = take.take(
        workspace.contract,
        opened,
        contract_part=part,
        put=workspace.blobs.put,
        last=last_snapshot(workspace),
        progress=lambda doing: workspace.progress("snapshot", doing),
    )
    workspace.progress("snapshot", "checks the training table")
    family = find(workspace.contract.family)
    findings = (*taken.snapshot.findings, *family.checks(taken.tables["train"], taken.snapshot.inputs))
    return dataclasses.replace(taken.snapshot, findings=findings)


def last_snapshot(workspace: Workspace) -> Snapshot | None:
    """The newest snapshot of this contract whose record is still there, against which distributions are compared."""
    entries = (e for e in workspace.ledger.entries("snapshot") if workspace.blobs.has(e.body["snapshot"]))  # a lost one is taken again
    entry = registry.last(entries, "snapshot", contract=workspace.contract.name)
    return None if entry is None else workspace.records.get(Snapshot, entry.body["snapshot"])
