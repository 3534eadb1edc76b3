"""Which questions do bytes ask, and what is said of bytes that ask none?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.serving.questions import MalformedJson, QuestionDecoder, strict_json
from gonogo.types.errors import GonogoError, RequestRefused, TooMuch
from gonogo.types.package import Field

FIELDS = (
    Field(name="distance", type="number", needed=True),
    Field(name="hour", type="integer", needed=False),
    Field(name="is_late", type="boolean", needed=False),
    Field(name="tail number", type="text", needed=False),
    Field(name="decided_at", type="time", needed=True),
)
FULL = {"distance": 12.5, "hour": 7, "is_late": True, "tail number": "N1", "decided_at": "2026-03-01T09:30:00Z"}
DECODER = QuestionDecoder(FIELDS)
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def body(**changed: Any) -> bytes:
    return json.dumps({**FULL, **changed}).encode()


def refusal(data: bytes) -> GonogoError:
    with pytest.raises(RequestRefused) as caught:
        DECODER.decode(data)
    return caught.value


def test_a_full_row_is_a_tuple_in_the_order_of_the_fields():
    assert DECODER.decode(body()) == (12.5, 7, True, "N1", AT)


def test_the_order_of_the_keys_does_not_matter():
    assert DECODER.decode(json.dumps(dict(reversed(FULL.items()))).encode()) == (12.5, 7, True, "N1", AT)


def test_null_and_absent_are_the_same_where_a_field_is_not_needed():
    less = json.dumps({"distance": 1, "decided_at": FULL["decided_at"]}).encode()
    assert (
        DECODER.decode(less)
        == DECODER.decode(body(distance=1, hour=None, is_late=None, **{"tail number": None}))
        == (1.0, None, None, None, AT)
    )


def test_whole_numbers_are_taken_for_numbers_and_3_0_for_a_whole_number():
    assert DECODER.decode(body(distance=3, hour=3.0))[:2] == (3.0, 3)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"distance": "12.5"}, "distance"),
        ({"distance": True}, "distance"),
        ({"distance": None}, "distance"),
        ({"distance": 10**400}, "distance"),
        ({"hour": 2**63}, "hour"),
        ({"hour": 1.5}, "hour"),
        ({"hour": "7"}, "hour"),
        ({"is_late": 1}, "is_late"),
        ({"tail number": 1}, "tail number"),
        ({"tail number": {"deep": [1]}}, "tail number"),
        ({"decided_at": "2026-03-01T09:30:00"}, "decided_at"),
        ({"decided_at": "yesterday"}, "decided_at"),
        ({"decided_at": 1700000000}, "decided_at"),
        ({"decided_at": "0001-01-01T00:00:00+23:59"}, "decided_at"),
        ({"decided_at": "9999-12-31T23:59:59-23:59"}, "decided_at"),
        ({"distnce": 1}, "distnce"),
    ],
)
def test_a_refusal_names_the_field(changed, where):
    assert refusal(body(**changed)).where == where


def test_a_number_beyond_a_float_is_refused_under_its_name():
    assert refusal(body().replace(b"12.5", b"1e999")).where == "distance"
    with pytest.raises(MalformedJson):
        strict_json(b'{"a": [1e999]}', most_deep=8)


def test_a_missing_field_is_named():
    assert refusal(b'{"distance": 1}').where == "decided_at"


def test_an_unknown_field_is_refused_with_the_nearest_name():
    assert "is 'distance' meant?" in refusal(body(distnce=1)).message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"  ",
        b"{",
        b'{"distance": NaN}',
        b'{"distance": Infinity}',
        b'{"distance": ' + b"9" * 5000 + b"}",
        b'\xff{"distance": 1}',
        b'\xef\xbb\xbf{"distance": 1}',
        '{"distance": 1}'.encode("utf-16"),
        b'{"tail number": "\\ud800"}',
        b'{"distance": 1} {}',
        b'{"distance": 1,}',
        b'{"distance": 01}',
    ],
)
def test_bytes_that_are_no_json_are_malformed(data):
    assert isinstance(refusal(data), MalformedJson)


@pytest.mark.parametrize(
    "data", [b"1", b"null", b"[]", b'"text"', b"[1, 2]", b"{}", b'{"rows": 3}', b'{"rows": []}', b'{"rows": [], "x": 1}']
)
def test_json_of_another_shape_is_refused_but_not_malformed(data):
    assert not isinstance(refusal(data), MalformedJson)


def test_a_key_that_stands_twice_is_refused_wherever_it_stands():
    full = body()[1:-1]
    assert "twice" in str(refusal(b'{"distance": 1, ' + full + b"}"))
    assert "twice" in str(refusal(b'{"distance": 1, "distance": 1, "decided_at": "2026-03-01T09:30:00Z"}'))
    assert "twice" in str(refusal(b'{"rows": [{' + full + b"}, {" + full + b', "hour": 8}]}'))
    assert "twice" in str(refusal(b'{"tail number": "a\\"b", ' + full + b"}"))
    assert "twice" in str(refusal(b'{"hour": null, "distance": 1, "hour": null, "decided_at": "2026-03-01T09:30:00Z"}'))


def test_escaped_text_and_escaped_keys_are_read():
    assert DECODER.decode(body(**{"tail number": 'a"b\\ü'}))[3] == 'a"b\\ü'
    assert DECODER.decode(body().replace(b'"hour"', b'"ho\\u0075r"'))[1] == 7


def test_a_bad_row_of_a_batch_is_refused_alone():
    rows = [FULL, {**FULL, "hour": "x"}, 3, {**FULL, "extra": 1}, FULL]
    read = DECODER.decode(json.dumps({"rows": rows}).encode())
    assert [row if isinstance(row, tuple) else row.where for row in read] == [
        (12.5, 7, True, "N1", AT),
        "rows[1].hour",
        "rows[2]",
        "rows[3].extra",
        (12.5, 7, True, "N1", AT),
    ]


def test_a_time_that_no_calendar_holds_is_refused_in_its_row_alone():
    read = DECODER.decode(json.dumps({"rows": [FULL, {**FULL, "decided_at": "9999-12-31T23:59:59-23:59"}]}).encode())
    assert isinstance(read[0], tuple)
    assert read[1].where == "rows[1].decided_at"


def test_more_rows_than_the_limit_are_refused_whatever_they_hold():
    for row in (FULL, 3):
        with pytest.raises(TooMuch):
            DECODER.decode(json.dumps({"rows": [row] * 4}).encode(), most_rows=3)


def test_a_field_that_is_called_rows_can_be_asked():
    decoder = QuestionDecoder((Field(name="rows", type="integer", needed=True),))
    assert decoder.decode(b'{"rows": 3}') == (3,)
    assert decoder.decode(b'{"rows": [{"rows": 3}]}') == [(3,)]


def test_deep_nesting_is_refused_and_breaks_nothing():
    for data in (b"[" * 100_000, b'{"a":' * 100_000, b'{"rows":' + b"[" * 100_000):
        with pytest.raises((RequestRefused, TooMuch)):
            DECODER.decode(data)
    with pytest.raises(TooMuch):
        strict_json(b"[" * 9 + b"]" * 9, most_deep=8)
    assert strict_json(b"[" * 8 + b"]" * 8, most_deep=8) == [[[[[[[[]]]]]]]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.sampled_from(["2026-03-01T09:30:00Z", "2026-03-01T09:30:00+05:30", "2026-03-01T09:30:00", 3.0, 2**53 + 1]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)  # fmt: skip
PAIRS = st.lists(st.tuples(st.sampled_from([field.name for field in FIELDS]) | st.text(max_size=3), JSON), max_size=7)
GOOD = st.fixed_dictionaries(
    {"distance": st.integers(-9, 9) | st.floats(-1e9, 1e9), "decided_at": st.just("2026-03-01T09:30:00Z")},
    optional={
        "hour": st.integers(-(2**63), 2**63 - 1) | st.none(),
        "is_late": st.booleans() | st.none(),
        "tail number": st.text() | st.none(),
    },
)


def _said(read: Any) -> Any:
    try:
        return read()
    except (RequestRefused, TooMuch) as refused:
        return type(refused), refused.message, refused.where


@settings(max_examples=400, deadline=None)
@given(pairs=PAIRS | GOOD.map(lambda row: list(row.items())), escaped=st.booleans())
def test_the_quick_way_and_the_slow_way_say_the_same_of_any_object(pairs, escaped):
    data = (
        "{" + ", ".join(f"{json.dumps(k, ensure_ascii=escaped)}: {json.dumps(v, ensure_ascii=escaped)}" for k, v in pairs) + "}"
    ).encode()
    assert _said(lambda: DECODER.decode(data)) == _said(lambda: DECODER._decode_slowly(data, 1000))


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(GOOD | PAIRS.map(dict), max_size=4), escaped=st.booleans())
def test_the_quick_way_and_the_slow_way_say_the_same_of_any_batch(rows, escaped):
    data = json.dumps({"rows": rows}, ensure_ascii=escaped).encode()

    def told(read):
        said = _said(read)
        return [row if isinstance(row, tuple) else str(row) for row in said] if isinstance(said, list) else said

    assert told(lambda: DECODER.decode(data)) == told(lambda: DECODER._decode_slowly(data, 1000))


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=60) | st.binary(max_size=10).map(lambda junk: b'{"distance": 1' + junk + b"}"))
def test_any_bytes_are_either_a_question_or_refused(data):
    assert _said(lambda: DECODER.decode(data)) is not None
