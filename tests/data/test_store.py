"""A join of files: the same answer as a plain loop, the same bytes in memory and by buckets, whatever kills it."""

import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gonogo.data import features, spill, store
from gonogo.data.connection import open_connection
from gonogo.data.joining import Join, added_schema, compute
from gonogo.data.streams import HeldStream, ParquetStream
from gonogo.data.writing import write_joined
from gonogo.types.aggregate import parse_aggregate
from gonogo.types.contract import Feature, Rows, Source
from gonogo.types.errors import ColumnMissing, ColumnMistyped, KeysRefused, ScaleRefused, SourceUnreadable, TimeRefused, UsageError
from gonogo.types.record import digest_of_bytes
from tests.data.small_contract import contract

UTC_US = pa.timestamp("us", tz="UTC")
SECOND = 1_000_000
START = 1_735_689_600 * SECOND
AGGREGATES = (
    "count",
    "age",
    "sum(number)",
    "mean(amount)",
    "sum(amount)",
    "min(amount)",
    "max(number)",
    "last(amount)",
    "last(word)",
    "distinct(word)",
    "distinct(number)",
    "share(late)",
)
SHAPE = {
    "by": ("shop", "till"),
    "decided_at": "decided_at",
    "event_time": "event_time",
    "known_at": "known_at",
    "retracted_at": "retracted_at",
    "sequence": "sequence",
    "decimals": {"amount": 2},
}


def some(rng, values, share_null):
    return [None if rng.random() < share_null else v for v in values]


def event_table(rng, n, *, span=400, shops=("a", "ab", ""), tills=(1, 23, 2**53 + 1)):
    """Events with ties, late arrivals, retractions, nulls, and keys that look alike when written one behind the other."""
    event_time = START + rng.integers(0, span, n) * SECOND
    known_at = event_time + rng.integers(0, 3, n) * rng.integers(0, 40, n) * SECOND
    gone = some(rng, (known_at + rng.integers(-5, 60, n) * SECOND).tolist(), 0.8)
    return pa.table(
        {
            "shop": pa.array(some(rng, rng.choice(shops, n).tolist(), 0.05), pa.string()),
            "till": pa.array(some(rng, rng.choice(tills, n).tolist(), 0.05), pa.int64()),
            "event_time": pa.array(event_time, UTC_US),
            "known_at": pa.array(known_at, UTC_US),
            "retracted_at": pa.array(gone, UTC_US),
            "sequence": pa.array(rng.permutation(n)),
            "amount": pa.array(some(rng, np.round(rng.normal(0, 30, n), 2).tolist(), 0.2), pa.float64()),
            "number": pa.array(rng.integers(-5, 5, n)),
            "word": pa.array(some(rng, rng.choice(["x", "yy", "zzz", ""], n).tolist(), 0.2), pa.string()),
            "late": pa.array(some(rng, (rng.random(n) < 0.5).tolist(), 0.2), pa.bool_()),
        }
    )


def label_table(rng, n, *, span=440, shops=("a", "ab", "", "never"), tills=(1, 23, 2**53 + 1, 2**53)):
    return pa.table(
        {
            "note": pa.array([f"row {i}" for i in range(n)]),
            "shop": pa.array(some(rng, rng.choice(shops, n).tolist(), 0.05), pa.string()),
            "till": pa.array(some(rng, rng.choice(tills, n).tolist(), 0.05), pa.int64()),
            "decided_at": pa.array(START + rng.integers(0, span, n) * SECOND, UTC_US),
        }
    )


def written(folder, **tables):
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.parquet")
        pq.write_table(table, paths[-1], row_group_size=97)
    return paths


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(3)
    return written(tmp_path, events=event_table(rng, 900), labels=label_table(rng, 700))


def joined(files, out, **options):
    events, labels = files
    return store.as_of_join(**{**SHAPE, "events": events, "labels": labels, "out": out, "aggregates": AGGREGATES, **options})


# ── the answer ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def plain_loop(events, labels, *, window_s, boundary):
    """The definition, word by word: every event is looked at for every label."""
    rows = [row for row in events.to_pylist() if row["shop"] is not None and row["till"] is not None]
    return [_one(label, rows, window_s, boundary) for label in labels.to_pylist()]


