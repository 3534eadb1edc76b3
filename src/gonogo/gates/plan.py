"""By which stages, and watched by what, does a release move forward?

Pure: contract, verdict and traffic in, a Plan out, which is recorded before the first step. What the contract says later does not reach it.
The error budget is divided here. Half of it is for harm: every watch in every stage where it is judged has the same part, so that a
harmless challenger is brought back with a probability of at most alpha / 2, whatever is watched. The other half is for certificates. A
challenger that is harmful in some respect gets through only if the very watch of that respect certifies it, so each watch has the whole
half, divided by its stages (an intersection–union test, Berger 1982): watching more costs no certificate anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gonogo.types.allocation import Moves
from gonogo.types.errors import ReleaseRefused
from gonogo.types.release import Phase, Plan, Stage, Watch
from gonogo.types.time import duration_us

if TYPE_CHECKING:
    from gonogo.types.contract import Contract, Guardrail, Rollout
    from gonogo.types.record import Digest
    from gonogo.types.verdict import Verdict

COUNT, LATENCY, DISTRIBUTION, LOSS = "count", "latency", "distribution", "loss"
KINDS: Mapping[str, str] = {
    "errors": COUNT,
    "fallbacks": COUNT,
    "latency_p50": LATENCY,
    "latency_p95": LATENCY,
    "latency_p99": LATENCY,
    "prediction": DISTRIBUTION,
}
QUANTILES: Mapping[str, float] = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
MOST_SLICES = 62  # bits of a frame, less two that the judge keeps for itself
_COMPARED = (Phase.SHADOW, Phase.CANARY, Phase.FULL)
JUDGED: Mapping[str, tuple[Phase, ...]] = {  # kind → phases in which it is judged
    COUNT: _COMPARED,
    LATENCY: _COMPARED,  # before and after the canary against a limit in milliseconds alone
    DISTRIBUTION: _COMPARED,
    LOSS: (*_COMPARED, Phase.PROBATION),
}


def plan(
    contract: Contract,
    verdict: Verdict,
    *,
    contract_digest: Digest,
    verdict_digest: Digest,
    champion: Digest,
    challenger: Digest,
    salt: str,
    slices: Iterable[str] = (),
    sample: int = 0,
) -> Plan:
    """The plan of this release: the same answer for the same arguments.

    salt: drawn for this rollout alone, by the caller. slices: the values that its traffic can decide, "carrier=UA", see
    `preflight.choose_slices`; others are not watched. sample: of method "ab", the least number of the challenger's units.
    Raises ReleaseRefused for a verdict that is not GO, or of another contract or candidate; for no guardrail that rolls back; and for a
    guardrail that no amount of traffic could certify.
    """
    _require_go(contract, verdict, contract_digest, challenger)
    if champion == challenger:
        raise _refused("The challenger is the champion already.", found=challenger, expected="a candidate that is not live")
    if not salt:
        raise _refused("A rollout needs a salt of its own.", found="none", expected="a text that no other rollout has")
    stages = tuple(_stages(contract, sample))
    losses = tuple(dict.fromkeys(g.metric for g in contract.guardrails if g.metric not in KINDS))
    kept = tuple(dict.fromkeys(slices))[:MOST_SLICES]
    watches = _with_alphas(tuple(_watches(contract, losses, kept)), stages, contract.rollout.alpha)
    _require_watched(contract, watches, stages)
    _require_reward(contract.rollout, watches)
    return Plan(
        contract=contract_digest,
        contract_name=contract.name,
        verdict=verdict_digest,
        champion=champion,
        challenger=challenger,
        method=contract.rollout.method,
        salt=salt,
        bucket_by=_bucket_by(contract),
        alpha=contract.rollout.alpha,
        stages=stages,
        watches=watches,
        slices=tuple(label for label in kept if any(watch.slice == label for watch in watches)),
        losses=losses,
        probation_us=_probation_us(contract),
        label_window_us=duration_us(contract.outcome.window),
        allocation=contract.rollout.allocation if contract.rollout.method == "adaptive" else "",
        moves=_moves(contract.rollout),
    )


def label(watch: Watch) -> str:
    """How a watch is called: "no more errors", "no more errors [carrier=UA]"."""
    return f"{watch.name} [{watch.slice}]" if watch.slice else watch.name


def certificate(watch: Watch, phase: Phase) -> str:
    """What the ledger keeps of a certificate: "errors", or "errors (in shadow)" where the challenger answered nobody yet.

    Losses compare two answers to one row, whoever was told which. What is counted can differ once somebody waits for the answer.
    """
    return f"{label(watch)} (in shadow)" if phase is Phase.SHADOW and watch.kind != LOSS else label(watch)


def shadow_suffices(plan: Plan, step: int) -> bool:
    """Does the shadow's certificate pass this stage? As long as a canary follows in which the challenger must earn its own."""
    return any(stage.phase is Phase.CANARY for stage in plan.stages[step + 1 :])


