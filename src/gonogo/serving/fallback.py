"""What is answered when the model cannot?

The contract says it for each output: a number, the name of an input or of a field of the request, or a list of them in order of preference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gonogo.types.errors import UsageError


class Fallback:
    """The contract's answer without a model.

    >>> fallback = Fallback({"p": ["late_rate", 0.2]}, outputs=("p",), inputs=("late_rate",), fields=())
    >>> fallback.of((0.31,), ()), fallback.of((None,), ()), fallback.of(None, ())
    ((0.31,), (0.2,), (0.2,))
    """

    __slots__ = ("_choices", "is_stated")

    def __init__(self, stated: Mapping[str, Any], *, outputs: tuple[str, ...], inputs: tuple[str, ...], fields: tuple[str, ...]) -> None:
        """stated: `contract.serving.fallback`; nothing for an output is no fallback at all.

        Raises UsageError for a name that is neither an input nor a field: the fallback is no place for a surprise.
        """
        self.is_stated = bool(stated) and all(output in stated for output in outputs)
        self._choices = tuple(_choices(stated[output], inputs, fields) for output in outputs) if self.is_stated else ()

    def of(self, row: Sequence[Any] | None, question: Sequence[Any]) -> tuple[Any, ...] | None:
        """One value per output; None where there is no fallback, or none of its choices has a value.

        row: the values of the inputs; None where they could not be made.
        """
        if not self.is_stated:
            return None
        answer = tuple(_first(choices, row, question) for choices in self._choices)
        return None if None in answer else answer


# (0, place of an input, None), (1, place of a field, None) or (2, -1, the value itself)
_Choice = tuple[int, int, Any]


def _choices(stated: Any, inputs: tuple[str, ...], fields: tuple[str, ...]) -> tuple[_Choice, ...]:
    wanted = stated if isinstance(stated, list | tuple) else (stated,)
    choices: list[_Choice] = []
    for one in wanted:
        if not isinstance(one, str):
            choices.append((2, -1, float(one) if isinstance(one, int) and not isinstance(one, bool) else one))
        elif one in inputs:
            choices.append((0, inputs.index(one), None))
        elif one in fields:
            choices.append((1, fields.index(one), None))
        else:
            raise UsageError(
                f"the fallback names {one}, which is neither an input nor a field of the request",
                found=one,
                expected=", ".join((*inputs, *fields)),
                where="serving.fallback",
            )
    return tuple(choices)


def _first(choices: tuple[_Choice, ...], row: Sequence[Any] | None, question: Sequence[Any]) -> Any:
    for kind, place, value in choices:
        if kind == 0:
            value = None if row is None else row[place]
        elif kind == 1:
            value = question[place] if place < len(question) else None
        if value is not None and value == value and value not in (float("inf"), float("-inf")):
            return value
    return None
