"""Which combinations in a contract are impossible?

One function per record yields its flaws. Each is called only on a record whose every field could be read, so it reads like the sentence
that it is; what it needs to know of the rest of the contract it gets as Names.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gonogo.types.adaptive_rules import wrongs
from gonogo.types.aggregate import parse_aggregate
from gonogo.types.contract import Budget, Check, Contract, Feature, Gate, Guardrail, Rollout, Rows, Slicing, Source, Split, Window
from gonogo.types.time import duration_us, moment_us
from gonogo.types.toml_values import nearest, shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """One impossible combination; `key` is the path below the record at which it is to be mended."""

    key: tuple[str | int, ...]
    message: str
    found: str
    expected: str
    fix: str
    nearest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What a part of a contract may refer to. None: that part could not be read, so nothing is said of references to it."""

    sources: Mapping[str, Mapping[str, Any]] | None  # name → the source's keys as written
    slices: Sequence[str] | None
    as_of_us: int | None


NOTHING = Names(sources=None, slices=None, as_of_us=None)


def names(raw: Mapping[str, Any]) -> Names:
    """The names that the parsed tables hold, however wrong the rest of them is."""
    sources, slices = raw.get("sources"), raw.get("slices", [])
    readable = isinstance(sources, Mapping) and all(isinstance(source, Mapping) for source in sources.values())
    tables = isinstance(slices, list) and all(isinstance(table, Mapping) for table in slices)
    return Names(
        sources=sources if readable else None,
        slices=[" & ".join(str(table[key]) for key in ("column", "crossed_with") if table.get(key)) for table in slices]
        if tables
        else None,
        as_of_us=_moment_or_none(raw.get("as_of")),
    )


def check(record: Any, known: Names) -> Iterator[Flaw]:
    """Every flaw of one record."""
    return _RULES.get(type(record), _none)(record, known)


def _none(record: Any, known: Names) -> Iterator[Flaw]:
    return iter(())


def _moment_or_none(value: object) -> int | None:
    text = value.isoformat() if hasattr(value, "isoformat") else value
    try:
        return moment_us(text) if isinstance(text, str) else None
    except ValueError:
        return None


# ── sources ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _source(source: Source, known: Names) -> Iterator[Flaw]:
    if source.timeless:
        for key in ("event_time", "known_at", "retracted_at"):
            if getattr(source, key):
                yield Flaw(
                    key=(key,),
                    message=f"A timeless source has no {key}: its rows are taken as always known.",
                    found=f"timeless = true and {key} = {shown(getattr(source, key))}",
                    expected="one of the two",
                    fix=f"delete timeless = true, or {key}",
                )
    elif not source.known_at:
        what = "has event_time but no known_at" if source.event_time else "has no known_at and is not timeless"
        yield Flaw(
            key=("event_time",) if source.event_time else (),
            message=f"The source {what}: it does not say when anybody could know a row.",
            found=f"event_time = {shown(source.event_time)}" if source.event_time else "no known_at",
            expected="known_at, or timeless = true",
            fix='add known_at = "COLUMN"; where rows are known the moment they happen, the event_time column itself',
        )
    for column, digits in source.decimals.items():
        if not 0 <= digits <= 15:
            yield Flaw(
                key=("decimals", column),
                message=f"{digits} digits after the point are more than a sum can keep exactly.",
                found=f"{column} = {digits}",
                expected="0 to 15",
                fix="write the digits that the values really have",
            )


