"""What does a CSV file hold, when no value may change on the way in?

Every value is read as text first. A column gets a narrower type only if that type gives back each of its values: 007 stays text,
9007199254740993 stays exact, and a moment without a zone stays naive.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gonogo.data.sql import identifier, literal, one_row
from gonogo.types.errors import SourceEmpty, SourceUnreadable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAMPLE_ROWS = 2_000  # on which a type is guessed; every row then confirms it
SEPARATORS = ",;\t|"

# What stands for "no value" where all else is a number, a time or true/false. In text it stays: NA is also a country.
NO_VALUE = "'N/?A|#N/A|NULL|null|None'"  # a pattern: lists of words cost memory or time for each column of a wide file
COLUMNS_AT_ONCE = 25  # planning grows with the square of the aggregates in a query

_ZONE = "regexp_matches({c}, ':[0-9.]+ ?(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$')"
_NO_WORD = "regexp_full_match({c}, '[-/0-9:. T]+')"
# From the narrowest to text; each test is true where the type gives back the value.
LADDER = (
    ("BOOLEAN", "regexp_full_match({c}, 'true|false|True|False|TRUE|FALSE')"),
    ("BIGINT", "try_cast({c} AS BIGINT)::VARCHAR = {c}"),
    ("HUGEINT", "try_cast({c} AS HUGEINT)::VARCHAR = {c}"),
    # A leading zero, or more digits than a double holds, is the mark of an id; so is a _ between digits, which the engine skips.
    (
        "DOUBLE",
        "try_cast({c} AS DOUBLE) IS NOT NULL AND NOT (isinf(try_cast({c} AS DOUBLE)) AND regexp_matches({c}, '[0-9]')) "
        "AND NOT regexp_matches({c}, '^[+-]?(0[0-9]|[0-9]{16,}$)|_')",
    ),
    ("TIMESTAMPTZ", f"try_cast({{c}} AS TIMESTAMPTZ) IS NOT NULL AND {_ZONE}"),
    # Digits and marks alone: the engine reads past the name of a zone, which would be lost.
    ("TIMESTAMP", f"try_cast({{c}} AS TIMESTAMP) IS NOT NULL AND length({{c}}) > 10 AND NOT {_ZONE} AND {_NO_WORD}"),
    ("DATE", "try_cast({c} AS DATE) IS NOT NULL AND length({c}) = 10"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """The first line of a CSV file."""

    names: tuple[str, ...]
    separator: str


def read_header(path: Path, where: str) -> Header:
    """The names of the columns. Raises SourceUnreadable for names that repeat or are empty, and for a file that is not UTF-8."""
    with _open(path) as file:
        start = file.read(4)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SourceUnreadable(f"{path.name} is UTF-16", where=where, expected="UTF-8", next="iconv -f utf-16 -t utf-8")
    with _open(path) as file:
        line = file.readline(1 << 24)
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceUnreadable(
            f"line 1 of {path.name} is not UTF-8", where=where, found=str(error), expected="UTF-8", next="iconv -f latin1 -t utf-8"
        ) from error
    if not text.strip():
        raise SourceEmpty(f"{path.name} starts with an empty line", where=where, expected="a header with the names of the columns")
    header = _most_columns(text.split("\r", 1)[0], path)
    folded = [name.lower() for name in header.names]
    repeated = (
        sorted({name for name, fold in zip(header.names, folded, strict=True) if folded.count(fold) > 1})
        if len(set(folded)) < len(folded)
        else []
    )
    if repeated or "" in header.names:
        raise SourceUnreadable(
            f"the header of {path.name} has {'two columns of one name' if repeated else 'a column without a name'}",
            where=f"{where}, line 1",
            found=", ".join(repeated) or text.strip()[:200],
            expected="each name once",
        )
    return header


def refuse_nul_bytes(path: Path, where: str) -> None:
    """Nothing, if the file holds no NUL byte: text never does, and what reads past one guesses."""
    line = 1
    with _open(path) as file:
        while chunk := file.read(1 << 20):
            at = chunk.find(b"\0")
            if at >= 0:
                line += chunk.count(b"\n", 0, at)
                raise SourceUnreadable(
                    f"line {line} of {path.name} holds a NUL byte",
                    where=f"{where}, line {line}",
                    expected="text in UTF-8 (not UTF-16, not binary)",
                )
            line += chunk.count(b"\n")


def load_as_text(paths: Sequence[Path], header: Header, relation: str, connection: DuckDBPyConnection) -> None:
    """A table of text columns; an empty field is null. The engine refuses a line with too many or too few fields, by its number."""
    files = ", ".join(literal(str(path)) for path in paths)
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header.names)
    connection.execute(
        f"CREATE TABLE {identifier(relation)} AS SELECT * FROM read_csv([{files}], auto_detect = false, header = true, "
        f"delim = {literal(header.separator)}, quote = '\"', escape = '\"', strict_mode = true, nullstr = '', columns = {{{columns}}})"
    )


def narrow_types(relation: str, connection: DuckDBPyConnection, *, columns: Sequence[str]) -> None:
    """Casts each of these text columns to the narrowest type of the ladder that gives back every value."""
    rungs = _rungs_that_hold(relation, connection, columns)
    narrowed = {name: LADDER[rung][0] for name, rung in rungs.items() if rung < len(LADDER)}
    if not narrowed:
        return
    casts = ", ".join(f"({_value(name)})::{kind} AS {identifier(name)}" for name, kind in narrowed.items())
    table, text = identifier(relation), identifier(f"{relation}_text")
    connection.execute(f"ALTER TABLE {table} RENAME TO {text}")
    connection.execute(f"CREATE TABLE {table} AS SELECT * REPLACE ({casts}) FROM {text}")
    connection.execute(f"DROP TABLE {text}")


def _rungs_that_hold(relation: str, connection: DuckDBPyConnection, columns: Sequence[str]) -> dict[str, int]:
    sample = f"(SELECT * FROM {identifier(relation)} LIMIT {SAMPLE_ROWS})"
    rungs = _climb(dict.fromkeys(columns, 0), sample, connection)
    while True:
        higher = _climb(rungs, identifier(relation), connection)
        if higher == rungs:
            return rungs
        rungs = higher


def _climb(rungs: dict[str, int], relation: str, connection: DuckDBPyConnection) -> dict[str, int]:
    """Each column on the lowest rung, from its present one on, that misses no value of the relation; all-null columns are text."""
    open_names = [name for name, rung in rungs.items() if rung < len(LADDER)]
    result = dict(rungs)
    while open_names:
        counts: list[int] = []
        for start in range(0, len(open_names), COLUMNS_AT_ONCE):
            parts = ", ".join(_counts(name, result[name]) for name in open_names[start : start + COLUMNS_AT_ONCE])
            counts += one_row(connection, f"SELECT {parts} FROM {relation}")
        missed = [name for i, name in enumerate(open_names) if counts[2 * i + 1]]
        result |= {name: len(LADDER) for i, name in enumerate(open_names) if not counts[2 * i]}
        result |= {name: result[name] + 1 for name in missed}
        open_names = [name for name in missed if result[name] < len(LADDER)]
    return result


def _counts(name: str, rung: int) -> str:
    """SQL: how many values a column has, and how many of them its rung does not give back."""
    column = identifier(name)
    has_value = f"NOT regexp_full_match({column}, {NO_VALUE})"
    # A test of a value that its type cannot read is null, which is a miss and no pass.
    missed = LADDER[rung][1].replace("{c}", column)
    return f"count_if({has_value}), count_if({has_value} AND ({missed}) IS NOT TRUE)"


def _value(name: str) -> str:
    column = identifier(name)
    return f"(CASE WHEN NOT regexp_full_match({column}, {NO_VALUE}) THEN {column} END)"


def _most_columns(text: str, path: Path) -> Header:
    candidates = "\t" if path.suffixes and path.suffixes[0] == ".tsv" else SEPARATORS
    headers = [Header(names=tuple(next(csv.reader([text], delimiter=s, strict=False))), separator=s) for s in candidates]
    return max(headers, key=lambda header: len(header.names))  # max keeps the first of equals: the comma


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
