"""Facts about where a release stands, as the ledger tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.ledger.registry import champion
from gonogo.ledger.rollouts import FOLLOWS, Course, history, last_epoch, standing, void
from gonogo.types.errors import LedgerRefused
from gonogo.types.release import ENDS, Phase
from tests.ledger.worlds import entries_of

Step = tuple[str, Mapping[str, Any]]


def opened(rollout: str = "r", **more: Any) -> Step:
    return "rollout_opened", {
        "contract": "flights", "rollout": rollout, "verdict": "v", "champion": "old", "challenger": "new", **more,
    }  # fmt: skip


def step(origin: str, to: str, step: int, share: float, epoch: int, rollout: str = "r", **more: Any) -> Step:
    body = {"contract": "flights", "rollout": rollout, "from": origin, "to": to, "step": step, "share": share, "epoch": epoch}
    return "rollout_step", {**body, "because": "certificate", **more}


def said(kind: str, rollout: str = "r", **more: Any) -> Step:
    return kind, {"contract": "flights", "rollout": rollout, "why": "because", **more}


def release(rollout: str | None = "r", candidate: str = "new") -> Step:
    body = {"contract": "flights", "candidate": candidate, "verdict": "v", "why": "passed"}
    return "release", body if rollout is None else {**body, "rollout": rollout}


def rollback(**more: Any) -> Step:
    return "rollback", {"contract": "flights", "why": "alarms", **more}


SHADOW = step("registered", "shadow", 0, 0.0, 1)
CANARY = step("shadow", "canary", 1, 0.05, 2)
MORE = step("canary", "canary", 2, 0.5, 3)
FULL = step("canary", "full", 3, 1.0, 4)
SETTLED = step("probation", "settled", 5, 1.0, 6)
WAY = (opened(), SHADOW, CANARY, MORE, FULL, release(), SETTLED)


def at(*steps: Step):
    return standing(entries_of(*steps), "flights")


def live(*steps: Step) -> str | None:
    return champion(entries_of(*steps), "flights")


def test_there_is_no_standing_before_the_first_rollout() -> None:
    assert at() is None
    assert at(release(None)) is None


def test_each_step_leads_one_phase_further() -> None:
    phases = [at(*WAY[: n + 1]).phase.value for n in range(len(WAY))]
    assert phases == ["registered", "shadow", "canary", "canary", "full", "probation", "settled"]
    assert [at(*WAY[: n + 1]).share for n in range(len(WAY))] == [0, 0, 0.05, 0.5, 1, 1, 1]
    assert [at(*WAY[: n + 1]).epoch for n in range(len(WAY))] == [0, 1, 2, 3, 4, 5, 6]


def test_the_champion_changes_only_when_full_is_passed() -> None:
    before = (release(None, "old"),)
    assert [live(*before, *WAY[: n + 1]) for n in range(len(WAY))] == ["old"] * 5 + ["new"] * 2


@pytest.mark.parametrize("n", range(1, len(WAY) + 1))
def test_each_entry_may_be_written_twice(n: int) -> None:
    once, twice = WAY[:n], (*WAY[:n], WAY[n - 1])
    assert at(*once) == at(*twice)
    assert live(*once) == live(*twice)
    assert [entry.seq for entry in void(entries_of(*twice), "flights")] == [n + 1]


@pytest.mark.parametrize("n", range(1, len(WAY) + 1))
def test_a_rollback_wins_at_every_phase_and_nothing_that_comes_late_undoes_it(n: int) -> None:
    steps = (release(None, "old"), *WAY[:n], rollback(rollout="r"))
    now = at(*steps)
    assert (now.phase, now.share) == (Phase.ROLLED_BACK, 0.0)
    assert live(*steps) == "old"
    for late in (*WAY, rollback(rollout="r"), said("rollout_approved", step=2), said("rollout_held"), said("rollout_resumed")):
        assert at(*steps, late) == now
        assert live(*steps, late) == "old"


def test_a_rollback_raises_the_epoch_above_that_of_every_route_before() -> None:
    assert at(opened(), SHADOW, CANARY, rollback(rollout="r")).epoch == 3
    assert at(opened(), SHADOW, CANARY, rollback(rollout="r", epoch=9)).epoch == 9
    assert last_epoch(entries_of(opened(), SHADOW, CANARY, rollback(rollout="r")), "flights") == 3


def test_an_old_epoch_never_comes_back_not_even_in_a_later_rollout() -> None:
    steps = (opened(), SHADOW, CANARY, rollback(rollout="r"), opened("s"))
    late = step("registered", "shadow", 0, 0.0, 3, "s")
    assert at(*steps, late).phase is Phase.REGISTERED
    assert at(*steps, step("registered", "shadow", 0, 0.0, 4, "s")).phase is Phase.SHADOW


def test_two_rollouts_of_one_contract_are_never_under_way() -> None:
    assert at(opened(), SHADOW, opened("s")).rollout == "r"
    assert at(opened(), rollback(rollout="r"), opened("s")).rollout == "s"
    assert at(opened(), rollback(rollout="r"), opened("r")).phase is Phase.ROLLED_BACK  # what ended does not begin again


def test_another_contract_has_a_course_of_its_own() -> None:
    assert at(opened(), ("rollback", {"contract": "clicks", "why": "x"})).phase is Phase.REGISTERED
    assert standing(entries_of(opened()), "clicks") is None


@pytest.mark.parametrize(
    "wrong",
    [
        step("registered", "canary", 0, 0.05, 9),  # shadow is left out
        step("registered", "full", 0, 1.0, 9),
        step("registered", "shadow", 1, 0.0, 9),  # not the next stage
        step("registered", "shadow", 0, 0.1, 9),  # a shadow that answers
        step("shadow", "canary", 0, 0.05, 9),  # from where it does not stand
        step("registered", "shadow", 0, 0.0, 0),  # an epoch that does not rise
        step("registered", "shadow", 0, 0.0, 9, "other"),
        release(),  # before FULL
    ],
)
def test_a_step_that_is_not_in_the_table_changes_nothing(wrong: Step) -> None:
    assert at(opened(), wrong) == at(opened())


def test_a_share_never_falls_and_probation_begins_by_a_release_alone() -> None:
    here = (opened(), SHADOW, CANARY)
    assert at(*here, step("canary", "canary", 2, 0.01, 3)) == at(*here)
    assert at(*here, step("canary", "canary", 2, 1.0, 3)) == at(*here)
    full = (*here, MORE, FULL)
    assert at(*full, step("full", "probation", 4, 1.0, 9)) == at(*full)
    assert at(*full, release(candidate="somebody")) == at(*full)
    assert live(*full, release(candidate="somebody")) is None


def test_of_two_controllers_one_is_heard() -> None:
    twice = at(opened(), SHADOW, CANARY, step("shadow", "canary", 1, 0.05, 3), MORE)
    assert (twice.step, twice.epoch) == (2, 3)


def test_a_policy_moves_the_share_within_a_stage_both_ways() -> None:
    here = (opened(), SHADOW, CANARY)
    up = step("canary", "canary", 1, 0.2, 3, because="allocation")
    down = step("canary", "canary", 1, 0.02, 4, because="allocation")
    assert (at(*here, up).share, at(*here, up).step) == (0.2, 1)
    assert at(*here, up, down).share == 0.02
    assert at(opened(), SHADOW, step("shadow", "shadow", 0, 0.2, 3, because="allocation")).share == 0


def test_certificates_and_the_place_in_the_log_are_kept_from_step_to_step() -> None:
    now = at(opened(), SHADOW, step("shadow", "canary", 1, 0.05, 2, certified=["errors"], cut=70), said("rollout_held"))
    assert (now.certified, now.start, now.first_epoch) == (("errors",), 70, 1)


def test_a_hold_lasts_until_it_is_resumed_and_what_was_accepted_is_remembered() -> None:
    held = (opened(), SHADOW, said("rollout_held"))
    assert at(*held).held == "because"
    assert at(*held, said("rollout_resumed", accepts=["signal"])).held == ""
    assert at(*held, said("rollout_resumed", accepts=["signal"]), CANARY).accepted == ("signal",)
    assert at(opened(), said("rollout_resumed")) == at(opened())


def test_an_approval_is_waited_for_and_may_come_beforehand() -> None:
    waiting = (opened(), SHADOW, step("shadow", "canary", 1, 0.05, 2, approval_next=True))
    assert at(*waiting).waits_for_approval
    assert not at(*waiting, said("rollout_approved", step=2)).waits_for_approval
    assert at(*waiting, said("rollout_approved", step=3)).waits_for_approval
    early = (opened(), SHADOW, said("rollout_approved", step=2), step("shadow", "canary", 1, 0.05, 2, approval_next=True))
    assert not at(*early).waits_for_approval


def test_a_rollback_without_a_name_ends_the_rollout_and_undoes_the_last_release() -> None:
    steps = (release(None, "a"), release(None, "b"), opened(), SHADOW, CANARY, rollback())
    assert at(*steps).phase is Phase.ROLLED_BACK
    assert live(*steps) == "a"


def test_a_rollback_of_a_rollout_under_way_leaves_the_champion() -> None:
    assert live(release(None, "a"), opened(), SHADOW, CANARY, rollback(rollout="r")) == "a"


def test_undoing_the_release_beneath_a_rollout_ends_it_and_undoing_an_older_one_does_not() -> None:
    base = (release(None, "a"), release(None, "b"), opened(), SHADOW)
    assert at(*base, rollback(release="hash-2")).phase is Phase.ROLLED_BACK
    assert at(*base, rollback(release="hash-1")).phase is Phase.SHADOW
    assert at(*base, rollback(release="hash-77")).phase is Phase.SHADOW


def test_a_settled_release_is_brought_back_with_its_rollout() -> None:
    for last in (rollback(), rollback(rollout="r"), rollback(release="hash-7")):
        steps = (release(None, "old"), *WAY, last)
        assert at(*steps).phase is Phase.ROLLED_BACK
        assert live(*steps) == "old"


def test_a_rollback_during_promotion_voids_the_release_that_comes_after_it() -> None:
    steps = (release(None, "old"), opened(), SHADOW, CANARY, MORE, FULL, rollback(rollout="r"), release())
    assert live(*steps) == "old"


def test_history_tells_every_change_and_where_it_led() -> None:
    told = history(entries_of(*WAY, WAY[-1], ("note", {})), "flights")
    assert [one.entry.seq for one in told] == [1, 2, 3, 4, 5, 6, 7]
    assert told[-1].standing.phase is Phase.SETTLED


@pytest.mark.parametrize(
    ("kind", "body"),
    [(kind, name) for kind, names in {
        "rollout_opened": ("rollout", "verdict", "champion", "challenger"),
        "rollout_step": ("rollout", "from", "to", "step", "share", "epoch"),
        "rollout_held": ("rollout", "why"),
        "rollout_resumed": ("rollout",),
        "rollout_approved": ("rollout", "step"),
        "release": ("candidate", "verdict"),
    }.items() for name in names],
)  # fmt: skip
@pytest.mark.parametrize("bad", [None, -1, "", float("nan"), True, ["x"]])
def test_an_entry_that_cannot_be_read_is_refused_not_passed_over(kind: str, body: str, bad: object) -> None:
    whole = {one[0]: one[1] for one in (*WAY, said("rollout_held"), said("rollout_resumed"), said("rollout_approved", step=1))}[kind]
    with pytest.raises(LedgerRefused, match=f"a {kind}, does not say its '{body}'"):
        at(opened(), (kind, {**whole, body: bad}))


EVERYTHING = (
    *WAY, opened("s"), step("registered", "shadow", 0, 0.0, 7, "s"), step("shadow", "full", 1, 1.0, 8, "s"), release("s"),
    release(None, "other"), rollback(), rollback(rollout="r"), rollback(rollout="s"), rollback(release="hash-3"),
    said("rollout_held"), said("rollout_resumed"), said("rollout_approved", step=2),
    step("canary", "canary", 2, 0.2, 9, because="allocation"),
)  # fmt: skip


@given(st.lists(st.sampled_from(EVERYTHING), max_size=25))
def test_in_any_order_epochs_rise_ends_stay_and_only_legal_steps_are_taken(steps: list[Step]) -> None:
    course = Course("flights")
    for entry in entries_of(*steps):
        before, epoch = course.standing, course.epoch
        changed = course.take(entry)
        now = course.standing
        assert course.epoch >= epoch
        if now is None or before is None or not changed:
            assert changed or now == before
            continue
        if now.rollout != before.rollout:
            assert before.phase in ENDS
            assert now.phase is Phase.REGISTERED
        elif now.phase is not before.phase:
            assert now.phase is Phase.ROLLED_BACK or now.phase in FOLLOWS[before.phase]
            assert now.epoch > before.epoch
        if entry.kind == "rollback":
            assert all(one.hash != entry.body.get("release") for one in course.releases)
        assert before.phase is not Phase.ROLLED_BACK or now.rollout != before.rollout or now == before or entry.kind == "release"
