"""The launch page: one file that a person can read, and that cannot be made to say what was not measured."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gonogo.evidence.page import render
from gonogo.evidence.page_view import Waived
from gonogo.types.contract import Outcome, Split
from gonogo.types.evidence import Curve, Series
from gonogo.types.snapshot import FindingStatus
from tests.evidence import page_worlds as worlds

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "line", "rect", "circle", "use"}


class Document(HTMLParser):
    """What a browser would build: fails where a tag is left open or closed twice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and "script" not in self.open:
            self.text.append(data)

    @property
    def said(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def words(view) -> str:
    return Document(render(view)).said


@pytest.fixture(scope="module")
def go() -> str:
    return render(worlds.view())


@pytest.fixture(scope="module")
def no_go() -> str:
    return render(worlds.no_go_view())


@pytest.fixture(scope="module")
def bare() -> str:
    """A run that stopped before anything was measured."""
    view = worlds.view(
        evidence=None,
        measurements=None,
        champion_measurements=None,
        extra_curves=(),
        verdict=worlds.verdict(()),
        snapshot=replace(worlds.snapshot(), findings=(), facts={}, dropped=(), sources=(), tables={}, inputs=()),
        lineage=(),
        history=(),
        seconds={},
        digests={},
        words={},
        no_evidence="the run stopped before the test table was opened",
    )
    return render(view)


@pytest.mark.parametrize("page", ["go", "no_go", "bare"])
def test_every_tag_that_opens_is_closed_in_its_order(page, request):
    document = Document(request.getfixturevalue(page))
    assert document.faults == []
    assert document.open == []


@pytest.mark.parametrize("page", ["go", "no_go", "bare"])
def test_nothing_is_fetched_from_anywhere(page, request):
    text = request.getfixturevalue(page)
    references = [v for _, a in Document(text).tags for k, v in a.items() if k in ("src", "href", "srcset", "action", "data", "poster")]
    assert all(r.startswith("#") for r in references)
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_every_link_leads_to_a_place_on_the_page(go):
    document = Document(go)
    places = {a["id"] for _, a in document.tags if "id" in a}
    assert {a["href"][1:] for _, a in document.tags if "href" in a} <= places


def test_no_two_elements_share_an_id(go):
    ids = [a["id"] for _, a in Document(go).tags if "id" in a]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("page", ["go", "no_go", "bare"])
def test_headings_go_down_one_step_at_a_time_from_one_h1(page, request):
    levels = [int(t[1]) for t, _ in Document(request.getfixturevalue(page)).tags if re.fullmatch(r"h[1-6]", t)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize("page", ["go", "no_go"])
def test_every_drawing_has_a_title_or_is_hidden_from_screen_readers(page, request):
    tags = Document(request.getfixturevalue(page)).tags
    for i, (tag, attributes) in enumerate(tags):
        if tag == "svg" and attributes.get("aria-hidden") != "true":
            assert attributes["role"] == "img"
            assert [t for t, _ in tags[i + 1 : i + 3]] == ["title", "desc"]


def test_every_header_cell_has_a_scope_and_every_scroll_box_takes_the_keyboard(go):
    tags = Document(go).tags
    assert all(a.get("scope") in ("col", "row") for t, a in tags if t == "th")
    boxes = [a for _, a in tags if a.get("class", "").startswith("scroll")]
    assert boxes
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in boxes)


def test_the_same_view_gives_the_same_bytes(go):
    assert render(worlds.view()) == go


def test_the_page_is_small_enough_to_mail(go, no_go):
    assert max(len(go.encode()), len(no_go.encode())) < 600_000


def test_a_contract_that_carries_markup_is_shown_as_text():
    evil = "<script>alert(1)</script>"
    view = worlds.view(contract=worlds.contract(name=evil, question=evil, unit=evil), words={"log_loss": evil}, seconds={evil: 1.0})
    text = render(view)
    assert evil not in text
    assert text.count("<script") == 1  # the page's own
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_only_script_and_style_are_those_the_policy_names(go):
    for kind in ("script", "style"):
        (block,) = re.findall(rf"<{kind}>(.*?)</{kind}>", go, re.DOTALL)
        named = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{named}'" in go


def test_a_go_says_that_every_ruling_is_a_pass(go):
    document = Document(go)
    assert "Every ruling is a pass: 19 of 19." in document.said
    assert "NO-GO" not in document.said


def test_a_no_go_names_the_finding_and_the_next_step_before_anything_else(no_go):
    said = Document(no_go).said
    assert "3 of 20 rulings do not pass: 1 fails, 1 has no evidence, 1 is inconclusive." in said
    assert said.index("GNG-K001") < said.index("better than the model it replaces")
    assert "air_time is known at landed_at, after decided_at in 100 % of 327,346 rows" in said
    assert "drop features.air_time, or decide later" in said


def test_rulings_that_do_not_pass_come_first_and_worst_first(no_go):
    words_in_order = re.findall(r'<tr role="row" class="(\w+)">', no_go)
    assert words_in_order[:3] == ["fail", "missing", "inconclusive"]
    assert set(words_in_order[3:]) == {"pass"}


def test_of_a_gate_with_slices_the_one_closest_to_its_limit_is_shown(go):
    closest = max((r for r in worlds.go_rulings() if r.slice), key=lambda r: r.high)
    said = Document(go).said
    assert f"no airport and no carrier is worse off {closest.slice}" in said
    assert "14 of 14 slices pass; this one is closest to the limit." in said


def test_figures_carry_interval_unit_and_count(go):
    said = Document(go).said
    assert "−0.0610 [−0.0700, −0.0520] nats" in said
    assert "at most 0 nats" in said
    assert "600 timings" in said


def test_a_page_without_evidence_says_so_in_words_and_shows_no_figure(bare):
    said = Document(bare).said
    assert "No gate ruled. Without evidence there is no GO." in said
    assert "No evidence was measured: the run stopped before the test table was opened." in said
    for sentence in (
        "No latency and no cost was measured",
        "No learning curve was measured",
        "No check is on record",
        "nothing is known about any slice",
        "No lineage was handed to this page",
        "No source is pinned",
        "No fact about the maturity of outcomes is on record",
        "the snapshot holds no train table",
    ):
        assert sentence in said
    assert "None" not in said
    assert "every row" not in said.lower()
    assert "nan" not in said


def test_a_figure_that_was_refused_gives_its_reason_instead_of_a_number(no_go):
    assert "not known: 12 days of 30 asked" in Document(no_go).said


def test_a_waived_finding_blocks_no_longer_and_names_who_answers_for_it():
    waiver = Waived(code="GNG-K001", where="features.air_time", by="ana@lab", why="the column is dropped next week")
    said = words(worlds.view(snapshot=worlds.snapshot(FindingStatus.OPEN), waived=(waiver,)))
    assert "waived by ana@lab: the column is dropped next week" in said
    assert "No finding is open" in said


def test_a_skipped_check_is_listed_with_the_open_ones():
    said = words(worlds.view(snapshot=worlds.snapshot(FindingStatus.SKIPPED)))
    assert "could not run features.air_time" in said
    assert "No finding is open" not in said


def test_dropped_rows_and_the_bias_of_a_naive_label_are_counted(go):
    said = Document(go).said
    assert "cancelled (policy) 8,255" in said
    assert "Of the outcomes that had come, 20.24 % are positive." in said
    assert "would have said 19.75 %: off by −0.49 points." in said


def test_costs_stand_beside_what_they_were_before(go):
    assert "latency p99" in (said := Document(go).said)
    assert "1.240 [1.141, 1.339] ms 0.1240 [0.1141, 0.1339] ms 1.12 [1.01, 1.23] ms at most 20" in said
    assert "0.310 [0.285, 0.335] ms 0.0310 [0.0285, 0.0335] ms not measured budget 5" in said


def test_a_difference_says_what_it_could_have_seen(go):
    assert "this test could have seen" in (said := Document(go).said)
    assert "(80 % power)" in said


def test_a_curve_without_points_is_named_and_not_drawn():
    empty = Curve(name="lift", title="Lift of the challenger", x_label="x", y_label="y", series=(Series(name="challenger", points=()),))
    assert "Not drawn, for it holds no points: Lift of the challenger." in words(worlds.view(extra_curves=(empty,)))


def test_effects_without_intervals_become_bars_and_say_how_many_are_left_out():
    said = words(worlds.view(evidence=replace(worlds.evidence(), effects=worlds.gains())))
    assert "share of gain of each input, the strongest 20 of 26" in said


def test_a_one_way_decision_is_called_one(go):
    contract = worlds.contract()
    one_way = replace(contract, decision=replace(contract.decision, reversible=False))
    assert "This is a one-way decision" in words(worlds.view(contract=one_way))
    assert "The decision is reversible" in Document(go).said


def test_a_split_by_entity_is_told_without_dates():
    contract = worlds.contract(
        split=Split(by="entity", column="tailnum", shares=(0.6, 0.2, 0.2)),
        outcome=Outcome(columns={"y": "late"}, known_at="t", window="1d"),
    )
    said = words(worlds.view(contract=contract))
    assert "by entity of tailnum; shares of train, validate, test: 60 %, 20 %, 20 %" in said
    assert "The contract names no rows of a special kind." in said


def test_the_page_tells_how_to_replay_it(go):
    assert f"gonogo replay {worlds.d('verdict')}" in Document(go).said


def test_an_interval_that_reaches_past_its_limit_never_reads_as_if_it_did_not():
    ruling = worlds.ruling(
        "better than the model it replaces", "log_loss", worlds.Status.INCONCLUSIVE, -0.0098, 0.01002, 0.0, "s", unit="nats"
    )
    assert "[−0.0198, 0.0002] nats" in words(worlds.view(verdict=worlds.verdict((ruling,))))


def test_a_go_says_which_findings_it_passed_over_and_none_where_they_are_waived():
    passed = worlds.view(snapshot=worlds.snapshot(FindingStatus.OPEN))
    assert "1 finding in the data stands open all the same: GNG-K001 at features.air_time." in words(passed)
    waived = replace(passed, waived=(Waived(code="GNG-K001", where="features.air_time", by="Ana", why="known before"),))
    assert "open all the same" not in words(waived)


@pytest.mark.parametrize(("times", "said"), [(1, "was opened once for this candidate"), (3, "was opened 3 times for this candidate")])
def test_the_page_says_how_often_the_test_table_was_opened(times, said):
    assert said in words(worlds.view(times_opened=times))


def test_a_search_that_was_not_made_is_not_passed_over():
    unsearched = replace(worlds.view().evidence, worst=(), searched=0)
    assert "No slice was searched" in Document(render(worlds.view(evidence=unsearched))).said
