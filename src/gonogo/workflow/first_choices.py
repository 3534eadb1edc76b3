"""Which column is probably what? Guesses for a first contract, by names and counts; each is written down as a guess.

Pure: from counts to choices. Nothing here is known, so nothing here is hidden: the contract says DECIDE beside each guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gonogo.types.time import US_OF, duration_us
from gonogo.workflow.first_look import TIMES, Column, Look, Span

TARGETS = (
    "y",
    "target",
    "label",
    "outcome",
    "class",
    "churn",
    "churned",
    "default",
    "defaulted",
    "fraud",
    "converted",
    "clicked",
    "survived",
)
DECISION_TIMES = ("decided", "decision", "requested", "created", "submitted", "opened", "ordered", "booked", "applied", "timestamp", "time")
# fmt: off
LATE_WORDS = frozenset((
    "result", "outcome", "target", "label", "status", "closed", "resolved", "finished", "completed", "ended", "end", "duration",
    "arrival", "arrived", "arr", "actual", "final", "paid", "refund", "refunded", "cancelled", "canceled", "churn", "churned",
    "reason", "approved", "returned", "delivered", "landed", "after", "late", "delay", "prediction", "predicted",
))
# fmt: on
ID_WORDS = frozenset(("id", "key", "uuid", "guid", "number", "no", "ref", "code"))
# fmt: off
ENTITY_WORDS = (
    "user", "customer", "client", "account", "patient", "member", "person", "subscriber", "passenger", "driver", "employee",
    "household", "company", "merchant", "store", "shop", "device", "machine", "vehicle", "product", "item", "session",
)
POSITIVES = frozenset((
    "yes", "y", "true", "t", "1", "positive", "pos", "bad", "fraud", "spam", "churn", "churned", "default", "malignant", "m", "died",
    "dead", "late",
))
# fmt: on
LEAST_UNITS = 150  # days or entities; a fifth of them tests, and gates ask for 30
INTERVALS = {"1d": "1 day", "1h": "1 hour", "1m": "1 minute", "1s": "1 second"}
NUMBERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|U?INTEGER|DOUBLE|FLOAT|REAL|DECIMAL.*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What is predicted."""

    column: str
    positive: Any  # the value that counts as 1; True for a boolean column
    is_boolean: bool
    others: tuple[str, ...]  # binary columns that could have been meant too


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """When rows are decided, and where validate and test begin (µs)."""

    column: str
    type: str
    validate_from: int
    test_from: int
    as_of: int
    window: str  # a placeholder for how long the outcome takes
    has_units: bool  # there are enough days to count them as what is independent


def choose_target(look: Look) -> Target | None:
    """The column of two values that is most probably the outcome; None where none has two values."""
    binary = [column for column in look.columns if column.n_distinct == 2 and len(column.values) == 2]
    if not binary:
        return None
    ranked = sorted(range(len(binary)), key=lambda i: (_target_rank(binary[i].name), -i))  # the last one, if none has a name for it
    chosen = binary[ranked[0]]
    others = tuple(binary[i].name for i in ranked[1:4])
    return Target(column=chosen.name, positive=_positive(chosen), is_boolean=chosen.type == "BOOLEAN", others=others)


def choose_timing(look: Look) -> Timing | None:
    """The time that is most probably the decision's, if rows can be split by it."""
    timed = [column for column in look.columns if column.span is not None and not late_words(column.name)]
    for column in sorted(timed, key=lambda column: _rank(column.name, DECISION_TIMES)):
        timing = _timing(column, column.span) if column.span else None
        if timing is not None:
            return timing
    return None


def choose_entity(look: Look) -> str | None:
    """The column of things that recur, such as customers; enough of them to be told apart by chance."""
    repeated = [
        column
        for column in look.columns
        if column.n_null == 0 and LEAST_UNITS <= column.n_distinct < 0.9 * look.n_rows and column.type not in ("DOUBLE", "FLOAT")
    ]
    named = [column for column in repeated if _rank(column.name, ENTITY_WORDS) < len(ENTITY_WORDS) or "id" in words(column.name)]
    return min(named, key=lambda column: _rank(column.name, ENTITY_WORDS)).name if named else None


def key_candidates(look: Look, timing: Timing | None, entity: str | None) -> Iterator[tuple[str, ...]]:
    """Columns that may name a row, the most probable first; whether they do is counted by the caller."""
    fit = [column for column in look.columns if column.n_null == 0 and not column.type.startswith(("DOUBLE", "FLOAT", "BOOLEAN"))]
    unique = [column.name for column in fit if column.n_distinct >= 0.9 * look.n_rows and column.type not in TIMES]
    yield from ((name,) for name in sorted(unique, key=lambda name: not ID_WORDS & words(name)) if ID_WORDS & words(name))
    if timing and entity:
        yield (entity, timing.column)
    if timing:
        yield (timing.column,)


def late_words(name: str) -> frozenset[str]:
    """The words of a column's name that tell of something that is known only afterwards.

    >>> sorted(late_words("arr_delay"))
    ['arr', 'delay']
    """
    return LATE_WORDS & words(name)


def words(name: str) -> frozenset[str]:
    """The words of a column's name, lower-case.

    >>> sorted(words("customerID_2"))
    ['2', 'customer', 'id']
    """
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    return frozenset(word for word in re.split(r"[\W_]+", parted) if word)


def is_id(column: Column, look: Look) -> bool:
    """True where nearly every row has a value of its own, and the values are no measurements."""
    if column.type in ("DOUBLE", "FLOAT") or column.type.startswith("DECIMAL"):
        return False
    is_own = column.n_distinct > max(50, 0.5 * look.n_rows)
    return is_own and (not NUMBERS.fullmatch(column.type) or bool(ID_WORDS & words(column.name)))


def _target_rank(name: str) -> int:
    exact = name.lower()
    return TARGETS.index(exact) if exact in TARGETS else len(TARGETS) + _rank(name, TARGETS)


def _rank(name: str, known: tuple[str, ...] | list[str]) -> int:
    """The place of the first known word in the name; the number of words where none is there."""
    held = words(name)
    return next((place for place, word in enumerate(known) if word in held), len(known))


def _positive(column: Column) -> Any:
    low, high = column.values
    if not isinstance(low, str):
        return high  # false < true, 0 < 1
    named = [value for value in (low, high) if value.strip().lower() in POSITIVES]
    if len(named) == 1:
        return named[0]
    return low if column.counts[0] < column.counts[1] else high  # the rarer one is what one asks about


def _timing(column: Column, span: Span) -> Timing | None:
    """Boundaries at midnight where the days are many, else at rows' own moments; None where times are too few to split."""
    day = US_OF["d"]
    validate, test = (span.at_60 // day * day, span.at_80 // day * day) if span.n_days >= 30 else (span.at_60, span.at_80)
    window = next((text for text in INTERVALS if 10 * duration_us(text) <= test - validate), None)
    if window is None or not span.first + duration_us(window) < validate or test > span.last:
        return None
    as_of = -(-(span.last + duration_us(window)) // day) * day  # the midnight after the last outcome
    return Timing(
        column=column.name,
        type=column.type,
        validate_from=validate,
        test_from=test,
        as_of=as_of,
        window=window,
        has_units=span.n_days >= LEAST_UNITS,
    )
