"""Is a command followed by everybody, or is it only recorded?"""

from __future__ import annotations

import time

import pytest

from gonogo.serving.places import Places
from gonogo.serving.workerpage import WorkerPage
from gonogo.types.errors import NotConfirmed
from gonogo.workflow.confirm import confirm


@pytest.fixture
def places(tmp_path):
    return Places.of(tmp_path)


@pytest.fixture
def pages(places):
    made = [WorkerPage(places.workers, n) for n in (1, 2)]
    yield made
    for page in made:
        page.close()


def beat(page, epoch, at_ns=None):
    page.beat(at_ns or time.monotonic_ns(), follows=1, epoch=epoch)


def test_nobody_serves_where_no_worker_lives(places):
    assert confirm(places, 3).workers == ()


def test_it_is_confirmed_once_every_worker_follows_it(places, pages):
    beat(pages[0], 3)
    beat(pages[1], 2)
    assert confirm(places, 3, help_on=lambda: beat(pages[1], 4)).workers == (1, 2)


def test_one_worker_that_does_not_follow_is_named_and_nobody_is_told_success(places, pages):
    beat(pages[0], 3)
    beat(pages[1], 2)
    with pytest.raises(NotConfirmed, match="1 of 2 workers") as caught:
        confirm(places, 3, patience_s=0.02)
    assert "worker 2" in caught.value.found
    assert "follows epoch 2" in caught.value.found
    assert caught.value.exit_status == 3


def test_a_worker_that_hangs_is_said_to_hang(places, pages):
    beat(pages[0], 3)
    beat(pages[1], 2, at_ns=1)
    with pytest.raises(NotConfirmed) as caught:
        confirm(places, 3, patience_s=0.02)
    assert "no sign of life" in caught.value.found
