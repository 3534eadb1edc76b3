"""Jobs: score what was submitted over HTTP, in a process of its own.

`python -m gonogo.workflow.jobs FOLDER` does what is queued and ends; a server starts it when there is something to do.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.serving.jobs import Jobs, give_way, starter, work
from gonogo.serving.places import Places
from gonogo.types.errors import NothingThere
from gonogo.types.package import Field, Package
from gonogo.workflow.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    import pyarrow as pa

SQL_TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "text": "VARCHAR", "time": "TIMESTAMPTZ"}


def open_jobs(folder: Path | str) -> Jobs:
    """The queue of a folder, for a server to mount; a process of the lowest priority works on it."""
    return Jobs(Places.of(folder).jobs, starter([sys.executable, "-m", "gonogo.workflow.jobs", str(folder)]))


def run_jobs(folder: Path | str) -> int:
    """Do what is queued; how many jobs ended."""
    return work(Places.of(folder).jobs, runner(Path(folder)))


def runner(folder: Path) -> Callable[[Path, Path], int]:
    """What answers the rows of one job: the champion of the server when it is started, its answers logged as those of a batch."""
    return lambda rows, out: _answered(open_workspace(folder), json.loads(rows.read_bytes()), out)


def _answered(workspace: Workspace, body: Mapping[str, Any], out: Path) -> int:
    from gonogo.workflow import routes
    from gonogo.workflow.batch import score_logged
    from gonogo.workflow.package import package

    if body["contract"] != workspace.contract.name:
        raise NothingThere("That contract is not served here.", found=body["contract"], expected=workspace.contract.name, where="contract")
    # Whoever answers a request answers a job: no candidate before its release, nor one that was brought back.
    digest = routes.office(workspace.ledger.entries(), workspace.contract.name).champion
    packaged = workspace.records.get(Package, package(workspace, digest))
    file, scored = out.with_name("rows.parquet"), out.with_name("scored.parquet")
    try:
        _write_rows(workspace, packaged, body["rows"], file)
        n_rows = score_logged(workspace, file, scored, digest).n_rows
        _write_lines(scored, out)
    finally:
        file.unlink(missing_ok=True)
        scored.unlink(missing_ok=True)
    return n_rows


def _write_rows(workspace: Workspace, packaged: Package, rows: Sequence[Any], file: Path) -> None:
    """The rows as a file whose columns have the types that the features were planned with."""
    from gonogo.data.connection import open_connection
    from gonogo.data.planning import Plan
    from gonogo.data.sql import failures_told, identifier, literal
    from gonogo.serving.questions import QuestionDecoder

    decoder = QuestionDecoder(packaged.fields)
    questions = [decoder.row(row, f"rows[{i}]") for i, row in enumerate(rows)]
    planned = workspace.records.get(Plan, packaged.plan).row_columns
    connection = open_connection(threads=1)
    connection.register("gng_rows", _table(packaged.fields, questions))
    named = ", ".join(
        f"CAST({identifier(one.name)} AS {planned.get(one.name, SQL_TYPES[one.type])}) AS {identifier(one.name)}" for one in packaged.fields
    )
    with failures_told("rows"):
        connection.execute(f"COPY (SELECT {named} FROM gng_rows) TO {literal(str(file))} (FORMAT parquet)")


def _table(fields: tuple[Field, ...], questions: Sequence[Sequence[Any]]) -> pa.Table:
    import pyarrow as pa

    kinds = {
        "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "text": pa.string(), "time": pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    columns = zip(*questions, strict=True)
    return pa.table({one.name: pa.array(values, kinds[one.type]) for one, values in zip(fields, columns, strict=True)})


def _write_lines(scored: Path, out: Path) -> None:
    """The answers as JSON lines, whole or not at all."""
    import pyarrow.parquet as pq

    from gonogo.backends.disk import incoming, storage_errors

    with storage_errors(out), incoming(out.parent) as temporary:
        for batch in pq.ParquetFile(scored).iter_batches():
            lines = [json.dumps(row, ensure_ascii=False, default=str) for row in batch.to_pylist()]
            temporary.file.write("".join(f"{line}\n" for line in lines).encode())
        temporary.keep_as(out.name)


if __name__ == "__main__":
    give_way()
    run_jobs(sys.argv[1])
