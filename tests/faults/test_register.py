"""Is every fault of the register shown by tests that exist, and by a change that still can be made?"""

from __future__ import annotations

import ast

import pytest

from tests.faults.register import FAULTS, ROOT, Fault, changed


def test_there_are_22() -> None:
    assert len({fault.what for fault in FAULTS}) == len(FAULTS) == 22


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_its_tests_exist_and_its_change_can_be_made(fault: Fault) -> None:
    for test in fault.tests:
        file, _, name = test.partition("::")
        defined = {node.name for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)}
        assert not name or name in defined, test
    ast.parse(changed(fault))
