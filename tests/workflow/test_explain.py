import re
import tomllib
from pathlib import Path

import pytest

import gonogo
from gonogo.types import errors
from gonogo.types.errors import ContractRefused, GonogoError, UnknownCode
from gonogo.types.toml import read_tables
from gonogo.workflow.explain import codes, explain, title

HOUSE = Path(gonogo.__file__).parent
FLIGHTS = Path(__file__).parents[2] / "examples" / "flights" / "contract.toml"
CODE = re.compile(r"GNG-(?:[A-Z]\d{3}|0000)")
FENCE = re.compile(r"^```(\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = [(code, language, text) for code in codes() for language, text in FENCE.findall(explain(code))]


def every_error(cls=GonogoError):
    for below in cls.__subclasses__():
        yield below
        yield from every_error(below)


def codes_in_the_source():
    return sorted({code for file in HOUSE.rglob("*.py") for code in CODE.findall(file.read_text(encoding="utf-8"))})


@pytest.mark.parametrize("code", codes_in_the_source())
def test_every_code_in_the_source_has_a_page_that_begins_with_it(code):
    assert explain(code).startswith(f"# {code}: ")


@pytest.mark.parametrize("code", [code for code in codes() if code != "contract"])
def test_every_page_says_what_it_means_why_it_matters_and_what_to_do_in_that_order(code):
    page = explain(code)
    parts = [page.index(f"## {part}\n") for part in ("What it means", "Why it matters", "What to do", "Example")]
    assert parts == sorted(parts)
    assert len(title(code)) < 100


def test_every_page_is_of_a_code_that_gonogo_can_give():
    assert set(codes()) - {"contract"} == set(codes_in_the_source())


def test_every_error_has_a_code_of_its_own_that_its_tree_draws():
    given = [error for error in every_error() if "code" in vars(error)]
    assert len({error.code for error in given}) == len(given)
    for error in given:
        assert f"{error.__name__} " in (errors.__doc__ or "")
        assert error.code in (errors.__doc__ or "")


@pytest.mark.parametrize("typed", ["GNG-D002", "gng-d002", "d002", " D002 "])
def test_a_code_may_be_typed_carelessly(typed):
    assert explain(typed).startswith("# GNG-D002")


@pytest.mark.parametrize("typed", ["GNG-D02", "GNG-D0022", "D-002"])
def test_an_unknown_code_names_the_nearest(typed):
    with pytest.raises(UnknownCode) as caught:
        explain(typed)
    assert "GNG-D002" in caught.value.expected


@pytest.mark.parametrize("typed", ["", "zzz", "../types/errors", "GNG-D002.md", "\0"])
def test_what_is_no_code_is_never_a_path(typed):
    with pytest.raises(UnknownCode):
        explain(typed)


def test_the_reference_of_the_contract_is_a_page_too():
    assert explain("contract").startswith("# contract: ")


# ── the examples on the pages are run ────────────────────────────────────────────────────────────────────────────────────


def with_fragment(fragment):
    """The flights contract with the keys that a page's fragment shows."""
    return merged(tomllib.loads(FLIGHTS.read_text(encoding="utf-8")), tomllib.loads(fragment))


def merged(base, change):
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return {
        key: merged(base[key], change[key]) if key in base and key in change else change.get(key, base.get(key)) for key in base | change
    }


def replaced(fragment):
    """Sources, features and the split are told whole on a page, so they replace the example's."""
    raw, shown = with_fragment(fragment), tomllib.loads(fragment)
    if "by" in shown.get("split", {}):
        raw["split"] = shown["split"]
    for table in ("sources", "features"):
        for name, held in shown.get(table, {}).items():
            raw[table][name] = held if held.get("read") or held.get("sql") or held.get("source") else raw[table][name]
    return raw


def examples(language):
    return [pytest.param(code, text, id=f"{code}-{position}") for position, (code, kind, text) in enumerate(EXAMPLES) if kind == language]


@pytest.mark.parametrize(("code", "fragment"), examples("toml-refused"))
def test_a_fragment_that_a_page_calls_refused_is_refused_with_its_code(code, fragment):
    with pytest.raises(ContractRefused) as caught:
        read_tables(replaced(fragment), lines={}, where="contract.toml")
    assert caught.value.code == code
    shown = tomllib.loads(fragment)
    assert all(re.split(r"[.#]", problem.key)[0] in shown for problem in caught.value.problems)


@pytest.mark.parametrize(("code", "fragment"), examples("toml"))
def test_a_fragment_that_a_page_recommends_is_accepted(code, fragment):
    assert read_tables(replaced(fragment), lines={}, where="contract.toml").gates


@pytest.mark.parametrize(("code", "snippet"), examples("python"))
def test_a_snippet_on_a_page_runs(code, snippet):
    exec(compile(snippet, f"{code}.md", "exec"), {"__name__": code})


def test_pages_use_no_other_kinds_of_example():
    assert {kind for _, kind, _ in EXAMPLES} <= {"toml", "toml-refused", "python", "text", "sql"}
