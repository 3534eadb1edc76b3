"""The array level: windows of sorted events against a count by hand, on worlds small enough to enumerate."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gonogo.data import asof
from gonogo.data.kernels import EMPTY

WINDOWS = np.array([0, 1, 3, 7, asof.ALL], np.int64)


def arranged(codes: list[int], event_time: list[int], known_at: list[int], gone: list[int] | None, boundary: str = "before") -> asof.Events:
    n_entities = max([*codes, 0]) + 1
    grouped = asof.group_events(np.array(codes, np.int32), n_entities, np.array(event_time, np.int64), np.array(known_at, np.int64))
    settled = asof.settle(grouped, sequence=lambda rows: rows, likeness=lambda rows: rows)
    return asof.time_events(settled.events, None if gone is None else np.array(gone, np.int64), boundary=boundary)


def labelled(codes: list[int], times: list[int], n_entities: int) -> asof.Labels:
    return asof.group_labels(np.array(codes, np.int32), n_entities, np.array(times, np.int64))


@pytest.mark.parametrize("boundary", ["before", "at"])
@pytest.mark.parametrize("retracts", [False, True])
def test_every_kernel_agrees_with_a_count_by_hand_on_a_thousand_worlds(boundary: str, retracts: bool) -> None:
    rng = random.Random(f"{boundary}{retracts}")
    for _ in range(250):
        check_world(rng, boundary, retracts)


def check_world(rng: random.Random, boundary: str, retracts: bool) -> None:
    n_entities, n, span = rng.randint(1, 3), rng.randint(0, 40), rng.choice((5, 12, 60))
    codes = [rng.randint(-1, n_entities - 1) for _ in range(n)]
    when = [asof.ALWAYS if rng.random() < 0.05 else rng.randint(0, span) for _ in range(n)]
    known = [t if t == asof.ALWAYS else rng.choice((t, t, t + 1, t + 9, t - 2, asof.NEVER)) for t in when]
    gone = [rng.randint(0, span) if rng.random() < 0.3 else asof.NEVER for _ in range(n)] if retracts else None
    values = [rng.randint(-5, 5) for _ in range(n)]
    usable = [rng.random() < 0.7 for _ in range(n)]
    asked = [(rng.randint(-1, n_entities - 1), rng.randint(-1, span + 2)) for _ in range(rng.randint(0, 8))]
    events = arranged([*codes, n_entities - 1], [*when, 10**9], [*known, 10**9], None if gone is None else [*gone, asof.NEVER], boundary)
    order = events.order
    labels = labelled([code for code, _ in asked], [t for _, t in asked], n_entities)
    decided_at = np.array([t for _, t in asked], np.int64)
    held = np.array([*values, 0], np.int64)[order]
    used = np.array([*usable, False], np.uint8)[order]
    counts, totals = asof.window_sums(events, labels, WINDOWS, (held * used, used.astype(np.int64)))
    smallest = asof.window_minima(events, labels, WINDOWS, held, used)
    different = asof.window_distinct(events, labels, WINDOWS, np.where(used == 1, held + 5, -1).astype(np.int32), 11)
    latest, latest_used = asof.latest(events, labels), asof.latest(events, labels, used)
    for w, window in enumerate(WINDOWS.tolist()):
        inside, inside_used = (asof.within(events, found, decided_at, window) for found in (latest, latest_used))
        for j, (code, t) in enumerate(asked):
            low, high = (t - window, t) if boundary == "before" else (t - window + 1, t + 1)
            mine = [i for i in range(n) if codes[i] == code >= 0 and known[i] <= t < (gone[i] if gone else asof.NEVER)]
            seen = sorted((when[i], known[i], i) for i in mine if when[i] < high and (window < 0 or when[i] >= low))
            chosen = [i for *_, i in seen if usable[i]]
            assert counts[w, j] == len(seen)
            assert totals[w, :, j].tolist() == [sum(values[i] for i in chosen), len(chosen)]
            assert smallest[w, j] == min((values[i] for i in chosen), default=EMPTY)
            assert different[w, j] == len({values[i] for i in chosen})
            assert (order[latest[j]] if inside[j] else None) == (seen[-1][2] if seen else None)
            assert (order[latest_used[j]] if inside_used[j] else None) == (chosen[-1] if chosen else None)


def test_a_late_event_makes_only_its_own_entity_unsteady() -> None:
    events = arranged([0, 0, 1, 1], [1, 2, 1, 2], [9, 2, 1, 2], None)
    assert events.steady.tolist() == [0, 1]


def test_rows_that_repeat_are_dropped_and_those_that_only_share_a_place_are_reported() -> None:
    grouped = asof.group_events(np.zeros(5, np.int32), 1, np.array([3, 3, 3, 3, 1]), np.array([3, 3, 3, 3, 1]))
    sequence = np.array([7, 7, 8, 8, 0])
    alike = np.array([1, 1, 2, 3, 0])
    settled = asof.settle(grouped, sequence=lambda rows: sequence[rows], likeness=lambda rows: alike[rows])
    assert settled.n_duplicates == 1
    assert settled.conflicts.tolist() == [3]
    assert settled.events.order.tolist()[0] == 4
    assert len(settled.events.order) == 4


def test_a_tie_across_two_entities_is_no_tie() -> None:
    grouped = asof.group_events(np.array([0, 1, 3], np.int32), 5, np.array([5, 5, 5]), np.array([5, 5, 5]))
    assert grouped.ties.size == 0


def test_groups_in_disorder_are_sorted_stably_and_long_ones_too() -> None:
    rng = np.random.default_rng(1)
    codes, when, known = rng.integers(0, 3, 5_000).astype(np.int32), rng.integers(0, 400, 5_000), rng.integers(0, 3, 5_000)
    grouped = asof.group_events(codes, 3, when, known)
    assert grouped.order.tolist() == np.lexsort((np.arange(5_000), known, when, codes)).tolist()


def test_a_window_that_reaches_back_before_time_itself_holds_no_timeless_event() -> None:
    events = arranged([0], [asof.ALWAYS], [asof.ALWAYS], None)
    labels = labelled([0], [5], 1)
    counts, _ = asof.window_sums(events, labels, np.array([10**15, asof.ALL], np.int64), ())
    assert counts.ravel().tolist() == [0, 1]
