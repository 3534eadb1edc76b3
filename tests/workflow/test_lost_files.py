"""Facts about stored files that are gone or damaged: what the same inputs can make again, the next run makes again."""

from __future__ import annotations

from pathlib import Path

import pytest

import gonogo
from gonogo.types.candidate import Candidate
from gonogo.types.errors import BlobCorrupt
from gonogo.types.snapshot import Snapshot
from gonogo.workflow.workspace import open_recorded


def blob(folder: Path, digest: str) -> Path:
    return folder / ".gonogo" / "blobs" / digest.removeprefix("sha256:")


def of_the_run(folder: Path, what: str) -> Path:
    digests, (records, _) = gonogo.run(folder).digests, open_recorded(folder)
    if what == "test table":
        return blob(folder, records.get(Snapshot, digests["snapshot"]).tables["test"].blob)
    if what == "model":
        return blob(folder, next(iter(records.get(Candidate, digests["candidate"]).artifact.values())))
    return blob(folder, digests[what])


def ask_anew(folder: Path) -> gonogo.Verdict:
    """A gate that was edited makes the run measure again."""
    text = (folder / "contract.toml").read_text()
    (folder / "contract.toml").write_text(text.replace("at_least = 0.6", "at_least = 0.61"))
    return gonogo.run(folder).verdict


@pytest.mark.parametrize("what", ["snapshot", "test table", "model"])
def test_what_is_gone_is_made_again_with_the_same_bytes(done, what):
    path = of_the_run(done, what)
    data = path.read_bytes()
    path.unlink()
    assert ask_anew(done).go
    assert path.read_bytes() == data


@pytest.mark.parametrize("what", ["test table", "model"])
def test_a_flipped_byte_is_refused_and_the_file_once_removed_is_made_again(done, what):
    path = of_the_run(done, what)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(BlobCorrupt):
        ask_anew(done)
    path.unlink()
    assert gonogo.run(done).verdict.go
