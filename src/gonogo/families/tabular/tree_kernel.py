"""How is a row sent through hundreds of trees in a few microseconds?

By a small kernel in LLVM's language, which numba brings along: it is ready after 20 ms of compiling, where importing numba alone takes half
a second and twice the memory, and a server should answer sooner. The kernel reads tables that are laid out beforehand (flat_trees.py); the
model itself is never compiled.

Three ideas make it fast. A tree is padded to 2^depth leaves, so that the step from node i leads to 2i or 2i + 1 and no branch of the
processor depends on the row: it works on several trees at once. Every value stands twice in the row, a null as -inf among the low ones and
as +inf among the high ones, and a node that sends nulls right looks at the high one: nulls cost nothing. A leaf's padding compares NaN,
which is never at or above anything. Deep trees would grow too large so, and keep their nodes' children in a table.

Sums are float32 in the order of the trees, as XGBoost adds them up: the same bits.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from gonogo.backends.machine_code import compiled

DEEPEST_PADDED = 8  # each level doubles the tables

MODEL = (
    "thresholds",
    "features",
    "children",
    "leaves",
    "steps",
    "n_trees",
    "n_inputs",
    "fills",
    "refused",
    "indicated",
    "n_indicated",
    "base",
)
_ADDRESSES = ("thresholds", "features", "children", "leaves", "steps", "fills", "refused", "indicated")

_ROW = """
define double @score(ptr %values, ptr %model) {{
entry:
{fields}
  %n_columns = add i64 %n_inputs, %n_indicated
  %n_twice = shl i64 %n_columns, 1
  %n_slots = add i64 %n_twice, 1
  %x = alloca float, i64 %n_slots                  ; low values, high values, NaN
  %x.last = getelementptr float, ptr %x, i64 %n_twice
  store float 0x7FF8000000000000, ptr %x.last
  %any_input = icmp sgt i64 %n_inputs, 0
  br i1 %any_input, label %input, label %verdict

input:                                             ; nulls are filled, and what may not be there is noted
  %j = phi i64 [0, %entry], [%j.next, %input]
  %bad.before = phi i1 [0, %entry], [%bad, %input]
  %v.at = getelementptr double, ptr %values, i64 %j
  %v = load double, ptr %v.at
  %v.size = call double @llvm.fabs.f64(double %v)
  %is_infinite = fcmp oeq double %v.size, 0x7FF0000000000000
  %is_null = fcmp uno double %v, %v
  %refuses.at = getelementptr i8, ptr %refused, i64 %j
  %refused.byte = load i8, ptr %refuses.at
  %refuses = icmp ne i8 %refused.byte, 0
  %is_refused = and i1 %is_null, %refuses
  %is_bad = or i1 %is_infinite, %is_refused
  %bad = or i1 %bad.before, %is_bad
  %fill.at = getelementptr double, ptr %fills, i64 %j
  %fill = load double, ptr %fill.at
  %filled = select i1 %is_null, double %fill, double %v
  %f = fptrunc double %filled to float
  %is_missing = fcmp uno float %f, %f
  %low = select i1 %is_missing, float 0xFFF0000000000000, float %f
  %high = select i1 %is_missing, float 0x7FF0000000000000, float %f
  %low.at = getelementptr float, ptr %x, i64 %j
  store float %low, ptr %low.at
  %j.high = add i64 %j, %n_columns
  %high.at = getelementptr float, ptr %x, i64 %j.high
  store float %high, ptr %high.at
  %j.next = add i64 %j, 1
  %j.more = icmp slt i64 %j.next, %n_inputs
  br i1 %j.more, label %input, label %verdict

verdict:
  %any_bad = phi i1 [0, %entry], [%bad, %input]
  br i1 %any_bad, label %refusal, label %indicators
indicators:
  %any_indicated = icmp sgt i64 %n_indicated, 0
  br i1 %any_indicated, label %indicator, label %forest

indicator:                                         ; 1 where the column is null
  %k = phi i64 [0, %indicators], [%k.next, %indicator]
  %place.at = getelementptr i32, ptr %indicated, i64 %k
  %place.32 = load i32, ptr %place.at
  %place = zext i32 %place.32 to i64
  %w.at = getelementptr double, ptr %values, i64 %place
  %w = load double, ptr %w.at
  %w.null = fcmp uno double %w, %w
  %one = uitofp i1 %w.null to float
  %k.low = add i64 %n_inputs, %k
  %k.low.at = getelementptr float, ptr %x, i64 %k.low
  store float %one, ptr %k.low.at
  %k.high = add i64 %n_columns, %k.low
  %k.high.at = getelementptr float, ptr %x, i64 %k.high
  store float %one, ptr %k.high.at
  %k.next = add i64 %k, 1
  %k.more = icmp slt i64 %k.next, %n_indicated
  br i1 %k.more, label %indicator, label %forest

forest:
  %base.32 = fptrunc double %base to float
{forest}
answer:
  %margin = fpext float %sum.next to double
  ret double %margin
refusal:
  ret double 0x7FF8000000000000                    ; NaN: which value it was, the caller finds out
}}
declare double @llvm.fabs.f64(double)

define void @score_rows(ptr %values, i64 %n_rows, ptr %answers, ptr %model) {{
entry:
  %n_inputs.at = getelementptr i64, ptr %model, i64 {n_inputs}
  %n_inputs = load i64, ptr %n_inputs.at
  br label %rows
rows:
  %r = phi i64 [0, %entry], [%r.next, %row]
  %more = icmp slt i64 %r, %n_rows
  br i1 %more, label %row, label %end
row:
  %first = mul i64 %r, %n_inputs
  %row.at = getelementptr double, ptr %values, i64 %first
  %answer = call double @score(ptr %row.at, ptr %model)
  %answer.at = getelementptr double, ptr %answers, i64 %r
  store double %answer, ptr %answer.at
  %r.next = add i64 %r, 1
  br label %rows
end:
  ret void
}}
"""

_PADDED = """
  br label %tree
