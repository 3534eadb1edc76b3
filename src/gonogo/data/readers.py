"""How does what `read` names become a relation of the connection, with a digest of its content?

One function per format. Each either brings the whole content in, exactly, or refuses it with the place where it went wrong.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gonogo.data.content import ContentHash, digest_of_batches, digest_of_files
from gonogo.data.sql import column_types, first_line, identifier, literal, one_row
from gonogo.types.errors import SourceEmpty, SourceUnreadable
from gonogo.types.record import Digest

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

BATCH_ROWS = 122_880  # one row group of DuckDB
Stamp: TypeAlias = tuple[int, int, int]  # node, size, nanosecond of the last writing


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw:
    """What a `read` brought in, before the source's own SQL."""

    relation: str  # a table or view of the connection
    digest: Digest
    is_scan: bool = False  # a view over files, read again by each query: cheap for a few columns of a large file
    stamps: tuple[tuple[Path, Stamp], ...] = ()  # of its files, from before they were read


def read_files(read: str, relation: str, *, folder: Path, connection: DuckDBPyConnection, where: str) -> Raw:
    """The content of a file or of a glob's files in the order of their names."""
    paths = _paths(read, folder, where)
    kinds = sorted({_format_of(path, where) for path in paths})
    if len(kinds) > 1:
        raise SourceUnreadable(f"the files of {read} are of several formats", where=where, found=", ".join(kinds), expected="one format")
    for path in paths:
        if path.stat().st_size == 0:
            raise SourceEmpty(f"{path.name} is empty: it holds no byte", where=where, expected="a header and at least one row")
    stamps = tuple((path, stamp_of(path)) for path in paths)
    raw = replace(READERS[kinds[0]](paths, relation, connection, where), stamps=stamps)
    refuse_changed(raw, where)
    return raw


def stamp_of(path: Path) -> Stamp:
    """What changes when a file is written or replaced: its node, size and time of writing."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def refuse_changed(raw: Raw, where: str) -> None:
    """Raises SourceUnreadable where a file is no longer the one that was digested: what was read could be half of each."""
    for path, stamp in raw.stamps:
        if not path.exists() or stamp_of(path) != stamp:
            raise SourceUnreadable(
                f"{path.name} was changed while it was being read",
                where=where,
                expected="a file that stays as it is: write new data under another name, then rename",
                next="run again when the writer has finished",
            )


def read_parquet(paths: Sequence[Path], relation: str, connection: DuckDBPyConnection, where: str) -> Raw:
    """A view, so that each query reads only the columns that it names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schemas = []
    for path in paths:
        try:
            schemas.append(pq.read_schema(path).remove_metadata())
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceUnreadable(f"{path.name} is no readable Parquet file", where=where, found=first_line(error)) from error
    _refuse_differing([dict(zip(s.names, map(str, s.types), strict=True)) for s in schemas], paths, where)
    refuse_repeated(schemas[0].names, paths[0].name, where)
    files = ", ".join(literal(str(path)) for path in paths)
    with reading_told(where):
        connection.execute(f"CREATE VIEW {identifier(relation)} AS SELECT * FROM read_parquet([{files}])")
    return Raw(relation=relation, digest=digest_of_files(paths), is_scan=True)


def read_csv(paths: Sequence[Path], relation: str, connection: DuckDBPyConnection, where: str) -> Raw:
    """Every value read as text, strictly; then the narrowest type that keeps every value of its column."""
    from gonogo.data import csvfile

    headers = [csvfile.read_header(path, where) for path in paths]
    _refuse_differing([dict.fromkeys(header.names, "text") for header in headers], paths, where)
    for path in paths:
        csvfile.refuse_nul_bytes(path, where)
    with reading_told(where):
        csvfile.load_as_text(paths, headers[0], relation, connection)
    csvfile.narrow_types(relation, connection, columns=headers[0].names)
    return Raw(relation=relation, digest=digest_of_files(paths))


