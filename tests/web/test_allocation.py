"""A share that a policy moves, by real processes."""

from __future__ import annotations

import gonogo
from gonogo.gates.rollout import ALLOCATION
from gonogo.types.allocation import Allotment
from gonogo.types.release import Judgement, Phase
from gonogo.workflow import rollout
from gonogo.workflow.release import release
from gonogo.workflow.replay import replay_judgement
from gonogo.workflow.rollout_page import rollout_page
from gonogo.workflow.workspace import open_recorded
from tests.web.served import calling, entries, serving, wait_for

ADAPTIVE = """[rollout]
method = "adaptive"
allocation = "epsilon_greedy"
reward = "no more errors"
share_at_most = 0.6
step_at_most = 0.2
move_every = "300ms"
"""


def moves_of(folder):
    return [e for e in entries(folder) if e.body.get("because") == ALLOCATION]


def test_a_policy_moves_the_share_but_not_while_it_is_held_and_every_move_replays(world):
    contract = world / "contract.toml"
    contract.write_text(contract.read_text().replace("[rollout]\n", ADAPTIVE).replace('bake = "200ms"', 'bake = "2s"'))
    gonogo.run(world)
    with serving(world) as served, calling(served) as callers:
        release(folder=world)
        wait_for(lambda: moves_of(world))
        rollout.hold(world, why="lunch")
        held, asked = served.standing(), callers.n()
        wait_for(lambda: callers.n() > asked + 300)
        assert (served.standing().share, served.standing().phase) == (held.share, Phase.CANARY)
        assert rollout.status(world).frozen == "on hold: lunch"
        rollout.resume(world, why="fed")
        served.reaches(Phase.SETTLED)
        callers.end()
        assert callers.n() == callers.n(200)
    records, _ = open_recorded(world)
    for entry in moves_of(world):
        made = records.get(Allotment, entry.body["allotment"])
        assert made.share == entry.body["share"] != made.seen.share
        assert abs(made.share - made.seen.share) <= 0.2 + 1e-9
        for name, kind in (("allotment", Allotment), ("judgement", Judgement)):
            assert isinstance(replay_judgement(entry.body[name], folder=world).judgement, kind)
    assert "epsilon_greedy moves the share" in rollout_page(world).read_text()
