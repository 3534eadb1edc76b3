"""Buckets follow from the values of keys alone, the same on every machine."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.data.buckets import bucket_of, bucket_order, buckets_for, key_hashes
from gonogo.types.errors import ColumnMistyped


def splitmix(x):
    """Steele, Lea & Flood (2014): the finaliser, in Python's own integers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
    return x ^ (x >> 31)


GOLDEN = 0x9E3779B97F4A7C15


@settings(deadline=None)  # the first call loads the kernels
@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(max_size=20)), min_size=1, max_size=20))
def test_the_hash_of_a_key_is_the_one_that_plain_integers_give(keys):
    hashes = key_hashes([pa.array([number for number, _ in keys], pa.int64()), pa.array([text for _, text in keys])])
    for (number, text), found in zip(keys, hashes.tolist(), strict=True):
        data = text.encode()
        state = len(data) * GOLDEN % 2**64
        for at in range(0, len(data), 8):
            state = splitmix(((state ^ int.from_bytes(data[at : at + 8], "little")) + GOLDEN) % 2**64)
        parts = [splitmix((number + GOLDEN) % 2**64), splitmix(state ^ 0xA5A5A5A5A5A5A5A5)]
        expected = 2
        for place, part in enumerate(parts, start=1):
            expected = splitmix(((expected ^ part) + place * GOLDEN) % 2**64)
        assert found == expected


def test_keys_that_look_alike_when_written_one_behind_the_other_differ():
    texts = key_hashes([pa.array(["ab", "a", "abc", "", None, "x"]), pa.array(["c", "bc", "", "abc", "x", None])])
    numbers = key_hashes([pa.array([1, 12, 123, 0]), pa.array([23, 3, 0, 123])])
    assert len(set(texts.tolist())) == 6
    assert len(set(numbers.tolist())) == 4
    assert key_hashes([pa.array([None], pa.string())]) != key_hashes([pa.array([""])])


@pytest.mark.parametrize("kind", [pa.int8(), pa.int32(), pa.uint32()])
def test_a_number_has_the_same_hash_in_any_width(kind):
    assert key_hashes([pa.array([7], kind)]) == key_hashes([pa.array([7], pa.int64())])


def test_text_has_the_same_hash_however_arrow_holds_it():
    text = pa.array(["no", "a", "longer text than eight bytes", None, ""])
    hashes = key_hashes([text.slice(1)]).tolist()
    assert hashes == key_hashes([text.dictionary_encode().slice(1)]).tolist()
    assert hashes == key_hashes([text.cast(pa.large_string()).slice(1)]).tolist()


def test_floats_are_no_keys():
    with pytest.raises(ColumnMistyped, match="no exact equality"):
        key_hashes([pa.array([1.0])])


def test_entities_spread_evenly_over_buckets():
    sizes = np.bincount(bucket_of(key_hashes([pa.array(range(64_000))]), 64), minlength=64)
    assert 850 < sizes.min() <= sizes.max() < 1150  # 1,000 expected each; 5 standard deviations are 158


def test_rows_of_a_bucket_keep_their_order():
    buckets = np.random.default_rng(0).integers(0, 8, 1000).astype(np.uint16)
    order, starts = bucket_order(buckets, 8)
    assert order.tolist() == np.argsort(buckets, kind="stable").tolist()
    assert starts.tolist() == [0, *np.cumsum(np.bincount(buckets, minlength=8)).tolist()]


@settings(deadline=None)  # the first call loads the kernels
@given(st.integers(0, 1 << 45), st.integers(1 << 20, 1 << 40))
def test_the_number_of_buckets_is_a_power_of_two_that_keeps_the_limit(n_bytes, limit):
    n = buckets_for(n_bytes, limit)
    assert n & (n - 1) == 0
    assert n == 4096 or n_bytes / n <= limit
