"""Run: the whole way from raw events to a verdict and a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gonogo.ledger.registry import Waiver
from gonogo.types.evidence import Evidence
from gonogo.types.record import Digest, to_json
from gonogo.types.snapshot import Finding, FindingStatus, Snapshot
from gonogo.types.verdict import Verdict
from gonogo.workflow.decide import Docket, find_verdict, reach_verdict
from gonogo.workflow.measure import gather_evidence, gather_measurements
from gonogo.workflow.page import write_page
from gonogo.workflow.snapshot import take_snapshot
from gonogo.workflow.train import Training, fit_candidates
from gonogo.workflow.workspace import Progress, open_workspace

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What one run came to."""

    contract_name: str
    champion_is: str  # "champion" | "baseline"
    verdict: Verdict
    findings: tuple[Finding, ...]  # those that are not clean
    waivers: tuple[Waiver, ...]  # those that held when the verdict was reached
    digests: Mapping[str, Digest]  # contract, snapshot, candidate, champion, evidence, measurements, verdict
    rows: Mapping[str, int]  # train, validate, test, dropped
    dropped: Mapping[str, int]  # reason → rows
    page: Path
    seconds: Mapping[str, float]  # step → how long it took just now; a step found in the ledger takes next to nothing

    def as_record(self) -> dict[str, Any]:
        """The run for a machine: `gonogo run --json`."""
        return {
            "verdict": "go" if self.verdict.go else "no-go",
            "status": self.verdict.status.value,
            "rulings": [_without(to_json(r), "measured_in") for r in self.verdict.rulings],
            "findings": [to_json(f) for f in self.findings],
            "digests": dict(self.digests),
            "rows": dict(self.rows),
            "page": str(self.page),
            "seconds": dict(self.seconds),
        }


class _Clock:
    """How long each step took just now."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, step: str, work: Callable[[], R]) -> R:
        started = time.perf_counter()
        done = work()
        self.seconds[step] = round(self.seconds.get(step, 0.0) + time.perf_counter() - started, 3)
        return done


def _without(record: Any, name: str) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k != name}


def run(folder: Path | str, *, progress: Progress | None = None) -> Run:
    """A verdict on the folder's contract. Each step that was done before with the same inputs is taken from the ledger.

    progress: told (step, what it is doing) as the work goes on.
    Raises GonogoError; whatever was recorded until then stays, and the next run goes on from there.
    """
    timed = _Clock()
    workspace = open_workspace(folder, progress=progress)
    taken = timed("snapshot", lambda: take_snapshot(workspace))
    trained = timed("train", lambda: fit_candidates(workspace, taken.digest))
    training = workspace.records.get(Training, trained.digest)
    measured = timed("measure", lambda: gather_evidence(workspace, taken.digest, trained.digest))
    clocked = timed("measure", lambda: gather_measurements(workspace, taken.digest, trained.digest))
    evidence = workspace.records.get(Evidence, measured.digest)
    decided = timed("decide", lambda: reach_verdict(workspace, taken.digest, trained.digest, measured.digest, clocked.digest))
    workspace.progress("page", "draws")
    entry = find_verdict(workspace.ledger, decided.digest)
    page = timed("page", lambda: write_page(workspace.folder, workspace.records, workspace.ledger, entry))
    snapshot = workspace.records.get(Snapshot, taken.digest)
    return Run(
        contract_name=workspace.contract.name,
        champion_is=evidence.champion_is,
        verdict=workspace.records.get(Verdict, decided.digest),
        findings=tuple(f for f in snapshot.findings if f.status is not FindingStatus.CLEAN),
        waivers=workspace.records.get(Docket, entry.body["docket"]).waivers,
        digests={
            "contract": workspace.contract_digest,
            "snapshot": taken.digest,
            "candidate": training.challenger,
            "champion": evidence.champion,
            "evidence": measured.digest,
            "measurements": clocked.digest,
            "verdict": decided.digest,
        },
        rows={name: t.n_rows for name, t in snapshot.tables.items()} | {"dropped": sum(d.n_rows for d in snapshot.dropped)},
        dropped={d.reason: d.n_rows for d in snapshot.dropped},
        page=page,
        seconds=timed.seconds,
    )
