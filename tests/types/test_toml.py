import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonogo.types.contract import Contract, Gate
from gonogo.types.errors import ContractRefused
from gonogo.types.record import canonical, digest, from_bytes
from gonogo.types.toml import read_contract, read_tables
from gonogo.types.toml_lines import key_lines, line_of

FLIGHTS = (Path(__file__).parents[2] / "examples" / "flights" / "contract.toml").read_text(encoding="utf-8")
DECIMALS = "decimals = { temp = 2, humid = 2, wind_speed = 5, precip = 2, pressure = 1, visib = 2 }"
ROLLOUT = "shares = [0.01, 0.05, 0.25, 0.5, 1.0]"
BY_TIME = FLIGHTS[FLIGHTS.index("[split]") : FLIGHTS.index("# ── what is tried")]
GATES = FLIGHTS[FLIGHTS.index("[[gates]]") : FLIGHTS.index("[[slices]]")]


def test_the_flights_contract_is_read_with_its_types():
    contract = read_contract(FLIGHTS, where="contract.toml")
    assert (contract.name, contract.seed, contract.rows.key) == ("flights", 13, ("flight_id",))
    assert contract.sources["weather"].decimals["temp"] == 2
    assert contract.sources["flights"].checks["dep_delay"].at_least == -120.0
    assert contract.gates[0] == Gate(name="data and leakage findings are resolved", metric="open_findings", at_most=0.0)
    assert contract.learners[1].params["max_depth"] == 6
    assert contract.features["plane"].windows == ("all",)
    assert contract.threads == 2


def test_a_contract_comes_back_from_its_canonical_json():
    contract = read_contract(FLIGHTS, where="contract.toml")
    assert from_bytes(Contract, canonical(contract)) == contract


# ── the digest ───────────────────────────────────────────────────────────────────────────────────────────────────────────

HEAD, REST = FLIGHTS.split("# ── where the data comes from", 1)
SAME = {
    "without comments": "\n".join(line.split("#")[0] if '"' not in line.split("#")[0] else line for line in FLIGHTS.split("\n")),
    "with other keys first": "\n".join(reversed(HEAD.strip().split("\n"))) + "\n#" + REST,
    "with Windows line ends": FLIGHTS.replace("\n", "\r\n"),
    "with a default stated": FLIGHTS.replace("seed = 13", "seed = 13\nthreads = 2"),
    "with a whole number where a number is meant": FLIGHTS.replace("at_most = 0.0\n", "at_most = 0\n"),
    "with a negative zero": FLIGHTS.replace("at_most = 0.0\n", "at_most = -0.0\n"),
    "with an inline table written out": FLIGHTS.replace(
        "params = { max_depth = 6, learning_rate = 0.08, n_rounds = 600, early_stopping_rounds = 30 }",
        "[learners.params]\nmax_depth = 6\nearly_stopping_rounds = 30\nn_rounds = 600\nlearning_rate = 8e-2",
    ),
    "with a moment as a TOML date-time": FLIGHTS.replace('as_of = "2014-01-01T05:00:00Z"', "as_of = 2014-01-01T05:00:00Z"),
}


@pytest.mark.parametrize("how", SAME)
def test_a_contract_written_otherwise_has_the_same_digest(how):
    assert SAME[how] != FLIGHTS
    assert digest(read_contract(SAME[how], where="a")) == digest(read_contract(FLIGHTS, where="b"))


def test_a_contract_that_says_otherwise_has_another_digest():
    other = FLIGHTS.replace("at_least = 0.70", "at_least = 0.71")
    assert digest(read_contract(other, where="a")) != digest(read_contract(FLIGHTS, where="a"))


# ── refusals: what is written instead of what, the line that is named, what is said ───────────────────────────────────────

