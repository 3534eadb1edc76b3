"""What workers say of themselves."""

from __future__ import annotations

import multiprocessing
import os

from gonogo.serving.workerpage import SILENT_NS, Holds, WorkerPage, is_silent, living, read_pages

FORK = multiprocessing.get_context("fork")


def test_a_page_says_what_the_worker_follows_and_holds(tmp_path):
    page = WorkerPage(tmp_path, 1)
    page.hold(Holds(ready=("sha256:a",), refused={"sha256:b": "another answer to probe 3"}))
    page.beat(1_000, follows=7, epoch=4, in_flight=2, drops=9, unlogged=1, answered=100)
    (seen,) = read_pages(tmp_path)
    assert (seen.worker, seen.pid, seen.follows, seen.epoch, seen.drops) == (1, os.getpid(), 7, 4, 9)
    assert seen.holds.ready == ("sha256:a",)
    assert not is_silent(seen, 1_000 + SILENT_NS)
    assert is_silent(seen, 1_001 + SILENT_NS)
    page.close()


def test_a_worker_that_was_killed_is_not_living_however_fresh_its_page(tmp_path):
    started = FORK.Event()
    worker = FORK.Process(target=_work, args=(tmp_path, started))
    worker.start()
    started.wait(5)
    assert [seen.worker for seen in living(tmp_path)] == [3]
    worker.kill()
    worker.join()
    assert living(tmp_path) == ()
    assert [seen.worker for seen in read_pages(tmp_path)] == [3]


def test_a_new_worker_under_an_old_number_has_confirmed_nothing(tmp_path):
    page = WorkerPage(tmp_path, 1)
    page.hold(Holds(ready=("sha256:a",)))
    page.beat(1_000, follows=7, epoch=4)
    page.close()
    again = WorkerPage(tmp_path, 1)
    (seen,) = read_pages(tmp_path)
    assert (seen.follows, seen.holds) == (0, Holds())
    again.close()


def test_a_page_that_cannot_be_read_confirms_nothing(tmp_path):
    (tmp_path / "1").write_bytes(b"")
    assert read_pages(tmp_path) == ()


def _work(folder, started):
    page = WorkerPage(folder, 3)
    page.beat(1, follows=1, epoch=1)
    started.set()
    __import__("threading").Event().wait()
