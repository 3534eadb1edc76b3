"""Is this text a contract, and if not, what is wrong with it, all of it, line by line?

The shape comes from the records of `contract.py` alone: their fields' types and metadata drive the reading. What no single field can
see, impossible pairs and references, stands in `contract_rules.py`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from gonogo.types import contract_rules
from gonogo.types.contract import FORMAT, Contract
from gonogo.types.contract_schema import is_required
from gonogo.types.errors import ContractRefused, Problem
from gonogo.types.record import field_types
from gonogo.types.toml_lines import Path, key_lines, line_of
from gonogo.types.toml_values import (
    Unfit,
    check_text,
    nearest,
    read_anything,
    read_number,
    read_text,
    read_truth,
    read_whole,
    shown,
)

_UNREAD: Any = object()  # stands for a value that was refused; never leaves this module
_SCALARS: Mapping[Any, Callable[[object], Any]] = {
    str: read_text,
    int: read_whole,
    float: read_number,
    bool: read_truth,
    Any: read_anything,
}
_MAY_BE_EMPTY = ("assumptions", "risks")  # required lists in which "none" is an answer
_NAMED_TABLES = ("sources", "features", "outcome.columns")  # their keys become names of tables and columns
_MAY_BE_BLANK = ("one_of",)  # the empty text can be a value of a column


def read_contract(text: str, *, where: str) -> Contract:
    """The contract that the TOML text states.

    where: the file's name, for the places of problems.
    Raises ContractRefused with every problem: unknown, missing and mistyped keys, values out of bounds, impossible pairs, references to
    what does not exist. Only text that is no TOML at all, or is of a newer format, is refused for that one reason alone.
    """
    raw = _parse(text, where)
    try:
        return read_tables(raw, lines=key_lines(text), where=where)
    except RecursionError:
        raise _no_toml(text, where, _TOO_DEEP) from None


def read_tables(raw: Mapping[str, Any], *, lines: Mapping[Path, int], where: str) -> Contract:
    """The contract from parsed TOML tables. lines: path → line, see `toml_lines`."""
    reader = _Reader(where, lines)
    if not raw:
        reader.refuse((), "The contract is empty.", expected="a contract", fix="gonogo init FOLDER --data FILE writes a first one")
    elif _is_newer(raw.get("gonogo")):
        reader.refuse(
            ("gonogo",),
            "The contract is of a newer format than this gonogo reads.",
            found=f"gonogo = {raw['gonogo']}",
            expected=f"gonogo = {FORMAT}",
            fix="install a newer gonogo, or write the contract in the older format",
        )
    else:
        contract = reader.contract(raw)
        if not reader.problems:
            return typing.cast("Contract", contract)
    raise ContractRefused(tuple(sorted(reader.problems, key=lambda problem: problem.line)))


def _is_newer(version: object) -> bool:
    return isinstance(version, int) and not isinstance(version, bool) and version > FORMAT


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
    except RecursionError:
        said = _TOO_DEEP
    except ValueError as error:  # a number of thousands of digits; tomllib then names no line
        said = f"{str(error).split(';')[0]} (at line 1, column 1)"
    raise _no_toml(text, where, said)


def _no_toml(text: str, where: str, said: str) -> ContractRefused:
    """The one problem of a text that is no TOML. said: as tomllib says it, with its place at the end."""
    at = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)", said)
    rows = text.split("\n")
    line = int(at[1]) if at and at[1] else len(rows)
    message = said[: at.start()] if at else said
    problem = Problem(
        where=f"{where}:{line}",
        key="",
        line=line,
        message=f"This is not TOML: {message}.",
        found=rows[line - 1].strip()[:100] if at and at[1] and line <= len(rows) else "the end of the document",
        expected="TOML",
        next=next((fix for mark, fix in _SYNTAX_FIXES.items() if mark in message), "mend this line first: what follows could not be read"),
    )
    return ContractRefused((problem,))


_TOO_DEEP = "Lists or tables are nested too deeply (at line 1, column 1)"
_SYNTAX_FIXES = {
    "Cannot overwrite": "a key stands twice: delete one of them",
    "Cannot declare": "a table stands twice: merge the two, or write [[…]] for each where several are meant",
    "Invalid value": 'text needs quotes: key = "value"',
    "Expected '=' after a key": "write key = value; a name with blanks needs quotes",
}


class _Reader:
    def __init__(self, where: str, lines: Mapping[Path, int]) -> None:
        self.where = where
        self.lines = lines
        self.problems: list[Problem] = []
        self.names = contract_rules.NOTHING

    def contract(self, raw: Mapping[str, Any]) -> Any:
        self.names = contract_rules.names(raw)
        return self._record(Contract, raw, ())

    def refuse(self, path: Path, message: str, *, found: str = "", expected: str = "", near: str = "", fix: str = "") -> None:
        line = line_of(self.lines, path)
        self.problems.append(
            Problem(
                where=f"{self.where}:{line}",
                key=_spoken(path),
                line=line,
                message=message,
                found=found,
                expected=expected,
                nearest=near,
                next=fix,
            )
        )

    # ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _record(self, cls: type, value: object, path: Path) -> Any:
        if not isinstance(value, Mapping):
            self._refuse_value(path, value, Unfit("is not a table", expected="a table", fix=f"write [{_spoken(path)}] with its keys below"))
            return _UNREAD
        before = len(self.problems)
        meant = self._unknown_keys(cls, value, path)
        read = {spec.name: self._field(cls, spec, value, path, meant) for spec in dataclasses.fields(cls)}
        if len(self.problems) > before:
            return _UNREAD
        record = cls(**{name: held for name, held in read.items() if held is not _UNREAD})
        for flaw in contract_rules.check(record, self.names):
            self.refuse((*path, *flaw.key), flaw.message, found=flaw.found, expected=flaw.expected, near=flaw.nearest, fix=flaw.fix)
        return record if len(self.problems) == before else _UNREAD

    def _unknown_keys(self, cls: type, value: Mapping[str, Any], path: Path) -> set[str]:
        """Refuses them; returns the known keys that were probably meant, which are then not also called missing."""
        known, meant = field_types(cls), set()
        for key in value:
            if key in known:
                continue
            near = nearest(key, known.keys() - value.keys())
            home = _home(key, cls)
            fix = _fix_unknown(cls, key, near, home)
            if near:
                meant.add(near)
            place = f"[{_spoken(path)}]" if path else "the contract"
            self.refuse(
                (*path, key),
                f"{key!r} is no key of {place}.",
                found=f"{key} = {shown(value[key])}",
                expected="one of " + ", ".join(known),
                near=near,
                fix=fix,
            )
        return meant

    def _field(self, cls: type, spec: Any, value: Mapping[str, Any], path: Path, meant: set[str]) -> Any:
        here = (*path, spec.name)
        if spec.name in value:
            return self._value(field_types(cls)[spec.name], spec, value[spec.name], here)
        if is_required(spec) and spec.name not in meant:
            self._refuse_missing(cls, spec, path)
        return _UNREAD

    def _refuse_missing(self, cls: type, spec: Any, path: Path) -> None:
        about = spec.metadata["about"]
        if cls is Contract and spec.name == "gates":
            self._refuse_no_gates(())
            return
        place = f"[{_spoken(path)}]" if path else "the contract"
        choices = ", ".join(choice for choice in spec.metadata["choices"] if choice)
        self.refuse(
            path,
            f"{spec.name!r} is missing from {place}.",
            expected=f"{about}: one of {choices}" if choices else about,
            fix=f"add {_example(cls, spec)}",
        )

    # ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _value(self, kind: Any, spec: Any, value: object, path: Path) -> Any:
        kind = _without_none(kind)
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if origin is tuple:
            return self._list(args[0], spec, value, path)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(args[1], spec, value, path)
        if dataclasses.is_dataclass(kind):
            return self._record(typing.cast("type", kind), value, path)
        return self._scalar(kind, spec, value, path)

    def _list(self, kind: Any, spec: Any, value: object, path: Path) -> Any:
        if not isinstance(value, list):
            fix = f"write [[{_spoken(path)}]], with two brackets" if dataclasses.is_dataclass(kind) else f"write [{shown(value)}]"
            self._refuse_value(path, value, Unfit("is not a list", expected="a list", fix=fix))
            return _UNREAD
        if not value and self._refuse_empty(spec, path):
            return _UNREAD
        before = len(self.problems)
        read = tuple(self._value(kind, spec, v, (*path, position)) for position, v in enumerate(value))
        for position, first in _repeated(value, kind):
            self._refuse_repeated(value, kind, position, first, path)
        return read if len(self.problems) == before else _UNREAD

    def _refuse_repeated(self, value: list[Any], kind: Any, position: int, first: int, path: Path) -> None:
        held = value[position]
        key = next((name for name in _IDENTITY if isinstance(held, dict) and name in held), None)
        here = (*path, position) if key is None else (*path, position, key)
        word = shown(held if key is None else held[key])
        alike = " with the same parameters" if isinstance(held, dict) and "params" in field_types(kind) else ""
        line = line_of(self.lines, (*path, first))
        self.refuse(
            here,
            f"{word} stands twice in {_spoken(path)}{alike}.",
            found=f"{word}, also on line {line}",
            expected="each once",
            fix="delete one, or give it other params" if alike else "rename or delete one",
        )

    def _mapping(self, kind: Any, spec: Any, value: object, path: Path) -> Any:
        if not isinstance(value, Mapping):
            fix = f"write [{_spoken(path)}] with its keys below, or {path[-1]} = {{ key = value }}"
            self._refuse_value(path, value, Unfit("is not a table", expected="a table", fix=fix))
            return _UNREAD
        if not value and self._refuse_empty(spec, path):
            return _UNREAD
        before = len(self.problems)
        if _spoken(path) in _NAMED_TABLES:
            for key in value:
                self._check_text(key, "name", (), (*path, key))
        read = {key: self._value(kind, spec, v, (*path, key)) for key, v in value.items()}
        return read if len(self.problems) == before else _UNREAD

    def _refuse_empty(self, spec: Any, path: Path) -> bool:
        if not is_required(spec) or spec.name in _MAY_BE_EMPTY:
            return False
        if path == ("gates",):
            self._refuse_no_gates(path)
        else:
            self.refuse(path, f"{_spoken(path)} is empty.", found="nothing", expected=spec.metadata["about"], fix="name at least one")
        return True

    def _refuse_no_gates(self, path: Path) -> None:
        self.refuse(
            path,
            "There is no gate: gates absent is an error, not a pass.",
            found="no [[gates]]",
            expected="at least one condition for GO",
            fix="add [[gates]] with name, metric and at_least or at_most; `gonogo explain contract` shows an example",
        )

    def _scalar(self, kind: Any, spec: Any, value: object, path: Path) -> Any:
        if spec.metadata["form"] == "moment" and isinstance(value, datetime):
            value = value.isoformat().replace("+00:00", "Z")  # TOML's own date-times are moments too
        try:
            read = _SCALARS[kind](value)
        except Unfit as unfit:
            self._refuse_value(path, value, unfit)
            return _UNREAD
        is_unset = read == "" and spec.default == ""
        if isinstance(read, str) and kind is str and not is_unset:
            if not self._check_text(read, spec.metadata["form"], spec.metadata["choices"], path):
                return _UNREAD
            if not read.strip() and spec.name not in _MAY_BE_BLANK:
                self._refuse_value(path, read, Unfit("is empty", expected=spec.metadata["about"]))
                return _UNREAD
        return read if self._is_within(read, spec, path) else _UNREAD

    def _check_text(self, text: str, form: str, choices: tuple[str, ...], path: Path) -> bool:
        try:
            check_text(text, form, choices)
        except Unfit as unfit:
            self._refuse_value(path, text, unfit)
            return False
        return True

    def _is_within(self, value: object, spec: Any, path: Path) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        low, high = spec.metadata["at_least"], spec.metadata["at_most"]
        if low is not None and value < low:
            self._refuse_value(path, value, Unfit(f"is below {low:g}", expected=f"at least {low:g}"))
        elif high is not None and value > high:
            self._refuse_value(path, value, Unfit(f"is above {high:g}", expected=f"at most {high:g}"))
        else:
            return True
        return False

    def _refuse_value(self, path: Path, value: object, unfit: Unfit) -> None:
        self.refuse(
            path,
            f"{_spoken(path)} {unfit.message}.",
            found=shown(value),
            expected=unfit.expected,
            near=unfit.nearest,
            fix=unfit.fix or f"write {unfit.expected}",
        )


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

_IDENTITY = ("name", "column")  # the key by which tables of a list are told apart


def _spoken(path: Path) -> str:
    """The path for a person: the second table of [[gates]] is gates#2.

    >>> _spoken(("gates", 1, "at_most"))
    'gates#2.at_most'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"#{part + 1}"
        else:
            word = part if re.fullmatch(r"[\w-]+", part) else shown(part)
            text += f".{word}" if text else word
    return text


