"""What is refused before a rollout is opened."""

from __future__ import annotations

import pytest

from gonogo.types.contract import Rollout
from gonogo.types.errors import ReleaseRefused
from gonogo.workflow.release import require_method


def test_a_share_that_nothing_would_move_is_refused_and_never_planned():
    with pytest.raises(ReleaseRefused, match="no policy") as caught:
        require_method(Rollout(method="adaptive", allocation="thompson"))
    assert "thompson" in caught.value.found


@pytest.mark.parametrize("method", ["canary", "blue_green", "ab"])
def test_every_other_method_is_carried_out(method):
    require_method(Rollout(method=method))
