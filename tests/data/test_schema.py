from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gonogo.data.connection import open_connection
from gonogo.data.profile import population_stability_index, stability_limit
from gonogo.data.schema import Checked, check_sources
from gonogo.types.contract import Check, Feature, Source
from gonogo.types.record import canonical
from gonogo.types.snapshot import Finding, Snapshot
from tests.data.small_contract import contract


def checked(columns: str, *, n: int = 100, last: Checked | None = None, features: Any = None, **source: Any) -> Checked:
    """Checks a source of n rows whose columns are SQL over i."""
    connection = open_connection()
    connection.execute(f"CREATE TABLE src_t AS SELECT {columns} FROM range({n}) r(i)")
    connection.execute("CREATE TABLE src_other AS SELECT 'k' || i AS k FROM range(50) r(i)")
    sources = {"t": Source(**({"read": "t.csv", "timeless": True} | source)), "other": Source(read="o.csv", timeless=True)}
    said = contract(sources=sources, **({"features": features} if features else {}))
    return check_sources(said, connection, last=None if last is None else snapshot(last))


def checked_file(values: list[float | None], folder: Path, check: Check) -> Checked:
    """Checks a Parquet file of one column x of floats, of two rows a group: the footer says nothing of NaN."""
    path = folder / "t.parquet"
    pq.write_table(pa.table({"x": pa.array(values, pa.float64())}), path, row_group_size=2)
    connection = open_connection()
    connection.execute(f"CREATE VIEW src_t AS SELECT * FROM read_parquet('{path}')")
    said = contract(sources={"t": Source(read="t.parquet", timeless=True, checks={"x": check})})
    return check_sources(said, connection)


def snapshot(before: Checked) -> Snapshot:
    """A last snapshot as it comes back from the ledger: through JSON."""
    return Snapshot(
        contract_part="sha256:0",
        as_of="2024-01-01T00:00:00Z",
        sources=(),
        inputs=(),
        keys=(),
        slices=(),
        tables={},
        dropped=(),
        findings=(),
        facts={"profile": json.loads(canonical(dict(before.profile)))},
    )


def of(found: Checked, check: str) -> list[Finding]:
    return [f for f in found.findings if f.check == check and f.where.startswith("sources.t")]


def status(found: Checked, check: str) -> str:
    (finding,) = of(found, check)
    return finding.status.value


@pytest.mark.parametrize(
    ("check", "name", "good", "bad", "evidence"),
    [
        (Check(type="integer"), "type", "i::INTEGER AS x", "i / 2 AS x", {"type": "DOUBLE"}),
        (Check(type="integer"), "type", "i::DECIMAL(9, 0) AS x", "i::DECIMAL(9, 1) AS x", {"type": "DECIMAL(9,1)"}),
        (Check(type="number"), "type", "i / 2 AS x", "i::VARCHAR AS x", {"type": "VARCHAR"}),
        (Check(type="text"), "type", "i::VARCHAR AS x", "i AS x", {"type": "BIGINT"}),
        (Check(type="boolean"), "type", "i > 5 AS x", "i AS x", {"type": "BIGINT"}),
        (Check(type="time"), "type", "timestamptz '2020-01-01 00:00:00+00' AS x", "timestamp '2020-01-01' AS x", {"type": "TIMESTAMP"}),
        (Check(at_least=0, at_most=99), "range", "i AS x", "i + 2 AS x", {"n": 2, "share": 0.02}),
        (Check(at_least=0), "range", "i AS x", "i - 1 AS x", {"n": 1}),
        (Check(at_most=99), "range", "i::DOUBLE AS x", "CASE WHEN i = 7 THEN 'nan'::DOUBLE ELSE i END AS x", {"n": 1}),
        (Check(null_rate_at_most=0.1), "null_rate", "CASE WHEN i >= 10 THEN i END AS x", "CASE WHEN i > 10 THEN i END AS x", {"n": 11}),
        (Check(one_of=("a", "b")), "one_of", "CASE WHEN i > 5 THEN 'a' WHEN i > 2 THEN 'b' END AS x", "'c' || i AS x", {"n": 100}),
        (Check(refers_to="other.k"), "refers_to", "'k' || i % 50 AS x", "'k' || i % 51 AS x", {"n": 1}),
        (Check(refers_to="t.y"), "refers_to", "i AS x, nullif(99 - i, 200) AS y", "i AS x, nullif(99 - i, 7) AS y", {"n": 1}),
        (Check(refers_to="t.y"), "refers_to", "i AS x, i::INTEGER AS y", "i AS x, (i + 1)::INTEGER AS y", {"n": 1}),
        (Check(refers_to="other.k", unmatched_at_most=0.5), "refers_to", "'k' || i AS x", "'k' || i + 1 AS x", {"n": 51}),
    ],
)
def test_a_declared_check_is_silent_on_good_data_and_open_on_bad(check: Check, name: str, good: str, bad: str, evidence: Any) -> None:
    assert status(checked(good, checks={"x": check}), name) == "clean"
    (fault,) = of(checked(bad, checks={"x": check}), name)
    assert fault.status.value == "open"
    assert fault.where == "sources.t.x"
    assert evidence.items() <= fault.evidence.items()


