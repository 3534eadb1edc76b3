"""How does code that LLVM knows become functions of this process, and what stays in memory of LLVM afterwards?

llvmlite brings LLVM along; numba, through which most people call it, takes half a second and far more memory. What was compiled before, by
another process, is object code, which only has to be linked.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Any

_DONT_NEED = 4  # MADV_DONTNEED of Linux


def processor() -> tuple[str, str]:
    """Name and features of the processor that code is made for. Code that was made for another one may end the process."""
    llvm = _llvm()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def target(*, opt: int) -> Any:
    """LLVM's machine for this processor."""
    name, features = processor()
    return _llvm().Target.from_default_triple().create_target_machine(opt=opt, cpu=name, features=features)


def compiled(source: str) -> Any:
    """An engine, whose `get_function_address` knows the functions of this text in LLVM's language; the code is gone with it."""
    llvm = _llvm()
    module = llvm.parse_assembly(source)
    module.verify()
    engine = llvm.create_mcjit_compiler(module, target(opt=2))
    engine.finalize_object()
    _let_go()
    return engine


def linked(code: bytes) -> Any:
    """The same of object code."""
    llvm = _llvm()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target(opt=2))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _let_go()
    return engine


@cache
def _llvm() -> Any:
    import llvmlite.binding as llvm  # type: ignore[import-untyped]

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def _let_go() -> None:
    """Take the pages of LLVM's own code out of this process: 40 MB that nobody needs until something is compiled again.

    They were read from the file and cannot be written to, so they come back from there if they are wanted.
    """
    if sys.platform != "linux":
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, rights, *_ = line.split()
        if rights == "r-xp" and line.endswith("/libllvmlite.so"):
            begin, end = (int(at, 16) for at in place.split("-"))
            madvise(begin, end - begin, _DONT_NEED)  # where that is refused, memory is held and nothing else is different
