"""Outcomes: put what came true, from a file, beside the predictions it belongs to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.serving.places import Places
from gonogo.types.contract import Contract
from gonogo.types.errors import ColumnMissing, ExtraMissing, KeysRefused, LogFailed, OutcomeConflict
from gonogo.types.record import Digest
from gonogo.workflow.contract import CONTRACT_NAME, read_contract_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WRITER = "outcomes"  # the name under which files are written to the log
KNOWN_AT = "known_at"
_SEGMENT_BYTES = 1 << 20
_PATIENCE_S = 30.0  # for the disk, and for another import to end
_ROWS = 16_384
_FILE = "gng_outcomes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What became of a file of outcomes."""

    source: str  # its name
    digest: Digest  # of its bytes
    n_rows: int
    n_taken: int  # written to the log
    n_repeated: int  # rows that say the same as one before them
    n_unknown: int  # rows whose outcome or known_at is null: nothing came true yet
    before: bool = False  # the same file was taken already, and nothing was written


def outcomes(folder: Path | str, file: Path) -> Imported:
    """Write a file's outcomes to the prediction log, where they are joined to the predictions of the same key.

    file: Parquet, CSV, JSON lines or Arrow with the columns of rows.key, those of outcome.columns by name, and, where it was not now,
    `known_at`: when anybody could know it (aware). With or without a running server; the same file again changes nothing.
    Raises ColumnMissing, KeysRefused for a null key, OutcomeConflict where two rows of a key differ, TimeRefused, LogFailed. Nothing is
    written unless the whole file can be.
    """
    folder = Path(folder)
    contract = read_contract_file(folder / CONTRACT_NAME)
    _check_extra()
    log_folder = Places.of(folder).log
    connection, digest = _read(contract, file)
    done = log_folder / "imports" / f"{digest.removeprefix('sha256:')[:32]}.json"
    if done.exists():
        return Imported(**{**json.loads(done.read_bytes()), "source": file.name, "before": True})
    names = connection.execute(f"DESCRIBE {_FILE}").fetchall()
    _check(contract, connection, {name: kind for name, kind, *_ in names}, file)
    imported = _write(contract, connection, log_folder, file.name, digest, has_known=KNOWN_AT in {name for name, *_ in names})
    _keep(done, imported)
    return imported


def _check_extra() -> None:
    try:
        import msgspec  # noqa: F401
    except ImportError as error:
        raise ExtraMissing(
            "The prediction log needs an optional part.", found="no msgspec", next="pip install 'gonogo[serving]'"
        ) from error


def _read(contract: Contract, file: Path) -> tuple[DuckDBPyConnection, Digest]:
    from gonogo.data.connection import open_connection
    from gonogo.data.readers import read_files, refuse_changed

    connection = open_connection(threads=contract.threads)
    raw = read_files(str(file.absolute()), "gng_raw", folder=Path(), connection=connection, where=str(file))
    connection.execute(f"CREATE TABLE {_FILE} AS SELECT * FROM gng_raw")
    refuse_changed(raw, str(file))
    return connection, raw.digest


def _check(contract: Contract, connection: DuckDBPyConnection, columns: dict[str, str], file: Path) -> None:
    from gonogo.data.sql import identifier, one_row
    from gonogo.data.times import check_times, refuse_unless_aware

    wanted = (*contract.rows.key, *contract.outcome.columns)
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise ColumnMissing(
            f"the file has no {', '.join(missing)}",
            where=str(file),
            found=", ".join(columns),
            expected=f"{', '.join(wanted)}, and {KNOWN_AT} where the outcomes were not known just now",
            next="rename the columns, or compute the outcome as the contract's outcome.columns says",
        )
    null = " OR ".join(f"{identifier(key)} IS NULL" for key in contract.rows.key)
    (n,) = one_row(connection, f"SELECT count(*) FROM {_FILE} WHERE {null}")
    if n:
        raise KeysRefused(
            f"{n:,} rows have no whole key", where=str(file), expected=f"a value of {', '.join(contract.rows.key)} in every row"
        )
    if KNOWN_AT in columns:
        refuse_unless_aware(KNOWN_AT, columns[KNOWN_AT], where=str(file))
        check_times(connection, _FILE, required=(), optional=(KNOWN_AT,), where=str(file))
    _refuse_conflicts(contract, connection, file)


