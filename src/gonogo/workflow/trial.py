"""How does one rollout come before its judge: which lines of traffic, in which order, and what does he say?

What was observed is in the judge's log before the judge hears of it, together with how far the prediction log had been read. So a
controller that was killed goes on exactly behind the last block, and a judgement can be computed again from the log alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gonogo.data.labels import SET_TO
from gonogo.gates.allocation import Periods
from gonogo.gates.judge import Judge
from gonogo.serving.judgelog import JudgeLog, read_blocks
from gonogo.serving.labelclock import LabelClock, Moment, moment
from gonogo.serving.outcomes import Joined, OutcomeJoin, catch_up
from gonogo.serving.places import Places
from gonogo.serving.tail import Batch, Position, Tail
from gonogo.types.protocols import Metric
from gonogo.types.release import Judgement, Phase, Plan, Standing
from gonogo.types.traffic import OBSERVATION, ObservationKind
from gonogo.workflow.losses import Matured, losses
from gonogo.workflow.observe import Observations, mark, observations, share_of, shares_of

_MOST_AT_ONCE = 4096  # rows of each writer in one turn: a block of the judge's log holds what comes of them
_LONGEST_TICK_US, _SHORTEST_TICK_US = 1_000_000, 50_000
_TICKS_PER_BAKE = 20


class Trial:
    """One rollout under judgement. It owns the rollout's part of the judge's log; one process at a time may."""

    def __init__(
        self,
        places: Places,
        plan: Plan,
        standing: Standing,
        *,
        metrics: tuple[Metric | None, ...],
        output: str,
        absent: str,
        columns: tuple[str, ...],
        epoch: int,
        now_ns: int,
        moments: Callable[[], Moment] = moment,
    ) -> None:
        """Go on behind the last block; a rollout that begins is judged by what comes from now on.

        metrics: of `plan.losses`, in its order. output: the prediction column they read. absent: what the contract calls an outcome that
        did not come; columns: of an outcome. epoch: of the route when the
        stage began. Raises LogFailed where the log is damaged or another process holds it.
        """
        self.plan, self.rollout = plan, standing.rollout
        self._metrics, self._output = metrics, output
        self._negative = dict.fromkeys(columns, SET_TO["negative"])
        self._folder = places.judge_of(standing.rollout)
        self._log = JudgeLog(self._folder, wait_s=2.0)
        self.n_observed = 0
        self.has_moved = False  # whether the last `read` found more than time
        position: Position | None = None
        self._judge, self._stage = _judge(plan, standing, epoch), _stage(standing)
        self.periods = _periods(plan, standing, epoch)  # of a canary whose share a policy moves
        for block in read_blocks(self._folder):
            self._feed(block.observations)
            position = block.position
        self._join = _join(self._folder, plan, absent) if plan.losses else None
        if position is None:
            self._tail = Tail(places.log)
            begin = self._tail.skip()  # what was answered before a rollout is none of its evidence
            if self._join is not None:
                self._join.commit(begin)
        else:
            if self._join is not None:
                catch_up(self._join, places.log, (block.position for block in read_blocks(self._folder)))
            self._tail = Tail(places.log, position)
        self._moments = moments
        self.clock = LabelClock(self._folder / "clock.json", position.now_us if position else 0, moments())
        self._ticked_ns = now_ns
        self._keep(mark(ObservationKind.ALIVE, now_ns, standing.epoch))

    @property
    def stage(self) -> tuple[int, Phase, int]:
        """Which stage is judged: step, phase, and where it starts in the judge's log."""
        return self._stage

    @property
    def decided(self) -> bool:
        """Is harm shown, so that no further line needs to be waited for?"""
        return self._judge.decided

    def enter(self, standing: Standing, epoch: int) -> None:
        """Judge another stage, from where it starts. epoch: of the route when it began."""
        before = self._judge, self._stage, self.periods, self.n_observed
        self._judge, self._stage = _judge(self.plan, standing, epoch), _stage(standing)
        self.periods = _periods(self.plan, standing, epoch)
        self.n_observed = 0
        try:
            for block in read_blocks(self._folder):
                self._feed(block.observations)
        except BaseException:  # a judge who has heard a part of the evidence must never be asked
            self._judge, self._stage, self.periods, self.n_observed = before
            raise

    def read(self, now_ns: int, epoch: int) -> int:
        """Take what has come since: traffic, outcomes, and the time that passed. How many lines the judge was told."""
        told = 0
        self.has_moved = False
        while True:
            # Later at each poll: no two positions are alike, so each block can be told from the one before it.
            now_us = max(self.clock.now_us(self._moments()), self._tail.position.now_us + 1)
            batch = self._tail.poll(at_most=_MOST_AT_ONCE, now_us=now_us)
            lines = [observations(batch.frames, shares_of(self.plan)), self._losses(batch, now_us, now_ns)]
            if now_ns - self._ticked_ns >= 1000 * tick_us(self.plan, self._stage[0]):
                self._ticked_ns = now_ns
                lines.append(mark(ObservationKind.TICK, now_ns, epoch))
            self.has_moved |= len(batch) > 0
            found = np.concatenate(lines)
            if len(found) or len(batch):  # also rows of which the judge hears nothing: the join has taken them
                self._keep(found)
                told += len(found)
            if len(batch) < _MOST_AT_ONCE:
                return told

    @property
    def has_news(self) -> bool:
        """Has traffic come since the last `read`? A new worker's first rows are only found by reading."""
        return self._tail.has_news

    def judgement(self) -> Judgement:
        """What the evidence of the stage says now."""
        return self._judge.judgement()

    def keeps_time(self, resumed: int) -> str:
        """What a person must say of the clocks by which label windows close; "" where nothing.

        resumed: the last entry by which a person let the release go on after they had been asked about them; 0 for none.
        """
        if self._join is None:
            return ""
        now = self._moments()
        if resumed > self.clock.confirmed:
            self.clock.confirm(now, resumed)
        return self.clock.trouble(now)

    def asked_about_time(self) -> None:
        """A person is asked: the ledger says so."""
        self.clock.ask(self._moments())

    def sync(self) -> None:
        """Return once the disk holds all that the judge was told."""
        self._log.sync()

    def close(self) -> None:
        """Give the log back."""
        self._log.close()
        if self._join is not None:
            self._join.close()

    def _losses(self, batch: Batch, now_us: int, now_ns: int) -> Observations:
        if self._join is None:
            return np.zeros(0, OBSERVATION)
        joined = self._join.take(batch, now_us, now_ns)
        return losses(_matured(joined, self._negative, shares_of(self.plan)), self._metrics, self._output)

    def _keep(self, lines: Observations) -> None:
        """First the judge's log, then the join, then the judge: whatever is cut off is done again from the log."""
        self._log.append(lines, self._tail.position)
        if self._join is not None:
            self._join.commit(self._tail.position)
        self._feed(lines)

    def _feed(self, lines: Observations) -> None:
        """Tell the judge the lines that belong to his stage."""
        before = max(0, self._stage[2] - self.n_observed)
        self.n_observed += len(lines)
        if before < len(lines):
            self._judge.take(lines[before:])
            if self.periods is not None:
                self.periods.take(lines[before:])


