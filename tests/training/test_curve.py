"""The learning curve says whether more data would help, and repeats."""

from __future__ import annotations

from pathlib import Path

from gonogo.training.curve import learning_curve
from gonogo.types.evidence import Curve, Series
from gonogo.types.protocols import Examples
from tests.contracts.learner_suite import World
from tests.families.tabular.worlds import world
from tests.training.worlds import EXAMPLES, WORLD, contract, family, run


def curve_of(tmp_path: Path, examples: dict[str, Examples] | None = None, of: World = WORLD) -> Curve | None:
    terms = contract(("logistic_regression", {}))
    fitted = run(tmp_path, terms)
    return learning_curve(terms, family(), examples or EXAMPLES, inputs=of.inputs, chosen=fitted.challenger, model=fitted.model)


def validate_of(curve: Curve | None) -> Series:
    """The line on validate, train's beside it."""
    train, validate = curve.series
    assert (train.name, validate.name) == ("train", "validate")
    return validate


def test_more_rows_lower_the_loss_where_there_is_something_to_learn(tmp_path: Path) -> None:
    series = validate_of(curve_of(tmp_path))
    assert [point.x for point in series.points] == sorted(point.x for point in series.points)
    assert series.points[0].y > series.points[-1].y


def test_the_last_point_is_the_candidate_itself(tmp_path: Path) -> None:
    terms = contract(("logistic_regression", {}))
    fitted = run(tmp_path, terms)
    chosen = fitted.challenger
    curve = learning_curve(terms, family(), EXAMPLES, inputs=WORLD.inputs, chosen=chosen, model=fitted.model)
    last = validate_of(curve).points[-1]
    assert (last.x, last.y) == (WORLD.train.keys.num_rows, next(trial.score for trial in chosen.trials if trial.chosen))


def test_the_shares_together_cost_less_than_a_quarter_of_the_fit(tmp_path: Path) -> None:
    series = validate_of(curve_of(tmp_path))
    assert sum(point.x for point in series.points[:-1]) <= 0.25 * WORLD.train.keys.num_rows


def test_it_repeats(tmp_path: Path) -> None:
    assert curve_of(tmp_path / "first") == curve_of(tmp_path / "second")


def test_a_share_with_one_class_is_left_out(tmp_path: Path) -> None:
    few = world(units=3)
    assert curve_of(tmp_path, {"train": few.train, "validate": few.validate}, few) is None


def test_train_stands_beside_validate_and_the_title_says_what_the_two_mean(tmp_path: Path) -> None:
    curve = curve_of(tmp_path)
    assert curve.title.startswith("Would more data help? ")
    assert "validate lies" in curve.title
    for series in curve.series:
        last = series.points[-1]
        assert last.low < last.y < last.high


def test_a_learner_that_fits_its_own_rows_far_better_than_new_ones_has_high_variance(tmp_path: Path) -> None:
    terms = contract(("xgboost", {"n_rounds": 80, "learning_rate": 0.3, "max_depth": 8}), select_by="roc_auc")
    fitted = run(tmp_path, terms)
    curve = learning_curve(terms, family(), EXAMPLES, inputs=WORLD.inputs, chosen=fitted.challenger, model=fitted.model)
    assert "High variance" in curve.title
    train, validate = (series.points[-1].y for series in curve.series)
    assert train > validate
