"""The page of a rollout is gathered from the ledger and the judge's log alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from gonogo.backends.files import FileBlobs
from gonogo.backends.sqlite import SqliteLog
from gonogo.ledger.ledger import Ledger
from gonogo.ledger.records import Records
from gonogo.serving.judgelog import JudgeLog
from gonogo.serving.places import Places
from gonogo.serving.tail import Position
from gonogo.types.candidate import Candidate
from gonogo.types.errors import RecordUnknown, UsageError
from gonogo.types.record import digest
from gonogo.types.release import Phase, Plan, Stage, Watch
from gonogo.types.traffic import OBSERVATION, ObservationKind
from gonogo.workflow.contract import read_contract_file
from gonogo.workflow.rollout_page import gather, rollout_page
from tests.workflow import worlds

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND_NS = 1_000_000_000


class World:
    """A folder with a rollout that went from shadow to the canary and came back, and 400 lines of its judge's log."""

    def __init__(self, folder: Path) -> None:
        self.folder = worlds.build(folder)
        self.at = BEGAN
        state = self.folder / ".gonogo"
        self.records = Records(FileBlobs(state / "blobs"))
        self.ledger = Ledger(SqliteLog(state / "ledger.sqlite"), by="ann", now=lambda: self.at)
        contract = read_contract_file(self.folder / "contract.toml")
        champion, challenger = (self._candidate(digest(contract), learner) for learner in ("prior_rate", "logistic_regression"))
        errors = Watch(
            name="no more errors",
            metric="errors",
            kind="count",
            slice="",
            slice_bit=-1,
            action="rollback",
            ratio_at_most=2.0,
            rate_at_most=0.05,
            at_most=None,
            low=None,
            high=None,
            alpha_harm=0.01,
            alpha_certificate=0.01,
        )
        stages = ((Phase.SHADOW, 0.0), (Phase.CANARY, 0.5), (Phase.FULL, 1.0), (Phase.PROBATION, 1.0))
        self.plan = Plan(
            contract=self.records.put(contract),
            contract_name=contract.name,
            verdict=digest("verdict"),
            champion=champion,
            challenger=challenger,
            method="canary",
            salt="salt",
            bucket_by="parcel",
            alpha=0.05,
            stages=tuple(Stage(phase=phase, share=share, bake_us=0, patience_us=1_000_000) for phase, share in stages),
            watches=(errors,),
            slices=(),
            losses=(),
            probation_us=0,
            label_window_us=0,
        )
        self.rollout = self.records.put(self.plan)

    def _candidate(self, contract: str, learner: str) -> str:
        return self.records.put(
            Candidate(
                contract=contract,
                snapshot=digest("snapshot"),
                learner=learner,
                params={},
                seed=0,
                artifact={},
                environment={},
                trials=(),
            )
        )

    def write(self, kind: str, after_s: float, **body: object) -> None:
        self.at = BEGAN + timedelta(seconds=after_s)
        self.ledger.append(kind, {"contract": self.plan.contract_name, "rollout": self.rollout, **body})

    def open(self) -> None:
        self.write(
            "rollout_opened", 0, verdict=self.plan.verdict, champion=self.plan.champion, challenger=self.plan.challenger, why="it is GO"
        )

    def live(self) -> None:
        self.open()
        self.write(
            "rollout_step", 1, **{"from": "registered"}, to="shadow", step=0, share=0.0, epoch=1, because="opened", cut=0, why="ready"
        )
        self.write(
            "rollout_step", 3, **{"from": "shadow"}, to="canary", step=1, share=0.5, epoch=2, because="certificate", cut=200, why="refuted"
        )
        self.write("rollback", 5, epoch=3, because="harm", cut=400, why="harm is shown")
        lines = np.zeros(400, OBSERVATION)
        lines["at_ns"] = 7 * SECOND_NS + np.arange(400) * SECOND_NS // 100
        lines["unit"] = np.arange(1, 401)
        lines["kind"] = ObservationKind.ANSWER
        lines["kind"][1:200:2] = ObservationKind.SHADOW
        lines["arm"][1::2] = 1
        lines["epoch"][:200], lines["epoch"][200:] = 1, 2
        lines["share"][200:] = 0.5
        lines["status"][201:400:2] = 2  # every answer of the canary is an error
        with JudgeLog(Places.of(self.folder).judge_of(self.rollout), segment_bytes=1 << 20) as log:
            log.append(lines, Position(places={}, now_us=0))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "parcels")


def test_where_nothing_was_released_there_is_no_page(world: World) -> None:
    world.write("verdict", 0)
    with pytest.raises(UsageError, match="Nothing was released"):
        rollout_page(world.folder)


def test_a_rollout_that_nobody_judged_has_its_decisions_and_says_why_it_has_no_lines(world: World) -> None:
    world.open()
    view = gather(world.folder, world.records, tuple(world.ledger.entries()))
    assert [d.why for d in view.decisions] == ["it is GO"]
    assert (view.traces, view.judgements) == ((), ())
    assert "no judge's log" in view.no_traces


def test_every_decision_stands_at_its_moment_and_evidence_between_them(world: World) -> None:
    world.live()
    view = gather(world.folder, world.records, tuple(world.ledger.entries()))
    assert [(d.seconds, d.phase) for d in view.decisions] == [(0, "registered"), (1, "shadow"), (3, "canary"), (5, "rolled_back")]
    (trace,) = view.traces
    seconds = [spot.seconds for spot in trace.spots]
    assert seconds == sorted(seconds)
    assert 1 < seconds[0] < 3 < seconds[-1] <= 5
    assert {spot.step for spot in trace.spots} == {0, 1}


def test_asked_again_the_judge_says_what_he_said_harm_in_the_canary(world: World) -> None:
    world.live()
    view = gather(world.folder, world.records, tuple(world.ledger.entries()))
    last = view.traces[0].spots[-1]
    assert last.harm is not None
    assert last.harm >= 1
    assert [judgement.step for judgement in view.judgements] == [0, 1]


def test_the_page_is_one_file_and_a_prefix_that_fits_none_is_refused(world: World) -> None:
    world.live()
    page = rollout_page(world.folder, world.rollout[7:15])
    html = page.read_text(encoding="utf-8")
    assert "ROLLED BACK" in html
    assert "harm is shown" in html
    with pytest.raises(RecordUnknown):
        rollout_page(world.folder, "ffffffff")
