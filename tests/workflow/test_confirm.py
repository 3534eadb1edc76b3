"""Is a command followed by everybody, or is it only recorded?"""

from __future__ import annotations

import time

import pytest

from gonogo.serving.places import Places
from gonogo.serving.route import Route, RouteWriter
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


def beat(page, version, at_ns=None):
    page.beat(at_ns or time.monotonic_ns(), follows=version, epoch=version)


@pytest.fixture
def route(places):
    """A route that has been written twice: version 2 is epoch 3, champion a."""
    writer = RouteWriter(places.route)
    writer.write(Route(epoch=2, champion="b", champion_package="p"))
    writer.write(Route(epoch=3, champion="a", champion_package="p"))
    yield writer
    writer.close()


def test_nobody_serves_where_no_worker_lives(places):
    assert confirm(places, 3, "a").workers == ()


def test_it_is_confirmed_once_every_worker_follows_it(places, pages, route):
    beat(pages[0], 2)
    beat(pages[1], 1)
    assert confirm(places, 3, "a", help_on=lambda: beat(pages[1], 2)).workers == (1, 2)


def test_it_is_not_confirmed_while_the_route_is_an_older_one(places, pages, route):
    beat(pages[0], 2)
    beat(pages[1], 2)
    with pytest.raises(NotConfirmed):
        confirm(places, 4, "a", patience_s=0.02)
    with pytest.raises(NotConfirmed):
        confirm(places, 3, "another champion", patience_s=0.02)
    route.write(Route(epoch=5, champion="c", champion_package="p"))
    with pytest.raises(NotConfirmed):
        confirm(places, 4, "a", patience_s=0.02)
    beat(pages[0], 3)
    beat(pages[1], 3)
    assert confirm(places, 4, "a", patience_s=0.02).workers == (1, 2)


def test_one_worker_that_does_not_follow_is_named_and_nobody_is_told_success(places, pages, route):
    beat(pages[0], 2)
    beat(pages[1], 1)
    with pytest.raises(NotConfirmed, match="1 of 2 workers") as caught:
        confirm(places, 3, "a", patience_s=0.02)
    assert "worker 2" in caught.value.found
    assert "follows epoch 1" in caught.value.found
    assert caught.value.exit_status == 3


def test_a_worker_that_hangs_is_said_to_hang(places, pages, route):
    beat(pages[0], 2)
    beat(pages[1], 1, at_ns=1)
    with pytest.raises(NotConfirmed) as caught:
        confirm(places, 3, "a", patience_s=0.02)
    assert "no sign of life" in caught.value.found
