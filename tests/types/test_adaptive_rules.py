"""What is impossible about who moves the share is refused with its line and a fix."""

from __future__ import annotations

import pytest
from tests.workflow.worlds import CONTRACT

from gonogo.types.contract import Contract
from gonogo.types.errors import ContractRefused
from gonogo.types.toml import read_contract

ROLLOUT = """
[rollout]
bucket_by = "parcel"
method = "adaptive"
shares = [0.1, 1.0]
allocation = "thompson"
reward = "no more errors"
share_at_least = 0.05
share_at_most = 0.6
step_at_most = 0.1
move_every = "10m"

[[guardrails]]
name = "no more errors"
metric = "errors"
ratio_at_most = 2.0

[[guardrails]]
name = "same answers"
metric = "prediction"
ratio_at_most = 2.0

[[guardrails]]
name = "as quick"
metric = "latency_p95"
ratio_at_most = 2.0

[[guardrails]]
name = "predicts as well"
metric = "log_loss"
at_most = 0.1
range = [0.0, 3.0]
"""
REWARD = 'reward = "no more errors"'
REFUSED = {
    "no policy": ('allocation = "thompson"\n', "", "[rollout]", "which policy moves the share", 'allocation = "thompson"'),
    "no reward": (f"{REWARD}\n", "", "[rollout]", "none is named", REWARD),
    "a reward with a slip": (REWARD, 'reward = "no more eror"', "reward =", "No guardrail", REWARD),
    "a reward without a better end": (REWARD, 'reward = "same answers"', "reward =", "does not say", REWARD),
    "a latency without a limit": (REWARD, 'reward = "as quick"', "reward =", "does not say", REWARD),
    "a first share below": ("shares = [0.1, 1.0]", "shares = [0.04, 1.0]", "shares =", "may not put it", "[0.05, 1.0]"),
    "a first share above": ("share_at_most = 0.6", "share_at_most = 0.09", "shares =", "may not put it", "[0.09, 1.0]"),
    "several shares": ("[0.1, 1.0]", "[0.1, 0.5, 1.0]", "shares =", "one share to begin with", "[0.1, 1.0]"),
    "no whole thousandth": ("step_at_most = 0.1", "step_at_most = 0.0333", "step_at_most =", "a whole thousandth", "0.033"),
    "no time at all": ('"10m"', '"0s"', "move_every =", "", "move_every"),
    "another method": ('method = "adaptive"', 'method = "ab"', "allocation =", "Nobody moves the share", "delete allocation"),
}


def read(text: str) -> Contract:
    return read_contract(CONTRACT + text, where="contract.toml")


@pytest.mark.parametrize("reward", ["no more errors", "predicts as well"])
def test_a_rollout_whose_share_a_policy_moves_is_read(reward: str) -> None:
    rollout = read(ROLLOUT.replace(REWARD, f'reward = "{reward}"')).rollout
    assert (rollout.allocation, rollout.reward, rollout.share_at_most, rollout.move_every) == ("thompson", reward, 0.6, "10m")


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_with_the_line_and_a_fix_for(what: str) -> None:
    old, new, line, said, fix = REFUSED[what]
    assert old in ROLLOUT
    text = ROLLOUT.replace(old, new, 1)
    with pytest.raises(ContractRefused) as caught:
        read(text)
    rows = (CONTRACT + text).split("\n")
    found = [problem for problem in caught.value.problems if said in problem.message and line in rows[problem.line - 1]]
    assert found
    assert fix in found[0].next + found[0].message + found[0].key


def test_the_guardrails_that_can_be_a_reward_are_named() -> None:
    with pytest.raises(ContractRefused) as caught:
        read(ROLLOUT.replace(f"{REWARD}\n", ""))
    assert "one of no more errors, predicts as well" in str(caught.value)
