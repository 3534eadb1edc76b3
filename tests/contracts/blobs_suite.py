"""What every blob store promises. Inherit, and give a `blobs` fixture and `damage`."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gonogo.backends.protocols import Blobs
from gonogo.types.errors import BlobCorrupt, RecordUnknown
from gonogo.types.record import Digest

UNKNOWN: Digest = "sha256:" + "7" * 64


class BlobsSuite:
    """A fresh, empty store for each test."""

    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        raise NotImplementedError

    def damage(self, blobs: Any, digest: Digest, data: bytes) -> None:
        """Put other bytes in the place of a blob, past the store's own doors."""
        raise NotImplementedError

    @pytest.mark.parametrize("data", [b"", b"\0", b"two flights", bytes(range(256)) * 9_000])
    def test_bytes_come_back_under_their_sha256(self, blobs: Blobs, data: bytes) -> None:
        digest = blobs.put(data)
        assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
        assert blobs.get(digest) == data
        assert blobs.open_path(digest).read_bytes() == data
        assert blobs.has(digest)

    def test_a_file_and_its_bytes_have_one_digest(self, blobs: Blobs, tmp_path: Path) -> None:
        path = tmp_path / "rows.parquet"
        path.write_bytes(b"rows" * 700_000)
        assert blobs.put_file(path) == blobs.put(path.read_bytes())
        assert path.exists()

    def test_storing_twice_changes_nothing(self, blobs: Blobs, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"a")
        first = blobs.put(b"a")
        assert [blobs.put(b"a"), blobs.put_file(path)] == [first, first]
        assert list(blobs.digests()) == [first]

    def test_digests_are_listed_in_order(self, blobs: Blobs) -> None:
        assert list(blobs.digests()) == []
        stored = {blobs.put(bytes([n])) for n in range(20)}
        assert list(blobs.digests()) == sorted(stored)

    def test_what_was_never_stored_is_unknown(self, blobs: Blobs) -> None:
        assert not blobs.has(UNKNOWN)
        for read in (blobs.get, blobs.open_path):
            with pytest.raises(RecordUnknown, match="GNG-L003"):
                read(UNKNOWN)

    @pytest.mark.parametrize(
        "name", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 64, "sha256:" + "A" * 64, "sha256:" + "0" * 63]
    )
    def test_what_is_no_digest_never_becomes_a_place(self, blobs: Blobs, name: str) -> None:
        for ask in (blobs.has, blobs.get, blobs.open_path):
            with pytest.raises(RecordUnknown, match="is no digest"):
                ask(name)

    @pytest.mark.parametrize("changed", [b"two flightr", b"two flight", b"two flights ", b""])
    def test_other_bytes_are_never_handed_out(self, blobs: Blobs, changed: bytes) -> None:
        digest = blobs.put(b"two flights")
        self.damage(blobs, digest, changed)
        for read in (blobs.get, blobs.open_path):
            with pytest.raises(BlobCorrupt, match="GNG-A001"):
                read(digest)

    def test_storing_again_mends_a_corrupt_blob(self, blobs: Blobs, tmp_path: Path) -> None:
        digest = blobs.put(b"two flights")
        path = tmp_path / "two"
        path.write_bytes(b"two flights")
        for store in (lambda: blobs.put(b"two flights"), lambda: blobs.put_file(path)):
            self.damage(blobs, digest, b"three")
            assert store() == digest
            assert blobs.get(digest) == b"two flights"

    def test_many_writers_of_the_same_bytes_agree(self, blobs: Blobs) -> None:
        with ThreadPoolExecutor(8) as pool:
            digests = list(pool.map(lambda n: blobs.put(b"x" * 200_000 + bytes([n % 3])), range(48)))
        assert sorted(set(digests)) == list(blobs.digests())
        assert len(set(digests)) == 3
        assert all(len(blobs.get(d)) == 200_001 for d in set(digests))