def _one(label, rows, window_s, boundary):
    t = label["decided_at"]
    seen = [
        row
        for row in rows
        if (row["shop"], row["till"]) == (label["shop"], label["till"])
        and (row["event_time"] < t if boundary == "before" else row["event_time"] <= t)
        and row["known_at"] <= t
        and (row["retracted_at"] is None or t < row["retracted_at"])
        and (window_s is None or _age(row, t) < window_s or (boundary == "before" and _age(row, t) == window_s))
    ]
    seen.sort(key=lambda row: (row["event_time"], row["known_at"], row["sequence"]))
    amounts = [round(row["amount"] * 100.0) for row in seen if row["amount"] is not None]
    numbers = [row["number"] for row in seen]
    words = [row["word"] for row in seen if row["word"] is not None]
    lates = [row["late"] for row in seen if row["late"] is not None]
    return {
        "count": len(seen),
        "age": _age(seen[-1], t) if seen else None,
        "sum_number": sum(numbers) if numbers else None,
        "mean_amount": sum(amounts) / len(amounts) / 100.0 if amounts else None,
        "sum_amount": sum(amounts) / 100.0 if amounts else None,
        "min_amount": min(amounts) / 100.0 if amounts else None,
        "max_number": max(numbers) if numbers else None,
        "last_amount": next((row["amount"] for row in reversed(seen) if row["amount"] is not None), None),
        "last_word": words[-1] if words else None,
        "distinct_word": len(set(words)),
        "distinct_number": len(set(numbers)),
        "share_late": sum(lates) / len(lates) if lates else None,
    }


def _age(row, t):
    return (t - row["event_time"]).total_seconds()


@pytest.mark.parametrize("boundary", ["before", "at"])
@pytest.mark.parametrize("seed", range(4))
def test_the_join_gives_what_a_plain_loop_over_all_events_gives(tmp_path, seed, boundary):
    rng = np.random.default_rng(seed)
    events, labels = event_table(rng, 260), label_table(rng, 150)
    paths = written(tmp_path, events=events, labels=labels)
    out = tmp_path / "out.parquet"
    joined(paths, out, windows=("30s", "all"), boundary=boundary, n_buckets=1 << (seed % 3))
    table = pq.read_table(out)
    assert table.select(labels.column_names).equals(labels)
    for window, window_s in (("30s", 30), ("all", None)):
        expected = plain_loop(events, labels, window_s=window_s, boundary=boundary)
        for slug in expected[0]:
            assert table[f"{slug}__{window}"].to_pylist() == [row[slug] for row in expected], (slug, window)


def test_a_source_that_knows_nothing_of_known_at_counts_an_event_from_when_it_happens(tmp_path):
    events = pa.table({"k": [1, 1], "at": pa.array([START, START + 10], UTC_US), "v": ["first", "second"]})
    labels = pa.table({"k": [1, 1, 1], "t": pa.array([START, START + 1, START + 11], UTC_US)})
    paths = written(tmp_path, events=events, labels=labels)
    out = tmp_path / "out.parquet"
    store.as_of_join(
        events=paths[0], labels=paths[1], out=out, by=["k"], decided_at="t", event_time="at", aggregates=["last(v)"], name="shop"
    )
    assert pq.read_table(out)["shop__last_v__all"].to_pylist() == [None, "first", "second"]


def test_an_event_that_stands_twice_is_counted_once_and_told(files, tmp_path):
    events = pq.read_table(files[0])
    twice = written(tmp_path, twice=pa.concat_tables([events, events.slice(100, 50)]), labels=pq.read_table(files[1]))
    once, again = joined(files, tmp_path / "once.parquet"), joined(twice, tmp_path / "again.parquet")
    n_with_key = sum(1 for row in events.slice(100, 50).to_pylist() if row["shop"] is not None and row["till"] is not None)
    assert once.digest == again.digest
    assert once.n_duplicates == 0
    assert 0 < again.n_duplicates <= n_with_key


