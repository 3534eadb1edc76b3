"""When is a policy asked for the next share, and what becomes of its answer?

Once for each period that has closed, by what `gates/allocation` says; between two periods nothing is remembered that is not in the ledger
or in the judge's log, so a controller that was killed asks the same question again and gets the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from gonogo.gates import allocation
from gonogo.gates.allocation import Periods
from gonogo.gates.rollout import Move, allocate
from gonogo.ledger.rollouts import ALLOCATION
from gonogo.types.allocation import Allotment
from gonogo.types.entry import Entry
from gonogo.types.release import Judgement, Plan, Standing
from gonogo.workflow.policies import Installed, find


class Allocating:
    """The policy of one rollout under way."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._installed: Installed | None = None
        self._allotment: Allotment | None = None

    def move(self, now: Standing, periods: Periods, judgement: Judgement | None, entries: Iterable[Entry]) -> tuple[Move, Allotment] | None:
        """What is to be done at the end of the newest period; None where the share stays.

        entries: of the contract, by which it is known which period was the last that moved the share. Raises PolicyUnknown for a policy
        that is no longer installed, PolicyFailed for one that gives no share.
        """
        closed = periods.closed
        if closed is None or closed.period <= last_period(entries, now) or why_frozen(self.plan, now, periods, judgement):
            return None
        assert judgement is not None
        if self._allotment is None or (self._allotment.seen.period, self._allotment.seen.share) != (closed.period, now.share):
            self._installed = self._installed or find(self.plan.allocation)
            self._allotment = allocation.allot(periods, closed, now.share, self._installed.policy, self._installed.version)
        given = self._allotment.share
        if given == now.share or (given > now.share and allocation.doubted(self.plan, judgement)):
            return None
        return allocate(self.plan, now, given, why=self._allotment.sentence, period=closed.period), self._allotment


def why_frozen(plan: Plan, now: Standing, periods: Periods, judgement: Judgement | None) -> str:
    """Why the share may not move now; "" where it may."""
    if periods.closed is not None and periods.closed.is_empty:
        return "nothing of the reward was seen on one of the two models in the last period"
    return allocation.frozen(plan, now, judgement)


def last_period(entries: Iterable[Entry], now: Standing) -> int:
    """The last period of this canary at whose end the share moved; 0 before the first."""
    moved = (e for e in entries if e.kind == "rollout_step" and e.body.get("because") == ALLOCATION)
    return max((int(e.body.get("period", 0)) for e in moved if e.body.get("rollout") == now.rollout), default=0)
