"""Which combinations of an adaptive rollout's keys are impossible?

Beside `contract_rules`, which asks this of the whole contract: the reward is one of its guardrails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gonogo.types.allocation import GRID
from gonogo.types.contract import Contract, Guardrail, Rollout
from gonogo.types.time import duration_us
from gonogo.types.toml_values import nearest, shown

SHARES = ("share_at_least", "share_at_most", "step_at_most")
_OFF = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrong:
    """What is wrong with one key of [rollout]."""

    key: str
    message: str
    found: str
    expected: str
    fix: str
    nearest: str = ""


def wrongs(contract: Contract) -> Iterator[Wrong]:
    """Everything that is impossible about who moves the share."""
    rollout = contract.rollout
    if rollout.method != "adaptive":
        for key in ("allocation", "reward"):
            if value := getattr(rollout, key):
                yield Wrong(
                    key=key,
                    message=f"Nobody moves the share of a rollout of method {rollout.method}.",
                    found=f"{key} = {shown(value)}",
                    expected='method = "adaptive"',
                    fix=f'delete {key}, or write method = "adaptive"',
                )
        return
    if not rollout.allocation:
        yield Wrong(
            key="allocation",
            message="It is not said which policy moves the share.",
            found="no allocation",
            expected="the name of an installed policy",
            fix='write allocation = "thompson"',
        )
    yield from _reward(rollout.reward, contract.guardrails)
    yield from _shares(rollout)


def _reward(name: str, guardrails: tuple[Guardrail, ...]) -> Iterator[Wrong]:
    fitting = tuple(guardrail.name for guardrail in guardrails if _has_a_better(guardrail))
    chosen = next((guardrail for guardrail in guardrails if guardrail.name == name), None)
    if chosen is not None and name in fitting:
        return
    near = nearest(name, fitting) if name else ""
    instead = near or (fitting[0] if fitting else "")
    if chosen is not None:
        message = f"The guardrail {name!r} does not say which of two models is the better one."
    else:
        message = (
            "The policy compares the two models by a guardrail, and none is named." if not name else f"No guardrail is called {name!r}."
        )
    yield Wrong(
        key="reward",
        message=message,
        found=f"reward = {shown(name)}",
        expected="one of " + ", ".join(fitting)
        if fitting
        else "a guardrail on errors, fallbacks, a latency with at_most, or a metric on outcomes",
        fix=f"write reward = {shown(instead)}" if instead else 'add [[guardrails]] with metric = "errors", and name it here',
        nearest=near,
    )


def _has_a_better(guardrail: Guardrail) -> bool:
    """Of a distribution neither end is better, and without a limit "slow" is not known before there was traffic."""
    if guardrail.metric.startswith("latency_"):
        return guardrail.at_most is not None
    return guardrail.metric != "prediction"


def _shares(rollout: Rollout) -> Iterator[Wrong]:
    first = rollout.shares[0] if rollout.shares else 0.0
    low, high = rollout.share_at_least, rollout.share_at_most
    for key, value in (("shares", first), *((name, getattr(rollout, name)) for name in SHARES)):
        if abs(value * GRID - round(value * GRID)) > _OFF * GRID:
            yield Wrong(
                key=key,
                message="A share that is moved is a whole thousandth, so that what a row was logged with is known exactly.",
                found=f"{key} = {value:g}" if key != "shares" else f"a first share of {value:g}",
                expected="0.001, 0.002, 0.003, …",
                fix=f"write {round(value * GRID) / GRID:g}",
            )
    if not low <= first <= high:
        yield Wrong(
            key="shares",
            message="The share begins where the policy may not put it.",
            found=f"a first share of {first:g}",
            expected=f"from share_at_least = {low:g} to share_at_most = {high:g}",
            fix=f"write shares = [{min(max(first, min(low, high)), max(low, high)):g}, 1.0]",
        )
    if len(rollout.shares) > 2:
        yield Wrong(
            key="shares",
            message="An adaptive rollout has one share to begin with; the policy finds the others.",
            found=f"shares = {shown(rollout.shares)}",
            expected="the first share, then 1",
            fix=f"write shares = [{first:g}, 1.0]",
        )
    if duration_us(rollout.move_every) <= 0:
        yield Wrong(
            key="move_every",
            message="A share that moves all the time can be followed by nobody.",
            found=f"move_every = {shown(rollout.move_every)}",
            expected="a stretch of time above 0",
            fix='write move_every = "10m"',
        )
