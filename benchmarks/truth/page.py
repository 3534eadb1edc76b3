"""How does what was simulated read? Writes docs/evidence/README.md and its plots from docs/evidence/truth.json.

.venv/bin/python -m benchmarks.truth.page
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from html import escape

from benchmarks.truth.claims import MEANS, Found
from benchmarks.truth.run import FOUND

FOLDER = FOUND.parent
TITLES = {
    "coverage": "How often does a 95 % interval hold the truth?",
    "level": "How often does a test reject what is true?",
    "power": "How often does a test see what is there?",
    "promise": "How often is a promise broken?",
}
INTRO = """# What was simulated

Every interval, test and promise of `gonogo.stats` was tried in worlds whose truth is known. A row says which world, what is claimed, and
what was found, with the simulation's own 95 % interval. Where the data could not give the figure the statistic refused; those worlds are
counted apart. **holds** means that the share lies in the claimed band; *nearly* that it lies outside by less than two standard errors of
the simulation; what does not hold is printed in bold, and stays here until it does. A band that ends at 1 belongs to an interval that is
wide on purpose, such as that of a calibration error near its true 0, where only one end can miss.

What is counted: {means}.

This page is generated: `.venv/bin/python -m benchmarks.truth.run --worlds 2000` simulates, `.venv/bin/python -m benchmarks.truth.page`
writes. `make proof` does both. A short version of the same worlds runs with the tests.
"""
VERDICTS = HOLDS, NEARLY, BROKEN = "holds", "*nearly*", "**does not hold**"
ROW, LEFT, RIGHT, TOP = 20, 470, 60, 46
WIDTH = 960
STYLE = """text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-size:14px;font-weight:600}
.quiet{fill:#59636e}.off{fill:#b35900;font-weight:600}
.sheet{fill:#fff}.band{fill:#cfe2f8}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.quiet{fill:#9198a1}.off{fill:#ffa657}.sheet{fill:#0d1117}.band{fill:#1f3a5c}}"""


def main() -> None:
    found = read()
    FOLDER.mkdir(parents=True, exist_ok=True)
    kinds = [kind for kind in TITLES if any(one.kind == kind for one in found)]
    for kind in kinds:
        (FOLDER / f"{kind}.svg").write_text(plot(kind, [one for one in found if one.kind == kind]), encoding="utf-8")
    (FOLDER / "README.md").write_text(text(found, kinds), encoding="utf-8")


def read() -> list[Found]:
    return [Found(**{**one, "band": tuple(one["band"])}) for one in json.loads(FOUND.read_text(encoding="utf-8"))]


def text(found: Sequence[Found], kinds: Sequence[str]) -> str:
    tally = {word: sum(verdict(one) == word for one in found) for word in VERDICTS}
    said = f"{tally[HOLDS]} of {len(found)} claims hold, {tally[NEARLY]} nearly, {tally[BROKEN]} do not."
    parts = [INTRO.format(means="; ".join(f"{MEANS[kind]} ({kind})" for kind in kinds)), f"\n{said}\n"]
    for kind in kinds:
        rows = [one for one in found if one.kind == kind]
        parts.append(
            f"\n## {TITLES[kind]}\n\n![{TITLES[kind]} One row for each claim: the share found, with the claimed band shaded]({kind}.svg)\n"
        )
        parts.append("\n| area | world | method | claimed | found | worlds | refused | |\n|---|---|---|---|---|---|---|---|\n")
        parts.extend(line(one) for one in rows)
    return "".join(parts)


def line(one: Found) -> str:
    low, high = ends(one)
    said = "nothing: all refused" if one.share is None else f"{one.share:.3f} [{low:.3f}, {high:.3f}]"
    refused = f"{one.refused / one.worlds:.1%}" if one.refused else "none"
    return f"| {one.area} | {one.name} | {one.method} | {band(one)} | {said} | {one.worlds:,} | {refused} | {verdict(one)} |\n"


def verdict(one: Found) -> str:
    if one.lies_inside:
        return HOLDS
    return NEARLY if one.holds else BROKEN


def band(one: Found) -> str:
    low, high = one.band
    if low <= 0:
        return f"at most {high:g}"
    return f"at least {low:g}" if high >= 1 else f"{low:g} to {high:g}"


def ends(one: Found) -> tuple[float, float]:
    """Wilson's interval of the share, as a matter of the simulation alone."""
    n = one.worlds - one.refused
    if one.share is None or not n:
        return math.nan, math.nan
    z = 1.96
    centre = (one.share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(one.share * (1 - one.share) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def plot(kind: str, rows: Sequence[Found]) -> str:
    """One row for each claim on one scale: band shaded, share as a dot, its interval as a whisker."""
    known = [one for one in rows if one.share is not None]
    low = min((min(one.band[0] if one.band[0] > 0 else ends(one)[0], ends(one)[0]) for one in known), default=0.0)
    high = max((max(one.band[1] if one.band[1] < 1 else ends(one)[1], ends(one)[1]) for one in known), default=1.0)
    step = next(s for s in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 9 or s == 0.2)
    low, high = max(0.0, math.floor(low / step) * step), min(1.0, math.ceil(high / step) * step)
    height = TOP + ROW * len(rows) + 16

    def x(share: float) -> float:
        return LEFT + (min(max(share, low), high) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(TITLES[kind])}</title><style>{STYLE}</style>",
        f'<rect class="sheet" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="10" y="18">{escape(TITLES[kind])}</text>',
    ]
    for tick in ticks(low, high, step):
        parts.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 6}" y2="{height - 10}" stroke="#8b949e" stroke-opacity=".35"/>'
        )
        parts.append(f'<text class="quiet" x="{x(tick):.1f}" y="{TOP - 10}" text-anchor="middle">{tick:g}</text>')
    for i, one in enumerate(rows):
        parts.extend(row(one, TOP + ROW * i, x))
    return "\n".join([*parts, "</svg>\n"])


def ticks(low: float, high: float, step: float) -> list[float]:
    return [round(low + i * step, 6) for i in range(round((high - low) / step) + 1)]


def row(one: Found, top: float, x: Callable[[float], float]) -> list[str]:
    middle, (left, right) = top + ROW / 2, ends(one)
    name = f"{one.area}: {one.name}, {one.method}"
    label = name if len(name) <= 76 else name[:75] + "…"
    shade, off = x(one.band[1]) - x(one.band[0]), "" if one.holds else ' class="off"'
    parts = [
        f'<rect class="band" x="{x(one.band[0]):.1f}" y="{top + 2}" width="{shade:.1f}" height="{ROW - 4}"/>',
        f'<text x="{LEFT - 12}" y="{middle + 4}" text-anchor="end"{off}>{escape(label)}<title>{escape(name)}</title></text>',
    ]
    if one.share is None:
        return [*parts, f'<text class="quiet" x="{LEFT + 6}" y="{middle + 4}">every world refused</text>']
    colour = "#1a7f37" if one.holds else "#b35900"
    shape = (
        f'<circle cx="{x(one.share):.1f}" cy="{middle}" r="4" fill="{colour}"/>'
        if one.holds
        else f'<path d="M{x(one.share):.1f} {middle - 5}l5 5l-5 5l-5 -5z" fill="{colour}"/>'
    )
    whisker = f'<line x1="{x(left):.1f}" x2="{x(right):.1f}" y1="{middle}" y2="{middle}" stroke="{colour}" stroke-width="2"/>'
    number = f'<text class="quiet" x="{WIDTH - 8}" y="{middle + 4}" text-anchor="end">{one.share:.3f}</text>'
    return [*parts, whisker, shape, number]


if __name__ == "__main__":
    main()
