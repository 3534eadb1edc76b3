"""Kills at exact places, somebody who asks meanwhile, and what must hold whatever was killed.

`arm` says at which places of which change of the route a process of the server shall kill itself; each is done once, by whoever comes there
first. What must hold is read from the ledger, the prediction log, the answers and every route that was seen.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gonogo.ledger.rollouts import history
from gonogo.serving.cell import Cell
from gonogo.serving.places import Places
from gonogo.serving.route import Route, read_route
from gonogo.serving.tail import Tail
from gonogo.types.release import Phase
from gonogo.types.traffic import Arm, FrameKind
from tests.faults import canaries
from tests.web.served import NAME, Served, entries

# Three stages with a share, so that the table's edge from one canary to the next is there.
STAGES = ("shadow", "canary 0.2", "canary 0.5", "full", "probation", "settled")
ENTRY = ("judged", "committing", "recorded")  # before the entry is written, before it is committed, after it
ROUTE = ("half", "routed", "renewed")  # the route is in its slot and not counted; it is written; the lease is renewed behind it
PAGE = ("sees", "follows", "says")  # a worker that reads the route, has read it, has said on its page that it follows
LOAD = ("loads", "loaded", "told")  # a worker that loads the challenger, has loaded it, has said so
CONTROLLER, WORKER = (*ENTRY, *ROUTE), (*PAGE, *LOAD)
_DONE = 4  # words in the name of what happened: place, epoch, perhaps a phase, process, moment

# Read by every process of the server. The challenger is at fault as in `canaries`, here by whatever file there is.
SITE = """
import os, signal, sys, time
from pathlib import Path

FOLDER, PACKAGE = Path(os.environ["GONOGO_FAULT"]), os.environ["GONOGO_FAULT_PACKAGE"]

from gonogo.backends import sqlite
from gonogo.ledger.ledger import Ledger
from gonogo.serving import cell, route, scorers, workerpage
from gonogo.types.errors import PackageRefused


def die(place, epoch, phase=""):
    for armed in (f"{place} {epoch}", f"{place} {epoch} {phase}"):
        try:
            (FOLDER / "armed" / armed).rename(FOLDER / "armed" / f"{armed} {os.getpid()} {time.monotonic_ns()}")
        except FileNotFoundError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)


def around(owner, name, before=lambda *a, **k: None, after=lambda *a, **k: None):
    was = getattr(owner, name)

    def done(*a, **k):
        before(*a, **k)
        said = was(*a, **k)
        after(*a, **k)
        return said

    setattr(owner, name, done)


def of_entry(place):
    return lambda self, kind, body: die(place, body.get("epoch"))


around(Ledger, "append", of_entry("judged"), of_entry("recorded"))
execute = sqlite._Patient.execute
appends = []
around(Ledger, "append", lambda self, kind, body: appends.append(body.get("epoch")), lambda self, kind, body: appends.pop())


def executed(self, sql, *a):
    if sql == "COMMIT" and appends:
        die("committing", appends[-1])
    return execute(self, sql, *a)


sqlite._Patient.execute = executed
writing = []
around(route.RouteWriter, "write", lambda self, new: writing.append(new), lambda self, new: die("routed", new.epoch, new.phase.value))
around(route.RouteWriter, "renew", after=lambda self, now: writing and die("renewed", writing[-1].epoch, writing[-1].phase.value))
summed, in_write = cell._checksum, []
around(route.RouteWriter, "write", lambda self, new: in_write.append(new), lambda self, new: in_write.pop())


def checksum(version, record):
    if in_write and record == route.canonical(in_write[-1]):
        die("half", in_write[-1].epoch, in_write[-1].phase.value)
    return summed(version, record)


cell._checksum = checksum


def seen(self):
    found = route._route(self._cell.read())
    if found is not None:
        die("sees", found.epoch, found.phase.value)


def followed(self):
    if self._watched is not None and "gonogo.web.worker" in sys.modules:
        die("follows", self._watched.epoch, self._watched.phase.value)


around(route.RouteReader, "_reread", seen, followed)
around(workerpage.WorkerPage, "beat", after=lambda self, now, **told: die("says", told["epoch"]))


def of_hold(place):
    return lambda self, holds: PACKAGE in holds.ready and die(place, "challenger")


around(workerpage.WorkerPage, "hold", of_hold("loaded"), of_hold("told"))
load = scorers.load_package


def loaded(blobs, digest, **how):
    if digest != PACKAGE:
        return load(blobs, digest, **how)
    die("loads", "challenger")
    while (FOLDER / "slow").exists():
        time.sleep(0.005)
    if (FOLDER / "fatal").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if (FOLDER / "refuse").exists():
        raise PackageRefused("It answers no probe.")
    model = load(blobs, digest, **how)
    score = model.score

    def answer(row):
        if (FOLDER / "fault").exists():
            raise RuntimeError("the challenger is broken")
        return score(row)

    model.score, model.score_rows = answer, lambda rows: [answer(row) for row in rows]
    return model


scorers.load_package = loaded
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """A process that killed itself where it was told to."""

    place: str
    epoch: str  # of the route that was to be reached; "challenger": while that was loaded
    pid: int
    at_ns: int

    @property
    def role(self) -> str:
        """Whose process it was."""
        return "worker" if self.place in WORKER else "controller"


def environment(folder: Path) -> dict[str, str]:
    """What makes the processes of a server kill themselves where they are armed."""
    site = folder / "site"
    site.mkdir(exist_ok=True)
    (folder / "armed").mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE)
    return {**canaries.site_of(folder), "GONOGO_FAULT_PACKAGE": canaries.packages(folder)[1]}


