"""What every test shares: services are needed loudly where CI is set, and named where a user lacks them."""

from __future__ import annotations

import os
import socket

import pytest

from tests.runs import done, finished, flights, flights_leak  # noqa: F401  every test may ask for them

POSTGRES = ("127.0.0.1", 5432)
HINT = "needs PostgreSQL on 127.0.0.1:5432 (Debian: apt-get install postgresql)"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that needs a service fails in CI where the service is missing, and is skipped with one line elsewhere."""
    if item.get_closest_marker("postgres") is None or _answers(POSTGRES):
        return
    if os.environ.get("CI"):
        pytest.fail(HINT, pytrace=False)
    pytest.skip(HINT)


def _answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True
