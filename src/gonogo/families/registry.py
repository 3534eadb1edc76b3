"""Which installed plugin knows such problems?"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from gonogo.types.errors import FamilyUnknown

if TYPE_CHECKING:
    from gonogo.types.protocols import Family

GROUP = "gonogo.families"  # the entry-point group in which a package names its families


def find(name: str) -> Family:
    """The installed family of that name. Raises FamilyUnknown with the installed names."""
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
    family: Family = points[name].load()
    return family


def installed() -> tuple[str, ...]:
    """The names of the installed families, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))
