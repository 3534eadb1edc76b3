"""Facts about what an entry's hash covers."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.backends.protocols import Line
from gonogo.ledger.chain import check_hash, entry_of, hash_of, next_line
from gonogo.types.entry import GENESIS
from gonogo.types.errors import LedgerBroken
from gonogo.types.record import digest, to_json

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
BODIES = st.dictionaries(
    TEXT, st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT, st.lists)
)
MOMENT = datetime(2026, 3, 1, tzinfo=UTC)


@settings(max_examples=60, deadline=None)
@given(by=TEXT, kind=TEXT, body=BODIES)
def test_the_hash_is_the_digest_of_every_other_field(by: str, kind: str, body: dict[str, object]) -> None:
    line = next_line(None, at=MOMENT, by=by, kind=kind, body=body)
    said = to_json(entry_of(line))
    assert isinstance(said, dict)
    assert line.hash == said.pop("hash") == digest(said)


@settings(max_examples=60, deadline=None)
@given(by=TEXT, kind=TEXT, body=BODIES, other=TEXT)
def test_no_text_moves_from_one_field_to_another_without_another_hash(by: str, kind: str, body: dict[str, object], other: str) -> None:
    line = next_line(None, at=MOMENT, by=by, kind=kind, body=body)
    shifted = replace(line, by=f'{by}","kind":"{other}', kind=kind)
    assert hash_of(shifted) != line.hash
    assert hash_of(replace(line, body=f'{line.body},"by":"{other}"')) != line.hash


@pytest.mark.parametrize("name", [f.name for f in fields(Line)])
def test_a_change_of_any_field_is_found(name: str) -> None:
    line = next_line(None, at=MOMENT, by="ada", kind="note", body={"n": 1})
    changed = 2 if name == "seq" else getattr(line, name) + " "
    with pytest.raises(LedgerBroken, match="was edited"):
        check_hash(replace(line, **{name: changed}))
    check_hash(line)


def test_an_entry_keeps_its_moment_whatever_zone_the_clock_was_in() -> None:
    local = MOMENT.astimezone(timezone(timedelta(hours=-5)))
    here, there = (next_line(None, at=at, by="ada", kind="note", body={}) for at in (MOMENT, local))
    assert here == there
    assert entry_of(here).at == MOMENT
    assert here.parent == GENESIS


def test_a_naive_clock_and_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        next_line(None, at=datetime(2026, 3, 1), by="ada", kind="note", body={})
    with pytest.raises(ValueError, match="nan"):
        next_line(None, at=MOMENT, by="ada", kind="note", body={"auc": float("nan")})
