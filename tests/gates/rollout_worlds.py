"""Small rollouts and streams of traffic with known truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gonogo.types.allocation import Moves
from gonogo.types.record import digest
from gonogo.types.release import Judgement, Phase, Plan, Stage, Standing, Watch, WatchRuling
from gonogo.types.traffic import OBSERVATION, AnswerStatus, Arm, ObservationKind
from gonogo.types.verdict import Status

MINUTE_US = 60_000_000
SHARE = 0.2
EPOCH = 7


def watch(metric: str = "errors", **more: Any) -> Watch:
    kinds = {"errors": "count", "fallbacks": "count", "prediction": "distribution", "latency_p95": "latency", "latency_p50": "latency"}
    kind = kinds.get(metric, "loss")
    given: dict[str, Any] = {
        "name": metric, "metric": metric, "kind": kind, "slice": "", "slice_bit": -1, "action": "rollback",
        "ratio_at_most": 2.0 if kind in ("count", "distribution") else None, "rate_at_most": None,
        "at_most": {"loss": 0.1, "latency": 100.0}.get(kind), "low": 0.0 if kind == "loss" else None,
        "high": 1.0 if kind == "loss" else None, "alpha_harm": 0.005, "alpha_certificate": 0.01, "loss": 0 if kind == "loss" else -1,
    }  # fmt: skip
    return Watch(**{**given, **more})


WATCHES = {
    "count": watch(),
    "rate": watch("fallbacks", ratio_at_most=None, rate_at_most=0.05),
    "latency": watch("latency_p95"),
    "latency ratio": watch("latency_p95", at_most=None, ratio_at_most=2.0),
    "distribution": watch("prediction"),
    "loss": watch("brier"),
}
STAGES = (
    Stage(phase=Phase.SHADOW, share=0.0, bake_us=20 * MINUTE_US, patience_us=600 * MINUTE_US),
    Stage(phase=Phase.CANARY, share=SHARE, bake_us=20 * MINUTE_US, patience_us=600 * MINUTE_US),
    Stage(phase=Phase.CANARY, share=0.5, bake_us=20 * MINUTE_US, patience_us=600 * MINUTE_US, needs_approval=True),
    Stage(phase=Phase.FULL, share=1.0, bake_us=20 * MINUTE_US, patience_us=600 * MINUTE_US),
    Stage(phase=Phase.PROBATION, share=1.0, bake_us=60 * MINUTE_US, patience_us=600 * MINUTE_US),
)
SHADOW, CANARY, HALF, FULL, PROBATION = range(5)


MOVES = Moves(reward="errors", lowest=0.01, highest=0.6, step=0.1, every_us=MINUTE_US)


def plan(*watches: Watch, slices: tuple[str, ...] = (), stages: tuple[Stage, ...] = STAGES, **more: Any) -> Plan:
    watches = watches or (WATCHES["count"],)
    given: dict[str, Any] = {
        "contract": "c", "contract_name": "flights", "verdict": "v", "champion": "old", "challenger": "new", "method": "canary",
        "salt": "s", "bucket_by": "tailnum", "alpha": 0.05, "stages": stages, "watches": watches, "slices": slices,
        "losses": ("brier",), "probation_us": 60 * MINUTE_US, "label_window_us": MINUTE_US,
    }  # fmt: skip
    return Plan(**{**given, **more})


def answers(
    n: int,
    *,
    rates: tuple[float, float] = (0.02, 0.02),
    share: float = SHARE,
    seed: int = 0,
    units: int = 0,
    epoch: int = EPOCH,
    **more: Any,
) -> np.ndarray:
    """Answers of a canary: each unit's arm is drawn by the share, and each arm errs at its own rate."""
    rng = np.random.default_rng(seed)
    lines = np.zeros(n, OBSERVATION)
    lines["kind"], lines["epoch"], lines["share"], lines["value"], lines["other"] = ObservationKind.ANSWER, epoch, share, np.nan, np.nan
    lines["unit"] = np.arange(1, n + 1) if not units else rng.integers(1, units + 1, n)
    dealt = np.random.default_rng(seed + 1).uniform(size=(units or n) + 1) < share
    lines["arm"] = dealt[lines["unit"].astype(np.int64)]
    erred = rng.uniform(size=n) < np.where(lines["arm"] == 1, rates[1], rates[0])
    lines["status"] = np.where(erred, AnswerStatus.ERRED, AnswerStatus.ANSWERED)
    lines["latency_us"] = rng.integers(1_000, 50_000, n)
    lines["score"] = rng.uniform(size=n)
    for name, value in more.items():
        lines[name] = value
    return lines


