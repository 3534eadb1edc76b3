"""How is a model of this family written, and read again without executing anything?

`model.json` is a record's canonical JSON with the model's kind and format; trees lie beside it as UBJ, a calibration as `calibration.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from gonogo.types.errors import ArtifactRefused
from gonogo.types.record import canonical, from_json

FORMAT = 1  # the version of these files
MODEL_FILE = "model.json"
R = TypeVar("R")


def write_record(folder: Path, file: str, kind: str, record: object) -> None:
    """Write the record; the same record gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(canonical({"format": FORMAT, "kind": kind, "record": record}))


def read_kind(folder: Path, file: str = MODEL_FILE) -> str:
    """Which kind of model lies in the folder. Raises ArtifactRefused for anything but a file of this format."""
    kind = _read(folder, file).get("kind")
    if not isinstance(kind, str):
        raise _refused(folder, file, found="no kind", expected="kind")
    return kind


def read_record(folder: Path, file: str, cls: type[R]) -> R:
    """The record that `write_record` wrote. Raises ArtifactRefused for another shape."""
    body = _read(folder, file).get("record")
    try:
        return from_json(cls, body)
    except ValueError as error:  # a value that an enumeration does not hold
        raise _refused(folder, file, found=str(error), expected=cls.__name__) from error


def _read(folder: Path, file: str) -> dict[str, object]:
    try:
        read = json.loads((folder / file).read_bytes())
    except (OSError, ValueError) as error:
        raise _refused(folder, file, found=type(error).__name__, expected="a readable JSON file") from error
    if not isinstance(read, dict) or read.get("format") != FORMAT:
        found = read.get("format") if isinstance(read, dict) else type(read).__name__
        raise _refused(folder, file, found=f"format {found}", expected=f"format {FORMAT}")
    return read


def _refused(folder: Path, file: str, *, found: str, expected: str) -> ArtifactRefused:
    return ArtifactRefused("this is no model that can be loaded", found=found, expected=expected, where=f"{folder.name}/{file}")
