"""A key matches the key of the same value and no other, whatever its parts are made of."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.data.keys import ABSENT, KeyTable, key_class
from gonogo.types.errors import ColumnMistyped

NUMBERS = st.one_of(
    st.none(), st.integers(-3, 3), st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63 - 1]), st.integers(-(2**63), 2**63 - 1)
)
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "ab", "bc", "c", "1", "12"]), st.text(max_size=5))
KEYS = st.lists(st.tuples(NUMBERS, TEXTS, NUMBERS), max_size=30)


def columns(keys):
    kinds = (pa.int64(), pa.string(), pa.int64())
    return [pa.array([key[i] for key in keys], kind) for i, kind in enumerate(kinds)]


@settings(deadline=None)  # the first call loads the kernels
@given(KEYS, KEYS, st.integers(1, 3))
def test_two_rows_get_one_code_exactly_if_their_keys_are_equal_and_whole(ours, theirs, n_parts):
    ours, theirs = [key[:n_parts] for key in ours], [key[:n_parts] for key in theirs + ours]
    table = KeyTable([pa.chunked_array([column]) for column in columns(_filled(ours))[:n_parts]])
    code_of = {key: code for key, code in zip(ours, table.learnt.tolist(), strict=True) if None not in key}
    assert len(set(code_of.values())) == len(code_of) == table.n_keys
    assert [code for key, code in zip(ours, table.learnt.tolist(), strict=True) if None in key] == [ABSENT] * sum(None in k for k in ours)
    assert table.codes(columns(_filled(theirs))[:n_parts]).tolist() == [code_of.get(key, ABSENT) for key in theirs]


def _filled(keys):
    return [key + (None,) * (3 - len(key)) for key in keys]


def test_many_keys_far_apart_outgrow_the_first_table_and_are_all_found():
    numbers = np.random.default_rng(0).permutation(200_000) * 10**13
    table = KeyTable([pa.chunked_array([numbers])])
    assert table.n_keys == 200_000
    assert (table.codes([pa.array(numbers)]) == table.learnt).all()
    assert (table.codes([pa.array(numbers + 1)]) == ABSENT).all()


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0])
def test_the_ends_of_64_bits_are_keys_like_any_other(number):
    table = KeyTable([pa.chunked_array([[number, number]])])
    assert table.codes([pa.array([number, 1, -1, 2**63 - 2])]).tolist() == [0, ABSENT, ABSENT, ABSENT]


def test_keys_in_chunks_are_the_keys_in_one():
    text = ["x", None, "y", "x", "z"]
    one, two = KeyTable([pa.chunked_array([text])]), KeyTable([pa.chunked_array([text[:2], text[2:]])])
    assert one.learnt.tolist() == two.learnt.tolist()


def test_no_keys_at_all_are_a_table_that_knows_nothing():
    table = KeyTable([pa.chunked_array([], pa.int64()), pa.chunked_array([], pa.string())])
    assert table.codes([pa.array([1]), pa.array(["a"])]).tolist() == [ABSENT]


def test_the_upper_half_of_unsigned_numbers_is_no_class_with_negative_ones():
    assert key_class(pa.uint64()) != key_class(pa.int64()) == key_class(pa.uint32())


@pytest.mark.parametrize("kind", [pa.float64(), pa.decimal128(5, 2), pa.list_(pa.int64())])
def test_types_without_exact_equality_are_no_keys(kind):
    with pytest.raises(ColumnMistyped):
        key_class(kind)