def test_a_range_names_the_row_that_breaks_it() -> None:
    found = checked("i AS x, 'row' || i AS id", unique=("id",), checks={"x": Check(at_most=97)})
    (fault,) = of(found, "range")
    assert fault.evidence["example"] == {"x": "98", "id": "row98"}


def test_a_check_of_a_column_that_is_not_there_is_open_not_skipped() -> None:
    assert status(checked("i AS x", checks={"y": Check(type="integer")}), "column_there") == "open"


def test_a_reference_to_nothing_is_open() -> None:
    assert status(checked("i AS x", checks={"x": Check(refers_to="nowhere.k")}), "refers_to") == "open"


def test_a_range_of_text_is_open() -> None:
    assert status(checked("'a' AS x", checks={"x": Check(at_least=0)}), "range") == "open"


def test_declared_uniqueness_is_checked_over_all_columns_together() -> None:
    columns = "i // 10 AS a, i % 10 AS b"
    assert status(checked(columns, unique=("a", "b")), "unique") == "clean"
    (fault,) = of(checked(columns, unique=("a",)), "unique")
    assert (fault.status.value, fault.evidence["n"]) == ("open", 10)


@pytest.mark.parametrize("x", ["{i}", "99 - {i}", "hash({i})", "'a' || {i}", "{i} / 2", "nullif({i}, 7)", "make_timestamptz({i})"])
def test_one_value_twice_is_found_in_whatever_order_and_type(x: str) -> None:
    assert status(checked(f"{x.format(i='i')} AS x", unique=("x",)), "unique") == "clean"
    (fault,) = of(checked(f"{x.format(i='(i - (i > 70)::BIGINT)')} AS x", unique=("x",)), "unique")
    assert (fault.status.value, fault.evidence["n"]) == ("open", 1)


def test_a_constant_column_is_a_note_and_nulls_beside_it_change_nothing() -> None:
    assert status(checked("i AS x, i % 2 AS y"), "constant") == "clean"
    (fault,) = of(checked("i AS x, CASE WHEN i > 5 THEN 1 END AS y"), "constant")
    assert (fault.status.value, fault.where) == ("note", "sources.t.y")


def test_an_all_null_column_is_open_where_the_contract_uses_it() -> None:
    columns = "i AS x, NULL::INTEGER AS y"
    assert status(checked(columns), "all_null") == "note"
    assert status(checked(columns, features={"f": Feature(sql="x + y", missing="native")}), "all_null") == "open"


@pytest.mark.parametrize(("name", "sql"), [('"air time"', '"air time" + 1'), ('"Air_Time"', "AIR_time + 1"), ('"a""b c"', '"a""b c"')])
def test_a_column_is_used_in_whatever_case_and_quotes_the_contract_names_it(name: str, sql: str) -> None:
    used = {"f": Feature(sql=sql, missing="native")}
    assert status(checked(f"i AS x, NULL::DOUBLE AS {name}", features=used), "all_null") == "open"
    assert status(checked(f"i AS x, 'nan'::DOUBLE AS {name}", features=used), "finite") == "open"


def test_numbers_that_are_none_are_told() -> None:
    assert status(checked("i::DOUBLE AS x"), "finite") == "clean"
    (fault,) = of(checked("CASE WHEN i < 3 THEN 'nan'::DOUBLE WHEN i = 3 THEN '-inf'::DOUBLE ELSE i END AS x"), "finite")
    assert fault.evidence["n"] == 4


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("values", "n_outside", "n_not_finite", "constant"),
    [
        ([1.0, 2.0, None, 3.0], 0, 0, False),
        ([5.0, 5.0, None, 5.0], 0, 0, True),
        ([5.0, NAN, None, 5.0], 1, 1, False),  # a footer shows 5 to 5
        ([NAN, NAN, None, NAN], 3, 3, True),
        ([1.0, INF, 2.0, 3.0], 0, 1, False),  # at least 0, and no most
        ([1.0, INF, -INF, NAN], 2, 3, False),  # sums to no number, whatever the order
        ([1e308, 1e308, 1e308, 2.0], 0, 0, False),  # finite, but not their sum
        ([-1.0, 2.0, 3.0, 4.0], 1, 0, False),
    ],
)
def test_numbers_of_a_parquet_file_are_read_and_not_believed(
    values: list[float | None], n_outside: int, n_not_finite: int, constant: bool, tmp_path: Path
) -> None:
    found = checked_file(values, tmp_path, Check(at_least=0))
    for name, n in (("range", n_outside), ("finite", n_not_finite)):
        (finding,) = of(found, name)
        assert (finding.status.value == "clean", finding.evidence.get("n", 0)) == (n == 0, n)
    assert status(found, "constant") == ("note" if constant else "clean")


