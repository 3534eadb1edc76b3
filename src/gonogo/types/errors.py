"""Which mistakes can gonogo report, and what does each one ask the reader to do?

    GonogoError                    every one carries code, found, expected, where, next
    ├── UserError                  exit 2: the caller can mend it
    │   ├── UsageError             GNG-U001  a command or call that makes no sense
    │   ├── UnknownCode            GNG-U002  `explain` of a code that does not exist
    │   ├── ContractRefused        GNG-C001  the contract as a whole; holds every problem
    │   ├── FamilyUnknown          GNG-C002  no installed plugin has that name
    │   ├── PolicyUnknown          GNG-C003  no installed policy of allocation has that name
    │   ├── ExtraMissing           GNG-U003  an optional dependency is not installed
    │   ├── BudgetSpent            GNG-T001  a training that takes longer than its budget
    │   ├── RequestRefused         GNG-H001  a request that is not what the contract or the protocol says
    │   ├── NotAuthenticated       GNG-H002  no key or token, or one that is not known
    │   ├── NotPermitted           GNG-H003  a key or token without the scope
    │   ├── TooMuch                GNG-H004  a body, batch, rate or concurrency above its limit
    │   ├── NothingThere           GNG-H005  a path, contract, model or job that is not served here
    │   ├── ReleaseRefused         GNG-O001  a release that may not start, or a step that is not in the table
    │   └── DataError              GNG-D001  the data cannot be what the contract says
    │       ├── SourceUnreadable   GNG-D002  missing, corrupt, of a wrong encoding
    │       ├── SourceEmpty        GNG-D003  a source with no rows at all
    │       ├── ColumnMissing      GNG-D004  a column that the contract names is not there
    │       ├── ColumnMistyped     GNG-D005  a column of another type than is needed
    │       ├── TimeRefused        GNG-D006  naive, null or absurd times
    │       ├── KeysRefused        GNG-D007  null or duplicate keys
    │       ├── OutcomeRefused     GNG-D008  an outcome nothing can be learnt from
    │       ├── SplitRefused       GNG-D009  a split that leaves a table empty
    │       ├── ScaleRefused       GNG-D010  a value that fixed point cannot hold exactly
    │       ├── SqlRefused         GNG-D011  SQL that does not run, reaches outside its table, or does not repeat
    │       └── OutcomeConflict    GNG-D012  two outcomes of one key that differ
    └── HouseError                 exit 3: gonogo or its surroundings failed; nothing was decided
        ├── StorageFailed          GNG-S001  disk full, unreadable, not permitted
        ├── MemoryExhausted        GNG-S002  the work does not fit into this machine's memory
        ├── LogFailed              GNG-S003  the prediction log cannot be written or read
        ├── LedgerBusy             GNG-L001  another writer holds the ledger
        ├── LedgerBroken           GNG-L002  the chain does not verify
        ├── LedgerRefused          GNG-L004  a file that is no ledger, or one of a newer gonogo
        ├── BlobCorrupt            GNG-A001  stored bytes are not those that were recorded
        ├── ArtifactRefused        GNG-A002  an artifact of a shape or version we do not load
        ├── PackageRefused         GNG-A003  a packaged model that does not answer its probes as it did when it was packaged
        ├── ControllerBusy         GNG-O002  another controller holds this folder
        ├── NotConfirmed           GNG-O003  a command is recorded, and not every worker has confirmed it
        ├── PolicyFailed           GNG-O004  a policy that moves shares raised, gave no number, or said two things of the same
        ├── Unavailable            GNG-H006  nothing can answer: no model is loaded, or the server is draining
        ├── RecordUnknown          GNG-L003  no record of that digest
        ├── ParityBroken           GNG-P001  two computations of one feature differ
        └── ReplayDiffers          GNG-R001  a verdict that does not rebuild to the same bytes

Too few units, missing or unreadable evidence inside a gate is no exception: it is a ruling (see verdict.py).
"""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import ClassVar


