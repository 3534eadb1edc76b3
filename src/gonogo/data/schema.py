"""Does each source hold what the contract says, and what it held last time?

Every check leaves a finding: clean where it ran and found nothing, open with its numbers and a row where it did, skipped with the
reason where it could not run. A check that says nothing would look like one that passed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gonogo.data.connection import believing_footers
from gonogo.data.increasing import differ_when_sorted, strictly_increases
from gonogo.data.profile import (
    NUMBERS,
    PROFILED_COLUMNS,
    ColumnFacts,
    column_facts,
    column_profiles,
    is_number,
    population_stability_index,
    sample_rows,
    stability_limit,
)
from gonogo.data.sql import column_types, failures_told, identifier, literal, one_row, source_table
from gonogo.data.times import AWARE
from gonogo.data.wording import percent
from gonogo.types.snapshot import Finding, FindingStatus, Snapshot

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from gonogo.types.contract import Check, Contract, Source

MOSTLY = 0.9  # a text column in which more values than this are numbers was meant to be one
PSI_NOTE, PSI_OPEN = 0.1, 0.25  # the customary limits of a small and of a large shift; chance must be excluded besides

NAMES = {
    "GNG-Q001": "column_there",
    "GNG-Q002": "type",
    "GNG-Q003": "range",
    "GNG-Q004": "null_rate",
    "GNG-Q005": "one_of",
    "GNG-Q006": "refers_to",
    "GNG-Q007": "unique",
    "GNG-Q008": "constant",
    "GNG-Q009": "all_null",
    "GNG-Q010": "shift",
    "GNG-Q011": "mixed_types",
    "GNG-Q012": "shape_kept",
    "GNG-Q013": "finite",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What the checks of all sources found."""

    findings: tuple[Finding, ...]
    profile: Mapping[str, Any]  # source → columns, counts: to be kept as snapshot.facts["profile"] and compared with next time


def check_sources(contract: Contract, connection: DuckDBPyConnection, *, last: Snapshot | None = None) -> Checked:
    """The declared checks of every source, what no contract needs to ask for, and the comparison with the last snapshot.

    last: the snapshot before this one; its facts["profile"] is what `shift` compares with.
    """
    findings: list[Finding] = []
    profile: dict[str, Any] = {}
    known = last.facts.get("profile", {}) if last is not None else {}
    for name, source in contract.sources.items():
        # the queries below heed NaN themselves; SQL of the contract, which a view would run again, does not
        with nullcontext() if source.sql else believing_footers(connection):
            before = known.get(name)
            world, sample = _look_at(contract, connection, name)
            columns = column_profiles(sample, world.types, before["columns"] if before else {})
            profile[name] = {"n_rows": world.n_rows, "types": dict(list(world.types.items())[:PROFILED_COLUMNS]), "columns": columns}
            findings += _with_clean(name, _declared(world))
            findings += _with_clean(name, _automatic(world, sample))
            findings += _with_clean(name, _against_last(world, before, profile[name]))
    return Checked(findings=tuple(findings), profile=profile)


