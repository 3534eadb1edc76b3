"""Facts about accepting a finding: by name, with a reason, for a while, and never silently."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import gonogo
from gonogo.types.errors import UsageError
from gonogo.types.verdict import Status
from gonogo.workflow.ledger import entries
from tests.workflow import worlds

FOUND = (("GNG-K001", "features.hours_late"), ("GNG-K101", "train.hours_late"))
WORDS = {"name": "Ada", "reason": "the world is made up"}


@pytest.fixture(scope="module")
def leaking_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = worlds.build(tmp_path_factory.mktemp("leaking") / "parcels", more=worlds.LEAK)
    assert not gonogo.run(folder).verdict.go
    return folder


@pytest.fixture
def leaking(leaking_once: Path, tmp_path: Path) -> Path:
    return shutil.copytree(leaking_once, tmp_path / "parcels")


def findings_gate(folder: Path):
    (ruling,) = [r for r in gonogo.run(folder).verdict.rulings if r.metric == "open_findings"]
    return ruling


def test_a_leaking_column_is_no_go_and_named_with_the_reason(leaking):
    ruling = findings_gate(leaking)
    assert ruling.status is Status.FAIL
    assert "hours_late" in ruling.sentence
    assert "known at arrived_at" in ruling.sentence
    assert [(f.code, f.where) for f in gonogo.run(leaking).findings if f.status.value == "open"] == list(FOUND)


def test_when_every_open_finding_is_waived_the_gate_passes_and_the_verdict_names_the_waivers(leaking):
    before = gonogo.run(leaking)
    written = [gonogo.waive(leaking, code, where=where, **WORDS) for code, where in FOUND]
    after = gonogo.run(leaking)
    ruling = findings_gate(leaking)
    assert (after.verdict.go, ruling.status) == (True, Status.PASS)
    assert "2 waived: features.hours_late, train.hours_late" in ruling.sentence
    assert after.verdict.waivers == tuple(entry.hash for entry in written)
    assert "Ada" in after.page.read_text()
    assert "the world is made up" in after.page.read_text()
    assert after.digests["evidence"] == before.digests["evidence"]
    assert [e.kind for e in entries(leaking)][-3:] == ["waiver", "waiver", "verdict"]
    assert gonogo.replay(after.digests["verdict"], folder=leaking).verdict.go
    assert not gonogo.replay(before.digests["verdict"], folder=leaking).verdict.go


def test_one_finding_that_is_not_waived_is_enough_for_no_go(leaking):
    gonogo.waive(leaking, *FOUND[0][:1], where=FOUND[0][1], **WORDS)
    ruling = findings_gate(leaking)
    assert (ruling.status, ruling.value) == (Status.FAIL, 1.0)


def test_a_waiver_that_has_run_out_counts_no_more(leaking):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for code, where in FOUND:
        gonogo.waive(leaking, code, where=where, until=yesterday, **WORDS)
    assert findings_gate(leaking).value == 2.0


@pytest.mark.parametrize(
    "slip",
    [{"name": " "}, {"reason": ""}, {"where": "features.hour_late"}, {"code": "GNG-K002"}, {"until": datetime(2030, 1, 1)}],
)
def test_a_waiver_without_a_name_or_of_nothing_that_was_found_is_refused_and_not_written(leaking, slip):
    said = {"code": FOUND[0][0], "where": FOUND[0][1], **WORDS, **slip}
    before = entries(leaking)
    with pytest.raises(UsageError):
        gonogo.waive(leaking, said.pop("code"), **said)
    assert entries(leaking) == before
