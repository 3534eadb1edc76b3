import csv
import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gonogo.data.connection import open_connection
from gonogo.data.labels import label
from gonogo.data.sources import read_sources
from gonogo.data.splits import split
from gonogo.types.errors import SourceEmpty, SourceUnreadable, StorageFailed, UsageError, UserError
from gonogo.types.time import moment_us
from gonogo.types.verdict import Status
from gonogo.workflow.contract import read_contract_file
from gonogo.workflow.init import init
from gonogo.workflow.run import run

N = 1200
DRAW = np.random.default_rng(3)
SIZE = DRAW.normal(size=N)
COLOUR = DRAW.choice(["red", "green", "blue"], N)
CHURNED = DRAW.random(N) < 1 / (1 + np.exp(-SIZE))


def plain(**more):
    """A file without times: a key, two inputs with a few gaps, an outcome in words."""
    return {
        "customer id": [f"c{n:05}" for n in range(N)],
        "size": [None if n % 50 == 7 else float(size) for n, size in enumerate(SIZE)],
        "colour": COLOUR.tolist(),
        **more,
        "churned": ["yes" if churned else "no" for churned in CHURNED],
    }


def write(path, columns):
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".arrow":
        feather.write_feather(table, path, compression="uncompressed")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist()))
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(table.column_names)
            writer.writerows(["" if value is None else value for value in row.values()] for row in table.to_pylist())
    return path


def started(tmp_path, columns, name="data.parquet"):
    """The contract that init writes for these columns."""
    return read_contract_file(init(tmp_path / "problem", [write(tmp_path / name, columns)]))


def rows_of_each_table(contract, folder):
    """Train, validate, test, as the data floor splits what the contract says."""
    with open_connection() as connection:
        read_sources(contract, folder=folder, connection=connection)
        label(contract, connection)
        split(contract, connection)
        return dict(connection.execute("SELECT gng_table, count(*) FROM rows WHERE gng_fate = 'kept' GROUP BY ALL").fetchall())


# ── what is found ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow", "jsonl"])
def test_a_users_own_file_becomes_a_contract_that_splits_without_editing(tmp_path, suffix):
    contract = started(tmp_path, plain(), f"data.{suffix}")
    assert contract.outcome.columns == {"y": "(churned = 'yes')::int"}
    assert contract.rows.key == ("customer id",)
    assert list(contract.features) == ["size", "colour"]
    assert (contract.features["size"].missing, contract.features["colour"].missing) == ("native", "refuse")
    assert contract.features["colour"].kind == "category"
    assert contract.split.by == "stratified"
    counts = rows_of_each_table(contract, tmp_path / "problem")
    assert sum(counts.values()) == N
    assert abs(counts["train"] - 0.6 * N) < 5


@pytest.mark.parametrize("zone", [UTC, None], ids=["aware", "naive"])
def test_a_file_with_a_time_is_split_by_it(tmp_path, zone):
    times = [datetime(2023, 1, 1, tzinfo=zone) + timedelta(hours=6 * n) for n in range(N)]
    contract = started(tmp_path, {"created_at": times, "size": SIZE, "won": CHURNED})
    assert contract.split.by == "time"
    assert contract.outcome.columns == {"y": "won::int"}
    assert moment_us("2023-01-01T00:00:00Z") < moment_us(contract.split.validate_from) < moment_us(contract.split.test_from)
    assert contract.unit == "decided_on"  # 300 days: a day's rows are taken to move together
    counts = rows_of_each_table(contract, tmp_path / "problem")
    assert 0.55 * N < counts["train"] < 0.65 * N
    assert 0.15 * N < counts["test"] < 0.25 * N


def test_a_file_with_dates_is_split_by_them(tmp_path):
    contract = started(tmp_path, {"day": [date(2021, 1, 1) + timedelta(days=n) for n in range(N)], "size": SIZE, "y": CHURNED.astype(int)})
    assert contract.split.by == "time"
    assert set(rows_of_each_table(contract, tmp_path / "problem")) >= {"train", "validate", "test"}


def test_things_that_recur_are_the_unit_and_are_kept_together(tmp_path):
    contract = started(tmp_path, {"user_id": [n % 300 for n in range(N)], "size": SIZE, "label": CHURNED.astype(int)})
    assert (contract.unit, contract.split.by, contract.split.column) == ("user_id", "entity", "user_id")
    assert contract.rows.key == ("row_id",)
    assert "user_id" not in contract.features
    assert set(rows_of_each_table(contract, tmp_path / "problem")) == {"train", "validate", "test"}


def test_rows_without_a_key_are_numbered(tmp_path):
    contract = started(tmp_path, {"size": SIZE, "row_id": [1] * N, "y": CHURNED.astype(int)})
    assert contract.rows.key == ("row_id_",)
    assert sum(rows_of_each_table(contract, tmp_path / "problem").values()) == N