def shadowed(
    n: int, *, rates: tuple[float, float] = (0.02, 0.02), seed: int = 0, live: Arm = Arm.CHAMPION, epoch: int = EPOCH
) -> np.ndarray:
    """Each request answered by one arm and then shown to the other: 2n lines."""
    rng = np.random.default_rng(seed)
    first = answers(n, rates=rates, share=0.0 if live is Arm.CHAMPION else 1.0, seed=seed, epoch=epoch)
    first["arm"] = live
    second = first.copy()
    second["kind"], second["arm"] = ObservationKind.SHADOW, 1 - live
    for lines, arm in ((first, live), (second, 1 - live)):
        lines["status"] = np.where(rng.uniform(size=n) < rates[arm], AnswerStatus.ERRED, AnswerStatus.ANSWERED)
    second["score"] = np.clip(first["score"] + rng.normal(0, 0.01, n), 0, 1)
    return np.stack([first, second], axis=1).ravel()


def losses(n: int, *, worse: float = 0.0, seed: int = 0, first_unit: int = 1, epoch: int = EPOCH, **more: Any) -> np.ndarray:
    """Matured outcomes: both arms' losses on one row, the challenger's worse by that much on average."""
    rng = np.random.default_rng(seed)
    lines = np.zeros(n, OBSERVATION)
    lines["kind"], lines["epoch"], lines["unit"] = ObservationKind.LOSS, epoch, np.arange(first_unit, first_unit + n)
    lines["arm"] = rng.uniform(size=n) < SHARE
    champion = rng.uniform(0.2, 0.4, n)
    challenger = champion + worse + rng.normal(0, 0.02, n)
    lines["value"] = np.where(lines["arm"] == 1, challenger, champion)
    lines["other"] = np.where(lines["arm"] == 1, champion, challenger)
    for name, value in more.items():
        lines[name] = value
    return lines


def ticks(minutes: float, n: int = 1, *, begin: float = 0.0) -> np.ndarray:
    """So many ticks, spread over so many minutes of the monotonic clock."""
    lines = np.zeros(n, OBSERVATION)
    lines["kind"] = ObservationKind.TICK
    lines["at_ns"] = np.linspace(begin, begin + minutes, n + 1)[1:] * 60e9
    return lines


def mixed(*streams: np.ndarray) -> np.ndarray:
    """Streams laid into one another evenly, each in its own order."""
    place = np.concatenate([np.arange(1, len(stream) + 1) / (len(stream) + 1) for stream in streams])
    return np.concatenate(streams)[np.argsort(place, kind="stable")]


def standing(plan: Plan, step: int = CANARY, **more: Any) -> Standing:
    stage = plan.stages[step] if 0 <= step < len(plan.stages) else None
    given: dict[str, Any] = {
        "rollout": digest(plan), "contract": "flights", "phase": stage.phase if stage else Phase.REGISTERED, "step": step,
        "share": stage.share if stage else 0.0, "epoch": EPOCH, "held": "", "waits_for_approval": False, "since_seq": 3, "why": "",
    }  # fmt: skip
    return Standing(**{**given, **more})


def ruling(status: Status = Status.PASS, action: str = "rollback", name: str = "errors") -> WatchRuling:
    return WatchRuling(
        watch=name, metric=name, slice="", status=status, action=action, log10_e_harm=None, log10_e_safe=None, value=None, low=None,
        high=None, n_champion=1, n_challenger=1, sentence=f"{name} {status.value}.",
    )  # fmt: skip


def judgement(plan: Plan, step: int = CANARY, *rulings: WatchRuling, **more: Any) -> Judgement:
    rulings = rulings or (ruling(),)
    given: dict[str, Any] = {
        "plan": digest(plan), "step": step, "cut": 10, "status": max((r.status for r in rulings), key=list(Status).index),
        "rulings": rulings, "baked_us": plan.stages[step].bake_us, "sample_ratio_log10_e": None, "alpha_spent": 0.01,
        "certified": ("errors",), "sentence": "said.", "epoch": EPOCH,
    }  # fmt: skip
    return Judgement(**{**given, **more})


def with_stage(plan: Plan, step: int, **more: Any) -> Plan:
    """The same plan with one stage changed."""
    stages = list(plan.stages)
    stages[step] = replace(stages[step], **more)
    return replace(plan, stages=tuple(stages))
