"""Facts about the command line: what stands on stdout, what on stderr, and how it ends."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gonogo.types.record import to_json
from gonogo.workflow.ledger import entries
from tests.workflow import worlds
from tests.workflow.command import gonogo

GATES = re.findall(r'\[\[gates\]\]\nname = "(.*)"', worlds.CONTRACT)
FIGURE = re.compile(r"-?[\d.e-]+ \[-?[\d.e-]+, -?[\d.e-]+\]")


def columns(lines: list[str], word: str) -> set[int]:
    return {line.index(word) for line in lines if word in line}


def test_the_text_of_a_run_answers_first_then_gives_the_evidence_then_the_next_step(finished):
    answer = gonogo("run", finished)
    first, *rest = answer.out.splitlines()
    assert (answer.status, answer.err) == (0, "")
    assert re.fullmatch(r"GO  parcels  candidate \w{12}  against baseline \w{12}  verdict \w{12}", first)
    rulings = [line for line in rest if line.startswith("  pass")]
    assert len(rulings) == 10
    assert all(FIGURE.search(line) for line in rulings)
    assert len(columns(rulings, "limit ")) == 1  # columns align
    assert len({line.index(gate) for line in rulings for gate in GATES if line.endswith(gate)}) == 1
    assert rest[-4:-2] == ["rows: train 1,394  validate 665  test 902", rest[-3]]
    assert rest[-3].startswith("left out: 16 embargo before test")
    assert rest[-2].startswith("page: ")
    assert Path(rest[-2].removeprefix("page: ")).is_file()
    assert rest[-1].startswith("next: ")


def test_a_no_go_says_beneath_each_ruling_that_failed_why(tmp_path):
    answer = gonogo("run", worlds.build(tmp_path, noise=True))
    assert answer.status == 1
    assert answer.out.startswith("NO-GO  parcels")
    assert re.search(r"\n  fail +roc_auc [^\n]*\n      Roc auc is [^|]*harm is\s+shown", answer.out)
    assert re.search(r"\nnext: look at '.*' on the page\n", answer.out)


def test_a_waived_finding_is_named_where_its_gate_passes(tmp_path):
    folder = worlds.build(tmp_path, more=worlds.LEAK)
    blocked = gonogo("run", folder)
    assert (blocked.status, "next: gonogo explain GNG-K001" in blocked.out) == (1, True)
    found = re.findall(r"^  open +(GNG-\w+) +(\S+)", blocked.out, re.MULTILINE)
    assert len(found) == 2
    for code, where in found:
        waived = gonogo(
            "waive", folder, "--code", code, "--where", where, "--name", "Ada", "--reason", "made up", "--until", "2999-01-01T00:00Z"
        )
        assert (waived.status, f"{code} at {where} is waived by Ada" in waived.out) == (0, True)
    passed = gonogo("run", folder)
    assert passed.status == 0
    assert "2 waived: features.hours_late, train.hours_late" in passed.out


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("snapshot", "snapshot as of 2024-06-15T00:00:00Z: 6 inputs"),
        ("train", "candidate: logistic_regression, seed 5"),
        ("measure", "test: 902 rows of 45 units, against the baseline"),
        ("decide", "GO  candidate "),
    ],
)
def test_each_step_prints_its_record_as_text_and_as_json(finished, step, says):
    import gonogo as api

    as_text, as_json = gonogo(step, finished), gonogo(step, finished, "--json")
    assert (as_text.status, as_json.status, as_text.err, as_json.err) == (0, 0, "", "")
    assert as_text.out.startswith(says)
    assert as_json.record == json.loads(json.dumps(to_json(getattr(api, step)(finished))))


def test_decide_of_a_no_go_ends_with_status_1(done):
    text = (done / "contract.toml").read_text()
    (done / "contract.toml").write_text(text.replace("at_least = 0.6", "at_least = 0.9"))
    assert gonogo("decide", done).status == 1
    assert gonogo("decide", done, "--json").status == 1


def test_run_json_is_one_object_with_the_figures_that_the_text_shows(finished):
    record = gonogo("run", finished, "--json").record
    assert (record["verdict"], record["status"]) == ("go", "pass")
    assert record["rows"] == {"train": 1394, "validate": 665, "test": 902, "dropped": 39}
    assert Path(record["page"]).is_file()


def test_the_ledger_is_listed_and_verified_against_a_head_kept_elsewhere(done):
    listed, as_json = gonogo("ledger", "list", done), gonogo("ledger", "list", done, "--json")
    assert [line.split()[4] for line in listed.out.splitlines()] == [e.kind for e in entries(done)]
    assert [entry["seq"] for entry in as_json.record] == [e.seq for e in entries(done)]
    verified = gonogo("ledger", "verify", done)
    (head,) = re.findall(r"^head (sha256:\w{64})$", verified.out, re.MULTILINE)
    assert (verified.status, gonogo("ledger", "verify", done, "--head", head).status) == (0, 0)
    cut = gonogo("ledger", "verify", done, "--head", "sha256:" + "1" * 64)
    assert (cut.status, cut.err.startswith("GNG-L002")) == (3, True)


def test_replay_says_the_verdict_and_that_the_bytes_are_the_same(finished):
    verdict = gonogo("run", finished, "--json").record["digests"]["verdict"]
    as_text, as_json = gonogo("replay", verdict[7:19], "--folder", finished), gonogo("replay", verdict, "--folder", finished, "--json")
    assert re.fullmatch(rf"GO  {verdict[7:19]}  the same [\d,]+ bytes again\n", as_text.out)
    assert (as_json.record["verdict"], as_json.record["same_bytes"]) == (verdict, True)


def test_page_prints_the_path_of_the_page_of_the_newest_or_of_a_named_verdict(finished):
    verdict = gonogo("run", finished, "--json").record["digests"]["verdict"]
    newest, named = gonogo("page", finished), gonogo("page", finished, "--verdict", verdict[7:17])
    assert newest.out == named.out
    assert Path(newest.out.strip()).read_text().startswith("<!doctype html>")


def test_predict_says_how_many_rows_were_scored_and_where_they_are(finished, tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(worlds.tables().parcels.slice(0, 7), tmp_path / "rows.parquet")
    answer = gonogo("predict", finished, "--in", tmp_path / "rows.parquet", "--out", tmp_path / "out.parquet")
    assert re.fullmatch(rf"7 rows scored by candidate \w{{12}} → {tmp_path}/out\.parquet\n", answer.out)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 7


def test_explain_prints_the_page_of_a_code_and_every_key_of_the_contract():
    assert gonogo("explain", "GNG-D002").out.startswith("# GNG-D002: ")
    assert "decided_at" in gonogo("explain", "contract").out
    assert gonogo("explain", "GNG-X999").status == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["run", "--frobnicate"],
        ["run", "a", "b"],
        ["predict", "."],
        ["ledger"],
        ["ledger", "forge"],
        ["replay"],
        ["init", "folder"],
        ["waive", "--code", "GNG-K001"],
        ["run", "no such folder"],
        ["ledger", "list", "no such folder"],
        ["ledger", "verify", "no such folder"],
        ["page", "no such folder"],
        ["replay", "abcdef123456", "--folder", "no such folder"],
        ["explain", "nothing"],
    ],
)
def test_wrong_usage_ends_with_status_2_a_record_on_stderr_and_nothing_on_stdout(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = gonogo(*arguments)
    assert (answer.status, answer.out) == (2, "")
    assert re.match(r"GNG-U00[12]: \S", answer.err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["ledger", "verify", "--help"], ["--version"]])
def test_help_and_version_go_to_stdout_with_status_0(arguments):
    answer = gonogo(*arguments)
    assert (answer.status, answer.err) == (0, "")
    assert "gonogo" in answer.out


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(finished):
    gone = f"{sys.executable} -m gonogo.cli.main explain contract | head -n 1; exit ${{PIPESTATUS[0]}}"
    bash = shutil.which("bash")
    assert bash
    ended = subprocess.run([bash, "-c", gone], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_person_at_a_terminal_sees_progress_and_a_pipe_sees_none():
    from io import StringIO

    from gonogo.cli.progress import Progress

    piped = StringIO()
    with Progress(piped) as progress:
        progress("snapshot", "reads the sources")
    assert piped.getvalue() == ""
    assert progress.line(progress._started + 3).startswith("snapshot: reads the sources · 3 s")


def test_an_unforeseen_failure_is_a_record_that_names_the_place(finished, monkeypatch):
    def fails(folder, **how):
        raise ZeroDivisionError("for a test")

    monkeypatch.setattr("gonogo.workflow.run.run", fails)
    answer = gonogo("run", finished)
    assert answer.status == 3
    assert answer.err.startswith("GNG-0000: gonogo itself failed; nothing was decided.")
    assert "ZeroDivisionError: for a test" in answer.err
    assert re.search(r"where +\S+test_main\.py:\d+", answer.err)