REFUSED = {
    "an unknown key": ("seed = 13", "sed = 13", "sed = 13", "'sed' is no key"),
    "an unknown key of a table": ("at_least = 0.40", "at_leats = 0.40", "at_leats", "write at_least"),
    "a key below the wrong header": ("[budget]\n", "[budget]\nvalidate_from = 'x'\n", "validate_from = 'x'", "move it to [split]"),
    "a top key below a header": ("[budget]\n", "[budget]\nthreads = 2\n", "threads = 2", "top of the file"),
    "a learner's parameter outside params": (
        "params = { max_depth = 6, ",
        "max_depth = 6\nparams = { ",
        "max_depth = 6",
        "params = { max_depth",
    ),
    "a missing key": ('question = "Two', '# "Two', None, "'question' is missing"),
    "a missing key of a table": ('metric = "roc_auc"\n', "", "[[gates]]", "'metric' is missing from [gates#3]"),
    "a missing table": (BY_TIME, "", None, "'split' is missing"),
    "no gates": (GATES, "", None, "gates absent is an error, not a pass"),
    "a number in quotes": ("at_least = 0.70", 'at_least = "0.70"', 'at_least = "0.70"', "write 0.70, without quotes"),
    "true where a number is needed": ("seed = 13", "seed = true", "seed = true", "is not a whole number"),
    "true as a limit": ("at_least = 0.70", "at_least = true", "at_least = true", "is not a number"),
    "a fraction where a whole number is needed": ("seed = 13", "seed = 13.0", "seed = 13.0", "is not a whole number"),
    "a number below its limit": ("seed = 13", "seed = -1", "seed = -1", "is below 0"),
    "a number above its limit": ("unmatched_at_most = 0.2", "unmatched_at_most = 1.2", "unmatched_at_most = 1.2", "is above 1"),
    "a number of more than 64 bits": ("seed = 13", "seed = 9223372036854775808", "seed =", "64 bits"),
    "NaN": ("at_least = 0.70", "at_least = nan", "at_least = nan", "is not finite"),
    "infinity": ("at_least = 0.70", "at_least = -inf", "at_least = -inf", "is not finite"),
    "NaN among parameters": ("learning_rate = 0.08", "learning_rate = nan", "params", "is not finite"),
    "a date among parameters": ("learning_rate = 0.08", "learning_rate = 2013-01-01", "params", "put it in quotes"),
    "text where a list is needed": ('key = ["flight_id"]', 'key = "flight_id"', "key =", 'write ["flight_id"]'),
    "one table where several are meant": ('[[slices]]\ncolumn = "origin"\n\n[[slices]]', "[slices]", "[slices]", "two brackets"),
    "text where true or false is needed": ("reversible = true", 'reversible = "true"', "reversible", "write true, without quotes"),
    "a number where text is needed": ('name = "flights"', "name = 5", "name = 5", 'write "5", in quotes'),
    "a number where a table is needed": (DECIMALS, "decimals = 5", "decimals = 5", "is not a table"),
    "another choice": ('do = "drop"', 'do = "dorp"', "do =", 'write "drop"'),
    "a name of other letters": ('name = "flights"', 'name = "Late Flights"', "name =", 'write "late_flights"'),
    "a source's name of other letters": ("[sources.planes]", "[sources.Planes]", "[sources.Planes]", "is no name"),
    "a duration of other words": ('freshness = "3h"', 'freshness = "3 hours"', "freshness", "is no duration"),
    "all outside windows": ('window = "26h"', 'window = "all"', "window =", "is no duration"),
    "a window of nothing": ('windows = ["1h", "3h", "24h"]', 'windows = ["0s", "3h"]', "windows =", "shorter than a microsecond"),
    "a naive moment": ('as_of = "2014-01-01T05:00:00Z"', 'as_of = "2014-01-01T05:00:00"', "as_of", "is naive"),
    "a naive moment of TOML": ('as_of = "2014-01-01T05:00:00Z"', "as_of = 2014-01-01T05:00:00", "as_of", "is naive"),
    "an unknown aggregate": (
        '"mean(dep_delay)", "share(late)"]\nwindows = ["7d"]',
        '"median(x)"]\nwindows = ["7d"]',
        "aggregates",
        "sum(x)",
    ),
    "blank SQL in a table": ('dep_at = "dep_at", dep_delay', 'dep_at = " ", dep_delay', "known_later", "is empty"),
    "parameters nested without end": ("learning_rate = 0.08", "a = " + "[" * 40 + "]" * 40, "params", "nested too deeply"),
    "a key that belongs into a named table": ("[budget]\n", "[budget]\ntimeless = true\n", "timeless", "move it to [sources.NAME]"),
    "two aggregates of one name": ('["last(dep_delay)", "age"]', '["last(dep_delay)", "last(dep_delay )"]', "aggregates", "last_dep_delay"),
    "the same key twice in a list": ('by = ["carrier", "origin"]', 'by = ["carrier", "carrier"]', "by =", "stands twice"),
    "empty SQL": ('sql = "carrier"', 'sql = "  "', "sql =", "is empty"),
    "an empty word": ('owner = "operations research"', 'owner = ""', "owner", "is empty"),
    "an empty key": ('key = ["flight_id"]', "key = []", "key =", "rows.key is empty"),
    "a NUL": ('owner = "operations', 'owner = "\\u0000operations', "owner", "NUL"),
    "a gate without a limit": ("at_least = 0.40\n", "", "[[gates]]", "has no limit"),
    "a gate that asks for findings": ('"open_findings"\nat_most = 0', '"open_findings"\nat_least = 0', "at_least = 0", "write at_most = 0"),
    "a gate with limits reversed": ("at_least = 0.40", "at_least = 0.40\nat_most = 0.3", "at_most = 0.3", "is above"),
    "a gate by an undeclared slice": ('slices = ["origin", "carrier"]', 'slices = ["orgin"]', "slices =", 'write "origin"'),
    "two gates of one name": (
        'name = "cheap enough"',
        'name = "answers in time"',
        'name = "answers in time"',
        "stands twice",
    ),
    "two learners alike in everything": (
        '[[learners]]\nname = "xgboost"\nparams = { max_depth = 6, learning_rate = 0.08, n_rounds = 600, early_stopping_rounds = 30 }',
        '[[learners]]\nname = "logistic_regression"\nparams = {}',
        'name = "logistic_regression"',
        "with the same parameters",
    ),
    "two slices of one column": ('column = "carrier"', 'column = "origin"', 'column = "origin"', "stands twice"),
    "a split by time without test_from": ('test_from = "2013-11-01T04:00:00Z"\n', "", "[split]", "needs test_from"),
    "test before validate": ('test_from = "2013-11', 'test_from = "2013-08', "test_from", "not after validate_from"),
    "an embargo as long as validate": ('embargo = "1d"', 'embargo = "61d"', "test_from", "validate table would be empty"),
    "test after as_of": ('test_from = "2013-11', 'test_from = "2014-11', "test_from", "not before as_of"),
    "a split by time with shares": ('embargo = "1d"', "shares = [0.6, 0.2, 0.2]", "shares = [0.6", "does not look at shares"),
    "a split by entity without a column": (BY_TIME, '[split]\nby = "entity"\nshares = [0.6, 0.2, 0.2]\n', "[split]", "needs the column"),
    "a split by group without shares": (BY_TIME, '[split]\nby = "group"\ncolumn = "day"\n', "[split]", "needs the shares"),
    "shares that do not add to 1": (BY_TIME, '[split]\nby = "stratified"\nshares = [0.6, 0.2, 0.1]\n', "shares = [0.6", "add to 1"),
    "two shares": (BY_TIME, '[split]\nby = "stratified"\nshares = [0.6, 0.4]\n', "shares = [0.6", "three positive shares"),
    "an embargo that nothing looks at": (
        BY_TIME,
        '[split]\nby = "stratified"\nshares = [0.6, 0.2, 0.2]\nembargo = "1d"\n',
        "embargo",
        "does not look at embargo",
    ),
    "a feature of both kinds": ('sql = "carrier"', 'sql = "carrier"\nsource = "departures"', 'source = "departures"', "not both"),
    "a feature of neither kind": ('sql = "distance"\n', "", "[features.distance]", "neither sql nor source"),
    "aggregates without a source": ('source = "departures"\nby = ["dest"]', 'by = ["dest"]', "aggregates", "no source"),
    "a source without aggregates": ('aggregates = ["last(built)", "last(seats)"]\n', "", "source =", "what it computes"),
    "aggregates without by": ('by = ["dest"]\n', "", "source =", "whose events"),
    "windows of a row": ('sql = "distance"', 'sql = "distance"\nwindows = ["1h"]', "windows =", "no events to look back on"),
    "a feature of an unknown source": ('source = "weather"', 'source = "wether"', "source =", 'write "weather"'),
    "rows of an unknown source": ('[rows]\nsource = "flights"', '[rows]\nsource = "flight"', "source =", 'write "flights"'),
    "a reference to an unknown source": ('"planes.tailnum"', '"plane.tailnum"', "tailnum =", 'write "planes.tailnum"'),
    "a reference without a column": ('"planes.tailnum"', '"planes"', "tailnum =", "does not name a source and a column"),
    "an unmatched rate without a reference": ('refers_to = "planes.tailnum", ', "", "tailnum =", "there is no refers_to"),
    "a check with limits reversed": ("at_least = 10, at_most = 6000", "at_least = 10, at_most = 6", "distance =", "is above"),
    "a range of text": ('origin = { type = "text"', 'origin = { type = "text", at_least = 1', "origin =", "no smallest or largest"),
    "a source that nobody knows when": ('known_at = "published_at"\nknown_later', "known_later", "[sources.flights]", "not timeless"),
    "events that nobody knows when": ('known_at = "reported_at"\n', "", "event_time", "no known_at"),
    "a timeless source with times": ("timeless = true", 'timeless = true\nevent_time = "built"', "event_time", "timeless source has no"),
    "a window over a timeless source": ('["last(built)", "last(seats)"]', '["count"]\nwindows = ["1d"]', "windows =", "timeless"),
    "the age of a timeless source": ('["last(built)", "last(seats)"]', '["age"]', "aggregates", "no age"),
    "aggregates over rows without event_time": (
        'source = "departures"\nby = ["dest"]',
        'source = "flights"\nby = ["dest"]',
        "source =",
        "no event_time",
    ),
    "digits that 64 bits cannot hold": ("temp = 2", "temp = 40", "decimals", "more than a sum can keep"),
    "no gate on findings": ('metric = "open_findings"', 'metric = "brier_score"', "[[gates]]", "a leak that was found would not stop"),
    "two features of one column": ("[features.hour]", "[features.tail__age__2d]", "[features.tail]", "make a column"),
    "a rollout that does not end at 1": (ROLLOUT, "shares = [0.1, 0.5]", "shares =", "do not rise"),
    "a rollout that falls": (ROLLOUT, "shares = [0.5, 0.1, 1.0]", "shares =", "do not rise"),
    "a rollout of nothing": (ROLLOUT, "shares = []", "shares =", "do not rise"),
    "budgets that fall": ("latency_p95_ms = 50.0", "latency_p95_ms = 1.0", "latency_p95_ms", "is above latency_p95_ms"),
    "an outage that ends before it starts": (
        "[[outcome.policies]]",
        '[[outcome.excluded]]\nstart = "2013-02-01T00:00:00Z"\nend = "2013-01-01T00:00:00Z"\nwhy = "x"\n\n[[outcome.policies]]',
        "end =",
        "ends before it starts",
    ),
    "a newer format": ("gonogo = 1", "gonogo = 2", "gonogo = 2", "gonogo = 1"),
    "an older format than any": ("gonogo = 1", "gonogo = 0", "gonogo = 0", "is below 1"),
    "a header that does not close": ("[rows]", "[rows", "[rows", "not TOML"),
    "a key twice": ("seed = 13", "seed = 13\nseed = 14", "seed = 14", "a key stands twice"),
    "a table twice": ("[rollout]", "[budget]", "[budget]", "merge the two"),
    "text without quotes": ('unit = "day"', "unit = day", "unit = day", "text needs quotes"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_contract_is_refused_with_the_line_and_the_fix_for(what):
    old, new, line, said = REFUSED[what]
    assert old in FLIGHTS
    text = FLIGHTS.replace(old, new, 1)
    refused = refusal(text)
    assert said in str(refused)
    named = {problem.line for problem in refused.problems if said in problem.text()}
    rows, changed = text.split("\n"), FLIGHTS.count("\n", 0, FLIGHTS.index(old)) + 1
    assert any(number == 1 if line is None else line in rows[number - 1] and abs(number - changed) <= 50 for number in named), named
    assert all(problem.where == f"contract.toml:{problem.line}" for problem in refused.problems)
    assert all(problem.message and problem.next for problem in refused.problems)


def test_an_empty_list_of_gates_is_refused_as_no_gates_at_all():
    (problem,) = refusal(FLIGHTS.replace(GATES, "").replace("seed = 13", "gates = []")).problems
    assert (problem.line, problem.message) == (10, "There is no gate: gates absent is an error, not a pass.")


def refusal(text):
    with pytest.raises(ContractRefused) as caught:
        read_contract(text, where="contract.toml")
    return caught.value


def test_every_problem_is_told_in_one_go_in_the_order_of_lines():
    text = FLIGHTS
    for old, new in (
        ("seed = 13", "sed = 13"),
        ('do = "drop"', 'do = "dorp"'),
        ("at_least = 0.40\n", ""),
        ('source = "weather"', 'source = "wether"'),
    ):
        text = text.replace(old, new, 1)
    problems = refusal(text).problems
    assert len(problems) == 4
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)
    assert [problem.nearest for problem in problems] == ["seed", "drop", "weather", ""]


def test_a_misspelt_key_is_not_also_called_missing():
    assert [problem.nearest for problem in refusal(FLIGHTS.replace("question =", "quesion =")).problems] == ["question"]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_an_empty_contract_is_one_problem_with_the_way_to_a_first_one(text):
    (problem,) = refusal(text).problems
    assert (problem.line, problem.message) == (1, "The contract is empty.")
    assert "gonogo init" in problem.next


def test_one_learner_may_be_tried_with_several_parameters():
    text = FLIGHTS.replace('name = "xgboost"\nparams = { max_depth = 6,', 'name = "logistic_regression"\nparams = { C = 0.1,', 1)
    assert [learner.name for learner in read_contract(text, where="contract.toml").learners] == ["logistic_regression"] * 2


DEEP = ["name = " + "[" * depth + "]" * depth for depth in range(100, 500, 7)]


@pytest.mark.parametrize("text", ["[" * 5000, "a = " + "[" * 5000, "a = " + "9" * 5000, "a = {", 'a = """', "\0", "a.b = 1\na = 2", *DEEP])
def test_no_text_at_all_ends_in_a_traceback(text):
    assert refusal(text).problems[0].line >= 1


def test_a_contract_of_five_thousand_features_is_read_in_a_moment():
    many = "".join(f'[features.f{n}]\nsql = "distance + {n}"\nmissing = "native"\n' for n in range(5000))
    assert len(read_contract(FLIGHTS + many, where="contract.toml").features) > 5000


def test_a_refusal_crosses_every_door_as_one_record():
    refused = refusal(FLIGHTS.replace("seed = 13", "sed = 13").replace('do = "drop"', 'do = "dorp"'))
    record = json.loads(json.dumps(refused.as_record()))
    assert (record["code"], refused.exit_status) == ("GNG-C001", 2)
    assert [problem["line"] for problem in record["problems"]] == [10, 96]
    assert record["problems"][0] | {"expected": ""} == {
        "where": "contract.toml:10",
        "key": "sed",
        "line": 10,
        "message": "'sed' is no key of the contract.",
        "found": "sed = 13",
        "expected": "",
        "nearest": "seed",
        "next": "write seed",
    }


def test_the_text_of_a_refusal_aligns_its_places_and_shows_at_most_fifty():
    text = str(refusal("gonogo = 1\n" + "".join(f"key_{n} = {n}\n" for n in range(80))))
    assert text.startswith("GNG-C001: the contract is refused as a whole, for 95 problems.")
    assert "… and 45 more" in text
    starts = {line.index("  ") for line in text.splitlines() if line.startswith("contract.toml:1") and len(line.split()[0]) == 16}
    assert starts == {16}


# ── whatever one changes, the answer is a contract or a refusal with a line ───────────────────────────────────────────────

RAW = tomllib.loads(FLIGHTS)
LINES = key_lines(FLIGHTS)


def paths(value, path=()):
    if isinstance(value, dict):
        for key, held in value.items():
            yield (*path, key)
            yield from paths(held, (*path, key))
    elif isinstance(value, list):
        for position, held in enumerate(value):
            yield (*path, position)
            yield from paths(held, (*path, position))


PATHS = tuple(paths(RAW))
ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["1h", "all", "time", "flights", "count"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=4,
).filter(lambda value: value is not None)


def mutated(raw, path, how, value, name):
    """A copy of the tables in which the key at the path is deleted, renamed or given another value."""
    copy = json.loads(json.dumps(raw))
    table = copy
    for key in path[:-1]:
        table = table[key]
    if how == "delete":
        del table[path[-1]]
    elif how == "rename" and isinstance(table, dict):
        table[name] = table.pop(path[-1])
    else:
        table[path[-1]] = value
    return copy


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(PATHS), st.sampled_from(["delete", "rename", "retype"]), ANYTHING, st.text(max_size=8)),
        min_size=1,
        max_size=3,
    )
)
def test_any_change_of_a_contract_gives_a_contract_or_a_refusal_with_a_line(changes):
    raw = RAW
    for path, how, value, name in changes:
        try:
            raw = mutated(raw, path, how, value, name)
        except (KeyError, IndexError, TypeError):  # an earlier change took the place away
            continue
    outcome = read_or_refused(lambda: read_tables(raw, lines=LINES, where="contract.toml"))
    if isinstance(outcome, ContractRefused):
        assert all(1 <= problem.line <= FLIGHTS.count("\n") + 1 for problem in outcome.problems)
        assert str(outcome).startswith("GNG-C001")
        json.dumps(outcome.as_record())
    else:
        assert outcome.gates
        assert digest(outcome).startswith("sha256:")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(FLIGHTS)), st.integers(0, 40), st.text("[]{}=\"'#.,\n\\ a1-", max_size=3)), min_size=1, max_size=3
    )
)
def test_any_slip_of_the_keys_gives_a_contract_or_a_refusal_with_a_line(slips):
    text = FLIGHTS
    for start, length, typed in slips:
        text = text[:start] + typed + text[start + length :]
    outcome = read_or_refused(lambda: read_contract(text, where="contract.toml"))
    if isinstance(outcome, ContractRefused):
        assert all(1 <= problem.line <= text.count("\n") + 1 for problem in outcome.problems)


def read_or_refused(read):
    try:
        return read()
    except ContractRefused as refused:
        return refused


@pytest.mark.parametrize("path", [path for path in PATHS if len(path) == 1], ids=lambda path: path[0])
def test_without_any_one_required_part_the_contract_is_refused_naming_it(path):
    raw = {key: held for key, held in RAW.items() if key != path[0]}
    optional = {"mode", "seed", "freshness", "retrain_every", "budget", "rollout"}
    if path[0] in optional:
        assert read_tables(raw, lines=LINES, where="contract.toml").gates
        return
    with pytest.raises(ContractRefused, match=path[0]):
        read_tables(raw, lines=LINES, where="contract.toml")


def test_the_line_of_a_problem_is_that_of_its_key():
    for path in PATHS:
        assert FLIGHTS.split("\n")[line_of(LINES, path) - 1].strip()