def _check(held: Check, known: Names) -> Iterator[Flaw]:
    yield from _order(("at_most",), "at_least", held.at_least, "at_most", held.at_most)
    if held.type in ("text", "boolean", "time") and (held.at_least is not None or held.at_most is not None):
        yield Flaw(
            key=("type",),
            message=f"A column of type {held.type} has no smallest or largest number.",
            found=f"type = {shown(held.type)} with at_least or at_most",
            expected='type "integer" or "number"',
            fix="delete the limits, or mend the type",
        )
    if held.unmatched_at_most and not held.refers_to:
        yield Flaw(
            key=("unmatched_at_most",),
            message="unmatched_at_most limits a reference, and there is no refers_to.",
            found=f"unmatched_at_most = {held.unmatched_at_most:g}",
            expected='refers_to = "SOURCE.COLUMN" beside it',
            fix="add refers_to, or delete unmatched_at_most",
        )
    source, dot, column = held.refers_to.partition(".")
    if held.refers_to and not (dot and source and column):
        yield Flaw(
            key=("refers_to",),
            message="refers_to does not name a source and a column.",
            found=shown(held.refers_to),
            expected='"SOURCE.COLUMN"',
            fix="write the source, a point and the column",
        )
    elif held.refers_to:
        yield from _unknown_source(("refers_to",), source, known, after=f".{column}")


def _unknown_source(key: tuple[str | int, ...], name: str, known: Names, *, after: str = "") -> Iterator[Flaw]:
    if known.sources is None or name in known.sources:
        return
    near = nearest(name, known.sources)
    yield Flaw(
        key=key,
        message=f"There is no source {name!r}.",
        found=shown(name + after),
        expected="one of " + ", ".join(known.sources),
        fix=f"write {shown(near + after)}" if near else f"add [sources.{name}], or name one that exists",
        nearest=near,
    )


# ── rows, features, split ────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(rows: Rows, known: Names) -> Iterator[Flaw]:
    yield from _unknown_source(("source",), rows.source, known)


def _window(window: Window, known: Names) -> Iterator[Flaw]:
    if moment_us(window.start) >= moment_us(window.end):
        yield Flaw(
            key=("end",),
            message="The window ends before it starts.",
            found=f"start = {shown(window.start)}, end = {shown(window.end)}",
            expected="a start before the end",
            fix="swap them",
        )


def _feature(feature: Feature, known: Names) -> Iterator[Flaw]:
    if feature.sql and feature.source:
        yield Flaw(
            key=("source",),
            message="A feature has either sql or source, not both.",
            found="sql and source",
            expected="sql for an expression over the row, source for aggregates over events",
            fix="delete one, or make two features of it",
        )
    elif feature.source:
        yield from _unknown_source(("source",), feature.source, known)
        yield from _event_feature(feature, known)
    else:
        yield from _request_feature(feature)


def _request_feature(feature: Feature) -> Iterator[Flaw]:
    given = [key for key in ("by", "where", "aggregates") if getattr(feature, key)]
    if not feature.sql:
        yield Flaw(
            key=("aggregates",) if feature.aggregates else (),
            message="The feature has aggregates but no source." if feature.aggregates else "The feature has neither sql nor source.",
            found=", ".join(given) or "neither",
            expected="sql for an expression over the row, or source, by and aggregates for events",
            fix='add source = "…"' if given else 'add sql = "…", or source = "…" with by and aggregates',
        )
    elif given or feature.windows != ("all",):
        yield Flaw(
            key=((given or ["windows"])[0],),
            message="An expression over the row has no events to look back on.",
            found="sql with " + ", ".join(given or ["windows"]),
            expected="source instead of sql",
            fix="delete " + ", ".join(given or ["windows"]) + ", or replace sql by source",
        )


def _event_feature(feature: Feature, known: Names) -> Iterator[Flaw]:
    if not feature.by:
        yield Flaw(
            key=("source",),
            message="The feature does not say whose events it looks at.",
            found="source without by",
            expected="by: key columns of the same name in the rows and in the events",
            fix='add by = ["COLUMN"]',
        )
    if not feature.aggregates:
        yield Flaw(
            key=("source",),
            message="The feature does not say what it computes of the events.",
            found="source without aggregates",
            expected="aggregates: count, age, sum(x), mean(x), …",
            fix='add aggregates = ["count"]',
        )
    source = (known.sources or {}).get(feature.source)
    if source is not None:
        yield from _times_of(feature, source)
    slugs = [parse_aggregate(text).slug for text in feature.aggregates]
    for position, slug in enumerate(slugs):
        if slug in slugs[:position]:
            yield Flaw(
                key=("aggregates", position),
                message=f"Two aggregates of the feature would both be called {slug}.",
                found=f"{shown(feature.aggregates[slugs.index(slug)])} and {shown(feature.aggregates[position])}",
                expected="names that differ",
                fix="make two features of them",
            )


