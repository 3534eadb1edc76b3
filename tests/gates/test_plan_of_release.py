"""Facts about the plan of a release."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gonogo.gates.plan import harm_is_judged, judged, label, plan, spent
from gonogo.gates.rollout import begin
from gonogo.types.contract import Contract, Cost, Decision, Guardrail, LearnerChoice, Outcome, Rollout, Rows, Split
from gonogo.types.errors import ReleaseRefused
from gonogo.types.record import canonical, digest, from_bytes
from gonogo.types.release import Phase, Plan
from gonogo.types.verdict import Ruling, Status, Verdict
from tests.gates.rollout_worlds import standing

ERRORS = Guardrail(name="errors", metric="errors", ratio_at_most=2.0, rate_at_most=0.05)
LOSS = Guardrail(name="as good", metric="log_loss", at_most=0.05, range=(0.0, 4.0), slices=("carrier",))
SLOW = Guardrail(name="quick", metric="latency_p95", at_most=100.0)
SIGNAL = Guardrail(name="scores", metric="prediction", ratio_at_most=1.5, action="pause")


def contract(*guardrails: Guardrail, **rollout: Any) -> Contract:
    kept = {"bucket_by": "tailnum", **rollout}
    return Contract(
        gonogo=1,
        name="small",
        family="any",
        question="Will it?",
        unit="day",
        as_of="2024-01-01T00:00:00Z",
        select_by="log_loss",
        sources={},
        rows=Rows(source="events", key=("id",), decided_at="at"),
        outcome=Outcome(columns={"y": "y"}, known_at="at", window="1d"),
        features={},
        split=Split(by="time"),
        learners=(LearnerChoice(name="any"),),
        gates=(),
        cost=Cost(false_positive_usd=1, false_negative_usd=1, machine_usd_per_hour=1),
        decision=Decision(owner="we", reversible=True, assumptions=(), risks=(), fallback="none"),
        guardrails=guardrails or (ERRORS, LOSS, SLOW, SIGNAL),
        rollout=Rollout(**kept),
    )


def verdict(the_contract, status: Status = Status.PASS, candidate: str = "new") -> Verdict:
    ruling = Ruling(
        gate="g", metric="m", slice="", status=status, value=None, low=None, high=None, limit=None, n_units=0, measured_in="", sentence=""
    )
    return Verdict(
        contract=digest(the_contract), snapshot="s", candidate=candidate, evidence="e", measurements=None, waivers=(), rulings=(ruling,)
    )


def made(the_contract=None, **more: Any) -> Plan:
    the_contract = the_contract or contract()
    given: dict[str, Any] = {
        "contract_digest": digest(the_contract), "verdict_digest": "v", "champion": "old", "challenger": "new", "salt": "salt",
        "slices": ("carrier=UA", "carrier=DL", "dest=LAX"),
    }  # fmt: skip
    return plan(the_contract, verdict(the_contract), **{**given, **more})


def test_the_same_arguments_give_the_same_plan_and_it_is_read_back() -> None:
    assert canonical(made()) == canonical(made())
    assert from_bytes(Plan, canonical(made())) == made()


@pytest.mark.parametrize(
    ("method", "shares"),
    [("canary", [0, 0.01, 0.05, 0.25, 0.5, 1, 1]), ("blue_green", [0, 1, 1]), ("ab", [0, 0.01, 1, 1]), ("adaptive", [0, 0.01, 1, 1])],
)
def test_the_stages_follow_from_the_method(method: str, shares: list[float]) -> None:
    stages = made(contract(method=method, reward="errors")).stages
    assert [stage.share for stage in stages] == shares
    assert stages[0].phase is Phase.SHADOW
    assert [stage.phase for stage in stages][-2:] == [Phase.FULL, Phase.PROBATION]


def test_an_experiment_keeps_its_share_until_its_sample_is_reached() -> None:
    stage = made(contract(method="ab", shares=(0.5, 1.0)), sample=900).stages[1]
    assert (stage.share, stage.units) == (0.5, 900)


def test_stages_that_a_person_approves_are_marked() -> None:
    stages = made(contract(approve_at=(0.05, 1.0))).stages
    assert [stage.share for stage in stages if stage.needs_approval] == [0.05, 1.0]


def test_each_guardrail_is_watched_on_all_traffic_and_on_its_slices() -> None:
    the_plan = made()
    assert [label(one) for one in the_plan.watches] == [
        "errors", "as good", "as good [carrier=UA]", "as good [carrier=DL]", "quick", "scores",
    ]  # fmt: skip
    assert the_plan.slices == ("carrier=UA", "carrier=DL")
    assert [one.slice_bit for one in the_plan.watches] == [-1, -1, 0, 1, -1, -1]
    assert the_plan.losses == ("log_loss",)


@pytest.mark.parametrize("method", ["canary", "blue_green", "ab"])
@pytest.mark.parametrize("n_slices", [0, 1, 40, 100])
def test_the_error_budget_is_divided_and_never_exceeded(method: str, n_slices: int) -> None:
    the_plan = made(contract(method=method, alpha=0.05), slices=tuple(f"carrier={i}" for i in range(n_slices)))
    steps = range(len(the_plan.stages))
    assert spent(the_plan, max(steps)) == pytest.approx(0.05)
    assert [spent(the_plan, step) for step in steps] == sorted(spent(the_plan, step) for step in steps)
    harm = sum(
        the_plan.watches[i].alpha_harm
        for step in steps
        for i in judged(the_plan, step)
        if harm_is_judged(the_plan.watches[i], the_plan.stages[step].phase)
    )
    assert harm == pytest.approx(0.025)
    for i, one in enumerate(the_plan.watches):
        assert sum(one.alpha_certificate for step in steps if i in judged(the_plan, step)) <= 0.025 + 1e-12


def test_more_slices_than_a_frame_has_bits_are_not_watched() -> None:
    assert len(made(slices=tuple(f"carrier={i}" for i in range(100))).slices) == 62


def test_on_probation_losses_decide_or_else_what_was_watched_before() -> None:
    assert {made().watches[i].kind for i in judged(made(), len(made().stages) - 1)} == {"loss"}
    bare = made(contract(ERRORS, SLOW))
    assert {bare.watches[i].kind for i in judged(bare, len(bare.stages) - 1)} == {"count"}


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PASS])
def test_no_release_without_a_go(status: Status) -> None:
    the_contract = contract()
    with pytest.raises(ReleaseRefused, match="not GO"):
        plan(
            the_contract, verdict(the_contract, status), contract_digest=digest(the_contract), verdict_digest="v", champion="old",
            challenger="new", salt="s",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"challenger": "other"}, "another candidate"),
        ({"champion": "new"}, "is the champion already"),
        ({"contract_digest": "sha256:edited"}, "was changed after the verdict"),
        ({"salt": ""}, "salt of its own"),
    ],
)
def test_no_release_of_what_was_not_judged(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ReleaseRefused, match=said):
        made(**change)


@pytest.mark.parametrize(
    ("the_contract", "said"),
    [
        (replace(contract(), guardrails=()), "No guardrail brings a release back"),
        (contract(SIGNAL), "No guardrail brings a release back"),
        (contract(Guardrail(name="e", metric="errors")), "no margin that could be refuted"),
        (contract(Guardrail(name="e", metric="errors", rate_at_most=1.0)), "no margin that could be refuted"),
        (contract(replace(LOSS, at_most=4.0)), "no part of its range"),
        (contract(ERRORS, Guardrail(name="p", metric="latency_p95", ratio_at_most=2.0), method="blue_green"), "nobody is answered by both"),
        (contract(Guardrail(name="p", metric="latency_p95", ratio_at_most=2.0)), "can be judged in shadow"),
        (contract(method="ab", shares=(1.0,)), "needs a share below 1"),
    ],
)
def test_no_release_that_could_not_be_judged(the_contract: Any, said: str) -> None:
    with pytest.raises(ReleaseRefused, match=said):
        made(the_contract)


def test_without_a_column_to_bucket_by_each_decision_is_its_own_unit() -> None:
    bare = contract(bucket_by="")
    assert made(bare).bucket_by == bare.rows.key[0]


def test_a_plan_begins_with_the_shadow() -> None:
    move = begin(made(), standing(made(), -1), Status.PASS)
    assert (move.to, move.share) == (Phase.SHADOW, 0.0)