class GonogoError(Exception):
    """A failure with a stable code, written for the person who must act.

    message:  one sentence that says what is wrong, with the numbers.
    found:    what was there; expected: what should have been, and where that is written.
    where:    file and line, or source, table and column.
    next:     the step to take.
    """

    code: ClassVar[str] = "GNG-0000"
    exit_status: ClassVar[int] = 3

    def __init__(self, message: str, *, found: str = "", expected: str = "", where: str = "", next: str = "") -> None:  # noqa: A002
        super().__init__(message)
        self.message = message
        self.found = found
        self.expected = expected
        self.where = where
        self.next = next or f"gonogo explain {self.code}"

    def __str__(self) -> str:
        """The one place where the text is built."""
        parts = [f"{self.code}: {self.message}"]
        for name in ("where", "found", "expected", "next"):
            text = getattr(self, name)
            if text:
                parts.append(f"  {name:<9} {text}")
        return "\n".join(parts)

    def as_record(self) -> dict[str, object]:
        """The same failure for a machine, as it crosses the command line and HTTP."""
        return {
            "code": self.code,
            "message": self.message,
            "found": self.found,
            "expected": self.expected,
            "where": self.where,
            "next": self.next,
        }


class UserError(GonogoError):
    """The caller can mend it: a command, a contract or data."""

    exit_status = 2


class UsageError(UserError):
    """A command or call that makes no sense."""

    code = "GNG-U001"


class UnknownCode(UserError):
    """`gonogo explain` of a code that does not exist."""

    code = "GNG-U002"


class ExtraMissing(UserError):
    """An optional dependency is needed and not installed."""

    code = "GNG-U003"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong in a contract."""

    where: str  # "contract.toml:12"
    key: str  # "gates#2.at_most": the second [[gates]]; "" is the contract as a whole
    line: int  # counted from 1
    message: str  # one sentence
    found: str = ""
    expected: str = ""
    nearest: str = ""  # the known key or name that was probably meant
    next: str = ""  # the fix

    def text(self, *, width: int = 0) -> str:
        """The problem as lines of text, its place padded to `width`."""
        lines = [f"{self.where:<{width}}  {self.message}"]
        for name in ("found", "expected", "next"):
            said = textwrap.wrap(getattr(self, name), 110, break_long_words=False, break_on_hyphens=False)
            lines.extend(f"{'':<{width}}    {'' if more else name:<9} {line}" for more, line in enumerate(said))
        return "\n".join(lines)


class ContractRefused(UserError):
    """The contract as a whole is refused: `problems` holds everything that is wrong with it, in the order of its lines."""

    code = "GNG-C001"
    most_shown: ClassVar[int] = 50  # as text; the record holds all

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
        first = problems[0]
        super().__init__(
            f"the contract is refused as a whole, for {count}.",
            found=first.message if len(problems) == 1 else f"{count}, the first: {first.message}",
            expected=first.expected,
            where=first.where,
            next=first.next,
        )
        self.problems = problems

    def __str__(self) -> str:
        """Every problem with its line, what was found and expected, and the fix."""
        shown = self.problems[: self.most_shown]
        width = max(len(problem.where) for problem in shown)
        parts = [f"{self.code}: {self.message}", *(problem.text(width=width) for problem in shown)]
        if len(self.problems) > len(shown):
            parts.append(f"… and {len(self.problems) - len(shown):,} more")
        return "\n".join([*parts, f"next: mend them; `gonogo explain contract` lists every key, `gonogo explain {self.code}` shows how"])

    def as_record(self) -> dict[str, object]:
        """The record of any error, with every problem in it."""
        return {**super().as_record(), "problems": [asdict(problem) for problem in self.problems]}


class FamilyUnknown(UserError):
    """No installed plugin has the family's name."""

    code = "GNG-C002"


class PolicyUnknown(UserError):
    """No installed policy of allocation has that name."""

    code = "GNG-C003"


class BudgetSpent(UserError):
    """A training that takes longer than budget.training_s: half a model is no model, and would not repeat."""

    code = "GNG-T001"


class RequestRefused(UserError):
    """A request that is not what the contract or the protocol says."""

    code = "GNG-H001"


