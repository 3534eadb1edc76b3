from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.types.time import EPOCH, duration_us, moment_us, window_us


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("15s", 15), ("20m", 1200), ("3h", 10_800), ("7d", 604_800), ("2w", 1_209_600), (" 26 h ", 93_600)]
)
def test_a_duration_is_a_whole_number_of_microseconds(text, seconds):
    assert duration_us(text) == seconds * 1_000_000


def test_a_duration_may_be_as_short_as_a_microsecond():
    assert duration_us("1us") == 1
    assert duration_us("1ms") == 1000


@pytest.mark.parametrize("text", ["", "h", "3", "3 hours", "-3h", "1.5h", "3H", "1d12h", "all", "٣h", "9" * 400 + "s", "1001000d"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match=r"duration|thousand years"):
        duration_us(text)


def test_all_is_a_window_without_a_lower_end():
    assert window_us("all") is None
    assert window_us("1h") == 3_600_000_000


def test_one_moment_in_two_zones_is_the_same_number():
    assert moment_us("2014-01-01T00:00:00-05:00") == moment_us("2014-01-01T05:00:00Z") == 1_388_552_400_000_000


@pytest.mark.parametrize("text", ["2014-01-01", "2014-01-01T05:00:00", "2014-01-01 05:00"])
def test_a_naive_moment_is_refused_because_it_is_not_one_moment(text):
    with pytest.raises(ValueError, match="naive"):
        moment_us(text)


@pytest.mark.parametrize("text", ["", "yesterday", "2014-13-01T00:00:00Z", "1388552400"])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(ValueError, match="moment"):
        moment_us(text)


def test_a_nanosecond_is_refused_rather_than_cut_off():
    with pytest.raises(ValueError, match="microsecond"):
        moment_us("2014-01-01T00:00:00.0000001Z")


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_every_moment_comes_back_exactly(moment):
    micros = moment_us(moment.isoformat())
    assert micros == (moment - EPOCH).days * 86_400_000_000 + (moment - EPOCH).seconds * 1_000_000 + (moment - EPOCH).microseconds
