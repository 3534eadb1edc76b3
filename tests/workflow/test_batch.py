"""Facts about scoring a file of any size."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import gonogo
from gonogo.data.fresh import open_fresh
from gonogo.serving.log import Log
from gonogo.serving.places import Places
from gonogo.serving.predictionlog import Prediction, decoded, read_shapes
from gonogo.serving.router import unit
from gonogo.serving.tail import Tail
from gonogo.types.candidate import Candidate
from gonogo.types.errors import DataError, UsageError
from gonogo.types.traffic import AnswerStatus, Arm, FrameKind
from gonogo.workflow.batch import batch, score
from gonogo.workflow.package import as_trained
from gonogo.workflow.workspace import open_workspace
from tests.workflow import worlds

ROWS = worlds.tables().parcels.slice(2_500, 40).drop_columns(["day", "arrived_at", "hours_late"])


@pytest.fixture(scope="module")
def folder(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this module's own, whose traffic is assigned by depot."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("batch") / "parcels")
    text = (folder / "contract.toml").read_text()
    (folder / "contract.toml").write_text(text + '\n[rollout]\nbucket_by = "depot"\n')
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def logged(folder: Path) -> list[tuple[Any, Prediction]]:
    """Header and payload of every prediction in the log."""
    batch = Tail(Places.of(folder).log).poll(at_most=100_000)
    return [(batch.frames[i], decoded(FrameKind.PREDICTION, batch.payload(i))) for i in batch.where(FrameKind.PREDICTION)]


def test_a_batch_answers_as_predict_does_and_logs_every_row(folder, file, tmp_path):
    before = len(logged(folder))
    scored = batch(folder, file, tmp_path / "batch.parquet")
    assert (scored.n_rows, scored.n_logged, scored.n_lost) == (40, 40, 0)
    gonogo.predict(folder, file, tmp_path / "predict.parquet")
    out = pq.read_table(tmp_path / "batch.parquet")
    assert out == pq.read_table(tmp_path / "predict.parquet")
    rows = logged(folder)[before:]
    assert [prediction.key for _, prediction in rows] == [(key,) for key in ROWS.column("parcel").to_pylist()]
    assert [prediction.answer[0] for _, prediction in rows] == out.column("p").to_pylist()
    assert [float(header["score"]) for header, _ in rows] == out.column("p").to_pylist()


def test_a_logged_row_says_what_was_asked_and_computed_and_belongs_to_no_rollout(folder, file, tmp_path):
    scored = batch(folder, file, tmp_path / "out.parquet")
    header, row = logged(folder)[-40]
    shape = read_shapes(Places.of(folder).log)[row.shape]
    first = ROWS.slice(0, 1).to_pylist()[0]
    assert shape.candidate == scored.candidate
    assert dict(zip(shape.key, row.key, strict=True)) == {"parcel": first["parcel"]}
    question = dict(zip(shape.question, row.question, strict=True))
    assert (question["depot"], question["weight_kg"]) == (first["depot"], first["weight_kg"])
    assert set(shape.inputs) >= {"backlog__count__6h", "docks__last_docks__all"}
    assert len(row.inputs) == len(shape.inputs)
    assert datetime.fromtimestamp(row.decided_us / 1e6, UTC) == first["handed_in_at"]
    assert int(header["unit"]) == unit(first["depot"])
    assert (header["epoch"], header["arm"], header["status"]) == (0, Arm.CHAMPION, AnswerStatus.ANSWERED)
    assert header["propensity"] == 1


def test_a_row_that_is_scored_again_has_its_old_number(folder, file, tmp_path):
    for _ in range(2):
        batch(folder, file, tmp_path / "out.parquet")
    numbers = [int(header["request"]) for header, _ in logged(folder)[-80:]]
    assert numbers[:40] == numbers[40:]
    assert len(set(numbers)) == 40
    pq.write_table(ROWS.slice(0, 39), file)
    batch(folder, file, tmp_path / "out.parquet")
    assert not {int(header["request"]) for header, _ in logged(folder)[-39:]} & set(numbers)


def test_predict_leaves_no_record(folder, file, tmp_path):
    before, entries = len(logged(folder)), len(list(open_workspace(folder).ledger.entries()))
    score(folder, file, tmp_path / "out.parquet")
    assert len(logged(folder)) == before
    assert len(list(open_workspace(folder).ledger.entries())) == entries


@pytest.mark.parametrize("n", [1, 7, 40, 1000])
def test_rows_come_in_stretches_with_the_bits_of_the_whole(folder, file, n):
    workspace = open_workspace(folder)
    digest = next(iter(workspace.ledger.entries("training"))).body["candidate"]
    contract = as_trained(workspace, workspace.records.get(Candidate, digest))
    fresh = open_fresh(contract, file, folder=folder, also=("depot", "no such column"))
    stretches = list(fresh.stretches(n))
    assert [stretch.first for stretch in stretches] == list(range(0, 40, n))
    whole = next(iter(open_fresh(contract, file, folder=folder).stretches()))
    assert pa.concat_tables([stretch.inputs for stretch in stretches]).combine_chunks() == whole.inputs.combine_chunks()
    assert pa.concat_tables([stretch.rows for stretch in stretches]).column("parcel").to_pylist() == ROWS.column("parcel").to_pylist()


@pytest.mark.parametrize("suffix", ["csv", "arrow"])
def test_other_formats_are_scored_alike(folder, file, tmp_path, suffix):
    other = tmp_path / f"rows.{suffix}"
    if suffix == "csv":
        pa.csv.write_csv(ROWS, other)
    else:
        with pa.ipc.new_file(other, ROWS.schema) as writer:
            writer.write_table(ROWS)
    score(folder, file, tmp_path / "parquet.parquet")
    batch(folder, other, tmp_path / "other.parquet")
    assert pq.read_table(tmp_path / "other.parquet") == pq.read_table(tmp_path / "parquet.parquet")


def test_a_row_that_is_refused_is_told_with_its_place_and_what_was_there_stays(folder, tmp_path):
    weights = ROWS.column("weight_kg").to_pylist()
    broken = ROWS.set_column(ROWS.column_names.index("weight_kg"), "weight_kg", pa.array([*weights[:-1], None]))
    pq.write_table(broken, tmp_path / "rows.parquet")
    (tmp_path / "out.parquet").write_bytes(b"of yesterday")
    with pytest.raises(DataError, match="row 39"):
        batch(folder, tmp_path / "rows.parquet", tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == b"of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "rows.parquet"]


def test_a_place_that_cannot_be_written_is_refused_before_the_log_is_opened(folder, file, tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        batch(folder, file, tmp_path / "nowhere" / "out.parquet")


def test_rows_for_which_the_disk_has_no_room_are_answered_and_counted(folder, file, tmp_path, monkeypatch):
    def full(self: Log, *row: object) -> bool:
        self.lost += 1
        return False

    monkeypatch.setattr(Log, "append", full)
    scored = batch(folder, file, tmp_path / "out.parquet")
    assert (scored.n_rows, scored.n_logged, scored.n_lost) == (40, 0, 40)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 40


def test_a_larger_file_takes_no_more_memory(folder, tmp_path):
    """Ten times the rows in stretches: what Arrow holds at its most does not grow with the file."""
    most = []
    workspace = open_workspace(folder)
    digest = next(iter(workspace.ledger.entries("training"))).body["candidate"]
    contract = as_trained(workspace, workspace.records.get(Candidate, digest))
    for times in (1, 10):
        many = ROWS.take(np.tile(np.arange(40), 250 * times))
        pq.write_table(many, tmp_path / "rows.parquet")
        fresh = open_fresh(contract, tmp_path / "rows.parquet", folder=folder)
        del many
        base, peak = pa.total_allocated_bytes(), 0
        for stretch in fresh.stretches(2_000):
            peak = max(peak, pa.total_allocated_bytes() - base)
            del stretch
        most.append(peak)
    assert most[1] < 2 * most[0]
