"""How do shares, evidence and confidence sequences look over the time of a rollout?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from gonogo.evidence.charts_frame import Canvas, Chart, Scale, padded, text_width, tick_texts, ticks
from gonogo.evidence.page_numbers import figure_text, number_text
from gonogo.evidence.rollout_view import Decision, Spot, Trace

WIDTH, HEIGHT = 420.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 40.0, 44.0
WIDE = 860.0
TABLE_ROWS = 24
_UNITS = (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0), ("seconds", 1.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """Seconds since the rollout was opened, in the unit that suits its length."""

    unit: str
    seconds: float
    until: float  # in that unit

    @classmethod
    def of(cls, last: float) -> Clock:
        """The clock of a rollout that lasted so many seconds.

        >>> Clock.of(7200.0).unit, Clock.of(90.0).unit
        ('minutes', 'seconds')
        """
        unit, size = next((u for u in _UNITS if last >= 2.5 * u[1]), _UNITS[-1])
        return cls(unit=unit, seconds=size, until=max(last / size, 1e-9))

    def __call__(self, seconds: float) -> float:
        """A moment in this unit."""
        return seconds / self.seconds


def draw_shares(decisions: Sequence[Decision], clock: Clock, *, key: str, title: str) -> Chart:
    """The challenger's share of traffic over time, with the phases above it and every decision numbered. Raises ValueError without one."""
    if not decisions:
        raise ValueError("a rollout without a decision has no shares")
    height = 300.0
    x = Scale(low=0.0, high=clock.until * 1.05, start=LEFT, end=WIDE - RIGHT)
    y = Scale(low=0.0, high=1.0, start=height - BOTTOM, end=84.0)
    canvas = Canvas(width=WIDE, height=height)
    shares = sorted({0.0, 0.5, 1.0, *(d.share for d in decisions)})
    for value in _apart(shares, y):
        canvas.line(LEFT, y(value), WIDE - RIGHT, y(value), "grid")
        canvas.text(LEFT - 8, y(value) + 4.5, f"{value * 100:g} %", "tick", anchor="end")
    _time_axis(canvas, x, clock, height - BOTTOM, WIDE - RIGHT)
    path = []
    for before, now in zip([None, *decisions], decisions, strict=False):
        at = x(clock(now.seconds))
        path += [(at, y(before.share if before else 0.0)), (at, y(now.share))]
    path.append((x(clock.until * 1.05), y(decisions[-1].share)))
    ground = height - BOTTOM
    canvas.path([(path[0][0], ground), *path, (path[-1][0], ground)], "band s1", closed=True)
    canvas.path(path, "line s1")
    _phases(canvas, decisions, x, clock)
    _numbers(canvas, decisions, x, y, clock)
    return Chart(
        title=title,
        svg=canvas.svg(key, title, "; ".join(f"{d.phase} at {d.share * 100:g} %" for d in decisions)),
        columns=("", clock.unit, "phase", "share"),
        rows=tuple((str(i), number_text(clock(d.seconds), 1), d.phase, f"{d.share * 100:g} %") for i, d in enumerate(decisions, 1)),
        least_width=660,
    )


def draw_evidence(trace: Trace, decisions: Sequence[Decision], clock: Clock, *, key: str) -> Chart:
    """Evidence of one watch against its two thresholds; both are scaled so that 1 decides. It begins anew in every stage."""
    spots = trace.spots
    values = [v for s in spots for v in (s.harm, s.safe) if v is not None]
    y = Scale(low=max(-1.0, min([-0.2, *values])), high=min(2.0, max([1.25, *values])), start=HEIGHT - BOTTOM, end=TOP)
    canvas, x = _frame(clock, y, decisions, "evidence; at 1 it decides")
    canvas.line(LEFT, y(1.0), WIDTH - RIGHT, y(1.0), "limit")
    for part in _by_stage(spots):
        for name, style in (("safe", "s1"), ("harm", "s2")):
            points = [(x(clock(s.seconds)), y(v)) for s in part if (v := getattr(s, name)) is not None]
            if points:
                canvas.path(points, f"line {style}")
    _legend(canvas, (("harmless", "s1"), ("harmful", "s2")))
    shown = _thinned(spots)
    return Chart(
        title=_title(trace, "is harm shown, is it refuted?"),
        svg=canvas.svg(key, trace.watch, f"Evidence of {trace.watch} over {clock.unit}; 1 decides."),
        columns=("stage", clock.unit, "harmless", "harmful"),
        rows=tuple((str(s.step), number_text(clock(s.seconds), 1), _text(s.safe), _text(s.harm)) for s in shown),
        note="Logarithm of the evidence over that of its threshold.",
    )


