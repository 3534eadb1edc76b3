"""What a contract's SQL may say: one row alone, and the same on any day."""

from __future__ import annotations

import pytest

from gonogo.data.connection import open_connection
from gonogo.data.sql import check_expression, check_select
from gonogo.types.errors import SqlRefused


@pytest.mark.parametrize(
    "sql",
    [
        "now() - born",
        "age(born)",  # until today
        "date_part('year', Age(born))",
        "current_localtime()",
        "current_localtimestamp()",
        "pg_conf_load_time()",
        "ago(interval 1 day)",
        "CURRENT_DATE - born",
        "random()",
    ],
)
def test_what_another_day_would_answer_otherwise_is_refused(sql: str) -> None:
    with open_connection() as connection:
        with pytest.raises(SqlRefused, match=r"run to run|until today"):
            check_expression(sql, connection, where="f")
        with pytest.raises(SqlRefused, match=r"run to run|until today"):
            check_select(f"select {sql} as x from input", connection, where="s")


@pytest.mark.parametrize("sql", ["#1", "1 + #2", "$1", "?", "default", "unnest([a, b])", "generate_subscripts([a], 1)", "Sum(a)", "*"])
def test_what_is_no_value_of_named_columns_of_one_row_is_refused(sql: str) -> None:
    with open_connection() as connection, pytest.raises(SqlRefused):
        check_expression(sql, connection, where="f")


def test_two_given_times_have_an_age() -> None:
    with open_connection() as connection:
        assert check_expression("age(asked_at, born)", connection, where="f").columns == ("asked_at", "born")


def test_a_field_of_a_column_is_read_from_the_column() -> None:
    with open_connection() as connection:
        assert check_expression("visit.answer + visit.more.of_it", connection, where="f").columns == ("visit",)