def _without_none(kind: Any) -> Any:
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return next(arg for arg in typing.get_args(kind) if arg is not types.NoneType)
    return kind


def _repeated(value: list[Any], kind: Any) -> Iterator[tuple[int, int]]:
    """(position, position of the first) of each element, or table's identity, that stands twice in a list of texts or of tables."""
    if kind is not str and not dataclasses.is_dataclass(kind):
        return
    first: dict[str, int] = {}
    for position, held in enumerate(value):
        identity = _identity(held, kind) if isinstance(held, dict) else held
        if isinstance(identity, str) and first.setdefault(identity, position) != position:
            yield position, first[identity]


def _identity(held: dict[str, Any], kind: Any) -> Any:
    """What tells a table from the others of its list: its name; of what has parameters, its name with them."""
    name = next((held[key] for key in _IDENTITY if key in held), None)
    if isinstance(name, str) and "params" in field_types(kind):
        return json.dumps([name, held.get("params") or {}], sort_keys=True, default=str)
    return name


def _home(key: str, cls: type) -> str:
    """The table in which the key would be known: a key that follows a header belongs to that header's table."""
    if cls is not Contract and key in field_types(Contract):
        return "the top of the file, above the first [table]"
    for name, kind in field_types(Contract).items():
        inner = next((arg for arg in (kind, *typing.get_args(kind)) if dataclasses.is_dataclass(arg)), None)
        if inner not in (None, cls) and key in field_types(typing.cast("type", inner)):
            return {None: f"[{name}]", tuple: f"[[{name}]]"}.get(typing.get_origin(kind), f"[{name}.NAME]")
    return ""


def _fix_unknown(cls: type, key: str, near: str, home: str) -> str:
    if "params" in field_types(cls) and not near:
        return f"parameters of a learner stand in its table: params = {{ {key} = … }}"
    if near:
        return f"write {near}"
    return f"move it to {home}" if home else "delete it"


def _example(cls: type, spec: Any) -> str:
    kind = _without_none(field_types(cls)[spec.name])
    args = typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return f"[{spec.name}]"
    if args and dataclasses.is_dataclass(args[0]):
        return f"[[{spec.name}]]"
    if len(args) == 2 and typing.get_origin(kind) is not tuple:
        return f"[{spec.name}.NAME]" if dataclasses.is_dataclass(args[1]) else f"{spec.name} = {{ … }}"
    choices = [choice for choice in spec.metadata["choices"] if choice]
    if choices:
        return f'{spec.name} = "{choices[0]}"'
    blank = '"…"' if kind is str else "true" if kind is bool else str(FORMAT) if spec.name == "gonogo" else "…"
    return f'{spec.name} = ["…"]' if args else f"{spec.name} = {blank}"
