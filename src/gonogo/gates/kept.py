"""Where is compiled code kept that takes long to compile, and is it still that of these sources?

Beside bytecode if that can be written, as the interpreter does it, else below the user's own cache. It is kept under a key, which knows
every source, version and feature of the processor that could change it, and with a checksum, so that a file that was cut off is none.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

_SUM = 32  # bytes of SHA-256 in front of what is kept


def key_of(modules: Iterable[ModuleType | Path], *others: str) -> str:
    """Changes with any edit of these sources and with any of the other words.

    >>> from gonogo.gates import kept
    >>> key_of([kept], "x") == key_of([kept], "x") != key_of([kept], "y")
    True
    """
    seen = hashlib.sha256()
    for module in modules:
        path = module if isinstance(module, Path) else Path(str(module.__file__))
        seen.update(hashlib.sha256(path.read_bytes()).digest())
    for other in others:
        seen.update(hashlib.sha256(other.encode()).digest())
    return seen.hexdigest()[:24]


def read(name: str) -> bytes | None:
    """What is kept under that name; None where nothing whole is."""
    for folder in _folders():
        try:
            found = (folder / name).read_bytes()
        except OSError:
            continue
        if found[:_SUM] == hashlib.sha256(found[_SUM:]).digest():
            return found[_SUM:]
    return None


def write(name: str, code: bytes) -> None:
    """Keep it for the next process, in the first folder that can be written; where none can, the next one makes it again."""
    for folder in _folders():
        temporary = folder / f".{name}.{os.getpid()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(hashlib.sha256(code).digest() + code)
            temporary.replace(folder / name)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            continue
        return


def _folders() -> Iterator[Path]:
    # numba's own setting: whoever moves what it keeps moves this as well.
    if told := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(told) / "gonogo"
        return
    yield Path(__file__).parent / "__pycache__"
    with suppress(RuntimeError):  # a user without a home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gonogo"
