"""Which findings on the data are still open?

A finding blocks where it is open, and where its check was skipped: a check that did not run has found nothing out. A waiver covers the
finding of its code at its place, and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gonogo.types.snapshot import FindingStatus

if TYPE_CHECKING:
    from gonogo.types.record import Digest
    from gonogo.types.snapshot import Finding

BLOCKING = (FindingStatus.OPEN, FindingStatus.SKIPPED)


class Waiver(NamedTuple):
    """One entry of the ledger with which somebody answers for a finding."""

    hash: Digest  # of the ledger entry; who and why stand there
    code: str  # the finding's code
    where: str  # the finding's place


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenFindings:
    """What blocks, what was waived, and by which entries."""

    blocking: tuple[Finding, ...]
    waived: tuple[Finding, ...]
    waivers: tuple[Digest, ...]  # those that cover a finding of this snapshot, in the order they were given


def open_findings(findings: tuple[Finding, ...], waivers: tuple[Waiver, ...]) -> OpenFindings:
    """The findings that block, and those that a waiver covers."""
    covered = {(waiver.code, waiver.where) for waiver in waivers}
    troubled = tuple(f for f in findings if f.status in BLOCKING)
    places = {(f.code, f.where) for f in troubled}
    return OpenFindings(
        blocking=tuple(f for f in troubled if (f.code, f.where) not in covered),
        waived=tuple(f for f in troubled if (f.code, f.where) in covered),
        waivers=tuple(dict.fromkeys(w.hash for w in waivers if (w.code, w.where) in places)),
    )


def findings_sentence(found: OpenFindings, n_checked: int) -> str:
    """Every blocking finding by place and reason; how many were waived."""
    waived = f" {len(found.waived)} waived: {', '.join(f.where for f in found.waived)}." if found.waived else ""
    if not found.blocking:
        return f"{n_checked:,} checks left nothing open.{waived}"
    named = " ".join(f"{f.where} ({f.code}{_skipped(f)}): {f.sentence.rstrip('.')}." for f in found.blocking)
    count = "1 finding is" if len(found.blocking) == 1 else f"{len(found.blocking)} findings are"
    return f"{count} open. {named}{waived}"


def _skipped(finding: Finding) -> str:
    return ", could not run" if finding.status is FindingStatus.SKIPPED else ""