class NotAuthenticated(UserError):
    """No key or token was given, or one that is not known."""

    code = "GNG-H002"


class NotPermitted(UserError):
    """The key or token lacks the scope."""

    code = "GNG-H003"


class TooMuch(UserError):
    """A body, batch, rate or concurrency above its limit."""

    code = "GNG-H004"


class NothingThere(UserError):
    """A path, contract, model or job that is not served here."""

    code = "GNG-H005"


class ReleaseRefused(UserError):
    """A release that may not start, or a step that is not in the table."""

    code = "GNG-O001"


class DataError(UserError):
    """The data cannot be what the contract says."""

    code = "GNG-D001"


class SourceUnreadable(DataError):
    """A source is missing, corrupt, ragged or of a wrong encoding."""

    code = "GNG-D002"


class SourceEmpty(DataError):
    """A source has no rows."""

    code = "GNG-D003"


class ColumnMissing(DataError):
    """A column that the contract or the model needs is not there."""

    code = "GNG-D004"


class ColumnMistyped(DataError):
    """A column has another type than is needed."""

    code = "GNG-D005"


class TimeRefused(DataError):
    """A time is naive, null where it must not be, or absurd."""

    code = "GNG-D006"


class KeysRefused(DataError):
    """Keys are null or stand twice."""

    code = "GNG-D007"


class OutcomeRefused(DataError):
    """An outcome from which nothing can be learnt: not finite, of one class only."""

    code = "GNG-D008"


class SplitRefused(DataError):
    """A split that leaves a table empty."""

    code = "GNG-D009"


class ScaleRefused(DataError):
    """A value that the declared fixed point cannot hold, or whose sum could overflow 64 bits."""

    code = "GNG-D010"


class SqlRefused(DataError):
    """SQL of the contract that does not run, reads more than its table, or would answer differently on another day."""

    code = "GNG-D011"


class OutcomeConflict(DataError):
    """Two outcomes of one key that differ."""

    code = "GNG-D012"


class HouseError(GonogoError):
    """gonogo or its surroundings failed; nothing was decided."""

    exit_status = 3


class StorageFailed(HouseError):
    """The disk is full, unreadable or not permitted."""

    code = "GNG-S001"


class MemoryExhausted(HouseError):
    """The work does not fit into this machine's memory."""

    code = "GNG-S002"


class LogFailed(HouseError):
    """The prediction log cannot be written or read."""

    code = "GNG-S003"


class Unavailable(HouseError):
    """Nothing can answer: no model is loaded, or the server is draining."""

    code = "GNG-H006"


class PackageRefused(HouseError):
    """A packaged model that does not answer its probes as it did when it was packaged."""

    code = "GNG-A003"


class ControllerBusy(HouseError):
    """Another controller holds this folder."""

    code = "GNG-O002"


class NotConfirmed(HouseError):
    """A command is recorded, and not every worker has confirmed it yet."""

    code = "GNG-O003"


class PolicyFailed(HouseError):
    """A policy that moves the share of a canary raised, gave no number, or said two things of the same."""

    code = "GNG-O004"


class LedgerBusy(HouseError):
    """Another writer holds the ledger."""

    code = "GNG-L001"


class LedgerBroken(HouseError):
    """The hash chain does not verify."""

    code = "GNG-L002"


class LedgerRefused(HouseError):
    """A file that is no ledger, or a ledger of a version that is not read."""

    code = "GNG-L004"


class RecordUnknown(HouseError):
    """No record of that digest is stored."""

    code = "GNG-L003"


class BlobCorrupt(HouseError):
    """Stored bytes are not those that were recorded."""

    code = "GNG-A001"


class ArtifactRefused(HouseError):
    """An artifact of a shape or version that is not loaded."""

    code = "GNG-A002"


class ParityBroken(HouseError):
    """Two computations of one feature differ."""

    code = "GNG-P001"


class ReplayDiffers(HouseError):
    """A verdict that does not rebuild to the same bytes."""

    code = "GNG-R001"
