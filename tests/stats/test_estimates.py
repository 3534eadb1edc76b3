import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, integer_dtypes, unsigned_integer_dtypes

from gonogo.stats.estimates import unit_codes


def _codes(unit):
    codes, n_units = unit_codes(unit, len(unit))
    return codes.tolist(), n_units


def _sorted_codes(unit):
    values, codes = np.unique(unit, return_inverse=True)
    return codes.tolist(), len(values)


@given(st.data(), st.one_of(integer_dtypes(), unsigned_integer_dtypes()), st.integers(0, 40), st.booleans())
def test_integer_units_are_numbered_in_their_sorted_order_whatever_their_range(data, dtype, n, near):
    unit = data.draw(arrays(dtype, n))
    if near:  # about the least, the most or 0, wherever a table of them could overflow
        info = np.iinfo(dtype)
        base = data.draw(st.sampled_from([int(info.min), int(info.max) - n, 0]))
        unit = np.array([base + data.draw(st.integers(0, n)) for _ in range(n)], dtype=dtype)
    assert _codes(unit) == _sorted_codes(unit)


def test_the_two_ends_of_a_small_type_do_not_overflow():
    unit = np.tile(np.array([127, -128, 0], dtype=np.int8), 40)
    assert _codes(unit) == _sorted_codes(unit)


@given(st.lists(st.text("abéZ ", max_size=3), max_size=30))
def test_text_is_numbered_alike_as_objects_and_as_an_array_of_text(names):
    assert _codes(np.array(names, dtype=object)) == _codes(np.array([f"_{name}" for name in names], dtype=np.str_))


@pytest.mark.parametrize(
    "unit",
    [
        np.array([1.0, np.nan]),
        np.array(["2025-01-01", "NaT"], dtype="M8[D]"),
        np.array(["a", None], dtype=object),
        np.array(["a", np.nan], dtype=object),
        np.array(["a", 1], dtype=object),
    ],
)
def test_a_unit_that_is_missing_or_of_another_kind_is_a_mistake(unit):
    with pytest.raises(ValueError, match=r"unit"):
        unit_codes(unit, 2)
