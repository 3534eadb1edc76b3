"""What a rollout may have to read again stays in the log while the rest is archived."""

from __future__ import annotations

from pathlib import Path

import pytest

from gonogo.serving import archive as archiving
from gonogo.serving.outcomes import OutcomeJoin
from gonogo.serving.places import Places
from gonogo.serving.predictionlog import PredictionLog
from gonogo.serving.segments import segments_of
from gonogo.serving.tail import Tail
from gonogo.types.release import Phase, Standing
from gonogo.workflow import archive as verb
from tests.workflow.worlds import contract


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(archiving, "KEPT_US", 0)
    monkeypatch.setattr(verb.archive_log, "__kwdefaults__", {**verb.archive_log.__kwdefaults__, "kept_us": 0})
    (tmp_path / "contract.toml").write_text(contract())
    with PredictionLog(Places.of(tmp_path).log, "w0", segment_bytes=1 << 14) as log:
        for i in range(400):
            assert log.log.wait_for_room(5)
            log.append_event(source="scans", values={"i": i})
    return tmp_path


def under_way(phase: Phase) -> Standing:
    return Standing(
        rollout="sha256:" + "ab" * 32,
        contract="parcels",
        phase=phase,
        step=0,
        share=0.0,
        epoch=1,
        held="",
        waits_for_approval=False,
        since_seq=1,
        why="",
    )


def test_without_a_rollout_all_that_is_closed_and_old_goes_to_the_archive(folder):
    made = verb.archive(folder)
    assert made.n_rows == 400
    assert len(segments_of(Places.of(folder).log)["w0"]) == 1
    assert verb.archive(folder, days=1, n_bytes=10**9).n_rows == 0


@pytest.mark.parametrize(
    ("phase", "stays"), [(Phase.CANARY, True), (Phase.PROBATION, True), (Phase.SETTLED, False), (Phase.ROLLED_BACK, False)]
)
def test_a_rollout_under_way_keeps_what_it_has_not_passed(folder, monkeypatch, phase, stays):
    standing, places = under_way(phase), Places.of(folder)
    monkeypatch.setattr("gonogo.ledger.rollouts.standing", lambda entries, contract: standing)
    join = OutcomeJoin(places.judge_of(standing.rollout) / verb.JOIN, window_us=1, absent="censored")
    join.commit(Tail(places.log).position)  # has read nothing yet
    n = len(segments_of(places.log)["w0"])
    assert (verb.archive(folder).n_deleted == 0) == stays
    join.commit(Tail(places.log).skip())
    verb.archive(folder)
    assert len(segments_of(places.log)["w0"]) == 1 < n
    join.close()
