"""Several processes that stay a server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from gonogo.web.supervisor import Role, Supervisor

folder = Path(sys.argv[1])

def work(name, deaf=False, dies=False):
    def run():
        with (folder / name).open("a") as file:
            file.write(f"{os.getpid()}\\n")
        if dies:
            raise RuntimeError("it cannot work")
        if deaf:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()
    return run

roles = [Role(name="a", work=work("a")), Role(name="b", work=work("b", deaf="deaf" in sys.argv, dies="dies" in sys.argv))]

def hanging():
    path = folder / "hangs"
    if not path.exists():
        return ()
    path.unlink()
    return ("a",)

supervisor = Supervisor(roles=roles, say=lambda text: print(text, file=sys.stderr, flush=True), hangs=hanging, grace_s=0.5)
sys.exit(supervisor.run())
"""


class Run:
    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), *flags], stderr=subprocess.PIPE, text=True)

    def pids(self, role: str, n: int = 1) -> list[int]:
        """The processes of a role so far, once there are n."""
        return wait_for(lambda: found if len(found := self._pids(role)) >= n else None)

    def _pids(self, role: str) -> list[int]:
        path = self.folder / role
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=10)
        return self.process.returncode, said


def wait_for(condition, timeout_s=10.0):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it never came true")


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


@pytest.fixture
def run(tmp_path):
    runs = []

    def start(*flags):
        runs.append(Run(tmp_path, *flags))
        return runs[-1]

    yield start
    for each in runs:
        if each.process.poll() is None:
            each.process.kill()
        each.process.wait()
        each.process.stderr.close()


def test_what_is_killed_is_started_again_and_said(run):
    running = run()
    (first,) = running.pids("a")
    os.kill(first, signal.SIGKILL)
    assert running.pids("a", 2)[1] != first
    status, said = running.end()
    assert status == 0
    assert "by SIGKILL" in said


def test_a_wish_to_stop_reaches_everybody(run):
    running = run()
    pids = running.pids("a") + running.pids("b")
    assert running.end()[0] == 0
    assert all(is_gone(pid) for pid in pids)


def test_who_does_not_stop_in_time_is_ended(run):
    running = run("deaf")
    pids = running.pids("a") + running.pids("b")
    assert running.end()[0] == 1
    assert all(is_gone(pid) for pid in pids)


def test_who_hangs_is_ended_and_started_again(run):
    running = run()
    (first,) = running.pids("a")
    (running.folder / "hangs").touch()
    assert running.pids("a", 2)[1] != first
    assert "no sign of life" in running.end()[1]


def test_a_role_that_fails_again_and_again_is_started_ever_more_slowly(run):
    running = run("dies")
    running.pids("b", 4)
    _, said = running.end()
    assert "it cannot work" in said
    assert "again in 0.0 s" in said
    assert "again in 0.1 s" in said
    assert "again in 0.2 s" in said


def test_nobody_outlives_a_supervisor_that_was_killed(run):
    running = run()
    pids = running.pids("a") + running.pids("b")
    running.process.kill()
    running.process.wait()
    wait_for(lambda: all(is_gone(pid) for pid in pids))


def test_a_hang_up_changes_nothing(run):
    running = run()
    (first,) = running.pids("a")
    running.process.send_signal(signal.SIGHUP)
    os.kill(first, signal.SIGHUP)
    os.kill(first, signal.SIGKILL)
    running.pids("a", 2)
    assert running.end()[0] == 0
