"""A packaged candidate answers without what made it, and only as it did when it was packaged."""

from __future__ import annotations

import dataclasses
import io
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gonogo.data.planning import Plan
from gonogo.data.tables import read_examples
from gonogo.families.registry import find, find_scorer
from gonogo.serving.scorers import Loaded, load_package, prove_again
from gonogo.types.candidate import Candidate
from gonogo.types.errors import BlobCorrupt, DataError, PackageRefused, RecordUnknown
from gonogo.types.package import Field, Package, Probes
from gonogo.types.record import Digest
from gonogo.types.snapshot import Snapshot
from gonogo.types.time import moment_us
from gonogo.workflow.package import load_packaged, package, parts
from gonogo.workflow.train import Training, load_model
from gonogo.workflow.workspace import Workspace, open_workspace
from tests.contracts.scorer_suite import TOLERANCE, rows_of

HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def workspace(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A folder of this module's own, with both of its candidates packaged."""
    workspace = open_workspace(shutil.copytree(finished, tmp_path_factory.mktemp("packaged") / "parcels"))
    for digest in candidates(workspace):
        package(workspace, digest)
    return workspace


def candidates(workspace: Workspace) -> tuple[Digest, Digest]:
    """The challenger and the baseline."""
    training = workspace.records.get(Training, list(workspace.ledger.entries("training"))[-1].body["training"])
    return training.challenger, training.baseline


def loaded(workspace: Workspace, package_digest: Digest, cache: Path) -> Loaded:
    return load_packaged(workspace.blobs, package_digest, cache=cache)


def changed(workspace: Workspace, package_digest: Digest, **fields: object) -> Digest:
    return workspace.records.put(dataclasses.replace(workspace.records.get(Package, package_digest), **fields))


def test_a_package_says_what_a_request_must_hold(workspace):
    held = workspace.records.get(Package, package(workspace, candidates(workspace)[0]))
    assert held.fields == (
        Field(name="parcel", type="text", needed=True),
        Field(name="handed_in_at", type="time", needed=True),
        Field(name="depot", type="text", needed=True),
        Field(name="weight_kg", type="number", needed=True),
    )
    assert held.key == ("parcel",)
    assert held.outputs == ("p",)
    assert held.family == "tabular"
    candidate = workspace.records.get(Candidate, held.candidate)
    assert (held.artifact, held.contract) == (candidate.artifact, candidate.contract)
    assert held.inputs == workspace.records.get(Snapshot, candidate.snapshot).inputs == workspace.records.get(Plan, held.plan).inputs


def test_a_candidate_is_packaged_once(workspace):
    n = len(list(workspace.ledger.entries()))
    for digest in candidates(workspace):
        assert package(workspace, digest) == package(workspace, digest)
    assert len(list(workspace.ledger.entries())) == n
    entries = list(workspace.ledger.entries("package"))
    assert [entry.body["candidate"] for entry in entries] == list(candidates(workspace))


@pytest.mark.parametrize("part", ["the package", "probes", "plan", "seeds"])
def test_a_package_of_which_a_part_is_lost_is_made_again_to_the_same_bytes(workspace, part):
    made = package(workspace, candidates(workspace)[0])
    held = workspace.records.get(Package, made)
    lost = {"the package": made, "probes": held.probes, "plan": held.plan, "seeds": held.seeds["scans"]}[part]
    (workspace.blobs._root / lost.removeprefix("sha256:")).unlink()
    assert package(workspace, candidates(workspace)[0]) == made
    assert all(workspace.blobs.has(digest) for digest in (made, *parts(held)))


def test_a_changed_slice_column_makes_another_package_and_no_other_change_does(workspace):
    contract, made = workspace.contract, package(workspace, candidates(workspace)[0])
    renamed = dataclasses.replace(contract, question="another")
    assert package(dataclasses.replace(workspace, contract=renamed), candidates(workspace)[0]) == made
    routed = dataclasses.replace(contract, rollout=dataclasses.replace(contract.rollout, bucket_by="day"))
    other = workspace.records.get(Package, package(dataclasses.replace(workspace, contract=routed), candidates(workspace)[0]))
    assert Field(name="day", type="text", needed=False) in other.fields


def test_seeds_are_the_events_that_windows_can_still_reach(workspace):
    held = workspace.records.get(Package, package(workspace, candidates(workspace)[0]))
    events = {name: pa.ipc.open_file(io.BytesIO(workspace.blobs.get(digest))).read_all() for name, digest in held.seeds.items()}
    as_of = moment_us(workspace.contract.as_of)
    assert events["depots"].num_rows == 5  # timeless rows are always reached
    times = events["scans"].column("event_time").cast(pa.int64()).to_pylist()
    assert times == sorted(times)
    assert all(as_of - 6 * HOUR <= time <= as_of for time in times)


def test_at_least_64_probes_hold_nulls_extremes_and_categories_unheard_of(workspace):
    probes = workspace.records.get(Probes, workspace.records.get(Package, package(workspace, candidates(workspace)[0])).probes)
    assert len(probes.rows) == len(probes.answers) > 64
    columns = dict(zip(probes.inputs, zip(*probes.rows, strict=True), strict=True))
    assert None not in columns["weight"]  # the contract refuses it
    assert any(row[2:].count(None) == len(row) - 2 for row in probes.rows)  # all that may be null at once
    assert {1e12, -1e12, 0.0} <= set(columns["weight"])
    assert "a category that nobody has seen" in columns["depot"]


def test_a_package_answers_every_row_of_the_test_table_as_the_model_does(workspace, tmp_path):
    for digest in candidates(workspace):
        ours = loaded(workspace, package(workspace, digest), tmp_path)
        candidate = workspace.records.get(Candidate, digest)
        inputs = read_examples(workspace.records.get(Snapshot, candidate.snapshot), "test", workspace.blobs.open_path).inputs
        expected = load_model(workspace, candidate, digest).predict(inputs).column("p").to_pylist()
        rows = rows_of(inputs, [one.name for one in ours.inputs])
        alone = [ours.score(row)[0] for row in rows]
        assert max(abs(a - b) for a, b in zip(alone, expected, strict=True)) <= TOLERANCE
        assert [answer[0] for answer in ours.score_rows(rows)] == alone
        assert not ours.is_foreign
        assert ours.candidate == digest


def test_without_a_scorer_the_model_itself_answers_behind_the_same_face(workspace, tmp_path):
    made = package(workspace, candidates(workspace)[0])
    foreign = load_package(workspace.blobs, made, cache=tmp_path, open_scorer=lambda folder: None, load=find("tabular").load)
    own = loaded(workspace, made, tmp_path)
    assert foreign.is_foreign
    rows = workspace.records.get(Probes, own.package.probes).rows
    assert foreign.score_rows(rows) == [foreign.score(row) for row in rows]
    assert [a[0] for a in foreign.score_rows(rows)] == pytest.approx([a[0] for a in own.score_rows(rows)], abs=TOLERANCE)
    assert foreign.score_rows([]) == []
    with pytest.raises(DataError, match="'weight' is null"):
        foreign.score((None, *rows[0][1:]))


def test_rows_are_scored_together_only_where_that_pays(workspace, tmp_path):
    made = package(workspace, candidates(workspace)[0])
    assert not loaded(workspace, made, tmp_path).batches_one_turn
    foreign = load_package(workspace.blobs, made, cache=tmp_path, open_scorer=lambda folder: None, load=find("tabular").load)
    assert foreign.cost.one_us > foreign.cost.many_us
    assert foreign.batches_one_turn


@pytest.mark.parametrize("by", [1e-6, -1e-6, 0.5])
def test_an_answer_that_is_another_than_when_it_was_packaged_is_refused(workspace, tmp_path, by):
    made = package(workspace, candidates(workspace)[0])
    probes = workspace.records.get(Probes, workspace.records.get(Package, made).probes)
    answers = (*probes.answers[:-1], (probes.answers[-1][0] + by,))
    other = changed(workspace, made, probes=workspace.records.put(dataclasses.replace(probes, answers=answers)))
    with pytest.raises(PackageRefused, match="does not answer its probes"):
        loaded(workspace, other, tmp_path)


def test_no_probe_or_probes_of_other_inputs_prove_nothing(workspace, tmp_path):
    made = package(workspace, candidates(workspace)[0])
    probes = workspace.records.get(Probes, workspace.records.get(Package, made).probes)
    nothing = dataclasses.replace(probes, rows=(), answers=())
    half = dataclasses.replace(probes, answers=probes.answers[1:])
    others = dataclasses.replace(probes, inputs=probes.inputs[::-1])
    for wrong in (nothing, half, others):
        with pytest.raises(PackageRefused):
            loaded(workspace, changed(workspace, made, probes=workspace.records.put(wrong)), tmp_path)


def test_a_swapped_artifact_is_refused(workspace, tmp_path):
    ours, theirs = (package(workspace, digest) for digest in candidates(workspace))
    swapped = changed(workspace, ours, artifact=workspace.records.get(Package, theirs).artifact)
    with pytest.raises(PackageRefused):
        loaded(workspace, swapped, tmp_path)


@pytest.mark.parametrize("what", ["artifact", "probes"])
def test_lost_and_rotten_bytes_are_refused(done, tmp_path, what):
    workspace = open_workspace(done)
    made = package(workspace, candidates(workspace)[0])
    held = workspace.records.get(Package, made)
    path = workspace.blobs._root / {"artifact": held.artifact["model.json"], "probes": held.probes}[what].removeprefix("sha256:")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(BlobCorrupt):
        loaded(workspace, made, tmp_path)
    path.unlink()
    with pytest.raises(RecordUnknown):
        loaded(workspace, made, tmp_path)


def test_a_model_that_was_loaded_can_be_asked_for_its_probes_again(workspace, tmp_path):
    ours = loaded(workspace, package(workspace, candidates(workspace)[0]), tmp_path)
    prove_again(workspace.blobs, ours)
    ours.score = lambda row: (0.5,)
    with pytest.raises(PackageRefused):
        prove_again(workspace.blobs, ours)


def test_loading_a_package_imports_no_library_that_trains_or_reads_data(workspace, tmp_path):
    code = """
import sys
from pathlib import Path
from gonogo.backends.files import FileBlobs
from gonogo.workflow.package import load_packaged
load_packaged(FileBlobs(Path(sys.argv[1])), sys.argv[2], cache=Path(sys.argv[3]))
print(*sorted({"xgboost", "sklearn", "scipy", "pandas", "pyarrow", "duckdb", "numba"} & set(sys.modules)))
"""
    made = package(workspace, candidates(workspace)[0])
    arguments = [str(workspace.blobs._root), made, str(tmp_path)]
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "", "")


def test_sources_that_would_make_other_inputs_are_refused(done):
    workspace = open_workspace(done)
    parcels = pq.read_table(done / "parcels.parquet")
    weights = parcels.column("weight_kg").cast(pa.string())
    pq.write_table(parcels.set_column(parcels.column_names.index("weight_kg"), "weight_kg", weights), done / "parcels.parquet")
    with pytest.raises(DataError, match="other inputs now"):
        package(workspace, candidates(workspace)[0])


def test_the_registry_finds_the_scorer_without_the_family():
    code = "import sys; from gonogo.families.registry import find_scorer; find_scorer('tabular'); print('pyarrow' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
    assert find_scorer("tabular") is find("tabular").scorer
