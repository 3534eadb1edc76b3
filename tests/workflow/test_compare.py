"""Facts about holding two verdicts against each other."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import gonogo
from gonogo.types.errors import BlobCorrupt, RecordUnknown, UsageError
from gonogo.types.evidence import Evidence, Of
from gonogo.types.record import canonical
from gonogo.types.verdict import Status
from gonogo.workflow.contrast import Answer
from gonogo.workflow.ledger import entries
from gonogo.workflow.workspace import open_recorded
from tests.workflow.command import gonogo as command
from tests.workflow.test_replay import blob


@dataclass(frozen=True)
class Verdicts:
    """One ledger with verdicts that differ in one thing each."""

    folder: Path
    first: gonogo.workflow.run.Run  # type: ignore[name-defined]
    shrunk: gonogo.workflow.run.Run  # type: ignore[name-defined]  the same learner, its weights drawn towards 0
    fewer_inputs: gonogo.workflow.run.Run  # type: ignore[name-defined]
    stricter: gonogo.workflow.run.Run  # type: ignore[name-defined]  the first candidate before a stricter gate
    later: gonogo.workflow.run.Run  # type: ignore[name-defined]  the test table begins later


@pytest.fixture(scope="module")
def verdicts(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("compare") / "parcels")
    written = (folder / "contract.toml").read_text()
    docks = written[written.index("[features.docks]") : written.index("[split]")]
    changes = {
        "first": ("", ""),
        "shrunk": ('name = "logistic_regression"', 'name = "logistic_regression"\nparams = { C = 0.001 }'),
        "fewer_inputs": (docks, ""),
        "stricter": ("at_least = 0.6", "at_least = 0.9"),  # and under another name
        "later": ("2024-04-15T", "2024-04-20T"),
    }
    runs = {}
    for name, (before, after) in changes.items():
        text = written.replace('"parcels"', '"parcels-eu"', 1) if name == "stricter" else written
        (folder / "contract.toml").write_text(text.replace(before, after, 1))
        runs[name] = gonogo.run(folder)
    (folder / "contract.toml").write_text(written)
    return Verdicts(folder=folder, **runs)


def compared(verdicts, a, b, **asked):
    one, other = (getattr(verdicts, name).digests["verdict"] for name in (a, b))
    return gonogo.compare(one, other, folder=verdicts.folder, **asked)


def typed(verdicts, a, b, *more):
    one, other = (getattr(verdicts, name).digests["verdict"][7:17] for name in (a, b))
    return command("compare", one, other, "--folder", verdicts.folder, *more)


def test_a_worse_model_is_named_and_so_is_the_better_one_when_the_sides_change(verdicts):
    worse, better = compared(verdicts, "first", "shrunk"), compared(verdicts, "shrunk", "first")
    assert (worse.answer, better.answer) == (Answer.WORSE, Answer.BETTER)
    for one, other in zip(worse.figures, better.figures, strict=True):
        assert one.difference.metric == other.difference.metric
        assert one.difference.value == pytest.approx(-other.difference.value)
        assert one.a == pytest_like(other.b)


def pytest_like(estimate):
    """The champion's figure of one comparison is the challenger's of the other."""
    from dataclasses import replace

    return replace(estimate, of=Of.CHAMPION)


def test_what_each_scored_is_what_its_own_verdict_rests_on(verdicts):
    found = compared(verdicts, "first", "shrunk")
    records, _ = open_recorded(verdicts.folder)
    for name, side in (("first", "a"), ("shrunk", "b")):
        own = records.get(Evidence, getattr(verdicts, name).digests["evidence"])
        values = {e.metric: e.value for e in own.estimates if e.of is Of.CHALLENGER and not e.slice}
        assert {c.figure.metric: getattr(c, side).value for c in found.figures} == values


def test_every_difference_has_its_p_value_adjusted_and_what_could_have_been_seen(verdicts):
    found = compared(verdicts, "first", "shrunk")
    assert {c.difference.metric for c in found.figures} >= {"log_loss", "roc_auc", "average_precision"}
    for c in found.figures:
        assert c.p_value <= c.p_adjusted <= 1
        assert c.could_have_seen > 0
        assert (c.p_value < 0.05) == (not c.difference.interval.low <= 0 <= c.difference.interval.high)
    assert (found.n_rows, found.n_units) == (verdicts.first.rows["test"], 45)


def test_models_of_other_inputs_are_paired_on_the_same_decisions(verdicts):
    found = compared(verdicts, "first", "fewer_inputs")
    assert found.answer is Answer.UNSEEN
    assert "not to say that they are equal" in found.because
    assert any(c.what.startswith("input docks") and c.b == "" for c in found.changed)
    assert any(c.what == "contract features.docks" for c in found.changed)


def test_not_worse_is_said_only_by_a_stated_margin(verdicts):
    assert compared(verdicts, "first", "fewer_inputs", margins={"log_loss": 0.02}).answer is Answer.NOT_WORSE
    assert compared(verdicts, "first", "fewer_inputs", margins={"log_loss": 1e-6}).answer is Answer.UNSEEN
    assert compared(verdicts, "first", "shrunk", margins={"log_loss": 0.5}).answer is Answer.WORSE


def test_the_gates_against_the_champion_are_the_margin_where_none_is_given(verdicts):
    (margin,) = compared(verdicts, "first", "fewer_inputs").margins
    assert (margin.metric, margin.limit, margin.kept) == ("log_loss", 0.0, False)


def test_one_model_before_two_contracts_is_the_same_and_names_and_rulings_are_told(verdicts):
    found = compared(verdicts, "first", "stricter")
    assert found.answer is Answer.SAME
    (changed,) = found.rulings
    assert (changed.gate, changed.a) == ("ranks late parcels above punctual ones", Status.PASS)
    assert changed.b is not Status.PASS
    assert [(c.what, c.a, c.b) for c in found.changed] == [
        ("contract name", "parcels", "parcels-eu"),
        ("contract gates.ranks late parcels above punctual ones.at_least", "0.6", "0.9"),
    ]
    assert (found.a.contract_name, found.b.contract_name) == ("parcels", "parcels-eu")


def test_other_test_rows_are_put_side_by_side_and_no_winner_is_named(verdicts):
    found = compared(verdicts, "first", "later")
    assert found.answer is Answer.UNPAIRED
    assert f"A was measured on {verdicts.first.rows['test']:,} test rows" in found.because
    assert found.n_rows is None
    for c in found.figures:
        assert c.difference is None is c.p_value
        assert c.a.interval is not None
        assert c.b.interval is not None


def test_both_looks_at_the_test_table_and_the_comparison_are_in_the_ledger_and_asking_again_adds_nothing(verdicts):
    once = compared(verdicts, "first", "shrunk")
    before = entries(verdicts.folder)
    assert canonical(compared(verdicts, "first", "shrunk")) == canonical(once)
    assert entries(verdicts.folder) == before
    opened = {entry.body["candidate"] for entry in before if entry.kind == "opened"}
    assert {verdicts.first.digests["candidate"], verdicts.shrunk.digests["candidate"]} <= opened
    comparisons = [e.body for e in before if e.kind == "comparison" and e.body["a"] == once.a.verdict and e.body["b"] == once.b.verdict]
    assert {body["answer"] for body in comparisons} == {"worse"}
    gonogo.verify(verdicts.folder)


def test_a_comparison_needs_neither_the_data_nor_todays_contract(verdicts, tmp_path):
    expected = compared(verdicts, "first", "shrunk")
    folder = shutil.copytree(verdicts.folder, tmp_path / "alone")
    shutil.rmtree(folder / ".gonogo" / "scratch")
    for file in folder.iterdir():
        if file.is_file():
            file.unlink()
    margins = {"log_loss": 0.001}  # not yet compared so: nothing is answered from the ledger
    found = gonogo.compare(expected.a.verdict, expected.b.verdict, folder=folder, margins=margins)
    assert found.figures == expected.figures


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("a", "b", "more", "status", "head"),
    [
        ("first", "shrunk", (), 1, "B IS WORSE"),
        ("shrunk", "first", (), 0, "B IS BETTER"),
        ("first", "fewer_inputs", (), 1, "NO DIFFERENCE SEEN"),
        ("first", "fewer_inputs", ("--margin", "log_loss=0.02", "roc_auc=0.02"), 0, "B IS NOT WORSE"),
        ("first", "stricter", (), 0, "THE SAME MODEL"),
        ("first", "later", (), 1, "CANNOT BE COMPARED"),
    ],
)
def test_the_answer_comes_first_and_is_the_exit_status(verdicts, a, b, more, status, head):
    answer = typed(verdicts, a, b, *more)
    assert answer.status == status
    assert answer.out.startswith(head)
    assert answer.out.rstrip().splitlines()[-1].startswith("next: ")


def test_the_text_shows_difference_p_power_and_what_changed(verdicts):
    out = typed(verdicts, "first", "shrunk").out
    line = next(line for line in out.splitlines() if line.startswith("  roc_auc"))
    assert "worse" in line
    assert "p 0.0" in line
    assert "could have seen" in line
    assert "candidate params C" in out
    assert "rulings that changed" not in out


def test_a_margin_that_is_kept_is_shown_with_its_limit(verdicts):
    out = typed(verdicts, "first", "fewer_inputs", "--margin", "roc_auc=0.02").out
    assert "margin kept  roc_auc at least -0.02  --margin" in out


def test_json_is_the_record(verdicts):
    record = typed(verdicts, "first", "shrunk", "--json").record
    assert record["answer"] == "worse"
    assert record["figures"][0]["difference"]["of"] == "difference"
    assert typed(verdicts, "first", "later", "--json").record["n_rows"] is None


def test_wrong_usage_says_what_would_be_right(verdicts):
    for more, said in (
        (("--margin", "log_loss"), "'log_loss' is no margin"),
        (("--margin", "log_loss=-1"), "above 0"),
        (("--margin", "auc=0.1"), "No figure is named auc"),
    ):
        answer = typed(verdicts, "first", "shrunk", *more)
        assert answer.status == 2
        assert said in answer.err
    with pytest.raises(UsageError, match="another one"):
        compared(verdicts, "first", "first")


def test_an_unknown_verdict_an_empty_one_and_a_folder_without_a_ledger_are_errors(verdicts, tmp_path):
    digest = verdicts.first.digests["verdict"]
    with pytest.raises(RecordUnknown, match="No records"):
        gonogo.compare(digest, "ffffffff", folder=verdicts.folder)
    with pytest.raises(RecordUnknown, match="No records"):
        gonogo.compare(digest, digest[7:10], folder=verdicts.folder)
    with pytest.raises(UsageError, match="by its digest"):
        gonogo.compare("", digest, folder=verdicts.folder)
    with pytest.raises(UsageError, match="no ledger"):
        gonogo.compare(digest, digest, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["contract", "snapshot", "candidate", "evidence", "model"])
def test_a_flipped_byte_in_anything_that_it_rests_on_is_found(verdicts, tmp_path, what):
    folder = shutil.copytree(verdicts.folder, tmp_path / "torn")
    digests = verdicts.shrunk.digests
    digest = digests[what] if what != "model" else model_file(folder, digests["candidate"])
    path = blob(folder, digest)
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    shutil.rmtree(folder / ".gonogo" / "scratch")
    with pytest.raises(BlobCorrupt):
        gonogo.compare(digests["verdict"], verdicts.fewer_inputs.digests["verdict"], folder=folder)


def model_file(folder, candidate):
    from gonogo.types.candidate import Candidate

    records, _ = open_recorded(folder)
    return next(iter(records.get(Candidate, candidate).artifact.values()))
