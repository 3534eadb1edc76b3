"""Models that go wrong once they answer: what a challenger can do to a server."""

from __future__ import annotations

import os
from pathlib import Path

from gonogo.ledger import registry
from gonogo.types.record import Digest
from gonogo.workflow.workspace import open_workspace

# Read by every Python that has its folder on its path: the packaged model then does what its kind says once a marker file is there.
SITE = """
import os, signal, time
from pathlib import Path

FOLDER, KIND, PACKAGE = Path(os.environ["GONOGO_FAULT"]), os.environ["GONOGO_FAULT_KIND"], os.environ["GONOGO_FAULT_PACKAGE"]


def wrong(score):
    def answer(row):
        if not (FOLDER / "fault").exists():
            return score(row)
        if KIND == "hang":
            while True:
                time.sleep(0.05)
        if KIND == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if KIND == "nan":
            return (float("nan"),)
        if KIND == "wrong":
            return (0.999,)
        raise RuntimeError("the canary is broken")

    return answer


from gonogo.serving import scorers

load = scorers.load_package


def loaded(blobs, digest, **how):
    model = load(blobs, digest, **how)
    if digest == PACKAGE:
        score = model.score = wrong(model.score)
        model.score_rows = lambda rows: [score(row) for row in rows]
        model.is_foreign = KIND == "hang"  # such a one is asked apart: nobody knows what it takes
    return model


scorers.load_package = loaded
"""


def packages(folder: Path) -> tuple[Digest, Digest]:
    """Those of the baseline and of the candidate."""
    workspace = open_workspace(folder)
    entries = tuple(workspace.ledger.entries())
    training = registry.last(entries, "training", contract=workspace.contract.name)
    assert training is not None
    found = {e.body["candidate"]: e.body["package"] for e in entries if e.kind == "package"}
    return found[training.body["baseline"]], found[training.body["candidate"]]


def site_of(folder: Path) -> dict[str, str]:
    """What makes every Python of a server begin with `folder / "site"`, before everything else that is on its path."""
    path = os.pathsep.join(filter(None, (str(folder / "site"), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "GONOGO_FAULT": str(folder)}


def environment(folder: Path, kind: str) -> dict[str, str]:
    """What makes a server load the candidate with a fault in it, which `(folder / "fault").touch()` sets off."""
    site = folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE)
    return {**site_of(folder), "GONOGO_FAULT_KIND": kind, "GONOGO_FAULT_PACKAGE": packages(folder)[1]}