@pytest.mark.parametrize("n_buckets", [1, 4])
def test_without_events_every_label_still_comes_out(files, tmp_path, n_buckets):
    paths = written(tmp_path, none=pq.read_table(files[0]).slice(0, 0), labels=pq.read_table(files[1]))
    joined(paths, tmp_path / "out.parquet", n_buckets=n_buckets)
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["count__all"].to_pylist() == [0] * 700
    assert table["last_word__all"].null_count == 700


@pytest.mark.parametrize("n_buckets", [1, 4])
def test_without_labels_a_table_of_no_rows_with_every_column_is_written(files, tmp_path, n_buckets):
    paths = written(tmp_path, events=pq.read_table(files[0]), none=pq.read_table(files[1]).slice(0, 0))
    done = joined(paths, tmp_path / "out.parquet", n_buckets=n_buckets)
    table = pq.read_table(tmp_path / "out.parquet")
    assert len(table) == 0
    assert set(done.columns) <= set(table.column_names)


def test_several_files_are_read_end_to_end(files, tmp_path):
    events = pq.read_table(files[0])
    parts = written(tmp_path, one=events.slice(0, 333), two=events.slice(333))
    whole = joined(files, tmp_path / "whole.parquet")
    assert joined((parts, files[1]), tmp_path / "parts.parquet").digest == whole.digest


def test_a_file_gets_the_very_bits_that_a_contract_of_the_same_words_gets(tmp_path):
    rng = np.random.default_rng(11)
    events, labels = event_table(rng, 2000), label_table(rng, 1500)
    paths = written(tmp_path, events=events, labels=labels)
    joined(paths, tmp_path / "out.parquet", windows=("30s", "5m", "all"), n_buckets=4, name="sales")
    from_files = pq.read_table(tmp_path / "out.parquet")

    connection = open_connection()
    connection.register("src_labels", labels)
    connection.register("src_events", events)
    times = {"event_time": "event_time", "known_at": "known_at", "retracted_at": "retracted_at", "sequence": "sequence"}
    said = contract(
        sources={
            "labels": Source(read="labels.parquet", known_at="decided_at"),
            "events": Source(read="events.parquet", decimals={"amount": 2}, **times),
        },
        rows=Rows(source="labels", key=("note",), decided_at="decided_at"),
        features={
            "sales": Feature(source="events", by=("shop", "till"), aggregates=AGGREGATES, windows=("30s", "5m", "all"), missing="native")
        },
    )
    rows = labels.append_column("gng_decided_at", labels["decided_at"].cast(pa.int64()))
    from_contract = features.compute(features.plan(said, connection), connection, rows)
    for name in from_contract.column_names:
        ours, theirs = from_files[name].combine_chunks(), from_contract[name].combine_chunks()
        assert ours.equals(theirs.cast(ours.type)), name
    assert len(from_contract.column_names) == 3 * len(AGGREGATES)


def test_a_sequence_that_is_null_comes_before_any(tmp_path):
    moment = pa.array([START] * 3, UTC_US)
    labels = pa.table({"k": [1], "t": pa.array([START + 1], UTC_US)})
    for sequence in (pa.array([-1, None, -2]), pa.array(["b", None, "a"])):
        paths = written(tmp_path, events=pa.table({"k": [1] * 3, "at": moment, "s": sequence, "v": [1, 2, 3]}), labels=labels)
        out = tmp_path / "out.parquet"
        store.as_of_join(
            events=paths[0], labels=paths[1], out=out, by=["k"], decided_at="t", event_time="at", sequence="s", aggregates=["last(v)"]
        )
        assert pq.read_table(out)["last_v__all"].to_pylist() == [1]


# ── the same bytes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_bytes_are_the_same_for_any_number_of_buckets_and_threads(files, tmp_path):
    digests = {
        joined(files, tmp_path / f"{n}-{threads}.parquet", n_buckets=n, threads=threads, windows=("30s", "all")).digest
        for n in (1, 2, 16)
        for threads in (1, 2)
    }
    assert len(digests) == 1


