from __future__ import annotations

import dataclasses

import pytest

from gonogo.data.labels import label
from gonogo.types.contract import Policy, Window
from gonogo.types.errors import ColumnMissing, ColumnMistyped, KeysRefused, OutcomeRefused, SqlRefused, TimeRefused
from tests.data.small_contract import OUTCOME, ROWS, contract, rows_of, visits


def outcome(**changes: object) -> object:
    return dataclasses.replace(OUTCOME, **changes)


def fates(connection: object) -> dict[int, str]:
    return dict(rows_of(connection, "SELECT visit, gng_fate FROM rows"))


def test_every_row_gets_its_moment_its_unit_its_outcome_and_its_fate() -> None:
    connection = visits(n=3)
    labelled = label(contract(), connection)
    assert labelled.n_rows == 3
    assert labelled.dropped == ()
    noon = 1_704_110_400_000_000
    day, hour = 86_400_000_000, 3_600_000_000
    got = rows_of(connection, "SELECT gng_row, visit, gng_decided_at, gng_known_at, gng_unit, gng_y_y, gng_fate FROM rows ORDER BY gng_row")
    assert got == [(i, i, noon + i * day, noon + hour + i * day, i, i % 2, "kept") for i in range(3)]


def test_rows_are_numbered_by_moment_then_key_whatever_their_order() -> None:
    two_a_day = "timestamptz '2024-01-01 12:00:00+00' + to_days((visit // 2)::INTEGER) AS asked_at"
    connection = visits(n=6, replace=two_a_day)
    connection.execute("CREATE OR REPLACE TABLE src_visits AS FROM src_visits ORDER BY hash(visit)")
    label(contract(), connection)
    assert [visit for (visit,) in rows_of(connection, "SELECT visit FROM rows ORDER BY gng_row")] == [0, 1, 2, 3, 4, 5]


def test_units_are_coded_densely_in_their_sorted_order() -> None:
    connection = visits(n=20)
    label(contract(), connection)
    assert rows_of(connection, "SELECT DISTINCT person, gng_unit FROM rows ORDER BY 1") == [(f"p{i}", i) for i in range(5)]


def test_a_row_whose_window_is_open_is_not_mature_though_its_outcome_came_early() -> None:
    connection = visits(n=20)
    # visit 10 was answered at 13:00 on the 11th; its window closes at noon on the 12th
    labelled = label(contract(as_of="2024-01-12T11:00:00Z"), connection)
    assert fates(connection)[9] == "kept"
    assert fates(connection)[10] == "label not mature"
    assert fates(connection)[11] == "decided after as_of"
    assert [(d.reason, d.n_rows) for d in labelled.dropped] == [("decided after as_of", 9), ("label not mature", 1)]


def test_an_immature_row_is_never_a_negative_and_the_naive_bias_is_told() -> None:
    connection = visits(n=10, replace="1 AS answer")
    labelled = label(contract(as_of="2024-01-10T12:30:00Z"), connection)
    assert rows_of(connection, "SELECT count(*) FROM rows WHERE gng_fate <> 'kept' AND gng_y_y IS NOT NULL") == [(0,)]
    facts = labelled.facts["outcomes"]["y"]
    assert facts["mature_rate"] == 1.0
    assert facts["naive_rate"] == 0.9  # the visit of the 10th was not answered yet: a naive label calls it a no
    assert facts["naive_bias"] == pytest.approx(-0.1)


def test_an_outcome_that_never_came_is_censored_or_negative_as_the_contract_says() -> None:
    never = "CASE WHEN visit < 4 THEN answered_at END AS answered_at"
    connection = visits(n=5, replace=never)
    label(contract(), connection)
    assert fates(connection)[4] == "no outcome in its window"
    connection = visits(n=5, replace=never)
    label(contract(outcome=outcome(absent="negative")), connection)
    close = rows_of(connection, "SELECT gng_y_y, gng_known_at - gng_decided_at FROM rows WHERE visit = 4")
    assert close == [(0, 86_400_000_000)]  # that nothing came is known when the window closes


def test_an_outcome_after_its_window_is_out_or_a_negative_and_counted() -> None:
    late = "CASE WHEN visit = 1 THEN asked_at + INTERVAL 3 DAYS ELSE answered_at END AS answered_at"
    connection = visits(n=5, replace=late)
    labelled = label(contract(), connection)
    assert fates(connection)[1] == "outcome after its window"
    assert labelled.facts["n_came_late"] == 1
    connection = visits(n=5, replace=late)
    labelled = label(contract(outcome=outcome(absent="negative")), connection)
    assert rows_of(connection, "SELECT gng_y_y FROM rows WHERE visit = 1") == [(0,)]
    assert labelled.facts["n_came_late"] == 1


