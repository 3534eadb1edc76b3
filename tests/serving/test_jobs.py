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


def submit(jobs: Jobs, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """As the surface does it: room, the bytes, the job."""
    data = json.dumps({"contract": asked["contract"], "rows": asked["rows"]}).encode()
    with jobs.spool(len(data)) as spool:
        spool.write(data)
        spool.end()
        return jobs.submit(spool, contract=asked["contract"], n_rows=len(asked["rows"]), by=asked["by"])


def test_a_job_is_queued_then_done_and_its_answers_can_be_fetched(tmp_path):
    jobs = jobs_in(tmp_path)
    record = submit(jobs, BODY)
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
        submit(jobs, body(n))

    def run(rows: Path, out: Path) -> int:
        seen.append(json.loads(rows.read_bytes())["rows"][0]["parcel"])
        if len(seen) == 2:
            submit(jobs, body(9))
        return answered(rows, out)

    assert work(tmp_path / "jobs", run) == 6
    assert seen == ["0", "1", "2", "3", "4", "9"]


def test_a_full_queue_refuses_and_has_room_again_when_a_job_has_ended(tmp_path):
    jobs = jobs_in(tmp_path, most_queued=2)
    for n in range(2):
        submit(jobs, body(n))
    with pytest.raises(TooMuch) as refused:
        submit(jobs, body(2))
    assert "at most 2" in refused.value.expected
    work(tmp_path / "jobs", answered)
    assert submit(jobs, body(2))["status"] == "queued"


def test_ten_threads_that_submit_at_once_fill_the_queue_and_no_more(tmp_path):
    jobs, outcomes = jobs_in(tmp_path, most_queued=4), []

    def try_it() -> None:
        try:
            outcomes.append(submit(jobs, BODY)["id"])
        except TooMuch:
            outcomes.append(None)

    threads = [threading.Thread(target=try_it) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [identity for identity in outcomes if identity]
    assert len(taken) == len(set(taken)) == 4


def test_a_refusal_becomes_the_record_of_its_job_and_the_next_job_is_done(tmp_path):
    jobs = jobs_in(tmp_path)
    first, second, third = (submit(jobs, body(n)) for n in range(3))

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
    submit(jobs, BODY)
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
    record, later = submit(jobs, BODY), submit(jobs, body(7))
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
    killer, later = submit(jobs, BODY), submit(jobs, body(7))
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
    record = submit(jobs, BODY)
    assert len(woken) == 1
    Jobs(tmp_path / "jobs", lambda: woken.append(2)).resume()  # after a restart
    assert woken == [1, 2]
    Jobs(tmp_path / "jobs", lambda: woken.append(3)).get(record["id"])  # asked for, and nobody is at work
    assert woken == [1, 2, 3]
    jobs.get(record["id"])  # a moment after the last look
    assert woken == [1, 2, 3]

    def run(rows: Path, out: Path) -> int:
        submit(jobs, body(1))
        return answered(rows, out)

    assert (
        work(tmp_path / "jobs", lambda rows, out: run(rows, out) if len(woken) == 3 and not woken.append(4) else answered(rows, out)) == 2
    )
    assert woken == [1, 2, 3, 4]


def test_jobs_that_ended_long_ago_and_half_submitted_ones_are_removed_with_the_next_submit(tmp_path):
    jobs = jobs_in(tmp_path, keep_days=0)
    old = submit(jobs, BODY)
    waiting = submit(jobs_in(tmp_path), body(1))
    work(tmp_path / "jobs", answered)
    half = tmp_path / "jobs" / ("1" * 20 + "-" + "b" * 16)
    half.mkdir()
    (half / "rows.json").write_text("[")
    kept = jobs_in(tmp_path)
    submit(kept, body(2))
    assert kept.get(old["id"])["status"] == "done"  # a week is not over
    assert not half.exists()
    submit(jobs, body(3))
    for gone in (old, waiting):
        with pytest.raises(NothingThere):
            jobs.get(gone["id"])


def test_a_clock_that_is_set_back_does_not_let_a_later_job_pass(tmp_path, monkeypatch):
    jobs = jobs_in(tmp_path)
    first = submit(jobs, body(0))
    monkeypatch.setattr("gonogo.serving.jobs.time.time_ns", lambda: 5)
    second = submit(jobs, body(1))
    assert first["id"] < second["id"]


def test_bodies_that_wait_or_are_on_their_way_take_no_more_bytes_than_the_queue_has(tmp_path):
    jobs, other = jobs_in(tmp_path, most_bytes=1000), jobs_in(tmp_path, most_bytes=1000)  # two workers of one server
    with jobs.spool(600), other.spool(400):
        for full in (jobs, other):
            with pytest.raises(TooMuch) as refused, full.spool(1):
                pass
            assert (refused.value.where, refused.value.expected) == ("jobs", "at most 1,000")
    with other.spool(1000):
        pass  # what was given up is free again


def test_a_body_holds_what_it_took_and_gives_back_the_rest(tmp_path):
    jobs = jobs_in(tmp_path, most_bytes=1000)
    with jobs.spool(1000) as spool:
        spool.write(b"x" * 100)
        spool.end()
        record = jobs.submit(spool, contract="parcels", n_rows=1, by="local")
    assert (tmp_path / "jobs" / record["id"] / "rows.json").read_bytes() == b"x" * 100
    with jobs.spool(900):
        pass
    with pytest.raises(TooMuch), jobs.spool(901):
        pass
    work(tmp_path / "jobs", lambda rows, out: 1)
    with jobs.spool(1000):
        pass  # what has ended waits no longer


def test_a_body_that_is_longer_than_it_said_is_refused(tmp_path):
    with jobs_in(tmp_path).spool(10) as spool:
        spool.write(b"x" * 10)
        with pytest.raises(TooMuch):
            spool.write(b"x")


TAKER = """
import sys, time
from pathlib import Path
from gonogo.serving.jobs import Jobs
with Jobs(Path(sys.argv[1]), lambda: None, most_bytes=1000).spool(1000) as spool:
    spool.write(b"half of it")
    print("taking", flush=True)
    time.sleep(60)
"""


def test_the_bytes_of_a_process_that_was_killed_while_it_took_a_body_are_free_again(tmp_path):
    jobs = jobs_in(tmp_path, most_bytes=1000)
    with subprocess.Popen([sys.executable, "-c", TAKER, str(tmp_path / "jobs")], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "taking\n"
        with pytest.raises(TooMuch), jobs.spool(1):
            pass
        os.kill(child.pid, signal.SIGKILL)
    with jobs.spool(1000):
        pass
    assert not list((tmp_path / "jobs").glob(".incoming-*"))


def test_results_that_take_too_much_room_are_forgotten_the_oldest_first(tmp_path):
    jobs = jobs_in(tmp_path, most_kept_bytes=3500)

    def run(rows: Path, out: Path) -> int:
        return out.write_bytes(b"x" * 1000)

    ids = []
    for n in range(3):
        ids.append(submit(jobs, body(n))["id"])
        work(tmp_path / "jobs", run)
    newest = submit(jobs, body(3))["id"]
    with pytest.raises(NothingThere):
        jobs.get(ids[0])
    assert [jobs.get(each)["status"] for each in (*ids[1:], newest)] == ["done", "done", "queued"]
