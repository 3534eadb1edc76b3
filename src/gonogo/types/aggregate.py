"""Which function of which column does an aggregate of a contract name?

    count | age | sum(x) | mean(x) | min(x) | max(x) | last(x) | distinct(x) | share(x)

x is a column of the source, or any SQL expression over one of its rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BARE = ("count", "age")  # of the events themselves
OF_A_COLUMN = ("sum", "mean", "min", "max", "last", "distinct", "share")
GRAMMAR = "count, age, " + ", ".join(f"{function}(x)" for function in OF_A_COLUMN)

_CALL = re.compile(r"\s*([A-Za-z_]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_NOT_A_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Aggregate:
    """One aggregate of the events in a window."""

    function: str  # one of BARE or OF_A_COLUMN
    column: str = ""  # a column or SQL expression; empty for BARE

    @property
    def slug(self) -> str:
        """Its part of a column's name: "count", "mean_dep_delay", "share_dep_delay_15"."""
        words = _NOT_A_WORD.sub("_", self.column.lower()).strip("_")
        return f"{self.function}_{words}" if words else self.function


def parse_aggregate(text: str) -> Aggregate:
    """The aggregate that the text names. Raises ValueError with the grammar for anything else.

    >>> parse_aggregate("mean(dep_delay)")
    Aggregate(function='mean', column='dep_delay')
    >>> parse_aggregate("share(dep_delay > 15)").slug
    'share_dep_delay_15'
    """
    match = _CALL.fullmatch(text)
    function, column = (match[1].lower(), (match[2] or "").strip()) if match else ("", "")
    if function in BARE:
        if match and match[2] is not None and column not in ("", "*"):
            raise ValueError(f"{text!r}: {function} is of the events themselves and takes no column; use distinct(x) or where = …")
        return Aggregate(function=function)
    if function not in OF_A_COLUMN:
        raise ValueError(f"{text!r} is no aggregate: one of {GRAMMAR}")
    if not _NOT_A_WORD.sub("", column) or not _is_balanced(column):
        raise ValueError(f"{text!r} names no column: write {function}(x), x a column or an SQL expression")
    return Aggregate(function=function, column=column)


def _is_balanced(sql: str) -> bool:
    """True where every bracket outside quotes closes, so that `sum(a) + (b)` is not taken for a call of sum."""
    depth, quote = 0, ""
    for char in sql:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
            if depth < 0:
                return False
    return depth == 0 and not quote
