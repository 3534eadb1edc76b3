"""Facts about where a verdict comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gonogo.backends.files import FileBlobs
from gonogo.ledger.lineage import Ancestor, flattened, lineage
from gonogo.ledger.records import Records
from gonogo.types.candidate import Candidate
from gonogo.types.errors import ArtifactRefused, RecordUnknown
from gonogo.types.evidence import Evidence, Measurements
from gonogo.types.record import Digest
from gonogo.types.snapshot import Snapshot, SourcePin, TablePin
from gonogo.types.verdict import Verdict


def fake(letter: str) -> Digest:
    return "sha256:" + letter * 64


CONTRACT = fake("c")  # a contract that is not stored

SNAPSHOT = Snapshot(
    contract_part=fake("d"),
    as_of="2014-01-01T05:00:00Z",
    sources=(SourcePin(name="flights", digest=fake("1"), n_rows=336_776, columns={"origin": "VARCHAR"}),),
    inputs=(),
    keys=("flight_id",),
    slices=(),
    tables={
        "train": TablePin(blob=fake("2"), n_rows=9, n_units=3, decided_from="2013-01-01T00:00:00Z", decided_until="2013-06-01T00:00:00Z")
    },
    dropped=(),
    findings=(),
    facts={},
)


def candidate(snapshot: Digest, learner: str, seed: int = 13) -> Candidate:
    return Candidate(
        contract=CONTRACT,
        snapshot=snapshot,
        learner=learner,
        params={"max_depth": 6},
        seed=seed,
        artifact={"model.ubj": fake("3")},
        environment={"gonogo": "0.1.0", "code": fake("4"), "lock file": fake("5")},
        trials=(),
    )


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(FileBlobs(tmp_path))


@pytest.fixture
def verdict(records: Records) -> Digest:
    """A verdict whose every ancestor is stored but for the contract and the files."""
    snapshot = records.put(SNAPSHOT)
    challenger, baseline = records.put(candidate(snapshot, "xgboost")), records.put(candidate(snapshot, "prior"))
    evidence = Evidence(
        contract=CONTRACT,
        candidate=challenger,
        champion=baseline,
        champion_is="baseline",
        snapshot=snapshot,
        table="test",
        n_rows=100,
        n_units=10,
        estimates=(),
    )
    measurements = Measurements(candidate=challenger, machine={"cores": 2}, measured_at="2026-03-01T00:00:00Z", estimates=())
    return records.put(
        Verdict(
            contract=CONTRACT,
            snapshot=snapshot,
            candidate=challenger,
            evidence=records.put(evidence),
            measurements=records.put(measurements),
            waivers=(fake("6"),),
            rulings=(),
        )
    )


def named(root: Ancestor) -> dict[str, Ancestor]:
    found: dict[str, Ancestor] = {}
    for _, ancestor in flattened(root):
        found.setdefault(ancestor.role, ancestor)
    return found


def test_a_verdict_leads_back_to_sources_code_seed_and_lock_file(records: Records, verdict: Digest) -> None:
    root = lineage(records, verdict)
    found = named(root)
    assert (root.kind, root.facts["status"]) == ("verdict", "missing")
    assert [p.role for p in root.parents] == ["contract", "snapshot", "candidate", "evidence", "measurements", "waiver"]
    assert found["source flights"].digest == fake("1")
    assert found["source flights"].facts == {"rows": "336776"}
    assert found["table train"].digest == fake("2")
    assert found["file model.ubj"].digest == fake("3")
    assert found["candidate"].facts == {
        "learner": "xgboost",
        "params": '{"max_depth":6}',
        "seed": "13",
        "gonogo": "0.1.0",
        "code": fake("4"),
        "lock file": fake("5"),
    }
    assert found["baseline"].facts["learner"] == "prior"
    assert found["measurements"].facts["machine cores"] == "2"
    assert found["waiver"].kind == "entry"


def test_each_ancestor_is_unfolded_once(records: Records, verdict: Digest) -> None:
    snapshots = [a for _, a in flattened(lineage(records, verdict)) if a.kind == "snapshot"]
    assert [s.seen for s in snapshots] == [False] + [True] * (len(snapshots) - 1)
    assert [bool(s.parents) for s in snapshots] == [True] + [False] * (len(snapshots) - 1)


def test_an_ancestor_that_is_not_stored_is_named_as_missing(records: Records, verdict: Digest) -> None:
    contract = named(lineage(records, verdict))["contract"]
    assert (contract.kind, contract.digest, contract.parents) == ("missing", CONTRACT, ())


def test_a_candidate_derived_from_another_leads_back_to_it(records: Records) -> None:
    snapshot = records.put(SNAPSHOT)
    first = records.put(candidate(snapshot, "xgboost"))
    second = records.put(replace(candidate(snapshot, "xgboost"), derived_from=first, seed=14))
    assert named(lineage(records, second))["derived_from"].digest == first


def test_the_same_records_give_the_same_tree(records: Records, verdict: Digest) -> None:
    assert lineage(records, verdict) == lineage(records, verdict)


def test_what_is_unknown_or_no_record_has_no_lineage(records: Records, tmp_path: Path) -> None:
    with pytest.raises(RecordUnknown):
        lineage(records, fake("9"))
    with pytest.raises(ArtifactRefused, match="no record that has a lineage"):
        lineage(records, FileBlobs(tmp_path).put(b"{}"))
