"""What would a first contract for these files say? It is written once, and never over another."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gonogo.families.registry import find, installed
from gonogo.types.errors import FamilyUnknown, SourceUnreadable, StorageFailed, UsageError
from gonogo.types.toml import read_contract
from gonogo.types.toml_values import NAME
from gonogo.workflow.contract import CONTRACT_NAME

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from gonogo.types.protocols import Family
    from gonogo.workflow.first_look import Look


def init(folder: Path, data: Sequence[Path], *, name: str | None = None) -> Path:
    """The path of a new, commented contract.toml for these files; the first file lists the rows that are predicted.

    folder: made where it does not exist. name: of the problem; where it is not given, the folder's own.
    Raises UsageError where a contract is there already, no file is given or the name is none; SourceUnreadable or SourceEmpty for a
    file that cannot be read; StorageFailed where the folder cannot be written.
    """
    target = folder / CONTRACT_NAME
    if os.path.lexists(target):
        raise _there_already(target)
    if not data:
        raise UsageError("no data file is given.", expected="at least one file", next="gonogo init FOLDER --data FILE…")
    text = first_contract(folder, data, name=_problem_name(folder, name))
    read_contract(text, where=str(target))  # a first contract that is refused would be worse than none
    _write(target, text)
    return target


def first_contract(folder: Path, data: Sequence[Path], *, name: str) -> str:
    """The text of a first contract in that folder for these files. Writes nothing."""
    # The engine is loaded when it is needed, not by `import gonogo`.
    from gonogo.data.connection import open_connection
    from gonogo.workflow.first_look import look_at

    for path in data:
        if not path.is_file():
            raise SourceUnreadable(
                f"there is no file {path}", where=str(path), found="a folder" if path.is_dir() else "nothing", expected="a data file"
            )
    with open_connection() as connection:
        looks = [look_at(path, f"look_{position}", connection) for position, path in enumerate(data)]
        return _text(folder, looks, name, connection)


def _text(folder: Path, looks: Sequence[Look], name: str, connection: DuckDBPyConnection) -> str:
    from gonogo.workflow import first_choices as choices
    from gonogo.workflow.first_contract import First, contract_text
    from gonogo.workflow.first_look import copies, is_unique

    main, *rest = looks
    target, timing, entity = choices.choose_target(main), choices.choose_timing(main), choices.choose_entity(main)
    candidates = choices.key_candidates(main, timing, entity)
    return contract_text(
        First(
            name=name,
            read=_seen_from(folder, main.path),
            look=main,
            target=target,
            timing=timing,
            entity=entity,
            key=next((key for key in candidates if is_unique(main, key, connection)), ()),
            copies=copies(main, target.column, connection) if target else (),
            others=tuple((source, _seen_from(folder, look.path), look) for source, look in _named(rest, {name})),
            family=_family(),
        )
    )


def _family() -> Family:
    """The first installed family whose outcome is a single column; any other asks for more than a file tells."""
    families = [find(name) for name in installed()]
    fit = next((family for family in families if len(family.outcome_columns) == 1), None)
    if fit is None:
        raise FamilyUnknown(
            "no installed family predicts a single column",
            found=", ".join(family.name for family in families) or "none",
            expected="a family with one outcome column",
            next="install gonogo whole: pip install gonogo",
        )
    return fit


def _problem_name(folder: Path, name: str | None) -> str:
    if name is None:
        return _as_name(folder.resolve().name) or "model"
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name.", found=name, expected="a-z, 0-9, - and _, at most 100", next=f"--name {_as_name(name) or 'model'}"
        )
    return name


def _as_name(text: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "_", text.lower()).strip("_-")[:80]


def _named(looks: Sequence[Look], taken: set[str]) -> list[tuple[str, Look]]:
    """A name for each further file, after its own."""
    named: list[tuple[str, Look]] = []
    for position, look in enumerate(looks, start=2):
        name = _as_name(look.path.name.split(".")[0]) or f"source_{position}"
        named.append((f"{name}_{position}" if name in taken else name, look))
        taken.add(named[-1][0])
    return named


def _seen_from(folder: Path, path: Path) -> str:
    """The path as the contract writes it: from its own folder, so that both can be moved together."""
    from gonogo.workflow.first_look import glob_free

    return glob_free(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix())


def _write(target: Path, text: str) -> None:
    if target.parent.exists() and not target.parent.is_dir():
        raise UsageError(f"{target.parent} is a file.", found="a file", expected="a folder, or a path where one can be made")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8", newline="\n") as file:  # "x": whoever was quicker keeps his
            file.write(text)
    except FileExistsError:
        raise _there_already(target) from None
    except OSError as error:
        raise StorageFailed(
            f"{target} cannot be written.", found=error.strerror or str(error), expected="a folder that you may write", where=str(target)
        ) from error


def _there_already(target: Path) -> UsageError:
    return UsageError(
        f"{target} is there already, and is not written over.",
        found="a contract",
        expected="a folder without one",
        where=str(target),
        next="edit it, or give another folder",
    )