def draw_sequence(trace: Trace, decisions: Sequence[Decision], clock: Clock, *, key: str) -> Chart | None:
    """The confidence sequence of one watch with its margin: at every moment at once it holds the truth. None where it never had one."""
    spots = [s for s in trace.spots if s.value is not None]
    if not spots:
        return None
    y = _range(spots, trace.margin)
    canvas, x = _frame(clock, y, decisions, _what(trace))
    if y.low < 0 < y.high:
        canvas.line(LEFT, y(0), WIDTH - RIGHT, y(0), "zero")
    if trace.margin is not None:
        canvas.line(LEFT, y(trace.margin), WIDTH - RIGHT, y(trace.margin), "limit")
        canvas.text(WIDTH - RIGHT - 3, y(trace.margin) - 5, "margin", "tick halo", anchor="end")
    for part in _by_stage(spots):
        band = [(s.seconds, s.low, s.high) for s in part if s.low is not None and s.high is not None]
        if len(band) > 1:
            upper = [(x(clock(at)), y(high)) for at, _, high in band]
            lower = [(x(clock(at)), y(low)) for at, low, _ in reversed(band)]
            canvas.path(upper + lower, "band s1", closed=True)
        canvas.path([(x(clock(s.seconds)), y(s.value)) for s in part if s.value is not None], "line s1")
    shown = _thinned(spots)
    return Chart(
        title=_title(trace, "how much?"),
        svg=canvas.svg(key, trace.watch, f"Confidence sequence of {trace.watch} over {clock.unit}."),
        columns=("stage", clock.unit, "with its confidence sequence"),
        rows=tuple((str(s.step), number_text(clock(s.seconds), 1), figure_text(s.value, s.low, s.high)) for s in shown),
        note="It begins anew in every stage, and is wide until units have been seen.",
    )


def _frame(clock: Clock, y: Scale, decisions: Sequence[Decision], label: str) -> tuple[Canvas, Scale]:
    canvas = Canvas(width=WIDTH, height=HEIGHT)
    x = Scale(low=0.0, high=clock.until * 1.05, start=LEFT, end=WIDTH - RIGHT)
    values = ticks(y.low, y.high, 5)
    for value, text in zip(values, tick_texts(values), strict=True):
        canvas.line(LEFT, y(value), WIDTH - RIGHT, y(value), "grid")
        canvas.text(LEFT - 8, y(value) + 4.5, text, "tick", anchor="end")
    _time_axis(canvas, x, clock, HEIGHT - BOTTOM, WIDTH - RIGHT)
    for decision in _turns(decisions):
        canvas.line(x(clock(decision.seconds)), TOP, x(clock(decision.seconds)), HEIGHT - BOTTOM, "zero")
    canvas.text(2, 15, f"↑ {label}", "label")
    return canvas, x


def _time_axis(canvas: Canvas, x: Scale, clock: Clock, foot: float, right: float) -> None:
    values = ticks(x.low, x.high, 6)
    for value, text in zip(values, tick_texts(values), strict=True):
        canvas.line(x(value), foot, x(value), foot + 5, "axis")
        canvas.text(x(value), foot + 19, text, "tick", anchor="middle")
    canvas.line(LEFT, foot, right, foot, "axis")
    canvas.text(right, foot + 37, f"{clock.unit} since it was opened →", "label", anchor="end")


