"""On what was a model fitted, so that it can be fitted again?"""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType

import gonogo
from gonogo.types.record import Digest, digest_of_bytes

DISTRIBUTIONS = ("duckdb", "numba", "numpy", "pyarrow", "xgboost", "xgboost-cpu")  # those whose version can show in a model's bytes
LOCK_FILES = ("uv.lock", "constraints.txt", "requirements.lock")


@functools.cache
def environment() -> Mapping[str, str]:
    """Package → version, and digests of gonogo's own code and of its lock file. No paths, no host, no clock."""
    package = Path(gonogo.__file__).parent
    found = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "gonogo": gonogo.__version__,
        "code": digest_of_files(package, sorted(package.rglob("*.py"))),
        **_versions(),
    }
    lock = _lock(package.parents[1])
    if lock is not None:
        found["lock"] = digest_of_bytes(lock.read_bytes())
    return MappingProxyType(found)


def digest_of_files(folder: Path, files: Iterable[Path]) -> Digest:
    """The digest of the files' names inside the folder and their bytes, in the order given."""
    whole = hashlib.sha256()
    for file in files:
        data = file.read_bytes()
        whole.update(f"{file.relative_to(folder).as_posix()}\0{len(data)}\0".encode())
        whole.update(data)
    return "sha256:" + whole.hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an extra that is not installed
            continue
    return found


def _lock(source: Path) -> Path | None:
    """The lock file of a source checkout; an installed package has none beside it."""
    if not (source / "pyproject.toml").exists():
        return None
    return next((source / name for name in LOCK_FILES if (source / name).exists()), None)
