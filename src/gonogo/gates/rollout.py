"""What may happen to a release next, given what the evidence of its stage says?

The table and nothing but the table: `TURNS[phase, status]` says whether a release goes forward, stays or comes back, `FOLLOWS` to which
phase. Pure: the same standing and the same judgement give the same move, for ever. Time alone moves nothing; what is not in the table is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from gonogo.ledger.rollouts import ALLOCATION, FOLLOWS
from gonogo.types.errors import ReleaseRefused
from gonogo.types.release import Phase
from gonogo.types.verdict import SEVERITY, Status, worst

if TYPE_CHECKING:
    from gonogo.types.record import Digest
    from gonogo.types.release import Judgement, Plan, Stage, Standing, WatchRuling

_SLACK = 1e-9  # of sums of thousandths, which a float does not hold exactly
ROLLBACK, PAUSE, HOLD = "rollback", "pause", "hold"  # what a ruling that is no pass can do; HOLD is of checks that blame nobody


class Turn(Enum):
    """Which way."""

    FORWARD = "forward"
    STAY = "stay"
    BACK = "back"


def _row(phase: Phase) -> dict[tuple[Phase, Status], Turn]:
    turns = {Status.PASS: Turn.FORWARD, Status.FAIL: Turn.BACK}
    return {(phase, status): turns.get(status, Turn.STAY) for status in Status}


# Every legal turn. A phase that has ended is not in it: nothing leads out of SETTLED or ROLLED_BACK.
TURNS: Mapping[tuple[Phase, Status], Turn] = {
    **_row(Phase.REGISTERED),  # PASS: every worker has loaded both models, and they answer their probes
    **_row(Phase.SHADOW),
    **_row(Phase.CANARY),
    **_row(Phase.FULL),
    **_row(Phase.PROBATION),
}
# The same for a release that goes by every phase: where it then stands.
NEXT: Mapping[tuple[Phase, Status], Phase] = {
    (phase, status): {Turn.FORWARD: FOLLOWS[phase][0], Turn.STAY: phase, Turn.BACK: Phase.ROLLED_BACK}[turn]
    for (phase, status), turn in TURNS.items()
}
# Command → where a person may give it. `advance` waits no longer for the rest of the bake time; it never stands in for evidence.
COMMANDS: Mapping[str, tuple[Phase, ...]] = {
    "hold": (Phase.REGISTERED, Phase.SHADOW, Phase.CANARY, Phase.FULL, Phase.PROBATION),
    "resume": (Phase.REGISTERED, Phase.SHADOW, Phase.CANARY, Phase.FULL, Phase.PROBATION),
    "advance": (Phase.SHADOW, Phase.CANARY, Phase.FULL),
    "approve": (Phase.REGISTERED, Phase.SHADOW, Phase.CANARY, Phase.FULL),
    "abort": (Phase.REGISTERED, Phase.SHADOW, Phase.CANARY, Phase.FULL, Phase.PROBATION),
}


class Act(Enum):
    """What is to be done. Every act but STAY and WAIT is an entry of the ledger, written before anything moves."""

    STAY = "stay"
    WAIT = "wait"  # all is shown, and a person must approve the next stage
    STEP = "step"
    RELEASE = "release"  # FULL is passed: the challenger becomes champion
    ROLLBACK = "rollback"
    HOLD = "hold"
    RESUME = "resume"
    APPROVE = "approve"


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """What is to be done next, and why."""

    act: Act
    why: str
    because: str = ""  # "opened" | "certificate" | "harm" | "command" | "approval" | "probation" | "signal" | "allocation"
    to: Phase | None = None
    step: int = -1
    share: float = 0.0
    period: int = 0  # of a policy's move: the one that closed
    accepts: tuple[str, ...] = ()  # signals that a person accepts by resuming
    alarm: str = ""  # for a person, whatever else is done


def begin(plan: Plan, standing: Standing, ready: Status, *, why: str = "") -> Move:
    """The first step, out of REGISTERED.

    ready: PASS once every live worker has loaded the challenger and the rollback target and both answered their probes as they did when
    they were packaged; FAIL where the challenger did not; ERROR where the rollback target did not; MISSING until then.
    Raises ReleaseRefused where the rollout has begun already.
    """
    if standing.phase is not Phase.REGISTERED:
        raise _refused(standing, "it has begun already", "a rollout that is registered")
    turn = TURNS[standing.phase, ready]
    if turn is Turn.BACK:
        return Move(act=Act.ROLLBACK, because="harm", to=Phase.ROLLED_BACK, why=why or "The challenger does not answer its probes.")
    if turn is Turn.STAY or standing.held:
        return Move(act=Act.STAY, why=standing.held or why or "Not every worker is ready.", alarm=why if ready is Status.ERROR else "")
    return _forward(plan, standing, because="opened", why=why or "Both models are loaded and answer their probes.")


def next_step(plan: Plan, standing: Standing, judgement: Judgement | None, *, hurry: bool = False) -> Move:
    """What the evidence of the present stage asks for.

    judgement: of this plan, stage and route; another one, or none, is no evidence. hurry: the rest of the bake time is waived.
    Harm comes first: it brings a release back while it is held, while it waits for approval, and whatever else is missing.
    Raises ReleaseRefused for a rollout that has ended: nothing leads out of an end.
    """
    if (standing.phase, Status.MISSING) not in TURNS:
        raise _refused(standing, "it has ended", "a rollout that is under way")
    if judgement is None or standing.phase is Phase.REGISTERED:
        return Move(act=Act.STAY, why="There is no evidence yet.")
    if other := _of_another(plan, standing, judgement):
        return Move(act=Act.STAY, why=f"The evidence is {other}, and counts for nothing here.", alarm=f"evidence {other}")
    turn = TURNS[standing.phase, effective(judgement, standing.accepted)]
    if turn is Turn.BACK:
        why = "; ".join(r.sentence for r in judgement.rulings if r.status is Status.FAIL and r.action == ROLLBACK) or judgement.sentence
        return Move(act=Act.ROLLBACK, because="harm", to=Phase.ROLLED_BACK, why=why, alarm=judgement.alarm)
    if standing.held:
        return Move(act=Act.STAY, why=f"On hold: {standing.held}", alarm=judgement.alarm)
    if paused := pausing(judgement, standing.accepted):
        return Move(act=Act.HOLD, because="signal", why="; ".join(r.sentence for r in paused), alarm=judgement.alarm)
    if turn is Turn.STAY:
        return Move(act=Act.STAY, why=judgement.sentence, alarm=judgement.alarm)
    return _passed(plan, standing, judgement, hurry=hurry)


def command(name: str, plan: Plan, standing: Standing, judgement: Judgement | None, *, why: str) -> Move:
    """What a person may order: hold, resume, advance, approve or abort.

    Raises ReleaseRefused for what is not in `COMMANDS`, without a reason, or where it would stand in for evidence.
    """
    if name not in COMMANDS:
        raise ReleaseRefused(f"There is no command {name!r}.", found=name, expected=", ".join(COMMANDS))
    if standing.phase not in COMMANDS[name]:
        raise _refused(standing, f"{name} does nothing there", ", ".join(phase.value for phase in COMMANDS[name]))
    if not why.strip():
        raise ReleaseRefused("An order without a reason is not taken: the ledger asks why.", expected="--why TEXT")
    if name == "abort":
        return Move(act=Act.ROLLBACK, because="command", to=Phase.ROLLED_BACK, why=why)
    if name == "hold":
        if standing.held:
            raise _refused(standing, f"it is on hold already: {standing.held}", "a rollout that moves")
        return Move(act=Act.HOLD, because="command", why=why)
    if name == "resume":
        return _resume(standing, judgement, why)
    return _approve(plan, standing, why) if name == "approve" else _advance(plan, standing, judgement, why)


def entry_of(
    move: Move,
    plan: Plan,
    standing: Standing,
    *,
    epoch: int,
    judgement: Judgement | None = None,
    judgement_digest: Digest | None = None,
    allotment_digest: Digest | None = None,
) -> tuple[str, dict[str, Any]]:
    """The ledger's entry of a move: its kind and its body.

    epoch: of the route that follows from it, above every earlier one. allotment_digest: of a policy's move, the `Allotment` that it rests
    on; such a move carries no certificate, for the stage goes on. Raises ValueError for STAY and WAIT, which are no entries.
    """
    body: dict[str, Any] = {"contract": standing.contract, "rollout": standing.rollout, "why": move.why}
    evidence = {
        "epoch": epoch,
        "because": move.because,
        "judgement": judgement_digest,
        "certified": list(judgement.certified) if judgement else [],
        "cut": judgement.cut if judgement else 0,
    }
    if move.act is Act.HOLD:
        return "rollout_held", body
    if move.act is Act.RESUME:
        return "rollout_resumed", {**body, "accepts": list(move.accepts)}
    if move.act is Act.APPROVE:
        return "rollout_approved", {**body, "step": move.step}
    if move.act is Act.ROLLBACK:
        return "rollback", {**body, "epoch": epoch, "because": move.because, "judgement": judgement_digest}
    if move.act is Act.RELEASE:
        return "release", {**body, **evidence, "candidate": plan.challenger, "verdict": plan.verdict}
    if move.act is not Act.STEP or move.to is None:
        raise ValueError(f"{move.act.value} is no entry of the ledger")
    following = plan.stages[move.step + 1] if move.step + 1 < len(plan.stages) else None
    step: dict[str, Any] = {"from": standing.phase.value, "to": move.to.value, "step": move.step, "share": move.share}
    if move.because == ALLOCATION:
        step |= {"allotment": allotment_digest, "period": move.period}
        evidence["certified"] = []
    return "rollout_step", {**body, **step, **evidence, "approval_next": bool(following and following.needs_approval)}


def effective(judgement: Judgement, accepted: tuple[str, ...] = ()) -> Status:
    """What the rulings come to, never better than what the judgement says of itself.

    A failed signal holds and brings nothing back, unless a person has accepted it. Without any guardrail nothing was shown.
    """
    guarding = [ruling for ruling in judgement.rulings if ruling.action in (ROLLBACK, PAUSE)]
    if not guarding:
        return worst((Status.MISSING, judgement.status))
    found = worst(tuple(_counts_as(ruling, accepted) for ruling in judgement.rulings))
    if any(ruling.watch in accepted for ruling in guarding):
        return found  # the judgement's own status knows of no acceptance
    return max(found, judgement.status, key=SEVERITY.index)


def _counts_as(ruling: WatchRuling, accepted: tuple[str, ...]) -> Status:
    if ruling.action == ROLLBACK or ruling.status is not Status.FAIL:
        return ruling.status
    return Status.PASS if ruling.watch in accepted else Status.INCONCLUSIVE


def pausing(judgement: Judgement, accepted: tuple[str, ...]) -> tuple[WatchRuling, ...]:
    """The signals that ask for a person, less those that one has accepted."""
    return tuple(r for r in judgement.rulings if r.status is Status.FAIL and r.action == PAUSE and r.watch not in accepted)


def _of_another(plan: Plan, standing: Standing, judgement: Judgement) -> str:
    """Of what else the judgement is; "" where it is of this stage of this rollout."""
    if judgement.plan != standing.rollout:
        return "of another plan"
    if judgement.step != standing.step or not 0 <= standing.step < len(plan.stages):
        return "of another stage"
    # A policy that moves the share moves the route within a stage.
    if judgement.epoch > standing.epoch or (judgement.epoch != standing.epoch and plan.method != "adaptive"):
        return "of another route"
    if not set(judgement.carried) <= set(standing.certified):
        return "built on certificates that the ledger does not know"
    return ""


def _passed(plan: Plan, standing: Standing, judgement: Judgement, *, hurry: bool) -> Move:
    stage = plan.stages[standing.step]
    if plan.moves is not None and standing.share < stage.share and not hurry:
        why = f"All is shown; the policy gives the challenger {standing.share:.1%}, less than the {stage.share:.1%} that it began with."
        return Move(act=Act.STAY, why=why, alarm=judgement.alarm)
    if judgement.baked_us < stage.bake_us and not hurry:
        left = (stage.bake_us - judgement.baked_us) / 60e6
        return Move(act=Act.STAY, why=f"All is shown; {left:,.1f} minutes of its bake time are left.", alarm=judgement.alarm)
    if _must_wait(plan, standing):
        return Move(act=Act.WAIT, why="All is shown; a person must approve the next stage.", alarm=judgement.alarm)
    because = "command" if hurry else "probation" if standing.phase is Phase.PROBATION else "certificate"
    return _forward(plan, standing, because=because, why=judgement.sentence)


def _forward(plan: Plan, standing: Standing, *, because: str, why: str) -> Move:
    following = _following(plan, standing)
    to = Phase.SETTLED if following is None else following.phase
    if to not in FOLLOWS[standing.phase]:
        raise _refused(standing, f"its plan goes on to {to.value}", ", ".join(phase.value for phase in FOLLOWS[standing.phase]))
    share = 1.0 if following is None else following.share
    act = Act.RELEASE if to is Phase.PROBATION else Act.STEP
    return Move(act=act, because=because, to=to, step=standing.step + 1, share=share, why=why)


def _following(plan: Plan, standing: Standing) -> Stage | None:
    return plan.stages[standing.step + 1] if standing.step + 1 < len(plan.stages) else None


def _must_wait(plan: Plan, standing: Standing) -> bool:
    following = _following(plan, standing)
    return following is not None and following.needs_approval and standing.step + 1 not in standing.approved


def _resume(standing: Standing, judgement: Judgement | None, why: str) -> Move:
    if not standing.held:
        raise _refused(standing, "it is not on hold", "a rollout that is on hold")
    accepts = tuple(r.watch for r in pausing(judgement, standing.accepted)) if judgement else ()
    return Move(act=Act.RESUME, because="command", why=why, accepts=accepts)


def _approve(plan: Plan, standing: Standing, why: str) -> Move:
    if not _must_wait(plan, standing):
        raise _refused(standing, "its next stage needs no approval, or has it", "a stage of rollout.approve_at")
    return Move(act=Act.APPROVE, because="approval", step=standing.step + 1, why=why)


def _advance(plan: Plan, standing: Standing, judgement: Judgement | None, why: str) -> Move:
    move = next_step(plan, standing, judgement, hurry=True)
    if move.act in (Act.STEP, Act.RELEASE):
        return Move(act=move.act, because="command", to=move.to, step=move.step, share=move.share, why=why)
    raise _refused(standing, move.why, "evidence that passes: advance waives the rest of the bake time and nothing else")


def _refused(standing: Standing, found: str, expected: str) -> ReleaseRefused:
    return ReleaseRefused(
        f"The rollout of {standing.contract} stands at {standing.phase.value}: {found.rstrip('.')}.",
        found=standing.phase.value,
        expected=expected,
        where=f"rollout {standing.rollout[:15]}",
        next="gonogo rollout status",
    )


def allocate(plan: Plan, standing: Standing, share: float, *, why: str, period: int = 0) -> Move:
    """A policy moves the share within its stage. Raises ReleaseRefused outside a canary, and beyond the plan's bounds."""
    moves = plan.moves
    if standing.phase is not Phase.CANARY or standing.held or moves is None:
        raise _refused(standing, f"a policy asks for a share of {share:g}", "a canary of method adaptive that is not on hold")
    if not moves.lowest <= share <= moves.highest or abs(share - standing.share) > moves.step + _SLACK:
        bounds = f"from {moves.lowest:g} to {moves.highest:g}, and at most {moves.step:g} from {standing.share:g}"
        raise _refused(standing, f"a policy asks for a share of {share:g}", bounds)
    return Move(act=Act.STEP, because=ALLOCATION, to=Phase.CANARY, step=standing.step, share=share, why=why, period=period)
