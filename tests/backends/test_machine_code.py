"""Code that LLVM compiled or linked can be called, and LLVM's own pages are not kept for it."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from gonogo.backends import machine_code

TWICE = "define i64 @twice(i64 %x) {\n  %y = add i64 %x, %x\n  ret i64 %y\n}\n"


def called(engine: object, value: int) -> int:
    address = engine.get_function_address("twice")  # type: ignore[attr-defined]
    return int(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(value))


def test_text_in_llvms_language_becomes_a_function() -> None:
    assert called(machine_code.compiled(TWICE), 21) == 42


def test_object_code_of_another_time_is_linked() -> None:
    import llvmlite.binding as llvm

    machine_code.processor()  # LLVM is ready
    code = machine_code.target(opt=2).emit_object(llvm.parse_assembly(TWICE))
    assert called(machine_code.linked(code), 21) == 42


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_llvms_own_pages_leave_the_process_and_come_back_when_it_compiles_again() -> None:
    engine = machine_code.compiled(TWICE)
    assert resident_mb() < 10
    assert called(machine_code.compiled(TWICE), 4) == 8
    assert called(engine, 5) == 10


def resident_mb() -> float:
    """Of LLVM's code in this process."""
    found, is_llvm = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            is_llvm = "r-xp" in line and line.endswith("/libllvmlite.so")
        elif is_llvm and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found / 1024
