"""Facts about a whole run of the small world."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import gonogo
from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger import registry
from gonogo.ledger.ledger import Ledger
from gonogo.ledger.verify import verify
from gonogo.types.errors import ExtraMissing, FamilyUnknown, StorageFailed, UsageError
from gonogo.types.verdict import Status
from gonogo.workflow.ledger import entries
from tests.workflow import worlds
from tests.workflow.command import gonogo as command

STEPS = ["snapshot", "training", "opened", "evidence", "measurements", "verdict"]


def kinds(folder: Path) -> list[str]:
    return [entry.kind for entry in entries(folder)]


def edit(folder: Path, before: str, after: str) -> None:
    text = (folder / "contract.toml").read_text()
    assert before in text
    (folder / "contract.toml").write_text(text.replace(before, after, 1))


def test_a_good_model_is_go_by_every_gate_and_slice(finished):
    run = gonogo.run(finished)
    assert run.verdict.go
    assert {r.status for r in run.verdict.rulings} == {Status.PASS}
    assert [r.slice for r in run.verdict.rulings if r.gate == "no depot is worse off"] == [f"depot={d}" for d in worlds.DEPOTS]


def test_every_row_is_in_a_table_or_counted_among_those_left_out(finished):
    run = gonogo.run(finished)
    assert sum(run.rows.values()) == worlds.N_PARCELS
    assert run.rows["dropped"] == sum(run.dropped.values()) > 0


def test_every_step_is_one_entry_and_the_test_table_was_opened_before_it_was_measured(finished):
    assert kinds(finished) == STEPS


def test_a_second_run_computes_nothing_writes_nothing_and_says_the_same(done):
    before, ledger = gonogo.run(done), SqliteLog(done / ".gonogo" / "ledger.sqlite", read_only=True)
    head, page = verify(ledger).head, before.page.read_bytes()
    blobs = sorted((done / ".gonogo" / "blobs").rglob("*"))
    again = gonogo.run(done)
    assert verify(ledger).head == head
    assert (again.digests, again.verdict, again.rows) == (before.digests, before.verdict, before.rows)
    assert again.page.read_bytes() == page
    assert sorted((done / ".gonogo" / "blobs").rglob("*")) == blobs


def test_noise_is_no_go_because_no_model_beats_the_baseline_on_it(tmp_path):
    verdict = gonogo.run(worlds.build(tmp_path, noise=True)).verdict
    (against_baseline,) = [r for r in verdict.rulings if r.gate == "better than the model it replaces"]
    assert not verdict.go
    assert against_baseline.status in (Status.INCONCLUSIVE, Status.FAIL)


def test_a_slice_with_too_few_units_is_no_evidence_and_therefore_no_go(done):
    edit(done, '[[slices]]\ncolumn = "depot"', '[[slices]]\ncolumn = "depot"\nmin_units = 45')
    verdict = gonogo.run(done).verdict
    silent = [r for r in verdict.rulings if r.status is Status.MISSING]
    assert not verdict.go
    assert {r.slice for r in silent} == {"depot=ber", "depot=fra"}
    assert all("units" in r.sentence for r in silent)


def test_a_gate_without_a_figure_of_its_name_is_an_error_and_no_go(done):
    edit(done, 'metric = "roc_auc"', 'metric = "roc_ouch"')
    verdict = gonogo.run(done).verdict
    assert (verdict.go, verdict.status) == (False, Status.ERROR)


def test_an_edited_gate_is_judged_on_the_same_snapshot_and_candidate_with_new_evidence(done):
    before = gonogo.run(done)
    edit(done, "at_least = 0.6", "at_least = 0.9")
    after = gonogo.run(done)
    assert not after.verdict.go
    assert after.digests["snapshot"] == before.digests["snapshot"]
    assert after.digests["candidate"] == before.digests["candidate"]
    assert after.digests["evidence"] != before.digests["evidence"]
    assert kinds(done) == [*STEPS, "opened", "evidence", "verdict"]  # what a clock said of the same candidate stands


def test_the_ledger_counts_how_often_the_test_table_was_opened_for_a_candidate(done):
    candidate = gonogo.run(done).digests["candidate"]
    assert registry.opened(entries(done), candidate) == 1
    edit(done, "at_least = 0.6", "at_least = 0.5")
    gonogo.run(done)
    assert registry.opened(entries(done), candidate) == 2


def test_a_changed_source_makes_everything_anew(done):
    before = gonogo.run(done)
    parcels = pq.read_table(done / "parcels.parquet")
    pq.write_table(parcels.slice(0, parcels.num_rows - 1), done / "parcels.parquet")
    after = gonogo.run(done)
    for what in ("snapshot", "candidate", "evidence", "measurements", "verdict"):
        assert after.digests[what] != before.digests[what]
    assert kinds(done) == STEPS * 2


def test_a_source_written_anew_with_the_same_rows_gives_the_same_tables_to_the_byte(done):
    before = gonogo.snapshot(done)
    pq.write_table(pq.read_table(done / "parcels.parquet"), done / "parcels.parquet", compression="zstd", row_group_size=500)
    after = gonogo.snapshot(done)
    assert pq.ParquetFile(done / "parcels.parquet").num_row_groups == 6
    assert after.sources != before.sources
    assert after.tables == before.tables


def test_the_same_rows_from_csv_end_in_the_same_verdict(finished, tmp_path):
    from_parquet, from_csv = gonogo.run(finished), gonogo.run(worlds.build_from_csv(tmp_path))
    assert from_csv.rows == from_parquet.rows
    deterministic = [(r.gate, r.slice, r.value, r.low, r.high) for r in from_csv.verdict.rulings if "latency" not in r.metric]
    expected = [(r.gate, r.slice, r.value, r.low, r.high) for r in from_parquet.verdict.rulings if "latency" not in r.metric]
    assert [d for d in deterministic if d[0] != "cheap enough"] == [e for e in expected if e[0] != "cheap enough"]


def test_one_learner_with_two_parameters_is_two_trials(tmp_path, done):
    edit(
        done,
        'name = "logistic_regression"',
        'name = "logistic_regression"\n\n[[learners]]\nname = "logistic_regression"\nparams = { C = 1e-4 }',
    )
    trials = gonogo.train(done).trials
    assert [(t.learner, t.params.get("C")) for t in trials[:2]] == [("logistic_regression", 1.0), ("logistic_regression", 1e-4)]
    assert sum(t.chosen for t in trials) == 1
    assert "C=1.0" in command("train", done).out


def test_a_clock_that_was_set_back_stops_nothing_and_the_order_of_entries_stands(done):
    ledger = Ledger(SqliteLog(done / ".gonogo" / "ledger.sqlite"), by="tomorrow", now=lambda: datetime(2099, 1, 1, tzinfo=UTC))
    ledger.append("note", {"text": "written by a clock that runs ahead"})
    edit(done, "at_least = 0.6", "at_least = 0.65")
    assert gonogo.run(done).verdict.go
    found = entries(done)
    assert [e.seq for e in found] == list(range(1, len(found) + 1))
    assert found[-1].at < found[len(STEPS)].at
    assert verify(SqliteLog(done / ".gonogo" / "ledger.sqlite", read_only=True)).n == len(found)


def test_each_step_alone_goes_as_far_as_its_name_and_no_further(tmp_path):
    folder = worlds.build(tmp_path)
    for step, until in (("snapshot", 1), ("train", 2), ("measure", 4), ("decide", 6)):
        getattr(gonogo, step)(folder)
        assert kinds(folder) == STEPS[:until]
    assert gonogo.run(folder).verdict.go
    assert kinds(folder) == STEPS


def test_an_unknown_family_is_refused_before_a_byte_of_data_is_read(tmp_path):
    folder = worlds.build(tmp_path, {'family = "tabular"': 'family = "tabula"'})
    (folder / "parcels.parquet").write_bytes(b"no Parquet")
    with pytest.raises(FamilyUnknown, match="tabular"):
        gonogo.run(folder)
    assert kinds(folder) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name = "logistic_regression"', 'name = "logistic"'),
        ('name = "logistic_regression"', 'name = "logistic_regression"\nparams = { c = 1.0 }'),
        ('select_by = "log_loss"', 'select_by = "logloss"'),
    ],
)
def test_a_learner_or_figure_that_does_not_exist_is_refused_before_a_byte_of_data_is_read(tmp_path, before, after):
    folder = worlds.build(tmp_path, {before: after})
    (folder / "parcels.parquet").write_bytes(b"no Parquet")
    with pytest.raises(UsageError, match=r"there is no (learner|parameter|metric)"):
        gonogo.run(folder)


def test_a_learner_whose_library_is_not_installed_says_what_to_install(done, monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)  # as where the extra is not installed
    edit(done, 'name = "logistic_regression"', 'name = "xgboost"')
    with pytest.raises(ExtraMissing) as refused:
        gonogo.run(done)
    assert "gonogo[tabular]" in str(refused.value)
    assert kinds(done) == STEPS


def test_a_state_folder_that_cannot_be_made_is_a_failure_of_the_surroundings(tmp_path):
    folder = worlds.build(tmp_path)
    (folder / ".gonogo").write_text("a file where the folder should be")
    with pytest.raises(StorageFailed):
        gonogo.run(folder)


def test_a_run_tells_its_progress_step_by_step(tmp_path):
    told: list[tuple[str, str]] = []
    gonogo.run(worlds.build(tmp_path), progress=lambda step, doing: told.append((step, doing)))
    assert list(dict.fromkeys(step for step, _ in told)) == ["snapshot", "train", "measure", "decide", "page"]
    assert json.dumps(told)
