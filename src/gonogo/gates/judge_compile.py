"""How does machine code come out of the judge's loops?

    python -m gonogo.gates.judge_compile BYTES_OF_A_MARK > judge.o

Run in a process of its own, which takes numba's memory and its ten seconds with it when it ends; what it writes is an object file with one
C function for each loop. It steps back behind whoever serves. Nothing of numba is needed to call them: `judge_code.py` does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np
from numba import carray, cfunc, types  # type: ignore[attr-defined]

from gonogo.backends import machine_code
from gonogo.gates.judge_kernel import judge, moved
from gonogo.gates.judge_state import (
    BINS,
    EVENT,
    MOST_BETS,
    N_REAL,
    N_WHOLE,
    RECENT,
    REFERENCE,
    RING,
    RULES,
    TALLY,
    WATCH,
    Rules,
    State,
)
from gonogo.types.traffic import OBSERVATION

_AT, _N = types.voidptr, types.int64
_LINES, _UNITS = (_AT, _N, _N), (_AT, _AT, _N, _N)  # lines, how many, where to begin | keys, marks, places, columns
_RULES = (_AT, _AT, _N, _AT)
_STATE = (_AT, _AT, _AT, _N, _AT, _AT, _AT, _AT, _AT, _AT, _AT, _N, _AT, _AT, _N, _AT)
_CUTS = BINS - 1
_NEVER = ("NRT_", "numba_", "Py")  # numba's runtime and the interpreter's
_TRAP = "declare void @llvm.trap()\n"


def object_code(mark_bytes: int) -> bytes:
    """`judge` and `moved` for marks of that width, for this processor."""
    mark = {4: np.uint32, 8: np.uint64}[mark_bytes]
    module = _alone(judge=_judging(mark), moved=_moving(mark))
    code: bytes = machine_code.target(opt=3).emit_object(module)
    return code


def _judging(mark: type) -> Any:
    def door(  # type: ignore[no-untyped-def]
        lines, n, begin, c, w, n_w, bets, whole, x, e, n_e, t, counts, recent, ring, first, cuts, measured, n_l, capital, at, n_k, hits,
        keys, marks, places, columns,
    ):  # fmt: skip
        rules = Rules(carray(c, 1, RULES), carray(w, n_w, WATCH), carray(bets, (4, 2, MOST_BETS), np.float64))
        state = State(
            carray(whole, N_WHOLE, np.int64),
            carray(x, N_REAL, np.float64),
            carray(e, n_e, EVENT),
            carray(t, n_w, TALLY),
            carray(counts, (n_w, 3, 2), np.int64),
            carray(recent, (n_w, RECENT), np.uint8),
            carray(ring, RING, np.uint8),
            carray(first, (2, REFERENCE), np.float64),
            carray(cuts, _CUTS, np.float64),
            carray(measured, (n_l, 4), np.int64),
            carray(capital, (n_k, 4, MOST_BETS), np.float64),
            carray(at, (n_k, 4, 5), np.float64),
            carray(hits, (n_k, 2), np.int64),
        )
        return judge(
            carray(lines, n, OBSERVATION), begin, rules, state, carray(keys, places, np.uint64), carray(marks, (places, columns), mark)
        )

    return _compiled(door, types.int64(*_LINES, *_RULES, *_STATE, *_UNITS))


def _moving(mark: type) -> Any:
    def door(keys, marks, places, columns, new_keys, new_marks, new_places, new_columns):  # type: ignore[no-untyped-def]
        moved(
            carray(keys, places, np.uint64),
            carray(marks, (places, columns), mark),
            carray(new_keys, new_places, np.uint64),
            carray(new_marks, (new_places, new_columns), mark),
        )

    return _compiled(door, types.void(*_UNITS, *_UNITS))


def _compiled(door: Callable[..., Any], signature: Any) -> Any:
    return cfunc(signature, error_model="numpy")(door)


def _alone(**doors: Any) -> Any:
    """One module with these functions under these names, and what they call but for the mathematics of the system."""
    whole = llvm.parse_assembly("")
    for name, door in doors.items():
        module = llvm.parse_assembly(door.inspect_llvm())
        for function in module.functions:
            if function.name == door.native_name:
                function.name = name
            elif not function.is_declaration:
                function.linkage = "internal"
        for value in module.global_variables:
            if not value.is_declaration:
                value.linkage = "internal"
        # Before they are linked: what two of them have under one name must stay apart.
        passes = llvm.create_new_module_pass_manager()
        passes.add_global_dead_code_eliminate_pass()
        passes.run(module, llvm.create_pass_builder(machine_code.target(opt=3), llvm.create_pipeline_tuning_options()))
        module.link_in(llvm.parse_assembly(_stubs(module)))
        whole.link_in(module)
    return whole


def _stubs(module: Any) -> str:
    """Of what would be called only to raise or to free memory. The loops check nothing and allocate nothing: whoever gets there ends."""
    names = [f.name for f in module.functions if f.is_declaration and f.name.startswith(_NEVER)]
    return "".join(f"define linkonce_odr void @{name}() {{\n  call void @llvm.trap()\n  unreachable\n}}\n" for name in names) + _TRAP


if __name__ == "__main__":
    os.nice(5)
    sys.stdout.buffer.write(object_code(int(sys.argv[1])))
