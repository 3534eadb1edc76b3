"""The learning curve says whether more data would help, and repeats."""

from __future__ import annotations

from pathlib import Path

from gonogo.training.curve import learning_curve
from gonogo.types.evidence import Curve
from gonogo.types.protocols import Examples
from tests.contracts.learner_suite import World
from tests.families.tabular.worlds import world
from tests.training.worlds import EXAMPLES, WORLD, contract, family, run


def curve_of(tmp_path: Path, examples: dict[str, Examples] | None = None, of: World = WORLD) -> Curve | None:
    terms = contract(("logistic_regression", {}))
    chosen = run(tmp_path, terms).challenger
    return learning_curve(terms, family(), examples or EXAMPLES, inputs=of.inputs, chosen=chosen)


def test_more_rows_lower_the_loss_where_there_is_something_to_learn(tmp_path: Path) -> None:
    (series,) = curve_of(tmp_path).series
    assert [point.x for point in series.points] == sorted(point.x for point in series.points)
    assert series.points[0].y > series.points[-1].y


def test_the_last_point_is_the_candidate_itself(tmp_path: Path) -> None:
    terms = contract(("logistic_regression", {}))
    chosen = run(tmp_path, terms).challenger
    last = learning_curve(terms, family(), EXAMPLES, inputs=WORLD.inputs, chosen=chosen).series[0].points[-1]
    assert (last.x, last.y) == (WORLD.train.keys.num_rows, next(trial.score for trial in chosen.trials if trial.chosen))


def test_the_shares_together_cost_less_than_a_quarter_of_the_fit(tmp_path: Path) -> None:
    (series,) = curve_of(tmp_path).series
    assert sum(point.x for point in series.points[:-1]) <= 0.25 * WORLD.train.keys.num_rows


def test_it_repeats(tmp_path: Path) -> None:
    assert curve_of(tmp_path / "first") == curve_of(tmp_path / "second")


def test_a_share_with_one_class_is_left_out(tmp_path: Path) -> None:
    few = world(units=3)
    assert curve_of(tmp_path, {"train": few.train, "validate": few.validate}, few) is None