def arm(folder: Path, place: str, epoch: int | str, phase: str = "") -> None:
    """Let whoever comes to that place of that epoch next be killed. phase: of the route, where the epoch alone does not say which."""
    (folder / "armed" / f"{place} {epoch} {phase}".rstrip()).touch()


def unreached(folder: Path) -> list[str]:
    """What is armed still."""
    return [path.name for path in (folder / "armed").iterdir() if len(path.name.split()) < _DONE]


def disarm(folder: Path) -> None:
    """Take back what was not reached."""
    for name in unreached(folder):
        (folder / "armed" / name).unlink(missing_ok=True)


def kills(folder: Path) -> list[Kill]:
    """Those that happened, oldest first."""
    told = [path.name.split() for path in (folder / "armed").iterdir()]
    done = [Kill(place=t[0], epoch=t[1], pid=int(t[-2]), at_ns=int(t[-1])) for t in told if len(t) >= _DONE]
    return sorted(done, key=lambda kill: kill.at_ns)


class RoutesSeen:
    """Every route that was ever written while this was looking."""

    def __init__(self, places: Places) -> None:
        self._places, self._cell = places, Cell(places.route)
        self.routes: list[Route] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        version = -1
        while not self._stop.wait(0.002):
            if self._cell.version != version and (found := read_route(self._places.route)):
                version = found[0]
                self.routes.append(found[1])

    def end(self) -> list[Route]:
        self._stop.set()
        self._thread.join()
        self._cell.close()
        return self.routes


def broken(served: Served, routes: Iterable[Route], candidates: Iterable[str]) -> list[str]:
    """What was not as it must be, in words; empty where all is well.

    routes: that were seen, in their order. candidates: that answered anybody.
    """
    written = entries(served.folder)
    given = {0: 0.0}
    for happening in history(written, NAME):
        given[happening.standing.epoch] = happening.standing.share if happening.standing.is_under_way else 0.0
    known = {str(e.body[who]) for e in written if e.kind == "rollout_opened" for who in ("champion", "challenger")}
    known |= {str(e.body[who]) for e in written if e.kind == "training" for who in ("baseline",)}
    found = [f"a candidate that the ledger does not know answered: {one}" for one in sorted(set(candidates) - known)]
    last = 0
    for route in routes:
        if route.challenger and route.share > given.get(route.epoch, 0.0):
            found.append(f"a route of epoch {route.epoch} gave {route.share:g}, the ledger {given.get(route.epoch)}")
        if route.epoch < last:
            found.append(f"the route went from epoch {last} back to {route.epoch}")
        last = route.epoch
    return found + _unallowed(served.places, given)


def _unallowed(places: Places, given: dict[int, float]) -> list[str]:
    """Answers of a challenger beyond the share that the ledger gave it in that epoch."""
    tail, found = Tail(places.log), []
    while len(batch := tail.poll(at_most=1 << 16)):
        frames = batch.frames
        challenged = frames[(frames["kind"] == FrameKind.PREDICTION) & (frames["arm"] == Arm.CHALLENGER)]
        for epoch in np.unique(challenged["epoch"]).tolist():
            most = float(challenged["propensity"][challenged["epoch"] == epoch].max())
            if most > given.get(epoch, 0.0) + 1e-6:
                found.append(f"the challenger answered with a chance of {most:g} in epoch {epoch}, the ledger gave {given.get(epoch)}")
    return found


def phase_of(stage: str) -> Phase:
    """The phase of one of STAGES."""
    return Phase(stage.split()[0])


def said(folder: Path) -> list[tuple[int, int, int, str]]:
    """What the asker wrote down: when it was sent and answered (ns, monotonic), status (0: no answer), and whose answer it was."""
    lines = [line.split() for line in (folder / "asked").read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [(int(sent), int(done), int(status), who) for sent, done, status, who in lines]


def main() -> None:
    """The asker: `python -m tests.faults.killing PORT FILE`. Some ask over kept connections, two over a new one each time."""
    import asyncio

    from tests.web.served import question

    port, file = int(sys.argv[1]), Path(sys.argv[2]).open("a", buffering=1)  # noqa: SIM115  it is written to until the end
    open_one = lambda: asyncio.open_connection("127.0.0.1", port)  # noqa: E731

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, str]:
        body = json.dumps(question()).encode()
        head = f"POST /v1/contracts/{NAME}/predictions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        top = await reader.readuntil(b"\r\n\r\n")
        length = int(next(line for line in top.lower().split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1])
        told = json.loads(await reader.readexactly(length))
        return int(top.split()[1]), str(told.get("candidate") or "-")

    async def go_on(pause_s: float, *, keeps: bool) -> None:
        kept = None
        while True:
            sent, status, who = time.monotonic_ns(), 0, "-"
            try:
                kept = kept or await asyncio.wait_for(open_one(), 1.0)
                status, who = await asyncio.wait_for(ask(*kept), 1.0)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                pass
            if kept and (not keeps or not status):
                kept[1].close()
                kept = None
            file.write(f"{sent} {time.monotonic_ns()} {status} {who}\n")
            await asyncio.sleep(pause_s)

    async def all_of_them() -> None:
        await asyncio.gather(*(go_on(0.01, keeps=True) for _ in range(6)), *(go_on(0.01, keeps=False) for _ in range(2)))

    asyncio.run(all_of_them())


if __name__ == "__main__":
    main()
