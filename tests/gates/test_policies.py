"""Facts about what the policies that come with gonogo say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gonogo.gates.policies import chance_of_more, epsilon_greedy, fixed, thompson
from gonogo.types.allocation import Seen, Sums
from gonogo.workflow.policies import find, installed


def sums(units: int, good: float) -> Sums:
    return Sums(units=units, total=good, squares=good)


def seen(challenger: Sums, champion: Sums, **more) -> Seen:
    given = {"share": 0.2, "lately_champion": champion, "lately_challenger": challenger, "lowest": 0.01, "highest": 0.9, "step": 0.1}
    return Seen(challenger=challenger, champion=champion, **{**given, "period": 1, "seed": 1, **more})


NOTHING = seen(Sums(), Sums())
BETTER = seen(sums(1_000, 990), sums(1_000, 950))
WORSE = seen(sums(1_000, 950), sums(1_000, 990))


@pytest.mark.parametrize("name", ["thompson", "epsilon_greedy", "fixed"])
@pytest.mark.parametrize("what", [NOTHING, BETTER, WORSE, replace(NOTHING, gain=Sums()), replace(NOTHING, gain=Sums(units=9, total=0.0))])
def test_each_policy_is_found_by_name_and_gives_a_share_whatever_it_is_shown(name: str, what: Seen) -> None:
    policy = find(name).policy
    assert policy(what) == policy(what)
    assert 0 <= policy(what) <= 1


def test_the_installed_policies_are_these() -> None:
    assert {"epsilon_greedy", "fixed", "thompson"} <= set(installed())
    assert find("thompson").version.startswith("gonogo ")


@pytest.mark.parametrize("policy", [thompson, epsilon_greedy])
def test_the_better_one_gets_more(policy) -> None:
    assert policy(WORSE) < policy(NOTHING) < policy(BETTER)
    assert policy(NOTHING) == pytest.approx(0.5)


def test_a_fixed_share_stays() -> None:
    assert fixed(BETTER) == fixed(WORSE) == 0.2


@pytest.mark.parametrize(("ours", "theirs"), [((9, 1), (5, 5)), ((40, 2), (37, 7)), ((1, 99), (4, 300)), ((2_000, 15), (19_000, 160))])
def test_the_chance_of_more_is_that_of_drawn_posteriors(ours: tuple[int, int], theirs: tuple[int, int]) -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    drawn = np.mean(rng.beta(1 + ours[0], 1 + ours[1], 400_000) > rng.beta(1 + theirs[0], 1 + theirs[1], 400_000))
    assert chance_of_more(sums(sum(ours), ours[0]), sums(sum(theirs), theirs[0])) == pytest.approx(drawn, abs=0.003)


def test_a_million_units_are_compared_without_a_number_that_is_none() -> None:
    assert chance_of_more(sums(10**6, 990_000), sums(10**6, 990_000)) == pytest.approx(0.5)
    assert chance_of_more(sums(10**7, 10**7), sums(10**7, 0)) == pytest.approx(1.0)
    assert not math.isnan(chance_of_more(sums(1, 1), sums(10**7, 5 * 10**6)))


def test_of_losses_on_the_same_rows_the_difference_decides() -> None:
    paired = replace(NOTHING, gain=Sums(units=400, total=400 * 0.51, squares=400 * 0.2603))
    assert thompson(paired) > 0.9
    assert thompson(replace(paired, gain=Sums(units=400, total=400 * 0.49, squares=400 * 0.2403))) < 0.1
