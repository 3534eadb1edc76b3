"""The page of a rollout says what was decided, when and why, loads nothing, and never draws what is not there."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from gonogo.evidence.rollout_charts import Clock, draw_sequence, draw_shares
from gonogo.evidence.rollout_page import after, headline, render
from gonogo.evidence.rollout_view import Decision, RolloutView, Spot, Trace
from gonogo.types.release import Judgement, Phase, Plan, Stage, Standing, Watch, WatchRuling
from gonogo.types.verdict import Status

SECOND = 1_000_000
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def watch(name: str, slice_: str = "") -> Watch:
    return Watch(
        name=name,
        metric="log_loss",
        kind="loss",
        slice=slice_,
        slice_bit=0 if slice_ else -1,
        action="rollback",
        ratio_at_most=None,
        rate_at_most=None,
        at_most=0.05,
        low=0.0,
        high=4.0,
        alpha_harm=0.001,
        alpha_certificate=0.005,
        loss=0,
    )


STAGES = tuple(
    Stage(phase=phase, share=share, bake_us=4 * SECOND, patience_us=60 * SECOND)
    for phase, share in ((Phase.SHADOW, 0.0), (Phase.CANARY, 0.1), (Phase.CANARY, 0.5), (Phase.FULL, 1.0), (Phase.PROBATION, 1.0))
)
PLAN = Plan(
    contract=A,
    contract_name="flights",
    verdict=B,
    champion=A,
    challenger=B,
    method="canary",
    salt="s",
    bucket_by="tailnum",
    alpha=0.05,
    stages=STAGES,
    watches=(watch("predicts as well"), watch("predicts as well", "carrier=UA")),
    slices=("carrier=UA",),
    losses=("log_loss",),
    probation_us=6 * SECOND,
    label_window_us=6 * SECOND,
)
STANDING = Standing(
    rollout=A,
    contract="flights",
    phase=Phase.ROLLED_BACK,
    step=2,
    share=0.0,
    epoch=5,
    held="",
    waits_for_approval=False,
    since_seq=9,
    why="Log loss of <carrier=UA> is worse by 0.61.",
)


def decision(seq: int, seconds: float, kind: str, phase: str, share: float, because: str = "") -> Decision:
    why = f"why {seq} & <b>"
    return Decision(
        seq=seq,
        at="2026-01-01T00:00:00Z",
        seconds=seconds,
        by="ann",
        kind=kind,
        phase=phase,
        step=0,
        share=share,
        because=because,
        why=why,
        judgement=B,
    )


DECISIONS = (
    decision(1, 0.0, "rollout_opened", "registered", 0.0),
    decision(2, 1.0, "rollout_step", "shadow", 0.0, "opened"),
    decision(3, 9.0, "rollout_step", "canary", 0.1, "certificate"),
    decision(4, 15.0, "rollout_step", "canary", 0.5, "certificate"),
    decision(5, 21.0, "rollback", "rolled_back", 0.0, "harm"),
)


def ruling(name: str, status: Status) -> WatchRuling:
    return WatchRuling(
        watch=name,
        metric="log_loss",
        slice="",
        status=status,
        action="rollback",
        log10_e_harm=3.4,
        log10_e_safe=None,
        value=0.61,
        low=0.2,
        high=1.1,
        n_champion=40,
        n_challenger=41,
        sentence="Harm is shown.",
    )


JUDGEMENT = Judgement(
    plan=A,
    step=2,
    cut=100,
    status=Status.FAIL,
    rulings=(ruling("predicts as well", Status.PASS), ruling("predicts as well [carrier=UA]", Status.FAIL)),
    baked_us=5 * SECOND,
    sample_ratio_log10_e=-0.4,
    alpha_spent=0.02,
    certified=(),
    sentence="Brought back.",
)


def trace(name: str, slice_: str = "") -> Trace:
    spots = tuple(
        Spot(
            seconds=1.0 + i / 8,
            step=0 if i < 64 else 1 if i < 112 else 2,
            harm=i / 160,
            safe=-i / 400,
            value=i / 300,
            low=i / 300 - 5 / (i + 1),
            high=i / 300 + 5 / (i + 1),
        )
        for i in range(160)
    )
    return Trace(watch=name, metric="log_loss", slice=slice_, margin=0.05, measured_in="nats", spots=spots)


VIEW = RolloutView(
    name="flights",
    question="Will it be late?",
    rollout=A,
    plan=PLAN,
    standing=STANDING,
    decisions=DECISIONS,
    judgements=(JUDGEMENT,),
    traces=(trace("predicts as well"), trace("predicts as well [carrier=UA]", "carrier=UA")),
    challenger="logistic regression",
    champion="prior rate",
)


def test_every_decision_stands_on_the_page_with_its_reason() -> None:
    html = render(VIEW)
    assert all(f"why {d.seq} &amp; &lt;b&gt;" in html for d in DECISIONS)
    assert "ROLLED BACK" in html
    assert "21.0 s" in html


def test_the_page_loads_nothing_and_escapes_what_came_from_outside() -> None:
    html = render(VIEW)
    assert not re.search(r"(src|href)=[\"'](?!#)", html)
    assert "<b>" not in html


def test_the_same_view_gives_the_same_bytes() -> None:
    assert render(VIEW) == render(VIEW)


def test_a_slice_that_did_harm_is_drawn_in_front_and_not_folded_away() -> None:
    html = render(VIEW)
    assert html.index("predicts as well [carrier=UA]: is harm shown") < html.index("predicts as well: is harm shown")
    assert "The same for" not in html


def test_a_rollout_that_nobody_judged_says_so_instead_of_drawing_an_empty_frame() -> None:
    html = render(replace(VIEW, traces=(), judgements=(), no_traces="The judge's log is gone."))
    assert "The judge&#39;s log is gone." in html
    assert "No stage has been judged." in html


def test_a_share_chart_needs_a_decision() -> None:
    with pytest.raises(ValueError, match="no shares"):
        draw_shares((), Clock.of(10.0), key="k", title="t")


def test_a_rate_that_is_nought_throughout_is_drawn_on_the_scale_of_its_intervals() -> None:
    never = replace(
        trace("x"), margin=None, spots=tuple(replace(s, value=0.0, low=0.0, high=1 / (i + 2)) for i, s in enumerate(trace("x").spots))
    )
    chart = draw_sequence(never, DECISIONS, Clock.of(10.0), key="k")
    assert chart is not None
    assert "0.00000" not in chart.svg


def test_a_watch_without_any_value_has_no_sequence() -> None:
    without = replace(trace("x"), spots=tuple(replace(s, value=None, low=None, high=None) for s in trace("x").spots))
    assert draw_sequence(without, DECISIONS, Clock.of(10.0), key="k") is None


@pytest.mark.parametrize(
    ("standing", "word"),
    [
        (replace(STANDING, phase=Phase.CANARY, share=0.05), "CANARY 5 %"),
        (replace(STANDING, phase=Phase.FULL, held="a signal"), "FULL, on hold"),
        (replace(STANDING, phase=Phase.SETTLED), "SETTLED"),
    ],
)
def test_the_headline_is_where_the_rollout_stands(standing: Standing, word: str) -> None:
    assert headline(replace(VIEW, standing=standing)) == word


def test_durations_read_as_a_person_says_them() -> None:
    assert [after(4.26), after(75.0), after(7260.0)] == ["4.3 s", "1 min 15 s", "2 h 01 min"]


def test_moves_of_a_policy_are_the_line_itself_and_bear_no_number() -> None:
    def moved(because: str) -> Decision:
        return Decision(
            seq=1,
            at="2026-01-01T00:00:00Z",
            seconds=5.0,
            by="c",
            kind="rollout_step",
            phase="canary",
            step=1,
            share=0.3,
            because=because,
            why="",
        )

    drawn = {because: draw_shares([moved(because)], Clock.of(60.0), key="k", title="t") for because in ("certificate", "allocation")}
    assert ">1</text>" in drawn["certificate"].svg
    assert ">1</text>" not in drawn["allocation"].svg
    assert drawn["allocation"].rows[0][-1] == "30 %"
