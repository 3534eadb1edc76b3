"""Write the launch page of a verdict."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.families.registry import find
from gonogo.ledger import registry
from gonogo.ledger.ledger import Ledger
from gonogo.ledger.lineage import Ancestor, lineage
from gonogo.ledger.records import Records
from gonogo.types.candidate import Candidate
from gonogo.types.contract import Contract
from gonogo.types.entry import Entry
from gonogo.types.evidence import Evidence, Measurements
from gonogo.types.record import Digest
from gonogo.types.snapshot import Snapshot
from gonogo.types.verdict import Verdict
from gonogo.workflow.decide import Docket, find_verdict
from gonogo.workflow.train import Training
from gonogo.workflow.workspace import STATE, open_recorded

if TYPE_CHECKING:
    from gonogo.evidence.page_view import Origin

_STEPS = ("snapshot", "training", "evidence", "measurements", "verdict")


def page(folder: Path | str, verdict: str = "") -> Path:
    """The page of a verdict (digest or unique prefix; the newest without one): one self-contained HTML file."""
    records, ledger = open_recorded(folder)
    return write_page(Path(folder), records, ledger, find_verdict(ledger, verdict))


def write_page(folder: Path, records: Records, ledger: Ledger, entry: Entry) -> Path:
    """The page of the verdict that an entry holds, below the folder's state, named by its digest."""
    from gonogo.backends.disk import storage_errors, write_whole

    digest: Digest = entry.body["verdict"]
    path = folder / STATE / "pages" / f"{digest.removeprefix('sha256:')[:12]}.html"
    html = _html(records, tuple(ledger.entries()), digest, records.get(Docket, entry.body["docket"]))
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, html.encode())
    return Path(os.path.relpath(path))


def _html(records: Records, entries: tuple[Entry, ...], digest: Digest, docket: Docket) -> str:
    from gonogo.evidence import page

    get = records.get
    contract, evidence = get(Contract, docket.contract), get(Evidence, docket.evidence)
    training = _body_of(entries, "training", candidate=docket.candidate).get("training")
    return page.render(
        page.PageView(
            contract=contract,
            snapshot=get(Snapshot, docket.snapshot),
            candidate=get(Candidate, docket.candidate),
            verdict=get(Verdict, digest),
            evidence=evidence,
            measurements=None if docket.measurements is None else get(Measurements, docket.measurements),
            digests=_digests(docket, digest),
            lineage=(_origin(lineage(records, digest)),),
            seconds=_seconds(entries, docket, digest),
            words=find(contract.family).words,
            history=tuple(page.HistoryLine(seq=e.seq, at=e.at.isoformat(), kind=e.kind, by=e.by) for e in entries),
            extra_curves=() if training is None else get(Training, training).curves,
            champion=get(Candidate, evidence.champion),
            times_opened=registry.opened(entries, docket.candidate),
            waived=tuple(page.Waived(code=w.code, where=w.where, by=w.name, why=w.reason) for w in docket.waivers),
        )
    )


def _digests(docket: Docket, verdict: Digest) -> dict[str, Digest]:
    named = {
        "contract": docket.contract,
        "snapshot": docket.snapshot,
        "candidate": docket.candidate,
        "evidence": docket.evidence,
        "verdict": verdict,
    }
    return named if docket.measurements is None else named | {"measurements": docket.measurements}


def _seconds(entries: tuple[Entry, ...], docket: Docket, verdict: Digest) -> dict[str, float]:
    """How long each step took when it ran, from the entry that first recorded its digest."""
    wanted = {**_digests(docket, verdict), "training": docket.candidate}
    found: dict[str, float] = {}
    for step in _STEPS:
        name = "candidate" if step == "training" else step
        body = _body_of(entries, step, **{name: wanted.get(step)})
        if "seconds" in body:
            found[step] = body["seconds"]
    return found


def _origin(ancestor: Ancestor) -> Origin:
    from gonogo.evidence.page_view import Origin

    detail = ", ".join(f"{name} {value}" for name, value in ancestor.facts.items())
    label = ancestor.kind if ancestor.role == "asked for" else ancestor.role
    return Origin(label=label, digest=ancestor.digest, detail=detail, parents=tuple(_origin(a) for a in ancestor.parents))


def _body_of(entries: tuple[Entry, ...], kind: str, **match: object) -> Mapping[str, Any]:
    entry = registry.last(entries, kind, **match)
    return {} if entry is None else entry.body
