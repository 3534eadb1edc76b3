"""Compiled loops that are kept know the files that they were compiled from."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from gonogo.gates import judge_kernel
from gonogo.gates.kept import source_stamp
from gonogo.stats import kernels_sequential, sample_ratio


def test_the_judges_kept_loop_depends_on_the_sequences_that_are_compiled_into_it() -> None:
    (closed_over,) = judge_kernel.judge.py_func.__closure__
    assert closed_over.cell_contents == source_stamp(kernels_sequential, sample_ratio)


def test_an_edit_of_a_file_gives_another_stamp(tmp_path: Path) -> None:
    module = ModuleType("some")
    module.__file__ = str(tmp_path / "some.py")
    stamps = []
    for text in ("x = 1", "x = 2", "x = 1"):
        Path(module.__file__).write_text(text)
        stamps.append(source_stamp(module))
    assert stamps[0] == stamps[2] != stamps[1]
