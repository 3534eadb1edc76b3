"""The real flights: the honest contract ends GO, and one with three leaks that people really make ends NO-GO and names each of them."""

from __future__ import annotations

import json
import shutil

import pytest

import gonogo

SHAPE = {"verdict", "status", "rulings", "findings", "digests", "rows", "page", "seconds"}
RULING = {"gate", "metric", "slice", "status", "value", "low", "high", "limit", "n_units", "sentence"}
DIGESTS = {"contract", "snapshot", "candidate", "evidence", "verdict"}
TABLES = {"train", "validate", "test", "dropped"}
STEPS = {"snapshot", "train", "measure", "decide", "page"}


@pytest.fixture
def own_copy(flights, tmp_path):
    return shutil.copytree(flights.folder, tmp_path / "flights")


def test_the_flights_are_go_with_exit_status_0(flights):
    assert (flights.status, flights.record["verdict"], flights.record["status"]) == (0, "go", "pass"), flights.err


def test_stdout_is_one_json_object_of_the_promised_shape_and_nothing_else(flights):
    record = json.loads(flights.out)
    assert flights.err == ""
    assert set(record) == SHAPE
    assert all(set(ruling) == RULING for ruling in record["rulings"])
    assert set(record["digests"]) >= DIGESTS
    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in record["digests"].values())
    assert set(record["rows"]) == TABLES
    assert set(record["seconds"]) == STEPS


def test_every_flight_of_the_year_is_accounted_for(flights):
    assert sum(flights.record["rows"].values()) == 336_776


def test_the_cancelled_flights_are_counted_on_the_page(own_copy):
    run = gonogo.run(own_copy)
    assert [n for reason, n in run.dropped.items() if "cancelled" in reason] == [8_255]
    assert "8,255" in run.page.read_text()


def test_every_gate_of_the_flights_and_every_airport_has_a_ruling(flights):
    rulings = flights.record["rulings"]
    assert {r["gate"] for r in rulings} == {gate.name for gate in _gates(flights)}
    assert {r["slice"] for r in rulings} >= {"origin=EWR", "origin=JFK", "origin=LGA"}


def _gates(flights):
    from gonogo.workflow.contract import read_contract_file

    return read_contract_file(flights.folder).gates


def test_the_flights_replay_to_the_same_bytes(flights, own_copy):
    verdict = flights.record["digests"]["verdict"]
    assert gonogo.replay(verdict, folder=own_copy).digest == verdict


def test_the_leaking_flights_are_no_go_with_exit_status_1_and_each_leak_is_named_with_its_reason(flights_leak):
    record = flights_leak.record
    (ruling,) = [r for r in record["rulings"] if r["metric"] == "open_findings"]
    assert (flights_leak.status, record["verdict"], ruling["status"]) == (1, "no-go", "fail"), flights_leak.err
    reasons = {(f["where"], f["code"]): f["sentence"] for f in record["findings"] if f["status"] == "open"}
    assert "known at landed_at: after decided_at" in reasons["features.air_time", "GNG-K001"]
    assert "known at landed_at: after decided_at" in reasons["features.arr_delay", "GNG-K001"]
    assert "before they happened" in reasons["sources.weather_at_departure", "GNG-K003"]
    for where in ("features.air_time", "features.arr_delay", "sources.weather_at_departure"):
        assert where in ruling["sentence"]
