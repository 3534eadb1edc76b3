"""Release: from a verdict to a rollout. What could go wrong is looked at first; nothing moves before a controller takes it up."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gonogo.ledger import registry, rollouts
from gonogo.serving.places import Places
from gonogo.serving.workerpage import living
from gonogo.types.contract import Rollout
from gonogo.types.errors import PackageRefused, ReleaseRefused
from gonogo.types.evidence import Evidence
from gonogo.types.record import Digest
from gonogo.types.release import Plan, Preflight
from gonogo.types.verdict import Verdict
from gonogo.workflow import routes
from gonogo.workflow.decide import find_verdict
from gonogo.workflow.policies import find
from gonogo.workflow.workspace import Workspace, open_workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A rollout that is recorded, and what its traffic can decide."""

    contract: str
    rollout: Digest  # of the plan
    plan: Plan
    preflight: Preflight
    entry: int  # its number in the ledger
    workers: int  # that serve now; 0: nothing moves until somebody does


def release(verdict: str = "", *, folder: Path | str = ".", by: str = "") -> Opened:
    """Open the rollout of the candidate of a verdict: a digest or a unique prefix, "" for the newest.

    Both models are packaged and loaded here once, so that a rollback target that cannot be loaded is found before the first step.
    Raises ReleaseRefused for a verdict that is not GO, not the newest or not of today's contract, for evidence against another champion,
    and while a rollout is under way; PolicyUnknown; PackageRefused and BlobCorrupt for a model that does not load; what packaging raises.
    """
    workspace = open_workspace(folder, by=by)
    entries = tuple(workspace.ledger.entries())
    stored = _verdict(workspace, verdict)
    record = workspace.records.get(Verdict, stored)
    held = routes.office(entries, workspace.contract.name)
    if record.go:  # of a NO-GO the plan says more
        _check(workspace, entries, stored, record, held)
    require_policy(workspace.contract.rollout)
    plan, preflight = _plan(workspace, stored, record, held)
    _load_both(workspace, plan)
    _call_judge(plan)
    rollout = workspace.records.put(plan)
    said = workspace.records.put(preflight)
    entry = workspace.ledger.append("rollout_opened", {**_opened(plan, rollout), "preflight": said})
    now = rollouts.standing(workspace.ledger.entries(), plan.contract_name)
    if now is None or now.rollout != rollout:
        raise _refused("Another rollout was opened at the same moment.", found="that one is under way", next="gonogo rollout status")
    return Opened(
        contract=plan.contract_name,
        rollout=rollout,
        plan=plan,
        preflight=preflight,
        entry=entry.seq,
        workers=len(living(Places.of(folder).workers)),
    )


def require_policy(rollout: Rollout) -> None:
    """Raises PolicyUnknown where nothing installed would move the share: it would be planned, and then not be done."""
    if rollout.method == "adaptive":
        find(rollout.allocation)


def _verdict(workspace: Workspace, prefix: str) -> Digest:
    return str(find_verdict(workspace.ledger, prefix).body["verdict"])


def _check(workspace: Workspace, entries: tuple[Any, ...], stored: Digest, verdict: Verdict, held: routes.Office) -> None:
    newest = registry.last(entries, "verdict", contract=workspace.contract.name)
    if newest is None or newest.body["verdict"] != stored:
        found = "none of this contract" if newest is None else f"{newest.body['verdict'][:19]} is newer"
        raise _refused("That verdict is not the last word on its contract.", found=found, next="release the newest verdict")
    if verdict.contract != workspace.contract_digest:
        raise _refused(
            "The contract has changed since the verdict.",
            found="another contract.toml",
            next=f"gonogo run {workspace.folder}, then release",
        )
    if held.standing is not None and held.standing.is_under_way:
        raise _refused(
            "A rollout of this contract is under way.",
            found=f"it stands at {held.standing.phase.value}",
            next="wait for its end, or gonogo rollout abort --why …",
        )
    against = workspace.records.get(Evidence, verdict.evidence)
    if held.is_released and against.champion != held.champion:
        raise _refused(
            "The verdict was reached against another model than the one that is live.",
            found=against.champion[:19],
            expected=held.champion[:19],
            next=f"gonogo run {workspace.folder}: it measures against the champion of today",
        )
    if not held.is_released and against.champion_is != "baseline":
        raise _refused(
            "The verdict was reached against a model that has been brought back since.",
            found=against.champion[:19],
            expected=f"{held.champion[:19]}, which answers now",
            next=f"gonogo run {workspace.folder}: it measures against what is there today",
        )


def _plan(workspace: Workspace, stored: Digest, verdict: Verdict, held: routes.Office) -> tuple[Plan, Preflight]:
    """The plan with the slices that its traffic can decide, and what it can decide at all."""
    from gonogo.gates.plan import plan
    from gonogo.gates.preflight import choose_slices, planned_sample, preflight
    from gonogo.workflow.traffic import measured_traffic, slices_of

    evidence = workspace.records.get(Evidence, verdict.evidence)
    columns = dict.fromkeys(name for guardrail in workspace.contract.guardrails for name in guardrail.slices)
    named: dict[str, Any] = {
        "contract_digest": verdict.contract,
        "verdict_digest": stored,
        "champion": held.champion,
        "challenger": verdict.candidate,
        "salt": secrets.token_hex(16),  # of this rollout alone: who is in its canary is no likelier in that of the next
    }
    draft = plan(workspace.contract, verdict, **named, slices=slices_of(evidence, columns))
    traffic = measured_traffic(Places.of(workspace.folder), draft, evidence)
    kept, unwatched = choose_slices(draft, traffic)
    sample = planned_sample(workspace.contract, traffic) if draft.method == "ab" else 0
    if sample is None:
        raise _refused(
            "How many units this A/B test needs cannot be worked out, so it would end at any number.",
            found="no guardrail on outcomes whose spread the evidence knows",
            expected="a [[guardrails]] with a metric on outcomes and at_most",
            next='add one, or release with method = "canary", which needs no sample',
        )
    made = plan(workspace.contract, verdict, **named, slices=kept, sample=sample)
    return made, preflight(made, traffic, unwatched=unwatched)


def _load_both(workspace: Workspace, plan: Plan) -> None:
    """Package both, and load both as a worker will: every byte and every probe."""
    from gonogo.workflow.package import load_packaged, package

    cache = workspace.scratch / "release"
    loaded = [load_packaged(workspace.blobs, package(workspace, candidate), cache=cache) for candidate in (plan.champion, plan.challenger)]
    champion, challenger = loaded
    if champion.outputs != challenger.outputs:
        raise PackageRefused(
            "The two models do not answer with the same columns.",
            found=", ".join(challenger.outputs),
            expected=", ".join(champion.outputs),
            where=plan.challenger,
        )


def _call_judge(plan: Plan) -> None:
    """The first time on a machine his loops are compiled: while a person looks on, and not while the controller is waited for."""
    from gonogo.workflow.trial import warm

    warm(plan)


def _opened(plan: Plan, rollout: Digest) -> dict[str, Any]:
    return {
        "contract": plan.contract_name,
        "rollout": rollout,
        "verdict": plan.verdict,
        "champion": plan.champion,
        "challenger": plan.challenger,
        "why": f"verdict {plan.verdict[:19]} is GO",
    }


def _refused(message: str, *, found: str, expected: str = "", next: str = "") -> ReleaseRefused:  # noqa: A002
    return ReleaseRefused(message, found=found, expected=expected, next=next)
