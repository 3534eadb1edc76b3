"""How does a first contract read? Text that parses, runs where the data allow it, and says DECIDE where a person must."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gonogo.data.sql import literal
from gonogo.types.contract import FORMAT
from gonogo.workflow.first_choices import INTERVALS, NUMBERS, Target, Timing, is_id, late_words
from gonogo.workflow.first_look import TIMES, Column, Look, aware

if TYPE_CHECKING:
    from gonogo.types.protocols import Family

PLACEHOLDER = "name_the_outcome"  # where no column could be the outcome; `gonogo run` then says that it is not there
SAME_FOR_ALL = "2000-01-01 00:00:00+00"  # stands for the moment of rows that have no time
AS_OF_SAME = "2000-01-02T00:00:00Z"
MOST_CATEGORIES = 1_000
GATES = (  # metric, against, limit, name; those that the family knows are written
    ("log_loss", "champion", "at_most = 0.0", "better than the model it replaces, or than the baseline"),
    ("roc_auc", "", "at_least = 0.60", "ranks positives above negatives"),
    ("calibration_error", "", "at_most = 0.10", "a probability means what it says"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class First:
    """Everything that a first contract is written from."""

    name: str
    read: str  # the main file, as the contract's folder sees it
    look: Look
    target: Target | None
    timing: Timing | None
    entity: str | None
    key: tuple[str, ...]  # empty: rows are numbered
    copies: tuple[str, ...]  # columns that give the target away
    others: tuple[tuple[str, str, Look], ...]  # further files: name, read, look
    family: Family


def contract_text(first: First) -> str:
    """contract.toml, with a reason or a DECIDE beside every guess."""
    parts = (_head, _source, _other_sources, _rows, _outcome, _features, _split, _learners, _gates, _slices, _end)
    return "\n\n".join(text for part in parts if (text := "\n".join(part(first)))) + "\n"


# ── the parts, in the order of the file ──────────────────────────────────────────────────────────────────────────────────


def _head(first: First) -> Iterator[str]:
    target = first.target
    yield "# A first contract, written by `gonogo init` from what the data look like. DECIDE marks a guess that a person must check."
    yield "# `gonogo explain contract` lists every key; a key that is unknown, missing or impossible is refused with its line."
    yield f"gonogo = {FORMAT}"
    yield f"name = {toml(first.name)}"
    yield f"family = {toml(first.family.name)}"
    question = f"Will {target.column} be {target.positive}?" if target else "What is predicted?"
    yield f"question = {toml(question)}    # DECIDE: say it so that a stakeholder knows what is asked"
    yield f"unit = {toml(_unit(first))}    # DECIDE: {_why_unit(first)}"
    as_of = moment(first.timing.as_of) if first.timing else AS_OF_SAME
    why = "nothing known later is used" if first.timing else "the data have no time; this and rows.decided_at stand for it"
    yield f"as_of = {toml(as_of)}    # {why}"
    yield "seed = 0"
    yield f"select_by = {toml(first.family.metrics[0].name)}"


def _source(first: First) -> Iterator[str]:
    yield f"[sources.{first.name}]"
    yield f"read = {toml(first.read)}"
    extra = _extra_columns(first)
    if extra:
        yield f"sql = {toml('select *, ' + ', '.join(extra) + ' from input')}"
    if first.timing is None:
        yield "timeless = true    # DECIDE: no column tells when a row was known, so leaks through time cannot be seen"
    else:
        yield f"known_at = {toml(_known_at(first, first.timing))}    # DECIDE: when anybody could know the row's other columns"
        if not first.timing.type.endswith("ZONE"):
            yield f"# DECIDE: {_plain(first.timing.column)} has no zone and is taken as UTC; else write timezone('Europe/Berlin', …)"
    if first.target:
        yield f"known_later = {{ {key(first.target.column)} = {toml(_outcome_known(first))} }}"
    if first.key:
        yield f"unique = {toml_list(first.key)}"


def _other_sources(first: First) -> Iterator[str]:
    for position, (name, read, look) in enumerate(first.others):
        time = next((column for column in look.columns if column.span), None)
        if position:
            yield ""
        yield f"[sources.{name}]"
        yield f"read = {toml(read)}"
        if time is None:
            yield "timeless = true    # DECIDE: attributes that are taken as always known"
        else:
            yield f"sql = {toml(f'select *, {aware(look.sql(time.name), time.type)} as happened_at from input')}"
            yield 'event_time = "happened_at"'
            yield 'known_at = "happened_at"    # DECIDE: when anybody could know it, which is rarely the moment it happened'
        columns = {column.name for column in look.columns} & {column.name for column in first.look.columns}
        yield "# Features over it look like this:"
        yield f"# [features.{name}]"
        yield f"# source = {toml(name)}"
        yield f"# by = {toml_list(sorted(columns)[:1] or ['KEY'])}"
        yield f"# aggregates = {toml_list(['last(COLUMN)'] if time is None else ['count', 'mean(COLUMN)', 'age'])}"
        if time is not None:
            yield '# windows = ["1d", "7d"]'
        yield '# missing = "native"'


def _rows(first: First) -> Iterator[str]:
    yield "[rows]"
    yield f"source = {toml(first.name)}"
    comment = "" if first.key else "    # no column names a row, so they are numbered"
    yield f"key = {toml_list(first.key or (free('row_id', first),))}{comment}"
    yield f"decided_at = {toml(_decided(first))}    # DECIDE: the moment the answer is needed; no input may have been known later"
    if first.entity:
        yield f"entities = {toml_list([first.entity])}"


def _outcome(first: First) -> Iterator[str]:
    yield "[outcome]"
    target = first.target
    if target is None:
        yield "# DECIDE: no column has exactly two values. Write what came true, as 0 or 1, e.g. (days_late > 14)::int"
        yield f"columns = {{ {_outcome_column(first)} = {toml(PLACEHOLDER)} }}"
    else:
        if target.others:
            yield f"# DECIDE: it could also have been {_plain(', '.join(target.others))}"
        column = first.look.sql(target.column)
        test = column if target.is_boolean else f"({column} = {_sql_value(target.positive)})"
        yield f"columns = {{ {_outcome_column(first)} = {toml(f'{test}::int')} }}"
    yield f"known_at = {toml(_outcome_known(first))}    # DECIDE: when the outcome was known; null where it never was"
    yield f"window = {toml(_window(first))}    # DECIDE: how long after the decision the outcome may still come"


def _features(first: First) -> Iterator[str]:
    taken: set[str] = set()
    used, unused = [], []
    for column in first.look.columns:
        if column.name in _spoken_for(first):
            continue
        reason = _why_not(column, first)
        lines = list(_feature(column, _name(column.name, taken), first))
        if reason:
            unused.append([f"# {_plain(column.name)} is left out: {reason}", *(f"# {line}" for line in lines)])
        else:
            used.append(lines)
    yield "# Known when the answer is needed. DECIDE: go through them; a column that is filled in later makes a model that cannot work."
    if not used:
        yield "# DECIDE: no column is left that could be an input"
        used.append(["[features.nothing]", 'sql = "0"', 'missing = "refuse"'])
    yield "\n\n".join("\n".join(lines) for lines in used + unused)


def _feature(column: Column, name: str, first: First) -> Iterator[str]:
    yield f"[features.{name}]"
    is_wide = re.fullmatch(r"UBIGINT|U?HUGEINT|DECIMAL.*", column.type) is not None
    is_enum = column.type.startswith("ENUM")
    sql = first.look.sql(column.name) + ("::double" if is_wide else "::varchar" if is_enum else "")
    yield f"sql = {toml(sql)}"
    if column.type == "VARCHAR" or is_enum:
        yield 'kind = "category"'
    yield f"missing = {toml('native' if column.n_null else 'refuse')}" + (
        f"    # null in {column.n_null:,} of {first.look.n_rows:,} rows" if column.n_null else ""
    )


def _split(first: First) -> Iterator[str]:
    yield "[split]"
    if first.timing:
        yield 'by = "time"'
        yield f"validate_from = {toml(moment(first.timing.validate_from))}    # about three fifths of the rows are before it"
        yield f"test_from = {toml(moment(first.timing.test_from))}    # about a fifth is after it"
    elif first.entity:
        yield 'by = "entity"'
        yield f"column = {toml(first.entity)}    # all rows of one value lie in one table"
        yield "shares = [0.6, 0.2, 0.2]"
    else:
        yield 'by = "stratified"'
        yield "shares = [0.6, 0.2, 0.2]    # of train, validate, test"


def _learners(first: First) -> Iterator[str]:
    names = [name for name in first.family.learners if name != first.family.baseline]
    yield "\n\n".join(f"[[learners]]\nname = {toml(name)}" for name in names)


def _gates(first: First) -> Iterator[str]:
    known = {metric.name for metric in first.family.metrics} | {statistic.name for statistic in first.family.statistics}
    yield "# Conditions for GO: all of them, each judged at the worst end of its interval. DECIDE: the limits are a start, not a standard."
    yield '[[gates]]\nname = "data and leakage findings are resolved"\nmetric = "open_findings"\nat_most = 0'
    for metric, against, limit, name in GATES:
        if metric in known:
            yield f"\n[[gates]]\nname = {toml(name)}\nmetric = {toml(metric)}"
            if against:
                yield f"against = {toml(against)}"
            yield limit
    yield '\n[[gates]]\nname = "answers in time"\nmetric = "latency_p99"\nat_most = 50.0    # ms, one row'


def _slices(first: First) -> Iterator[str]:
    named = _spoken_for(first) | set(first.copies)
    few = [
        c.name for c in first.look.columns if c.type == "VARCHAR" and len(c.values) >= 2 and c.name not in named and not late_words(c.name)
    ]
    for position, name in enumerate(few[:2]):
        if position:
            yield ""
        yield "[[slices]]"
        yield f"column = {toml(name)}"
        yield 'small = "pool"'


def _end(first: First) -> Iterator[str]:
    yield "[cost]    # DECIDE: what mistakes cost decides where the threshold belongs"
    yield "false_positive_usd = 1.0"
    yield "false_negative_usd = 1.0"
    yield "machine_usd_per_hour = 0.05"
    yield ""
    yield "[decision]    # DECIDE: these words stand on the launch page"
    yield 'owner = "nobody yet"'
    yield "reversible = true"
    yield "assumptions = []"
    yield "risks = []"
    yield 'fallback = "the share of positives in the training data"'
    yield ""
    yield "[rollout]"
    yield f"bucket_by = {toml(first.entity or (first.key or (free('row_id', first),))[0])}"


# ── what several parts ask ───────────────────────────────────────────────────────────────────────────────────────────────


def _unit(first: First) -> str:
    if first.entity:
        return first.entity
    if first.timing and first.timing.has_units:
        return free("decided_on", first)
    return first.key[0] if len(first.key) == 1 else free("row_id", first)


def _why_unit(first: First) -> str:
    if first.entity:
        return "rows of one value are taken to move together"
    if first.timing and first.timing.has_units:
        return "rows of a day are taken to move together"
    return "each row is taken as independent of all others"


def _extra_columns(first: First) -> list[str]:
    timing, columns = first.timing, []
    if timing and not timing.type.endswith("ZONE"):
        columns.append(f"{aware(first.look.sql(timing.column), timing.type)} as {free('decided_at', first)}")
    if timing and _unit(first) == free("decided_on", first):
        columns.append(f"{aware(first.look.sql(timing.column), timing.type)}::date as {free('decided_on', first)}")
    if not first.key or _unit(first) == free("row_id", first):
        columns.append(f"row_number() over () as {free('row_id', first)}")
    return columns


def _known_at(first: First, timing: Timing) -> str:
    return timing.column if timing.type.endswith("ZONE") else free("decided_at", first)


def free(name: str, first: First) -> str:
    """The name, or one like it that no column of the file has."""
    taken = {column.name.casefold() for column in first.look.columns}
    while name in taken:
        name += "_"
    return name


def _decided(first: First) -> str:
    return first.look.sql(_known_at(first, first.timing)) if first.timing else f"timestamptz '{SAME_FOR_ALL}'"


def _window(first: First) -> str:
    return first.timing.window if first.timing else "1d"


def _outcome_known(first: First) -> str:
    then = f"{_decided(first)} + interval {INTERVALS[_window(first)]}"
    return f"case when {first.look.sql(first.target.column)} is not null then {then} end" if first.target else then


def _outcome_column(first: First) -> str:
    return key(next(iter(first.family.outcome_columns)))


def _spoken_for(first: First) -> set[str]:
    named = {*first.key, first.entity, first.timing.column if first.timing else None, first.target.column if first.target else None}
    return {name for name in named if name}


def _why_not(column: Column, first: First) -> str:
    late = sorted(late_words(column.name))
    if column.n_distinct == 0 or len(column.values) == 1:
        return "it has one value only." if column.values else "it is empty."
    if column.name in first.copies:
        return "each of its values stands beside one outcome only, so it gives the outcome away."
    if late:
        return f"its name ({', '.join(late)}) says that it may be known only afterwards. Take the marks away if it is not."
    if column.type in TIMES:
        return "it is a time. Known when the answer is needed? Then count from it: date_diff('day', COLUMN, DECIDED)."
    if is_id(column, first.look):
        return "nearly every row has a value of its own."
    if column.type == "VARCHAR" and column.n_distinct > MOST_CATEGORIES:
        return f"it has about {column.n_distinct:,} values."
    if column.type not in ("VARCHAR", "BOOLEAN") and not NUMBERS.fullmatch(column.type) and not column.type.startswith("ENUM"):
        return f"it is of type {_plain(column.type)}, which is no input by itself."
    return ""


def _name(column: str, taken: set[str]) -> str:
    """A feature's name that no other feature has."""
    word = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")[:80] or "column"
    name, number = word, 2
    while name in taken:
        name, number = f"{word}_{number}", number + 1
    taken.add(name)
    return name


def moment(us: int) -> str:
    """ISO 8601, UTC.

    >>> moment(0)
    '1970-01-01T00:00:00Z'
    """
    whole, rest = divmod(us, 1_000_000)
    return datetime.fromtimestamp(whole, UTC).replace(microsecond=rest).isoformat().replace("+00:00", "Z")


def toml(text: str) -> str:
    """The text as a TOML string, without escapes where it has none to need.

    >>> toml('"a b"')
    '\\'"a b"\\''
    """
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_list(texts: Iterable[str]) -> str:
    """A list of strings."""
    return "[" + ", ".join(map(toml, texts)) + "]"


def key(text: str) -> str:
    """The text as a TOML key, in quotes where it needs them."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else toml(text)


def _plain(text: str) -> str:
    """A name that cannot end its comment's line."""
    return "".join(char if char.isprintable() else "?" for char in text)[:200]


def _sql_value(value: object) -> str:
    return literal(value) if isinstance(value, str) else str(value)
