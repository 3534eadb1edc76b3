"""What does a record come from, back to the sources, the code and the seed?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gonogo.ledger.records import Records
from gonogo.types.candidate import Candidate
from gonogo.types.contract import Contract
from gonogo.types.errors import ArtifactRefused, RecordUnknown
from gonogo.types.evidence import Evidence, Measurements
from gonogo.types.record import Digest, canonical
from gonogo.types.snapshot import Snapshot
from gonogo.types.verdict import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Ancestor:
    """One record or stored file, and what it was made from."""

    role: str  # what it is to its child: "champion", "source weather", "table train", "file model.ubj"
    kind: str  # "verdict", "candidate", …; "blob" for files; "missing" where it is not stored; "entry" for one of the ledger
    digest: Digest
    facts: Mapping[str, str] = field(default_factory=dict)  # seed, parameters, versions: what else it depends on
    parents: tuple[Ancestor, ...] = ()  # empty also where the same digest stands earlier in the tree
    seen: bool = False  # True: its parents stand where it was met first


def lineage(records: Records, digest: Digest) -> Ancestor:
    """The tree of everything that led to a record. Raises RecordUnknown where the record itself is not stored.

    An ancestor that is not stored any more is part of the tree, of kind "missing": its digest still says what it was.
    """
    return _ancestor(records, "asked for", digest, met=set(), is_root=True)


def flattened(root: Ancestor, depth: int = 0) -> Iterator[tuple[int, Ancestor]]:
    """Depth and ancestor, in reading order."""
    yield depth, root
    for parent in root.parents:
        yield from flattened(parent, depth + 1)


def _ancestor(records: Records, role: str, digest: Digest, *, met: set[Digest], is_root: bool = False) -> Ancestor:
    try:
        record = _any_record(records, digest)
    except RecordUnknown:
        if is_root:
            raise
        return Ancestor(role=role, kind="missing", digest=digest)
    kind = type(record).__name__.lower()
    if digest in met:
        return Ancestor(role=role, kind=kind, digest=digest, seen=True)
    met.add(digest)
    facts, parents, leaves = _ORIGINS[type(record)](record)
    return Ancestor(
        role=role,
        kind=kind,
        digest=digest,
        facts=facts,
        parents=tuple(_ancestor(records, r, d, met=met) for r, d in parents) + leaves,
    )


def _any_record(records: Records, digest: Digest) -> Any:
    for cls in _ORIGINS:
        try:
            return records.get(cls, digest)
        except ArtifactRefused:
            continue  # a record of another type: fields are read strictly, so at most one type fits
    raise ArtifactRefused("This is no record that has a lineage.", found=digest, expected=", ".join(c.__name__ for c in _ORIGINS))


_Origin = tuple[dict[str, str], tuple[tuple[str, Digest], ...], tuple[Ancestor, ...]]  # facts, parents to follow, leaves


def _of_verdict(verdict: Verdict) -> _Origin:
    measured = (("measurements", verdict.measurements),) if verdict.measurements else ()
    parents = (
        ("contract", verdict.contract),
        ("snapshot", verdict.snapshot),
        ("candidate", verdict.candidate),
        ("evidence", verdict.evidence),
    )
    waived = tuple(Ancestor(role="waiver", kind="entry", digest=d) for d in verdict.waivers)
    return {"status": verdict.status.value}, parents + measured, waived


def _of_evidence(evidence: Evidence) -> _Origin:
    facts = {"table": evidence.table, "rows": f"{evidence.n_rows}", "units": f"{evidence.n_units}"}
    parents = (
        ("contract", evidence.contract),
        ("candidate", evidence.candidate),
        (evidence.champion_is, evidence.champion),
        ("snapshot", evidence.snapshot),
    )
    return facts, parents, ()


def _of_measurements(measurements: Measurements) -> _Origin:
    machine = {f"machine {name}": str(value) for name, value in measurements.machine.items()}
    return {"measured_at": measurements.measured_at, **machine}, (("candidate", measurements.candidate),), ()


def _of_candidate(candidate: Candidate) -> _Origin:
    facts = {
        "learner": candidate.learner,
        "params": canonical(candidate.params).decode(),
        "seed": str(candidate.seed),
        **candidate.environment,
    }
    before = (("derived_from", candidate.derived_from),) if candidate.derived_from else ()
    files = tuple(_blob(f"file {name}", d) for name, d in candidate.artifact.items())
    return facts, (("contract", candidate.contract), ("snapshot", candidate.snapshot), *before), files


def _of_snapshot(snapshot: Snapshot) -> _Origin:
    sources = tuple(_blob(f"source {s.name}", s.digest, rows=s.n_rows) for s in snapshot.sources)
    tables = tuple(_blob(f"table {name}", t.blob, rows=t.n_rows) for name, t in snapshot.tables.items())
    return {"as_of": snapshot.as_of, "contract_part": snapshot.contract_part}, (), sources + tables


def _of_contract(contract: Contract) -> _Origin:
    return {"name": contract.name, "family": contract.family, "seed": str(contract.seed)}, (), ()


def _blob(role: str, digest: Digest, **facts: int) -> Ancestor:
    return Ancestor(role=role, kind="blob", digest=digest, facts={name: str(n) for name, n in facts.items()})


_ORIGINS: dict[type, Callable[[Any], _Origin]] = {
    Verdict: _of_verdict,
    Evidence: _of_evidence,
    Measurements: _of_measurements,
    Candidate: _of_candidate,
    Snapshot: _of_snapshot,
    Contract: _of_contract,
}