def job(files, out, *, n_buckets, slab=128, **options):
    """The same join in slabs of a few rows, so that a small table makes many files."""
    events, labels = (ParquetStream.open([path]) for path in files)
    join = Join(**SHAPE, aggregates=tuple(map(parse_aggregate, AGGREGATES)), windows=("30s", "all"))
    added = added_schema(join, events.schema)
    if n_buckets == 1:
        computed = compute(join, labels, events)
        slabs = (computed.rows(at, slab) for at in range(0, max(1, labels.n_rows), slab))
        write_joined(out, labels, added, slabs, slab=slab)
    else:
        spill.join_by_buckets(join, labels, events, added, out, folder=out.parent / "work", n_buckets=n_buckets, slab=slab, **options)
    return digest_of_bytes(out.read_bytes())


def test_slabs_that_end_anywhere_change_nothing(files, tmp_path):
    whole = pq.read_table(tmp_path / "whole.parquet") if joined(files, tmp_path / "whole.parquet", windows=("30s", "all")) else None
    for slab in (64, 100, 699, 700, 5000):
        job(files, tmp_path / "out.parquet", n_buckets=4, slab=slab)
        assert pq.read_table(tmp_path / "out.parquet").equals(whole)


def run_in_child(code, *arguments):
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


KILLED = """
import os, random, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.data.test_store import job

folder, n_edges = Path(sys.argv[2]), int(sys.argv[3])
files = folder / "events.parquet", folder / "labels.parquet"
sync = os.fsync


def kill_after(edges):
    done = 0

    def counting(descriptor):
        global done_edges
        sync(descriptor)
        counting.done += 1
        if counting.done == edges:
            os.kill(os.getpid(), signal.SIGKILL)

    counting.done = 0
    return counting


def child(out, edges, alarm_s):
    pid = os.fork()
    if pid == 0:
        os.fsync = kill_after(edges)
        if alarm_s:
            signal.setitimer(signal.ITIMER_REAL, alarm_s)
        print(job(files, out, n_buckets=4), flush=True)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


random.seed(5)
print(job(files, folder / "first.parquet", n_buckets=4), flush=True)  # loads the kernels once, for all children
for edge in range(1, n_edges + 1):
    out = folder / f"edge{edge}.parquet"
    killed = child(out, edge, 0)
    print("killed" if killed else "lived", file=sys.stderr)
    child(out, 0, 0)
for moment in range(12):
    out = folder / f"moment{moment}.parquet"
    killed = sum(child(out, 0, random.uniform(0.001, 0.08)) != 0 for _ in range(3))
    print(f"moment {killed}", file=sys.stderr)
    child(out, 0, 0)
"""


def test_a_job_killed_at_any_step_or_moment_goes_on_to_the_same_bytes(files, tmp_path):
    expected = job(files, tmp_path / "expected.parquet", n_buckets=1)
    n_edges = 6 + 8 + 2 * 4 + 1  # slabs of labels and of events, parts and manifests, the answer
    child = run_in_child(KILLED, Path(__file__).parents[2], tmp_path, n_edges)
    assert child.returncode == 0, child.stderr
    assert child.stderr.split("\n").count("killed") == n_edges
    assert sum(int(line.split()[1]) for line in child.stderr.splitlines() if line.startswith("moment")) > 6
    assert set(child.stdout.split()) == {expected}
    assert not list((tmp_path / "work").iterdir())


def test_a_part_that_rotted_on_disk_is_computed_again(files, tmp_path):
    expected = job(files, tmp_path / "expected.parquet", n_buckets=1)
    child = run_in_child(
        KILLED.split("random.seed")[0] + "child(folder / 'out.parquet', 6 + 8 + 2 * 4, 0)", Path(__file__).parents[2], tmp_path, 0
    )
    assert child.returncode == 0, child.stderr
    (part,) = (tmp_path / "work").glob(".gonogo-join-*/part-0002.arrow")
    part.write_bytes(part.read_bytes()[:-100] + bytes(100))
    assert job(files, tmp_path / "out.parquet", n_buckets=4) == expected


