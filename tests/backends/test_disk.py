"""Facts about files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from gonogo.backends.disk import clean, digest_of_file, incoming, write_whole
from gonogo.types.errors import StorageFailed
from gonogo.types.record import digest_of_bytes


def test_a_file_written_whole_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_whole(path, b"old")

    def write_half() -> None:
        with incoming(tmp_path) as temporary:
            temporary.file.write(b"ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_cleaning_counts_what_it_removed_and_may_run_twice(tmp_path: Path) -> None:
    (tmp_path / ".incoming-aa").write_bytes(b"")
    (tmp_path / ".incoming-bb").write_bytes(b"x")
    (tmp_path / "page.html").write_bytes(b"x")
    assert [clean(tmp_path), clean(tmp_path)] == [2, 0]
    assert (tmp_path / "page.html").exists()


def test_a_missing_folder_is_a_storage_failure(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="ENOENT"):
        write_whole(tmp_path / "nowhere" / "page.html", b"x")


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"ab" * 1_500_000)
    assert digest_of_file(path) == digest_of_bytes(b"ab" * 1_500_000)
