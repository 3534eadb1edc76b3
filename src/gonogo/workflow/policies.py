"""Which installed policy moves the share of an adaptive rollout?"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import entry_points

from gonogo.types.allocation import Policy
from gonogo.types.errors import PolicyUnknown

GROUP = "gonogo.policies"  # the entry-point group in which a package names its policies


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """A policy, and by which version of which distribution it came here."""

    name: str
    policy: Policy
    version: str


def find(name: str) -> Installed:
    """The installed policy of that name. Raises PolicyUnknown with the installed names."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        nearest = get_close_matches(name, points, n=1)
        raise PolicyUnknown(
            f"no installed policy of allocation is called '{name}'" + (f"; did you mean '{nearest[0]}'?" if nearest else ""),
            found=name,
            expected=", ".join(sorted(points)) or f"a package with an entry point in the group {GROUP}",
            where="rollout.allocation",
            next="write an installed name, or install the package that brings the policy",
        )
    point = points[name]
    dist = point.dist
    return Installed(name=name, policy=point.load(), version=f"{dist.name} {dist.version}" if dist is not None else "")


def installed() -> tuple[str, ...]:
    """The names of the installed policies, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))
