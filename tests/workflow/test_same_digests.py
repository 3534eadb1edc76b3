"""Same inputs, same digests: for any folder, zone, hash seed and number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import gonogo
from gonogo.types.candidate import Candidate
from gonogo.workflow.workspace import open_stores
from tests.workflow import worlds

REPEATABLE = ("contract", "snapshot", "candidate", "champion", "evidence")


def run_elsewhere(folder: Path) -> dict[str, str]:
    """The digests of a run in another process, in another zone, with another seed for hashes, from another folder."""
    code = f"import gonogo, json; print(json.dumps(dict(gonogo.run({str(folder)!r}).digests)))"
    environment = os.environ | {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "77", "LC_ALL": "C"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=folder.parent)
    digests: dict[str, str] = json.loads(ended.stdout)
    return digests


def artifact(folder: Path, candidate: str) -> dict[str, str]:
    _, records, _ = open_stores(folder)
    return dict(records.get(Candidate, candidate).artifact)


def test_two_runs_in_two_folders_give_the_same_digests_of_all_that_no_clock_touches(finished, tmp_path):
    here, there = gonogo.run(finished).digests, run_elsewhere(worlds.build(tmp_path / "else where"))
    assert [here[name] for name in REPEATABLE] == [there[name] for name in REPEATABLE]
    assert here["measurements"] != there["measurements"]


def test_one_and_two_threads_give_the_same_tables_and_the_same_bytes_of_the_model(finished, tmp_path):
    one, two = gonogo.run(finished), gonogo.run(worlds.build(tmp_path, {"threads = 1": "threads = 2"}))
    assert one.digests["snapshot"] == two.digests["snapshot"]
    assert one.digests["contract"] != two.digests["contract"]
    assert artifact(finished, one.digests["candidate"]) == artifact(tmp_path, two.digests["candidate"])


def test_xgboost_of_one_and_two_threads_has_the_same_bytes(tmp_path):
    boosted = {'name = "logistic_regression"': 'name = "xgboost"\nparams = { n_rounds = 20, max_depth = 3 }'}
    artifacts = []
    for threads in (1, 2):
        folder = worlds.build(tmp_path / str(threads), {**boosted, "threads = 1": f"threads = {threads}"})
        gonogo.train(folder)
        candidate = open_stores(folder)[2].entries("training")
        artifacts.append(artifact(folder, next(iter(candidate)).body["candidate"]))
    assert artifacts[0] == artifacts[1]


def test_another_seed_is_another_contract_and_another_candidate(finished, tmp_path):
    one, other = gonogo.run(finished), gonogo.run(worlds.build(tmp_path, {"seed = 5": "seed = 6"}))
    assert one.digests["contract"] != other.digests["contract"]
    assert one.digests["candidate"] != other.digests["candidate"]