def _times_of(feature: Feature, source: Mapping[str, Any]) -> Iterator[Flaw]:
    if source.get("timeless") is not True:
        if not source.get("event_time"):
            yield Flaw(
                key=("source",),
                message=f"The source {feature.source!r} has no event_time: its rows cannot be found by time.",
                found=f"[sources.{feature.source}] without event_time",
                expected="event_time, or timeless = true",
                fix=f"add event_time to [sources.{feature.source}]",
            )
        return
    if feature.windows != ("all",):
        yield Flaw(
            key=("windows",),
            message=f"The source {feature.source!r} is timeless: a window of time holds nothing of it.",
            found=f"windows = {shown(feature.windows)}",
            expected='windows = ["all"]',
            fix="delete windows",
        )
    if "age" in (parse_aggregate(text).function for text in feature.aggregates):
        yield Flaw(
            key=("aggregates",),
            message=f"The source {feature.source!r} is timeless: its rows have no age.",
            found="age",
            expected="an aggregate that needs no time",
            fix="delete age",
        )


def _split(split: Split, known: Names) -> Iterator[Flaw]:
    yield from _split_by_time(split, known) if split.by == "time" else _split_by_shares(split)


def _split_by_time(split: Split, known: Names) -> Iterator[Flaw]:
    given = [key for key in ("column", "shares") if getattr(split, key)]
    missing = [key for key in ("validate_from", "test_from") if not getattr(split, key)]
    if given:
        yield _misplaced(given, "by time", "validate_from and test_from")
    if missing:
        yield Flaw(
            key=(),
            message=f"A split by time needs {' and '.join(missing)}.",
            found=f"by = {shown(split.by)}",
            expected="validate_from and test_from",
            fix="add " + ", ".join(f'{key} = "YYYY-MM-DDT00:00:00Z"' for key in missing),
        )
        return
    validate, test = moment_us(split.validate_from), moment_us(split.test_from)
    if validate + duration_us(split.embargo) >= test:
        yield Flaw(
            key=("test_from",),
            message="The validate table would be empty: test begins before it, or within the embargo."
            if validate < test
            else "test_from is not after validate_from.",
            found=f"validate_from = {shown(split.validate_from)}, test_from = {shown(split.test_from)}, embargo = {shown(split.embargo)}",
            expected="validate_from + embargo < test_from",
            fix="write a later test_from, or a shorter embargo",
        )
    if known.as_of_us is not None and test >= known.as_of_us:
        yield Flaw(
            key=("test_from",),
            message="The test table would be empty: test_from is not before as_of.",
            found=f"test_from = {shown(split.test_from)}",
            expected="a moment before as_of",
            fix="write an earlier test_from, or a later as_of",
        )


def _split_by_shares(split: Split) -> Iterator[Flaw]:
    given = [key for key in ("validate_from", "test_from") if getattr(split, key)] + (["embargo"] if duration_us(split.embargo) else [])
    if given:
        yield _misplaced(given, f"by {split.by}", "shares")
    if split.by == "stratified" and split.column:
        yield _misplaced(["column"], "stratified", "shares")
    if split.by != "stratified" and not split.column:
        yield Flaw(
            key=(),
            message=f"A split by {split.by} needs the column whose values are kept together.",
            found=f"by = {shown(split.by)} without column",
            expected="column",
            fix='add column = "COLUMN"',
        )
    # decimals of shares are not exact in binary: 0.7 + 0.2 + 0.1 is 0.9999999999999999
    if len(split.shares) != 3 or min(split.shares) <= 0 or abs(sum(split.shares) - 1) > 1e-9:
        yield Flaw(
            key=("shares",) if split.shares else (),
            message="shares are not three positive shares that add to 1."
            if split.shares
            else f"A split by {split.by} needs the shares of train, validate and test.",
            found=f"shares = {shown(split.shares)}, together {sum(split.shares):g}",
            expected="train, validate, test, together 1",
            fix="write shares = [0.6, 0.2, 0.2]",
        )


