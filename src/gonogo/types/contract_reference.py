"""Which keys does a contract have? The page behind `gonogo explain contract`, made from the fields of `contract.py`."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from gonogo.types.contract import FORMAT, Contract
from gonogo.types.contract_schema import is_required
from gonogo.types.record import field_types
from gonogo.types.toml_values import shown

_OPENING = f"""# contract: every key of contract.toml (format {FORMAT})

This page is generated from the records that the reader itself uses: what is not here does not exist, and is refused with its line.
A key marked **required** must be stated; every other one shows what holds where it is left out.

- A *duration* is a whole number and `us`, `ms`, `s`, `m` (minutes), `h`, `d` or `w`: `"20m"`, `"7d"`. A *window* is a duration or `"all"`.
- A *moment* is ISO 8601 with its zone: `"2014-01-01T05:00:00Z"`.
- A *name* is made of `a-z`, `0-9`, `-` and `_`.
- *SQL* is DuckDB's, over one row of the source that the key belongs to.

The least that a contract asks for: findings resolved, and one figure.

```toml
[[gates]]
name = "data and leakage findings are resolved"
metric = "open_findings"
at_most = 0

[[gates]]
name = "ranks positives above negatives"
metric = "roc_auc"
at_least = 0.70
```
"""
_KINDS: Mapping[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
_FORMS = {"sql": "SQL"}


def reference() -> str:
    """The page, as Markdown."""
    return _OPENING + "".join(_section(heading, cls) for heading, cls in _tables(Contract, ""))


def _tables(cls: type, path: str) -> Iterator[tuple[str, type]]:
    """(heading, record) of the contract and every table below it, in reading order."""
    yield (f"[{path}]" if path and not path.startswith("[") else path), cls
    for name, kind in field_types(cls).items():
        inner = next((arg for arg in (kind, *typing.get_args(kind)) if dataclasses.is_dataclass(arg)), None)
        if inner is None:
            continue
        plain = path.strip("[]")
        below = f"{plain}.{name}" if plain else name
        if typing.get_origin(kind) is tuple:
            below = f"[[{below}]]"
        elif typing.get_origin(kind) is not None:
            below = f"{below}.{'COLUMN' if name == 'checks' else 'NAME'}"
        yield from _tables(typing.cast("type", inner), below)


def _section(heading: str, cls: type) -> str:
    title = f"`{heading}`" if heading else "The top of the file"
    rows = "".join(_row(cls, spec) for spec in dataclasses.fields(cls))
    return f"\n## {title}\n\n{(cls.__doc__ or '').strip()}\n\n| key | what it says | is | else |\n|---|---|---|---|\n{rows}"


def _row(cls: type, spec: dataclasses.Field[Any]) -> str:
    cells = (f"`{spec.name}`", spec.metadata["about"], _kind(field_types(cls)[spec.name], spec), _else(spec))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _kind(kind: Any, spec: dataclasses.Field[Any]) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _kind(next(arg for arg in args if arg is not types.NoneType), spec)
    if origin is tuple:
        return "tables" if dataclasses.is_dataclass(args[0]) else f"list of {_kind(args[0], spec)}"
    if dataclasses.is_dataclass(kind) or (origin and dataclasses.is_dataclass(args[-1])):
        return "table" if origin is None else "a table for each"
    if origin is not None:
        return f"table of {_kind(args[1], spec)}"
    choices = ", ".join(f"`{choice}`" for choice in spec.metadata["choices"] if choice)
    form = spec.metadata["form"]
    return choices or (_FORMS.get(form, form) if form else _KINDS[kind]) + _bounds(spec)


def _bounds(spec: dataclasses.Field[Any]) -> str:
    low, high = spec.metadata["at_least"], spec.metadata["at_most"]
    said = [f"at least {low:g}"] if low is not None else []
    said += [f"at most {high:g}"] if high is not None else []
    return ", " + ", ".join(said) if said else ""


def _else(spec: dataclasses.Field[Any]) -> str:
    if is_required(spec):
        return "**required**"
    if dataclasses.is_dataclass(spec.default):
        return "its defaults"
    if spec.default in (dataclasses.MISSING, None, "", ()):
        return "–"
    return f"`{shown(spec.default)}`"
