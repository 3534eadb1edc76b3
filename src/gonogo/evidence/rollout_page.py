"""How does a rollout become one page that a person can read?

One self-contained HTML file, like the page of a verdict and in its style: nothing is fetched, everything that came from outside is escaped,
the same view gives the same bytes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gonogo.evidence import page, rollout_charts
from gonogo.evidence.page_numbers import figure_text, moment_text, number_text, short_digest
from gonogo.evidence.rollout_charts import Clock
from gonogo.evidence.rollout_view import Decision, RolloutView
from gonogo.types.release import Judgement, Phase, WatchRuling
from gonogo.types.verdict import Status

if TYPE_CHECKING:
    from jinja2 import Template

    from gonogo.evidence.charts_frame import Chart

WORDS = {
    Status.PASS: "harm refuted",
    Status.FAIL: "harm shown",
    Status.INCONCLUSIVE: "open",
    Status.MISSING: "no data",
    Status.ERROR: "cannot judge",
}
_RAISED = str.maketrans("-.0123456789", "⁻·⁰¹²³⁴⁵⁶⁷⁸⁹")
HEAD = {
    Phase.REGISTERED: "REGISTERED",
    Phase.SHADOW: "SHADOW",
    Phase.CANARY: "CANARY",
    Phase.FULL: "FULL",
    Phase.PROBATION: "PROBATION",
    Phase.SETTLED: "SETTLED",
    Phase.ROLLED_BACK: "ROLLED BACK",
}
EXTRA_STYLE = """
.verdict.under-way { --tone: var(--s1); --tone-wash: var(--wash); }
.chart .span.s3 { fill: var(--s3); fill-opacity: .75; }
.chart .span.bad { fill: var(--fail); }
.chart .span.good { fill: var(--pass); }
.verdict h1 { font-size: clamp(2.5rem, 8vw, 5rem); }
.pairs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 1.5rem 3rem; }
.pairs .figure { max-width: 34rem; }
#shares .chart { max-width: 60rem; }
.wrap td { white-space: normal; }
.wrap td.keep { white-space: nowrap; }
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class RulingRow:
    """One watch in one stage, as text."""

    status: str
    word: str
    watch: str
    figure: str
    harm: str
    safe: str
    units: str
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRows:
    """The last judgement of a stage, as text."""

    name: str
    sentence: str
    rows: tuple[RulingRow, ...]
    spent: str
    baked: str
    sample_ratio: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """The two drawings of a watch."""

    evidence: Chart
    sequence: Chart | None


def render(view: RolloutView) -> str:
    """The page of a rollout as HTML, UTF-8. What is missing is said in words."""
    style = page._beside("page.css") + EXTRA_STYLE
    clock = Clock.of(max([1.0, *(d.seconds for d in view.decisions), *(s.seconds for t in view.traces for s in t.spots)]))
    judged_until = max([1.0, *(spot.seconds for trace in view.traces for spot in trace.spots)])
    main, sliced = _pairs(view, Clock.of(judged_until))
    return _template().render(
        view=view,
        style=style,
        script=page.SCRIPT,
        style_hash=page._hash(style),
        script_hash=page._hash(page.SCRIPT),
        word=headline(view),
        tone={Phase.ROLLED_BACK: "no-go", Phase.SETTLED: "go"}.get(view.standing.phase, "under-way"),
        summary=view.standing.why or "Nothing has been decided yet.",
        shares=rollout_charts.draw_shares(view.decisions, clock, key="shares", title="The challenger's share of traffic")
        if view.decisions
        else None,
        decisions=tuple(zip(range(1, len(view.decisions) + 1), view.decisions, strict=True)),
        alarms=tuple(d for d in view.decisions if d.kind == "alarm"),
        stages=tuple(_stage(view, judgement) for judgement in view.judgements),
        budget=_budget(view),
        main=main,
        sliced=sliced,
        after=after,
        forecasts=view.preflight.forecasts if view.preflight else (),
        alarmed=tuple(j.alarm for j in view.judgements if j.alarm),
    )


def headline(view: RolloutView) -> str:
    """Where it stands, in capitals."""
    word = HEAD[view.standing.phase]
    if view.standing.phase is Phase.CANARY:
        word = f"{word} {view.standing.share * 100:g} %"
    return f"{word}, on hold" if view.standing.held else word


def after(seconds: float) -> str:
    """How long after the rollout was opened.

    >>> after(4.26), after(75.0), after(7260.0)
    ('4.3 s', '1 min 15 s', '2 h 01 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"


def _pairs(view: RolloutView, clock: Clock) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Drawings of watches on all traffic, and of those on slices; what did harm stands first."""
    failed = {r.watch for j in view.judgements for r in j.rulings if r.status is Status.FAIL}
    turns: tuple[Decision, ...] = tuple(d for d in view.decisions if d.seconds <= clock.until * clock.seconds * 1.04)
    pairs = {}
    for i, trace in enumerate(sorted(view.traces, key=lambda t: t.watch not in failed)):
        evidence = rollout_charts.draw_evidence(trace, turns, clock, key=f"e{i}")
        pairs[trace.watch] = trace.slice, Pair(evidence=evidence, sequence=rollout_charts.draw_sequence(trace, turns, clock, key=f"s{i}"))
    main = tuple(pair for name, (part, pair) in pairs.items() if not part or name in failed)
    return main, tuple(pair for name, (part, pair) in pairs.items() if part and name not in failed)


def _stage(view: RolloutView, judgement: Judgement) -> StageRows:
    stage = view.plan.stages[judgement.step]
    moved = ", moved by a policy" if view.plan.moves is not None else ""
    share = f" {stage.share * 100:g} %{moved}" if stage.phase is Phase.CANARY else ""
    return StageRows(
        name=f"{stage.phase.value}{share}",
        sentence=judgement.sentence,
        rows=tuple(_row(ruling) for ruling in sorted(judgement.rulings, key=lambda r: (r.status is Status.PASS, bool(r.slice)))),
        spent=f"{number_text(judgement.alpha_spent, 4)} of {number_text(view.plan.alpha)}",
        baked=f"{after(judgement.baked_us / 1e6)} of {after(stage.bake_us / 1e6)} asked",
        sample_ratio=_power(judgement.sample_ratio_log10_e),
    )


def _row(ruling: WatchRuling) -> RulingRow:
    return RulingRow(
        status=ruling.status.value,
        word=WORDS[ruling.status],
        watch=ruling.watch,
        figure=figure_text(ruling.value, ruling.low, ruling.high),
        harm=_power(ruling.log10_e_harm),
        safe=_power(ruling.log10_e_safe),
        units=f"{ruling.n_challenger:,} / {ruling.n_champion:,}",
        sentence=ruling.sentence,
    )


def _power(log10: float | None) -> str:
    """A power of ten in one line.

    >>> _power(3.44), _power(-0.4), _power(None)
    ('10³·⁴', '10⁻⁰·⁴', 'none')
    """
    return "none" if log10 is None else f"10{f'{log10:.1f}'.translate(_RAISED)}"


def _budget(view: RolloutView) -> str:
    spent = max((j.alpha_spent for j in view.judgements), default=0.0)
    return f"{number_text(spent, 4)} of {number_text(view.plan.alpha)}"


@functools.cache
def _template() -> Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(page._beside),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"moment": moment_text, "number": number_text, "short": short_digest}
    return environment.get_template("rollout_page.html.jinja")
