"""Does a server come back from kill -9 at any moment, without a challenger ever getting more than the ledger gave it?

    python benchmarks/serving/kills.py [--kills 200]

One rollout after the other; every so often, at a random moment, the controller or a worker is killed. After each kill: within two seconds
somebody answers again; the share in the route is never above that of the ledger; every candidate that answered was opened in the ledger.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

import os

from tests.web.releasable import make
from tests.web.served import NAME, Callers, Served, entries, wait_for

from gonogo.ledger import rollouts
from gonogo.serving.route import read_route
from gonogo.workflow.release import release
from gonogo.workflow.rollback import rollback


def allowed(folder: Path) -> float:
    """The share that the ledger gives the challenger now."""
    now = rollouts.standing(entries(folder), NAME)
    return now.share if now is not None and now.is_under_way else 0.0


def kill_one(served: Served) -> tuple[str, float]:
    """Whom, and how many seconds until somebody answers again."""
    who = random.choice(("controller", "worker"))
    pid = served.controller() if who == "controller" else random.choice([page.pid for page in served.pages()] or [0])
    if not pid:
        return who, 0.0
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()

    def answers() -> bool:
        try:
            return bool(served.ask(timeout_s=1.0)[0] == 200)
        except OSError:
            return False

    wait_for(answers, timeout_s=10)
    return who, time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    options = parser.parse_args()
    random.seed(1)
    home = Path(tempfile.mkdtemp())
    waits: list[float] = []
    too_much = n_rollouts = 0
    try:
        served = Served(make(home / NAME))
        callers = Callers(served)
        try:
            while len(waits) < options.kills:
                now = served.standing()
                if now is None or not now.is_under_way:
                    if now is not None and now.phase.value == "settled":
                        rollback(NAME, "the next round", folder=served.folder)
                    release(folder=served.folder)
                    n_rollouts += 1
                time.sleep(random.uniform(0.0, 4.0))
                who, waited = kill_one(served)
                waits.append(waited)
                found = read_route(served.places.route)
                share = allowed(served.folder)  # read after the route: the ledger is written first
                if found is not None and found[1].phase.value != "settled" and found[1].share > share:
                    too_much += 1
                print(f"{len(waits):>4}  {who:<10}  {waited:5.2f} s  share {share:g}", flush=True)
        finally:
            callers.end()
            served.end()
    finally:
        shutil.rmtree(home)
    print(f"{len(waits)} kills in {n_rollouts} rollouts: answered again after p50 {np.median(waits):.2f} s, max {max(waits):.2f} s; "
          f"share above the ledger's {too_much} times; answers {dict(callers.answers)}")  # fmt: skip


if __name__ == "__main__":
    main()
