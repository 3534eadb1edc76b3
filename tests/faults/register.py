"""The 22 faults, what is done about each, the tests that show it, and changes of the program that those tests must find.

`python -m tests.faults.register` makes each change in a copy of the program and runs the tests of its fault: one that still passes is a
test that cannot fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_JUDGING = "tests/gates/test_faults_of_judging.py"
_TABLE = "tests/gates/test_rollout_table.py"
_DECIDE = "tests/gates/test_decide.py"
_PROCESSES = "tests/faults/test_processes.py"
_RULINGS = "gates/judge_rulings.py"


@dataclass(frozen=True)
class Change:
    """One place of the program, written wrongly."""

    file: str  # below src/gonogo
    old: str  # stands there exactly once
    new: str


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, and where it is shown that nobody is harmed by it."""

    what: str
    outcome: str
    tests: tuple[str, ...]
    change: Change  # at least one of the tests must fail


FAULTS = (
    Fault(
        "a metric's source is empty",
        "nothing passes; it holds, and calls a person after rollout.patience",
        (
            f"{_JUDGING}::test_an_empty_source_of_outcomes_holds_and_in_the_end_alarms",
            f"{_JUDGING}::test_no_hole_in_the_evidence_is_a_pass",
        ),
        Change(_RULINGS, 'return Status.MISSING, "nothing was measured', 'return Status.PASS, "nothing was measured'),
    ),
    Fault(
        "a metric is NaN",
        "it is an error, no zero and no pass",
        (
            f"{_JUDGING}::test_losses_that_are_no_numbers_are_no_evidence_and_no_zero",
            f"{_DECIDE}::test_nan_in_a_record_is_missing_though_no_parser_would_let_it_in",
        ),
        Change(_RULINGS, "if unmeasured >= FEW and unmeasured > MOST_UNMEASURED * rows:", "if rows < 0:"),
    ),
    Fault(
        "evidence is stale",
        "it is missing: of an earlier route, or of a challenger that has answered nothing for a while",
        (
            f"{_JUDGING}::test_no_hole_in_the_evidence_is_a_pass",
            f"{_TABLE}::test_evidence_of_another_plan_stage_or_route_moves_nothing_and_alarms",
        ),
        Change("gates/rollout.py", "if judgement.epoch > standing.epoch or (", "if judgement.epoch > standing.epoch and ("),
    ),
    Fault(
        "evidence is of another digest",
        "it is missing",
        (f"{_DECIDE}::test_evidence_of_something_else_is_missing", f"{_DECIDE}::test_an_edited_record_is_missing"),
        Change("gates/decide.py", "if of != asked:", "if not of:"),
    ),
    Fault(
        "no check is configured",
        "nothing passes",
        (
            f"{_JUDGING}::test_no_check_configured_is_no_pass",
            f"{_DECIDE}::test_no_gate_at_all_is_no_go",
            "tests/types/test_toml.py::test_an_empty_list_of_gates_is_refused_as_no_gates_at_all",
        ),
        Change(_RULINGS, '"guardrails", Status.MISSING', '"guardrails", Status.PASS'),
    ),
    Fault(
        "a check crashes",
        "its figure is unknown; a controller that cannot judge gives no sign of life, and the champion answers alone",
        (
            "tests/workflow/test_observe.py::test_a_metric_that_raises_or_says_another_number_of_losses_gives_none",
            "tests/faults/test_orders.py::test_a_controller_without_a_judge_gives_no_sign_of_life",
            "tests/faults/test_orders.py::test_a_controller_in_trouble_gives_no_sign_of_life",
        ),
        Change("workflow/losses.py", "found = np.full(len(predictions), np.nan)", "found = np.zeros(len(predictions))"),
    ),
    Fault(
        "the arms are swapped",
        "the verdict flips",
        (
            f"{_DECIDE}::test_swapping_the_arms_turns_pass_into_fail",
            "tests/gates/test_judge.py::test_harm_of_each_kind_brings_the_release_back",
        ),
        Change(
            "gates/decide.py",
            "_side(kept=high <= gate.at_most, broken=low > gate.at_most)",
            "_side(kept=-low <= gate.at_most, broken=False)",
        ),
    ),
    Fault(
        "zeros are stored for a computation that failed",
        "it is an error: neither a pass nor blame",
        (f"{_JUDGING}::test_zeros_stored_for_a_failed_computation_neither_pass_nor_blame",),
        Change(_RULINGS, "if rows - unmeasured >= FLAT and more >= FEW and more > MANY_TO_ONE * fewer:", "if rows < 0:"),
    ),
    Fault(
        "units are not dealt to the arms as the share says",
        "it holds, blames nobody and calls a person",
        ("tests/gates/test_judge.py::test_units_dealt_otherwise_than_the_share_says_hold_and_blame_nobody",),
        Change("gates/judge.py", ">= -math.log(MISMATCH_ALPHA)", "< 0.0"),
    ),
    Fault(
        "both arms fail, as in an outage upstream",
        "it holds, calls a person and blames nobody",
        (
            f"{_JUDGING}::test_an_outage_of_both_arms_alarms_holds_and_blames_nobody",
            f"{_JUDGING}::test_an_outage_of_both_arms_from_the_first_minute_brings_nothing_back",
        ),
        Change(_RULINGS, 'yield _check(judge, "outage", Status.ERROR', 'yield _check(judge, "outage", Status.PASS'),
    ),
    Fault(
        "traffic stops in the middle of a stage",
        "silence bakes nothing and moves nothing",
        (f"{_JUDGING}::test_traffic_that_stops_is_stale_bakes_no_further_and_does_not_move",),
        Change("gates/judge_kernel.py", "min(passed, max(r.c[0].vouch_ns - s.n[QUIET], 0))", "passed"),
    ),
    Fault(
        "the canary hangs",
        "the fallback answers at the deadline, and it is brought back",
        (
            "tests/serving/test_answer.py::test_a_model_that_hangs_holds_nobody_beyond_the_deadline_and_is_seen_by_the_judge",
            f"{_PROCESSES}::test_a_canary_that_hangs_is_answered_for_by_the_fallback_and_brought_back",
        ),
        Change("serving/apart.py", "loop.call_later(left_s, _give_up", "loop.call_later(left_s + 30, _give_up"),
    ),
    Fault(
        "the canary's process dies",
        "it is started again; when it dies again and again the challenger is brought back",
        (f"{_PROCESSES}::test_a_canary_that_kills_its_workers_is_brought_back_and_they_answer_again",),
        Change("workflow/control.py", "return len(self._deaths) >= _MOST_DEATHS", "return False"),
    ),
    Fault(
        "the shadow hangs",
        "no caller waits; what finds no room is dropped and counted",
        (
            f"{_PROCESSES}::test_a_shadow_that_hangs_costs_no_caller_anything",
            "tests/serving/test_shadow.py",
        ),
        Change("serving/shadow.py", "if len(waiting) >= self._most or self._closed:", "if self._closed:"),
    ),
    Fault(
        "the log cannot be written: its disk is full or blocked",
        "callers are answered, what is missing is counted, and nothing moves forward",
        (
            f"{_JUDGING}::test_rows_that_are_missing_from_the_log_hold_and_alarm",
            f"{_PROCESSES}::test_a_disk_that_is_full_costs_no_caller_an_answer_and_moves_nothing_forward",
        ),
        Change(_RULINGS, "status = Status.ERROR if lost > MOST_LOST * (rows + lost) else Status.PASS", "status = Status.PASS"),
    ),
    Fault(
        "the clock jumps an hour",
        "order and durations come from a clock that nobody sets; a leap bakes nothing",
        (
            f"{_JUDGING}::test_a_clock_that_leaps_or_goes_back_bakes_nothing",
            f"{_PROCESSES}::test_a_wall_clock_that_jumps_an_hour_either_way_orders_nothing",
        ),
        Change("gates/judge_kernel.py", "min(passed, max(r.c[0].vouch_ns - s.n[QUIET], 0))", "passed * (s.n[QUIET] == 0)"),
    ),
    Fault(
        "two controllers at once",
        "the second is refused; of two that write, one is heard",
        (
            f"{_PROCESSES}::test_two_controllers_of_one_folder_are_impossible",
            "tests/ledger/test_rollouts.py::test_of_two_controllers_one_is_heard",
        ),
        Change("workflow/control.py", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB"),
    ),
    Fault(
        "the contract is edited during a rollout",
        "the rollout follows its recorded plan",
        (
            f"{_JUDGING}::test_a_contract_that_is_edited_changes_nothing_for_a_rollout_that_is_under_way",
            f"{_PROCESSES}::test_a_contract_that_is_edited_under_way_changes_nothing_of_the_rollout",
        ),
        Change("gates/rollout.py", "if judgement.plan != standing.rollout:", "if not judgement.plan:"),
    ),
    Fault(
        "the rollback target is missing or corrupt",
        "nothing is released; under way it holds and calls a person",
        (
            f"{_PROCESSES}::test_a_rollback_target_that_is_lost_is_found_before_the_first_step",
            f"{_PROCESSES}::test_a_rollback_target_that_is_damaged_under_way_holds_the_rollout_and_raises_an_alarm",
        ),
        Change("workflow/control.py", "            blobs.open_path(part)\n", "            part.strip()\n"),
    ),
    Fault(
        "a rollback during a promotion",
        "the rollback wins, whichever is written first",
        (
            "tests/ledger/test_rollouts.py::test_a_rollback_wins_at_every_phase_and_nothing_that_comes_late_undoes_it",
            "tests/ledger/test_rollouts.py::test_a_rollback_during_promotion_voids_the_release_that_comes_after_it",
            f"{_PROCESSES}::test_a_rollback_wins_over_a_promotion_that_is_under_way",
        ),
        Change(
            "ledger/rollouts.py",
            "now = self._under_way(rollout)\n        if now is None or now.phase is not Phase.FULL or candidate",
            "now = self.standing\n        if now is None or candidate",
        ),
    ),
    Fault(
        "a threshold is breached while a person is waited for",
        "it is brought back",
        (
            f"{_JUDGING}::test_a_threshold_that_is_breached_while_a_person_is_waited_for_brings_it_back",
            f"{_TABLE}::test_harm_brings_back_what_is_held_and_what_waits_for_approval",
        ),
        Change(
            "gates/rollout.py",
            "    if turn is Turn.BACK:\n        why = ",
            "    if turn is Turn.BACK and not standing.held and not standing.waits_for_approval:\n        why = ",
        ),
    ),
    Fault(
        "a rollback is recorded, and the caller is told success before it is in force",
        "success is said only once every living worker has said that it follows",
        (
            "tests/workflow/test_confirm.py::test_one_worker_that_does_not_follow_is_named_and_nobody_is_told_success",
            "tests/workflow/test_confirm.py::test_it_is_not_confirmed_while_the_route_is_an_older_one",
            "tests/web/test_release.py::test_a_worker_that_hangs_is_not_taken_for_one_that_has_confirmed",
        ),
        Change(
            "workflow/confirm.py", "if version is None or seen.follows < version]", "if version is not None and seen.follows < version - 1]"
        ),
    ),
)


def changed(fault: Fault) -> str:
    """The file of its change, with the change made."""
    text = (ROOT / "src" / "gonogo" / fault.change.file).read_text()
    assert text.count(fault.change.old) == 1, (
        f"{fault.what}: {fault.change.old!r} stands {text.count(fault.change.old)} times in {fault.change.file}"
    )
    return text.replace(fault.change.old, fault.change.new)


def survivors(faults: tuple[Fault, ...]) -> Iterator[Fault]:
    """The faults whose change none of their tests found."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
        for fault in faults:
            file = source / "gonogo" / fault.change.file
            kept = file.read_text()
            file.write_text(changed(fault))
            command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *fault.tests]
            ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            file.write_text(kept)
            failed = next((line for line in ran.stdout.splitlines() if line.startswith("FAILED")), "").removeprefix("FAILED ")
            found = ran.returncode == 1 and bool(failed)
            print(f"{'found' if found else 'NOT FOUND':10}{fault.what}: {failed[:150] or ran.stdout[-300:]}", flush=True)
            if not found:
                yield fault


if __name__ == "__main__":
    chosen = tuple(fault for fault in FAULTS if not sys.argv[1:] or any(word in fault.what for word in sys.argv[1:]))
    left = list(survivors(chosen))
    print(f"{len(chosen) - len(left)} of {len(chosen)} changes were found")
    sys.exit(1 if left else 0)
