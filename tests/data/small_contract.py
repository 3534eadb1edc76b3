"""A small contract: visits of people, each with an answer some time later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gonogo.data.connection import open_connection
from gonogo.data.sources import read_sources
from gonogo.types.contract import Contract, Cost, Decision, Feature, Gate, LearnerChoice, Outcome, Rows, Source, Split

VISITS = Source(read="visits.csv", known_at="asked_at")
ROWS = Rows(source="visits", key=("visit",), decided_at="asked_at", entities=("person",))
OUTCOME = Outcome(columns={"y": "answer"}, known_at="answered_at", window="1d")
SPLIT = Split(by="time", validate_from="2024-01-11T00:00:00Z", test_from="2024-01-16T00:00:00Z")


def contract(**changes: Any) -> Contract:
    said: dict[str, Any] = {
        "gonogo": 1,
        "name": "visits",
        "family": "tabular",
        "question": "Will this person say yes?",
        "unit": "person",
        "as_of": "2024-02-01T00:00:00Z",
        "select_by": "log_loss",
        "sources": {"visits": VISITS},
        "rows": ROWS,
        "outcome": OUTCOME,
        "features": {"age": Feature(sql="age", missing="native")},
        "split": SPLIT,
        "learners": (LearnerChoice(name="logistic_regression"),),
        "gates": (Gate(name="good", metric="log_loss", at_most=0.5),),
        "cost": Cost(false_positive_usd=1.0, false_negative_usd=1.0, machine_usd_per_hour=0.05),
        "decision": Decision(owner="us", reversible=True, assumptions=(), risks=(), fallback="no"),
    }
    return Contract(**(said | changes))


def visits(*, n: int = 20, replace: str = "") -> Any:
    """A connection that holds src_visits: visit i of n on 1 + i January 2024 at noon, answered an hour later, yes for odd i.

    replace: SQL of columns that differ, e.g. "NULL::TIMESTAMPTZ AS answered_at".
    """
    connection = open_connection()
    connection.execute(
        f"CREATE TABLE src_visits AS SELECT * {f'REPLACE ({replace})' if replace else ''} FROM (SELECT i AS visit, 'p' || i % 5 AS person, "
        f"20 + i % 7 AS age, timestamptz '2024-01-01 12:00:00+00' + to_days(i::INTEGER) AS asked_at, "
        f"timestamptz '2024-01-01 13:00:00+00' + to_days(i::INTEGER) AS answered_at, (i % 2)::INTEGER AS answer FROM range({n}) t(i))"
    )
    return connection


def read(folder: Path, name: str, content: bytes | None = None, **changes: Any) -> Any:
    """Reads one source from a file with this content (or one that is there); gives the connection and the pin."""
    if content is not None:
        (folder / name).write_bytes(content)
    connection = open_connection()
    source = Source(**({"read": name, "timeless": True} | changes))
    (pin,) = read_sources(contract(sources={"t": source}), folder=folder, connection=connection)
    return connection, pin


def rows_of(connection: Any, query: str = "SELECT * FROM src_t") -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def types_of(connection: Any) -> dict[str, str]:
    return {name: kind for name, kind, *_ in connection.execute("DESCRIBE src_t").fetchall()}
