"""Does a server come back from kill -9 at any moment, without a challenger ever getting more than the ledger gave it?

    python benchmarks/serving/kills.py edges             every edge of the rollout's table, at each place where a process can be on it
    python benchmarks/serving/kills.py random [--kills 200]
                            [--seed 1] [--minutes 15]    no kill begins after that time

`edges`: rollouts that go all the way, and rollouts that are brought back by harm or by an order from each phase; at each change of the
route the controller, a worker or whoever gives the order is killed at one place: before the entry, within its commit, behind it, in the
middle of writing the route, behind that, behind the lease; a worker before it has read the route, before it has said so, after; and while
it loads. `random`: the same rollouts, and at random moments a random one of the controller and the two workers. Meanwhile another process
asks 500 times a second or so, over kept and over new connections. What must hold: the share in every route that was written, and the
chance in every logged answer of a challenger, is at most what the ledger gave it in that epoch; whoever answered stands in the ledger;
within 2 s of a kill somebody answers a request that was sent after it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults import killing
from tests.faults.killing import CONTROLLER, ENTRY, LOAD, PAGE, ROUTE, STAGES
from tests.web.releasable import make
from tests.web.served import NAME, TRAFFIC, Served, entries, wait_for

from gonogo.ledger.rollouts import history
from gonogo.serving.route import LEASE_NS, Cell
from gonogo.types.errors import GonogoError
from gonogo.types.release import Phase
from gonogo.workflow import rollout
from gonogo.workflow.release import release
from gonogo.workflow.rollback import rollback

THREE = TRAFFIC.replace("shares = [0.2, 1.0]", "shares = [0.2, 0.5, 1.0]")
ENDED = (Phase.SETTLED, Phase.ROLLED_BACK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """One kill, and what came after it, in seconds."""

    edge: str
    role: str  # controller, worker, order
    place: str
    at_ns: int
    back: float  # until another process does its work; NaN for who gave an order


class Asking:
    """The process that asks."""

    def __init__(self, served: Served) -> None:
        self._folder = served.folder
        command = [sys.executable, "-m", "tests.faults.killing", str(served.port), str(served.folder / "asked")]
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        wait_for(lambda: (served.folder / "asked").exists() and killing.said(served.folder))

    def end(self) -> list[tuple[int, int, int, str]]:
        time.sleep(0.2)
        self._process.kill()
        self._process.wait()
        return killing.said(self._folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("edges", "random"))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=15.0)
    options = parser.parse_args()
    random.seed(options.seed)
    until = time.monotonic() + 60 * options.minutes
    home = Path(tempfile.mkdtemp())
    try:
        folder = make(home / NAME, THREE)
        served = Served(folder, environment=killing.environment(folder))
        try:
            routes, asking = killing.RoutesSeen(served.places), Asking(served)
            found = edges(served, until) if options.what == "edges" else at_random(served, options.kills, until)
            time.sleep(2.5)
            answers, seen = asking.end(), routes.end()
            wrong = killing.broken(served, seen, {who for *_, status, who in answers if status == 200 and who != "-"})
        finally:
            served.end()
    finally:
        shutil.rmtree(home)
    _report(found, answers, wrong, n_routes=len(seen), n_rollouts=len({r.plan for r in seen if r.plan}))


# ── at every edge ───────────────────────────────────────────────────────────────────────────────────────────────────────


def edges(served: Served, until: float) -> list[Kill]:
    """One rollout after the other, each with its kills."""
    courses = [partial(_forward, served, place) for place in (*CONTROLLER, *PAGE, *LOAD)] + [
        partial(_back, served, stage, place, why)
        for stage in ("registered", *STAGES[:-1])
        for place in (*ENTRY, *ROUTE, *PAGE)
        for why in ("harm", "order")
    ]
    found: list[Kill] = []
    n_unreached = n_begun = 0
    for n_begun, course in enumerate(courses, 1):
        if time.monotonic() > until:
            n_begun -= 1
            break
        new = course()
        if not new:
            n_unreached += 1
            print(f"      not reached: {killing.unreached(served.folder)} {course.args[1:]}, {served.standing()}", flush=True)
            killing.disarm(served.folder)
        for kill in new:
            found.append(kill)
            print(
                f"{len(found):>4}  rollout {n_begun:>3} of {len(courses)}  {kill.edge:<28} {kill.role:<10} {kill.place:<10}"
                f"  back {kill.back:5.2f} s",
                flush=True,
            )
    print(f"{n_begun} of {len(courses)} rollouts; in {n_unreached} of them nobody came to the place any more")
    return found


def _open(served: Served, before: Callable[[int], None] = lambda epoch: None) -> int:
    """A rollout that is opened; the epoch before its first step. before: arm what is to be killed."""
    now = served.standing()
    if now is not None and now.phase is Phase.SETTLED:
        rollback(NAME, "the next round", folder=served.folder)
        now = served.standing()
    epoch = now.epoch if now is not None else 0
    # What an earlier round left is let go first, so that the challenger is loaded anew.
    wait_for(lambda: all(len(page.holds.ready) == 1 and not page.holds.refused for page in served.pages()), what="one model each")
    before(epoch)
    release(folder=served.folder)
    return epoch


def _forward(served: Served, place: str) -> list[Kill]:
    """All the way, killed at that place of every edge."""
    folder, n = served.folder, len(killing.kills(served.folder))

    def before(epoch: int) -> None:
        if place in LOAD:
            killing.arm(folder, place, "challenger")
            return
        for i in range(1, len(STAGES) + 1):
            killing.arm(folder, place, epoch + i)
        if place not in ENTRY and place != "says":  # the edge from nothing to registered is a route of the old epoch
            killing.arm(folder, place, epoch, "registered")

    killing.disarm(folder)
    with _Back(served, n) as back:
        epoch = _open(served, before)
        served.reaches(Phase.SETTLED, timeout_s=60)
        wait_for(lambda: not killing.unreached(folder), what=f"a kill at {place}: {killing.unreached(folder)}")
    names = {str(epoch + i): f"to {stage}" for i, stage in enumerate(STAGES, 1)} | {str(epoch): "to registered"}
    return [_told(kill, names.get(kill.epoch, "registered"), back) for kill in killing.kills(folder)[n:]]


def _back(served: Served, stage: str, place: str, why: str) -> list[Kill]:
    """To that stage and back, killed at that place of the way back."""
    folder, n = served.folder, len(killing.kills(served.folder))
    if stage == "registered":
        (folder / "slow").touch()  # it stays there for as long as nobody has loaded it
        if why == "harm":
            (folder / "refuse").touch()
    with _Back(served, n) as back:
        epoch = _open(served)
        if stage == "registered":
            killing.arm(folder, place, epoch + 1)
        else:
            at = STAGES.index(stage) + 1
            _stays(served, epoch + at)
            killing.arm(folder, place, served.standing().epoch + 1)
        if why == "order":
            _ordered(folder)
        elif stage != "registered":
            (folder / "fault").touch()
        (folder / "slow").unlink(missing_ok=True)
        served.reaches(Phase.ROLLED_BACK, timeout_s=60)
        for mark in ("fault", "refuse"):
            (folder / mark).unlink(missing_ok=True)
        with contextlib.suppress(AssertionError):  # told in the end: fewer kills than places
            wait_for(lambda: len(killing.kills(folder)) > n, timeout_s=5)
    left_from = history(entries(folder), NAME)[-2].standing
    edge = f"{left_from.phase.value} {left_from.share:g} back by {why}"
    return [_told(kill, edge, back, by=why) for kill in killing.kills(folder)[n:]]


def _stays(served: Served, epoch: int) -> None:
    """Hold it at that epoch; one that was quicker is held a stage later."""
    wait_for(lambda: (now := served.standing()) is not None and now.epoch >= epoch, timeout_s=40, what=f"epoch {epoch}")
    with contextlib.suppress(GonogoError):
        rollout.hold(served.folder, why="here it is killed")


def _ordered(folder: Path) -> None:
    """Brought back by a process of its own, which may be killed itself; then it is told again."""
    command = [sys.executable, "-m", "gonogo.cli.main", "rollback", NAME, "--why", "measured", "--folder", str(folder)]
    environment = {**os.environ, **killing.environment(folder)}
    for _ in range(2):
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if ended.returncode != -signal.SIGKILL:
            break


def _told(kill: killing.Kill, edge: str, back: _Back, by: str = "") -> Kill:
    role = "order" if by == "order" and kill.place in ENTRY else kill.role
    return Kill(edge=edge, role=role, place=kill.place, at_ns=kill.at_ns, back=back.after(kill.at_ns, role))


class _Back:
    """Looks when everybody is there again after a kill."""

    def __init__(self, served: Served, n: int) -> None:
        self._served, self._n, self._stop = served, n, threading.Event()
        self._seen: list[tuple[int, bool, bool]] = []  # moment, is the controller there, are the workers
        self._pids: set[int] = set()

    def __enter__(self) -> _Back:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if not raised[0]:
            last = max((kill.at_ns for kill in killing.kills(self._served.folder)), default=0)
            wait_for(lambda: self._seen and self._seen[-1][0] > last and all(self._seen[-1][1:]), what="everybody is back")
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        cell = Cell(self._served.places.route)
        while not self._stop.wait(0.01):
            now = time.monotonic_ns()  # before it is asked who was killed: what is seen then is later than all of them
            latest = max((kill.at_ns for kill in killing.kills(self._served.folder)[self._n :]), default=0)
            renewed = cell.number(0) - LEASE_NS
            pages = self._served.pages()
            is_full = len(pages) == self._served.workers and all(p.heartbeat_ns > latest and p.holds.ready for p in pages)
            self._seen.append((now, renewed > latest, is_full))
        cell.close()

    def after(self, at_ns: int, role: str) -> float:
        which = {"controller": 1, "worker": 2}.get(role)
        return next((one[0] - at_ns for one in self._seen if which and one[0] > at_ns and one[which]), float("nan")) / 1e9


# ── at random moments ───────────────────────────────────────────────────────────────────────────────────────────────────


def at_random(served: Served, n: int, until: float) -> list[Kill]:
    """Kills at random moments, while rollouts go on in another thread."""
    found: list[Kill] = []
    stop, troubles = threading.Event(), Counter[str]()
    driver = threading.Thread(target=_drive, args=(served, stop, troubles), daemon=True)
    driver.start()
    while len(found) < n and time.monotonic() < until:
        time.sleep(random.uniform(0.0, 4.0))
        role = random.choice(("controller", "worker"))
        pid = served.controller() if role == "controller" else random.choice([page.pid for page in served.pages()] or [0])
        if not pid:
            continue
        now = served.standing()
        edge = f"{now.phase.value} {now.share:g}" if now is not None else "before the first"
        os.kill(pid, signal.SIGKILL)
        at_ns = time.monotonic_ns()
        found.append(Kill(edge=edge, role=role, place="anywhere", at_ns=at_ns, back=_waits(served, role, pid, at_ns)))
        print(f"{len(found):>4}  {found[-1].edge:<28} {role:<10}  back {found[-1].back:5.2f} s", flush=True)
    stop.set()
    driver.join(60)
    print(f"orders and releases that were refused or not confirmed: {dict(troubles)}")
    return found


def _drive(served: Served, stop: threading.Event, troubles: Counter[str]) -> None:
    """Rollouts that settle, are brought back by harm, or by an order, at random."""
    fault = served.folder / "fault"
    while not stop.is_set():
        end = random.choice(("settles", "harm", "order"))
        try:
            _open(served)
            if end != "settles":
                phase = random.choice(tuple(killing.phase_of(stage) for stage in STAGES[:-1]))
                served.reaches(phase, *ENDED, timeout_s=60)
            if end == "harm":
                fault.touch()
            if end == "order":
                rollback(NAME, "measured", folder=served.folder)
            served.reaches(*ENDED, timeout_s=60)
        except (GonogoError, AssertionError) as error:
            troubles[f"{type(error).__name__}: {str(error)[:200] if isinstance(error, AssertionError) else error.message}"] += 1
        fault.unlink(missing_ok=True)


def _waits(served: Served, role: str, pid: int, at_ns: int) -> float:
    """Seconds until somebody does the work of the killed process."""
    cell = Cell(served.places.route)

    def is_back() -> bool:
        if role == "controller":
            return served.controller() not in (0, pid) and cell.number(0) - LEASE_NS > at_ns
        pages = served.pages()
        return len(pages) == served.workers and all(p.pid != pid and p.heartbeat_ns > at_ns and p.holds.ready for p in pages)

    wait_for(is_back, timeout_s=30, what=f"{role} {pid} is replaced")
    cell.close()
    return (time.monotonic_ns() - at_ns) / 1e9


# ── what was seen ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _silences(answers: list[tuple[int, int, int, str]], found: list[Kill]) -> Iterator[float]:
    """After each kill: seconds until the first answer to a request that was sent after it."""
    told = np.array([(sent, done) for sent, done, status, _ in answers if status == 200], np.int64)
    for kill in found:
        after = told[told[:, 0] > kill.at_ns]
        yield float(after[:, 1].min() - kill.at_ns) / 1e9 if len(after) else float("inf")


def _report(found: list[Kill], answers: list[tuple[int, int, int, str]], wrong: list[str], *, n_routes: int, n_rollouts: int) -> None:
    silences = list(_silences(answers, found))
    print(f"\n{'':<30}{'kills':>6}{'answered again, s':>22}{'the killed one is back, s':>28}")
    print(f"{'':<36}{'p50':>11}{'max':>11}{'p50':>17}{'max':>11}")
    rows: dict[str, list[tuple[float, float]]] = {}
    for kill, silence in zip(found, silences, strict=True):
        rows.setdefault(f"{kill.role}: {kill.edge}", []).append((silence, kill.back))
        rows.setdefault(f"{kill.role}, all", []).append((silence, kill.back))
    for name in sorted(rows):
        answered, back = np.array(rows[name]).T
        known = back[~np.isnan(back)]
        told = (np.median(known), known.max()) if len(known) else (float("nan"),) * 2
        print(f"{name:<34}{len(answered):>4}{np.median(answered):>10.3f}{answered.max():>11.3f}{told[0]:>17.2f}{told[1]:>11.2f}")
    told_ns = np.sort(np.array([done for _, done, status, _ in answers if status == 200], np.int64))
    statuses = Counter(status for *_, status, _ in answers)
    print(f"{len(found)} kills in {n_rollouts} rollouts, {n_routes} routes, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"answered again after p50 {np.median(silences):.3f} s, p99 {np.quantile(silences, 0.99):.3f} s, max {max(silences):.3f} s; "
          f"the longest time without any answer {np.diff(told_ns).max() / 1e9:.3f} s")  # fmt: skip
    print(f"requests by status (0: cut off or not answered in 1 s): {dict(statuses)}")
    print(f"against the ledger: {'nothing' if not wrong else ''}", *wrong, sep="\n  ")


if __name__ == "__main__":
    main()
