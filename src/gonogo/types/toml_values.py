"""Is one value of a contract what its field asks for?

Each function takes a value as `tomllib` gives it and returns the value that the record holds, or raises Unfit with the fix.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time
from typing import Any

from gonogo.types.aggregate import parse_aggregate
from gonogo.types.time import duration_us, moment_us, window_us

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
INT64 = 2**63
DEEPEST = 20  # of lists and tables inside one another, among a learner's parameters


class Unfit(ValueError):
    """A value that does not fit its field; the reader of the contract adds the key and the line."""

    def __init__(self, message: str, *, expected: str = "", nearest: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.nearest = nearest
        self.fix = fix


def shown(value: object) -> str:
    """The value as TOML writes it, cut to a line."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, datetime | date | time):
        text = value.isoformat()
    elif isinstance(value, Mapping):
        text = "{ " + ", ".join(f"{key} = {shown(v)}" for key, v in value.items()) + " }"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(map(shown, value)) + "]"
    else:
        text = repr(value) if not isinstance(value, int) or value.bit_length() < 256 else "a number of more than 70 digits"
    return text if len(text) <= 100 else text[:99] + "…"


def nearest(word: str, known: Collection[str]) -> str:
    """The known word that was probably meant; empty where none is near.

    >>> nearest("at_leats", ("at_least", "at_most"))
    'at_least'
    """
    found = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def read_text(value: object) -> str:
    """Text without NUL characters."""
    if not isinstance(value, str):
        fix = f"write {shown(str(value))}, in quotes" if isinstance(value, int | float) and not isinstance(value, bool) else ""
        raise Unfit("is not text", expected="text in quotes", fix=fix)
    if "\0" in value:
        raise Unfit("holds a NUL character", expected="text without \\u0000")
    return value


def read_whole(value: object) -> int:
    """A whole number that 64 bits hold. True and false are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit("is not a whole number", expected="a whole number", fix=_unquoted(value, int))
    if not -INT64 <= value < INT64:
        raise Unfit("does not fit into 64 bits", expected="a whole number between -2^63 and 2^63 - 1")
    return value


def read_number(value: object) -> float:
    """A finite number. True and false are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("is not a number", expected="a number", fix=_unquoted(value, float))
    if isinstance(value, int):
        return float(read_whole(value))
    if not math.isfinite(value):
        raise Unfit("is not finite", expected="a finite number", fix="write the number; leave the key out where there is no limit")
    return value + 0.0  # -0.0 becomes 0.0: equal contracts have equal digests


def read_truth(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        fix = f"write {value.lower()}, without quotes" if isinstance(value, str) and value.lower() in ("true", "false") else ""
        raise Unfit("is neither true nor false", expected="true or false", fix=fix)
    return value


def read_anything(value: object, *, depth: int = 0) -> Any:
    """What a record can hold: text, numbers, true and false, lists and tables of them."""
    if depth > DEEPEST:
        raise Unfit("is nested too deeply", expected=f"lists and tables at most {DEEPEST} deep")
    if isinstance(value, dict):
        return {read_text(key): read_anything(held, depth=depth + 1) for key, held in value.items()}
    if isinstance(value, list):
        return tuple(read_anything(held, depth=depth + 1) for held in value)
    if isinstance(value, datetime | date | time):
        raise Unfit("is a TOML date or time", expected="text, a number, true or false, or lists and tables of them", fix="put it in quotes")
    if isinstance(value, str):
        return read_text(value)
    if isinstance(value, bool):
        return value
    return read_whole(value) if isinstance(value, int) else read_number(value)


def _unquoted(value: object, kind: Callable[[str], float]) -> str:
    if not isinstance(value, str):
        return ""
    try:
        kind(value)
    except ValueError:
        return ""
    return f"write {value.strip()}, without quotes"


# ── forms of text ────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_text(text: str, form: str, choices: tuple[str, ...]) -> None:
    """Raises Unfit where the text is none of the choices or not of the form."""
    if choices and text not in choices:
        known = [choice for choice in choices if choice]
        near = nearest(text, known)
        raise Unfit(
            "is none of the choices", expected="one of " + ", ".join(known), nearest=near, fix=f"write {shown(near)}" if near else ""
        )
    if form:
        FORMS[form](text)


def _name(text: str) -> None:
    if not NAME.fullmatch(text):
        meant = re.sub(r"[^a-z0-9_-]+", "_", text.strip().lower()).strip("_-")[:100]
        raise Unfit(
            "is no name",
            expected="lower-case letters a-z, digits, - and _, at most 100, the first a letter or digit",
            fix=f"write {shown(meant)}" if meant else "",
        )


def _not_blank(text: str) -> None:
    if not text.strip():
        raise Unfit("is empty", expected="an SQL expression")


def _column(text: str) -> None:
    if not text.strip() or any(ord(char) < 32 for char in text):
        raise Unfit("is no column", expected="the name of a column")


def _spoken(read: Callable[[str], object], expected: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        try:
            read(text)
        except ValueError as error:
            reason = str(error).removeprefix(repr(text)).lstrip(": ")
            raise Unfit(reason, expected=expected) from None

    return check


def _window(text: str) -> None:
    if text.strip() != "all":
        _spoken(duration_us, 'a whole number and us, ms, s, m (minutes), h, d or w, e.g. "20m", "7d"; or "all"')(text)
    if window_us(text) == 0:
        raise Unfit("is shorter than a microsecond: no event falls into it", expected='at least "1us"')


FORMS: Mapping[str, Callable[[str], None]] = {
    "name": _name,
    "sql": _not_blank,
    "column": _column,
    "duration": _spoken(duration_us, 'a whole number and us, ms, s, m (minutes), h, d or w, e.g. "20m", "7d"'),
    "window": _window,
    "moment": _spoken(moment_us, 'ISO 8601 with a zone, e.g. "2014-01-01T05:00:00Z"'),
    "aggregate": _spoken(parse_aggregate, "count | age | sum(x) | mean(x) | min(x) | max(x) | last(x) | distinct(x) | share(x)"),
}
