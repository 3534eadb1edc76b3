"""The queue of jobs: bounded, in order, and nothing in it is lost when a process is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gonogo.serving.jobs import MOST_STARTS, Jobs, is_at_work, work
from gonogo.types.errors import DataError, NothingThere, TooMuch

BODY = {"contract": "parcels", "rows": [{"parcel": "a"}, {"parcel": "b"}], "by": "key:ann"}


def answered(rows: Path, out: Path) -> int:
    """One line for each row."""
    asked = json.loads(rows.read_bytes())["rows"]
    out.write_text("".join(json.dumps(row) + "\n" for row in asked))
    return len(asked)


def body(n: int) -> Mapping[str, Any]:
    return {**BODY, "rows": [{"parcel": str(n)}]}


def jobs_in(folder: Path, **how: Any) -> Jobs:
    return Jobs(folder / "jobs", lambda: None, **how)


def test_a_job_is_queued_then_done_and_its_answers_can_be_fetched(tmp_path):
    jobs = jobs_in(tmp_path)
    record = jobs.submit(BODY)
    assert (record["status"], record["n_rows"], record["by"], record["contract"]) == ("queued", 2, "key:ann", "parcels")
    assert jobs.get(record["id"]) == record
    with pytest.raises(NothingThere, match="queued"):
        jobs.result(record["id"])
    assert work(tmp_path / "jobs", answered) == 1
    ended = jobs.get(record["id"])
    assert (ended["status"], ended["n_answered"]) == ("done", 2)
    assert [json.loads(line) for line in jobs.result(record["id"]).read_text().splitlines()] == BODY["rows"]


def test_what_came_first_is_done_first(tmp_path):
    jobs, seen = jobs_in(tmp_path), []
    for n in range(5):
        jobs.submit(body(n))

    def run(rows: Path, out: Path) -> int:
        seen.append(json.loads(rows.read_bytes())["rows"][0]["parcel"])
        if len(seen) == 2:
            jobs.submit(body(9))
        return answered(rows, out)

    assert work(tmp_path / "jobs", run) == 6
    assert seen == ["0", "1", "2", "3", "4", "9"]


def test_a_full_queue_refuses_and_has_room_again_when_a_job_has_ended(tmp_path):
    jobs = jobs_in(tmp_path, most_queued=2)
    for n in range(2):
        jobs.submit(body(n))
    with pytest.raises(TooMuch) as refused:
        jobs.submit(body(2))
    assert "at most 2" in refused.value.expected
    work(tmp_path / "jobs", answered)
    assert jobs.submit(body(2))["status"] == "queued"


def test_ten_threads_that_submit_at_once_fill_the_queue_and_no_more(tmp_path):
    jobs, outcomes = jobs_in(tmp_path, most_queued=4), []

    def submit() -> None:
        try:
            outcomes.append(jobs.submit(BODY)["id"])
        except TooMuch:
            outcomes.append(None)

    threads = [threading.Thread(target=submit) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [identity for identity in outcomes if identity]
    assert len(taken) == len(set(taken)) == 4


def test_a_refusal_becomes_the_record_of_its_job_and_the_next_job_is_done(tmp_path):
    jobs = jobs_in(tmp_path)
    first, second, third = (jobs.submit(body(n)) for n in range(3))

    def run(rows: Path, out: Path) -> int:
        name = json.loads(rows.read_bytes())["rows"][0]["parcel"]
        if name == "0":
            raise DataError("'weight' is null", where="rows[0].weight")
        if name == "1":
            raise ZeroDivisionError("by nought")
        return answered(rows, out)

    assert work(tmp_path / "jobs", run) == 3
    refused = jobs.get(first["id"])
    assert (refused["status"], refused["error"]["code"], refused["error"]["where"]) == ("failed", "GNG-D001", "rows[0].weight")
    assert jobs.get(second["id"])["error"]["found"] == "ZeroDivisionError: by nought"
    assert jobs.get(third["id"])["status"] == "done"
    with pytest.raises(NothingThere, match="failed"):
        jobs.result(first["id"])


@pytest.mark.parametrize("identity", ["", "..", "../keys.json", "nothing", "0" * 20 + "-" + "a" * 16, "submit.lock", "a\0b"])
def test_an_id_that_is_none_finds_nothing(tmp_path, identity):
    jobs = jobs_in(tmp_path)
    jobs.submit(BODY)
    for ask in (jobs.get, jobs.result):
        with pytest.raises(NothingThere):
            ask(identity)


CHILD = """
import os, sys, time
from pathlib import Path
from gonogo.serving.jobs import work
def run(rows, out):
    out.write_text("half of it")
    print("at work", flush=True)
    time.sleep(60)