def read_json_lines(paths: Sequence[Path], relation: str, connection: DuckDBPyConnection, where: str) -> Raw:
    """One object per line. Text that looks like a time becomes one only with its zone kept."""
    from gonogo.data import csvfile

    files = ", ".join(literal(str(path)) for path in paths)
    options = "format = 'newline_delimited', sample_size = -1, maximum_depth = -1, convert_strings_to_integers = false"
    with reading_told(where):
        types = column_types(connection, f"SELECT * FROM read_json([{files}], {options})")
        _refuse_renamed_keys(list(types), files, connection, where)
        # A number with a point anywhere would take the last digits off its neighbours' whole numbers; their text keeps them.
        texts = [name for name, kind in types.items() if kind in ("TIMESTAMP", "DATE", "TIME", "TIMESTAMP WITH TIME ZONE", "DOUBLE")]
        columns = ", ".join(f"{literal(name)}: {literal('VARCHAR' if name in texts else kind)}" for name, kind in types.items())
        scan = f"read_json([{files}], format = 'newline_delimited', columns = {{{columns}}})"
        connection.execute(f"CREATE TABLE {identifier(relation)} AS SELECT * FROM {scan}")
    csvfile.narrow_types(relation, connection, columns=texts)
    return Raw(relation=relation, digest=digest_of_files(paths))


def _refuse_renamed_keys(names: Sequence[str], files: str, connection: DuckDBPyConnection, where: str) -> None:
    """Refuses objects with both a key id and a key ID: the engine calls the second one ID_1, and would find no value of that name."""
    there = {name.lower() for name in names}
    for name in names:
        base, _, number = name.rpartition("_")
        if base.lower() not in there or not number.isdecimal():
            continue
        path = literal('$."' + name.replace('"', '\\"') + '"')
        (n,) = one_row(connection, f"SELECT count(*) FROM read_ndjson_objects([{files}]) WHERE json_exists(json, {path})")
        if not n:
            raise SourceUnreadable(
                "the objects have two keys of one name", where=where, found=f"{base} in two cases", expected="each name once, in any case"
            )


def read_arrow(paths: Sequence[Path], relation: str, connection: DuckDBPyConnection, where: str) -> Raw:
    """Arrow IPC, the file format or the stream."""
    import pyarrow as pa

    tables = [_arrow_table(path, where) for path in paths]
    _refuse_differing([dict(zip(t.schema.names, map(str, t.schema.types), strict=True)) for t in tables], paths, where)
    refuse_repeated(tables[0].schema.names, paths[0].name, where)
    connection.register(relation, pa.concat_tables(tables))
    return Raw(relation=relation, digest=digest_of_files(paths))


def read_duckdb(read: str, relation: str, *, folder: Path, connection: DuckDBPyConnection, where: str) -> Raw:
    """A table of a DuckDB file, copied; its digest is that of the table, not of the file with its other tables."""
    file, _, table = read.removeprefix("duckdb:").partition("#")
    path = folder / file
    if not table or not path.is_file():
        raise SourceUnreadable(
            f"{read} names no table of a DuckDB file", where=where, expected="duckdb:FILE#TABLE, relative to the contract's folder"
        )
    alias = identifier(f"{relation}_file")
    quoted = ".".join(identifier(part) for part in table.split("."))
    with reading_told(where):
        connection.execute(f"ATTACH {literal(str(path))} AS {alias} (READ_ONLY)")
        try:
            connection.execute(f"CREATE TABLE {identifier(relation)} AS SELECT * FROM {alias}.{quoted}")
        finally:
            connection.execute(f"DETACH {alias}")
    return Raw(relation=relation, digest=digest_of_relation(connection, relation))


def read_batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch], relation: str, connection: DuckDBPyConnection) -> Raw:
    """Batches as they arrive, never all of them in memory twice."""
    import pyarrow as pa

    content = ContentHash(schema)
    connection.register("gng_batch", schema.empty_table())
    connection.execute(f"CREATE TABLE {identifier(relation)} AS SELECT * FROM gng_batch")
    connection.unregister("gng_batch")
    for batch in batches:
        content.update(batch)
        connection.register("gng_batch", pa.Table.from_batches([batch], schema))
        connection.execute(f"INSERT INTO {identifier(relation)} SELECT * FROM gng_batch")
        connection.unregister("gng_batch")
    return Raw(relation=relation, digest=content.digest())


def read_table(table: pa.Table, relation: str, connection: DuckDBPyConnection) -> Raw:
    """An Arrow table, where it lies."""
    connection.register(relation, table)
    return Raw(relation=relation, digest=digest_of_batches(table.schema, table.to_batches()))


def digest_of_relation(connection: DuckDBPyConnection, relation: str, *, order: str = "") -> Digest:
    """The content digest of a relation in its own order, or in the stated one."""
    reader: pa.RecordBatchReader = connection.sql(f"SELECT * FROM {identifier(relation)} {order}").to_arrow_reader(BATCH_ROWS)
    return digest_of_batches(reader.schema, reader)


