"""Take a snapshot: what the data looked like, as it could be known at that time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gonogo.families.registry import find
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
    before = snapshot_before(workspace, opened.digests)
    depends_on = {"part": part, "sources": opened.digests, "before": before, "environment": environment()}
    return once(
        workspace,
        "snapshot",
        depends_on,
        lambda: _taken(workspace, opened, part, before),
        rests_on=lambda stored: _tables(workspace, stored),
    )


def _tables(workspace: Workspace, stored: Digest) -> tuple[Digest, ...]:
    return tuple(table.blob for table in workspace.records.get(Snapshot, stored).tables.values())


def _taken(workspace: Workspace, opened: Opened, part: Digest, before: Digest | None) -> Snapshot:
    from gonogo.data import take

    taken = take.take(
        workspace.contract,
        opened,
        contract_part=part,
        put=workspace.blobs.put,
        last=None if before is None else workspace.records.get(Snapshot, before),
        progress=lambda doing: workspace.progress("snapshot", doing),
    )
    workspace.progress("snapshot", "checks the training table")
    family = find(workspace.contract.family)
    findings = (*taken.snapshot.findings, *family.checks(taken.tables["train"], taken.snapshot.inputs))
    return dataclasses.replace(taken.snapshot, findings=findings, facts={**taken.snapshot.facts, "compared_with": before})


def snapshot_before(workspace: Workspace, sources: Mapping[str, Digest]) -> Digest | None:
    """The newest stored snapshot of this contract whose sources held something else: what distributions are compared with.

    One of the same sources would compare them with themselves. A record that is lost is passed over.
    """
    for entry in workspace.ledger.entries("snapshot", newest_first=True):
        stored: Digest = entry.body["snapshot"]
        if entry.body["contract"] == workspace.contract.name and workspace.blobs.has(stored):
            held = {pin.name: pin.digest for pin in workspace.records.get(Snapshot, stored).sources}
            if held != sources:
                return stored
    return None