def reward_watch(plan: Plan) -> Watch:
    """The watch by which a policy compares the arms: that of its guardrail on all traffic."""
    assert plan.moves is not None
    return next(watch for watch in plan.watches if watch.name == plan.moves.reward and not watch.slice)


def is_steered(plan: Plan) -> bool:
    """Does a policy see whose answers went well? The units that it sees are then judged by their first request alone."""
    return plan.moves is not None and reward_watch(plan).kind != LOSS


def judged(plan: Plan, step: int) -> tuple[int, ...]:
    """Places in `plan.watches` of those that are judged in that stage.

    On probation losses decide, for all traffic is the challenger's; where the contract watches no losses, what was watched before goes on.
    """
    return _judged(plan.watches, plan.stages[step].phase)


def _judged(watches: tuple[Watch, ...], phase: Phase) -> tuple[int, ...]:
    by_kind = tuple(i for i, watch in enumerate(watches) if phase in JUDGED[watch.kind] and not _needs_a_canary(watch, phase))
    if phase is Phase.PROBATION and not by_kind:
        return tuple(i for i, watch in enumerate(watches) if watch.kind != LATENCY)
    return by_kind


def _needs_a_canary(watch: Watch, phase: Phase) -> bool:
    """A shadow answers in its own time: where only one arm answers callers, latencies cannot be compared with each other."""
    return watch.kind == LATENCY and not watch.at_most and phase is not Phase.CANARY


def harm_is_judged(watch: Watch, phase: Phase) -> bool:
    """Can harm be shown there? Slowness cannot where one arm answers everybody: nothing then tells it from a slow machine."""
    return watch.kind != LATENCY or phase is Phase.CANARY


def spent(plan: Plan, step: int) -> float:
    """Of the release's error budget, what the stages up to and with this one could cost."""
    harm, certificates = 0.0, dict.fromkeys(range(len(plan.watches)), 0.0)
    for stage in range(step + 1):
        for i in judged(plan, stage):
            watch = plan.watches[i]
            harm += watch.alpha_harm if harm_is_judged(watch, plan.stages[stage].phase) else 0.0
            certificates[i] += watch.alpha_certificate
    return min(harm + max(certificates.values(), default=0.0), plan.alpha)


# ── stages ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _stages(contract: Contract, sample: int) -> Iterator[Stage]:
    rollout = contract.rollout
    bake, patience = duration_us(rollout.bake), duration_us(rollout.patience)
    yield Stage(phase=Phase.SHADOW, share=0.0, bake_us=duration_us(rollout.shadow), patience_us=patience)
    for share in _canaries(rollout):
        units = sample if rollout.method == "ab" else 0
        approval = _needs_approval(rollout, share)
        yield Stage(phase=Phase.CANARY, share=share, bake_us=bake, patience_us=patience, needs_approval=approval, units=units)
    yield Stage(phase=Phase.FULL, share=1.0, bake_us=bake, patience_us=patience, needs_approval=_needs_approval(rollout, 1.0))
    probation = _probation_us(contract)
    yield Stage(phase=Phase.PROBATION, share=1.0, bake_us=probation, patience_us=probation + patience)


def _canaries(rollout: Rollout) -> tuple[float, ...]:
    shares = tuple(share for share in rollout.shares if share < 1)
    if rollout.method == "blue_green":
        return ()
    if rollout.method == "canary":
        return shares
    if not shares:
        raise _refused(f"The method {rollout.method} needs a share below 1.", found=str(rollout.shares), expected="shares = [0.5, 1.0]")
    return shares[:1]  # "ab" keeps it until its sample is reached; of "adaptive" it is the first


def _moves(rollout: Rollout) -> Moves | None:
    if rollout.method != "adaptive":
        return None
    return Moves(
        reward=rollout.reward,
        lowest=rollout.share_at_least,
        highest=rollout.share_at_most,
        step=rollout.step_at_most,
        every_us=duration_us(rollout.move_every),
    )


def _needs_approval(rollout: Rollout, share: float) -> bool:
    return any(math.isclose(share, asked, rel_tol=1e-9) for asked in rollout.approve_at)


def _probation_us(contract: Contract) -> int:
    return duration_us(contract.rollout.probation or contract.outcome.window)


def _bucket_by(contract: Contract) -> str:
    if contract.rollout.bucket_by:
        return contract.rollout.bucket_by
    if len(contract.rows.key) == 1:
        return contract.rows.key[0]  # each decision is then its own unit
    raise _refused(
        "It is not said by which column traffic is assigned.", found=f"rows.key = {list(contract.rows.key)}", expected="rollout.bucket_by"
    )


# ── watches ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def slices_of(guardrail: Guardrail, labels: Iterable[str]) -> tuple[str, ...]:
    """Of these slice labels, those that the guardrail is watched by."""
    return tuple(one for one in labels if any(one.startswith(f"{name}=") for name in guardrail.slices))


