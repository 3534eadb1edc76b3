"""Is this hyper-parameter one that the learner can work with?"""

from __future__ import annotations

import math

from gonogo.types.errors import UsageError


def require_number(
    learner: str, name: str, value: object, *, above: float | None = None, at_least: float | None = None, at_most: float | None = None
) -> None:
    """Raises UsageError unless value is a finite number inside the limits."""
    limits = [f"above {above:g}"] if above is not None else []
    limits += [f"at least {at_least:g}"] if at_least is not None else []
    limits += [f"at most {at_most:g}"] if at_most is not None else []
    expected = " and ".join(["a number", *limits]) if limits else "a number"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refused(learner, name, value, expected)
    inside = (above is None or value > above) and (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    if not inside:
        raise _refused(learner, name, value, expected)


def require_count(learner: str, name: str, value: object, *, at_least: int, at_most: int | None = None) -> None:
    """Raises UsageError unless value is a whole number inside the limits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refused(learner, name, value, f"a whole number, at least {at_least}")
    require_number(learner, name, value, at_least=at_least, at_most=at_most)


def _refused(learner: str, name: str, value: object, expected: str) -> UsageError:
    return UsageError(
        f"'{name}' of {learner} cannot be {value!r}", found=repr(value), expected=expected, where=f"learners.{learner}.params.{name}"
    )


def require_names(learner: str, name: str, value: object) -> None:
    """Raises UsageError unless value is a list of names."""
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise _refused(learner, name, value, "a list of names of inputs")
