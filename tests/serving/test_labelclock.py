"""The clock of label windows: never set back, never ahead of what the machine itself can vouch for, whatever the wall clock does."""

from __future__ import annotations

import pytest

from gonogo.serving.labelclock import MOST_APART_US, LabelClock, Moment

HOUR = 3_600_000_000
T = 1_800_000_000_000_000


def at(hours: float, *, wall: float | None = None, boot: str = "a", up: float | None = None) -> Moment:
    """So many hours after the rollout began, by the machine's seconds; wall: by the wall clock, where that says otherwise."""
    return Moment(
        boot=boot,
        up_us=round((5 + hours if up is None else up) * HOUR),
        wall_us=T + round((hours if wall is None else wall) * HOUR),
    )


def begun(tmp_path) -> LabelClock:
    return LabelClock(tmp_path / "clock.json", 0, at(0))


def hours(clock: LabelClock, now: Moment) -> float:
    return (clock.now_us(now) - T) / HOUR


@pytest.mark.parametrize("jump", [-1, 1])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_wall_clock_that_jumps_an_hour_moves_no_window_and_calls_a_person(tmp_path, jump, restarted):
    clock = begun(tmp_path)
    if restarted:
        clock = LabelClock(tmp_path / "clock.json", clock.now_us(at(2)), at(3, wall=3 + jump))
    now = at(4, wall=4 + jump)
    assert hours(clock, now) == 4
    assert clock.trouble(now).startswith(f"Clock: the wall clock is 60 minutes {'ahead of' if jump > 0 else 'behind'}")


def test_clocks_that_agree_call_nobody(tmp_path):
    clock = begun(tmp_path)
    assert clock.trouble(at(100, wall=100 + 59 / 3600)) == ""
    assert clock.trouble(at(100, wall=100 - 59 / 3600)) == ""
    assert clock.trouble(at(100, wall=100 + 61 / 3600)) != ""


def test_a_machine_that_was_down_counts_no_more_than_it_has_been_up_since(tmp_path):
    """The wall clock says that three hours passed; one of them the machine can vouch for."""
    last = begun(tmp_path).now_us(at(2))
    back = at(5, boot="b", up=1)
    clock = LabelClock(tmp_path / "clock.json", last, back)
    assert hours(clock, back) == 3
    assert clock.trouble(back)
    assert hours(clock, at(6, boot="b", up=2)) == 4


def test_a_wall_clock_that_was_set_back_while_the_machine_was_down_sets_nothing_back(tmp_path):
    last = begun(tmp_path).now_us(at(2))
    back = at(2.5, wall=1, boot="b", up=0.1)
    clock = LabelClock(tmp_path / "clock.json", last, back)
    assert hours(clock, back) == 2
    assert clock.trouble(back)


def test_a_machine_that_started_anew_within_a_minute_goes_on(tmp_path):
    last = begun(tmp_path).now_us(at(2))
    clock = LabelClock(tmp_path / "clock.json", last, at(2 + 40 / 3600, boot="b", up=20 / 3600))
    assert clock.trouble(at(3, boot="b", up=1 - 20 / 3600)) == ""


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("{"), lambda path: path.write_text("[1]")])
def test_a_clock_whose_file_is_gone_goes_on_from_the_log_and_calls_a_person(tmp_path, damage):
    last = begun(tmp_path).now_us(at(2))
    damage(tmp_path / "clock.json")
    clock = LabelClock(tmp_path / "clock.json", last, at(4))
    assert hours(clock, at(4)) == 2
    assert clock.trouble(at(4))


def test_a_person_who_says_go_on_is_taken_at_the_wall_clocks_word(tmp_path):
    clock = begun(tmp_path)
    now = at(4, wall=9)
    clock.ask(now)
    clock.confirm(at(4.01, wall=9.01), entry=7)
    assert (hours(clock, at(5, wall=10)), clock.trouble(at(5, wall=10)), clock.confirmed) == (10, "", 7)
    again = LabelClock(tmp_path / "clock.json", clock.now_us(at(5, wall=10)), at(6, wall=11))
    assert (hours(again, at(6, wall=11)), again.trouble(at(6, wall=11)), again.confirmed) == (11, "", 7)


def test_a_clock_that_a_person_says_is_rightly_behind_is_known_and_sets_nothing_back(tmp_path):
    clock = begun(tmp_path)
    clock.ask(at(4, wall=3))
    clock.confirm(at(4, wall=3), entry=7)
    assert (hours(clock, at(5, wall=4)), clock.trouble(at(5, wall=4))) == (5, "")
    assert clock.trouble(at(5, wall=5))  # it has jumped again


def test_a_clock_that_was_set_right_before_the_answer_moves_nothing(tmp_path):
    clock = begun(tmp_path)
    clock.ask(at(4, wall=5))
    clock.confirm(at(4.1), entry=7)
    assert (hours(clock, at(5)), clock.trouble(at(5))) == (5, "")


@pytest.mark.parametrize("asked", [True, False])
def test_an_answer_says_nothing_of_a_jump_that_came_after_the_question(tmp_path, asked):
    clock = begun(tmp_path)
    if asked:
        clock.ask(at(4, wall=5))
    clock.confirm(at(4, wall=30), entry=7)
    assert hours(clock, at(4, wall=30)) == 4
    assert clock.trouble(at(4, wall=30))


def test_it_never_goes_back_behind_what_was_done_by_it(tmp_path):
    clock = LabelClock(tmp_path / "clock.json", 0, at(0))
    later = LabelClock(tmp_path / "clock.json", T + 3 * HOUR, at(1))
    assert clock.now_us(at(1)) == T + HOUR
    assert later.now_us(at(1)) == T + 3 * HOUR
    assert MOST_APART_US == 60_000_000
