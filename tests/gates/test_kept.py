"""Compiled loops are kept, and know the files that they were compiled from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gonogo
from gonogo.gates import judge_code, kept

PACKAGE = Path(gonogo.__file__).parent


def test_an_edit_of_a_file_gives_another_key(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    keys = []
    for text in ("x = 1", "x = 2", "x = 1"):
        file.write_text(text)
        keys.append(kept.key_of([file], "llvm 1"))
    assert keys[0] == keys[2] != keys[1]
    assert kept.key_of([file], "llvm 2") != keys[0]


def test_the_judges_key_knows_every_file_of_ours_that_is_compiled_into_his_loops() -> None:
    asked = "import json, sys, gonogo.gates.judge_compile\n"
    asked += "print(json.dumps([m.__file__ for name, m in sys.modules.items() if name.startswith('gonogo.')]))"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    imported = {Path(file) for file in json.loads(said)} - set(PACKAGE.rglob("__init__.py"))
    assert imported <= set(judge_code.sources()), "a file that is compiled in, or could be, is not in the key"


def test_what_is_kept_comes_back_and_what_was_cut_off_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    kept.write("some.o", b"machine code")
    kept.write("some.o", b"machine code")
    assert kept.read("some.o") == b"machine code"
    (file,) = tmp_path.rglob("some.o")
    file.write_bytes(file.read_bytes()[:-1])
    assert kept.read("some.o") is None


def test_a_folder_that_cannot_be_written_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setattr(kept, "_folders", lambda: iter([tmp_path / "a file" / "below", tmp_path / "home"]))
    kept.write("some.o", b"machine code")
    assert (tmp_path / "home" / "some.o").exists()
    assert kept.read("some.o") == b"machine code"


def test_whoever_judges_holds_no_compiler() -> None:
    judge_code.loops(4)  # compiled by now
    asked = "import sys; from gonogo.gates.judge_code import loops; loops(4); print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "False\n"


def test_units_keep_their_marks_in_a_larger_table_at_both_widths() -> None:
    for mark in (np.uint32, np.uint64):
        keys, marks = np.zeros(8, np.uint64), np.zeros((8, 3), mark)
        keys[[1, 2]], marks[[1, 2]] = (9, 2), ((1, 2, 3), (4, 5, 6))
        new_keys, new_marks = np.zeros(16, np.uint64), np.zeros((16, 3), mark)
        moved = judge_code.loops(marks.itemsize).moved
        moved(*judge_code.of_units(keys, marks), *judge_code.of_units(new_keys, new_marks))
        assert {int(key): new_marks[at].tolist() for at, key in enumerate(new_keys) if key} == {9: [1, 2, 3], 2: [4, 5, 6]}


def test_the_loops_take_nothing_from_numba_that_runs_in_the_same_process() -> None:
    # Names are looked up in the whole process: what is defined for the one would be found by the other.
    both = "import numpy as np, numba; from gonogo.gates.judge_code import loops; loops(4)\n"
    both += "print(numba.njit(lambda n: np.zeros(n).sum() + 1)(10))"
    assert subprocess.run([sys.executable, "-c", both], capture_output=True, text=True, check=True).stdout == "1.0\n"
