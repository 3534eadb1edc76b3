"""Which installed plugin knows such problems?"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from gonogo.types.errors import FamilyUnknown

if TYPE_CHECKING:
    from gonogo.types.protocols import Family, Scorer

GROUP = "gonogo.families"  # the entry-point group in which a package names its families


def find(name: str) -> Family:
    """The installed family of that name. Raises FamilyUnknown with the installed names."""
    family: Family = _point(name).load()
    return family


def find_scorer(name: str) -> Callable[[Path], Scorer | None]:
    """How that family opens a saved model for single rows. Raises FamilyUnknown.

    A package that offers `open_scorer` beside its family is asked for that alone: a server then imports nothing that trains or measures.
    """
    point = _point(name)
    alone: Callable[[Path], Scorer | None] | None = getattr(import_module(point.module), "open_scorer", None)
    return alone or find(name).scorer or _none


def _none(folder: Path) -> None:
    """The family has no scorer of its own."""


def _point(name: str) -> EntryPoint:
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        nearest = get_close_matches(name, points, n=1)
        raise FamilyUnknown(
            f"no installed family is called '{name}'" + (f"; did you mean '{nearest[0]}'?" if nearest else ""),
            found=name,
            expected=", ".join(sorted(points)) or f"a package with an entry point in the group {GROUP}",
            where="family",
            next="write an installed name, or install the package that brings the family",
        )
    return points[name]


def installed() -> tuple[str, ...]:
    """The names of the installed families, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))