def warm(plan: Plan) -> None:
    """Have the judge's loops compiled, or read from where they were kept, before anybody waits for him."""
    judge = Judge(plan, 0, epoch=1)
    judge.take(mark(ObservationKind.TICK, 1, 1))
    judge.judgement()


def tick_us(plan: Plan, step: int) -> int:
    """How often the judge is told that time passed: often enough for the shortest stage, once a second at most."""
    bake = plan.stages[step].bake_us if 0 <= step < len(plan.stages) else 0
    if plan.moves is not None:  # periods end with a tick
        bake = min(bake, plan.moves.every_us)
    return min(max(bake // _TICKS_PER_BAKE, _SHORTEST_TICK_US), _LONGEST_TICK_US)


def _judge(plan: Plan, standing: Standing, epoch: int) -> Judge:
    return Judge(plan, standing.step, standing.certified, epoch=epoch, first_epoch=standing.first_epoch, start=standing.start)


def _periods(plan: Plan, standing: Standing, epoch: int) -> Periods | None:
    if plan.moves is None or standing.phase is not Phase.CANARY:
        return None
    return Periods(plan, standing.step, epoch=epoch, first_epoch=standing.first_epoch, start=standing.start)


def _stage(standing: Standing) -> tuple[int, Phase, int]:
    return standing.step, standing.phase, standing.start


def _join(folder: Path, plan: Plan, absent: str) -> OutcomeJoin:
    return OutcomeJoin(folder / "join.sqlite", window_us=plan.label_window_us, absent=absent)


def _matured(joined: Joined, negative: Mapping[str, Any], shares: tuple[float, ...]) -> Matured:
    rows = joined.rows
    values = [negative if absent else outcome for absent, outcome in zip(rows["absent"].tolist(), joined.outcomes, strict=True)]
    return Matured(
        at_ns=rows["at_ns"],
        unit=rows["unit"],
        slices=rows["slices"],
        epoch=rows["epoch"],
        arm=rows["arm"],
        status=rows["status"],
        share=share_of(rows["arm"], rows["propensity"], shares),
        own=rows["score"],
        other=rows["other"],
        outcomes={name: [value.get(name) for value in values] for name in negative},
    )
