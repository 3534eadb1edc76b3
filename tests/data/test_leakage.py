from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gonogo.data.labels import label
from gonogo.data.leakage import CHECKS, NAMES, check_leakage
from gonogo.data.splits import split
from gonogo.types.contract import Feature, Source, Split
from gonogo.types.snapshot import Finding
from tests.data.small_contract import OUTCOME, ROWS, SPLIT, VISITS, contract, visits

EVENTS = "timestamptz '2024-01-01 00:00:00+00' + to_hours(i::INTEGER) AS sent_at, 'p' || i % 5 AS person"
CALLS = Source(read="calls.csv", event_time="sent_at", known_at="heard_at", sequence="sent_at")
LONG = {"as_of": "2026-01-01T00:00:00Z"}


def findings(
    columns: dict[str, tuple[str, ...]] | None = None, *, replace: str = "", n: int = 20, heard: str = "", **said: Any
) -> list[Finding]:
    """Labels, splits and checks the small world; heard: SQL of when each call was known."""
    connection = visits(n=n, replace=replace)
    sources = said.pop("sources", {"visits": VISITS})
    if heard:
        connection.execute(f"CREATE TABLE src_calls AS SELECT *, {heard} AS heard_at FROM (SELECT {EVENTS} FROM range(100) r(i))")
        sources = {**sources, "calls": CALLS}
    whole = contract(sources=sources, **said)
    label(whole, connection)
    split(whole, connection)
    return list(check_leakage(whole, columns if columns is not None else {"age": ("age",)}, connection))


def of(found: list[Finding], code: str) -> list[Finding]:
    return [finding for finding in found if finding.code == code]


def status(found: list[Finding], code: str) -> set[str]:
    return {finding.status.value for finding in of(found, code)}


def test_every_check_leaves_a_finding_and_a_clean_world_has_nothing_open() -> None:
    found = findings()
    assert {finding.code for finding in found} == set(CHECKS) == set(NAMES)
    assert not [finding for finding in found if finding.status.value in ("open", "skipped")]


def test_a_feature_that_reads_what_is_known_later_is_named_with_the_column_and_how_much_later() -> None:
    later = dataclasses.replace(VISITS, known_later={"answer": "answered_at"})
    features = {"hint": Feature(sql="answer + age", missing="native")}
    found = findings({"hint": ("answer", "age")}, sources={"visits": later}, features=features)
    (leak,) = of(found, "GNG-K001")
    assert (leak.status.value, leak.where) == ("open", "features.hint")
    assert "answer, which is known at answered_at: after decided_at in 20 of 20 rows (100.00%), typically 1.0 h later" in leak.sentence
    assert leak.evidence["median_us"] == 3_600_000_000


def test_a_key_of_a_window_feature_is_read_at_the_request_too() -> None:
    later = dataclasses.replace(VISITS, known_later={"person": "answered_at"})
    features = {"calls": Feature(source="calls", by=("person",), aggregates=("count",), missing="native")}
    found = findings({}, sources={"visits": later}, features=features, heard="sent_at + INTERVAL 5 MINUTES")
    assert status(found, "GNG-K001") == {"open"}


def test_a_column_known_in_time_or_not_read_is_no_leak() -> None:
    early = dataclasses.replace(VISITS, known_later={"age": "asked_at", "answer": "answered_at"})
    assert status(findings(sources={"visits": early}), "GNG-K001") == {"clean"}


def test_a_moment_of_decision_that_is_set_by_what_came_later_is_a_leak() -> None:
    later = dataclasses.replace(VISITS, known_later={"answered_at": "answered_at"})
    rows = dataclasses.replace(ROWS, decided_at="Answered_At - INTERVAL 30 MINUTES")
    (leak,) = of(findings(sources={"visits": later}, rows=rows), "GNG-K001")
    assert (leak.status.value, leak.where, leak.evidence["n"]) == ("open", "rows.decided_at", 20)
    assert "decided_at reads answered_at" in leak.sentence


def test_one_late_row_in_many_is_found() -> None:
    later = dataclasses.replace(VISITS, known_later={"age": "asked_at + to_minutes(CASE WHEN visit = 3 THEN 1 ELSE -1 END)"})
    (leak,) = of(findings(sources={"visits": later}), "GNG-K001")
    assert leak.evidence["n"] == 1


def test_a_value_of_which_nobody_knows_when_it_was_known_is_a_leak() -> None:
    never = dataclasses.replace(VISITS, known_later={"age": "CASE WHEN visit > 3 THEN asked_at END"})
    (leak,) = of(findings(sources={"visits": never}), "GNG-K001")
    assert (leak.status.value, leak.evidence["n"]) == ("open", 4)
    always = dataclasses.replace(VISITS, known_later={"age": "NULL::TIMESTAMPTZ"})
    (leak,) = of(findings(sources={"visits": always}), "GNG-K001")
    assert (leak.status.value, leak.evidence["n"]) == ("open", 20)


