"""gonogo takes a machine-learned model from raw events to production traffic, and keeps it there, on evidence.

The verbs are those of the command line, in the same words: `run` goes the whole way, `snapshot`, `train`, `measure` and `decide` are its
steps. Everything is imported when it is first used, so that `import gonogo` costs next to nothing.

>>> import gonogo
>>> "run" in dir(gonogo)
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "init": "gonogo.workflow.init",
    "run": "gonogo.workflow.run",
    "snapshot": "gonogo.workflow.snapshot",
    "train": "gonogo.workflow.train",
    "measure": "gonogo.workflow.measure",
    "decide": "gonogo.workflow.decide",
    "page": "gonogo.workflow.page",
    "predict": "gonogo.workflow.predict",
    "replay": "gonogo.workflow.replay",
    "verify": "gonogo.workflow.ledger",
    "compare": "gonogo.workflow.compare",
    "waive": "gonogo.workflow.waive",
    "differ": "gonogo.workflow.differ",
    "release": "gonogo.workflow.release",
    "rollback": "gonogo.workflow.rollback",
    "explain": "gonogo.workflow.explain",
    "Contract": "gonogo.types.contract",
    "Snapshot": "gonogo.types.snapshot",
    "Candidate": "gonogo.types.candidate",
    "Evidence": "gonogo.types.evidence",
    "Estimate": "gonogo.types.evidence",
    "Interval": "gonogo.types.evidence",
    "Measurements": "gonogo.types.evidence",
    "Verdict": "gonogo.types.verdict",
    "Ruling": "gonogo.types.verdict",
    "Status": "gonogo.types.verdict",
    "Entry": "gonogo.types.entry",
    "Family": "gonogo.types.protocols",
    "GonogoError": "gonogo.types.errors",
}

__all__ = [
    "Candidate",
    "Contract",
    "Entry",
    "Estimate",
    "Evidence",
    "Family",
    "GonogoError",
    "Interval",
    "Measurements",
    "Ruling",
    "Snapshot",
    "Status",
    "Verdict",
    "compare",
    "decide",
    "differ",
    "explain",
    "init",
    "measure",
    "page",
    "predict",
    "release",
    "replay",
    "rollback",
    "run",
    "snapshot",
    "train",
    "verify",
    "waive",
]

if TYPE_CHECKING:
    from gonogo.types.candidate import Candidate
    from gonogo.types.contract import Contract
    from gonogo.types.entry import Entry
    from gonogo.types.errors import GonogoError
    from gonogo.types.evidence import Estimate, Evidence, Interval, Measurements
    from gonogo.types.protocols import Family
    from gonogo.types.snapshot import Snapshot
    from gonogo.types.verdict import Ruling, Status, Verdict
    from gonogo.workflow.compare import compare
    from gonogo.workflow.decide import decide
    from gonogo.workflow.differ import differ
    from gonogo.workflow.explain import explain
    from gonogo.workflow.init import init
    from gonogo.workflow.ledger import verify
    from gonogo.workflow.measure import measure
    from gonogo.workflow.page import page
    from gonogo.workflow.predict import predict
    from gonogo.workflow.release import release
    from gonogo.workflow.replay import replay
    from gonogo.workflow.rollback import rollback
    from gonogo.workflow.run import run
    from gonogo.workflow.snapshot import snapshot
    from gonogo.workflow.train import train
    from gonogo.workflow.waive import waive


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gonogo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
