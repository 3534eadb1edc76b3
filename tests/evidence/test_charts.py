"""Charts: nothing drawn that is not there, the same bytes every time, readable without eyes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from gonogo.evidence.charts import TABLE_ROWS, draw_curve, styles_of
from gonogo.evidence.charts_forest import Limit, Row, draw_bars, draw_forest, draw_gauge
from gonogo.evidence.charts_frame import Scale, log_ticks, text_width, tick_texts, ticks
from gonogo.evidence.charts_time import LookBack, Moment, Span, draw_decision, draw_time_line
from gonogo.types.evidence import Curve, Point, Series

LIMIT = Limit(at=0.01, allowed="below", label="at most 0.01")


class Shapes(HTMLParser):
    """Every shape of a drawing with its attributes."""

    def __init__(self, svg: str) -> None:
        super().__init__()
        self.shapes: list[tuple[str, dict[str, str]]] = []
        self.feed(svg)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shapes.append((tag, {k: v or "" for k, v in attrs}))

    def of(self, kind: str) -> list[dict[str, str]]:
        return [a for _, a in self.shapes if a.get("class", "") == kind]


def curve(*series: Series, **changed: object) -> Curve:
    said: dict[str, object] = {"name": "c", "title": "A curve", "x_label": "x", "y_label": "y", "series": series}
    return Curve(**(said | changed))  # type: ignore[arg-type]


def line(name: str, *ys: float) -> Series:
    return Series(name=name, points=tuple(Point(x=float(i), y=y) for i, y in enumerate(ys)))


def test_a_curve_has_a_title_a_description_and_a_table_of_its_numbers():
    chart = draw_curve(curve(line("challenger", 0.1, 0.9)), key="k")
    assert 'role="img"' in chart.svg
    assert '<title id="k-t">A curve</title>' in chart.svg
    assert "2 points, from 0.1 at 0 to 0.9 at 1" in chart.svg
    assert chart.rows == (("challenger", "0", "0.1", ""), ("challenger", "1", "0.9", ""))


def test_the_same_curve_gives_the_same_bytes():
    wave = curve(line("challenger", *(0.1 * (i % 7) / 3 for i in range(50))), line("champion", *(0.02 * i for i in range(50))))
    assert draw_curve(wave, key="k").svg == draw_curve(wave, key="k").svg


def test_coordinates_are_rounded_to_a_tenth():
    svg = draw_curve(curve(line("challenger", 1 / 3, 2 / 7, 0.111111)), key="k").svg
    assert not re.search(r"\d\.\d\d", " ".join(re.findall(r' (?:d|x|y|cx|cy|x1|y1|width)="([^"]*)"', svg)))


def test_a_curve_without_points_is_refused_rather_than_drawn_empty():
    with pytest.raises(ValueError, match="no points"):
        draw_curve(curve(Series(name="challenger", points=())), key="k")


def test_points_show_their_interval_as_a_bar_as_long_as_the_interval():
    point = Point(x=0.5, y=0.5, low=0.25, high=0.75, n=10)
    other = Point(x=0.9, y=1.0)
    svg = draw_curve(curve(Series(name="challenger", points=(point, other)), marks="points", diagonal=True), key="k").svg
    (bar,) = Shapes(svg).of("whisker s1")
    whole = Shapes(svg).of("grid")
    span = float(whole[0]["y1"]) - float(whole[-1]["y1"])  # from 0 to 1
    assert abs((float(bar["y1"]) - float(bar["y2"])) / span - 0.5) < 0.01


def test_challenger_and_champion_differ_by_more_than_colour():
    svg = draw_curve(curve(line("challenger", 0.1, 0.5), line("champion", 0.9, 0.6)), key="k").svg
    assert 'class="line s1"' in svg
    assert 'class="line s2"' in svg  # dashed by the style sheet
    assert "<circle" in svg
    assert 'class="mark s2" d="M' in svg  # a diamond


@pytest.mark.parametrize("gap", [0.3, 0.05, 0.0])
def test_labels_cover_neither_lines_nor_each_other(gap):
    ours, theirs = line("challenger", *(0.2 + 0.01 * i for i in range(60))), line("champion", *(0.2 - gap + 0.01 * i for i in range(60)))
    shapes = Shapes(draw_curve(curve(ours, theirs), key="k").svg)
    labels = [*shapes.of("name s1"), *shapes.of("name s2")]
    assert len(labels) == 2
    (ax, ay), (bx, by) = ((float(a["x"]), float(a["y"])) for a in labels)
    assert abs(ay - by) > 12 or abs(ax - bx) > text_width("champion")
    if gap == 0.0:  # no room beside lines that coincide: a legend above the plot
        assert ay == by < 40


def test_a_long_line_is_thinned_in_the_table_and_says_so():
    chart = draw_curve(curve(line("challenger", *(0.001 * i for i in range(500)))), key="k")
    assert len(chart.rows) == TABLE_ROWS
    assert chart.rows[0][1] == "0"
    assert chart.rows[-1][1] == "499"
    assert "evenly taken" in chart.note


def test_series_keep_their_style_whatever_their_order():
    assert styles_of(("baseline", "chance", "challenger")) == {"baseline": "s2", "chance": "s3", "challenger": "s1"}


def test_bars_start_at_zero():
    shapes = Shapes(draw_curve(curve(line("challenger", 0.5, 1.0), marks="bars"), key="k").svg)
    first, second = shapes.of("bar s1")
    assert abs(float(second["height"]) / float(first["height"]) - 2) < 0.02


def test_a_forest_places_a_figure_beyond_the_limit_on_the_other_side_of_the_line():
    rows = (Row(label="JFK", value=0.03, low=0.02, high=0.04, stands_out=True), Row(label="LGA", value=-0.02, low=-0.03, high=-0.01))
    chart = draw_forest(rows, key="k", title="t", measured_in="nats", limits=(LIMIT,))
    shapes = Shapes(chart.svg)
    (limit,) = shapes.of("limit")
    (harmed,) = shapes.of("whisker thick s2")
    (served,) = shapes.of("whisker thick s1")
    assert float(harmed["x1"]) > float(limit["x1"]) > float(served["x2"])
    assert chart.rows[0] == ("JFK", "0.030 [0.020, 0.040] nats", "")
    assert "Not passed: JFK" in chart.svg


def test_a_forest_row_without_a_figure_says_why_and_draws_no_mark():
    rows = (Row(label="YV", value=None, note="12 days of 30 asked"), Row(label="UA", value=0.0, low=-0.1, high=0.1))
    svg = draw_forest(rows, key="k", title="t", measured_in="", limits=()).svg
    assert "12 days of 30 asked" in svg
    assert len(Shapes(svg).of("mark s1")) == 1


def test_a_forest_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no row has a figure"):
        draw_forest((Row(label="YV", value=None, note="too few"),), key="k", title="t", measured_in="", limits=())


def test_bars_of_effects_are_as_long_as_their_values():
    rows = (Row(label="hour", value=0.4), Row(label="distance", value=0.1))
    first, second = Shapes(draw_bars(rows, key="k", title="t", measured_in="share of gain").svg).of("bar s1")
    assert abs(float(first["width"]) / float(second["width"]) - 4) < 0.05


def test_a_gauge_without_a_value_is_empty():
    assert draw_gauge(value=None, low=None, high=None, limit=1.0, allowed="below", key="k", said="") == ""


def test_a_gauge_shades_the_allowed_side():
    for allowed in ("below", "above"):
        shapes = Shapes(draw_gauge(value=0.5, low=0.4, high=0.6, limit=1.0, allowed=allowed, key="k", said="s"))
        (shade,), (limit,) = shapes.of("allowed"), shapes.of("limit")
        is_left = float(shade["x"]) < float(limit["x1"])
        assert is_left == (allowed == "below")


def test_a_time_line_draws_an_embargo_between_its_tables():
    def at(month: int) -> datetime:
        return datetime(2013, month, 1, tzinfo=UTC)

    spans = (
        Span(lane="train", start=at(1), end=at(6), style="held", label="100 rows"),
        Span(lane="train", start=at(6), end=at(7), style="gap", label="embargo"),
        Span(lane="test", start=at(7), end=at(12), style="held", label="50 rows"),
    )
    chart = draw_time_line(spans, (Moment(at=at(12), label="as of"),), key="k", title="t")
    shapes = Shapes(chart.svg)
    train, test = shapes.of("span s1")
    (gap,) = shapes.of("span gap")
    assert float(train["x"]) < float(gap["x"]) < float(test["x"])
    assert train["y"] == gap["y"] != test["y"]
    assert ("train: 100 rows", "1 Jan 2013, 00:00 UTC", "1 Jun 2013, 00:00 UTC") in chart.rows


def test_a_time_line_without_a_span_is_refused():
    with pytest.raises(ValueError, match="without a span"):
        draw_time_line((), (), key="k", title="t")


def test_a_longer_look_back_reaches_further_left():
    looks = (
        LookBack(name="a", spans_s=(3600.0, 604800.0), labels=("1 hour", "7 days")),
        LookBack(name="b", spans_s=(None,), labels=("all",)),
    )
    week, hour, everything, _ = (
        float(a["x"])
        for t, a in Shapes(draw_decision(looks, outcome_s=86400.0, outcome="1 day", key="k", title="t").svg).shapes
        if t == "rect"
    )
    assert everything < week < hour


def test_ticks_are_round_and_written_alike():
    assert ticks(-0.043, 0.012, 4) == (-0.04, -0.02, 0.0)
    assert tick_texts((-0.04, -0.02, 0.0)) == ("−0.04", "−0.02", "0.00")
    assert tick_texts((50_000.0, 100_000.0)) == ("50,000", "100,000")
    assert log_ticks(0.77, 1.7) == (0.8, 1.0, 1.2, 1.5)


def test_a_scale_keeps_values_inside_its_ends():
    scale = Scale(low=0, high=1, start=10, end=20)
    assert (scale(-5), scale(0.5), scale(9)) == (10, 15, 20)


def test_texts_in_a_drawing_are_escaped():
    svg = draw_curve(curve(line("<b>&", 0.1, 0.2), line("champion", 0.5, 0.4), title="<script>x</script>"), key="k").svg
    assert "<script" not in svg
    assert "<b>" not in svg