def test_rows_that_were_known_after_they_had_to_be_decided_are_open() -> None:
    rows = dataclasses.replace(ROWS, decided_at="asked_at - INTERVAL 1 HOUR")
    assert status(findings(rows=rows), "GNG-K002") == {"open"}
    assert status(findings(), "GNG-K002") == {"clean"}


def test_events_that_were_known_before_they_happened_are_open() -> None:
    features = {"calls": Feature(source="calls", by=("person",), aggregates=("count",), missing="native")}
    assert status(findings(features=features, heard="sent_at + INTERVAL 20 MINUTES"), "GNG-K003") == {"clean"}
    (leak,) = of(findings(features=features, heard="sent_at - INTERVAL 3 HOURS"), "GNG-K003")
    assert (leak.status.value, leak.where, leak.evidence["n"]) == ("open", "sources.calls", 100)
    assert "typically 3.0 h" in leak.sentence


def test_a_source_without_time_is_a_note_where_a_feature_reads_it() -> None:
    sources = {"visits": VISITS, "people": Source(read="p.csv", timeless=True)}
    assert status(findings(sources=sources), "GNG-K004") == {"clean"}
    features = {"person": Feature(source="people", by=("person",), aggregates=("last(born)",), missing="native")}
    assert status(findings(sources=sources, features=features), "GNG-K004") == {"note"}


def test_a_column_that_is_missing_where_the_outcome_is_gives_it_away() -> None:
    never = "CASE WHEN visit % 2 = 0 THEN answered_at END AS answered_at"
    written_with_the_outcome = f"{never}, CASE WHEN visit % 2 = 0 THEN age END AS age"
    written_before = f"{never}, CASE WHEN visit % 3 = 0 THEN age END AS age"
    assert status(findings(replace=written_with_the_outcome, n=24, **LONG), "GNG-K005") == {"open"}
    assert status(findings(replace=written_before, n=24, **LONG), "GNG-K005") == {"clean"}
    assert status(findings(replace=f"{never}, CASE WHEN visit % 4 <> 1 THEN age END AS age", n=24, **LONG), "GNG-K005") == {"note"}


def test_rows_that_stand_twice_in_two_tables_are_open() -> None:
    by_key = Split(by="stratified", shares=(0.5, 0.25, 0.25))
    twice = "visit // 2 AS age, timestamptz '2024-01-01 12:00:00+00' AS asked_at, timestamptz '2024-01-01 13:00:00+00' AS answered_at, "
    twice += "'p' || visit // 2 AS person, (visit // 2 % 2)::INTEGER AS answer"
    (leak,) = of(findings(replace=twice, n=60, split=by_key), "GNG-K006")
    assert leak.status.value == "open"
    assert leak.evidence["n"] == 30
    assert "visit = " in leak.sentence


def test_rows_that_stand_twice_in_one_table_are_a_note() -> None:
    twice = "age - age AS age, asked_at - to_days((visit % 2)::INTEGER) AS asked_at, "
    twice += "answered_at - to_days((visit % 2)::INTEGER) AS answered_at, "
    twice += "'p' || visit // 2 AS person, 1 AS answer"
    assert status(findings(replace=twice), "GNG-K006") == {"note"}


def test_entities_seen_in_training_are_a_note_by_time_and_open_where_they_were_to_be_kept_apart() -> None:
    (note,) = of(findings(), "GNG-K007")
    assert (note.status.value, note.evidence["share"]) == ("note", 1.0)
    by_person = Split(by="entity", column="person", shares=(0.4, 0.3, 0.3))
    replace = "'p' || visit AS person"
    assert status(findings(split=by_person, replace=replace, n=60, **LONG), "GNG-K007") == {"clean"}
    connection = visits(n=60, replace=replace)
    said = contract(split=by_person, **LONG)
    label(said, connection)
    split(said, connection)
    connection.execute("UPDATE rows SET person = 'p0'")  # what a broken split would leave
    assert status(list(check_leakage(said, {}, connection)), "GNG-K007") == {"open"}


def test_tables_that_overlap_in_time_are_open() -> None:
    connection = visits()
    label(contract(), connection)
    split(contract(), connection)
    connection.execute("UPDATE rows SET gng_table = 'train' WHERE visit = 12")
    found = list(check_leakage(contract(), {}, connection))
    assert status(found, "GNG-K008") == {"open"}
    assert "1.0 d" not in of(found, "GNG-K008")[0].sentence
    assert "train ends 2.0 d after validate begins" in of(found, "GNG-K008")[0].sentence


