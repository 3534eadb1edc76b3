"""The environment says on what a model was fitted, and nothing about whose machine it was."""

from __future__ import annotations

import getpass
import platform
from pathlib import Path

import numpy as np

from gonogo.training.environment import digest_of_files, environment
from gonogo.types.record import canonical


def test_versions_and_digests_are_told() -> None:
    told = environment()
    assert told["numpy"] == np.__version__
    assert told["code"].startswith("sha256:")
    assert told["python"] == platform.python_version()


def test_no_path_and_no_host_is_told() -> None:
    text = canonical(environment()).decode()
    assert "/" not in text
    assert platform.node() not in text or len(platform.node()) < 4
    assert str(Path.cwd()) not in text
    assert f'"{getpass.getuser()}"' not in text


def test_the_digest_of_files_sees_names_and_bytes_and_not_where_they_lie(tmp_path: Path) -> None:
    def digest(folder: str, name: str, text: str) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text)
        return digest_of_files(tmp_path / folder, [tmp_path / folder / name])

    assert digest("one", "a.py", "1") == digest("two", "a.py", "1")
    assert len({digest("one", "a.py", "1"), digest("one", "a.py", "2"), digest("one", "b.py", "1")}) == 3
