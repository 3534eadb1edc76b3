"""How does a saved model come back with every byte as it was, and without anything that could run?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from gonogo.backends.disk import INCOMING, clean, copy_hashed, incoming, storage_errors
from gonogo.backends.protocols import Blobs
from gonogo.types.errors import ArtifactRefused, BlobCorrupt
from gonogo.types.record import Digest

# What executes nothing when it is read. A list of what is allowed, not of what is forbidden: the next dangerous format has no name yet.
ALLOWED = frozenset({".json", ".npz", ".ubj", ".safetensors", ".onnx", ".txt", ".parquet"})


def store_artifact(blobs: Blobs, folder: Path) -> dict[str, Digest]:
    """Store every file of a folder; file name → digest, sorted. Raises ArtifactRefused for a file or folder that may not be in one."""
    with storage_errors(folder):
        paths = sorted(folder.iterdir())
    _check_names([path.name for path in paths])
    for path in paths:
        if path.is_symlink() or not path.is_file():
            raise _refused(path.name, "it is no plain file")
    return {path.name: blobs.put_file(path) for path in paths}


def restore_artifact(blobs: Blobs, files: Mapping[str, Digest], into: Path) -> Path:
    """The folder, holding exactly these files, each verified. It may run twice; nothing in it may be read before it returns.

    Raises ArtifactRefused for a name that leads elsewhere or a format that could execute, and where `into` holds other files;
    BlobCorrupt and RecordUnknown where the stored bytes are not those that were recorded.
    """
    _check_names(files)
    sources = {name: blobs.open_path(digest) for name, digest in files.items()}
    with storage_errors(into):
        into.mkdir(parents=True, exist_ok=True)
        clean(into)  # of a restore that was killed
        others = sorted(p.name for p in into.iterdir() if p.name not in files and not p.name.startswith(INCOMING))
    if others:
        raise _refused(others[0], f"it was in {into.name} before, and a loader could take it for a part of the model")
    for name, source in sources.items():
        _restore(source, files[name], into, name)
    return into


def _restore(source: Path, digest: Digest, into: Path, name: str) -> None:
    with storage_errors(into), incoming(into) as temporary:
        found = copy_hashed(source, temporary.file)
        if found != digest:
            raise BlobCorrupt("Stored bytes changed while they were read.", found=found, expected=digest, where=str(source))
        temporary.keep_as(name)


def _check_names(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not name or name.startswith(".") or any(c in name for c in "/\\\0:") or not name.isprintable():
            raise _refused(name, "its name could lead elsewhere")
        if Path(name).suffix not in ALLOWED:
            raise _refused(name, "its format is not known to execute nothing when it is read")
        if name.casefold() in seen:
            raise _refused(name, "another file has this name but for capital letters")
        seen.add(name.casefold())
    if not seen:
        raise ArtifactRefused("An artifact without any file.", found="no files", expected="what a model's save wrote")


def _refused(name: str, why: str) -> ArtifactRefused:
    return ArtifactRefused(
        f"The file {name!r} has no place in an artifact: {why}.",
        found=name,
        expected="plain files without folders, ending in " + ", ".join(sorted(ALLOWED)),
        next="save the model in one of these formats; pickles are never read",
    )
