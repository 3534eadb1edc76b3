"""The proof of every run: it fires where batch and online differ or the future leaks, and is silent where they agree."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gonogo.data import features, proof
from gonogo.data.planning import Plan
from gonogo.types.contract import Source
from gonogo.types.snapshot import FindingStatus
from tests.data.test_features import event, label, tables
from tests.oracles.worlds import EVERY_AGGREGATE, WINDOWS, World, connected, contract, feature, small_world

DECLARED = {
    "one": feature(source="events", by=("uid",), aggregates=EVERY_AGGREGATE, windows=WINDOWS),
    "pair": feature(source="events", by=("a", "b"), aggregates=("count", "last(n)"), windows=("1h",)),
    "hour": feature(sql="hour(asked)"),
}


def world() -> World:
    return small_world(random.Random(11), n_entities=80)


def computed(made: World, declared: dict[str, Any] = DECLARED, **sources: Source) -> tuple[Plan, Any, pa.Table, pa.Table]:
    connection = connected(events=made.event_table(), labels=made.label_table())
    plan = features.plan(contract(declared, **sources), connection)
    return plan, connection, made.label_table(), features.compute(plan, connection, made.label_table())


def statuses(found: proof.Proof) -> dict[str, list[FindingStatus]]:
    return {code: [each.status for each in found.findings if each.code == code] for code in (proof.REPLAY, proof.TRUNCATION)}


def test_batch_and_online_agree_and_the_proof_says_over_how_many_values() -> None:
    found = proof.prove(*computed(world()), seed=3)
    assert statuses(found) == {proof.REPLAY: [FindingStatus.CLEAN], proof.TRUNCATION: [FindingStatus.CLEAN]}
    assert found.facts["replay"]["values"] > 500
    assert found.facts["replay"]["columns"] == len(EVERY_AGGREGATE) * len(WINDOWS) + 3
    assert found.facts["truncation"]["rows"] > 10


def test_one_bit_that_differs_is_found_and_named_with_its_row() -> None:
    plan, connection, rows, inputs = computed(world())
    at = inputs.column_names.index("one__count__3h")
    wrong = inputs.set_column(at, "one__count__3h", pc.add(inputs["one__count__3h"], 1))
    found = proof.prove(plan, connection, rows, wrong, seed=3)
    replay, truncation = found.findings
    assert (replay.code, replay.status, replay.where) == ("GNG-P101", FindingStatus.OPEN, "features.one")
    assert "one__count__3h of row" in replay.sentence
    assert (truncation.code, truncation.status) == ("GNG-P102", FindingStatus.OPEN)


def test_a_request_time_feature_that_answers_otherwise_online_is_found() -> None:
    plan, connection, rows, inputs = computed(world())
    wrong = inputs.set_column(inputs.column_names.index("hour"), "hour", pc.add(inputs["hour"], 1))
    open_ones = [each for each in proof.prove(plan, connection, rows, wrong, seed=3).findings if each.status is FindingStatus.OPEN]
    assert [(each.code, each.where) for each in open_ones] == [("GNG-P101", "features.hour")]


def test_a_batch_that_ignores_when_a_value_was_known_is_caught_as_a_leak() -> None:
    made = world()
    plan, connection, rows, _ = computed(made)
    leaking, *_ = computed(made, events=Source(read="e", event_time="at", known_at="at", sequence="seq", decimals={"x": 2}))
    wrong = features.compute(leaking, connection, rows)
    found = statuses(proof.prove(plan, connection, rows, wrong, seed=3))
    assert FindingStatus.OPEN in found[proof.REPLAY]
    assert FindingStatus.OPEN in found[proof.TRUNCATION]
    assert FindingStatus.CLEAN not in found[proof.REPLAY] + found[proof.TRUNCATION]


def test_nothing_to_sample_is_skipped_and_never_clean() -> None:
    made = World(events=world().events, labels=[])
    found = proof.prove(*computed(made), seed=3)
    assert {each.status for each in found.findings} == {FindingStatus.SKIPPED}
    assert {each.where for each in found.findings} == {"features.one", "features.pair", "features.hour"}


def test_windows_too_full_to_replay_are_skipped_by_name_and_the_rest_is_proved() -> None:
    given, rows = tables([event(0, seq=str(i)) for i in range(proof.EVENTS + 1)], [label(1)])
    connection = connected(events=given, labels=rows)
    declared = {"all": feature(source="events", by=("uid",), aggregates=("count",)), "hour": feature(sql="hour(asked)")}
    plan = features.plan(contract(declared), connection)
    found = proof.prove(plan, connection, rows, features.compute(plan, connection, rows), seed=1)
    assert statuses(found) == {proof.REPLAY: [FindingStatus.SKIPPED, FindingStatus.CLEAN], proof.TRUNCATION: [FindingStatus.SKIPPED]}
    assert [each.where for each in found.findings if each.status is FindingStatus.SKIPPED] == ["features.all", "features.all"]


def test_without_features_over_events_there_is_nothing_to_cut_off_and_it_says_so() -> None:
    found = proof.prove(*computed(world(), {"hour": feature(sql="hour(asked)")}), seed=3)
    assert statuses(found) == {proof.REPLAY: [FindingStatus.CLEAN], proof.TRUNCATION: [FindingStatus.NOTE]}


def test_the_same_seed_samples_the_same_rows_and_another_one_others() -> None:
    made = computed(world())
    one, again, other = (proof.prove(*made, seed=seed).facts for seed in (3, 3, 4))
    assert one == again
    assert one != other


def test_entities_are_drawn_by_their_keys_and_not_by_their_place() -> None:
    plan, _, rows, _ = computed(world())
    turned = rows.take(np.arange(len(rows))[::-1].copy())
    stream = plan.streams[0]
    drawn = [{rows["uid"][int(each[0])].as_py() for each in proof._entity_rows(stream, rows, 7)}]
    drawn.append({turned["uid"][int(each[0])].as_py() for each in proof._entity_rows(stream, turned, 7)})
    assert drawn[0] == drawn[1]
