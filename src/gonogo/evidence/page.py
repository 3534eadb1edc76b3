"""How does a verdict become one page that a person can read?

One self-contained HTML file: nothing is fetched, nothing needs a script, everything that came from outside is escaped. The same view gives
the same bytes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.evidence import page_data, page_model, page_rulings
from gonogo.evidence.page_numbers import count_text, moment_text, number_text, short_digest
from gonogo.evidence.page_view import HistoryLine, Origin, PageView, Waived

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["HistoryLine", "Origin", "PageView", "Waived", "render"]

# Paper cannot be clicked: whatever is folded is opened before printing. Without scripts the style sheet does so in newer browsers.
SCRIPT = (
    "addEventListener('beforeprint',()=>document.querySelectorAll('details:not([open])').forEach(d=>{d.open=true;d.dataset.shut=''}));"
    "addEventListener('afterprint',()=>document.querySelectorAll('details[data-shut]').forEach(d=>{d.open=false;delete d.dataset.shut}));"
)


def render(view: PageView) -> str:
    """The page of a verdict as HTML, UTF-8, about 100–400 KB, without a byte from anywhere else.

    What is missing is said in words: a page without evidence says that nothing was measured, and why.
    """
    style = _beside("page.css")
    return _template().render(
        view=view,
        style=style,
        script=SCRIPT,
        style_hash=_hash(style),
        script_hash=_hash(SCRIPT),
        **_rulings(view),
        **_data(view),
        **_model(view),
    )


def _rulings(view: PageView) -> dict[str, Any]:
    return {
        "headline": page_rulings.headline(view),
        "gates": page_rulings.gate_rows(view),
        "rulings": page_rulings.all_rows(view),
        "glossary": page_model.glossary(view),
    }


def _data(view: PageView) -> dict[str, Any]:
    return {
        "contract_words": page_data.contract_words(view.contract),
        "policy_words": page_data.POLICY,
        "time_line": page_data.time_line(view),
        "decision_windows": page_data.decision_windows(view.contract),
        "findings": page_data.finding_rows(view),
        "maturity": page_data.maturity_words(view.snapshot.facts),
        "facts": page_data.fact_rows(view.snapshot.facts),
    }


def _model(view: PageView) -> dict[str, Any]:
    curves = view.evidence.curves if view.evidence else ()
    return {
        "figures": page_model.figure_rows(view),
        "curves": page_model.curve_charts(curves, "curve", view.reference),
        "empty_curves": page_model.empty_curves((*curves, *view.extra_curves)),
        "extra_curves": page_model.curve_charts(view.extra_curves, "extra", view.reference),
        "slices": page_model.slice_charts(view),
        "slice_rows": page_model.slice_rows(view),
        "worst": page_model.worst_rows(view),
        "effects": page_model.effects_chart(view.evidence.effects if view.evidence else ()),
        "card": page_model.model_card(view),
        "trials": page_model.trial_rows(view),
        "measured": page_model.measured_rows(view),
        "costs": page_model.cost_words(view.contract),
    }


@functools.cache
def _template() -> Template:
    import jinja2

    loader = jinja2.FunctionLoader(_beside)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"moment": moment_text, "number": number_text, "short": short_digest, "count": count_text}
    return environment.get_template("page.html.jinja")


def _beside(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a content security policy names a permitted inline block by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
