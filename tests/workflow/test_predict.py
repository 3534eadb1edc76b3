"""Facts about scoring a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import gonogo
from gonogo.data.tables import read_examples
from gonogo.types.candidate import Candidate
from gonogo.types.errors import (
    ColumnMissing,
    ColumnMistyped,
    DataError,
    RecordUnknown,
    SourceEmpty,
    SourceUnreadable,
    TimeRefused,
    UsageError,
)
from gonogo.types.snapshot import Snapshot
from gonogo.workflow.train import load_model
from gonogo.workflow.workspace import open_workspace
from tests.workflow import worlds

ROWS = worlds.tables().parcels.slice(2_500, 12).drop_columns(["day", "arrived_at", "hours_late"])


def predict(folder: Path, rows: pa.Table, into: Path, **how: str) -> pa.Table:
    pq.write_table(rows, into / "rows.parquet")
    scored = gonogo.predict(folder, into / "rows.parquet", into / "out.parquet", **how)
    out = pq.read_table(into / "out.parquet")
    assert scored.n_rows == out.num_rows
    return out


def with_column(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


def test_keys_and_their_order_are_those_of_the_file(finished, tmp_path):
    shuffled = ROWS.take([7, 0, 3, 11, 3, 1])  # a key may stand twice: every row gets its answer
    out = predict(finished, shuffled, tmp_path)
    assert out.column_names == ["parcel", "p"]
    assert out.column("parcel") == shuffled.column("parcel")
    whole = dict(zip(*predict(finished, ROWS, tmp_path).to_pydict().values(), strict=True))
    assert out.column("p").to_pylist() == [whole[key] for key in shuffled.column("parcel").to_pylist()]


def test_predictions_are_to_the_bit_those_that_were_measured_on_the_test_table(finished, tmp_path):
    workspace, digests = open_workspace(finished), gonogo.run(finished).digests
    test = read_examples(workspace.records.get(Snapshot, digests["snapshot"]), "test", workspace.blobs.open_path)
    model = load_model(workspace, workspace.records.get(Candidate, digests["candidate"]), digests["candidate"])
    measured = dict(zip(test.keys.column("parcel").to_pylist(), model.predict(test.inputs).column("p").to_pylist(), strict=True))
    parcels = worlds.tables().parcels
    at = np.random.default_rng(1).permutation([i for i, key in enumerate(parcels.column("parcel").to_pylist()) if key in measured])
    out = predict(finished, parcels.take(at).drop_columns(["day", "arrived_at", "hours_late"]), tmp_path)
    assert out.num_rows == len(measured) == 902
    assert dict(zip(*out.to_pydict().values(), strict=True)) == measured


def test_csv_rows_are_scored_as_parquet_rows(finished, tmp_path):
    pa.csv.write_csv(ROWS, tmp_path / "rows.csv")
    gonogo.predict(finished, tmp_path / "rows.csv", tmp_path / "from_csv.parquet")
    assert pq.read_table(tmp_path / "from_csv.parquet") == predict(finished, ROWS, tmp_path)


def test_an_unknown_category_gets_an_answer_between_those_of_the_known_ones(finished, tmp_path):
    new = with_column(ROWS, "depot", pa.array(["zrh"] * ROWS.num_rows))
    p = predict(finished, new, tmp_path).column("p").to_numpy()
    assert ((p > 0) & (p < 1)).all()


def test_extra_columns_change_nothing_and_one_may_even_have_the_name_of_the_prediction(finished, tmp_path):
    more = ROWS.append_column("p", pa.array(range(ROWS.num_rows))).append_column("late?", pa.array([None] * ROWS.num_rows))
    assert predict(finished, more, tmp_path) == predict(finished, ROWS, tmp_path)


def test_a_file_without_rows_is_refused_and_nothing_is_written(finished, tmp_path):
    with pytest.raises(SourceEmpty, match=r"rows\.parquet has no row"):
        predict(finished, ROWS.slice(0, 0), tmp_path)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("column", ["parcel", "weight_kg", "depot", "handed_in_at"])
def test_a_missing_column_is_named_with_the_file_and_the_way_out(finished, tmp_path, column):
    with pytest.raises(ColumnMissing) as refused:
        predict(finished, ROWS.drop_columns([column]), tmp_path)
    assert column in str(refused.value)
    assert "rows.parquet" in refused.value.where
    assert "gng_fresh" not in str(refused.value)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("column", "values", "refusal"),
    [
        ("weight_kg", pa.nulls(12, pa.float64()), DataError),
        ("weight_kg", pa.array(["heavy"] * 12), ColumnMistyped),
        ("handed_in_at", pa.array([0] * 12, pa.timestamp("us")), TimeRefused),
        ("handed_in_at", pa.nulls(12, worlds.MOMENT), TimeRefused),
        ("parcel", pa.nulls(12, pa.string()), DataError),
    ],
)
def test_a_value_that_cannot_be_scored_is_refused(finished, tmp_path, column, values, refusal):
    with pytest.raises(refusal):
        predict(finished, with_column(ROWS, column, values), tmp_path)


def test_a_file_that_is_not_there_is_told_by_its_own_name(finished, tmp_path):
    with pytest.raises(SourceUnreadable) as refused:
        gonogo.predict(finished, tmp_path / "no.parquet", tmp_path / "out.parquet")
    assert refused.value.where == str(tmp_path / "no.parquet")


def test_an_answer_that_could_not_be_written_is_refused_before_any_work(finished, tmp_path):
    for out in (tmp_path, tmp_path / "no folder" / "out.parquet"):
        with pytest.raises(UsageError, match="cannot be written"):
            gonogo.predict(finished, tmp_path / "no.parquet", out)


def test_a_model_without_a_go_answers_only_when_it_is_asked_for_by_name(done, tmp_path):
    text = (done / "contract.toml").read_text()
    (done / "contract.toml").write_text(text.replace("at_least = 0.6", "at_least = 0.9"))
    run = gonogo.run(done)
    assert not run.verdict.go
    with pytest.raises(UsageError, match="No model may answer"):
        predict(done, ROWS, tmp_path)
    assert predict(done, ROWS, tmp_path, candidate=run.digests["candidate"][7:19]).num_rows == 12


@pytest.mark.parametrize("released", [False, True], ids=["in its canary", "as champion"])
def test_a_model_that_was_brought_back_answers_only_when_it_is_asked_for_by_name(done, tmp_path, released):
    run = gonogo.run(done)
    candidate, named = run.digests["candidate"], {"contract": "parcels", "rollout": "sha256:" + "3" * 64}
    assert predict(done, ROWS, tmp_path).num_rows == 12
    ledger = open_workspace(done).ledger
    if released:
        ledger.append("release", {"contract": "parcels", "candidate": candidate, "verdict": run.digests["verdict"], "why": "it is better"})
        ledger.append("rollback", {"contract": "parcels", "why": "it was not"})
    else:
        models = {"verdict": run.digests["verdict"], "champion": run.digests["champion"], "challenger": candidate}
        ledger.append("rollout_opened", {**named, **models, "why": "it is better"})
        ledger.append("rollback", {**named, "why": "it was not"})
    with pytest.raises(UsageError, match="was brought back"):
        predict(done, ROWS, tmp_path)
    assert predict(done, ROWS, tmp_path, candidate=candidate[7:19]).num_rows == 12


def test_a_folder_without_a_verdict_has_no_model_that_may_answer(tmp_path):
    with pytest.raises(UsageError, match="No model may answer"):
        predict(worlds.build(tmp_path / "new"), ROWS, tmp_path)


@pytest.mark.parametrize("what", ["snapshot", "verdict"])
def test_a_digest_that_is_no_candidate_is_refused(finished, tmp_path, what):
    with pytest.raises(RecordUnknown):
        predict(finished, ROWS, tmp_path, candidate=gonogo.run(finished).digests[what])
