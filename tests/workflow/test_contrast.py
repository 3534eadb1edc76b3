"""Facts about what paired figures say of two candidates."""

from __future__ import annotations

import pytest

from gonogo.cli import text_compare
from gonogo.types.evidence import Estimate, Evidence, Interval, Of
from gonogo.types.record import canonical, from_bytes
from gonogo.types.verdict import Status
from gonogo.workflow.contrast import NOT_WORSE_SHOWN, Answer, Comparison, Margin, Side, answer, paired

BETTER, WORSE, UNSEEN, REFUSED = (0.02, 0.01, 0.03), (-0.02, -0.03, -0.01), (0.001, -0.01, 0.012), None


def estimate(metric, ends, *, part=""):
    given = {} if ends is None else {"value": ends[0], "interval": Interval(low=ends[1], high=ends[2], method="")}
    why = {"value": None, "interval": None, "refused": "3 positives of 50 asked"} if ends is None else {}
    return Estimate(metric=metric, of=Of.DIFFERENCE, slice=part, n_units=80, n_rows=800, measured_in="", better="higher", **given, **why)


def evidence(*estimates):
    digests = dict.fromkeys(("contract", "candidate", "champion", "snapshot"), "sha256:" + "0" * 64)
    return Evidence(**digests, champion_is="champion", table="test", n_rows=800, n_units=80, estimates=estimates)


def figures(**ends):
    return paired(evidence(*(estimate(metric, of) for metric, of in ends.items())))[0]


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ({"auc": BETTER, "ap": UNSEEN}, Answer.BETTER),
        ({"auc": WORSE, "ap": UNSEEN}, Answer.WORSE),
        ({"auc": WORSE, "ap": BETTER}, Answer.MIXED),
        ({"auc": UNSEEN, "ap": UNSEEN}, Answer.UNSEEN),
        ({"auc": REFUSED}, Answer.UNSEEN),
        ({}, Answer.UNSEEN),
    ],
)
def test_the_answer_follows_from_what_is_shown_and_nothing_shown_is_never_better(ends, said):
    assert answer(figures(**ends), (), same_model=False)[0] is said


def test_a_figure_that_stands_out_alone_does_not_among_many():
    alone = figures(auc=(0.02, 0.001, 0.039))
    among = figures(auc=(0.02, 0.001, 0.039), **{f"other_{i}": UNSEEN for i in range(9)})
    assert answer(alone, (), same_model=False)[0] is Answer.BETTER
    assert answer(among, (), same_model=False)[0] is Answer.UNSEEN


def test_a_margin_is_kept_by_all_or_by_none():
    kept, lost = (Margin(metric="auc", limit=-0.02, stated_in="--margin", kept=k) for k in (True, False))
    assert answer(figures(auc=UNSEEN), (kept,), same_model=False)[0] is Answer.NOT_WORSE
    assert answer(figures(auc=UNSEEN), (kept, lost), same_model=False)[0] is Answer.UNSEEN
    assert answer(figures(auc=WORSE), (kept,), same_model=False)[0] is Answer.WORSE


def test_slices_are_adjusted_among_themselves():
    whole, parts = paired(evidence(estimate("auc", BETTER), *(estimate("auc", UNSEEN, part=f"day={i}") for i in range(5))))
    assert (len(whole), len(parts)) == (1, 5)
    assert whole[0].p_adjusted == whole[0].p_value


def comparison(said, because, found):
    digest = "sha256:" + "0" * 64
    side = Side(
        verdict=digest,
        contract=digest,
        contract_name="parcels",
        snapshot=digest,
        candidate=digest,
        learner="prior_rate",
        status=Status.PASS,
        n_rows=800,
        n_units=80,
    )
    return Comparison(
        answer=said, because=because, a=side, b=side, n_rows=800, n_units=80, figures=found, slices=(), margins=(), rulings=(), changed=()
    )


@pytest.mark.parametrize("said", [a for a in Answer if a is not Answer.UNPAIRED])
def test_every_answer_reads_as_an_answer_and_a_next_step_and_is_a_record(said):
    record = comparison(said, "because", figures(auc=BETTER, ap=REFUSED))
    text = text_compare.comparison(record, "here")
    assert "next: " in text.splitlines()[-1]
    assert "no evidence  3 positives of 50 asked" in text
    assert canonical(from_bytes(Comparison, canonical(record))) == canonical(record)


def test_a_p_value_near_the_limit_is_told_in_digits_that_show_on_which_side_it_lies():
    assert [text_compare._p(p) for p in (0.00001, 0.0495, 0.0504, 0.44)] == ["< 0.0001", "0.0495", "0.0504", "0.44"]


def test_a_margin_that_was_given_binds_a_better_model_too():
    lost = Margin(metric="log_loss", limit=0.001, stated_in="--margin", kept=False)
    said, because = answer(figures(auc=BETTER, log_loss=UNSEEN), (lost,), same_model=False)
    assert said is Answer.NOT_KEPT
    assert said not in NOT_WORSE_SHOWN
    assert "the margin of log_loss is not shown" in because