def test_two_processes_do_not_work_on_one_job(files, tmp_path):
    events, labels = (ParquetStream.open([path]) for path in files)
    join = Join(**SHAPE, aggregates=(parse_aggregate("count"),))
    added = added_schema(join, events.schema)
    arguments = (join, labels, events, added, tmp_path / "out.parquet")
    with spill._job_folder(tmp_path, spill._job_name(join, labels, events, 4, 128)), pytest.raises(UsageError, match="another process"):
        spill.join_by_buckets(*arguments, folder=tmp_path, n_buckets=4, slab=128)
    spill.join_by_buckets(*arguments, folder=tmp_path, n_buckets=4, slab=128)


MEMORY = """
import sys
from pathlib import Path
from gonogo.data import store
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
done = store.as_of_join(events=folder / "e.parquet", labels=folder / "l.parquet", out=folder / f"out{limit}.parquet", by=["k"],
    decided_at="t", event_time="at", aggregates=["last(v)", "count"], windows=["1d", "7d", "all"], memory_limit=limit)
# of this program alone: getrusage would count what the process held before it became this one
peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))
print(done.n_buckets, done.digest, int(peak.split()[1]) // 1024)
"""


def test_a_small_memory_limit_is_kept_by_more_buckets_with_the_same_answer(tmp_path):
    rng = np.random.default_rng(1)
    n = 1_500_000
    time = np.sort(rng.integers(0, 90 * 86_400 * SECOND, n)) + START
    keys, time = rng.integers(0, 5000, n), pa.array(time, UTC_US)
    pq.write_table(pa.table({"k": keys, "at": time, "v": rng.integers(0, 9, n)}), tmp_path / "e.parquet")
    pq.write_table(pa.table({"k": keys[::-1].copy(), "t": time}), tmp_path / "l.parquet")
    (one, digest, roomy), (many, same, tight) = (run_in_child(MEMORY, tmp_path, limit).stdout.split() for limit in (4 << 30, 64 << 20))
    assert (one, digest) == ("1", same)
    assert int(many) >= 8
    assert int(tight) < int(roomy) - 60, (many, roomy, tight)  # MB; both hold some 220 of interpreter and libraries


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────────


def replaced(files, tmp_path, side, name, column):
    """The files with one column of the events (0) or of the labels (1) exchanged."""
    table = pq.read_table(files[side])
    table = table.set_column(table.column_names.index(name), name, column(table[name]))
    paths = list(files)
    paths[side] = written(tmp_path, **{f"other{side}": table})[0]
    return paths


@pytest.mark.parametrize(
    ("side", "name", "column", "error", "says"),
    [
        (0, "event_time", lambda c: c.cast(pa.timestamp("us")), TimeRefused, "does not say when"),
        (1, "decided_at", lambda c: c.cast(pa.timestamp("us")), TimeRefused, "does not say when"),
        (0, "event_time", lambda c: pa.array([None, *c.to_pylist()[1:]], UTC_US), TimeRefused, "null in 1 rows"),
        (1, "decided_at", lambda c: pa.array([None, *c.to_pylist()[1:]], UTC_US), TimeRefused, "null in 1 rows"),
        (0, "event_time", lambda c: pa.array([2**62] * 900), TimeRefused, "absurd"),
        (0, "amount", lambda c: pa.array([math.nan] * 900), ScaleRefused, "NaN"),
        (0, "amount", lambda c: pa.array([math.inf] * 900), ScaleRefused, "NaN or an infinity"),
        (0, "amount", lambda c: pa.array([1e17] * 900), ScaleRefused, "cannot be added up exactly"),
        (0, "till", lambda c: c.cast(pa.string()), ColumnMistyped, "can never match"),
        (1, "till", lambda c: c.cast(pa.float64(), safe=False), ColumnMistyped, "no exact equality"),
        (0, "late", lambda c: pa.array([1.5] * 900), ColumnMistyped, "no meaning"),
        (0, "sequence", lambda c: pa.array([1] * 900), KeysRefused, "differ from it"),
    ],
)
def test_data_without_an_exact_answer_is_refused(files, tmp_path, side, name, column, error, says):
    with pytest.raises(error, match=says):
        joined(replaced(files, tmp_path, side, name, column), tmp_path / "out.parquet", decimals={"amount": 4})
    assert not (tmp_path / "out.parquet").exists()