def _misplaced(keys: list[str], by: str, instead: str) -> Flaw:
    given = " and ".join(keys)
    return Flaw(
        key=(keys[0],),
        message=f"A split {by} does not look at {given}.",
        found=given,
        expected=instead,
        fix=f"delete {given}, or split otherwise",
    )


# ── slices, gates, budget, rollout ───────────────────────────────────────────────────────────────────────────────────────────────


def _slicing(slicing: Slicing, known: Names) -> Iterator[Flaw]:
    if slicing.bins == 1:
        yield Flaw(
            key=("bins",),
            message=f"One bin of {slicing.column!r} tells no rows apart.",
            found="bins = 1",
            expected="at least 2, or 0 for each value",
            fix="write bins = 5",
        )
    if slicing.crossed_with == slicing.column:
        yield Flaw(
            key=("crossed_with",),
            message=f"{slicing.column!r} is crossed with itself.",
            found=f"crossed_with = {shown(slicing.crossed_with)}",
            expected="another column",
            fix="delete crossed_with, or name another column",
        )


def _gate(gate: Gate, known: Names) -> Iterator[Flaw]:
    if gate.at_least is None and gate.at_most is None:
        yield Flaw(
            key=(),
            message=f"The gate {gate.name!r} has no limit: it could only pass.",
            found="neither at_least nor at_most",
            expected="at_least, at_most, or both",
            fix="add the limit",
        )
    elif gate.metric == "open_findings" and gate.at_most is None:
        yield Flaw(
            key=("at_least",),
            message=f"The gate {gate.name!r} asks for open findings: without at_most it could only pass.",
            found=f"at_least = {gate.at_least:g}",
            expected="at_most",
            fix="write at_most = 0",
        )
    yield from _order(("at_most",), "at_least", gate.at_least, "at_most", gate.at_most)
    for position, column in enumerate(gate.slices):
        if known.slices is not None and column not in known.slices:
            near = nearest(column, known.slices)
            yield Flaw(
                key=("slices", position),
                message=f"The gate {gate.name!r} slices by {column!r}, which no [[slices]] declares.",
                found=shown(column),
                expected="one of " + ", ".join(known.slices) if known.slices else "a column of [[slices]]",
                fix=f"write {shown(near)}" if near else f"add [[slices]] with column = {shown(column)}",
                nearest=near,
            )


def _order(key: tuple[str | int, ...], low_key: str, low: float | None, high_key: str, high: float | None) -> Iterator[Flaw]:
    if low is not None and high is not None and low > high:
        yield Flaw(
            key=key,
            message=f"{low_key} is above {high_key}: no value can satisfy both.",
            found=f"{low_key} = {low:g}, {high_key} = {high:g}",
            expected=f"{low_key} at most {high_key}",
            fix="swap them, or delete one",
        )


