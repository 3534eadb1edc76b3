"""Facts about `gonogo differ`: files in, the answer first."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import gonogo
from gonogo.stats.differences import Answer
from tests.workflow.command import gonogo as run


def write(path, n, seed, *, shift=0.0, **more):
    rng = np.random.default_rng(seed)
    columns = {
        "amount": rng.normal(shift, 1, n),
        "country": rng.choice(["CH", "IT", "FR"], n),
        "card": [f"card {i}" for i in rng.integers(0, 10**9, n)],
        "is_new": rng.random(n) < 0.4,
        "day": rng.integers(0, 40, n),
    }
    made = pa.table(columns | more)
    if path.suffix == ".parquet":
        pq.write_table(made, path)
    else:
        pa.csv.write_csv(made, path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return {
        "a": write(folder / "a.parquet", 20_000, 1),
        "b": write(folder / "b.parquet", 20_000, 2),
        "moved": write(folder / "moved.csv", 20_000, 3, shift=0.5),
        "few": write(folder / "few.parquet", 60, 4),
    }


def test_two_files_of_one_population_end_with_0_and_say_so_first(files):
    answer = run("differ", files["a"], files["b"])
    assert answer.status == 0
    assert answer.out.startswith("NO DIFFERENCE that matters  A ")
    assert answer.out.splitlines()[-1] == "next: nothing"


def test_a_column_that_moved_ends_with_1_and_stands_first_whatever_the_format(files):
    answer = run("differ", files["a"], files["moved"])
    first, second, *_ = answer.out.splitlines()
    assert answer.status == 1
    assert first.startswith("THEY DIFFER  A ")
    assert second.split()[:3] == ["differs", "feature", "amount"]
    assert "next, feature: " in answer.out


def test_few_rows_end_with_1_for_no_evidence_is_no_pass_and_say_how_many_are_needed(files):
    answer = run("differ", files["a"], files["few"])
    assert answer.status == 1
    assert answer.out.startswith("CANNOT TELL")
    assert "a side would tell" in answer.out


def test_the_record_holds_what_the_text_shows(files):
    record = json.loads(run("differ", files["a"], files["moved"], "--json", "--columns", "amount").out)
    assert record["answer"] == "differs"
    first = record["columns"][0]
    assert (first["column"], first["answer"]) == ("amount", "differs")
    effect = first["measured"][0]["tested"]["effect"]
    assert effect["interval"]["low"] < effect["value"] < effect["interval"]["high"]


def test_margins_columns_and_units_may_be_named(files):
    margins = ["hedges_g=1", "superiority=0.3", "distance=0.5", "auc=0.4"]
    wide = run("differ", files["a"], files["moved"], "--columns", "amount", "--margin", *margins)
    assert wide.status == 0
    by_day = run("differ", files["a"], files["b"], "--columns", "amount", "--unit", "day")
    assert "40 units" in by_day.out


def test_ids_that_are_too_many_to_keep_are_compared_by_hash(tmp_path):
    paths = []
    for side in (0, 1):
        ids = pa.table({"id": [f"{side}-{i}" for i in range(120_000)], "x": np.random.default_rng(side).normal(size=120_000)})
        paths.append(tmp_path / f"{side}.parquet")
        pq.write_table(ids, paths[-1])
    found = gonogo.differ(*paths)
    assert found.answer is Answer.TRIVIAL


def test_missing_values_and_times_arrive_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    when = pa.array(np.datetime64("2025-01-01T00:00", "us") + rng.integers(0, 10**10, 5000), mask=rng.random(5000) < 0.2)
    word = pa.array(rng.choice(["x", "y"], 5000), mask=rng.random(5000) < 0.1)
    number = pa.array(rng.integers(0, 99, 5000), mask=rng.random(5000) < 0.3)
    pq.write_table(pa.table({"when": when, "word": word, "number": number}), tmp_path / "a.parquet")
    found = gonogo.differ(tmp_path / "a.parquet", tmp_path / "a.parquet")
    metrics = {one.column: {m.tested.effect.metric for m in one.measured} for one in found.columns if one.kind == "feature"}
    assert all("difference of missing shares" in measured for measured in metrics.values())
    missing = {
        one.column: m.tested.effect.value
        for one in found.columns
        for m in one.measured
        if m.tested.effect.metric == "difference of missing shares"
    }
    assert set(missing.values()) == {0.0}


def test_a_column_of_one_file_only_is_named(files, tmp_path):
    more = write(tmp_path / "more.parquet", 20_000, 5, extra=np.arange(20_000))
    answer = run("differ", files["a"], more)
    assert answer.status == 1
    assert "only in B" in answer.out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["missing.parquet", "{a}"], "GNG-D002", "missing.parquet cannot be opened"),
        (["{a}", "{empty}"], "GNG-D003", "has no rows"),
        (["{a}", "{b}", "--unit", "nobody"], "GNG-U001", "no column 'nobody'"),
        (["{a}", "{b}", "--margin", "charm=1"], "GNG-U001", "there is no margin charm"),
        (["{a}", "{b}", "--margin", "distance"], "GNG-U001", "is no margin"),
        (["{a}", "{b}", "--margin", "distance=0"], "GNG-U001", "must be above 0"),
    ],
)
def test_what_the_caller_can_mend_ends_with_2_and_names_it(files, tmp_path, arguments, code, says):
    pq.write_table(pa.table({"amount": pa.array([], pa.float64())}), tmp_path / "empty.parquet")
    given = [text.format(**files, empty=tmp_path / "empty.parquet") for text in arguments]
    answer = run("differ", *given)
    assert answer.status == 2
    assert code in answer.err
    assert says in answer.err


def test_units_that_are_too_many_to_keep_stay_apart_and_a_missing_one_is_an_error(tmp_path):
    users = [f"user {i}" for i in range(70_000)]
    pq.write_table(pa.table({"user": users, "x": np.random.default_rng(0).normal(size=70_000)}), tmp_path / "a.parquet")
    found = gonogo.differ(tmp_path / "a.parquet", tmp_path / "a.parquet", unit="user", columns=["x"])
    assert found.n_units == 70_000
    pq.write_table(pa.table({"user": [None, *users[1:]], "x": np.zeros(70_000)}), tmp_path / "b.parquet")
    answer = run("differ", tmp_path / "a.parquet", tmp_path / "b.parquet", "--unit", "user", "--columns", "x")
    assert answer.status == 2
    assert "the unit 'user' is missing in 1 rows" in answer.err


def test_units_beyond_what_a_float_can_hold_stay_apart(tmp_path):
    pq.write_table(pa.table({"id": 2**60 + np.arange(500), "x": np.random.default_rng(0).normal(size=500)}), tmp_path / "a.parquet")
    assert gonogo.differ(tmp_path / "a.parquet", tmp_path / "a.parquet", unit="id").n_units == 500


def test_two_copies_of_one_file_do_not_differ(files):
    assert run("differ", files["a"], files["a"]).status == 0
