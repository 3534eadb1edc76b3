"""What does every chart stand on: scales, ticks, and a canvas that writes SVG?

Coordinates are rounded to a tenth of a unit, so the same numbers give the same bytes. Colours come from classes that the page's style
sheet fills in for light, dark and paper; a chart itself names none.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from html import escape

from gonogo.evidence.page_numbers import decimals_for, number_text

TEXT = 13.0  # font size, in units of the view box
_LOG_STEPS = (
    (1,),
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
    (1, 1.1, 1.2, 1.3, 1.5, 1.7, 2, 3, 5, 7, 8, 9, 9.5),
)
_WIDE, _NARROW, _CAPITAL = set("MWmw@%—→"), set("iljtfrI.,:;'|![]() "), set("ABCDEFGHKNOPQRSTUVXYZ+&")


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A drawing, and the same numbers as a table for those who cannot see it."""

    title: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""  # what a reader of the table must know, e.g. that it is thinned
    least_width: int = 0  # below this many pixels it scrolls inside its box


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """A straight map from numbers to places; `log` maps their logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; values beyond the ends stay at the ends."""
        low, high, at = (math.log(max(v, 1e-300)) if self.log else v for v in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def nice_step(span: float, wanted: int) -> float:
    """The step of 1, 2 or 5 times a power of ten that cuts a span into about that many parts.

    >>> nice_step(1.0, 5), nice_step(0.037, 4)
    (0.2, 0.01)
    """
    rough = span / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(float(f"{m * power:.12g}") for m in (1, 2, 5, 10) if m * power >= rough * 0.999)


def ticks(low: float, high: float, wanted: int = 5) -> tuple[float, ...]:
    """Round numbers within [low, high].

    >>> ticks(0.0, 1.0)
    (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """
    if not high > low:
        return (low,)
    step = nice_step(high - low, wanted)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(float(f"{k * step:.12g}") for k in range(first, last + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Round ratios within [low, high], from the coarsest set that gives three.

    >>> log_ticks(0.4, 2.5)
    (0.5, 1.0, 2.0)
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: tuple[float, ...] = ()
    for steps in _LOG_STEPS:
        found = tuple(v for k in powers for m in steps if low <= (v := float(f"{m * 10.0**k:.12g}")) <= high)
        if len(found) >= 3:
            break
    return found


def tick_texts(values: tuple[float, ...]) -> tuple[str, ...]:
    """Ticks, all with the decimals that their step needs."""
    if len(values) < 2:
        return tuple(number_text(v) for v in values)
    step = min(b - a for a, b in itertools.pairwise(values))
    decimals = max(0, decimals_for(step) - 1) if step < 1 else 0
    decimals += any(abs(round(v, decimals) - v) > step * 1e-6 for v in values)
    return tuple(number_text(v, decimals) for v in values)


def padded(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    """A range with air around it; a single value gets air in proportion to its size."""
    room = (high - low) * share if high > low else max(abs(high), 1e-3) * 0.5
    return low - room, high + room


def text_width(text: str, size: float = TEXT) -> float:
    """About how wide a text will be: enough to keep labels apart in any sans-serif.

    >>> text_width("mm") > text_width("ii")
    True
    """
    return size * sum(0.9 if c in _WIDE else 0.32 if c in _NARROW else 0.7 if c in _CAPITAL else 0.57 for c in text)


def shortened(text: str, width: float, size: float = TEXT) -> str:
    """The text, its middle left out where it is wider than that: names that start alike mostly differ at their end.

    >>> shortened("origin__share_late__3h", 90.0)
    'origin…te__3h'
    """
    if text_width(text, size) <= width:
        return text
    kept = len(text)
    while kept and text_width(cut := text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :], size) > width:
        kept -= 1
    return cut if kept else "…"


def place(value: float) -> str:
    """A coordinate, to a tenth.

    >>> place(12.34), place(-0.01)
    ('12.3', '0')
    """
    return f"{round(value, 1) + 0.0:g}" if abs(round(value, 1)) < 1e5 else f"{value:.0f}"


@dataclass(kw_only=True)
class Canvas:
    """Shapes in the order they were drawn; later ones lie on top."""

    width: float
    height: float
    shapes: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line."""
        self.shapes.append(f'<line class="{kind}" x1="{place(x1)}" y1="{place(y1)}" x2="{place(x2)}" y2="{place(y2)}"/>')

    def rect(self, x: float, y: float, width: float, height: float, kind: str, radius: float = 0) -> None:
        """A box; one too thin to be seen is half a unit wide."""
        corner = f' rx="{place(radius)}"' if radius else ""
        size = f'width="{place(max(width, 0.5))}" height="{place(max(height, 0.5))}"'
        self.shapes.append(f'<rect class="{kind}" x="{place(x)}" y="{place(y)}" {size}{corner}/>')

    def dot(self, x: float, y: float, kind: str, radius: float = 4) -> None:
        """A filled circle."""
        self.shapes.append(f'<circle class="{kind}" cx="{place(x)}" cy="{place(y)}" r="{place(radius)}"/>')

    def diamond(self, x: float, y: float, kind: str, radius: float = 5) -> None:
        """A square on its corner: told from a dot without any colour."""
        d = f"M{place(x - radius)} {place(y)}L{place(x)} {place(y - radius)}L{place(x + radius)} {place(y)}L{place(x)} {place(y + radius)}Z"
        self.shapes.append(f'<path class="{kind}" d="{d}"/>')

    def path(self, points: list[tuple[float, float]], kind: str, *, closed: bool = False) -> None:
        """A line through the points."""
        d = "M" + "L".join(f"{place(x)} {place(y)}" for x, y in points) + ("Z" if closed else "")
        self.shapes.append(f'<path class="{kind}" d="{d}"/>')

    def text(self, x: float, y: float, text: str, kind: str = "label", *, anchor: str = "start", turned: bool = False) -> None:
        """One line of text; `turned` reads upwards."""
        at = f'x="{place(x)}" y="{place(y)}"' if not turned else f'transform="translate({place(x)} {place(y)}) rotate(-90)"'
        end = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self.shapes.append(f'<text class="{kind}" {at}{end}>{escape(text)}</text>')

    def svg(self, key: str, title: str, description: str) -> str:
        """The drawing with a title and a description that a screen reader says. `key` is unique on its page."""
        head = f'<svg class="chart" role="img" aria-labelledby="{key}-t {key}-d" viewBox="0 0 {place(self.width)} {place(self.height)}">'
        said = f'<title id="{key}-t">{escape(title)}</title><desc id="{key}-d">{escape(description)}</desc>'
        return head + said + "".join(self.shapes) + "</svg>"