def test_policies_drop_censor_or_set_and_the_first_that_fits_decides() -> None:
    policies = (
        Policy(name="cancelled", when="visit = 0", do="drop", why="."),
        Policy(name="disputed", when="visit <= 1", do="censor", why="."),
        Policy(name="fraud", when="visit = 2", do="positive", why="."),
        Policy(name="staff", when="visit = 3", do="negative", why="."),
    )
    connection = visits(n=5, replace="CASE WHEN visit < 2 OR visit > 3 THEN answered_at END AS answered_at, 1 AS answer")
    labelled = label(contract(outcome=outcome(policies=policies)), connection)
    assert fates(connection) == {0: "cancelled (policy)", 1: "disputed (policy)", 2: "kept", 3: "kept", 4: "kept"}
    assert rows_of(connection, "SELECT gng_y_y FROM rows ORDER BY visit") == [(None,), (None,), (1,), (0,), (1,)]
    assert {d.reason: d.n_rows for d in labelled.dropped} == {"cancelled (policy)": 1, "disputed (policy)": 1}


def test_excluded_windows_are_half_open_and_counted() -> None:
    outage = Window(start="2024-01-02T12:00:00Z", end="2024-01-04T12:00:00Z", why="outage")
    connection = visits(n=5)
    label(contract(outcome=outcome(excluded=(outage,))), connection)
    assert fates(connection) == {0: "kept", 1: "excluded window", 2: "excluded window", 3: "kept", 4: "kept"}


def test_kept_and_dropped_rows_add_up() -> None:
    connection = visits(n=20)
    labelled = label(contract(as_of="2024-01-12T11:00:00Z"), connection)
    assert labelled.facts["n_kept"] + sum(d.n_rows for d in labelled.dropped) == labelled.n_rows == 20


def test_duplicate_keys_are_refused_with_examples() -> None:
    with pytest.raises(KeysRefused, match="1 keys stand in 2 rows") as refused:
        label(contract(), visits(n=5, replace="greatest(visit, 1) AS visit"))
    assert refused.value.found == "1 (2 times)"


@pytest.mark.parametrize("column", ["visit", "person"])
def test_rows_without_a_key_or_a_unit_are_refused(column: str) -> None:
    with pytest.raises(KeysRefused, match=f"1 rows have no {column}"):
        label(contract(), visits(n=5, replace=f"CASE WHEN age <> 22 THEN {column} END AS {column}"))


def test_keys_that_concatenate_alike_stay_two() -> None:
    alike = "CASE WHEN visit = 0 THEN 'p1' ELSE 'p' END AS person, CASE WHEN visit = 0 THEN 23 ELSE 123 END AS age"
    connection = visits(n=2, replace=alike)
    labelled = label(contract(rows=dataclasses.replace(ROWS, key=("person", "age"))), connection)
    assert labelled.n_rows == 2


@pytest.mark.parametrize(("value", "word"), [("'nan'::DOUBLE", "not a number"), ("'inf'::DOUBLE", "infinite"), ("NULL", "null")])
def test_an_outcome_that_is_no_number_is_refused_with_its_count_and_a_key(value: str, word: str) -> None:
    connection = visits(n=5, replace=f"CASE WHEN visit IN (2, 3) THEN {value} ELSE answer::DOUBLE END AS answer")
    with pytest.raises(OutcomeRefused, match=f"2 rows is {word}") as refused:
        label(contract(), connection)
    assert "visit = 2" in refused.value.found


def test_a_decision_at_a_naive_time_is_refused_with_the_fix() -> None:
    with pytest.raises(TimeRefused, match="naive") as refused:
        label(contract(), visits(n=5, replace="asked_at::TIMESTAMP AS asked_at"))
    assert "timezone(" in refused.value.next


def test_a_decision_without_a_time_is_refused() -> None:
    with pytest.raises(TimeRefused, match="1 of 5 times in decided_at are null"):
        label(contract(), visits(n=5, replace="CASE WHEN visit > 0 THEN asked_at END AS asked_at"))


def test_data_without_any_mature_outcome_is_refused() -> None:
    with pytest.raises(OutcomeRefused, match="none of 5 rows"):
        label(contract(as_of="2024-01-01T00:00:00Z"), visits(n=5))


def test_sql_that_looks_beyond_its_row_is_refused() -> None:
    for sql in ("max(answer)", "(select max(answer) from input)", "answer + random()::int", "lag(answer) over (order by visit)"):
        with pytest.raises(SqlRefused):
            label(contract(outcome=outcome(columns={"y": sql})), visits(n=5))


def test_a_unit_that_is_no_column_is_refused() -> None:
    with pytest.raises(ColumnMissing, match="no column family"):
        label(contract(unit="family"), visits(n=5))


def test_outcomes_of_which_not_one_ever_came_are_all_negatives_where_the_contract_says_so() -> None:
    connection = visits(n=5, replace="NULL::TIMESTAMPTZ AS answered_at, NULL::INTEGER AS answer")
    facts = label(contract(outcome=outcome(absent="negative")), connection).facts
    assert rows_of(connection, "SELECT DISTINCT gng_y_y, gng_fate FROM rows") == [(0, "kept")]
    assert (facts["n_came_late"], facts["n_known_before_decision"]) == (0, 0)
    assert facts["outcomes"]["y"]["naive_rate"] == 0.0


def test_a_policy_asks_for_true_or_false() -> None:
    policy = Policy(name="odd", when="visit", do="drop", why="a number is no condition")
    with pytest.raises(ColumnMistyped, match="true or false"):
        label(contract(outcome=outcome(policies=(policy,))), visits())
