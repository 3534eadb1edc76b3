"""Outcomes from a file reach the log once, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gonogo.serving.outcomes import OutcomeJoin
from gonogo.serving.predictionlog import PredictionLog, decoded
from gonogo.serving.tail import Tail
from gonogo.types.errors import ColumnMissing, KeysRefused, LogFailed, OutcomeConflict, SourceEmpty, TimeRefused
from gonogo.types.traffic import FrameKind
from gonogo.workflow.outcomes import outcomes
from tests.workflow.worlds import contract

HEAD = "parcel,y,known_at\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "contract.toml").write_text(contract())
    return tmp_path


def write(folder: Path, text: str, name: str = "outcomes.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def logged(folder: Path) -> list[tuple[object, ...]]:
    batch = Tail(folder / ".gonogo" / "serving" / "log").poll()
    assert set(batch.frames["kind"]) <= {FrameKind.OUTCOME}
    found = [decoded(FrameKind.OUTCOME, batch.payload(i)) for i in range(len(batch))]
    return [(*o.key, o.values["y"], o.known_us, o.source) for o in found]


def test_outcomes_of_a_file_are_written_in_the_order_in_which_they_were_known(folder):
    file = write(folder, HEAD + "7,1,2024-01-01T00:00:02Z\n5,0,2024-01-01T01:00:01+01:00\n")
    imported = outcomes(folder, file)
    assert (imported.n_rows, imported.n_taken, imported.n_repeated, imported.n_unknown) == (2, 2, 0, 0)
    start = 1_704_067_200_000_000
    assert logged(folder) == [(5, 0, start + 1_000_000, "outcomes.csv"), (7, 1, start + 2_000_000, "outcomes.csv")]


def test_the_same_file_again_changes_nothing(folder):
    file = write(folder, HEAD + "7,1,2024-01-01T00:00:02Z\n")
    first = outcomes(folder, file)
    again = outcomes(folder, write(folder, file.read_text(), "under_another_name.csv"))
    assert (first.before, again.before, again.n_taken, again.digest) == (False, True, 1, first.digest)
    assert len(logged(folder)) == 1


def test_repeated_rows_are_written_once_and_rows_without_an_outcome_not_at_all(folder):
    text = "7,1,2024-01-01T00:00:02Z\n7,1,2024-01-01T00:00:09Z\n8,,2024-01-01T00:00:02Z\n9,0,\n"
    imported = outcomes(folder, write(folder, HEAD + text))
    assert (imported.n_rows, imported.n_taken, imported.n_repeated, imported.n_unknown) == (4, 1, 1, 2)
    assert [row[:2] for row in logged(folder)] == [(7, 1)]


def test_outcomes_join_predictions_that_were_asked_for_by_text(folder):
    log = folder / ".gonogo" / "serving" / "log"
    with PredictionLog(log, "w0") as worker:
        worker.append_prediction(request=1, shape="", key=("7",), question=(), answer=(0.5,), decided_us=1_704_067_200_000_000)
        table = pa.table(
            {"parcel": [7.0, 8.0], "y": [True, False], "known_at": pa.array([1_704_067_200_000_000] * 2, pa.timestamp("us", "UTC"))}
        )
        pq.write_table(table, folder / "outcomes.parquet")
        outcomes(folder, folder / "outcomes.parquet")
        join = OutcomeJoin(folder / "join", window_us=10**9, absent="censored", settle_us=0)
        joined = join.take(Tail(log).poll(), 2 * 10**15)
    assert [dict(outcome) for outcome in joined.outcomes] == [{"y": True}]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (HEAD + "7,1,2024-01-01T00:00:02Z\n7,0,2024-01-01T00:00:02Z\n", OutcomeConflict, "7 (2 outcomes)"),
        (HEAD + ",1,2024-01-01T00:00:02Z\n", KeysRefused, "no whole key"),
        (HEAD + "7,1,2024-01-01T00:00:02\n", TimeRefused, "naive"),
        (HEAD + "7,1,1900-01-01T00:00:02Z\n", TimeRefused, "1900"),
        ("parcel,late\n7,1\n", ColumnMissing, "no y"),
        ("", SourceEmpty, "empty"),
    ],
)
def test_a_file_that_cannot_be_taken_as_a_whole_is_not_taken_at_all(folder, text, error, said):
    with pytest.raises(error) as caught:
        outcomes(folder, write(folder, text))
    assert said in str(caught.value)
    assert logged(folder) == []


def test_an_import_that_was_killed_is_taken_again(folder):
    file = write(folder, HEAD + "7,1,2024-01-01T00:00:02Z\n")
    outcomes(folder, file)
    (record,) = (folder / ".gonogo" / "serving" / "log" / "imports").iterdir()
    assert json.loads(record.read_bytes())["n_taken"] == 1
    record.unlink()  # killed just before the end
    outcomes(folder, file)
    assert len(logged(folder)) == 2  # which the join counts as one outcome and a duplicate


def test_a_full_disk_is_told_with_how_many_were_taken(folder, monkeypatch):
    monkeypatch.setattr("gonogo.workflow.outcomes._PATIENCE_S", 0.05)
    monkeypatch.setattr("os.posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(LogFailed, match="took 0 outcomes"):
        outcomes(folder, write(folder, HEAD + "7,1,2024-01-01T00:00:02Z\n"))