def test_an_embargo_shorter_than_the_outcomes_window_is_a_note() -> None:
    assert status(findings(), "GNG-K009") == {"note"}
    assert status(findings(split=dataclasses.replace(SPLIT, embargo="1d")), "GNG-K009") == {"clean"}


def test_outcomes_known_only_after_the_next_table_began_are_open() -> None:
    connection = visits()
    label(contract(), connection)
    split(contract(), connection)
    connection.execute("UPDATE rows SET gng_known_at = gng_known_at + 30 * 86400000000::BIGINT WHERE visit = 3")
    assert status(list(check_leakage(contract(), {}, connection)), "GNG-K009") == {"open"}


@pytest.mark.parametrize("by", ["entity", "group", "stratified"])
def test_timed_data_that_is_not_split_by_time_is_open(by: str) -> None:
    at_random = Split(by=by, column="" if by == "stratified" else "person", shares=(0.4, 0.3, 0.3))
    features = {"calls": Feature(source="calls", by=("person",), aggregates=("count",), missing="native")}
    replace = "'p' || visit AS person"
    timed = findings(split=at_random, replace=replace, n=60, features=features, heard="sent_at", **LONG)
    assert status(timed, "GNG-K010") == {"open"}
    (rows,) = of(findings(split=at_random, replace=replace, n=60, **LONG), "GNG-K010")
    assert (rows.status.value, rows.evidence["sources"]) == ("open", ["visits"])
    one_moment = f"{replace}, timestamptz '2024-01-01 12:00:00+00' AS asked_at, timestamptz '2024-01-01 13:00:00+00' AS answered_at"
    assert status(findings(split=at_random, replace=one_moment, n=60, **LONG), "GNG-K010") == {"note"}


def test_units_in_several_tables_are_a_note_by_time_and_open_otherwise() -> None:
    assert status(findings(), "GNG-K011") == {"note"}
    assert status(findings(replace="'p' || visit AS person"), "GNG-K011") == {"clean"}
    at_random = Split(by="stratified", shares=(0.4, 0.3, 0.3))
    assert status(findings(split=at_random, n=60, **LONG), "GNG-K011") == {"open"}


def test_an_outcome_that_was_known_before_the_decision_is_open() -> None:
    (leak,) = of(findings(outcome=dataclasses.replace(OUTCOME, known_at="asked_at - to_minutes(visit::INTEGER - 1)")), "GNG-K012")
    assert (leak.status.value, leak.evidence["n"]) == ("open", 19)
    assert "visit = 1" in leak.sentence


def test_rows_that_have_nothing_but_their_key_skip_the_look_for_duplicates() -> None:
    connection = visits()
    whole = contract()
    label(whole, connection)
    split(whole, connection)
    connection.execute("CREATE OR REPLACE TABLE src_visits AS SELECT visit FROM src_visits")
    assert status(list(check_leakage(whole, {}, connection)), "GNG-K006") == {"skipped"}


NEVER = "CASE WHEN visit % 2 = 1 THEN answered_at END AS answered_at"  # the last visit, of 20 January at noon, is answered at 13:00


@pytest.mark.parametrize(("as_of", "said"), [("2024-01-20T13:00:00Z", "clean"), ("2024-02-01T00:00:00Z", "clean")])
def test_negatives_whose_windows_the_data_saw_close_are_known(as_of: str, said: str) -> None:
    outcome = dataclasses.replace(OUTCOME, absent="negative", window="20h")
    assert status(findings(replace=NEVER, outcome=outcome, as_of=as_of), "GNG-K013") == {said}


def test_negatives_whose_windows_close_after_the_data_end_are_open() -> None:
    outcome = dataclasses.replace(OUTCOME, absent="negative", window="3d")
    (leak,) = of(findings(replace=NEVER, outcome=outcome, as_of="2024-02-01T00:00:00Z"), "GNG-K013")
    assert (leak.status.value, leak.where) == ("open", "as_of")
    assert leak.evidence == {"n": 1, "n_rows": 20, "heard_until": "2024-01-20T13:00:00Z"}
    assert status(findings(replace=NEVER, outcome=outcome, as_of="2024-01-20T13:00:00Z"), "GNG-K013") == {"clean"}
    censored = dataclasses.replace(outcome, absent="censored")
    assert status(findings(replace=NEVER, outcome=censored, as_of="2024-02-01T00:00:00Z"), "GNG-K013") == {"clean"}
