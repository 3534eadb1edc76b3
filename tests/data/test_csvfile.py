"""Types of text that give every value back, or stay away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.small_contract import read


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (("1_23", "12_3"), "VARCHAR"),  # two ids, which as numbers without their _ would be one
        (("1_000", "2.5"), "VARCHAR"),
        (("1e400", "12.5"), "VARCHAR"),  # no infinity was written
        (("inf", "-Infinity", "12.5"), "DOUBLE"),
        (("nan", "12.5"), "DOUBLE"),
        (("1e5", "-12.5", "+3"), "DOUBLE"),
        (("2013-01-01 00:00:00 America/New_York", "2013-06-01 00:00:00 Asia/Tokyo"), "VARCHAR"),  # the zones would be lost
        (("2013-01-01 00:00:00", "2013-06-01T23:59:59.000001"), "TIMESTAMP"),
        (("2013-01-01 00:00:00 UTC", "2013-06-01 00:00:00Z"), "TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_a_column_gets_a_type_only_if_the_type_gives_back_each_value(values: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    lines = "".join(f"{value},{place}\n" for place, value in enumerate(values))
    connection, pin = read(tmp_path, "t.csv", b"a,b\n" + lines.encode())
    assert pin.columns["a"] == kind
    if kind == "VARCHAR":
        assert connection.execute("SELECT a FROM src_t ORDER BY b").fetchall() == [(value,) for value in values]


def test_lines_may_end_as_old_machines_end_them(tmp_path: Path) -> None:
    connection, pin = read(tmp_path, "t.csv", b"a,b\r1,x\r2,y\r")
    assert (pin.n_rows, dict(pin.columns)) == (2, {"a": "BIGINT", "b": "VARCHAR"})
    assert connection.execute("SELECT a FROM src_t ORDER BY a").fetchall() == [(1,), (2,)]
