"""What does the function that `python:MODULE:FUNCTION` names give?

The module is looked up beside the contract first. It is loaded for this read only: neither `sys.path` nor `sys.modules` keep a trace,
so two contracts in one process may each have a `source.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.data.readers import Raw, read_batches, read_files, read_table, refuse_repeated
from gonogo.data.sql import first_line
from gonogo.types.errors import GonogoError, SourceEmpty, SourceUnreadable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_GIVEN = "what the function gave"


def read_python(read: str, relation: str, *, folder: Path, connection: DuckDBPyConnection, where: str) -> Raw:
    """What the function returns: an Arrow table, anything that exports an Arrow stream, record batches, or the path of a file."""
    module, _, function = read.removeprefix("python:").partition(":")
    if not module or not function:
        raise SourceUnreadable(f"{read} names no function", where=where, expected="python:MODULE:FUNCTION")
    with _guest(folder, module):
        try:
            return _bring_in(_function(module, function, where)(), relation, folder=folder, connection=connection, where=where)
        except GonogoError:
            raise
        except Exception as error:  # Foreign code may raise anything; to the reader of a contract all of it means: no data.
            raise SourceUnreadable(
                f"{module}.{function}() failed", where=where, found=f"{type(error).__name__}: {first_line(error)}", expected="a table"
            ) from error


def _function(module: str, function: str, where: str) -> Callable[[], Any]:
    found = getattr(importlib.import_module(module), function, None)
    if not callable(found):
        raise SourceUnreadable(f"the module {module} has no function {function}", where=where, expected="python:MODULE:FUNCTION")
    return found  # type: ignore[no-any-return]


def _bring_in(value: Any, relation: str, *, folder: Path, connection: DuckDBPyConnection, where: str) -> Raw:
    import pyarrow as pa

    if isinstance(value, str | Path):
        return read_files(str(value), relation, folder=folder, connection=connection, where=where)
    if isinstance(value, pa.Table):
        refuse_repeated(value.schema.names, _GIVEN, where)
        return read_table(value, relation, connection)
    if hasattr(value, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(value)
        refuse_repeated(reader.schema.names, _GIVEN, where)
        return read_batches(reader.schema, reader, relation, connection)
    if hasattr(value, "__iter__"):
        return _bring_in_batches(iter(value), relation, connection, where)
    raise SourceUnreadable(
        f"the function returned a {type(value).__name__}", where=where, expected="an Arrow table, record batches, or the path of a file"
    )


def _bring_in_batches(batches: Iterator[Any], relation: str, connection: DuckDBPyConnection, where: str) -> Raw:
    import pyarrow as pa

    first = next(batches, None)
    if first is None:
        raise SourceEmpty("the function gave no batch at all", where=where, expected="at least one row")
    if not isinstance(first, pa.RecordBatch):
        raise SourceUnreadable(f"the function gave a {type(first).__name__}", where=where, expected="Arrow record batches")
    refuse_repeated(first.schema.names, _GIVEN, where)

    def checked() -> Iterator[pa.RecordBatch]:
        yield first
        for batch in batches:
            if not isinstance(batch, pa.RecordBatch) or batch.schema != first.schema:
                raise SourceUnreadable("the function gave batches of differing schemas", where=where, expected=str(first.schema))
            yield batch

    return read_batches(first.schema, checked(), relation, connection)


@contextmanager
def _guest(folder: Path, module: str) -> Iterator[None]:
    """The contract's folder comes first for imports, and what was imported from it is forgotten afterwards."""
    home, no_bytecode = str(folder.resolve()), sys.dont_write_bytecode
    ours = {name: sys.modules.pop(name) for name in _shadowed(folder, module)}
    before = set(sys.modules)
    sys.path.insert(0, home)
    sys.dont_write_bytecode = True  # the contract's folder belongs to its author
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = no_bytecode
        sys.path.remove(home)
        for name in [name for name, loaded in sys.modules.items() if name not in before and _lies_in(loaded, home)]:
            del sys.modules[name]
        sys.modules.update(ours)


def _shadowed(folder: Path, module: str) -> list[str]:
    """Loaded modules that would hide the one beside the contract."""
    top = module.partition(".")[0]
    if not ((folder / f"{top}.py").is_file() or (folder / top).is_dir()):
        return []
    return [name for name in sys.modules if name == top or name.startswith(f"{top}.")]


def _lies_in(loaded: object, home: str) -> bool:
    file = getattr(loaded, "__file__", None)
    return isinstance(file, str) and Path(file).resolve().is_relative_to(home)
