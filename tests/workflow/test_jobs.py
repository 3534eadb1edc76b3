"""Rows that were submitted are answered by a process of their own, as a file with the same rows is."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import gonogo
from gonogo.ledger.registry import last
from gonogo.serving.jobs import Jobs, is_at_work
from gonogo.workflow.jobs import open_jobs, run_jobs
from gonogo.workflow.workspace import open_workspace
from tests.serving.test_jobs import submit
from tests.workflow import worlds

ROWS = worlds.tables().parcels.slice(2_500, 12).drop_columns(["day", "arrived_at", "hours_late"])


@pytest.fixture(scope="module")
def folder(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(finished, tmp_path_factory.mktemp("jobs") / "parcels")


def asked() -> list[dict[str, Any]]:
    return [{**row, "handed_in_at": row["handed_in_at"].isoformat()} for row in ROWS.to_pylist()]


def lines(jobs: Jobs, identity: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in jobs.result(identity).read_text().splitlines()]


def test_a_job_has_the_answers_of_the_model_that_answers_requests(folder, tmp_path):
    """Nothing was released here: the baseline does, not the candidate that is only allowed to be."""
    jobs = Jobs(folder / ".gonogo/serving/jobs", lambda: None)
    record = submit(jobs, {"contract": "parcels", "rows": asked(), "by": "local"})
    assert run_jobs(folder) == 1
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    baseline = last(open_workspace(folder).ledger.entries("training"), "training").body["baseline"]
    gonogo.predict(folder, tmp_path / "rows.parquet", tmp_path / "out.parquet", candidate=baseline)
    assert lines(jobs, record["id"]) == pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert sorted(path.name for path in jobs.result(record["id"]).parent.iterdir()) == ["record.json", "result.jsonl"]


@pytest.mark.parametrize(
    ("change", "where"),
    [({"weight_kg": None}, "rows[0].weight_kg"), ({"weight": 1}, "weight"), ({"handed_in_at": "2024-05-01T10:00:00"}, "handed_in_at")],
)
def test_rows_that_are_refused_fail_the_job_with_the_place(folder, change, where):
    jobs = Jobs(folder / ".gonogo/serving/jobs", lambda: None)
    record = submit(jobs, {"contract": "parcels", "rows": [{**asked()[0], **change}], "by": "local"})
    run_jobs(folder)
    failed = jobs.get(record["id"])
    assert failed["status"] == "failed"
    assert where in failed["error"]["where"] + failed["error"]["message"]


def test_a_job_of_another_contract_fails(folder):
    jobs = Jobs(folder / ".gonogo/serving/jobs", lambda: None)
    record = submit(jobs, {"contract": "letters", "rows": asked(), "by": "local"})
    run_jobs(folder)
    assert jobs.get(record["id"])["error"]["code"] == "GNG-H005"


def test_a_submitted_job_is_taken_up_by_a_process_that_ends_by_itself(folder):
    jobs = open_jobs(folder)
    record = submit(jobs, {"contract": "parcels", "rows": asked(), "by": "local"})
    until = time.monotonic() + 60
    while jobs.get(record["id"])["status"] in ("queued", "running") and time.monotonic() < until:
        time.sleep(0.02)
    assert len(lines(jobs, record["id"])) == 12
    while is_at_work(folder / ".gonogo/serving/jobs"):
        assert time.monotonic() < until
