"""Which questions do these bytes ask, and if they ask none, what is wrong with them?

The usual body, every field present and nothing escaped, is read by a compiled decoder in about two microseconds. All others are read again,
slowly, by rules written out below, which also say what is wrong. A test holds the two against each other on random bodies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NoReturn

import msgspec
from msgspec.structs import astuple

from gonogo.serving.service import Question, Value
from gonogo.types.errors import RequestRefused, TooMuch
from gonogo.types.package import Field

_INT = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TIME = Annotated[datetime, msgspec.Meta(tz=True)]
_TYPES: Mapping[str, Any] = {"number": float, "integer": _INT, "boolean": bool, "text": str, "time": _TIME}
_WORDS = {
    "number": "a finite number",
    "integer": "a whole number of 64 bits",
    "boolean": "true or false",
    "text": "text",
    "time": 'a time with its zone, "2026-03-01T09:30:00Z", from the years 2 to 9998',
}
_QUOTED = ("text", "time")  # types that stand between quotation marks
_NEXT = "GET /openapi.json shows what is asked for; `gonogo explain GNG-H001`"
_INFINITE = float("inf")
_MOST_SHOWN = 60  # characters of a value that are said back

Row = Question | RequestRefused


class MalformedJson(RequestRefused):
    """Bytes that are no JSON at all: HTTP tells them (400) from JSON of the wrong shape (422)."""


class QuestionDecoder:
    """Bytes → questions, for one list of fields.

    >>> decoder = QuestionDecoder((Field(name="hour", type="integer", needed=True), Field(name="wind", type="number", needed=False)))
    >>> decoder.decode(b'{"hour": 7, "wind": 3.5}')
    (7, 3.5)
    >>> decoder.decode(b'{"rows": [{"hour": 7}, {"hour": 8, "wind": null}]}')
    [(7, None), (8, None)]
    """

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self.fields = fields
        self._known = {field.name: index for index, field in enumerate(fields)}
        if not fields:
            raise ValueError("a question without any field asks nothing")
        row = _struct(fields, absent=False)
        self._all = msgspec.json.Decoder(row)
        self._some = msgspec.json.Decoder(_struct(fields, absent=True))
        self._batch = msgspec.json.Decoder(msgspec.defstruct("Batch", [("rows", list[row])], forbid_unknown_fields=True))  # type: ignore[valid-type]
        self._quotes = 2 * (len(fields) + sum(field.type in _QUOTED for field in fields))
        self._quoted = tuple(i for i, field in enumerate(fields) if field.type in _QUOTED and not field.needed)
        self._times = tuple(i for i, field in enumerate(fields) if field.type == "time")

    def decode(self, body: bytes, *, most_rows: int = 1000) -> Question | list[Row]:
        """A tuple for one JSON object; a list for {"rows": […]}, each row alone either read or refused.

        Raises RequestRefused (MalformedJson) for what is neither, and TooMuch for more rows than `most_rows`.
        """
        try:
            values: Question = astuple(self._all.decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._decode_less(body, most_rows)
        # The decoder takes the last of two equal keys. Each key and each text stands between two quotation marks, so that a key which
        # stands twice shows in their number; where something is escaped, that count means nothing.
        if body.count(b'"') != (self._quotes_of(values) if self._quoted else self._quotes) or b"\\" in body:
            return self._decode_slowly(body, most_rows)
        if self._times:
            self._check_times(values, "")
        return values

    def row(self, value: Any, where: str = "") -> Question:
        """One question of a JSON object that was decoded by somebody else. Raises RequestRefused."""
        if not isinstance(value, dict):
            raise _refused("a row is an object of named fields", found=_shown(value), expected="{FIELD: VALUE, …}", where=where or "body")
        if not value.keys() <= self._known.keys():
            self._refuse_unknown(value, where)
        return tuple(self._value(field, value.get(field.name), where) for field in self.fields)

    def positional(self, values: Sequence[Any], where: str = "") -> Question:
        """One question of values in the order of the fields. Raises RequestRefused."""
        if len(values) != len(self.fields):
            raise _refused(
                "a row holds a value for each field",
                found=f"{len(values)} values",
                expected=f"{len(self.fields)}: {', '.join(self._known)}",
                where=where or "body",
            )
        return tuple(self._value(field, value, where) for field, value in zip(self.fields, values, strict=True))

    def index(self, name: str, where: str = "") -> int:
        """The place of a field. Raises RequestRefused where there is none of that name."""
        if name not in self._known:
            self._refuse_unknown({name: None}, where)
        return self._known[name]

    def _quotes_of(self, values: Question) -> int:
        quotes = self._quotes
        for i in self._quoted:
            if values[i] is None:
                quotes -= 2
        return quotes

    def _decode_less(self, body: bytes, most_rows: int) -> Question | list[Row]:
        """A row that leaves out what it may, a batch, or something else."""
        try:
            held = astuple(self._some.decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._decode_batch(body, most_rows)
        values: Question = tuple(None if value is msgspec.UNSET else value for value in held)
        if body.count(b'"') != self._quotes_of(values) - 2 * held.count(msgspec.UNSET) or b"\\" in body:
            return self._decode_slowly(body, most_rows)
        self._check_times(values, "")
        return values

    def _decode_batch(self, body: bytes, most_rows: int) -> Question | list[Row]:
        try:
            rows = [astuple(row) for row in self._batch.decode(body).rows]  # type: ignore[attr-defined]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._decode_slowly(body, most_rows)
        if body.count(b'"') != 2 + sum(map(self._quotes_of, rows)) or b"\\" in body:
            return self._decode_slowly(body, most_rows)
        _check_rows(len(rows), most_rows)
        return [self._in_time(row, f"rows[{i}]") for i, row in enumerate(rows)] if self._times else list(rows)

    def _decode_slowly(self, body: bytes, most_rows: int) -> Question | list[Row]:
        value = strict_json(body)
        if isinstance(value, dict) and set(value) == {"rows"} and isinstance(value["rows"], list):
            _check_rows(len(value["rows"]), most_rows)
            return each(self.row, value["rows"], "rows")
        return self.row(value)

    def _in_time(self, row: Question, where: str) -> Row:
        try:
            self._check_times(row, where)
        except RequestRefused as refused:
            return refused
        return row

    def _check_times(self, values: Question, where: str) -> None:
        for i in self._times:
            time = values[i]
            # A time on the edge of what a datetime holds cannot be brought to UTC.
            if isinstance(time, datetime) and not 1 < time.year < 9999:
                self._refuse(self.fields[i], time.isoformat(), where)

    def _value(self, field: Field, value: Any, where: str) -> Value:
        if value is None:
            if field.needed:
                place = f"{where}.{field.name}" if where else field.name
                raise _refused(f"'{field.name}' is missing", found="null or absent", expected=_WORDS[field.type], where=place)
            return None
        read = _READ[field.type](value)
        if read is None:
            self._refuse(field, value, where)
        return read

    def _refuse(self, field: Field, value: Any, where: str) -> NoReturn:
        raise _refused(
            f"'{field.name}' is not {_WORDS[field.type].split(',')[0]}",
            found=_shown(value),
            expected=_WORDS[field.type] + ("" if field.needed else ", or null"),
            where=f"{where}.{field.name}" if where else field.name,
        )

    def _refuse_unknown(self, value: Mapping[str, Any], where: str) -> NoReturn:
        name = next(name for name in value if name not in self._known)
        # To look for the name that was meant takes a millisecond: the first row is told, not each of a thousand.
        nearest = _nearest(name, self._known) if where in ("", "rows[0]") else []
        shown = name if len(name) <= _MOST_SHOWN else name[:_MOST_SHOWN] + "…"
        raise _refused(
            f"there is no field '{shown}'" + (f": is '{nearest[0]}' meant?" if nearest else ""),
            found=shown,
            expected=", ".join(self._known),
            where=f"{where}.{shown}" if where else shown,
        )


def _nearest(name: str, known: Iterable[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name[:100], known, n=1)


def each(read: Callable[[Any, str], Question], rows: Sequence[Any], where: str) -> list[Row]:
    """Every row alone, read or refused."""
    out: list[Row] = []
    for i, row in enumerate(rows):
        try:
            out.append(read(row, f"{where}[{i}]"))
        except RequestRefused as refused:
            out.append(refused)
    return out


def strict_json(body: bytes, *, most_deep: int | None = None) -> Any:
    """What the bytes say, if they say it once: UTF-8, no key twice, no NaN; with `most_deep` no deeper nested and no infinite number.

    Without `most_deep` a number such as 1e999 is infinite here, for whoever reads it as a field to refuse under the field's name.
    Raises MalformedJson for bytes that are no such JSON, TooMuch for those nested deeper.

    >>> strict_json(b'{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    """
    try:
        # Only UTF-8, as RFC 8259 wants it: json.loads alone would guess UTF-16, take lone surrogates and a byte order mark.
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        if "\\" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # an escaped lone surrogate is no text
    except UnicodeError as error:
        raise MalformedJson("the body is not UTF-8", found=str(error)[:120], expected="JSON in UTF-8", where="body", next=_NEXT) from error
    except RecursionError as error:
        raise _too_deep("hundreds of levels", most_deep or 16) from error
    except ValueError as error:
        found = "an empty body" if not body.strip() else str(error)[:120]
        raise MalformedJson("the body is no JSON", found=found, expected="one JSON value", where="body", next=_NEXT) from error
    if most_deep is not None:
        _walk(value, most_deep)
    return value


def _walk(value: Any, most_deep: int) -> None:
    """Layer by layer, without recursion. Raises TooMuch below `most_deep` layers, MalformedJson for a number beyond a float."""
    layer, levels = [value], most_deep
    while layer:
        if any(each in (_INFINITE, -_INFINITE) for each in layer if isinstance(each, float)):
            raise MalformedJson(
                "a number is beyond what a float holds", found="more than 1.8e308", expected="less", where="body", next=_NEXT
            )
        layer = [each for each in layer if isinstance(each, dict | list)]
        if layer and not levels:
            raise TooMuch(
                "the body is nested too deeply", found=f"more than {most_deep} levels", expected=f"at most {most_deep}", where="body"
            )
        levels -= 1
        layer = [inner for each in layer for inner in (each.values() if isinstance(each, dict) else each)]


def _too_deep(found: str, most_deep: int) -> TooMuch:
    return TooMuch("the body is nested too deeply", found=found, expected=f"at most {most_deep} levels", where="body")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)[:_MOST_SHOWN]!r} stands twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _check_rows(n_rows: int, most_rows: int) -> None:
    if n_rows > most_rows:
        raise TooMuch(
            f"{n_rows:,} rows in one request",
            found=f"{n_rows:,}",
            expected=f"at most {most_rows:,}",
            where="rows",
            next="send less at a time, or POST /v1/jobs",
        )
    if not n_rows:
        raise _refused("a batch without any row", found="[]", expected="at least one row", where="rows")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number - number == 0 else None  # not NaN, not infinite


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    whole = int(value)  # 3.0 is whole: languages with one kind of number write it so
    return whole if -(2**63) <= whole < 2**63 else None


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        time: datetime = msgspec.convert(value, _TIME)
    except msgspec.ValidationError:
        return None
    return time if 1 < time.year < 9999 else None


_READ: Mapping[str, Callable[[Any], Value]] = {
    "number": _number,
    "integer": _integer,
    "boolean": lambda value: value if isinstance(value, bool) else None,
    "text": lambda value: value if isinstance(value, str) else None,
    "time": _time,
}


def _struct(fields: tuple[Field, ...], *, absent: bool) -> type[msgspec.Struct]:
    """A record of the fields; with `absent`, one in which those that are not needed may be left out."""
    columns: list[Any] = []
    for i, field in enumerate(fields):
        kind = _TYPES[field.type]
        if field.needed:
            columns.append((f"f{i}", kind))
        elif absent:
            columns.append((f"f{i}", kind | None | msgspec.UnsetType, msgspec.UNSET))
        else:
            columns.append((f"f{i}", kind | None))
    return msgspec.defstruct(
        "Question",
        columns,
        rename={f"f{i}": field.name for i, field in enumerate(fields)},
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )


def _refused(message: str, *, found: str, expected: str, where: str) -> RequestRefused:
    return RequestRefused(message, found=found, expected=expected, where=where, next=_NEXT)


def _shown(value: Any) -> str:
    """A value as it is said back, cut short."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:  # a whole number of thousands of digits
        text = "a number of thousands of digits"
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"
