"""Facts about which step is legal."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from gonogo.gates.rollout import COMMANDS, NEXT, TURNS, Act, Move, Turn, allocate, begin, command, effective, entry_of, next_step
from gonogo.ledger.rollouts import Course
from gonogo.types.errors import ReleaseRefused
from gonogo.types.release import ENDS, Phase
from gonogo.types.verdict import Status
from tests.gates.rollout_worlds import (
    CANARY,
    EPOCH,
    FULL,
    HALF,
    MOVES,
    PROBATION,
    SHADOW,
    STAGES,
    judgement,
    plan,
    ruling,
    standing,
    with_stage,
)
from tests.ledger.worlds import entries_of

PLAN = plan()
UNDER_WAY = [phase for phase in Phase if phase not in ENDS]
STEPS = range(len(STAGES))


@pytest.mark.parametrize(("phase", "status"), list(itertools.product(Phase, Status)))
def test_only_a_pass_goes_forward_only_harm_goes_back_and_nothing_leads_out_of_an_end(phase: Phase, status: Status) -> None:
    if phase in ENDS:
        assert (phase, status) not in TURNS
        assert (phase, status) not in NEXT
        return
    turn = TURNS[phase, status]
    assert (turn is Turn.FORWARD) == (status is Status.PASS)
    assert (turn is Turn.BACK) == (status is Status.FAIL)
    order = list(Phase)
    if turn is Turn.FORWARD:
        assert order.index(NEXT[phase, status]) >= order.index(phase)
    else:
        assert NEXT[phase, status] is (Phase.ROLLED_BACK if turn is Turn.BACK else phase)


@pytest.mark.parametrize(("step", "status"), list(itertools.product(STEPS, Status)))
def test_each_stage_moves_as_the_table_says(step: int, status: Status) -> None:
    approved = standing(PLAN, step, approved=(HALF,))
    move = next_step(PLAN, approved, judgement(PLAN, step, ruling(status)))
    expected = {Turn.FORWARD: Act.RELEASE if step == FULL else Act.STEP, Turn.STAY: Act.STAY, Turn.BACK: Act.ROLLBACK}
    assert move.act is expected[TURNS[STAGES[step].phase, status]]
    if move.act is Act.STEP:
        following = STAGES[step + 1] if step < PROBATION else None
        assert (move.to, move.share) == ((following.phase, following.share) if following else (Phase.SETTLED, 1.0))


@pytest.mark.parametrize("phase", ENDS)
def test_what_has_ended_is_refused_every_step_and_command(phase: Phase) -> None:
    ended = standing(PLAN, PROBATION, phase=phase)
    with pytest.raises(ReleaseRefused, match="it has ended"):
        next_step(PLAN, ended, judgement(PLAN, PROBATION))
    for name in COMMANDS:
        with pytest.raises(ReleaseRefused):
            command(name, PLAN, ended, judgement(PLAN, PROBATION), why="x")


@pytest.mark.parametrize("step", STEPS)
def test_no_judgement_is_no_evidence(step: int) -> None:
    assert next_step(PLAN, standing(PLAN, step), None).act is Act.STAY


@pytest.mark.parametrize(
    "other",
    [
        {"plan": "sha256:other"},
        {"step": HALF},
        {"epoch": EPOCH - 1},
        {"epoch": EPOCH + 1},
        {"carried": ("a certificate that no entry names",)},
    ],
)
@pytest.mark.parametrize("status", [Status.PASS, Status.FAIL])
def test_evidence_of_another_plan_stage_or_route_moves_nothing_and_alarms(other: dict, status: Status) -> None:
    move = next_step(PLAN, standing(PLAN), replace(judgement(PLAN, CANARY, ruling(status)), **other))
    assert move.act is Act.STAY
    assert move.alarm


def test_a_judgement_that_claims_to_pass_without_its_rulings_does_not() -> None:
    assert effective(judgement(PLAN, CANARY, ruling(Status.MISSING), status=Status.PASS)) is Status.MISSING
    assert effective(judgement(PLAN, CANARY, ruling(Status.PASS), status=Status.ERROR)) is Status.ERROR
    only_checks = judgement(PLAN, CANARY, ruling(Status.PASS, action="hold", name="(traffic)"))
    assert effective(only_checks) is Status.MISSING
    assert next_step(PLAN, standing(PLAN), only_checks).act is Act.STAY


def test_the_bake_time_is_waited_for_and_a_person_may_waive_only_its_rest() -> None:
    young = judgement(PLAN, SHADOW, baked_us=1)
    assert next_step(PLAN, standing(PLAN, SHADOW), young).act is Act.STAY
    assert command("advance", PLAN, standing(PLAN, SHADOW), young, why="we are sure").act is Act.STEP
    for status in set(Status) - {Status.PASS}:
        with pytest.raises(ReleaseRefused):
            command("advance", PLAN, standing(PLAN, SHADOW), judgement(PLAN, SHADOW, ruling(status), baked_us=1), why="we are sure")
    with pytest.raises(ReleaseRefused):
        command("advance", PLAN, standing(PLAN, SHADOW), None, why="we are sure")


@pytest.mark.parametrize("held", ["", "a person says so"])
@pytest.mark.parametrize("waits", [False, True])
def test_harm_brings_back_what_is_held_and_what_waits_for_approval(held: str, waits: bool) -> None:
    now = standing(PLAN, CANARY, held=held, waits_for_approval=waits)
    assert next_step(PLAN, now, judgement(PLAN, CANARY, ruling(Status.FAIL), baked_us=0)).act is Act.ROLLBACK


def test_a_stage_that_must_be_approved_waits_until_it_is() -> None:
    assert next_step(PLAN, standing(PLAN), judgement(PLAN)).act is Act.WAIT
    order = command("approve", PLAN, standing(PLAN), None, why="seen")
    assert (order.act, order.step) == (Act.APPROVE, HALF)
    assert next_step(PLAN, standing(PLAN, approved=(HALF,)), judgement(PLAN)).act is Act.STEP
    with pytest.raises(ReleaseRefused, match="needs no approval"):
        command("approve", PLAN, standing(PLAN, HALF), None, why="seen")
    with pytest.raises(ReleaseRefused, match="a person must approve"):  # advance is no approval
        command("advance", PLAN, standing(PLAN), judgement(PLAN), why="hurry")


def test_a_hold_keeps_a_pass_back_until_it_is_resumed() -> None:
    assert next_step(PLAN, standing(PLAN, SHADOW, held="look"), judgement(PLAN, SHADOW)).act is Act.STAY
    with pytest.raises(ReleaseRefused):
        command("hold", PLAN, standing(PLAN, held="look"), None, why="again")
    with pytest.raises(ReleaseRefused, match="not on hold"):
        command("resume", PLAN, standing(PLAN), None, why="go on")
    assert command("hold", PLAN, standing(PLAN), None, why="look").act is Act.HOLD
    assert command("resume", PLAN, standing(PLAN, held="look"), None, why="go on").act is Act.RESUME


def test_a_failed_signal_holds_brings_nothing_back_and_is_accepted_by_resuming() -> None:
    found = judgement(PLAN, SHADOW, ruling(), ruling(Status.FAIL, "pause", "signal"), status=Status.INCONCLUSIVE)
    assert next_step(PLAN, standing(PLAN, SHADOW), found).act is Act.HOLD
    order = command("resume", PLAN, standing(PLAN, SHADOW, held="signal"), found, why="seen")
    assert order.accepts == ("signal",)
    assert next_step(PLAN, standing(PLAN, SHADOW, accepted=("signal",)), found).act is Act.STEP
    worse = judgement(PLAN, SHADOW, ruling(Status.MISSING), ruling(Status.FAIL, "pause", "signal"))
    assert next_step(PLAN, standing(PLAN, SHADOW, accepted=("signal",)), worse).act is Act.STAY


@pytest.mark.parametrize("phase", UNDER_WAY)
def test_a_person_may_abort_wherever_a_rollout_is_under_way(phase: Phase) -> None:
    now = standing(PLAN, [Phase.REGISTERED, *(s.phase for s in STAGES)].index(phase) - 1, phase=phase)
    assert command("abort", PLAN, now, None, why="stop").act is Act.ROLLBACK


def test_an_order_needs_a_reason_and_a_name_that_is_known() -> None:
    with pytest.raises(ReleaseRefused, match="reason"):
        command("abort", PLAN, standing(PLAN), None, why=" ")
    with pytest.raises(ReleaseRefused, match="no command"):
        command("skip", PLAN, standing(PLAN), None, why="x")
    with pytest.raises(ReleaseRefused, match="advance does nothing there"):  # the label window is not a bake time
        command("advance", PLAN, standing(PLAN, PROBATION), judgement(PLAN, PROBATION, baked_us=0), why="x")


@pytest.mark.parametrize("ready", list(Status))
def test_a_rollout_begins_only_once_both_models_are_proved(ready: Status) -> None:
    registered = standing(PLAN, -1)
    act = {Status.PASS: Act.STEP, Status.FAIL: Act.ROLLBACK}.get(ready, Act.STAY)
    assert begin(PLAN, registered, ready).act is act
    assert begin(PLAN, standing(PLAN, -1, held="x"), Status.PASS).act is Act.STAY
    with pytest.raises(ReleaseRefused):
        begin(PLAN, standing(PLAN), ready)


def test_a_plan_that_leaves_the_shadow_out_is_refused() -> None:
    bare = plan(stages=STAGES[1:])
    with pytest.raises(ReleaseRefused, match="goes on to canary"):
        begin(bare, standing(bare, -1), Status.PASS)


def test_every_move_is_an_entry_that_the_ledger_understands() -> None:
    the_plan = with_stage(PLAN, HALF, needs_approval=False)
    course, entries, epoch = Course("flights"), [], 0
    first = {"contract": "flights", "rollout": standing(the_plan).rollout, "verdict": "v", "champion": "old", "challenger": "new"}

    def heard(kind: str, body: dict) -> None:
        entries.append((kind, body))
        assert course.take(entries_of(*entries)[-1])

    heard("rollout_opened", first)
    heard(*entry_of(begin(the_plan, course.standing, Status.PASS), the_plan, course.standing, epoch=1))
    while course.standing.phase is not Phase.SETTLED:
        epoch = course.standing.epoch + 1
        found = judgement(the_plan, course.standing.step, epoch=course.standing.epoch)
        move = next_step(the_plan, course.standing, found)
        assert move.act in (Act.STEP, Act.RELEASE)
        heard(*entry_of(move, the_plan, course.standing, epoch=epoch, judgement=found, judgement_digest="j"))
        assert course.standing.certified == ("errors",)
    assert [kind for kind, _ in entries].count("release") == 1
    assert course.epoch == len(STAGES) + 1


@pytest.mark.parametrize(("act", "kind"), [(Act.HOLD, "rollout_held"), (Act.RESUME, "rollout_resumed"), (Act.APPROVE, "rollout_approved")])
def test_orders_are_entries_too_and_waiting_is_none(act: Act, kind: str) -> None:
    assert entry_of(Move(act=act, why="x", step=HALF), PLAN, standing(PLAN), epoch=9)[0] == kind
    for idle in (Act.STAY, Act.WAIT):
        with pytest.raises(ValueError, match="no entry"):
            entry_of(Move(act=idle, why="x"), PLAN, standing(PLAN), epoch=9)


def test_a_policy_moves_the_share_of_a_canary_alone() -> None:
    moved = plan(method="adaptive", moves=MOVES)
    move = allocate(moved, standing(moved), 0.3, why="thompson", period=4)
    assert (move.to, move.step, move.share) == (Phase.CANARY, CANARY, 0.3)
    for now, share in ((standing(moved, FULL), 0.3), (standing(moved), float("nan")), (standing(moved, held="x"), 0.3)):
        with pytest.raises(ReleaseRefused):
            allocate(moved, now, share, why="thompson")
    with pytest.raises(ReleaseRefused, match="adaptive"):
        allocate(PLAN, standing(PLAN), 0.3, why="thompson")


@pytest.mark.parametrize("share", [0.31, 0.09, 0.009, 0.61, 1.0])
def test_no_policy_leaves_the_bounds_of_the_plan(share: float) -> None:
    moved = plan(method="adaptive", moves=MOVES)
    with pytest.raises(ReleaseRefused):
        allocate(moved, standing(moved), share, why="thompson")


def test_a_policys_move_is_an_entry_that_names_its_period_and_carries_no_certificate() -> None:
    moved = plan(method="adaptive", moves=MOVES)
    move = allocate(moved, standing(moved), 0.3, why="thompson", period=4)
    kind, body = entry_of(move, moved, standing(moved), epoch=9, judgement=judgement(moved), judgement_digest="j", allotment_digest="a")
    assert kind == "rollout_step"
    told = {name: body[name] for name in ("because", "share", "period", "allotment", "judgement", "certified")}
    assert told == {"because": "allocation", "share": 0.3, "period": 4, "allotment": "a", "judgement": "j", "certified": []}


def test_all_traffic_waits_while_the_policy_gives_less_than_it_began_with_unless_a_person_says_otherwise() -> None:
    moved = plan(method="adaptive", moves=MOVES)
    below = standing(moved, HALF, share=0.3, approved=(FULL,))
    stayed = next_step(moved, below, judgement(moved, HALF))
    assert (stayed.act, "began with" in stayed.why) == (Act.STAY, True)
    assert next_step(moved, replace(below, share=0.5), judgement(moved, HALF)).to is Phase.FULL
    assert command("advance", moved, below, judgement(moved, HALF), why="I like it").to is Phase.FULL
    with pytest.raises(ReleaseRefused):
        command("advance", moved, below, judgement(moved, HALF, ruling(Status.INCONCLUSIVE)), why="I like it")
