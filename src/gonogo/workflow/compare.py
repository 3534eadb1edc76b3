"""Compare: the candidates of two verdicts on the same test rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.families.registry import find
from gonogo.types.candidate import Candidate
from gonogo.types.contract import Contract
from gonogo.types.errors import UsageError
from gonogo.types.evidence import Evidence
from gonogo.types.record import Digest
from gonogo.types.snapshot import Snapshot, TablePin
from gonogo.types.verdict import Verdict
from gonogo.workflow.contrast import (
    Answer,
    Comparison,
    Contrast,
    Side,
    answer,
    changed_rulings,
    changes,
    paired,
    side_by_side,
    stated_margins,
)
from gonogo.workflow.decide import Docket, find_verdict
from gonogo.workflow.measure import open_test_table
from gonogo.workflow.steps import once
from gonogo.workflow.train import load_model
from gonogo.workflow.workspace import Progress, Workspace, open_recorded, open_stores

if TYPE_CHECKING:
    from gonogo.types.protocols import Examples


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """One of the two verdicts with all that it rests on."""

    digest: Digest
    docket: Docket
    verdict: Verdict
    contract: Contract
    snapshot: Snapshot
    candidate: Candidate
    evidence: Evidence
    workspace: Workspace  # of the contract that it was decided by, whatever stands in contract.toml today

    @property
    def side(self) -> Side:
        """What is told of it."""
        test = self.snapshot.tables["test"]
        return Side(
            verdict=self.digest,
            contract=self.docket.contract,
            contract_name=self.contract.name,
            snapshot=self.docket.snapshot,
            candidate=self.docket.candidate,
            learner=self.candidate.learner,
            status=self.verdict.status,
            n_rows=test.n_rows,
            n_units=test.n_units,
        )


def compare(
    verdict_a: str,
    verdict_b: str,
    *,
    folder: Path | str = ".",
    margins: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Is the candidate of verdict B better than that of verdict A? Both models answer the same test rows, and the difference is paired.

    verdict_a, verdict_b: digests or unique prefixes. margins: metric → how much worse would still do, > 0 in the metric's own unit;
    without one, the contract of B says it by its gates against the champion. Both models' looks at the test rows are in the ledger, and
    so is the comparison. Where the test rows are not the same, both candidates' own figures are given and no winner is named.
    Raises RecordUnknown, BlobCorrupt, and UsageError for one verdict twice or a margin of no figure.
    """
    a, b = _cases(folder, verdict_a, verdict_b, progress)
    _check_margins(margins or {})
    apart = _apart(a, b)
    if apart:
        return _unpaired(a, b, apart)
    depends_on = {"a": a.digest, "b": b.digest, "margins": dict(margins or {}), "environment": _environment()}
    done = once(
        b.workspace,
        "comparison",
        depends_on,
        lambda: _compared(a, b, margins or {}),
        lambda found: {"a": a.digest, "b": b.digest, "answer": found.answer.value},
    )
    return b.workspace.records.get(Comparison, done.digest)


def _environment() -> Any:
    from gonogo.training.environment import environment

    return environment()


def _cases(folder: Path | str, verdict_a: str, verdict_b: str, progress: Progress | None) -> tuple[_Case, _Case]:
    open_recorded(folder)  # a folder without a ledger is refused before anything is made in it
    a, b = (_case(Path(folder), prefix, progress) for prefix in (verdict_a, verdict_b))
    if a.digest == b.digest:
        raise UsageError("A verdict is compared with another one.", found=f"{a.digest[:19]} twice", next="gonogo ledger list")
    return a, b


def _case(folder: Path, prefix: str, progress: Progress | None) -> _Case:
    blobs, records, ledger = open_stores(folder)
    if not prefix:
        raise UsageError("A verdict is named by its digest, or by six digits of it or more.", next="gonogo ledger list")
    entry = find_verdict(ledger, prefix)
    docket = records.get(Docket, entry.body["docket"])
    contract = records.get(Contract, docket.contract)
    workspace = Workspace(
        folder=folder,
        contract=contract,
        contract_digest=docket.contract,
        blobs=blobs,
        records=records,
        ledger=ledger,
        progress=progress or (lambda step, doing: None),
    )
    return _Case(
        digest=entry.body["verdict"],
        docket=docket,
        verdict=records.get(Verdict, entry.body["verdict"]),
        contract=contract,
        snapshot=records.get(Snapshot, docket.snapshot),
        candidate=records.get(Candidate, docket.candidate),
        evidence=records.get(Evidence, docket.evidence),
        workspace=workspace,
    )