def _watches(contract: Contract, losses: tuple[str, ...], labels: tuple[str, ...]) -> Iterator[Watch]:
    wanted = {one for guardrail in contract.guardrails for one in slices_of(guardrail, labels)}
    bits = {one: bit for bit, one in enumerate(one for one in labels if one in wanted)}
    for guardrail in contract.guardrails:
        _require_decidable(guardrail, contract.rollout)
        # A guardrail that names slices watches these; all traffic is watched too, for it is where harm is seen first.
        for one in ("", *slices_of(guardrail, labels)):
            yield Watch(
                name=guardrail.name,
                metric=guardrail.metric,
                kind=KINDS.get(guardrail.metric, LOSS),
                slice=one,
                slice_bit=bits[one] if one else -1,
                action=guardrail.action,
                ratio_at_most=guardrail.ratio_at_most,
                rate_at_most=guardrail.rate_at_most,
                at_most=guardrail.at_most,
                low=guardrail.range[0] if guardrail.range else None,
                high=guardrail.range[1] if guardrail.range else None,
                alpha_harm=0.0,
                alpha_certificate=0.0,
                loss=losses.index(guardrail.metric) if guardrail.metric in losses else -1,
            )


def _with_alphas(watches: tuple[Watch, ...], stages: tuple[Stage, ...], alpha: float) -> tuple[Watch, ...]:
    harmed = certified = 0
    for i, watch in enumerate(watches):
        phases = [stage.phase for stage in stages if i in _judged(watches, stage.phase)]
        harmed += sum(harm_is_judged(watch, phase) for phase in phases)
        certified = max(certified, len(phases))
    return tuple(
        replace(watch, alpha_harm=alpha / 2 / max(harmed, 1), alpha_certificate=alpha / 2 / max(certified, 1)) for watch in watches
    )


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _require_go(contract: Contract, verdict: Verdict, contract_digest: Digest, challenger: Digest) -> None:
    if not verdict.go:
        raise _refused(f"The verdict is not GO: it is {verdict.status.value}.", found=verdict.status.value, expected="a verdict of GO")
    if verdict.candidate != challenger:
        raise _refused("The verdict is of another candidate.", found=verdict.candidate, expected=challenger)
    if verdict.contract != contract_digest:
        raise _refused(
            f"The contract {contract.name} was changed after the verdict.",
            found=verdict.contract,
            expected=contract_digest,
            next="gonogo decide, then release its verdict",
        )


def _require_watched(contract: Contract, watches: tuple[Watch, ...], stages: tuple[Stage, ...]) -> None:
    if not any(watch.action == "rollback" for watch in watches):
        raise _refused(
            "No guardrail brings a release back.",
            found=f'{len(contract.guardrails)} guardrails, none with action = "rollback"',
            expected="at least one [[guardrails]] that rolls back",
            next='add [[guardrails]] with name, metric = "errors" and ratio_at_most = 2.0',
        )
    for stage in stages:
        if not any(watches[i].action == "rollback" for i in _judged(watches, stage.phase)):
            raise _refused(
                f"No guardrail that rolls back can be judged in {stage.phase.value}.",
                found=", ".join(dict.fromkeys(watch.metric for watch in watches)),
                expected="a guardrail on errors, fallbacks, prediction or a metric on outcomes",
                next='add [[guardrails]] with metric = "errors"',
            )


def _require_reward(rollout: Rollout, watches: tuple[Watch, ...]) -> None:
    if rollout.method == "adaptive" and not any(watch.name == rollout.reward and watch.kind != DISTRIBUTION for watch in watches):
        raise _refused(
            "No guardrail tells the policy which model is the better one.",
            found=f"reward = {rollout.reward!r}",
            expected=", ".join(dict.fromkeys(watch.name for watch in watches if watch.kind != DISTRIBUTION)),
            next="name one of them in rollout.reward",
        )


def _require_decidable(guardrail: Guardrail, rollout: Rollout) -> None:
    """Refuses a margin that no traffic could ever refute."""
    kind = KINDS.get(guardrail.metric, LOSS)
    name = f"guardrail {guardrail.name!r}"
    if kind == LOSS:
        if len(guardrail.range) != 2 or guardrail.at_most is None or guardrail.at_most >= guardrail.range[1] - guardrail.range[0]:
            raise _refused(
                f"The {name} has a margin that is no part of its range.", found=str(guardrail.at_most), expected="below the range"
            )
        return
    limits = [limit for limit in (guardrail.ratio_at_most, guardrail.rate_at_most, guardrail.at_most) if limit]
    if not limits or (guardrail.rate_at_most is not None and guardrail.rate_at_most >= 1):
        raise _refused(
            f"The {name} has no margin that could be refuted.", found="none", expected="ratio_at_most, or a rate between 0 and 1"
        )
    if kind == LATENCY and not guardrail.at_most and (rollout.method == "blue_green" or rollout.shares[0] >= 1):
        raise _refused(
            f"The {name} compares the arms, and nobody is answered by both side by side.",
            found=f"method = {rollout.method!r}",
            expected="at_most in milliseconds, or a canary",
        )


def _refused(message: str, *, found: str, expected: str, next: str = "") -> ReleaseRefused:  # noqa: A002
    return ReleaseRefused(message, found=found, expected=expected, next=next)
