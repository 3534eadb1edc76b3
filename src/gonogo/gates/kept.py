"""Of which sources was a kept compiled function made?

numba keeps what it compiled beside a file and takes it again until that file changes. It does not look at other files whose functions and
constants were compiled into it. It does look at what a function closes over: a stamp of those other files.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from types import ModuleType


def source_stamp(*modules: ModuleType) -> int:
    """A number that changes, but for one case in four billion, with any edit of these modules.

    >>> import zlib
    >>> from gonogo.gates import kept
    >>> source_stamp(kept) == source_stamp(kept) != source_stamp(zlib)
    True
    """
    stamp = 0
    for module in modules:
        path = getattr(module, "__file__", None)
        stamp = zlib.crc32(Path(path).read_bytes() if path and path.endswith(".py") else module.__name__.encode(), stamp)
    return stamp
