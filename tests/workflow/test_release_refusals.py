"""What is refused before a rollout is opened."""

from __future__ import annotations

import pytest

from gonogo.types.contract import Rollout
from gonogo.types.errors import PolicyUnknown
from gonogo.workflow.release import require_policy


def test_a_share_that_nothing_would_move_is_refused_and_never_planned():
    with pytest.raises(PolicyUnknown, match="did you mean 'thompson'") as caught:
        require_policy(Rollout(method="adaptive", allocation="tompson"))
    assert "thompson" in caught.value.expected


def test_an_installed_policy_is_let_through():
    require_policy(Rollout(method="adaptive", allocation="thompson"))


@pytest.mark.parametrize("method", ["canary", "blue_green", "ab"])
def test_no_other_method_asks_for_a_policy(method):
    require_policy(Rollout(method=method))
