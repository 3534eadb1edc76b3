"""What every learner promises, whatever its family. A plugin's tests subclass it and give a learner with two worlds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import pytest

from gonogo.stats.clustered import paired_difference
from gonogo.stats.figure import Figure
from gonogo.types.errors import UserError
from gonogo.types.protocols import Examples, Family, Learner, Model
from gonogo.types.snapshot import Input
from tests.contracts.model_suite import read_folder


@dataclass(frozen=True, kw_only=True)
class World:
    """Three tables of one known truth."""

    train: Examples
    validate: Examples
    test: Examples
    inputs: tuple[Input, ...]


class LearnerSuite(ABC):
    """Subclasses are collected by pytest under a name that starts with Test."""

    family: Family

    @abstractmethod
    def learner(self) -> Learner:
        """The learner, cheap enough to be fitted a few times."""

    @abstractmethod
    @pytest.fixture
    def easy(self) -> World:
        """A world in which the outcome follows from the inputs."""

    @abstractmethod
    @pytest.fixture
    def noise(self) -> World:
        """A world in which the inputs say nothing about the outcome."""

    def fit(self, world: World, *, train: Examples | None = None, seed: int = 1, threads: int = 1) -> Model:
        return self.learner().fit(
            world.train if train is None else train, world.validate, inputs=world.inputs, seed=seed, threads=threads, budget_s=None
        )

    def test_the_same_seed_gives_the_same_bytes(self, easy: World, tmp_path: Path) -> None:
        self.fit(easy).save(tmp_path / "first")
        self.fit(easy).save(tmp_path / "second")
        assert read_folder(tmp_path / "first") == read_folder(tmp_path / "second")

    def test_one_and_two_threads_give_the_same_bytes(self, easy: World, tmp_path: Path) -> None:
        self.fit(easy, threads=1).save(tmp_path / "one")
        self.fit(easy, threads=2).save(tmp_path / "two")
        assert read_folder(tmp_path / "one") == read_folder(tmp_path / "two")

    def test_nothing_is_learnt_from_no_rows(self, easy: World) -> None:
        nothing = Examples(
            keys=easy.train.keys.slice(0, 0),
            inputs=easy.train.inputs.slice(0, 0),
            outcomes=easy.train.outcomes.slice(0, 0),
            slices=easy.train.slices.slice(0, 0),
        )
        with pytest.raises(UserError):
            self.fit(easy, train=nothing)

    def test_the_baseline_is_beaten_where_there_is_something_to_learn(self, easy: World) -> None:
        if self.is_the_baseline:
            pytest.skip("it is the baseline")
        assert self.better_by(easy).interval.high < 0

    def test_the_baseline_is_not_beaten_where_there_is_nothing_to_learn(self, noise: World) -> None:
        assert self.is_the_baseline or self.better_by(noise).interval.high >= 0

    @property
    def is_the_baseline(self) -> bool:
        return isinstance(self.learner(), type(self.family.learners[self.family.baseline]()))

    def better_by(self, world: World) -> Figure:
        """The difference to the baseline on rows that neither has seen, so that below 0 is better."""
        baseline = self.family.learners[self.family.baseline]().fit(
            world.train, world.validate, inputs=world.inputs, seed=1, threads=1, budget_s=None
        )
        metric = self.family.metrics[0]
        ours = metric.score(self.fit(world).predict(world.test.inputs), world.test.outcomes)
        theirs = metric.score(baseline.predict(world.test.inputs), world.test.outcomes)
        return paired_difference(ours, theirs) if metric.better == "lower" else paired_difference(theirs, ours)
