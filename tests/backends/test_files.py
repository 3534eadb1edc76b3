"""Facts about blobs in a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gonogo.backends.disk import incoming
from gonogo.backends.files import FileBlobs
from gonogo.types.errors import StorageFailed
from gonogo.types.record import Digest
from tests.contracts.blobs_suite import BlobsSuite


class TestFileBlobs(BlobsSuite):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> FileBlobs:
        return FileBlobs(tmp_path / "state" / "blobs")

    def damage(self, blobs: FileBlobs, digest: Digest, data: bytes) -> None:
        path = blobs.open_path(digest)
        path.chmod(0o644)
        path.write_bytes(data)


def test_a_stored_file_cannot_be_written_by_accident(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    path = blobs.open_path(blobs.put(b"a"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_every_flipped_byte_of_a_blob_is_found(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    data = bytes(range(200))
    digest = blobs.put(data)
    path = blobs.open_path(digest)
    path.chmod(0o644)
    refused = 0
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        with pytest.raises(Exception, match="GNG-A001"):
            blobs.get(digest)
        refused += 1
    assert refused == 200


def test_leftovers_of_a_crash_are_passed_over_and_cleaned_by_the_next_writer(tmp_path: Path) -> None:
    digest = FileBlobs(tmp_path).put(b"a")
    leftover = tmp_path / ".incoming-0123456789abcdef"
    leftover.write_bytes(b"half of somethi")
    reader = FileBlobs(tmp_path)
    assert list(reader.digests()) == [digest]
    assert leftover.exists()  # a reader removes nothing
    FileBlobs(tmp_path).put(b"b")
    assert not leftover.exists()


def test_the_file_of_a_living_writer_is_not_a_leftover(tmp_path: Path) -> None:
    with incoming(tmp_path) as other:
        other.file.write(b"still writing")
        FileBlobs(tmp_path).put(b"b")
        other.keep_as("kept")
    assert (tmp_path / "kept").read_bytes() == b"still writing"


def test_a_missing_file_to_store_is_a_storage_failure_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed) as refused:
        FileBlobs(tmp_path / "blobs").put_file(tmp_path / "nowhere.parquet")
    assert refused.value.where.endswith("nowhere.parquet")
    assert "ENOENT" in refused.value.found


def test_a_folder_that_is_a_file_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("not a folder")
    with pytest.raises(StorageFailed) as refused:
        FileBlobs(tmp_path / "blobs").put(b"a")
    assert refused.value.exit_status == 3
    assert refused.value.next


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_a_storage_failure(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageFailed, match="EACCES"):
        FileBlobs(tmp_path).put(b"a")
    tmp_path.chmod(0o700)
