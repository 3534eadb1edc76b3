"""A server of several processes: what it answers, and what it survives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from gonogo.serving.places import Places
from gonogo.types.errors import ControllerBusy, UsageError
from gonogo.web.server import serve
from gonogo.workflow.keys import add_key
from tests.faults import canaries
from tests.web.served import NAME, calling, question, serving, wait_for


@pytest.fixture(scope="module")
def server(released_world, tmp_path_factory):
    """One server for what changes nothing."""
    import shutil

    folder = shutil.copytree(released_world, tmp_path_factory.mktemp("served") / NAME)
    with serving(folder) as served:
        yield served


def test_it_answers_one_row_and_many(server):
    status, said = server.ask()
    assert (status, said["by"]) == (200, "model")
    status, said = server.ask({"rows": [question(), {"parcel": "p"}, question()]})
    assert status == 200
    assert [sorted(row)[0] for row in said["rows"]] == ["answer", "error", "answer"]


def test_an_event_that_one_worker_took_is_known_to_the_others(server):
    before = server.ask({**question(7), "depot": "dub"})[1]["answer"]
    event = {
        "depot": "dub",
        "minutes_behind": 500.0,
        "reported_at": "2024-06-13T23:00:00Z",
        "scan": 10_000_000,
        "scanned_at": "2024-06-13T22:50:00Z",
        "withdrawn_at": None,
    }
    status, said = server.post(f"/v1/contracts/{NAME}/events", {"source": "scans", "rows": [event]})
    assert (status, said["taken"]) == (200, 1)
    # The baseline looks at no input: whoever answers, answers the same. What is asked here is that nobody fails over it.
    assert {str(server.ask({**question(7), "depot": "dub"})[1]["answer"]) for _ in range(8)} == {str(before)}


def test_outcomes_are_taken(server):
    asked = question()
    server.ask(asked)
    status, said = server.post(f"/v1/contracts/{NAME}/outcomes", {"parcel": asked["parcel"], "y": 1, "known_at": "2024-06-15T00:00:00Z"})
    assert (status, said["taken"]) == (200, 1)


def test_every_worker_is_ready_and_says_so(server):
    assert server.get("/readyz")[0] == 200
    assert server.get("/livez")[0] == 200
    said = server.get("/metrics")[1]
    assert "gonogo_watched 1" in said
    assert 'gonogo_route_epoch{worker="2"}' in said


def test_a_job_is_done_apart(server):
    status, job = server.post("/v1/jobs", {"contract": NAME, "rows": [question(), question()]})
    assert status in (201, 202), job
    wait_for(lambda: server.get(f"/v1/jobs/{job['id']}")[1]["status"] in ("done", "failed"), timeout_s=60)
    assert server.get(f"/v1/jobs/{job['id']}")[1].get("status") == "done", server.get(f"/v1/jobs/{job['id']}")


def test_a_second_server_of_the_same_folder_is_refused(server):
    with pytest.raises(ControllerBusy, match="served already"):
        serve(server.folder, port=0, say=lambda text: None)


def test_a_port_that_somebody_holds_is_refused(server, released_world):
    with pytest.raises(UsageError, match="Nothing can listen"):
        serve(released_world, port=server.port, say=lambda text: None)


def test_it_listens_elsewhere_only_where_it_asks_who_is_there(server):
    with pytest.raises(UsageError, match="can be reached by others"):
        serve(server.folder, host="0.0.0.0", port=0, say=lambda text: None)


def test_a_worker_that_comes_back_finds_no_open_door_where_the_keys_were(world):
    add_key(world, "shop", ["predict"])
    with serving(world, workers=1) as served:
        assert served.ask()[0] == 401
        served.places.keys.unlink()
        killed = served.pages()[0].pid
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: [page for page in served.pages() if page.pid != killed and page.holds.ready])
        assert served.ask()[0] == 401


def test_a_provider_that_cannot_be_believed_is_refused_before_anything_starts(world):
    Places.of(world).root.mkdir(parents=True, exist_ok=True)
    Places.of(world).oidc.write_text('issuer = "https://id.example"')
    with pytest.raises(UsageError, match="the provider's file"):
        serve(world, port=0, say=lambda text: None)


def test_a_folder_that_was_never_trained_is_refused_with_the_next_step(tmp_path):
    from tests.workflow import worlds

    folder = worlds.build(tmp_path / "new")
    command = [sys.executable, "-m", "gonogo.cli.main", "serve", str(folder), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 3
    assert "gonogo run" in ended.stderr


@pytest.mark.parametrize("who", ["worker", "controller"])
def test_a_killed_process_is_replaced_while_the_others_answer(server, who):
    def pid():
        return server.controller() if who == "controller" else next((p.pid for p in server.pages() if p.worker == 1), 0)

    killed = pid()
    with calling(server, n=2) as callers:
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: pid() not in (0, killed) and len(server.pages()) == 2 and all(p.holds.ready for p in server.pages()))
        n = callers.n(200)
        wait_for(lambda: callers.n(200) > n + 50)
        callers.end()
        # Who was connected to a killed worker is cut off; nobody gets a wrong answer, and nobody an error of the server.
        assert {key for key in callers.answers if key[0] not in (0, 200)} == set()


def test_told_to_stop_it_answers_what_is_under_way_and_ends(world):
    with serving(world, workers=1) as served, calling(served, n=2) as callers:
        wait_for(lambda: callers.n(200) > 20)
        assert served.end() == 0
        callers.end()
        assert {key[0] for key in callers.answers} <= {0, 200}
    assert wait_for(lambda: not served.pages() or None) is not None


def test_a_rate_is_of_all_workers_together(world):
    site = world / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "from gonogo.serving.settings import Settings\nSettings.__init__.__kwdefaults__.update(rate_per_s=0.001, burst_s=20_000.0)\n"
    )
    with serving(world, environment=canaries.site_of(world)) as served:
        told = [served.ask()[0] for _ in range(60)]  # each by a connection of its own, so both workers are asked
    assert (told.count(200), told.count(429)) == (20, 40)
