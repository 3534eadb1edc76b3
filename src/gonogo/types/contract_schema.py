"""What is the contract's shape, for an editor?

A JSON Schema (draft 2020-12) made from the fields of `contract.py`, so that editors complete and check contract.toml while it is typed.
It knows what single fields ask for; impossible combinations are found by the reader alone.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from typing import Any

from gonogo.types.aggregate import BARE, OF_A_COLUMN
from gonogo.types.contract import FORMAT, Contract
from gonogo.types.record import field_types
from gonogo.types.toml_values import NAME

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DURATION = r"^[0-9]+ ?(us|ms|s|m|h|d|w)$"
_FORMS: Mapping[str, Mapping[str, str]] = {
    "": {},
    "sql": {},
    "column": {},
    "name": {"pattern": f"^{NAME.pattern}$"},
    "duration": {"pattern": _DURATION},
    "window": {"pattern": f"^all$|{_DURATION}"},
    "moment": {"format": "date-time"},
    "aggregate": {"pattern": rf"^({'|'.join(BARE)})(\(\*?\))?$|^({'|'.join(OF_A_COLUMN)}) ?\(.+\)$"},
}


def schema() -> dict[str, Any]:
    """The schema of contract.toml, one definition for each record."""
    records = _records_of(Contract)
    return {
        "$schema": DRAFT,
        "$id": f"urn:gonogo:contract:{FORMAT}",
        "title": "gonogo contract",
        "$ref": "#/$defs/Contract",
        "$defs": {record.__name__: _of_record(record) for record in records},
    }


def schema_text() -> str:
    """The schema as the file that editors read."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def is_required(spec: dataclasses.Field[Any]) -> bool:
    """True where a contract must state the field."""
    return spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING


def _records_of(cls: type, seen: tuple[type, ...] = ()) -> tuple[type, ...]:
    """The record and every record inside it, in the order in which they are met."""
    if cls in seen:
        return seen
    seen = (*seen, cls)
    for kind in field_types(cls).values():
        for arg in (kind, *typing.get_args(kind)):
            if dataclasses.is_dataclass(arg):
                seen = _records_of(typing.cast("type", arg), seen)
    return seen


def _of_record(cls: type) -> dict[str, Any]:
    specs = dataclasses.fields(cls)
    return {
        "type": "object",
        "description": (cls.__doc__ or "").strip(),
        "additionalProperties": False,
        "required": [spec.name for spec in specs if is_required(spec)],
        "properties": {spec.name: _of_field(cls, spec) for spec in specs},
    }


def _of_field(cls: type, spec: dataclasses.Field[Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"description": spec.metadata["about"], **_of_kind(field_types(cls)[spec.name], spec)}
    if spec.default is not dataclasses.MISSING and isinstance(spec.default, bool | int | float | str) and spec.default != "":
        said["default"] = spec.default
    if cls is Contract and spec.name == "gonogo":
        said["const"] = FORMAT
    if cls is Contract and spec.name == "gates":
        said["minItems"] = 1
    return said


def _of_kind(kind: Any, spec: dataclasses.Field[Any]) -> dict[str, Any]:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _of_kind(next(arg for arg in args if arg is not types.NoneType), spec)
    if origin is tuple:
        return {"type": "array", "items": _of_kind(args[0], spec)}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": True if args[1] is Any else _of_kind(args[1], spec)}
    if dataclasses.is_dataclass(kind):
        return {"$ref": f"#/$defs/{typing.cast('type', kind).__name__}"}
    return _of_scalar(kind, spec)


def _of_scalar(kind: Any, spec: dataclasses.Field[Any]) -> dict[str, Any]:
    if kind is bool:
        return {"type": "boolean"}
    if kind is str:
        choices = spec.metadata["choices"]
        return {"type": "string", "enum": list(choices)} if choices else {"type": "string", **_form(spec)}
    said: dict[str, Any] = {"type": "integer" if kind is int else "number"}
    if spec.metadata["at_least"] is not None:
        said["minimum"] = spec.metadata["at_least"]
    if spec.metadata["at_most"] is not None:
        said["maximum"] = spec.metadata["at_most"]
    return said


def _form(spec: dataclasses.Field[Any]) -> Mapping[str, str]:
    """The form's pattern; a field that may be left empty also takes the empty text."""
    form = _FORMS[spec.metadata["form"]]
    if spec.default == "" and "pattern" in form:
        return {"pattern": f"^$|{form['pattern']}"}
    return {} if spec.default == "" else form
