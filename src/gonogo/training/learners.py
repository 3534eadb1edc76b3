"""Which learner does a line of the contract name, and does it take these parameters?"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from gonogo.types.errors import UsageError

if TYPE_CHECKING:
    from gonogo.types.contract import LearnerChoice
    from gonogo.types.protocols import Family, Learner


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A learner under the name that the contract gives it."""

    name: str
    learner: Learner


def make_learner(family: Family, choice: LearnerChoice, *, where: str) -> Named:
    """The learner with its parameters. Raises UsageError for a name or parameter that does not exist, with the nearest that does."""
    if choice.name not in family.learners:
        raise unknown("learner", choice.name, family.learners, where=where)
    build = family.learners[choice.name]
    known = tuple(inspect.signature(build).parameters)
    for name in choice.params:
        if name not in known:
            raise unknown(f"parameter of {choice.name}", name, known, where=f"{where}.params.{name}")
    return Named(name=choice.name, learner=build(**choice.params))


def unknown(kind: str, name: str, known: Iterable[str], *, where: str) -> UsageError:
    """The error that names the nearest known word."""
    names = sorted(known)
    nearest = get_close_matches(name, names, n=1, cutoff=0.5)
    return UsageError(
        f"there is no {kind} called '{name}'" + (f"; did you mean '{nearest[0]}'?" if nearest else ""),
        found=name,
        expected=", ".join(names) or "none",
        where=where,
        next=f"write {nearest[0]}" if nearest else "write one of the expected names",
    )
