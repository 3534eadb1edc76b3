"""When: which stretch of time each table holds, and what one decision may look back on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gonogo.evidence.charts_frame import Canvas, Chart, Scale, shortened, text_width
from gonogo.types.time import EPOCH

WIDTH = 760.0
LABELS = 172.0  # room for the names on the left
LANE = 46.0
_STEPS = (  # (longest span in days, months from tick to tick)
    (550, 1),
    (1100, 3),
    (4000, 12),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One stretch of time in one lane. style: "held" for rows, "gap" for an embargo, "out" for a stretch left out."""

    lane: str
    start: datetime
    end: datetime
    style: str
    label: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One marked moment across all lanes."""

    at: datetime
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LookBack:
    """What one feature may look back on: spans in seconds, None for everything."""

    name: str
    spans_s: tuple[float | None, ...]
    labels: tuple[str, ...]


def draw_time_line(spans: tuple[Span, ...], moments: tuple[Moment, ...], *, key: str, title: str) -> Chart:
    """Lanes from top to bottom in the order in which they first appear, time from left to right. Raises ValueError without a span."""
    if not spans:
        raise ValueError("a time line without a span says nothing")
    lanes = tuple(dict.fromkeys(s.lane for s in spans))
    ends = [_s(t) for s in spans for t in (s.start, s.end)] + [_s(m.at) for m in moments]
    room = (max(ends) - min(ends)) * 0.01 or 3600.0
    scale = Scale(low=min(ends) - room, high=max(ends) + room, start=LABELS, end=WIDTH - 24)
    foot = 34 + LANE * len(lanes)
    canvas = Canvas(width=WIDTH, height=foot + 34)
    _draw_calendar(canvas, scale, foot)
    for span in spans:
        _draw_span(canvas, scale, span, 34 + LANE * lanes.index(span.lane))
    for i, lane in enumerate(lanes):
        canvas.text(0, 34 + LANE * i + 20, shortened(lane, LABELS - 14), "label strong")
        held = next((s.label for s in spans if s.lane == lane and s.style == "held"), "")
        canvas.text(0, 34 + LANE * i + 37, shortened(held, LABELS - 8), "tick")
    _draw_moments(canvas, scale, moments, foot)
    return Chart(
        title=title,
        svg=canvas.svg(key, title, " ".join(f"{_what(s)}, {_day(s.start)} to {_day(s.end)}." for s in spans)),
        columns=("", "from", "until"),
        rows=tuple((_what(s), _day(s.start), _day(s.end)) for s in spans) + tuple((m.label, _day(m.at), "") for m in moments),
        least_width=660,
    )


def draw_decision(looks: tuple[LookBack, ...], *, outcome_s: float, outcome: str, key: str, title: str) -> Chart:
    """One decision at 0: how far back each feature looks, and how long the outcome may still come. The scale is compressed further out."""
    finite = [s for look in looks for s in look.spans_s if s is not None]
    far = max([*finite, 3600.0]) * 1.4
    unit = max(60.0, min([*finite, outcome_s or 3600.0]) / 2)
    deepest = math.log1p(far / unit)
    share = deepest / (deepest + math.log1p(outcome_s * 1.3 / unit))
    now = LABELS + (WIDTH - 24 - LABELS) * min(0.8, share)

    def back(seconds: float | None) -> float:
        depth = 1.0 if seconds is None else math.log1p(seconds / unit) / deepest
        return now - depth * (now - LABELS)

    foot = 34 + 30 * (len(looks) + 1)
    canvas = Canvas(width=WIDTH, height=foot + 12)
    for i, look in enumerate(looks):
        _draw_look(canvas, look, back, now, 34.0 + 30 * i)
    y = 34.0 + 30 * len(looks)
    canvas.text(0, y + 17, "outcome", "label strong")
    canvas.rect(now + 2, y + 4, max(WIDTH - 60 - now, 20), 18, "span s2", 3)
    canvas.text(now + 10, y + 17.5, shortened(f"known within {outcome}", WIDTH - 76 - now), "tick onspan")
    canvas.line(now, 22, now, foot, "limit")
    canvas.text(now, 15, "decided at", "label", anchor="middle")
    return Chart(
        title=title,
        svg=canvas.svg(key, title, f"{len(looks)} features look back from the moment of decision; the outcome may come within {outcome}."),
        columns=("feature", "looks back"),
        rows=(*((look.name, ", ".join(look.labels)) for look in looks), ("outcome", f"within {outcome} after the decision")),
        note="The scale is logarithmic: the last hours take as much room as the days before.",
        least_width=660,
    )


def _draw_look(canvas: Canvas, look: LookBack, back: Callable[[float | None], float], now: float, y: float) -> None:
    canvas.text(0, y + 17, shortened(look.name, LABELS - 14), "label")
    deepest_first = sorted(zip(look.spans_s, look.labels, strict=True), key=lambda s: math.inf if s[0] is None else s[0], reverse=True)
    lefts = [back(seconds) for seconds, _ in deepest_first]
    for left in lefts:
        canvas.rect(left, y + 4, now - 2 - left, 18, "span s1", 3)
    for left, until, (_, label) in zip(lefts, [*lefts[1:], now - 2], deepest_first, strict=True):
        fits = next((t for t in (label, _short(label)) if left + 12 + text_width(t) < until), "")
        if fits:  # a label that its own stretch cannot hold stands in the table beneath
            canvas.text(left + 7, y + 17.5, fits, "tick onspan")


def _short(duration: str) -> str:
    for word, letters in (("minute", "min"), ("hour", "h"), ("day", "d")):
        duration = duration.replace(f"{word}s", letters).replace(word, letters)
    return duration


def _draw_calendar(canvas: Canvas, scale: Scale, foot: float) -> None:
    canvas.line(LABELS, foot, WIDTH - 24, foot, "axis")
    until = -1e9
    for at, text in _calendar(_t(scale.low), _t(scale.high)):
        x = scale(_s(at))
        canvas.line(x, 28, x, foot, "grid")
        if x > until and x + text_width(text) < WIDTH:
            canvas.text(x, foot + 20, text, "tick", anchor="middle")
            until = x + text_width(text) + 10


def _calendar(low: datetime, high: datetime) -> list[tuple[datetime, str]]:
    """First days of months, or days where the whole is shorter than two months; hours where it is shorter than two days."""
    days = (high - low) / timedelta(days=1)
    if days <= 2:
        start = low.replace(minute=0, second=0, microsecond=0)
        return [(t, f"{t:%H:%M}") for k in range(60) if low <= (t := start + timedelta(hours=k)) <= high]
    if days <= 62:
        start = low.replace(hour=0, minute=0, second=0, microsecond=0)
        step = max(1, round(days / 9))
        return [(t, f"{t.day} {t:%b}") for k in range(0, 64, step) if low <= (t := start + timedelta(days=k)) <= high]
    months = next((m for longest, m in _STEPS if days <= longest), 12 * max(1, round(days / 3650)))
    found = [datetime(y, m, 1, tzinfo=UTC) for y in range(low.year, high.year + 1) for m in range(1, 13)]
    return [(t, f"{t:%b}" if t.month > 1 else f"{t.year}") for t in found if low <= t <= high and (t.year * 12 + t.month - 1) % months == 0]


def _draw_span(canvas: Canvas, scale: Scale, span: Span, y: float) -> None:
    left, right = scale(_s(span.start)), scale(_s(span.end))
    style = {"held": "span s1", "gap": "span gap", "out": "span out"}[span.style]
    canvas.rect(left, y + 10, max(right - left, 2.0), 24, style, 3 if span.style == "held" else 0)
    if span.style == "gap":
        canvas.text((left + right) / 2, y + 7, span.label, "tick halo", anchor="middle")


def _draw_moments(canvas: Canvas, scale: Scale, moments: tuple[Moment, ...], foot: float) -> None:
    until = -1e9
    for m in sorted(moments, key=lambda m: m.at):
        x, half = scale(_s(m.at)), text_width(m.label) / 2
        canvas.line(x, 20, x, foot, "limit")
        middle = min(max(x, half + 2), WIDTH - half - 2)
        if middle - half > until:
            canvas.text(middle, 13, m.label, "tick halo", anchor="middle")
            until = middle + half + 8


def _what(span: Span) -> str:
    if span.style == "held":
        return f"{span.lane}: {span.label}" if span.label else span.lane
    return f"{span.lane}: {span.label or {'gap': 'embargo', 'out': 'left out'}[span.style]}"


def _s(at: datetime) -> float:
    return (at - EPOCH) / timedelta(seconds=1)


def _t(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=round(seconds))


def _day(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y}, {at:%H:%M} UTC"
