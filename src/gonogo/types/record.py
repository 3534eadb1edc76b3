"""How does a record become bytes, a digest, and a record again?

Records are frozen dataclasses. Their canonical JSON (sorted keys, no spaces, UTF-8, no NaN, no field that is at its default) is what is
hashed and stored, so the same record has the same digest on every machine and in every year: also when a later version adds a field
with a default. A default, once released, therefore never changes.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeAlias, TypeVar

from gonogo.types.errors import ArtifactRefused

Digest: TypeAlias = str  # "sha256:" and 64 hex digits
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
R = TypeVar("R")


def digest_of_bytes(data: bytes) -> Digest:
    """The digest of these bytes.

    >>> digest_of_bytes(b"")[:14]
    'sha256:e3b0c44'
    """
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest(record: object) -> Digest:
    """The digest of a record's canonical JSON."""
    return digest_of_bytes(canonical(record))


def canonical(record: object) -> bytes:
    """Canonical JSON of a record: equal records give equal bytes.

    Raises ValueError for NaN and infinities: a number that is unknown is None, never a stand-in.

    >>> canonical({"b": 1, "a": (2.5, None)})
    b'{"a":[2.5,null],"b":1}'
    """
    plain = _plain(record, _told_fields)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def to_json(value: object) -> Json:
    """A record as plain JSON values, for a reader: every field, under its name."""
    return _plain(value, _all_fields)


_Fields: TypeAlias = Callable[[Any], Iterable[tuple[str, Any]]]


def _plain(value: object, fields: _Fields) -> Json:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(field, fields) for name, field in fields(value)}
    if isinstance(value, Enum):
        return _plain(value.value, fields)
    if isinstance(value, datetime):
        return _utc_text(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v, fields) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, fields) for v in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place in a record: an unknown number is None")
        return value
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _all_fields(record: Any) -> Iterable[tuple[str, Any]]:
    return ((field.name, getattr(record, field.name)) for field in dataclasses.fields(record))


def _told_fields(record: Any) -> Iterable[tuple[str, Any]]:
    """The fields that say something: those that are not at their default."""
    kind: type = type(record)
    defaults = _defaults(kind)
    return ((name, value) for name, value in _all_fields(record) if value != defaults.get(name, _REQUIRED))


@functools.cache
def _defaults(cls: type) -> dict[str, Any]:
    """Field name → default, of the fields that have one."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return found


_REQUIRED = object()


def _utc_text(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} is naive: times in records are aware")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_bytes(cls: type[R], data: bytes) -> R:
    """The record that `canonical` wrote; refuses unknown and missing fields."""
    return from_json(cls, json.loads(data))


def from_json(cls: type[R], value: Any) -> R:
    """The record of that type, read strictly from plain JSON values."""
    return typing.cast("R", _read(cls, value, cls.__name__))


@functools.cache
def field_types(cls: type) -> dict[str, Any]:
    """Field name → resolved type of a record."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


def _read(kind: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType or origin is typing.Union:
        return _read_union(args, value, where)
    if origin is tuple:
        return tuple(_read(args[0], v, f"{where}[{i}]") for i, v in enumerate(_expect(list, value, where)))
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {k: _read(args[1], v, f"{where}.{k}") for k, v in _expect(dict, value, where).items()}
    if dataclasses.is_dataclass(kind):
        return _read_record(typing.cast("type", kind), _expect(dict, value, where), where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind is datetime:
        return datetime.fromisoformat(_expect(str, value, where))
    if kind is float:
        return float(_expect((int, float), value, where))
    if kind is Any or kind is object:
        return value
    return _expect(kind, value, where)


def _read_union(args: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in args:
        return None
    refused: list[str] = []
    for kind in (a for a in args if a is not type(None)):
        try:
            return _read(kind, value, where)
        except ArtifactRefused as error:
            refused.append(error.message)
    raise ArtifactRefused(f"{where} fits none of its types", found=repr(value)[:80], expected="; ".join(refused))


def _read_record(cls: type, value: dict[str, Any], where: str) -> Any:
    kinds = field_types(cls)
    required = {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING}
    unknown, missing = value.keys() - kinds.keys(), required - value.keys()
    if unknown or missing:
        raise ArtifactRefused(
            f"{where} is not a {cls.__name__} of this version",
            found=", ".join(sorted(value)),
            expected=", ".join(sorted(kinds)),
        )
    return cls(**{name: _read(kinds[name], v, f"{where}.{name}") for name, v in value.items()})


def _expect(kind: Any, value: Any, where: str) -> Any:
    # bool is an int in Python, and must not pass for a count
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, (int, float))):
        raise ArtifactRefused(f"{where} has the wrong type", found=type(value).__name__, expected=str(kind))
    return value
