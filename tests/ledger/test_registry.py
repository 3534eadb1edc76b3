"""Facts about who is live, who was, and what is waived."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.ledger.registry import champion, history, last, opened, waivers
from gonogo.types.errors import LedgerRefused
from tests.ledger.worlds import START, entries_of

Step = tuple[str, Mapping[str, Any]]


def release(candidate: str, contract: str = "flights") -> Step:
    return "release", {"contract": contract, "candidate": candidate, "verdict": f"verdict of {candidate}"}


def rollback(undone: str | None = None, contract: str = "flights") -> Step:
    return "rollback", {"contract": contract, "why": "alarms", **({"release": undone} if undone else {})}


def live(*steps: Step) -> str | None:
    return champion(entries_of(*steps), "flights")


def test_nobody_is_champion_before_the_first_release() -> None:
    assert live() is None
    assert live(("verdict", {"go": True})) is None


def test_the_last_release_is_champion() -> None:
    assert live(release("a")) == "a"
    assert live(release("a"), release("b")) == "b"


def test_a_rollback_brings_back_the_one_before() -> None:
    assert live(release("a"), release("b"), rollback()) == "a"
    assert live(release("a"), release("b"), rollback(), rollback()) is None
    assert live(release("a"), release("b"), rollback(), release("c")) == "c"
    assert live(release("a"), release("b"), rollback(), release("c"), rollback()) == "a"


def test_a_rollback_that_names_its_release_may_be_written_twice() -> None:
    assert live(release("a"), release("b"), rollback("hash-2"), rollback("hash-2")) == "a"


def test_a_rollback_of_an_earlier_release_leaves_the_champion() -> None:
    assert live(release("a"), release("b"), rollback("hash-1")) == "b"
    assert live(release("a"), release("b"), rollback("hash-1"), rollback("hash-2")) is None


def test_a_rollback_of_nothing_changes_nothing() -> None:
    assert live(rollback(), release("a")) == "a"
    assert live(release("a"), rollback("hash-9")) == "a"


def test_contracts_do_not_know_one_another() -> None:
    assert live(release("a"), release("b", "clicks"), rollback(contract="clicks")) == "a"
    assert champion(entries_of(release("a"), release("b", "clicks")), "clicks") == "b"


def test_history_tells_every_change_with_its_reason() -> None:
    steps = (release("a"), ("note", {}), release("b"), rollback("hash-9"), rollback(), rollback())
    reigns = history(entries_of(*steps), "flights")
    assert [(r.candidate, r.because, r.seq) for r in reigns] == [
        ("a", "release", 1),
        ("b", "release", 3),
        ("a", "rollback", 5),
        (None, "rollback", 6),
    ]
    assert [r.verdict for r in reigns] == ["verdict of a", "verdict of b", "verdict of a", None]
    assert [r.release for r in reigns] == ["hash-1", "hash-3", "hash-1", None]
    assert (reigns[2].why, reigns[2].by) == ("alarms", "ada@lab")
    assert reigns[0].since > START


@given(st.lists(st.sampled_from(["a", "b", "rollback"]), max_size=12))
def test_the_champion_is_the_top_of_a_stack_and_ends_the_history(steps: list[str]) -> None:
    entries = entries_of(*(rollback() if step == "rollback" else release(step) for step in steps))
    stack: list[str] = []
    for step in steps:
        if step != "rollback":
            stack.append(step)
        elif stack:
            stack.pop()
    assert champion(entries, "flights") == (stack[-1] if stack else None)


@pytest.mark.parametrize("missing", ["contract", "candidate", "verdict"])
def test_a_release_that_cannot_be_read_is_refused_not_passed_over(missing: str) -> None:
    kind, body = release("a")
    with pytest.raises(LedgerRefused, match=f"Entry 1, a release.*{missing}"):
        history(entries_of((kind, {k: v for k, v in body.items() if k != missing})), "flights")


def test_last_is_the_newest_entry_whose_body_matches() -> None:
    entries = entries_of(("snapshot", {"part": "p", "n": 1}), ("snapshot", {"part": "p", "n": 2}), ("snapshot", {"part": "q", "n": None}))
    for order in (entries, entries[::-1]):
        assert (last(order, "snapshot", part="p") or entries[2]).seq == 2
    assert last(entries, "snapshot", part="r") is None
    assert last(entries, "candidate") is None
    assert last(entries, "snapshot", absent=None) is None  # an absent key is no match for None
    assert last(entries, "snapshot", n=None) == entries[2]


def test_openings_of_the_test_table_are_counted_for_each_candidate() -> None:
    entries = entries_of(
        ("opened", {"candidate": "a"}), ("opened", {"candidate": "b"}), ("opened", {"candidate": "a"}), ("note", {"candidate": "a"})
    )
    assert [opened(entries, c) for c in "abc"] == [2, 1, 0]


WAIVER = {"code": "GNG-K003", "where": "features.air_time", "name": "Ada", "reason": "known by plan"}


def test_a_waiver_stands_until_it_is_withdrawn() -> None:
    standing = waivers(entries_of(("waiver", WAIVER), ("waiver", {**WAIVER, "until": "2026-06-01T00:00:00Z", "contract": "flights"})))
    assert next((w.hash, w.code, w.where, w.name, w.reason) for w in standing) == ("hash-1", *WAIVER.values())
    assert [w.until for w in standing] == [None, datetime(2026, 6, 1, tzinfo=UTC)]
    assert [w.contract for w in standing] == ["", "flights"]
    withdrawn = entries_of(("waiver", WAIVER), ("waiver", WAIVER), ("waiver_withdrawn", {"waiver": "hash-1"}))
    assert [w.hash for w in waivers(withdrawn)] == ["hash-2"]
    assert waivers([]) == ()


@pytest.mark.parametrize("change", [{"reason": ""}, {"name": None}, {"code": 3}, {"until": "soon"}, {"until": "2026-06-01T00:00:00"}])
def test_a_waiver_without_name_or_reason_or_with_an_unclear_end_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(LedgerRefused, match="Entry 1, a waiver"):
        waivers(entries_of(("waiver", {**WAIVER, **change})))
