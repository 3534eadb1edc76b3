"""Batch: score a file of any size, row by row, in its order, and log what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gonogo.ledger import registry, rollouts
from gonogo.ledger.records import resolve
from gonogo.types.candidate import Candidate
from gonogo.types.errors import ExtraMissing, RecordUnknown, UsageError
from gonogo.types.record import Digest
from gonogo.types.release import Phase
from gonogo.workflow.package import as_trained
from gonogo.workflow.workspace import Progress, Workspace, open_workspace

if TYPE_CHECKING:
    from gonogo.serving.predictionlog import PredictionLog

WRITER = "batch"  # one batch of a folder logs at a time; the next one waits
WAIT_S = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """A file that was written."""

    path: Path
    n_rows: int
    candidate: Digest
    n_logged: int = 0  # rows in the prediction log
    n_lost: int = 0  # rows that the disk had no room for: answered, and not logged


def batch(folder: Path | str, rows: Path, out: Path, *, candidate: str = "", progress: Progress | None = None) -> Scored:
    """The keys of the rows and their predictions, as Parquet, in the order of the rows; each of them in the prediction log.

    As `predict`, which keeps no record. A row is answered by the model asked for, outside of any rollout: no share, no bucket, and no
    part in what a rollout is judged by. Scored again, a row has its old number in the log. Raises as `predict`; LogFailed, ExtraMissing.
    """
    workspace = open_workspace(folder, progress=progress)
    check_out(out)
    return score_logged(workspace, rows, out, answering(workspace, candidate))


def score_logged(workspace: Workspace, rows: Path, out: Path, digest: Digest) -> Scored:
    """`batch` by a candidate that was found already."""
    with _open_log(workspace) as log:
        n_rows = _score(workspace, rows, out, digest, log)
        return Scored(path=out, n_rows=n_rows, candidate=digest, n_logged=n_rows - log.lost, n_lost=log.lost)


def score(folder: Path | str, rows: Path, out: Path, *, candidate: str = "") -> Scored:
    """`batch` without a record of it."""
    workspace = open_workspace(folder)
    check_out(out)
    digest = answering(workspace, candidate)
    return Scored(path=out, n_rows=_score(workspace, rows, out, digest, None), candidate=digest)


def _score(workspace: Workspace, rows: Path, out: Path, digest: Digest, log: PredictionLog | None) -> int:
    from gonogo.data.fresh import open_fresh
    from gonogo.serving.batch import Logging, score_file
    from gonogo.workflow.train import load_model

    record = workspace.records.get(Candidate, digest)
    contract = as_trained(workspace, record)
    model = load_model(workspace, record, digest)
    bucket_by = workspace.contract.rollout.bucket_by
    workspace.progress("batch", "reads the rows")
    # a folder of its own: two batches at a time would spill into files of one name
    with TemporaryDirectory(prefix="batch-", dir=workspace.scratch, ignore_cleanup_errors=True) as spilled:
        fresh = open_fresh(contract, rows, folder=workspace.folder, also=(bucket_by,), workspace=Path(spilled))
        workspace.progress("batch", f"scores {fresh.n_rows:,} rows")
        logging = None if log is None else Logging(log=log, candidate=digest, key=contract.rows.key, bucket_by=bucket_by)
        return score_file(fresh, model, out, key=contract.rows.key, logging=logging)


def _open_log(workspace: Workspace) -> PredictionLog:
    try:
        from gonogo.serving.predictionlog import PredictionLog
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            "The prediction log needs the extra `serving`.",
            found=str(error),
            expected="msgspec",
            next="pip install 'gonogo[serving]'; or use `gonogo predict`, which keeps no record",
        ) from error
    from gonogo.serving.places import Places

    return PredictionLog(Places.of(workspace.folder).log, WRITER, wait_s=WAIT_S)


def answering(workspace: Workspace, prefix: str = "") -> Digest:
    """Who answers: the candidate of that digest or unique prefix; without one the champion, else the candidate of a GO.

    Raises RecordUnknown for a digest that is no candidate; UsageError where no candidate may answer: a model without a GO, or one that
    was brought back, is asked for by name or not at all.
    """
    return _resolved(workspace, prefix) if prefix else _in_charge(workspace)


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
    if (why := _why_back(workspace, candidate)) is not None:
        raise UsageError(
            "No model may answer: the candidate of the newest verdict was brought back.",
            found=why[:200] or "no reason was given",
            expected="a champion, or a candidate named on purpose",
            next=f"gonogo run {workspace.folder}, or give --candidate DIGEST",
        )
    return candidate


def _why_back(workspace: Workspace, candidate: Digest) -> str | None:
    """Why a candidate was brought back, by a rollout or from being champion; None where it was not."""
    entries, name = tuple(workspace.ledger.entries()), workspace.contract.name
    reigns = registry.history(entries, name)
    if reigns and reigns[-1].candidate is None and any(reign.candidate == candidate for reign in reigns):
        return reigns[-1].why
    last = rollouts.standing(entries, name)
    return last.why if last is not None and last.challenger == candidate and last.phase is Phase.ROLLED_BACK else None


def check_out(out: Path) -> None:
    """Raises UsageError where no file can be written."""
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(
            f"{out} cannot be written.",
            found="a folder" if out.is_dir() else f"no folder {out.absolute().parent}",
            expected="the path of a file in a folder that is there",
            where="--out",
        )