@pytest.mark.parametrize("name", ["y", "target", "is_fraud", "Churned"])
def test_the_outcome_is_known_by_its_name_wherever_it_stands(tmp_path, name):
    contract = started(tmp_path, {name: CHURNED.astype(int), "size": SIZE, "member": (SIZE > 0).astype(int)})
    column = name if name.islower() else f'"{name}"'
    assert contract.outcome.columns == {"y": f"({column} = 1)::int"}


def test_of_two_words_without_a_meaning_the_rarer_is_asked_about(tmp_path):
    contract = started(tmp_path, {"size": SIZE, "grade": ["odd" if n % 7 == 0 else "even" for n in range(N)]})
    assert contract.outcome.columns == {"y": "(grade = 'odd')::int"}


def test_rows_without_an_outcome_are_never_negatives(tmp_path):
    churned = [None if n < 100 else bool(c) for n, c in enumerate(CHURNED)]
    contract = started(tmp_path, {"size": SIZE, "churned": churned})
    assert sum(rows_of_each_table(contract, tmp_path / "problem").values()) == N - 100


@pytest.mark.parametrize("times", ["none", "some"])
def test_a_users_own_file_goes_all_the_way_to_a_verdict_without_editing(tmp_path, times):
    draw = np.random.default_rng(5)
    columns = {
        "id": np.arange(N),
        "size": SIZE,
        "other": draw.normal(size=N),
        "y": (draw.random(N) < 1 / (1 + np.exp(-2 * SIZE))).astype(int),
    }
    if times == "some":
        columns["created_at"] = [datetime(2023, 1, 1, tzinfo=UTC) + timedelta(hours=6 * n) for n in range(N)]
    init(tmp_path / "problem", [write(tmp_path / "data.parquet", columns)])
    done = run(tmp_path / "problem")
    by_metric = {ruling.metric: ruling.status for ruling in done.verdict.rulings}
    assert by_metric["log_loss"] is Status.PASS
    assert by_metric["roc_auc"] is Status.PASS
    assert by_metric["open_findings"] is Status.PASS, [finding.sentence for finding in done.findings]


# ── what is left out, and said ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_column_that_gives_the_outcome_away_is_left_out_and_said(tmp_path):
    columns = plain(alive=["dead" if churned else "well" for churned in CHURNED])
    assert "alive" not in started(tmp_path, columns).features
    text = (tmp_path / "problem" / "contract.toml").read_text()
    assert "# alive is left out: each of its values stands beside one outcome only" in text


@pytest.mark.parametrize("name", ["closed_reason", "arrDelay", "final status", "RESULT"])
def test_a_column_whose_name_tells_of_afterwards_is_left_out_and_said(tmp_path, name):
    contract = started(tmp_path, plain(**{name: [n % 5 for n in range(N)]}))
    assert list(contract.features) == ["size", "colour"]
    assert f"# {name} is left out: its name" in (tmp_path / "problem" / "contract.toml").read_text()


def test_columns_that_say_nothing_are_left_out(tmp_path):
    columns = plain(constant=[1] * N, empty=pa.nulls(N, pa.string()), note=[f"text {n}" for n in range(N)], nested=[[n] for n in range(N)])
    assert list(started(tmp_path, columns).features) == ["size", "colour"]


def test_a_second_time_is_left_out(tmp_path):
    times = [datetime(2023, 1, 1, tzinfo=UTC) + timedelta(hours=6 * n) for n in range(N)]
    contract = started(tmp_path, {"created_at": times, "seen": times, "size": SIZE, "y": CHURNED})
    assert list(contract.features) == ["size"]


def test_a_time_of_1900_is_no_time_to_split_by(tmp_path):
    times = [datetime(1900, 1, 1, tzinfo=UTC) + timedelta(hours=6 * n) for n in range(N)]
    assert started(tmp_path, {"created_at": times, "size": SIZE, "y": CHURNED}).split.by == "stratified"


def test_without_an_outcome_the_contract_still_parses_and_asks_for_one(tmp_path):
    contract = started(tmp_path, {"size": SIZE, "colour": COLOUR})
    assert contract.outcome.columns == {"y": "name_the_outcome"}
    assert "DECIDE: no column has exactly two values" in (tmp_path / "problem" / "contract.toml").read_text()


def test_every_guess_is_marked_for_a_person(tmp_path):
    started(tmp_path, plain())
    text = (tmp_path / "problem" / "contract.toml").read_text()
    decided = {line.split("=")[0].strip(" []#") for line in text.splitlines() if "DECIDE" in line}
    assert {"question", "unit", "decided_at", "known_at", "window"} <= decided