def _budget(budget: Budget, known: Names) -> Iterator[Flaw]:
    held = [(key, getattr(budget, key)) for key in ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms")]
    given = [(key, value) for key, value in held if value is not None]
    for (low_key, low), (high_key, high) in itertools.pairwise(given):
        yield from _order((high_key,), low_key, low, high_key, high)


def _rollout(rollout: Rollout, known: Names) -> Iterator[Flaw]:
    shares = rollout.shares
    rising = all(low < high for low, high in zip((0.0, *shares), shares, strict=False))
    if not shares or not rising or shares[-1] != 1:
        yield Flaw(
            key=("shares",),
            message="The shares of a rollout do not rise from above 0 to 1.",
            found=shown(shares),
            expected="rising shares, the last 1",
            fix="write shares = [0.01, 0.05, 0.25, 0.5, 1.0]",
        )


COUNTED = ("errors", "fallbacks", "prediction")
LATENCIES = ("latency_p50", "latency_p95", "latency_p99")


def _guardrail(guardrail: Guardrail, known: Names) -> Iterator[Flaw]:
    counted, timed = guardrail.metric in COUNTED, guardrail.metric in LATENCIES
    margins = {"ratio_at_most": guardrail.ratio_at_most, "rate_at_most": guardrail.rate_at_most, "at_most": guardrail.at_most}
    given = [name for name, value in margins.items() if value is not None]
    fitting = ("ratio_at_most", "rate_at_most") if counted else ("at_most", "ratio_at_most") if timed else ("at_most",)
    if not given:
        yield Flaw(
            key=(),
            message="A guardrail without a margin can refute no harm.",
            found="none of " + ", ".join(margins),
            expected=" or ".join(fitting),
            fix=f"add {fitting[0]}",
        )
    for name in given:
        if name not in fitting:
            yield Flaw(
                key=(name,),
                message=f"{name} says nothing about {guardrail.metric}.",
                found=f"{name} = {margins[name]:g}",
                expected=" or ".join(fitting),
                fix=f"use {fitting[0]}",
            )
    if not counted and not timed and (len(guardrail.range) != 2 or guardrail.range[0] >= guardrail.range[1]):
        yield Flaw(
            key=("range",),
            message="A metric that is watched needs the range of one row's value: without it no sequence of looks is valid.",
            found=shown(guardrail.range),
            expected="range = [lowest, highest]",
            fix="write range = [0.0, 5.0] for a log loss, [0.0, 1.0] for a Brier score",
        )
    if known.slices is not None:
        for name in guardrail.slices:
            if name not in known.slices:
                yield Flaw(
                    key=("slices",),
                    message=f"The guardrail is watched by a slice that is not declared: {name}.",
                    found=name,
                    expected=", ".join(known.slices) or "a [[slices]] table",
                    fix="declare it under [[slices]]",
                    nearest=nearest(name, known.slices),
                )


# ── the whole ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _contract(contract: Contract, known: Names) -> Iterator[Flaw]:
    if contract.gates and not any(gate.metric == "open_findings" for gate in contract.gates):
        yield Flaw(
            key=("gates",),
            message="No gate asks for open findings: a leak that was found would not stop the model.",
            found="gates on " + ", ".join(dict.fromkeys(gate.metric for gate in contract.gates)),
            expected='a gate with metric = "open_findings"; single findings are accepted with `gonogo waive`',
            fix='add [[gates]] with name, metric = "open_findings" and at_most = 0',
        )
    for wrong in wrongs(contract):
        yield Flaw(
            key=("rollout", wrong.key),
            message=wrong.message,
            found=wrong.found,
            expected=wrong.expected,
            fix=wrong.fix,
            nearest=wrong.nearest,
        )
    owner: dict[str, str] = {}
    for name, feature in contract.features.items():
        for column in _columns(name, feature):
            if owner.setdefault(column, name) != name:
                yield Flaw(
                    key=("features", name),
                    message=f"Two features make a column {column!r}.",
                    found=f"{owner[column]} and {name}",
                    expected="names that differ",
                    fix="rename one",
                )


def _columns(name: str, feature: Feature) -> list[str]:
    if feature.sql:
        return [name]
    return [f"{name}__{parse_aggregate(text).slug}__{window}" for text in feature.aggregates for window in feature.windows]


_RULES: Mapping[type, Callable[[Any, Names], Iterator[Flaw]]] = {
    Source: _source,
    Check: _check,
    Rows: _rows,
    Window: _window,
    Feature: _feature,
    Split: _split,
    Slicing: _slicing,
    Gate: _gate,
    Budget: _budget,
    Rollout: _rollout,
    Guardrail: _guardrail,
    Contract: _contract,
}