@pytest.mark.parametrize("check", [Check(at_least=0), Check(at_least=0, at_most=9), Check(one_of=("5.0",))])
def test_what_a_footer_is_silent_of_is_told_with_the_value(check: Check, tmp_path: Path) -> None:
    (fault,) = of(checked_file([5.0, NAN, None, 5.0], tmp_path, check), "one_of" if check.one_of else "range")
    assert (fault.evidence["n"], fault.evidence["example"]) == (1, {"x": "nan"})


def test_text_that_is_nearly_always_a_number_is_open_unless_declared_text() -> None:
    columns = "CASE WHEN i = 7 THEN 'n/a' ELSE i::VARCHAR END AS x"
    (fault,) = of(checked(columns), "mixed_types")
    assert fault.status.value == "open"
    assert "'n/a'" in fault.sentence
    assert status(checked(columns, checks={"x": Check(type="text")}), "mixed_types") == "clean"
    assert status(checked("'k' || i AS x"), "mixed_types") == "clean"
    assert status(checked("lpad(i::VARCHAR, 5, '0') AS x"), "mixed_types") == "clean"


def test_the_first_snapshot_has_nothing_to_compare_with_and_says_so() -> None:
    assert status(checked("i AS x"), "shift") == "note"


MIXED = "i AS x, sin(i) AS y, 'c' || i % 7 AS c, i % 3 = 0 AS b, CASE WHEN i % 10 > 0 THEN i END AS n"


@pytest.mark.parametrize("n", [50, 1000, 20_000])
def test_the_same_data_and_another_draw_of_it_have_not_shifted(n: int) -> None:
    before = checked(MIXED, n=n)
    assert status(checked(MIXED, n=n, last=before), "shift") == "clean"
    others = "cos(i) AS y, 'c' || hash(i + 1) % 7 AS c, hash(i + 2) % 3 = 0 AS b, CASE WHEN hash(i) % 10 > 0 THEN i END AS n"
    assert status(checked(f"(hash(i) % {n})::BIGINT AS x, {others}", n=n, last=before), "shift") == "clean"


@pytest.mark.parametrize(
    ("column", "shifted"),
    [
        ("y", "sin(i) + 1 AS y"),
        ("c", "'c' || i % 2 AS c"),
        ("c", "'d' || i % 7 AS c"),
        ("b", "i % 3 > 0 AS b"),
        ("n", "CASE WHEN i % 10 > 5 THEN i END AS n"),
    ],
)
def test_a_shift_of_values_categories_or_nulls_is_open(column: str, shifted: str) -> None:
    before = checked(MIXED, n=1000)
    now = ", ".join(shifted if part.endswith(f" AS {column}") else part for part in MIXED.split(", "))
    (fault,) = of(checked(now, n=1000, last=before), "shift")
    assert (fault.where, fault.status.value) == (f"sources.t.{column}", "open")
    assert fault.evidence["psi"] > 0.25


def test_few_rows_may_differ_by_chance() -> None:
    before = checked("i % 2 AS x", n=1000)
    assert status(checked("0::BIGINT AS x", n=1, last=before), "shift") == "clean"


def test_columns_that_went_or_changed_and_rows_that_are_missing_are_open() -> None:
    before = checked("i AS x, i AS y, i AS z")
    found = of(checked("i AS x, i::VARCHAR AS y", n=40, last=before), "shape_kept")
    assert [f.where for f in found] == ["sources.t.y", "sources.t.z", "sources.t.rows"]
    assert {f.status.value for f in found} == {"open"}


def test_a_profile_is_small_and_shows_no_value_of_a_text_column() -> None:
    found = checked("'secret' || i % 5 AS c, 'name' || i AS name", n=1000)
    text = canonical(dict(found.profile)).decode()
    assert "secret" not in text
    assert "name9" not in text
    assert len(text) < 1000


def test_findings_and_profile_repeat_for_any_number_of_threads() -> None:
    results = []
    for threads in (1, 2, 4):
        connection = open_connection(threads=threads)
        connection.execute(f"CREATE TABLE src_t AS SELECT {MIXED} FROM range(300000) r(i)")
        said = contract(sources={"t": Source(read="t.csv", timeless=True, checks={"x": Check(at_most=5)})})
        got = check_sources(said, connection)
        results.append(canonical({"findings": got.findings, "profile": dict(got.profile)}))
    assert len(set(results)) == 1


def test_the_stability_index_of_a_known_pair() -> None:
    # Two bins of 99 and 1 half counts more: p = (50/100), q = (75/100); (q-p) ln(q/p) summed = 0.25 ln 1.5 + 0.25 ln 2
    assert population_stability_index([49, 49], [74, 24]) == pytest.approx((74.5 / 99 - 0.5) * __import__("math").log(74.5 / 24.5))


def test_the_limit_of_chance_is_exceeded_as_rarely_as_it_says() -> None:
    import numpy as np

    rng = np.random.default_rng(7)
    limit = stability_limit(2000, 500, bins=10, alpha=0.05)
    p = np.full(10, 0.1)
    trials = 2000
    over = sum(population_stability_index(rng.multinomial(2000, p), rng.multinomial(500, p)) > limit for _ in range(trials))
    assert 0.03 < over / trials < 0.07