def _look_at(contract: Contract, connection: DuckDBPyConnection, name: str) -> tuple[_World, pa.Table]:
    source, types = contract.sources[name], column_types(connection, f"SELECT * FROM {source_table(name)}")
    facts = column_facts(connection, name, types)
    n_rows = next(iter(facts.values())).n_rows
    world = _World(contract=contract, connection=connection, name=name, source=source, types=types, facts=facts, n_rows=n_rows)
    return world, sample_rows(connection, name, source, types, n_rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class _World:
    """One source under check."""

    contract: Contract
    connection: DuckDBPyConnection
    name: str
    source: Source
    types: Mapping[str, str]
    facts: Mapping[str, ColumnFacts]
    n_rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looked:
    """One look of one check: at what, and the fault if there was one."""

    code: str
    at: str
    fault: Finding | None = None


def _with_clean(name: str, looks: Iterator[_Looked]) -> list[Finding]:
    """The faults, and one clean finding for each check that looked and found none."""
    faults: list[Finding] = []
    looked: dict[str, list[str]] = {}
    for look in looks:
        looked.setdefault(look.code, []).append(look.at)
        if look.fault is not None:
            faults.append(look.fault)
    faulty = {fault.code for fault in faults}
    for code, places in looked.items():
        if code not in faulty:
            shown = ", ".join(places[:5]) + (f" and {len(places) - 5} more" if len(places) > 5 else "")
            faults.append(
                Finding(
                    code=code,
                    check=NAMES[code],
                    status=FindingStatus.CLEAN,
                    where=f"sources.{name}",
                    sentence=f"{NAMES[code].replace('_', ' ')} as it should be: {shown}",
                    evidence={"n_checked": len(places)},
                )
            )
    return faults


def _declared(world: _World) -> Iterator[_Looked]:
    for column, check in world.source.checks.items():
        there = column in world.types
        missing = None if there else _open(world, "GNG-Q001", column, f"{column} is not there", expected=", ".join(world.types))
        yield _Looked(code="GNG-Q001", at=column, fault=missing)
        if there:
            yield from _check_column(world, column, check)
    if world.source.unique:
        yield _unique(world)


def _check_column(world: _World, column: str, check: Check) -> Iterator[_Looked]:
    kind, facts = world.types[column], world.facts[column]
    if check.type:
        fits = _fits(check.type, kind)
        fault = None if fits else _open(world, "GNG-Q002", column, f"{column} is {kind}", expected=check.type, type=kind)
        yield _Looked(code="GNG-Q002", at=column, fault=fault)
    if check.at_least is not None or check.at_most is not None:
        yield _range(world, column, check)
    if check.null_rate_at_most is not None:
        rate = facts.n_null / facts.n_rows
        fault = None
        if rate > check.null_rate_at_most:
            sentence = f"{facts.n_null:,} of {facts.n_rows:,} values of {column} are null ({percent(rate)})"
            fault = _open(world, "GNG-Q004", column, sentence, expected=f"at most {check.null_rate_at_most:.2%}", rate=rate, n=facts.n_null)
        yield _Looked(code="GNG-Q004", at=column, fault=fault)
    if check.one_of:
        yield _one_of(world, column, check)
    if check.refers_to:
        yield _refers_to(world, column, check)


def _fits(wanted: str, kind: str) -> bool:
    is_whole = is_number(kind) and kind not in ("FLOAT", "DOUBLE") and (not kind.startswith("DECIMAL") or kind.endswith(",0)"))
    return {
        "integer": is_whole,
        "number": is_number(kind),
        "text": kind in ("VARCHAR", "UUID") or kind.startswith("ENUM"),
        "boolean": kind == "BOOLEAN",
        "time": kind == AWARE,
    }[wanted]


def _range(world: _World, column: str, check: Check) -> _Looked:
    c = identifier(column)
    if not is_number(world.types[column]):
        sentence = f"{column} is {world.types[column]} and has no smallest number"
        return _Looked(code="GNG-Q003", at=column, fault=_open(world, "GNG-Q003", column, sentence, expected="a number"))
    tests = [f"{c} < {check.at_least!r}"] if check.at_least is not None else []
    tests += [f"{c} > {check.at_most!r}"] if check.at_most is not None else []
    if world.facts[column].n_not_finite:
        # NaN lies in no range. It is not asked for by name: a Parquet footer may keep silent of NaN, and `isnan` is then taken to be false.
        tests.append(f"(NOT isfinite({c}) AND {c} <> 'infinity' AND {c} <> '-infinity')")
    low = "no limit" if check.at_least is None else f"{check.at_least:g}"
    high = "no limit" if check.at_most is None else f"{check.at_most:g}"
    return _rows_that(world, "GNG-Q003", column, " OR ".join(tests), what="outside its range", expected=f"from {low} to {high}")


def _one_of(world: _World, column: str, check: Check) -> _Looked:
    allowed = ", ".join(map(literal, check.one_of))
    test = f"{identifier(column)}::VARCHAR NOT IN ({allowed})"
    return _rows_that(world, "GNG-Q005", column, test, what="none of the allowed values", expected=", ".join(check.one_of))


def _refers_to(world: _World, column: str, check: Check) -> _Looked:
    other, _, other_column = check.refers_to.rpartition(".")
    known = column_types(world.connection, f"SELECT * FROM {source_table(other)}") if other in world.contract.sources else {}
    if other_column not in known:
        fault = _open(world, "GNG-Q006", column, f"{check.refers_to} is not there", expected="SOURCE.COLUMN of this contract")
        return _Looked(code="GNG-Q006", at=column, fault=fault)
    found = identifier(other_column)
    text = "" if world.types[column] == known[other_column] and known[other_column] in NUMBERS else "::VARCHAR"
    values = f"SELECT {found}{text} FROM {source_table(other)} WHERE {found} IS NOT NULL"
    test = f"{identifier(column)}{text} NOT IN ({values})"
    what = f"not in {check.refers_to}"
    expected = f"at most {check.unmatched_at_most:.2%} of the values"
    return _rows_that(world, "GNG-Q006", column, test, what=what, expected=expected, allowed=check.unmatched_at_most)


def _rows_that(world: _World, code: str, column: str, test: str, *, what: str, expected: str, allowed: float = 0.0) -> _Looked:
    """A look that is a fault when more than the allowed share of the values pass the test; names the first of them."""
    where = f"{identifier(column)} IS NOT NULL AND ({test})"
    with failures_told(f"sources.{world.name}.checks.{column}"):
        (n,) = one_row(world.connection, _count_query(world, column, where))
    n_there = world.n_rows - world.facts[column].n_null
    if n == 0 or n <= allowed * n_there:
        return _Looked(code=code, at=column)
    share, example = n / n_there, _example(world, column, where)
    sentence = f"{n:,} of {n_there:,} values of {column} are {what} ({percent(share)}), e.g. {example[column]}"
    return _Looked(code=code, at=column, fault=_open(world, code, column, sentence, expected=expected, n=n, share=share, example=example))


def _count_query(world: _World, column: str, where: str) -> str:
    """Counts the rows by a filter, which a Parquet footer may answer in part; where the column has NaN, of which it is silent, without."""
    if world.facts[column].n_not_finite:
        return f"SELECT coalesce(count_if({where}), 0) FROM {source_table(world.name)}"
    return f"SELECT count(*) FROM {source_table(world.name)} WHERE {where}"


def _example(world: _World, column: str, where: str) -> dict[str, str]:
    """The first such row, by what names a row of this source."""
    named = [c for c in (*world.source.unique, world.source.sequence, world.source.event_time) if c in world.types]
    shown = list(dict.fromkeys([column, *named]))
    order = ", ".join(identifier(c) for c in [*named, column])
    columns, texts = ", ".join(map(identifier, shown)), ", ".join(f"{identifier(c)}::VARCHAR" for c in shown)
    told = f"SELECT {columns}, ({where}) AS gng_told FROM {source_table(world.name)}"  # and no filter: see _count_query
    first = f"SELECT {columns} FROM ({told}) ORDER BY gng_told DESC NULLS LAST, {order} LIMIT 1"
    row = one_row(world.connection, f"SELECT {texts} FROM ({first})")
    return {c: str(value) for c, value in zip(shown, row, strict=True)}


def _unique(world: _World) -> _Looked:
    names = ", ".join(world.source.unique)
    if _is_proven_unique(world):
        return _Looked(code="GNG-Q007", at=names)
    columns = ", ".join(identifier(c) for c in world.source.unique)
    repeated = f"SELECT {columns}, count(*) AS n FROM {source_table(world.name)} GROUP BY {columns} HAVING count(*) > 1"
    n_repeated, n_rows = one_row(world.connection, f"SELECT count(*), coalesce(sum(n), 0)::BIGINT FROM ({repeated})")
    if not n_repeated:
        return _Looked(code="GNG-Q007", at=names)
    texts = ", ".join(f"{identifier(c)}::VARCHAR" for c in world.source.unique)
    row = one_row(world.connection, f"SELECT {texts}, n FROM ({repeated}) ORDER BY {columns} LIMIT 1")
    sentence = f"{n_repeated:,} values of {names} stand in {n_rows:,} rows, e.g. {', '.join(map(str, row[:-1]))} {row[-1]} times"
    return _Looked(code="GNG-Q007", at=names, fault=_open(world, "GNG-Q007", names, sentence, expected="each once", n=n_repeated))


def _is_proven_unique(world: _World) -> bool:
    """Whether one column has no value twice, which leaves none to all of them together; False where only grouping can tell."""
    connection, name, types, n_rows = world.connection, world.name, world.types, world.n_rows
    if any(strictly_increases(connection, name, column, types[column], n_rows=n_rows) for column in world.source.unique):
        return True
    (column, *others) = world.source.unique
    return not others and differ_when_sorted(connection, name, column, types[column], n_rows=n_rows)


def _automatic(world: _World, sample: pa.Table) -> Iterator[_Looked]:
    """Checks that no contract needs to ask for."""
    text = _mentions(world.contract)
    words = frozenset(re.findall(r"\w+", text))
    for column, facts in world.facts.items():
        if facts.n_null == facts.n_rows:
            fault = _found(
                world,
                "GNG-Q009",
                column,
                f"{column} is null in all {facts.n_rows:,} rows",
                status=FindingStatus.OPEN if _is_used(column, words, text) else FindingStatus.NOTE,
                expected="a value in some row",
            )
            yield _Looked(code="GNG-Q009", at=column, fault=fault)
            continue
        yield _Looked(code="GNG-Q009", at=column)
        yield _constant(world, column, facts)
        if facts.type in ("FLOAT", "DOUBLE"):
            yield _finite(world, column, facts, is_used=_is_used(column, words, text))
        if facts.type == "VARCHAR":
            yield _mixed(world, column, sample)


def _constant(world: _World, column: str, facts: ColumnFacts) -> _Looked:
    if world.n_rows < 2:
        sentence = f"{column} has one row: whether it varies cannot be seen"
        return _Looked(code="GNG-Q008", at=column, fault=_found(world, "GNG-Q008", column, sentence, status=FindingStatus.SKIPPED))
    if not facts.is_constant:
        return _Looked(code="GNG-Q008", at=column)
    sentence = f"{column} has one value in all {facts.n_rows - facts.n_null:,} rows that have one: it tells nothing apart"
    return _Looked(code="GNG-Q008", at=column, fault=_found(world, "GNG-Q008", column, sentence, status=FindingStatus.NOTE))


def _finite(world: _World, column: str, facts: ColumnFacts, *, is_used: bool) -> _Looked:
    if not facts.n_not_finite:
        return _Looked(code="GNG-Q013", at=column)
    sentence = f"{facts.n_not_finite:,} of {facts.n_rows:,} values of {column} are NaN or infinite"
    fault = _found(
        world,
        "GNG-Q013",
        column,
        sentence,
        status=FindingStatus.OPEN if is_used else FindingStatus.NOTE,
        expected="numbers, and null where there is none",
        next=f"in the source's sql: case when isfinite({column}) then {column} end",
        evidence={"n": facts.n_not_finite},
    )
    return _Looked(code="GNG-Q013", at=column, fault=fault)


def _mixed(world: _World, column: str, sample: pa.Table) -> _Looked:
    """Text that is nearly always a number: one "n/a" turned a measurement into a category."""
    check = world.source.checks.get(column)
    if (check is not None and check.type == "text") or column not in sample.column_names or not _looks_mixed(sample[column]):
        return _Looked(code="GNG-Q011", at=column)
    number = f"try_cast({identifier(column)} AS DOUBLE)"
    where = f"{identifier(column)} IS NOT NULL AND {number} IS NULL"
    n, n_there = one_row(world.connection, f"SELECT count_if({where}), count({identifier(column)}) FROM {source_table(world.name)}")
    if not 0 < n < (1 - MOSTLY) * n_there:
        return _Looked(code="GNG-Q011", at=column)
    example = _example(world, column, where)
    sentence = f"{column} is text, and all but {n:,} of its {n_there:,} values are numbers, e.g. {example[column]!r} is not"
    fault = _open(
        world,
        "GNG-Q011",
        column,
        sentence,
        expected="numbers only, or text that the contract declares",
        next=f'in the source\'s sql: try_cast({column} as double), or checks.{column} = {{ type = "text" }} if it is a name',
        n=n,
        example=example,
    )
    return _Looked(code="GNG-Q011", at=column, fault=fault)


def _looks_mixed(values: pa.ChunkedArray) -> bool:
    """Whether most values of the sample start and end like a number. Ids with a leading zero are names."""
    import pyarrow.compute as pc

    there = values.drop_null()
    if not len(there):
        return False
    n_numbers = pc.sum(pc.match_substring_regex(there, r"^\s*[+-]?(0|[1-9][0-9]*)?(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*$")).as_py() or 0
    n_zeros = pc.sum(pc.match_substring_regex(there, r"^0[0-9]")).as_py() or 0
    return bool(n_numbers >= MOSTLY * len(there) and not n_zeros)


def _against_last(world: _World, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Iterator[_Looked]:
    if before is None:
        # A note and not a skipped check: the first snapshot has nothing before it, which is no defect of its data.
        first = "nothing to compare with yet: the first profile of this source is kept for the next snapshot"
        yield _Looked(code="GNG-Q010", at="", fault=_found(world, "GNG-Q010", "", first, status=FindingStatus.NOTE))
        return
    yield from _shape_kept(world, before, now)
    for column, profile in now["columns"].items():
        reference = before["columns"].get(column)
        if reference is not None and len(reference["counts"]) == len(profile["counts"]):
            yield _shift(world, column, reference["counts"], profile["counts"])


def _shape_kept(world: _World, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[_Looked]:
    for column, kind in before["types"].items():
        found = now["types"].get(column)
        fault = None
        if found != kind:
            sentence = f"{column} was {kind} in the last snapshot and is {'gone' if found is None else found}"
            fault = _open(world, "GNG-Q012", column, sentence, expected=kind)
        yield _Looked(code="GNG-Q012", at=column, fault=fault)
    if now["n_rows"] < before["n_rows"] / 2:
        sentence = f"{now['n_rows']:,} rows, less than half of the {before['n_rows']:,} of the last snapshot"
        fault = _open(world, "GNG-Q012", "rows", sentence, expected="as many rows, or more", n=now["n_rows"], n_before=before["n_rows"])
        yield _Looked(code="GNG-Q012", at="rows", fault=fault)


def _shift(world: _World, column: str, expected: list[int], observed: list[int]) -> _Looked:
    n, m = sum(expected), sum(observed)
    index = population_stability_index(expected, observed)
    chance = stability_limit(n, m, bins=len(expected))
    if index <= max(PSI_NOTE, chance):
        return _Looked(code="GNG-Q010", at=column)
    nulls = f"; nulls {expected[-1] / n:.2%} then, {observed[-1] / m:.2%} now"
    sentence = f"{column} has shifted since the last snapshot: PSI {index:.3f}, by chance up to {chance:.4f}{nulls}"
    fault = _found(
        world,
        "GNG-Q010",
        column,
        sentence,
        status=FindingStatus.OPEN if index > PSI_OPEN else FindingStatus.NOTE,
        expected=f"PSI of at most {PSI_OPEN}; from {PSI_NOTE} on it is noted",
        evidence={"psi": round(index, 6), "by_chance": round(chance, 6), "n": m, "n_before": n, "before": expected, "now": observed},
    )
    return _Looked(code="GNG-Q010", at=column, fault=fault)


def _open(world: _World, code: str, column: str, sentence: str, *, expected: str, next: str = "", **evidence: Any) -> Finding:  # noqa: A002
    return _found(world, code, column, sentence, status=FindingStatus.OPEN, expected=expected, next=next, evidence=evidence)


def _found(
    world: _World,
    code: str,
    column: str,
    sentence: str,
    *,
    status: FindingStatus,
    expected: str = "",
    next: str = "",  # noqa: A002
    evidence: Mapping[str, Any] | None = None,
) -> Finding:
    return Finding(
        code=code,
        check=NAMES[code],
        status=status,
        where=f"sources.{world.name}.{column}".rstrip("."),
        sentence=sentence,
        expected=expected,
        next=next,
        evidence=evidence or {},
    )


def _mentions(contract: Contract) -> str:
    """Everything that the contract's features, rows, outcome and slices say, in lower case: SQL tells no case of names apart."""
    texts = [contract.unit, *contract.rows.key, contract.rows.decided_at, *contract.rows.entities, contract.outcome.known_at]
    texts += [*contract.outcome.columns.values(), *(policy.when for policy in contract.outcome.policies)]
    texts += [column for slicing in contract.slices for column in slicing.columns]
    for feature in contract.features.values():
        texts += [feature.sql, *feature.by, feature.where, *feature.aggregates]
    return "\n".join(texts).lower()


def _is_used(column: str, words: frozenset[str], text: str) -> bool:
    """Whether the text names the column; a name of several words may stand in it as such or with its quotes doubled."""
    name = column.lower()
    return name in words if re.fullmatch(r"\w+", name) else name in text or name.replace('"', '""') in text