def test_data_that_are_refused_in_a_bucket_leave_nothing_on_disk(files, tmp_path):
    tied = replaced(files, tmp_path, 0, "sequence", lambda c: pa.array([1] * 900))
    with pytest.raises(KeysRefused):
        joined(tied, tmp_path / "out.parquet", n_buckets=4, workspace=tmp_path / "work")
    assert [path.suffix for path in (tmp_path / "work").iterdir()] == [".lock"]


def test_floats_are_added_up_only_with_declared_decimals(files, tmp_path):
    with pytest.raises(ScaleRefused, match="no number of decimals"):
        joined(files, tmp_path / "out.parquet", decimals={})
    joined(files, tmp_path / "out.parquet", decimals={}, aggregates=["last(amount)", "distinct(amount)"])


def test_every_missing_column_is_named_at_once(files, tmp_path):
    with pytest.raises(ColumnMissing, match="happened, gone"):
        joined(files, tmp_path / "out.parquet", event_time="happened", retracted_at="gone")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"by": ()}, "no key column"),
        ({"aggregates": ()}, "no aggregate"),
        ({"aggregates": ("median(amount)",)}, "no aggregate"),
        ({"windows": ("a week",)}, "no duration"),
        ({"boundary": "after"}, "neither before nor at"),
        ({"n_buckets": 3}, "no power of two"),
        ({"threads": 0}, "threads is 0"),
        ({"windows": ("1h", "1 h")}, "one name"),
        ({"aggregates": ("count", "count")}, "one name"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(files, tmp_path, options, says):
    with pytest.raises(UsageError, match=says):
        joined(files, tmp_path / "out.parquet", **options)


def test_a_column_of_the_labels_is_never_written_over(files, tmp_path):
    labels = pq.read_table(files[1]).append_column("count__all", pa.array([7] * 700))
    with pytest.raises(UsageError, match="count__all already"):
        joined((files[0], *written(tmp_path, taken=labels)), tmp_path / "out.parquet")


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b"PAR1", lambda b: b[:-30], lambda b: b[:400] + bytes(2000) + b[2400:]])
def test_a_broken_file_is_named(files, tmp_path, damage):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(damage(files[0].read_bytes()))
    with pytest.raises(SourceUnreadable, match=r"broken\.parquet"):
        joined((broken, files[1]), tmp_path / "out.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.parquet", "events.parquet", "labels.parquet"]


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_times_of_any_unit_are_the_same_moments(tmp_path):
    moment = datetime(2025, 3, 30, 1, 0, tzinfo=UTC)
    events = pa.table({"k": [1], "at": pa.array([moment], pa.timestamp("ms", tz="Europe/Paris")), "v": [5]})
    labels = pa.table({"k": [1, 1], "t": pa.array([moment, moment.replace(minute=1)], pa.timestamp("s", tz="UTC"))})
    paths = written(tmp_path, events=events, labels=labels)
    out = tmp_path / "out.parquet"
    store.as_of_join(events=paths[0], labels=paths[1], out=out, by=["k"], decided_at="t", event_time="at", aggregates=["last(v)"])
    assert pq.read_table(out)["last_v__all"].to_pylist() == [None, 5]


def test_held_batches_are_read_from_any_row_on():
    table = pa.table({"a": list(range(10))})
    stream = HeldStream.of(table.to_batches(max_chunksize=4), table.schema)
    assert [b.column(0).to_pylist() for b in stream.batches(["a"], start=3, size=3)] == [[3], [4, 5, 6], [7], [8, 9]]


def test_parquet_is_read_from_any_row_on(tmp_path):
    paths = written(tmp_path, one=pa.table({"a": list(range(300))}), two=pa.table({"a": list(range(300, 500))}))
    stream = ParquetStream.open(paths)
    for start in (0, 1, 96, 97, 150, 299, 300, 398, 499, 500):
        assert [v for b in stream.batches(["a"], start=start, size=50) for v in b.column(0).to_pylist()] == list(range(start, 500))