work(Path(sys.argv[1]), run)
"""


def test_a_job_whose_process_is_killed_is_done_again(tmp_path):
    jobs = jobs_in(tmp_path)
    record, later = jobs.submit(BODY), jobs.submit(body(7))
    with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "jobs")], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "at work\n"
        assert jobs.get(record["id"])["status"] == "running"
        assert is_at_work(tmp_path / "jobs")
        assert work(tmp_path / "jobs", answered) == 0  # one process at a time
        os.kill(child.pid, signal.SIGKILL)
    assert not is_at_work(tmp_path / "jobs")
    assert work(tmp_path / "jobs", answered) == 2
    ended = jobs.get(record["id"])
    assert (ended["status"], ended["starts"]) == ("done", 2)
    assert jobs.result(record["id"]).read_text() != "half of it"
    assert jobs.get(later["id"])["status"] == "done"


def test_a_job_that_kills_its_process_each_time_fails_and_lets_the_next_one_through(tmp_path):
    jobs = jobs_in(tmp_path)
    killer, later = jobs.submit(BODY), jobs.submit(body(7))
    path = tmp_path / "jobs" / killer["id"] / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "running", "starts": MOST_STARTS}))
    assert work(tmp_path / "jobs", answered) == 2
    assert jobs.get(killer["id"])["status"] == "failed"
    assert "died each time" in jobs.get(killer["id"])["error"]["message"]
    assert jobs.get(later["id"])["status"] == "done"


def test_a_process_is_woken_where_none_is_at_work_and_not_otherwise(tmp_path):
    woken: list[int] = []
    jobs = Jobs(tmp_path / "jobs", lambda: woken.append(1))
    jobs.resume()
    assert not woken
    record = jobs.submit(BODY)
    assert len(woken) == 1
    Jobs(tmp_path / "jobs", lambda: woken.append(2)).resume()  # after a restart
    assert woken == [1, 2]
    Jobs(tmp_path / "jobs", lambda: woken.append(3)).get(record["id"])  # asked for, and nobody is at work
    assert woken == [1, 2, 3]
    jobs.get(record["id"])  # a moment after the last look
    assert woken == [1, 2, 3]

    def run(rows: Path, out: Path) -> int:
        jobs.submit(body(1))
        return answered(rows, out)

    assert (
        work(tmp_path / "jobs", lambda rows, out: run(rows, out) if len(woken) == 3 and not woken.append(4) else answered(rows, out)) == 2
    )
    assert woken == [1, 2, 3, 4]


def test_jobs_that_ended_long_ago_and_half_submitted_ones_are_removed_with_the_next_submit(tmp_path):
    jobs = jobs_in(tmp_path, keep_days=0)
    old = jobs.submit(BODY)
    waiting = jobs_in(tmp_path).submit(body(1))
    work(tmp_path / "jobs", answered)
    half = tmp_path / "jobs" / ("1" * 20 + "-" + "b" * 16)
    half.mkdir()
    (half / "rows.json").write_text("[")
    kept = jobs_in(tmp_path)
    kept.submit(body(2))
    assert kept.get(old["id"])["status"] == "done"  # a week is not over
    assert not half.exists()
    jobs.submit(body(3))
    for gone in (old, waiting):
        with pytest.raises(NothingThere):
            jobs.get(gone["id"])


def test_a_clock_that_is_set_back_does_not_let_a_later_job_pass(tmp_path, monkeypatch):
    jobs = jobs_in(tmp_path)
    first = jobs.submit(body(0))
    monkeypatch.setattr("gonogo.serving.jobs.time.time_ns", lambda: 5)
    second = jobs.submit(body(1))
    assert first["id"] < second["id"]
