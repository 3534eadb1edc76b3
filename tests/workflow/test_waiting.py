"""What a rollout waits for, word for word."""

from __future__ import annotations

from gonogo.serving.places import Places
from gonogo.serving.workerpage import Holds, Seen
from gonogo.workflow.waiting import behind, read_waiting, say_waiting, unready

CHAMPION, CHALLENGER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
NOW = 10_000_000_000
MODELS = {"champion": CHAMPION, "challenger": CHALLENGER}


def worker(number, *ready, beat_ns=NOW, epoch=3):
    return Seen(
        worker=number, pid=100 + number, heartbeat_ns=beat_ns, follows=1, epoch=epoch, in_flight=0, drops=0, unlogged=0, answered=0,
        holds=Holds(ready=ready),
    )  # fmt: skip


def test_nothing_is_waited_for_where_everybody_has_both_models():
    assert unready([worker(1, CHAMPION, CHALLENGER)], MODELS, NOW) == ""


def test_the_worker_and_the_model_that_it_lacks_are_named():
    said = unready([worker(1, CHAMPION, CHALLENGER), worker(2, CHAMPION)], MODELS, NOW)
    assert said == "worker 2 (process 102) has not loaded the challenger bbbbbbbbbbbb."


def test_a_worker_that_holds_both_and_is_silent_or_still_starts_is_named():
    both = (CHAMPION, CHALLENGER)
    assert unready([worker(1, *both, beat_ns=1)], MODELS, NOW) == "worker 1 (process 101) gives no sign of life."
    assert unready([worker(1, *both, beat_ns=0)], MODELS, NOW) == "worker 1 (process 101) is still starting."


def test_without_a_worker_somebody_is_waited_for():
    assert unready([], MODELS, NOW)
    assert behind([], 3, NOW)


def test_a_worker_that_follows_an_older_route_is_named():
    assert behind([worker(1), worker(2, epoch=2)], 3, NOW) == "worker 2 (process 102) follows epoch 2, not 3."
    assert behind([worker(1), worker(2, epoch=4)], 3, NOW) == ""


def test_what_is_waited_for_is_there_until_it_has_come(tmp_path):
    places = Places.of(tmp_path)
    places.root.mkdir(parents=True)
    assert read_waiting(places) is None
    say_waiting(places, "worker 2")
    assert read_waiting(places).what == "worker 2"
    say_waiting(places, "")
    say_waiting(places, "")
    assert read_waiting(places) is None


def test_a_file_that_is_damaged_says_nothing(tmp_path):
    places = Places.of(tmp_path)
    places.root.mkdir(parents=True)
    for damaged in ("", "[]", "{}", '{"what": "x", "since": 3}'):
        places.waiting.write_text(damaged)
        assert read_waiting(places) is None