def test_further_files_become_sources(tmp_path):
    visits = {"customer id": ["c00001"], "at": [datetime(2023, 1, 1, tzinfo=UTC)], "pages": [3]}
    regions = {"colour": ["red"], "share": [0.5]}
    files = [write(tmp_path / f"{name}.parquet", held) for name, held in {"main": plain(), "visits": visits, "regions": regions}.items()]
    contract = read_contract_file(init(tmp_path / "p", files))
    assert (contract.sources["visits"].event_time, contract.sources["visits"].known_at) == ("happened_at", "happened_at")
    assert contract.sources["regions"].timeless
    assert contract.rows.source == "p"
    assert '# by = ["customer id"]' in (tmp_path / "p" / "contract.toml").read_text()


# ── names and places ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_columns_of_any_name_are_quoted_where_they_must_be(tmp_path):
    names = ['a "quoted" one', "it's", "select", "größe", "漢字", "a\nb", "x;--", "{brace}", "A", "tab\tbed", "back\\slash"]
    contract = started(tmp_path, {name: (SIZE * (n + 1)).tolist() for n, name in enumerate(names)} | {"y": CHURNED})
    assert len(contract.features) == len(names)
    with open_connection() as connection:
        read_sources(contract, folder=tmp_path / "problem", connection=connection)
        for feature in contract.features.values():
            connection.execute(f"SELECT {feature.sql} FROM src_problem").fetchall()


def test_the_name_is_the_folders_or_the_one_that_is_given(tmp_path):
    data = write(tmp_path / "data.parquet", plain())
    assert read_contract_file(init(tmp_path / "Late Flights!", [data])).name == "late_flights"
    assert read_contract_file(init(tmp_path / "b", [data], name="churn")).name == "churn"
    with pytest.raises(UsageError, match="no name"):
        init(tmp_path / "c", [data], name="Not A Name")


def test_folder_and_data_can_be_moved_together(tmp_path):
    (tmp_path / "old").mkdir()
    init(tmp_path / "old" / "p", [write(tmp_path / "old" / "a[1].parquet", plain())])
    (tmp_path / "old").rename(tmp_path / "new")
    assert sum(rows_of_each_table(read_contract_file(tmp_path / "new" / "p"), tmp_path / "new" / "p").values()) == N


def test_the_same_data_gives_the_same_contract(tmp_path):
    data = write(tmp_path / "data.parquet", plain())
    first, second = init(tmp_path / "a" / "p", [data]), init(tmp_path / "b" / "p", [data])
    assert first.read_bytes() == second.read_bytes()


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_contract_is_never_written_over(tmp_path):
    (tmp_path / "contract.toml").write_text("mine")
    with pytest.raises(UsageError, match="not written over"):
        init(tmp_path, [write(tmp_path / "data.parquet", plain())])
    assert (tmp_path / "contract.toml").read_text() == "mine"


def test_a_link_to_nowhere_is_not_written_through(tmp_path):
    (tmp_path / "contract.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="not written over"):
        init(tmp_path, [write(tmp_path / "data.parquet", plain())])
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("missing.csv", None, SourceUnreadable),
        ("empty.csv", b"", SourceEmpty),
        ("header.csv", b"a,b\n", SourceEmpty),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n", SourceUnreadable),
        ("corrupt.parquet", b"PAR1 nothing PAR1", SourceUnreadable),
        ("unknown.docx", b"PK", SourceUnreadable),
        ("latin.csv", b"a,b\n\xe9,1\n", SourceUnreadable),
    ],
)
def test_a_file_that_cannot_be_read_leaves_no_contract(tmp_path, name, content, error):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error):
        init(tmp_path / "p", [tmp_path / name])
    assert not (tmp_path / "p").exists()


def test_a_folder_as_data_or_no_data_at_all_is_refused(tmp_path):
    with pytest.raises(SourceUnreadable):
        init(tmp_path / "p", [tmp_path])
    with pytest.raises(UsageError):
        init(tmp_path / "p", [])


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    data = write(tmp_path / "data.parquet", plain())
    with pytest.raises(UsageError, match="is a file"):
        init(data, [data])
    with pytest.raises((StorageFailed, UsageError)):
        init(data / "p", [data])


CELLS = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=12, max_size=12),
    st.lists(st.one_of(st.none(), st.floats()), min_size=12, max_size=12),
    st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=12, max_size=12),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=12, max_size=12),
    st.lists(st.datetimes(), min_size=12, max_size=12),
    st.lists(st.dates(), min_size=12, max_size=12),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(min_size=1, max_size=4), CELLS, min_size=1, max_size=5))
def test_any_readable_table_gives_a_contract_that_parses(tmp_path_factory, columns):
    folder = tmp_path_factory.mktemp("any")
    pq.write_table(pa.table(columns), folder / "data.parquet")
    try:
        target = init(folder / "p", [folder / "data.parquet"])
    except UserError:  # e.g. two columns whose names differ in case only
        assert not (folder / "p").exists()
    else:
        assert read_contract_file(target).gates
