"""Facts about a live champion: what the challenger is held against, and when it cannot be."""

from __future__ import annotations

import pytest

import gonogo
from gonogo.types.errors import UsageError
from gonogo.workflow.workspace import open_workspace
from tests.workflow.test_last_word import EASY, edit


def release(folder):
    run = gonogo.run(folder)
    body = {"contract": run.contract_name, "candidate": run.digests["candidate"], "verdict": run.digests["verdict"]}
    open_workspace(folder).ledger.append("release", body)
    return run


def test_a_released_candidate_is_what_the_next_one_is_held_against(done):
    released = release(done)
    edit(done, 'name = "logistic_regression"', 'name = "logistic_regression"\nparams = { C = 0.001 }')
    again = gonogo.run(done)
    assert again.champion_is == "champion"
    assert again.digests["champion"] == released.digests["candidate"] != again.digests["candidate"]


def test_a_challenger_that_is_the_champion_shows_no_gain_and_is_no_go(done):
    release(done)
    assert not gonogo.run(done).verdict.go


def test_a_gate_may_change_under_a_champion(done):
    release(done)
    edit(done, EASY, "at_least = 0.61")
    assert gonogo.run(done).champion_is == "champion"


def test_a_champion_of_other_inputs_is_refused_and_never_fed_with_todays(done):
    release(done)
    edit(done, 'sql = "weight_kg"', 'sql = "weight_kg * 100"')
    with pytest.raises(UsageError, match="trained on other inputs") as refused:
        gonogo.run(done)
    assert "weight" in refused.value.found
