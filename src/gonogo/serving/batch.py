"""How is a file of any size scored, each answer written down and none twice?

Stretch by stretch: rows come in, features are computed, the model answers, a row group goes out. The file appears whole or not at all; who
was stopped starts again and writes the same file. Its rows in the prediction log carry numbers that follow from the file, so that a row
that was logged before is the same row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.data.planning import field_type
from gonogo.types.errors import DataError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.data.fresh import Fresh, FreshRows
    from gonogo.serving.predictionlog import PredictionLog
    from gonogo.types.protocols import Model
    from gonogo.types.record import Digest

ROOM_S = 60.0  # how long the disk may keep a batch waiting before rows count as lost


@dataclass(frozen=True, kw_only=True, slots=True)
class Logging:
    """Where and how the answers of a batch are logged."""

    log: PredictionLog
    candidate: Digest
    key: tuple[str, ...]
    bucket_by: str  # "": nobody's unit


def score_file(fresh: FreshRows, model: Model, out: Path, *, key: tuple[str, ...], logging: Logging | None = None) -> int:
    """Write the keys and the model's answers as Parquet, in the order of the rows; how many there were.

    Raises what the features and the model raise, with the place in the file; nothing is written then. UsageError where a key and a
    prediction have one name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from gonogo.backends.disk import incoming, storage_errors

    write_down = None if logging is None else _Book(logging, fresh)
    n_rows = 0
    with storage_errors(out), incoming(out.absolute().parent) as temporary:
        writer = None
        for stretch in fresh.stretches():
            predictions = _answered(model, stretch)
            _refuse_one_name(key, predictions)
            columns = {name: stretch.rows.column(name) for name in key} | {
                name: predictions.column(name) for name in predictions.column_names
            }
            table = pa.table(columns)
            writer = writer or pq.ParquetWriter(temporary.file, table.schema, compression="zstd")
            writer.write_table(table)
            if write_down is not None:
                write_down.stretch(stretch, predictions)
            n_rows += table.num_rows
        if writer is not None:
            writer.close()
        if write_down is not None:
            write_down.close()
        temporary.keep_as(out.name)
    return n_rows


def _answered(model: Model, stretch: Fresh) -> pa.Table:
    try:
        return model.predict(stretch.inputs)
    except DataError as error:
        if stretch.first:
            error.where = f"{error.where}, counted from row {stretch.first:,} of the file"
        raise


def _refuse_one_name(key: tuple[str, ...], predictions: pa.Table) -> None:
    taken = set(key) & set(predictions.column_names)
    if taken:
        raise UsageError(
            "A key and a prediction have the same name.", found=", ".join(sorted(taken)), next="rename the key in the contract"
        )


class _Book:
    """Writes the rows of a batch into the prediction log: answered by the model itself, outside of any rollout."""

    def __init__(self, logging: Logging, fresh: FreshRows) -> None:
        from gonogo.serving.predictionlog import Shape
        from gonogo.serving.router import unit

        self._log, self._key, self._unit, self._bucket_by = logging.log, logging.key, unit, logging.bucket_by
        self._of_file = hashlib.blake2b(f"{fresh.digest} {logging.candidate}".encode(), digest_size=8)
        self._question = tuple(fresh.types)
        plain = {request.name for request in fresh.plan.requests if request.name in fresh.types}
        self._inputs = tuple(one.name for one in fresh.plan.inputs if one.name not in plain)
        self._shape = ""
        self._as_declared = Shape(
            candidate=logging.candidate,
            key={name: field_type(fresh.types[name]) for name in logging.key},
            question={name: field_type(kind) for name, kind in fresh.types.items()},
            inputs={one.name: "" for one in fresh.plan.inputs if one.name not in plain},
            outputs={},
        )

    def stretch(self, stretch: Fresh, predictions: pa.Table) -> None:
        """Every row of a stretch."""
        if not self._shape:
            self._shape = self._log.declare(replace(self._as_declared, outputs=dict.fromkeys(predictions.column_names, "")))
        rows = zip(
            _tuples(stretch.rows, self._key),
            _tuples(stretch.rows, self._question),
            _tuples(stretch.inputs, self._inputs),
            _tuples(predictions, tuple(predictions.column_names)),
            stretch.decided_at.to_pylist(),
            _units(stretch.rows, self._bucket_by),
            strict=True,
        )
        for place, (key, question, inputs, answer, decided_us, unit_key) in enumerate(rows, stretch.first):
            if not place % 256:
                self._log.log.wait_for_room(ROOM_S)
            self._log.append_prediction(
                request=self._number(place),
                shape=self._shape,
                key=key,
                question=question,
                inputs=inputs,
                answer=answer,
                decided_us=decided_us,
                unit=self._unit(unit_key),
            )

    def close(self) -> None:
        """Return once the disk holds every row."""
        self._log.sync()

    def _number(self, place: int) -> int:
        """The same for the same row of the same file, however often it is scored."""
        hashed = self._of_file.copy()
        hashed.update(place.to_bytes(8, "little"))
        return int.from_bytes(hashed.digest(), "little")


def _tuples(table: pa.Table, names: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    if not names:
        return iter([()] * table.num_rows)
    return zip(*(table.column(name).to_pylist() for name in names), strict=True)


def _units(rows: pa.Table, bucket_by: str) -> list[Any]:
    return rows.column(bucket_by).to_pylist() if bucket_by in rows.column_names else [None] * rows.num_rows
