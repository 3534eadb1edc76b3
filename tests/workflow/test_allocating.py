"""Facts about when a policy is asked, and what becomes of its answer."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gonogo.cli.text_rollout import shares as shares_text
from gonogo.gates.rollout import entry_of
from gonogo.types.entry import Entry
from gonogo.types.errors import PolicyUnknown
from gonogo.types.verdict import Status
from gonogo.workflow.allocating import Allocating
from gonogo.workflow.policies import find
from gonogo.workflow.rollout import ShareMove, Situation
from tests.gates.rollout_worlds import CANARY, MOVES, judgement, plan, ruling, standing
from tests.gates.test_allocation import PLAN, periods_of, traffic

UP, DOWN = traffic((0.2, 0.01)), traffic((0.01, 0.2))
OPEN = judgement(PLAN, CANARY, ruling(Status.INCONCLUSIVE))


def test_at_the_end_of_a_period_the_share_moves_by_one_step() -> None:
    for lines, share in ((UP, 0.3), (DOWN, 0.1)):
        move, allotment = Allocating(PLAN).move(standing(PLAN), periods_of(lines), OPEN, ())
        assert (move.share, allotment.share, move.period) == (share, share, allotment.seen.period)
        assert allotment.version.startswith("gonogo ")
        assert move.why == allotment.sentence


def test_before_a_period_has_closed_nothing_moves() -> None:
    assert Allocating(PLAN).move(standing(PLAN), periods_of(UP[:100]), OPEN, ()) is None


def test_a_period_moves_the_share_once_and_a_controller_that_comes_back_says_the_same() -> None:
    moved = [Allocating(PLAN).move(standing(PLAN), periods_of(UP), OPEN, ()) for _ in range(2)]
    assert moved[0] == moved[1]
    kind, body = entry_of(moved[0][0], PLAN, standing(PLAN), epoch=8, judgement=OPEN, judgement_digest="j", allotment_digest="a")
    entry = Entry(seq=9, at=datetime(2026, 1, 1, tzinfo=UTC), by="c", kind=kind, body=body, parent="", hash="h")
    assert Allocating(PLAN).move(standing(PLAN, share=0.3), periods_of(UP), OPEN, (entry,)) is None


@pytest.mark.parametrize("status", [Status.ERROR, Status.MISSING])
def test_without_evidence_that_can_be_believed_the_policy_is_not_asked(status: Status) -> None:
    torn = judgement(PLAN, CANARY, ruling(), ruling(status, "hold", "(log)"))
    assert Allocating(PLAN).move(standing(PLAN), periods_of(DOWN), torn, ()) is None
    assert Allocating(PLAN).move(standing(PLAN, held="lunch"), periods_of(DOWN), OPEN, ()) is None
    assert Allocating(PLAN).move(standing(PLAN), periods_of(DOWN), None, ()) is None


def test_where_the_challenger_was_not_heard_in_the_last_period_the_share_stays() -> None:
    lines = UP.copy()
    lines["arm"][len(lines) // 4 :] = 0
    assert Allocating(PLAN).move(standing(PLAN), periods_of(lines), OPEN, ()) is None


def test_while_a_guardrail_speaks_for_harm_the_share_falls_and_does_not_rise() -> None:
    doubtful = judgement(PLAN, CANARY, replace(ruling(Status.INCONCLUSIVE), log10_e_harm=1.5))
    assert Allocating(PLAN).move(standing(PLAN), periods_of(UP), doubtful, ()) is None
    move, _ = Allocating(PLAN).move(standing(PLAN), periods_of(DOWN), doubtful, ())
    assert move.share == 0.1


def test_a_policy_that_is_no_longer_installed_is_named() -> None:
    gone = plan(method="adaptive", allocation="gone", moves=MOVES)
    with pytest.raises(PolicyUnknown, match="gone"):
        Allocating(gone).move(standing(gone), periods_of(UP, gone), judgement(gone, CANARY, ruling(Status.INCONCLUSIVE)), ())


def test_a_policy_of_ones_own_is_a_function_and_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_policies.py").write_text("def cautious(seen):\n    return seen.share - 0.05\n")
    info = tmp_path / "my_policies-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-policies\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[gonogo.policies]\ncautious = my_policies:cautious\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert find("cautious").version == "my-policies 1.2"
        mine = plan(method="adaptive", allocation="cautious", moves=MOVES)
        found = judgement(mine, CANARY, ruling(Status.INCONCLUSIVE))
        move, allotment = Allocating(mine).move(standing(mine), periods_of(UP, mine), found, ())
        assert (move.share, allotment.policy) == (0.15, "cautious")
    finally:
        sys.modules.pop("my_policies", None)


def test_the_status_shows_the_course_of_the_share_and_why_it_stays() -> None:
    moves = tuple(
        ShareMove(at=f"2026-01-01T00:0{i}:00+00:00", share=s, because="allocation", why=f"why {s}") for i, s in enumerate((0.2, 0.3))
    )
    record = Situation(
        contract="c",
        champion=None,
        standing=standing(PLAN),
        plan=PLAN,
        judgement=None,
        alarms=(),
        workers=(),
        waits_for="",
        waits_since=None,
        shares=moves,
        frozen="on hold: x",
    )
    text = "\n".join(shares_text(record, PLAN))
    assert "20 % → 30 %" in text
    assert "why 0.3" in text
    assert "the share stays: on hold: x" in text
    assert shares_text(record, plan()) == []