def _phases(canvas: Canvas, decisions: Sequence[Decision], x: Scale, clock: Clock) -> None:
    """A strip of phases on top; a name that its stretch cannot hold stands in the table beneath."""
    stretches = [(phase, next(iter(of)).seconds) for phase, of in groupby(decisions, key=lambda d: d.phase)]
    ends = [*(start for _, start in stretches[1:]), clock.until * clock.seconds * 1.05]
    for (phase, start), end in zip(stretches, ends, strict=True):
        left, right = x(clock(start)), x(clock(end))
        style = {"rolled_back": "span bad", "settled": "span good"}.get(phase, "span s1" if phase in ("canary", "full") else "span s3")
        canvas.rect(left, 6, max(right - left - 1.5, 2.0), 22, style, 3)
        if text_width(name := phase.replace("_", " ")) + 10 < right - left:
            canvas.text(left + 6, 21.5, name, "tick onspan")


def _numbers(canvas: Canvas, decisions: Sequence[Decision], x: Scale, y: Scale, clock: Clock) -> None:
    """Each decision by its number above the line; close ones climb so that none hides another. A policy's moves are the line itself."""
    taken: list[float] = []
    for i, decision in enumerate(decisions, 1):
        if decision.because == "allocation":
            continue
        at = x(clock(decision.seconds))
        near = sum(1 for other in taken[-3:] if abs(other - at) < 15)
        canvas.line(at, 46.0 + 14 * near, at, y(0), "zero")
        canvas.text(at, 42.0 + 14 * near, str(i), "name s1" if decision.kind != "rollback" else "name s2", anchor="middle")
        taken.append(at)


def _turns(decisions: Iterable[Decision]) -> list[Decision]:
    """The decisions with which a stage begins or all ends."""
    return [d for d in decisions if d.kind in ("rollout_step", "release", "rollback") and d.because != "allocation"]


def _by_stage(spots: Sequence[Spot]) -> list[list[Spot]]:
    return [list(of) for _, of in groupby(spots, key=lambda s: s.step)]


def _range(spots: Sequence[Spot], margin: float | None) -> Scale:
    """Wide enough for the values, the margin and the narrower intervals."""
    values = sorted(v for s in spots if (v := s.value) is not None)
    inner = [
        values[len(values) // 20],
        values[-1 - len(values) // 20],
        spots[-1].value or 0.0,
        0.0,
        *([margin] if margin is not None else []),
    ]
    wide = sorted((s.high - s.low, s.low, s.high) for s in spots if s.low is not None and s.high is not None)
    ends = [end for _, low, high in wide[: max(1, len(wide) // 3)] for end in (low, high)]  # the first ones know nothing yet
    spread = max(inner) - min(inner)
    room = 3 * spread if spread > 0 else math.inf  # a rate that is 0 throughout has no scale of its own: its intervals give one
    low, high = padded(max(min([*inner, *ends]), min(inner) - room), min(max([*inner, *ends]), max(inner) + room))
    return Scale(low=low, high=high, start=HEIGHT - BOTTOM, end=TOP)


def _legend(canvas: Canvas, names: Iterable[tuple[str, str]]) -> None:
    x = LEFT
    for name, style in names:
        canvas.line(x, 30, x + 24, 30, f"line {style}")
        canvas.text(x + 30, 34.5, name, f"name {style}")
        x += 52 + text_width(name)


def _apart(values: Iterable[float], scale: Scale) -> list[float]:
    """Those whose labels do not run into each other; the largest come first, for they matter most."""
    kept: list[float] = []
    for value in sorted(values, reverse=True):
        if all(abs(scale(value) - scale(other)) >= 15 for other in kept):
            kept.append(value)
    return kept


def _thinned(spots: Sequence[Spot]) -> list[Spot]:
    step = max(1, len(spots) // TABLE_ROWS)
    return list(spots[::-1][::step][::-1])


def _what(trace: Trace) -> str:
    """What the figure of a watch is."""
    name = trace.metric.replace("_", " ")
    return f"{name}, {trace.measured_in}" if trace.measured_in else name


def _title(trace: Trace, asks: str) -> str:
    return f"{trace.watch}: {asks}"


def _text(value: float | None) -> str:
    return "nothing yet" if value is None else number_text(value, 2)