def _check_margins(margins: Mapping[str, float]) -> None:
    for metric, margin in margins.items():
        if not 0 < margin < math.inf:
            raise UsageError(
                f"The margin of {metric} is {margin:g}.", expected="how much worse would still do, above 0", where=f"--margin {metric}"
            )


# ── are these the same rows? ────────────────────────────────────────────────────────────────────────────────────────────


def _apart(a: _Case, b: _Case) -> str:
    """Why the two cannot be paired; empty where they can."""
    if a.contract.family != b.contract.family:
        return f"A answers a {a.contract.family} problem, B a {b.contract.family} one"
    ours, theirs = a.snapshot.tables["test"], b.snapshot.tables["test"]
    if ours.blob == theirs.blob:
        return ""
    if (ours.n_rows, ours.decided_from, ours.decided_until) != (theirs.n_rows, theirs.decided_from, theirs.decided_until):
        return f"A was measured on {_span(ours)}, B on {_span(theirs)}"
    return _different_rows(_test_rows(a), _test_rows(b))


def _span(test: TablePin) -> str:
    return f"{test.n_rows:,} test rows decided {test.decided_from[:16]} … {test.decided_until[:16]}"


def _different_rows(a: Examples, b: Examples) -> str:
    """Other inputs may be other columns; the decisions and what came of them must be the same."""
    if a.keys != b.keys:
        return "the test rows are not the same decisions"
    if a.outcomes.column_names != b.outcomes.column_names:
        return "the outcomes are not the same columns"
    if a.outcomes != b.outcomes:
        return "the same decisions have other outcomes, or other units"
    return ""


def _test_rows(case: _Case) -> Examples:
    return open_test_table(case.workspace, case.snapshot, case.docket.snapshot, case.docket.candidate)


# ── paired ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _compared(a: _Case, b: _Case, margins: Mapping[str, float]) -> Comparison:
    figures, slices = paired(_paired_evidence(a, b))
    unknown = sorted(set(margins) - {c.figure.metric for c in figures})
    if unknown:
        raise UsageError(
            f"No figure is named {unknown[0]}.",
            expected=f"one of {', '.join(c.figure.metric for c in figures)}",
            where=f"--margin {unknown[0]}",
        )
    held = stated_margins(b.contract, margins, figures)
    said, because = answer(figures, held, same_model=a.docket.candidate == b.docket.candidate)
    return _comparison(a, b, said, because, figures=figures, slices=slices, margins=held, n_rows=b.side.n_rows, n_units=b.side.n_units)


def _paired_evidence(a: _Case, b: _Case) -> Evidence:
    """B as the challenger of A. Each model is fed with the inputs that its own snapshot made of these rows."""
    from gonogo.evidence import measure

    b.workspace.progress("compare", "opens the test rows for both")
    of_a, of_b = _test_rows(a), _test_rows(b)
    model_a, model_b = (load_model(case.workspace, case.candidate, case.docket.candidate) for case in (a, b))
    b.workspace.progress("compare", "pairs every figure")
    return measure.measure(
        b.contract,
        find(b.contract.family),
        of_b,
        model_b.predict(of_b.inputs),
        model_a.predict(of_a.inputs),
        contract_digest=b.docket.contract,
        candidate_digest=b.docket.candidate,
        champion_digest=a.docket.candidate,
        champion_is="champion",
        snapshot_digest=b.docket.snapshot,
        table="test",
    )


def _unpaired(a: _Case, b: _Case, apart: str) -> Comparison:
    because = f"{apart}: whether B is better cannot be told from two intervals side by side"
    return _comparison(a, b, Answer.UNPAIRED, because, figures=side_by_side(a.evidence, b.evidence))


def _comparison(a: _Case, b: _Case, said: Answer, because: str, *, figures: tuple[Contrast, ...], **paired_only: Any) -> Comparison:
    rest: dict[str, Any] = {"slices": (), "margins": (), "n_rows": None, "n_units": None, **paired_only}
    return Comparison(
        answer=said,
        because=because,
        a=a.side,
        b=b.side,
        figures=figures,
        rulings=changed_rulings(a.verdict, b.verdict),
        changed=changes((a.contract, b.contract), (a.snapshot, b.snapshot), (a.candidate, b.candidate)),
        **rest,
    )
