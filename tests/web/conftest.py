"""A world that can be released, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.web import served
from tests.web.releasable import make


@pytest.fixture(scope="session")
def released_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a GO and both packages. Only to be read."""
    return make(tmp_path_factory.mktemp("releasable") / served.NAME)


@pytest.fixture
def world(released_world: Path, tmp_path: Path) -> Path:
    """A copy of it, to be served."""
    return shutil.copytree(released_world, tmp_path / served.NAME)