@contextmanager
def reading_told(where: str) -> Iterator[None]:
    """Turns what the engine says about a file's content into a refusal of the source."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise SourceUnreadable("the source cannot be read", where=where, found=_told(error), next=_advice(error)) from error


def count_rows(connection: DuckDBPyConnection, relation: str) -> int:
    """How many rows a relation has."""
    return int(one_row(connection, f"SELECT count(*) FROM {identifier(relation)}")[0])


def without_password(read: str) -> str:
    """A `read` as it may be shown.

    >>> without_password("postgresql://ann:secret@db/shop#orders")
    'postgresql://ann@db/shop#orders'
    """
    if "://" not in read:
        return read
    parts = urllib.parse.urlsplit(read)
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return urllib.parse.urlunsplit((parts.scheme, f"{user}{parts.hostname or ''}{port}", parts.path, "", parts.fragment))


def _told(error: Exception) -> str:
    """The engine's words up to its advice, which names options that a contract does not have."""
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [line for line in lines[: next((i for i, line in enumerate(lines) if line.startswith("Possible")), 4)] if line]
    return "; ".join(kept)[:400]


def _advice(error: Exception) -> str:
    text = str(error)
    if "unicode" in text or "utf-8" in text:
        return "save the file as UTF-8, e.g. `iconv -f latin1 -t utf-8`"
    if "Expected Number of Columns" in text:
        return "give every line as many values as the header has names; quote values that hold the separator"
    return ""


def _paths(read: str, folder: Path, where: str) -> list[Path]:
    if any(letter in read for letter in "*?["):
        paths = sorted(path for path in _matches(folder, read) if path.is_file())
        if not paths:
            raise SourceUnreadable(f"no file matches {read}", where=where, expected="at least one, relative to the contract's folder")
    else:
        paths = [folder / read]
    for path in paths:
        try:
            path.open("rb").close()
        except OSError as error:
            raise SourceUnreadable(
                f"{read} cannot be opened",
                where=where,
                found=error.strerror or type(error).__name__,
                expected="a readable file, relative to the contract's folder",
            ) from error
    return paths


def _matches(folder: Path, pattern: str) -> Iterator[Path]:
    absolute = Path(pattern)
    if absolute.is_absolute():
        return Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor)))
    return folder.glob(pattern)


def _format_of(path: Path, where: str) -> str:
    suffixes = [s for s in path.suffixes if s != ".gz"]
    suffix = suffixes[-1].lower() if suffixes else ""
    if suffix not in FORMATS:
        raise SourceUnreadable(
            f"the format of {path.name} is not known", where=where, found=suffix or "no suffix", expected=", ".join(FORMATS)
        )
    return FORMATS[suffix]


def _arrow_table(path: Path, where: str) -> pa.Table:
    import pyarrow as pa

    try:
        with path.open("rb") as file:
            is_file = file.read(6) == b"ARROW1"
        with pa.memory_map(str(path)) as mapped:
            reader = pa.ipc.open_file(mapped) if is_file else pa.ipc.open_stream(mapped)
            return reader.read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceUnreadable(f"{path.name} is no readable Arrow file", where=where, found=first_line(error)) from error


def _refuse_differing(schemas: Sequence[dict[str, str]], paths: Sequence[Path], where: str) -> None:
    for path, schema in zip(paths, schemas, strict=True):
        if list(schema.items()) != list(schemas[0].items()):
            differing = dict(set(schema.items()) ^ set(schemas[0].items())) or {"order": "of the columns"}
            raise SourceUnreadable(
                f"{path.name} has other columns than {paths[0].name}",
                where=where,
                found=", ".join(f"{name} ({kind})" for name, kind in sorted(differing.items())),
                expected="the same columns, in the same order and of the same types, in every file",
            )


def refuse_repeated(names: Sequence[str], what: str, where: str) -> None:
    """Nothing, if each name stands once. SQL tells no case of names apart: of id and ID it would read the first for both."""
    folded = [name.lower() for name in names]
    repeated = (
        sorted(name for name, fold in zip(names, folded, strict=True) if folded.count(fold) > 1) if len(set(folded)) < len(names) else []
    )
    if repeated:
        raise SourceUnreadable(
            f"{what} has two columns of one name",
            where=where,
            found=", ".join(dict.fromkeys(repeated)),
            expected="each name once, in any case",
        )


Reader = Callable[[Sequence[Path], str, Any, str], Raw]
READERS: dict[str, Reader] = {"parquet": read_parquet, "csv": read_csv, "json": read_json_lines, "arrow": read_arrow}
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
