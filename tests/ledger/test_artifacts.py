"""Facts about models that come back byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from gonogo.backends.disk import incoming
from gonogo.backends.files import FileBlobs
from gonogo.ledger.artifacts import restore_artifact, store_artifact
from gonogo.types.errors import ArtifactRefused, BlobCorrupt, GonogoError, RecordUnknown, StorageFailed

FILES = {"codec.json": b'{"inputs":["hour"]}', "model.ubj": bytes(range(60)), "table.npz": b"PK\x05\x06" + b"\0" * 18}


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


def test_a_stored_folder_comes_back_as_it_was(blobs: FileBlobs, saved: Path, tmp_path: Path) -> None:
    files = store_artifact(blobs, saved)
    assert list(files) == sorted(FILES)
    into = restore_artifact(blobs, files, tmp_path / "a" / "restored")
    assert {p.name: p.read_bytes() for p in into.iterdir()} == FILES


def test_storing_and_restoring_may_run_twice_and_mends_what_was_changed(blobs: FileBlobs, saved: Path, tmp_path: Path) -> None:
    files = store_artifact(blobs, saved)
    assert store_artifact(blobs, saved) == files
    into = restore_artifact(blobs, files, tmp_path / "restored")
    (into / "model.ubj").write_bytes(b"changed")
    restore_artifact(blobs, files, into)
    assert (into / "model.ubj").read_bytes() == FILES["model.ubj"]


def test_any_flipped_byte_of_any_file_is_refused_before_anything_is_restored(blobs: FileBlobs, saved: Path, tmp_path: Path) -> None:
    files = store_artifact(blobs, saved)
    n_flips = 0
    for name, data in FILES.items():
        path = blobs.open_path(files[name])
        path.chmod(0o644)
        for at in range(len(data)):
            path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
            with pytest.raises(BlobCorrupt):
                restore_artifact(blobs, files, tmp_path / "restored")
            n_flips += 1
        path.write_bytes(data)
    assert n_flips == sum(map(len, FILES.values()))
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../model.json",
        "/etc/model.json",
        "a/model.json",
        "a\\model.json",
        "..",
        ".",
        "",
        ".json",
        ".hidden.json",
        "c:model.json",
        "a\0.json",
        "a\n.json",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(blobs: FileBlobs, tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactRefused, match="GNG-A002"):
        restore_artifact(blobs, {name: blobs.put(b"{}")}, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize(
    "name",
    [
        "m.pkl",
        "m.pickle",
        "m.joblib",
        "m.dill",
        "m.pt",
        "m.pth",
        "m.npy",
        "m.bin",
        "m.py",
        "m.so",
        "m.JSON.exe",
        "m",
        "m.json.pkl",
        "m.JSON",
    ],
)
def test_a_format_that_is_not_known_to_execute_nothing_is_refused_both_ways(blobs: FileBlobs, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / name).write_bytes(b"cos\nsystem\n")
    with pytest.raises(ArtifactRefused, match="format"):
        store_artifact(blobs, folder)
    with pytest.raises(ArtifactRefused, match="format"):
        restore_artifact(blobs, {name: blobs.put(b"")}, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_names_that_one_file_system_tells_apart_and_another_does_not_are_refused(blobs: FileBlobs, tmp_path: Path) -> None:
    digest = blobs.put(b"{}")
    with pytest.raises(ArtifactRefused, match="capital letters"):
        restore_artifact(blobs, {"model.json": digest, "Model.json": digest}, tmp_path / "restored")


def test_a_folder_that_holds_something_else_is_not_restored_into(blobs: FileBlobs, saved: Path, tmp_path: Path) -> None:
    files = store_artifact(blobs, saved)
    into = tmp_path / "restored"
    into.mkdir()
    (into / "extra.json").write_text("{}")
    with pytest.raises(ArtifactRefused, match=r"extra\.json"):
        restore_artifact(blobs, files, into)


def test_a_restore_that_was_killed_or_runs_beside_stops_no_other(blobs: FileBlobs, saved: Path, tmp_path: Path) -> None:
    files = store_artifact(blobs, saved)
    into = tmp_path / "restored"
    into.mkdir()
    (into / ".incoming-0123456789abcdef").write_bytes(b"half")
    with incoming(into) as beside:
        restore_artifact(blobs, files, into)
        beside.keep_as("codec.json")
    assert sorted(p.name for p in into.iterdir()) == sorted(FILES)


def test_folders_and_links_are_no_part_of_an_artifact(blobs: FileBlobs, saved: Path, tmp_path: Path) -> None:
    (saved / "link.json").symlink_to(saved / "codec.json")
    with pytest.raises(ArtifactRefused, match="no plain file"):
        store_artifact(blobs, saved)
    (saved / "link.json").unlink()
    (saved / "folder.json").mkdir()
    with pytest.raises(ArtifactRefused, match="no plain file"):
        store_artifact(blobs, saved)


def test_an_artifact_without_files_is_refused_both_ways(blobs: FileBlobs, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactRefused, match="without any file"):
        store_artifact(blobs, tmp_path / "empty")
    with pytest.raises(ArtifactRefused, match="without any file"):
        restore_artifact(blobs, {}, tmp_path / "restored")


def test_missing_bytes_and_missing_folders_have_codes(blobs: FileBlobs, tmp_path: Path) -> None:
    with pytest.raises(RecordUnknown):
        restore_artifact(blobs, {"model.json": "sha256:" + "0" * 64}, tmp_path / "restored")
    with pytest.raises(StorageFailed):
        store_artifact(blobs, tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(GonogoError):
        restore_artifact(blobs, {"model.json": blobs.put(b"{}")}, tmp_path / "file")