def _refuse_conflicts(contract: Contract, connection: DuckDBPyConnection, file: Path) -> None:
    from gonogo.data.sql import identifier, one_row

    keys = ", ".join(identifier(key) for key in contract.rows.key)
    values = ", ".join(identifier(name) for name in contract.outcome.columns)
    told = f"SELECT {keys}, count(DISTINCT ({values})) AS n FROM {_FILE} WHERE {_is_known(contract)} GROUP BY {keys} HAVING n > 1"
    (n,) = one_row(connection, f"SELECT count(*) FROM ({told})")
    if n:
        examples = connection.execute(f"SELECT * FROM ({told}) ORDER BY {keys} LIMIT 3").fetchall()
        raise OutcomeConflict(
            f"{n:,} keys have outcomes that differ",
            where=str(file),
            found="; ".join(f"{', '.join(map(str, row[:-1]))} ({row[-1]} outcomes)" for row in examples),
            expected="one outcome for each key",
            next="keep the row that is true, and import the file again: nothing of it was written",
        )


def _is_known(contract: Contract) -> str:
    from gonogo.data.sql import identifier

    return " AND ".join(f"{identifier(name)} IS NOT NULL" for name in contract.outcome.columns)


def _write(
    contract: Contract, connection: DuckDBPyConnection, log_folder: Path, source: str, digest: Digest, *, has_known: bool
) -> Imported:
    from gonogo.data.sql import identifier, one_row
    from gonogo.serving.predictionlog import PredictionLog

    keys, values = contract.rows.key, tuple(contract.outcome.columns)
    shown = ", ".join(identifier(name) for name in (*keys, *values))
    known = f"min(epoch_us({KNOWN_AT}))" if has_known else str(time.time_ns() // 1000)
    is_known = _is_known(contract) + (f" AND {KNOWN_AT} IS NOT NULL" if has_known else "")
    (n_rows,) = one_row(connection, f"SELECT count(*) FROM {_FILE}")
    (n_known,) = one_row(connection, f"SELECT count(*) FROM {_FILE} WHERE {is_known}")
    # Known first, written first; the key settles ties, so that the same file is the same log.
    query = f"SELECT {shown}, {known} AS gng_known_us FROM {_FILE} WHERE {is_known} GROUP BY {shown} ORDER BY gng_known_us, {shown}"
    n_taken = 0
    with PredictionLog(log_folder, WRITER, segment_bytes=_SEGMENT_BYTES, wait_s=_PATIENCE_S) as log:
        for row in _rows(connection, query):
            key, outcome = row[: len(keys)], dict(zip(values, row[len(keys) : -1], strict=True))
            if not (log.log.wait_for_room(_PATIENCE_S) and log.append_outcome(key=key, values=outcome, known_us=row[-1], source=source)):
                raise LogFailed(
                    f"The log took {n_taken:,} outcomes and then no more.",
                    found=log.blocked or "a disk that does not answer",
                    where=str(log_folder),
                    next="free some space and import the file again: what was taken is joined once",
                )
            n_taken += 1
        log.sync()
    return Imported(source=source, digest=digest, n_rows=n_rows, n_taken=n_taken, n_repeated=n_known - n_taken, n_unknown=n_rows - n_known)


def _rows(connection: DuckDBPyConnection, query: str) -> Iterator[tuple[Any, ...]]:
    """Rows as plain values, some at a time: times are aware datetimes."""
    for batch in connection.sql(query).to_arrow_reader(_ROWS):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _keep(done: Path, imported: Imported) -> None:
    from gonogo.backends.disk import write_whole

    done.parent.mkdir(parents=True, exist_ok=True)
    write_whole(done, json.dumps(asdict(imported)).encode())
