"""What is answered without a model."""

from __future__ import annotations

from typing import Any

import pytest

from gonogo.serving.fallback import Fallback
from gonogo.types.errors import UsageError


def fallback(stated: Any, outputs: tuple[str, ...] = ("p",)) -> Fallback:
    return Fallback(stated, outputs=outputs, inputs=("rate", "other"), fields=("id", "asked"))


@pytest.mark.parametrize(
    ("stated", "row", "expected"),
    [
        (0.25, None, (0.25,)),
        (1, None, (1.0,)),
        ("rate", (0.5, 1.0), (0.5,)),
        ("rate", (None, 1.0), None),
        ("rate", None, None),
        (["rate", "other"], (None, 0.75), (0.75,)),
        (["rate", "asked", 0.1], (None, None), (0.9,)),
        (["rate", 0.1], (float("nan"), None), (0.1,)),
        (["rate", 0.1], (float("inf"), None), (0.1,)),
        (("rate", 0.0), (0.0, None), (0.0,)),
    ],
)
def test_the_first_choice_that_has_a_value_answers(stated: Any, row: Any, expected: Any) -> None:
    assert fallback({"p": stated}).of(row, ("k", 0.9)) == expected


def test_an_answer_is_whole_or_there_is_none() -> None:
    assert fallback({"p": 0.5, "q": "rate"}, ("p", "q")).of((0.1, 0), ()) == (0.5, 0.1)
    assert fallback({"p": 0.5, "q": "rate"}, ("p", "q")).of((None, 0), ()) is None
    assert not fallback({"p": 0.5}, ("p", "q")).is_stated
    assert fallback({"p": 0.5}, ("p", "q")).of((1, 2), ()) is None
    assert fallback({}).of((1, 2), ()) is None


def test_a_name_that_nothing_has_is_refused_before_it_is_needed() -> None:
    with pytest.raises(UsageError, match="neither an input nor a field"):
        fallback({"p": ["rate", "rat"]})


def test_a_word_may_be_an_answer_s_input_but_text_in_a_field_is_no_number_to_the_fallback() -> None:
    assert fallback({"p": "id"}).of(None, ("k", 0.9)) == ("k",)
