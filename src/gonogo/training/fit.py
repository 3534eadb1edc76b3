"""Which learner is chosen on the validate table, and what is kept of it?"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.ledger.artifacts import store_artifact
from gonogo.training.environment import environment
from gonogo.training.latency import Latency, one_row_latency
from gonogo.training.learners import Named, make_learner
from gonogo.training.score import selecting_score
from gonogo.types.candidate import Candidate, Trial
from gonogo.types.contract import LearnerChoice
from gonogo.types.errors import BudgetSpent
from gonogo.types.evidence import Curve

if TYPE_CHECKING:
    from gonogo.backends.protocols import Blobs
    from gonogo.training.score import Score
    from gonogo.types.contract import Contract
    from gonogo.types.protocols import Examples, Family, Model
    from gonogo.types.record import Digest
    from gonogo.types.snapshot import Input


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """What a training leaves. What a clock said is in `measured` only: candidates repeat to the bit."""

    challenger: Candidate
    baseline: Candidate
    model: Model  # the challenger's, before recalibration
    curves: tuple[Curve, ...]  # what recalibration did
    measured: tuple[Latency, ...]  # one-row latencies by which learners were let in


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One learner after its trial."""

    named: Named
    model: Model | None  # None where it was stopped
    score: float | None
    latency: Latency | None
    refused: str = ""  # why it may not be chosen; holds no measured number


def fit(
    contract: Contract,
    family: Family,
    examples: Mapping[str, Examples],
    *,
    inputs: tuple[Input, ...],
    contract_digest: Digest,
    snapshot_digest: Digest,
    blobs: Blobs,
    workspace: Path,
) -> Fitted:
    """The best learner of the contract, recalibrated, and the family's baseline, both stored.

    examples: "train" and "validate". Ties go to the learner that the contract names first. A learner is left out where its one-row p99 in
    processor time is beyond budget.latency_p99_ms by the low end of its interval, or its training takes longer than budget.training_s.
    Raises UsageError for an unknown learner, parameter or selecting metric before anything is fitted; BudgetSpent where none is left.
    """
    named, score = choices(contract, family)
    baseline = make_learner(family, LearnerChoice(name=family.baseline), where="family.baseline")
    training = _Training(contract=contract, examples=examples, inputs=inputs, score=score)

    outcomes = [training.attempt(one) for one in named]
    chosen = _choose(outcomes, score)
    behind = training.attempt(baseline)
    refined_note, refined, curves = _refine(family, chosen, examples["validate"], contract.seed)

    trials = (*(_trial(one, score, chosen=one is chosen, note=refined_note) for one in outcomes), _baseline_trial(behind, score))
    keep = _Keeper(contract_digest=contract_digest, snapshot_digest=snapshot_digest, seed=contract.seed, blobs=blobs, workspace=workspace)
    return Fitted(
        challenger=keep.candidate(chosen.named, refined, trials),
        baseline=keep.candidate(baseline, _fitted(behind), (_baseline_trial(behind, score, chosen=True),)),
        model=_fitted(chosen),
        curves=curves,
        measured=tuple(one.latency for one in outcomes if one.latency is not None),
    )


def choices(contract: Contract, family: Family) -> tuple[tuple[Named, ...], Score]:
    """The contract's learners and the figure that chooses among them.

    Raises UsageError for one that the family does not have: asked before the data are read, it spares a person the wait.
    """
    named = tuple(make_learner(family, choice, where=f"learners[{i}]") for i, choice in enumerate(contract.learners))
    return named, selecting_score(family, contract.select_by)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Training:
    """What every trial shares."""

    contract: Contract
    examples: Mapping[str, Examples]
    inputs: tuple[Input, ...]
    score: Score

    def attempt(self, named: Named) -> Outcome:
        """Fit, score on validate, and clock one-row answers."""
        budget = self.contract.budget
        validate = self.examples["validate"]
        try:
            model = named.learner.fit(
                self.examples["train"],
                validate,
                inputs=self.inputs,
                seed=self.contract.seed,
                threads=self.contract.threads,
                budget_s=budget.training_s,
            )
        except BudgetSpent:
            refused = f"left out: its training takes longer than budget.training_s = {budget.training_s:g}"
            return Outcome(named=named, model=None, score=None, latency=None, refused=refused)
        value = self.score.of(model.predict(validate.inputs), validate.outcomes)
        if budget.latency_p99_ms is None:
            return Outcome(named=named, model=model, score=value, latency=None)
        latency = one_row_latency(named.name, model, validate.inputs)
        slow = latency.low_ms > budget.latency_p99_ms
        refused = f"left out: one-row p99 is beyond budget.latency_p99_ms = {budget.latency_p99_ms:g}" if slow else ""
        return Outcome(named=named, model=model, score=value, latency=latency, refused=refused)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Keeper:
    """What every stored candidate shares."""

    contract_digest: Digest
    snapshot_digest: Digest
    seed: int
    blobs: Blobs
    workspace: Path

    def candidate(self, named: Named, model: Model, trials: tuple[Trial, ...]) -> Candidate:
        """Save the model, store its files, and say what it is."""
        self.workspace.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.workspace) as folder:
            model.save(Path(folder))
            artifact = store_artifact(self.blobs, Path(folder))
        return Candidate(
            contract=self.contract_digest,
            snapshot=self.snapshot_digest,
            learner=named.name,
            params=parameters(named),
            seed=self.seed,
            artifact=artifact,
            environment=environment(),
            trials=trials,
        )


def parameters(named: Named) -> dict[str, Any]:
    """Every hyper-parameter of the learner, those left at their default too."""
    learner: Any = named.learner
    return {f.name: getattr(learner, f.name) for f in dataclasses.fields(learner)}


def _choose(outcomes: Sequence[Outcome], score: Score) -> Outcome:
    able = [one for one in outcomes if one.score is not None and not one.refused]
    if not able:
        raise BudgetSpent(
            "no learner of the contract is within its budget",
            found="; ".join(f"{one.named.name}: {one.refused or 'no score on validate'}" for one in outcomes) or "no learner",
            expected="at least one learner that can be chosen",
            where="learners",
        )
    best = able[0]
    for one in able[1:]:
        if score.is_better(one.score, best.score):
            best = one
    return best


def _refine(family: Family, chosen: Outcome, validate: Examples, seed: int) -> tuple[str, Model, tuple[Curve, ...]]:
    model = _fitted(chosen)
    if family.refine is None:
        return "", model, ()
    refined = family.refine(model, validate, seed)
    return refined.note, refined.model, refined.curves


def _fitted(outcome: Outcome) -> Model:
    if outcome.model is None:
        raise BudgetSpent(f"{outcome.named.name} was stopped", found=outcome.refused, expected="a fitted model", where="budget.training_s")
    return outcome.model


def _trial(outcome: Outcome, score: Score, *, chosen: bool, note: str) -> Trial:
    return Trial(
        learner=outcome.named.name,
        params=parameters(outcome.named),
        score=outcome.score,
        measured_in=score.measured_in,
        chosen=chosen,
        note=note if chosen else outcome.refused,
    )


def _baseline_trial(outcome: Outcome, score: Score, *, chosen: bool = False) -> Trial:
    trial = _trial(outcome, score, chosen=chosen, note="")
    return dataclasses.replace(trial, note="the baseline that a candidate must beat")
