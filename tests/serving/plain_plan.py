"""A plan of plain columns, answered in a process that has nothing else: see test_features.py."""

from __future__ import annotations

from datetime import UTC, datetime

from gonogo.data.planning import Plan, RequestFeature
from gonogo.serving.features import Features
from gonogo.types.package import Field
from gonogo.types.snapshot import Input, Kind, Missing


def check() -> None:
    plan = Plan(
        boundary="before",
        row_source="rows",
        row_columns={"x": "DOUBLE"},
        requests=(RequestFeature(name="x", sql="x", held="floating", columns=("x",)),),
        streams=(),
        sources=(),
        inputs=(Input(name="x", kind=Kind.NUMBER, missing=Missing.NATIVE, feature="x"),),
    )
    fields = (Field(name="at", type="time", needed=True), Field(name="x", type="number", needed=True))
    read = Features(plan, fields=fields, decided_at="at - interval 1 hour").reader(("at", "x"))
    assert read((datetime(1970, 1, 1, 1, tzinfo=UTC), 2.5)) == ([2.5], "", 0)
