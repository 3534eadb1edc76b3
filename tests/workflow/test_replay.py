"""Facts about deciding an old verdict again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import gonogo
from gonogo.types.errors import BlobCorrupt, RecordUnknown, UsageError
from gonogo.types.record import canonical
from gonogo.workflow.ledger import entries


def blob(folder: Path, digest: str) -> Path:
    (path,) = (folder / ".gonogo" / "blobs").rglob(digest.removeprefix("sha256:"))
    return path


def test_a_verdict_decides_again_to_the_bytes_that_were_stored(finished):
    run = gonogo.run(finished)
    replayed = gonogo.replay(run.digests["verdict"], folder=finished)
    assert replayed.digest == run.digests["verdict"]
    assert canonical(replayed.verdict) == blob(finished, replayed.digest).read_bytes()


def test_a_replay_needs_no_data_no_contract_and_no_model_and_writes_nothing(done):
    verdict = gonogo.run(done).digests["verdict"]
    for file in done.iterdir():
        if file.is_file():
            file.unlink()
    shutil.rmtree(done / ".gonogo" / "scratch")
    before = entries(done)
    assert gonogo.replay(verdict[7:15], folder=done).verdict.go
    assert entries(done) == before


def test_an_old_verdict_stays_what_it_was_after_the_contract_has_changed(done):
    first = gonogo.run(done)
    text = (done / "contract.toml").read_text()
    (done / "contract.toml").write_text(text.replace("at_least = 0.6", "at_least = 0.9"))
    second = gonogo.run(done)
    assert gonogo.replay(first.digests["verdict"], folder=done).verdict.go
    assert not gonogo.replay(second.digests["verdict"], folder=done).verdict.go


@pytest.mark.parametrize("what", ["evidence", "measurements", "snapshot", "contract", "verdict"])
def test_a_flipped_byte_in_what_a_verdict_rests_on_is_found(done, what):
    digests = gonogo.run(done).digests
    path = blob(done, digests[what])
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BlobCorrupt):
        gonogo.replay(digests["verdict"], folder=done)


@pytest.mark.parametrize("typed", ["abc", "ffffffffffff", "no digest"])
def test_a_digest_that_names_no_verdict_is_told_so(finished, typed):
    with pytest.raises(RecordUnknown, match=r"No records"):
        gonogo.replay(typed, folder=finished)


def test_replaying_where_nothing_was_recorded_makes_no_ledger(tmp_path):
    with pytest.raises(UsageError, match="nothing was recorded"):
        gonogo.replay("abcdef12", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
