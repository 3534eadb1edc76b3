"""Facts about which record holds: the newest, also where it was found and not made; and about what a candidate reads."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

import gonogo
from gonogo.training.environment import environment
from gonogo.types.candidate import Candidate
from gonogo.types.errors import UsageError
from gonogo.types.record import digest
from gonogo.types.snapshot import Snapshot
from gonogo.workflow.ledger import entries
from gonogo.workflow.workspace import open_workspace
from tests.workflow import worlds

ROWS = worlds.tables().parcels.slice(2_500, 12).drop_columns(["day", "arrived_at", "hours_late"])
EASY, HARD = "at_least = 0.6", "at_least = 0.9"


def edit(folder: Path, before: str, after: str) -> None:
    text = (folder / "contract.toml").read_text()
    assert before in text
    (folder / "contract.toml").write_text(text.replace(before, after, 1))


def predicted(folder: Path, into: Path, **how: str) -> list[float]:
    pq.write_table(ROWS, into / "rows.parquet")
    gonogo.predict(folder, into / "rows.parquet", into / "out.parquet", **how)
    return pq.read_table(into / "out.parquet").column("p").to_pylist()


def test_a_no_go_that_was_found_in_the_ledger_ends_a_go_that_came_after_it(done, tmp_path):
    for before, after, go in ((EASY, HARD, False), (HARD, EASY, True), (EASY, HARD, False)):
        edit(done, before, after)
        assert gonogo.run(done).verdict.go is go
    with pytest.raises(UsageError, match="No model may answer"):
        predicted(done, tmp_path)
    kinds = [entry.kind for entry in entries(done)]
    gonogo.run(done)
    assert [entry.kind for entry in entries(done)] == kinds  # what is the newest already is not written again


def test_a_verdict_is_reached_again_where_the_code_that_reached_it_has_changed(finished):
    verdict = next(entry for entry in entries(finished) if entry.kind == "verdict")
    depends_on = {"docket": verdict.body["docket"], "environment": environment()}
    assert verdict.body["key"] == digest({"kind": "verdict", **depends_on})


@pytest.mark.parametrize(
    ("before", "after"), [('sql = "weight_kg"', 'sql = "weight_kg * 100"'), ("minutes_behind = 2", "minutes_behind = 0")]
)
def test_a_candidate_reads_what_it_was_trained_on_whatever_the_contract_says_since(done, tmp_path, before, after):
    expected = predicted(done, tmp_path)
    edit(done, before, after)
    assert predicted(done, tmp_path) == expected


def test_a_candidate_reads_its_events_where_they_lie_today(done, tmp_path):
    expected = predicted(done, tmp_path)
    (done / "scans.parquet").rename(done / "moved.parquet")
    edit(done, '"scans.parquet"', '"moved.parquet"')
    assert predicted(done, tmp_path) == expected


@pytest.mark.parametrize("kind", ["table", "candidate", "model"])
def test_a_stored_file_that_is_gone_is_made_again_by_the_next_run(done, kind):
    run, workspace = gonogo.run(done), open_workspace(done)
    candidate = workspace.records.get(Candidate, run.digests["candidate"])
    table = workspace.records.get(Snapshot, run.digests["snapshot"]).tables["train"].blob
    lost = {"table": table, "candidate": run.digests["candidate"], "model": candidate.artifact["model.json"]}[kind]
    workspace.blobs.open_path(lost).unlink()
    again = gonogo.run(done)
    assert again.verdict.go
    assert workspace.blobs.open_path(lost).is_file()  # to the byte: its name is its digest
