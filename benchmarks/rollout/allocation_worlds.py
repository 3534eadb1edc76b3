"""A canary whose share a policy moves: units that come back, the product's own judge and policy, and known truth.

Units arrive as the world says and are asked again and again; a unit's bucket is drawn once, and its arm is the challenger's while that lies
below the share. Each period the judge and the policy's accounting read the lines, then the policy moves the share as the controller does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gonogo.gates import allocation
from gonogo.gates.judge import Judge
from gonogo.types.allocation import Moves, Seen
from gonogo.types.record import digest
from gonogo.types.release import Judgement, Phase, Plan, Stage, Standing, Watch
from gonogo.types.traffic import OBSERVATION, ObservationKind
from gonogo.types.verdict import Status

PERIOD_NS = 60_000_000_000


@dataclass(frozen=True, kw_only=True)
class World:
    """rates: of errors, champion and challenger. frail: a share of units whose rates are `frailty` times as high. units: 0 for a new one on
    each request. late: the period from which the challenger's rate holds; before, it is the champion's. both: a second guardrail on
    fallbacks, where half of them are errors."""

    rates: tuple[float, float] = (0.02, 0.02)
    units: int = 0
    frail: float = 0.0
    frailty: float = 1.0
    requests: int = 500  # a period
    periods: int = 40
    late: int = 0
    both: bool = False


@dataclass(frozen=True, kw_only=True)
class Course:
    """What became of one rollout, looked at after every request."""

    shares: tuple[float, ...]
    harm_at: int  # period in which harm was shown; -1: never
    certified_at: int
    regret: float  # errors that callers may expect beyond those of the better model; after a rollback the champion answers
    judgement: Judgement


def plan(world: World, policy: str, *, share: float, moves: Moves | None, ratio: float = 2.0, alpha: float = 0.05) -> Plan:
    watches = tuple(
        Watch(
            name=metric,
            metric=metric,
            kind="count",
            slice="",
            slice_bit=-1,
            action="rollback",
            ratio_at_most=ratio,
            rate_at_most=None,
            at_most=None,
            low=None,
            high=None,
            alpha_harm=alpha,
            alpha_certificate=alpha,
        )
        for metric in (("errors", "fallbacks") if world.both else ("errors",))
    )
    return Plan(
        contract="c", contract_name="n", verdict="v", champion="a", challenger="b", method="adaptive" if moves else "ab", salt="s",
        bucket_by="k", alpha=alpha, stages=(Stage(phase=Phase.CANARY, share=share, bake_us=0, patience_us=10**15),), watches=watches,
        slices=(), losses=(), probation_us=0, label_window_us=0, allocation=policy if moves else "", moves=moves,
    )  # fmt: skip


MOVES = Moves(reward="errors", lowest=0.02, highest=0.9, step=0.2, every_us=60_000_000)


def run(
    world: World,
    policy: Callable[[Seen], float],
    *,
    seed: int,
    share: float = 0.1,
    moves: Moves | None = MOVES,
    split: bool = True,
    knowing: bool = False,
    stops: bool = True,
    **more,
) -> Course:
    """One rollout. moves: None for a share that stays. split: False judges steered units like the others, which is not valid.

    knowing: instead of a policy, somebody moves the share who knows the bucket of every unit that steers (of every unit, without the split)
    and wants the next first events to fall on the challenger more often than the share says. Nobody can do worse.
    stops: False goes on after harm was shown.
    """
    rng = np.random.default_rng(seed)
    its = plan(world, getattr(policy, "__name__", "p"), share=share, moves=moves, **more)
    judge = Judge(its, 0, epoch=1)
    if not split:
        judge.rules.c["steered"] = 0
    periods = allocation.Periods(its, 0, epoch=1) if moves else None
    names = rng.integers(1, 2**63, world.units or world.requests * world.periods, dtype=np.uint64) * np.uint64(2)
    names |= np.uint64(1)
    names ^= rng.integers(0, 2, len(names), dtype=np.uint64) << np.uint64(63)
    buckets, odd = rng.uniform(size=len(names)), rng.uniform(size=len(names)) < world.frail
    shares, had = [share], np.zeros(len(names), np.bool_)
    harm_at = certified_at = -1
    regret = 0.0
    for period in range(world.periods):
        n = world.requests
        who = rng.integers(0, world.units, n) if world.units else np.arange(period * n, (period + 1) * n)
        lines = np.zeros(n + 1, OBSERVATION)
        arm = buckets[who] < share
        rate = np.where(arm & (period >= world.late), world.rates[1], world.rates[0])
        erred = rng.uniform(size=n) < np.minimum(rate * np.where(odd[who], world.frailty, 1.0), 1.0)
        stale = ~erred & (rng.uniform(size=n) < np.minimum(world.rates[0] * np.where(odd[who], world.frailty, 1.0), 1.0))
        lines["kind"], lines["epoch"], lines["share"] = ObservationKind.ANSWER, period + 1, np.float32(share)
        lines["unit"][:n], lines["arm"][:n], lines["status"][:n] = names[who], arm, np.where(erred, 2, np.where(stale & world.both, 1, 0))
        lines["latency_us"], lines["value"], lines["other"] = 1000, np.nan, np.nan
        lines["kind"][n], lines["at_ns"][n], lines["unit"][n] = ObservationKind.TICK, (period + 1) * PERIOD_NS, 0
        if period == 0:
            tick = lines[-1:].copy()
            tick["at_ns"] = 1
            lines = np.concatenate([tick, lines])
        judge.take(lines)
        regret += _regret(world, arm, period)
        if judge.state.t["failed"].any() and harm_at < 0:
            harm_at = period
            if stops:
                regret += sum(_regret(world, np.zeros(n, np.bool_), left) for left in range(period + 1, world.periods))
                break
        if certified_at < 0 and judge.state.t["certified"].all():
            certified_at = period
        if knowing:
            had |= np.bincount(who, weights=erred, minlength=len(names)) > 0
            left = buckets[~had & (names >= 2**63)] if split else buckets[~had]
            share = _most_unlike(left, share)
        elif periods is not None:
            periods.take(lines)
            share = _next(its, periods, judge, policy, share)
        shares.append(share)
    return Course(
        shares=tuple(shares),
        harm_at=harm_at,
        certified_at=certified_at,
        regret=regret,
        judgement=judge.judgement(),
    )


def _regret(world: World, arm: np.ndarray, period: int) -> float:
    champion, challenger = world.rates if period >= world.late else (world.rates[0], world.rates[0])
    return float(np.where(arm, challenger, champion).sum() - len(arm) * min(champion, challenger))


def _most_unlike(left: np.ndarray, share: float) -> float:
    """The share, a step away at most, below which the most units lie beyond what it says, by the likelihood."""
    if not len(left):
        return share
    lowest, highest = max(share - MOVES.step, MOVES.lowest), min(share + MOVES.step, MOVES.highest)
    at = np.arange(round(lowest * 1000), round(highest * 1000) + 1) / 1000
    below = np.searchsorted(np.sort(left), at) / len(left)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.nan_to_num(below * np.log(below / at)) + np.nan_to_num((1 - below) * np.log((1 - below) / (1 - at)))
    return float(at[np.argmax(np.where(below > at, apart, -apart))])


def _next(its: Plan, periods: allocation.Periods, judge: Judge, policy: Callable[[Seen], float], share: float) -> float:
    """As the controller does it."""
    closed = periods.closed
    if closed is None or closed.is_empty:
        return share
    judgement = judge.judgement()
    now = Standing(
        rollout=digest(its), contract="n", phase=Phase.CANARY, step=0, share=share, epoch=1, held="", waits_for_approval=False, since_seq=1,
        why="",
    )  # fmt: skip
    if allocation.frozen(its, now, judgement):
        return share
    given = allocation.allot(periods, closed, share, policy, "").share
    return share if given > share and allocation.doubted(its, judgement) else given


def greedy(seen: Seen) -> float:
    """All or nothing by the last period alone: as strong a dependence on the data as the bounds let through."""
    ours, theirs = seen.lately_challenger.mean, seen.lately_champion.mean
    return 1.0 if (ours or 0.0) >= (theirs or 0.0) else 0.0


def spiteful(seen: Seen) -> float:
    """More traffic where the challenger errs less: the share is high whenever its units had no event yet, so theirs are still to come."""
    return 1.0 if (seen.challenger.mean or 0.0) > 0.995 * (seen.champion.mean or 0.0) else 0.0


__all__ = ["MOVES", "Course", "Status", "World", "greedy", "plan", "run", "spiteful"]
