"""Where do bytes live on one machine? In one folder, each file named by its digest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gonogo.backends.disk import clean, copy_hashed, digest_of_file, incoming, storage_errors, sync_folder
from gonogo.types.errors import BlobCorrupt, RecordUnknown
from gonogo.types.record import Digest, digest_of_bytes

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[0-9a-f]{64}")
_READ_ONLY = 0o444


class FileBlobs:
    """Blobs in a folder. Safe with many writers; whatever is read has been verified."""

    def __init__(self, root: Path) -> None:
        """root: created by the first `put`; reading needs no right to write."""
        self._root = root
        self._is_clean = False

    def put(self, data: bytes) -> Digest:
        """Store these bytes; when it returns, a crash does not lose them. Raises StorageFailed."""
        digest = digest_of_bytes(data)
        with storage_errors(self._root):
            self._prepare()
            if not self._holds(digest):
                with incoming(self._root) as temporary:
                    temporary.file.write(data)
                    temporary.keep_as(_name(digest), mode=_READ_ONLY)
        return digest

    def put_file(self, path: Path) -> Digest:
        """Store a file's bytes, hashed while they are copied. Raises StorageFailed."""
        with storage_errors(self._root):
            self._prepare()
            with incoming(self._root) as temporary:
                digest = copy_hashed(path, temporary.file)
                if not self._holds(digest):
                    temporary.keep_as(_name(digest), mode=_READ_ONLY)
        return digest

    def get(self, digest: Digest) -> bytes:
        """The bytes, verified. Raises RecordUnknown where there are none, BlobCorrupt where they are others."""
        path = self._existing(digest)
        with storage_errors(path):
            data = path.read_bytes()
        self._compare(digest, digest_of_bytes(data))
        return data

    def open_path(self, digest: Digest) -> Path:
        """The file, its bytes verified now. Nobody may write to it; it is read-only on disk."""
        path = self._existing(digest)
        with storage_errors(path):
            found = digest_of_file(path)
        self._compare(digest, found)
        return path

    def has(self, digest: Digest) -> bool:
        """Is a file of that name there? Whether it is intact, reading tells."""
        return (self._root / _name(digest)).is_file()

    def digests(self) -> Iterator[Digest]:
        """Every stored digest, sorted; temporary and foreign files are passed over."""
        if not self._root.is_dir():
            return
        with storage_errors(self._root):
            names = sorted(p.name for p in self._root.iterdir() if _NAME.fullmatch(p.name))
        yield from ("sha256:" + name for name in names)

    def _prepare(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        if not self._is_clean:
            clean(self._root)
            self._is_clean = True

    def _holds(self, digest: Digest) -> bool:
        """Intact already? A corrupt file of that name is not: it is written again, which mends it."""
        path = self._root / _name(digest)
        if not path.is_file() or digest_of_file(path) != digest:
            return False
        # Its writer may have been killed between the rename and this.
        sync_folder(self._root)
        return True

    def _existing(self, digest: Digest) -> Path:
        path = self._root / _name(digest)
        if not path.is_file():
            raise RecordUnknown(
                f"Nothing is stored under {digest}.",
                found="no such file",
                expected="a blob that the ledger names",
                where=str(self._root),
                next="restore it from a copy, or run the step that made it again: the same inputs give the same bytes",
            )
        return path

    def _compare(self, digest: Digest, found: Digest) -> None:
        if found != digest:
            raise BlobCorrupt(
                "Stored bytes are not those that were recorded.",
                found=found,
                expected=digest,
                where=str(self._root / _name(digest)),
                next="restore the file from a copy, or delete it and run again: what is gone is made again, to the same bytes",
            )


def _name(digest: Digest) -> str:
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise RecordUnknown(f"{digest!r} is no digest.", found=digest, expected="sha256: and 64 hex digits")
    return match[1]
