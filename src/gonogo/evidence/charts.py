"""How does a curve become a drawing, with its intervals, its labels and its numbers?

Challenger is always the first colour with a full line and round marks, champion the second with a dashed line and diamonds, anything
else the third with a dotted line: colour is never the only cue. Labels stand beside their line where there is room, else in a legend.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from gonogo.evidence.charts_frame import Canvas, Chart, Scale, padded, text_width, tick_texts, ticks
from gonogo.evidence.page_numbers import figure_text, number_text
from gonogo.types.evidence import Curve, Point, Series

WIDTH, HEIGHT = 420.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 50.0, 12.0, 34.0, 50.0
TABLE_ROWS = 24  # of each line, in the table beneath
Spot: TypeAlias = tuple[float, float]  # x, y on the canvas
Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom
Place: TypeAlias = tuple[float, float, float, float, str]  # how clear, order, x, y, anchor
_REFERENCES = ("champion", "baseline")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plot:
    """Where the numbers of one curve go on its canvas."""

    x: Scale
    y: Scale
    top: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Label:
    text: str
    style: str
    x: float
    y: float
    anchor: str


def draw_curve(curve: Curve, *, key: str) -> Chart:
    """The chart of a curve: lines with bands, points with interval bars, or bars, as the curve asks.

    key: a word that is unique on the page.
    Raises ValueError where the curve holds no point at all: an empty frame would look like a result.
    """
    if not any(s.points for s in curve.series):
        raise ValueError(f"the curve {curve.name!r} has no points")
    styles = styles_of(tuple(s.name for s in curve.series))
    plot = _plot(curve, TOP)
    labels = _place_labels(curve, plot, styles)
    if labels is None:
        plot = _plot(curve, TOP + 20)
    canvas = Canvas(width=WIDTH, height=HEIGHT)
    _draw_axes(canvas, curve, plot)
    for series in curve.series:
        _MARKS[curve.marks](canvas, curve, series, plot, styles[series.name])
    if labels is None:
        _draw_legend(canvas, curve, styles)
    for label in labels or ():
        canvas.text(label.x, label.y, label.text, f"name {label.style}", anchor=label.anchor)
    rows, thinned = _table(curve)
    return Chart(
        title=curve.title,
        svg=canvas.svg(key, curve.title, _description(curve)),
        columns=("", curve.x_label, curve.y_label, "rows"),
        rows=rows,
        note=f"At most {TABLE_ROWS} points of each line, evenly taken." if thinned else "",
    )


def styles_of(names: tuple[str, ...]) -> dict[str, str]:
    """Series name → style class: s1 challenger, s2 the reference, s3 the rest.

    >>> styles_of(("challenger", "champion"))
    {'challenger': 's1', 'champion': 's2'}
    >>> styles_of(("train", "validate"))
    {'train': 's1', 'validate': 's2'}
    """
    fixed = {n: "s1" for n in names if n.startswith("challenger")} | {n: "s2" for n in names if n.startswith(_REFERENCES)}
    free = [s for s in ("s1", "s2") if s not in fixed.values()]
    for name in names:
        if name not in fixed:
            fixed[name] = free.pop(0) if free else "s3"
    return {n: fixed[n] for n in names}


def _plot(curve: Curve, top: float) -> _Plot:
    points = [p for s in curve.series for p in s.points]
    xs = [p.x for p in points]
    ys = [v for p in points for v in (p.y, p.low, p.high) if v is not None]
    x_range, y_range = (min(xs), max(xs)), (min(ys), max(ys))
    if curve.diagonal:
        both = (min(0.0, x_range[0], y_range[0]), max(x_range[1], y_range[1]))
        unit = (0.0, 1.0) if both[0] >= 0 and 0.55 < both[1] <= 1 else both
        x_range = y_range = unit
    elif curve.marks == "bars":
        half = _bar_step(curve) / 2
        x_range, y_range = (x_range[0] - half, x_range[1] + half), (min(0.0, y_range[0]), max(0.0, y_range[1]) * 1.06 or 1.0)
    elif y_range[0] >= 0 and y_range[1] <= 1 and y_range[1] - y_range[0] > 0.5:
        y_range = (0.0, 1.0)
    else:
        y_range = padded(*y_range)
    if x_range[0] == x_range[1]:
        x_range = padded(*x_range)
    x = Scale(low=x_range[0], high=x_range[1], start=LEFT, end=WIDTH - RIGHT)
    return _Plot(x=x, y=Scale(low=y_range[0], high=y_range[1], start=HEIGHT - BOTTOM, end=top), top=top)


def _draw_axes(canvas: Canvas, curve: Curve, plot: _Plot) -> None:
    y_ticks, x_ticks = ticks(plot.y.low, plot.y.high, 5), ticks(plot.x.low, plot.x.high, 5)
    for value, text in zip(y_ticks, tick_texts(y_ticks), strict=True):
        canvas.line(LEFT, plot.y(value), WIDTH - RIGHT, plot.y(value), "grid")
        canvas.text(LEFT - 8, plot.y(value) + 4.5, text, "tick", anchor="end")
    for value, text in zip(x_ticks, tick_texts(x_ticks), strict=True):
        canvas.line(plot.x(value), HEIGHT - BOTTOM, plot.x(value), HEIGHT - BOTTOM + 5, "axis")
        canvas.text(plot.x(value), HEIGHT - BOTTOM + 20, text, "tick", anchor="middle")
    canvas.line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis")
    if plot.y.low < 0 < plot.y.high:
        canvas.line(LEFT, plot.y(0), WIDTH - RIGHT, plot.y(0), "zero")
    if curve.diagonal:
        low, high = max(plot.x.low, plot.y.low), min(plot.x.high, plot.y.high)
        canvas.line(plot.x(low), plot.y(low), plot.x(high), plot.y(high), "ideal")
    canvas.text(2, 15, f"↑ {curve.y_label}", "label")
    canvas.text(WIDTH - RIGHT, HEIGHT - 8, f"{curve.x_label} →", "label", anchor="end")


def _draw_line(canvas: Canvas, curve: Curve, series: Series, plot: _Plot, style: str) -> None:
    band = [p for p in series.points if p.low is not None and p.high is not None]
    if len(band) > 1:
        upper = [(plot.x(p.x), plot.y(p.high if p.high is not None else p.y)) for p in band]
        lower = [(plot.x(p.x), plot.y(p.low if p.low is not None else p.y)) for p in reversed(band)]
        canvas.path(_lean(upper) + _lean(lower), f"band {style}", closed=True)
    canvas.path(_lean([(plot.x(p.x), plot.y(p.y)) for p in series.points]), f"line {style}")
    if len(series.points) <= 8:
        _draw_points(canvas, curve, series, plot, style)


def _draw_points(canvas: Canvas, curve: Curve, series: Series, plot: _Plot, style: str) -> None:
    for p in series.points:
        if p.low is not None and p.high is not None:
            canvas.line(plot.x(p.x), plot.y(p.low), plot.x(p.x), plot.y(p.high), f"whisker {style}")
            for end in (p.low, p.high):  # short intervals would hide behind their mark
                canvas.line(plot.x(p.x) - 4, plot.y(end), plot.x(p.x) + 4, plot.y(end), f"cap {style}")
        mark, radius = (canvas.diamond, 4.0) if style == "s2" else (canvas.dot, 3.0)
        mark(plot.x(p.x), plot.y(p.y), f"mark {style}", radius)


def _draw_bars(canvas: Canvas, curve: Curve, series: Series, plot: _Plot, style: str) -> None:
    place = [s.name for s in curve.series].index(series.name)
    step = _bar_step(curve)
    width = step * 0.84 / len(curve.series)
    for p in series.points:
        left = p.x - step * 0.42 + place * width
        top, foot = sorted((plot.y(p.y), plot.y(0)))
        canvas.rect(plot.x(left), top, plot.x(left + width) - plot.x(left) - 1, foot - top, f"bar {style}")
        if p.low is not None and p.high is not None:
            canvas.line(plot.x(left + width / 2), plot.y(p.low), plot.x(left + width / 2), plot.y(p.high), "whisker ink")


_MARKS = {"line": _draw_line, "points": _draw_points, "bars": _draw_bars}


def _bar_step(curve: Curve) -> float:
    xs = sorted({p.x for s in curve.series for p in s.points})
    return min((b - a for a, b in pairwise(xs)), default=1.0)


def _lean(points: list[Spot]) -> list[Spot]:
    """Without the points that no eye could tell from the one before."""
    kept = points[:1]
    for x, y in points[1:-1]:
        if abs(x - kept[-1][0]) + abs(y - kept[-1][1]) >= 1.5:
            kept.append((x, y))
    return kept + points[-1:] if len(points) > 1 else kept


def _draw_legend(canvas: Canvas, curve: Curve, styles: dict[str, str]) -> None:
    x = LEFT
    for series in curve.series:
        style = styles[series.name]
        if curve.marks == "line":
            canvas.line(x, 32, x + 24, 32, f"line {style}")
        elif curve.marks == "bars":
            canvas.rect(x + 6, 26, 14, 12, f"bar {style}")
        else:
            (canvas.diamond if style == "s2" else canvas.dot)(x + 14, 32, f"mark {style}")
        canvas.text(x + 30, 36.5, series.name, f"name {style}")
        x += 48 + text_width(series.name)


def _place_labels(curve: Curve, plot: _Plot, styles: dict[str, str]) -> tuple[_Label, ...] | None:
    """A label beside every series where nothing lies beneath it; None where one of them finds no such place."""
    if curve.marks == "bars" and len(curve.series) > 1:
        return None
    if len(curve.series) == 1:
        return ()
    low, high = max(plot.x.low, plot.y.low), min(plot.x.high, plot.y.high)
    ideal = _between((plot.x(low), plot.y(low)), (plot.x(high), plot.y(high))) if curve.diagonal else []
    ink = {s.name: _inked(s, plot, curve.marks) for s in curve.series}
    labels: list[_Label] = []
    for series in curve.series:
        others = [at for name, spots in ink.items() if name != series.name for at in spots]
        best = max(_free_places(series, plot, curve.marks, ink[series.name] + ideal, others, labels), default=None)
        if best is None:
            return None
        labels.append(_Label(text=series.name, style=styles[series.name], x=best[2], y=best[3], anchor=best[4]))
    return tuple(labels)


def _free_places(series: Series, plot: _Plot, marks: str, own: list[Spot], others: list[Spot], labels: list[_Label]) -> list[Place]:
    """(how clear of the others, order, x, y, anchor) of every place where the label covers nothing."""
    width, found = text_width(series.name), []
    corners = [(plot.x(p.x), plot.y(p.y)) for p in series.points]
    along = sorted({*corners, *(spot for a, b in pairwise(corners) for spot in _between(a, b))} if marks == "line" else corners)
    for order, at in enumerate(along[:: max(1, len(along) // 24)]):
        for dx, dy, anchor in ((9, -9, "start"), (-9, -9, "end"), (9, 20, "start"), (-9, 20, "end"), (0, -13, "middle"), (0, 24, "middle")):
            x, y = at[0] + dx, at[1] + dy
            left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            box = (left - 3, y - 13, left + width + 3, y + 5)
            if box[0] < LEFT + 2 or box[2] > WIDTH - RIGHT or box[1] < plot.top or box[3] > HEIGHT - BOTTOM - 2:
                continue
            if any(_within(spot, box) for spot in own) or any(_within((q.x, q.y - 4), _grown(box, 60, 10)) for q in labels):
                continue
            clear = min((_gap(spot, box) for spot in others), default=60.0)
            if clear > 12:
                found.append((min(clear, 60.0), -float(order), x, y, anchor))
    return found


def _inked(series: Series, plot: _Plot, marks: str) -> list[Spot]:
    """Spots that the series covers, close enough together that no label slips between them."""
    edges = [[(plot.x(p.x), plot.y(v)) for p in series.points if (v := getattr(p, end)) is not None] for end in ("low", "y", "high")]
    spots = [spot for edge in edges for spot in edge]
    if marks != "line":
        return spots
    return spots + [spot for edge in edges for a, b in pairwise(edge) for spot in _between(a, b)]


def _between(a: Spot, b: Spot) -> list[Spot]:
    parts = min(60, int((abs(a[0] - b[0]) + abs(a[1] - b[1])) // 6))
    return [(a[0] + (b[0] - a[0]) * k / (parts + 1), a[1] + (b[1] - a[1]) * k / (parts + 1)) for k in range(1, parts + 1)]


def _grown(box: Box, x: float, y: float) -> Box:
    return box[0] - x, box[1] - y, box[2] + x, box[3] + y


def _within(at: Spot, box: Box) -> bool:
    return box[0] <= at[0] <= box[2] and box[1] <= at[1] <= box[3]


def _gap(at: Spot, box: Box) -> float:
    return max(box[0] - at[0], at[0] - box[2], 0.0) + max(box[1] - at[1], at[1] - box[3], 0.0)


def _description(curve: Curve) -> str:
    said = [f"{curve.y_label} by {curve.x_label}."]
    for series in curve.series:
        if not series.points:
            said.append(f"{series.name}: no points.")
            continue
        first, last = series.points[0], series.points[-1]
        ends = f"from {number_text(first.y)} at {number_text(first.x)} to {number_text(last.y)} at {number_text(last.x)}"
        said.append(f"{series.name}: {len(series.points)} points, {ends}.")
    if curve.diagonal:
        said.append("A dotted diagonal marks equal x and y.")
    return " ".join(said)


def _table(curve: Curve) -> tuple[tuple[tuple[str, ...], ...], bool]:
    rows: list[tuple[str, ...]] = []
    for series in curve.series:
        rows += [_row(series.name, p) for p in thinned(series.points, TABLE_ROWS)]
    return tuple(rows), any(len(s.points) > TABLE_ROWS for s in curve.series)


def _row(name: str, p: Point) -> tuple[str, ...]:
    return name, number_text(p.x), figure_text(p.y, p.low, p.high), "" if p.n is None else f"{p.n:,}"


def thinned(points: tuple[Point, ...], most: int) -> tuple[Point, ...]:
    """At most that many of the points, evenly taken, both ends among them."""
    if len(points) <= most:
        return points
    return tuple(points[round(k * (len(points) - 1) / (most - 1))] for k in range(most))
