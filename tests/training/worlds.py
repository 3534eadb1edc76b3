"""A contract with a family and tables that need no source."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gonogo.backends.files import FileBlobs
from gonogo.families.registry import find
from gonogo.training.fit import Fitted, fit
from gonogo.types.contract import Budget, Contract, LearnerChoice
from gonogo.types.protocols import Examples, Family
from gonogo.types.toml import read_contract
from tests.families.tabular.worlds import world

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights" / "contract.toml"
WORLD = world()
EXAMPLES: Mapping[str, Examples] = {"train": WORLD.train, "validate": WORLD.validate}
XGBOOST = {"n_rounds": 30, "learning_rate": 0.2, "max_depth": 3}


def family() -> Family:
    return find("tabular")


def contract(*learners: tuple[str, dict[str, Any]], **changed: Any) -> Contract:
    """The flights contract with other learners and, by name, other fields."""
    read = read_contract(FLIGHTS.read_text(), where="contract.toml")
    choices = tuple(
        LearnerChoice(name=name, params=params) for name, params in learners or (("logistic_regression", {}), ("xgboost", XGBOOST))
    )
    return dataclasses.replace(read, **{"learners": choices, "budget": Budget(), **changed})


def run(folder: Path, terms: Contract, *, with_family: Family | None = None) -> Fitted:
    return fit(
        terms,
        with_family or family(),
        EXAMPLES,
        inputs=WORLD.inputs,
        contract_digest="sha256:" + "1" * 64,
        snapshot_digest="sha256:" + "2" * 64,
        blobs=FileBlobs(folder / "blobs"),
        workspace=folder / "scratch",
    )
