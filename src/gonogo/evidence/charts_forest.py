"""How do figures with intervals line up against a limit: slices, effects, one gate?"""

from __future__ import annotations

from dataclasses import dataclass

from gonogo.evidence.charts_frame import Canvas, Chart, Scale, log_ticks, padded, shortened, text_width, tick_texts, ticks
from gonogo.evidence.page_numbers import figure_text, number_text, unit_text

ROW = 30.0
WIDTH = 720.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of a forest plot; value None where there is no figure, and `note` says why."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: str = ""  # "61 days"
    note: str = ""
    stands_out: bool = False  # it did not pass: drawn in the second colour, as a diamond


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A line that figures are held against, and the side that is allowed."""

    at: float
    allowed: str  # "below" | "above" | "" for a mere reference
    label: str


def draw_forest(rows: tuple[Row, ...], *, key: str, title: str, measured_in: str, limits: tuple[Limit, ...], log: bool = False) -> Chart:
    """One line per row: the figure as a mark, its interval as a bar, the numbers beside it.

    log: ratios, on a logarithmic scale. Raises ValueError where no row has a figure.
    """
    label_width = min(290.0, max(text_width(r.label) for r in rows) + 16)
    number_width = max(text_width(_numbers(r)) for r in rows if r.value is not None) + 18 if any(r.value is not None for r in rows) else 0
    scale = _scale(rows, limits, label_width, WIDTH - number_width, log=log)
    foot = 30 + ROW * len(rows) + 4
    canvas = Canvas(width=WIDTH, height=foot + 46)
    _draw_limits(canvas, scale, limits, foot)
    for i, row in enumerate(rows):
        _draw_row(canvas, scale, row, 30 + ROW * (i + 0.5), label_width)
    _draw_axis(canvas, scale, foot, unit_text(measured_in))
    return Chart(
        title=title,
        svg=canvas.svg(key, title, _description(rows, limits)),
        columns=("", "figure with 95 % interval", "behind it"),
        rows=tuple((r.label, _numbers(r, measured_in) if r.value is not None else r.note, r.n) for r in rows),
        least_width=560,
    )


def draw_bars(rows: tuple[Row, ...], *, key: str, title: str, measured_in: str) -> Chart:
    """One bar per row, longest first as given, its number at its end. Raises ValueError where a row has no figure or none is above 0."""
    values = [_known(r) for r in rows]
    label_width = min(280.0, max(text_width(r.label) for r in rows) + 16)
    numbers = tuple(number_text(v, 3) for v in values)
    scale = Scale(low=min(0.0, *values), high=max(0.0, *values), start=label_width, end=WIDTH - max(map(text_width, numbers)) - 14)
    if scale.high == scale.low:
        raise ValueError("bars of nothing but zeros say nothing")
    canvas = Canvas(width=WIDTH, height=26 * len(rows) + 12)
    for i, (row, value, number) in enumerate(zip(rows, values, numbers, strict=True)):
        y = 26 * i + 4.0
        left, right = sorted((scale(0), scale(value)))
        canvas.text(label_width - 12, y + 15, shortened(row.label, label_width - 12), "label", anchor="end")
        canvas.rect(left, y + 3, right - left, 16, "bar s1", 2)
        canvas.text(right + 8, y + 15, number, "tick")
    return Chart(
        title=title,
        svg=canvas.svg(key, title, f"{len(rows)} bars, in {measured_in}. Longest: {rows[0].label}, {numbers[0]}."),
        columns=("", measured_in),
        rows=tuple((r.label, n) for r, n in zip(rows, numbers, strict=True)),
        least_width=460,
    )


def draw_gauge(*, value: float | None, low: float | None, high: float | None, limit: float, allowed: str, key: str, said: str) -> str:
    """A small drawing of one interval against its limit: the allowed side is shaded. Empty where there is no value."""
    if value is None:
        return ""
    known = [v for v in (value, low, high, limit) if v is not None]
    least, most = padded(min(known), max(known), 0.22)
    scale = Scale(low=least, high=most, start=4, end=156)
    canvas = Canvas(width=160, height=32)
    at = scale(limit)
    left, right = (4.0, at) if allowed == "below" else (at, 156.0)
    canvas.rect(left, 6, right - left, 20, "allowed", 2)
    canvas.line(at, 2, at, 30, "limit")
    if low is not None and high is not None:
        canvas.line(scale(low), 16, scale(high), 16, "whisker thick s1")
    canvas.dot(scale(value), 16, "mark s1", 4.5)
    return canvas.svg(key, said, f"Allowed: {allowed} {number_text(limit)}.")


def _known(row: Row) -> float:
    if row.value is None:
        raise ValueError(f"{row.label!r} has no figure to draw as a bar")
    return row.value


def _scale(rows: tuple[Row, ...], limits: tuple[Limit, ...], start: float, end: float, *, log: bool) -> Scale:
    known = [v for r in rows for v in (r.value, r.low, r.high) if v is not None and (not log or v > 0)]
    if not known:
        raise ValueError("no row has a figure to draw")
    marks = [m.at for m in limits]
    low, high = min(known + marks), max(known + marks)
    low, high = (low / 1.06, high * 1.06) if log else padded(low, high)
    return Scale(low=low, high=high, start=start, end=end - 8, log=log)


def _draw_limits(canvas: Canvas, scale: Scale, limits: tuple[Limit, ...], foot: float) -> None:
    for limit in limits:
        at = scale(limit.at)
        if limit.allowed:
            left, right = (scale.start, at) if limit.allowed == "below" else (at, scale.end)
            canvas.rect(left, 26, right - left, foot - 26, "allowed")
    taken: list[tuple[float, float]] = []
    for limit in limits:
        at, half = scale(limit.at), text_width(limit.label) / 2
        canvas.line(at, 22, at, foot, "limit" if limit.allowed else "zero")
        middle = min(max(at, scale.start + half), WIDTH - half - 2)
        if all(middle + half < left or middle - half > right for left, right in taken):
            canvas.text(middle, 15, limit.label, "tick", anchor="middle")
            taken.append((middle - half - 6, middle + half + 6))


def _draw_row(canvas: Canvas, scale: Scale, row: Row, y: float, label_width: float) -> None:
    style = "s2" if row.stands_out else "s1"
    canvas.text(label_width - 12, y + 4.5, shortened(row.label, label_width - 12), "label", anchor="end")
    if row.value is None:
        canvas.text(scale.start + 8, y + 4.5, shortened(row.note or "no figure", WIDTH - scale.start - 16), "tick none")
        return
    if row.low is not None and row.high is not None:
        canvas.line(scale(row.low), y, scale(row.high), y, f"whisker thick {style}")
    (canvas.diamond if row.stands_out else canvas.dot)(scale(row.value), y, f"mark {style}", 5)
    canvas.text(WIDTH - 2, y + 4.5, _numbers(row), "tick", anchor="end")


def _draw_axis(canvas: Canvas, scale: Scale, foot: float, unit: str) -> None:
    values = log_ticks(scale.low, scale.high) if scale.log else ticks(scale.low, scale.high, 5)
    texts = tuple(number_text(v) for v in values) if scale.log else tick_texts(values)
    canvas.line(scale.start, foot, scale.end, foot, "axis")
    until = -1e9
    for value, text in zip(values, texts, strict=True):
        at, half = scale(value), text_width(text) / 2
        canvas.line(at, foot, at, foot + 5, "axis")
        if at - half > until + 6:
            canvas.text(at, foot + 20, text, "tick", anchor="middle")
            until = at + half
    canvas.text(scale.end, foot + 40, f"{unit} →" if unit else "→", "label", anchor="end")


def _numbers(row: Row, measured_in: str = "") -> str:
    return figure_text(row.value, row.low, row.high, measured_in)


def _description(rows: tuple[Row, ...], limits: tuple[Limit, ...]) -> str:
    known = [r for r in rows if r.value is not None]
    said = f"{len(rows)} rows, {len(known)} with a figure. "
    said += " ".join(f"A line marks {m.label}." for m in limits)
    out = [r.label for r in rows if r.stands_out]
    return said + (f" Not passed: {', '.join(out)}." if out else "")
