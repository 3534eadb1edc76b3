"""What does a server take, all its processes together?

CPU is user + system of every process that the command started, the ended ones included, from /proc; memory is PSS, which counts a page that
is shared once. For a time all of it can go before the machine's other processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


class Tree:
    """A command in a session of its own, and whatever it starts."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str] | None = None, log: Path | None = None, cwd: Path | None = None):
        self.began = time.perf_counter()
        with (log or Path(os.devnull)).open("ab") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env=None if env is None else dict(env), cwd=cwd, start_new_session=True
            )
        self.pid = self.process.pid

    def pids(self) -> list[int]:
        """Every live process of it: descendants, and whoever is left in its session."""
        parents: dict[int, int] = {}
        sessions: dict[int, int] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and (stat := _stat(int(folder.name))) is not None:
                parents[int(folder.name)], sessions[int(folder.name)] = int(stat[1]), int(stat[3])
        found = {self.pid, *(pid for pid, session in sessions.items() if session == self.pid)}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(pid for pid in found if pid in parents)

    def cpu_s(self) -> float:
        """User + system seconds so far, of the living and of the ended that somebody waited for."""
        stats = [stat for pid in self.pids() if (stat := _stat(pid)) is not None]
        return sum(sum(map(int, stat[11:15])) for stat in stats) / TICK

    def cpu_s_of(self, pid: int) -> float:
        """User + system seconds of one of its processes, itself alone; 0 where it has ended."""
        stat = _stat(pid)
        return 0.0 if stat is None else sum(map(int, stat[11:13])) / TICK

    def pss_mb(self) -> float:
        """Memory now."""
        return sum(map(self.pss_mb_of, self.pids()))

    def pss_mb_of(self, pid: int) -> float:
        """Memory of one of its processes now; 0 where it has ended."""
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            return 0.0
        return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024

    def maps(self, library: str) -> bool:
        """Has any process of it loaded a file of that name?"""
        for pid in self.pids():
            try:
                if library in Path(f"/proc/{pid}/maps").read_text():
                    return True
            except OSError:
                continue
        return False

    @contextmanager
    def realtime(self, priority: int) -> Iterator[None]:
        """Every thread of it under SCHED_RR at that priority, also those that it starts meanwhile. Raises RuntimeError else."""
        self._schedule(os.SCHED_RR, priority)
        try:
            yield
            if others := [tid for tid in self._threads() if _policy(tid) not in (os.SCHED_RR, None)]:
                raise RuntimeError(f"{len(others)} threads were not under SCHED_RR")
        finally:
            self._schedule(os.SCHED_OTHER, 0)

    def _schedule(self, policy: int, priority: int) -> None:
        """A thread starts under the policy of the one that starts it, so once a pass finds nothing to do all have it."""
        for _ in range(20):
            others = [tid for tid in self._threads() if _policy(tid) not in (policy, None)]
            if not others:
                return
            for tid in others:
                try:
                    os.sched_setscheduler(tid, policy, os.sched_param(priority))
                except ProcessLookupError:
                    continue
        raise RuntimeError(f"{len(others)} threads do not take the policy {policy}")

    def _threads(self) -> list[int]:
        found: list[int] = []
        for pid in self.pids():
            try:
                found += [int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir()]
            except OSError:
                continue
        return found

    def stop(self, patience_s: float = 10.0) -> None:
        """Ask it to end, then make it."""
        pids = self.pids()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            pids = self.pids()
        for pid in {*pids, *self.pids()}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


def _policy(tid: int) -> int | None:
    """None where it has ended."""
    try:
        return os.sched_getscheduler(tid)
    except ProcessLookupError:
        return None


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name: state, parent, group, session, …; None where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