tree:
  %t = phi i64 [0, %forest], [%t.next, %tree]
  %sum = phi float [%base.32, %forest], [%sum.next, %tree]
  %first = shl i64 %t, {depth}
  %tree.thresholds = getelementptr float, ptr %thresholds, i64 %first
  %tree.features = getelementptr i16, ptr %features, i64 %first
  %tree.leaves = getelementptr float, ptr %leaves, i64 %first
{steps}
  %leaf = sub i64 %i{depth}, {n_leaves}
  %leaf.at = getelementptr float, ptr %tree.leaves, i64 %leaf
  %leaf.value = load float, ptr %leaf.at
  %sum.next = fadd float %sum, %leaf.value
  %t.next = add i64 %t, 1
  %t.more = icmp slt i64 %t.next, %n_trees
  br i1 %t.more, label %tree, label %answer
"""

_STEP = """
  %threshold{d}.at = getelementptr float, ptr %tree.thresholds, i64 %i{d}
  %threshold{d} = load float, ptr %threshold{d}.at
  %feature{d}.at = getelementptr i16, ptr %tree.features, i64 %i{d}
  %feature{d}.16 = load i16, ptr %feature{d}.at
  %feature{d} = zext i16 %feature{d}.16 to i64
  %x{d}.at = getelementptr float, ptr %x, i64 %feature{d}
  %x{d} = load float, ptr %x{d}.at
  %right{d} = fcmp oge float %x{d}, %threshold{d}
  %right{d}.64 = zext i1 %right{d} to i64
  %twice{d} = shl i64 %i{d}, 1
  %i{next} = or i64 %twice{d}, %right{d}.64"""

_LINKED = """
  br label %tree
tree:
  %t = phi i64 [0, %forest], [%t.next, %leaf]
  %sum = phi float [%base.32, %forest], [%sum.next, %leaf]
  %root.at = getelementptr i32, ptr %leaves, i64 %t  ; here: the place of each tree's first node
  %root = load i32, ptr %root.at
  %n_steps.at = getelementptr i32, ptr %steps, i64 %t
  %n_steps = load i32, ptr %n_steps.at
  br label %walk
walk:
  %i.32 = phi i32 [%root, %tree], [%i.next, %step]
  %s = phi i32 [0, %tree], [%s.next, %step]
  %i = zext i32 %i.32 to i64
  %threshold.at = getelementptr float, ptr %thresholds, i64 %i
  %threshold = load float, ptr %threshold.at
  %s.more = icmp slt i32 %s, %n_steps
  br i1 %s.more, label %step, label %leaf
step:
  %feature.at = getelementptr i16, ptr %features, i64 %i
  %feature.16 = load i16, ptr %feature.at
  %feature = zext i16 %feature.16 to i64
  %x.at = getelementptr float, ptr %x, i64 %feature
  %x.value = load float, ptr %x.at
  %right = fcmp oge float %x.value, %threshold
  %right.32 = zext i1 %right to i32
  %left.at = getelementptr i32, ptr %children, i64 %i
  %left = load i32, ptr %left.at
  %i.next = add i32 %left, %right.32
  %s.next = add i32 %s, 1
  br label %walk
leaf:
  %sum.next = fadd float %sum, %threshold            ; a leaf's threshold is its value, and it leads to itself
  %t.next = add i64 %t, 1
  %t.more = icmp slt i64 %t.next, %n_trees
  br i1 %t.more, label %tree, label %answer
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    """Machine code for trees of one depth. Pure; any number of threads may call it.

    score:      (a row's values as bytes of float64, address of the model) → log-odds; NaN where a value is infinite or a null refused.
    score_rows: (values, n rows, address of n float64 for the answers, address of the model); lets go of the interpreter meanwhile.
    """

    score: Callable[[bytes, int], float]
    score_rows: Callable[[bytes, int, int, int], None]
    engine: Any  # owns the code


@cache
def kernel(depth: int | None) -> Kernel:
    """The kernel for trees padded to that depth (at least 1); None: for trees of any depth, whose children stand in a table."""
    engine = compiled(source(depth))
    # PYFUNCTYPE keeps the interpreter's lock: to let go of it and take it again costs as much as a few trees.
    of_row = ctypes.PYFUNCTYPE(ctypes.c_double, ctypes.c_char_p, ctypes.c_void_p)
    of_rows = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    return Kernel(
        score=of_row(engine.get_function_address("score")),
        score_rows=of_rows(engine.get_function_address("score_rows")),
        engine=engine,
    )


def source(depth: int | None) -> str:
    """The kernel's text in LLVM's language."""
    fields = "\n".join(_field(place, name) for place, name in enumerate(MODEL))
    forest = _LINKED if depth is None else _padded(depth)
    return _ROW.format(fields=fields, forest=forest, n_inputs=MODEL.index("n_inputs"))


def _field(place: int, name: str) -> str:
    kind = "ptr" if name in _ADDRESSES else "double" if name == "base" else "i64"
    return f"  %{name}.at = getelementptr i64, ptr %model, i64 {place}\n  %{name} = load {kind}, ptr %{name}.at"


def _padded(depth: int) -> str:
    steps = "  %i0 = add i64 0, 1" + "".join(_STEP.format(d=d, next=d + 1) for d in range(depth))
    return _PADDED.format(depth=depth, steps=steps, n_leaves=2**depth)
