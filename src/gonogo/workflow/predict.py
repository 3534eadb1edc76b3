"""Predict: score a file, row by row, in its order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gonogo.ledger import registry
from gonogo.ledger.records import resolve
from gonogo.types.candidate import Candidate
from gonogo.types.contract import Contract
from gonogo.types.errors import RecordUnknown, UsageError
from gonogo.types.record import Digest
from gonogo.workflow.train import load_model
from gonogo.workflow.workspace import Workspace, open_workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """A file that was written."""

    path: Path
    n_rows: int
    candidate: Digest


def predict(folder: Path | str, rows: Path, out: Path, *, candidate: str = "") -> Scored:
    """The keys of the rows and their predictions, as Parquet, in the order of the rows.

    rows:      Parquet, CSV, JSON lines or Arrow with the columns of the contract's row source (after its sql).
    candidate: a digest or unique prefix; without one the champion, else the candidate of the newest verdict if that is GO.
    Its inputs are those that it was trained on, whatever the contract says since; where the sources lie, today's contract says.
    Raises SourceEmpty for a file without rows, ColumnMissing for a column that is not there, and writes nothing then;
    UsageError where no candidate may answer: a model without a GO is asked for by name or not at all.
    """
    import pyarrow as pa

    from gonogo.data.fresh import read_fresh

    workspace = open_workspace(folder)
    _check_out(out)
    digest = _resolved(workspace, candidate) if candidate else _in_charge(workspace)
    record = workspace.records.get(Candidate, digest)
    model = load_model(workspace, record, digest)
    fresh = read_fresh(_as_trained(workspace, record), rows, folder=workspace.folder)
    predictions = model.predict(fresh.inputs)
    taken = set(fresh.keys.column_names) & set(predictions.column_names)
    if taken:
        raise UsageError(
            "A key and a prediction have the same name.", found=", ".join(sorted(taken)), next="rename the key in the contract"
        )
    columns = {name: part.column(name) for part in (fresh.keys, predictions) for name in part.column_names}
    _write(pa.table(columns), out)
    return Scored(path=out, n_rows=fresh.keys.num_rows, candidate=digest)


def _as_trained(workspace: Workspace, candidate: Candidate) -> Contract:
    """The contract that the candidate was trained by: a feature declared anew under its old name would be fed to it unseen."""
    trained = workspace.records.get(Contract, candidate.contract)
    today = workspace.contract.sources
    sources = {name: replace(source, read=today[name].read) if name in today else source for name, source in trained.sources.items()}
    return replace(trained, sources=sources)


def _resolved(workspace: Workspace, prefix: str) -> Digest:
    digest = resolve(prefix, workspace.ledger.entries("training"))
    if not any(digest in (e.body["candidate"], e.body["baseline"]) for e in workspace.ledger.entries("training")):
        raise RecordUnknown("That digest is no candidate.", found=digest, next="gonogo ledger list")
    return digest


def _in_charge(workspace: Workspace) -> Digest:
    name = workspace.contract.name
    live = registry.champion(workspace.ledger.entries(), name)
    if live is not None:
        return live
    verdict = registry.last(workspace.ledger.entries("verdict"), "verdict", contract=name)
    if verdict is None or not verdict.body["go"]:
        raise UsageError(
            "No model may answer: there is no champion, and the newest verdict is not GO.",
            found="no verdict" if verdict is None else f"NO-GO, {verdict.body['status']}",
            expected="a GO, or a candidate named on purpose",
            next=f"gonogo run {workspace.folder}, or give --candidate DIGEST",
        )
    candidate: Digest = verdict.body["candidate"]
    return candidate


def _check_out(out: Path) -> None:
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(
            f"{out} cannot be written.",
            found="a folder" if out.is_dir() else f"no folder {out.absolute().parent}",
            expected="the path of a file in a folder that is there",
            where="--out",
        )


def _write(table: object, out: Path) -> None:
    import pyarrow.parquet as pq

    from gonogo.backends.disk import incoming, storage_errors

    with storage_errors(out), incoming(out.absolute().parent) as temporary:
        pq.write_table(table, temporary.file, compression="zstd")
        temporary.keep_as(out.name)
