"""Package: make a candidate ready to answer, without the libraries and the data that made it.

Once per candidate: the ledger says which package is whose. A package holds what a request must hold, how features are made of it, the
events that windows may still reach, the artifact, and probes: rows with the answers of the model as it was trained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.ledger import registry
from gonogo.types.candidate import Candidate
from gonogo.types.contract import Contract
from gonogo.types.errors import ColumnMissing, ColumnMistyped, DataError
from gonogo.types.package import Field, Package, Probes
from gonogo.types.record import Digest, digest
from gonogo.types.snapshot import Input, Kind, Missing, Snapshot
from gonogo.workflow.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from gonogo.backends.protocols import Blobs
    from gonogo.data.planning import EventSource, Plan
    from gonogo.serving.scorers import Loaded
    from gonogo.types.protocols import Model

FORMAT = 1  # of what is packaged, and how
TOLERANCE = 2e-7  # two float32 sums of the same leaves differ by less
N_PROBES = 64  # rows as they came; beside them stand the rows that nobody would send
LARGE = 1e12  # finite, and far beyond what any row held
UNKNOWN = "a category that nobody has seen"


def package(workspace: Workspace, candidate_digest: Digest) -> Digest:
    """The package of a candidate; made now unless it was before, and stands in the ledger with all that it names.

    A baseline is packaged like any other: it is what the first release is rolled back to.
    """
    candidate = workspace.records.get(Candidate, candidate_digest)
    contract = as_trained(workspace, candidate)
    routed = _routed(workspace.contract, contract)
    key = digest({"format": FORMAT, "candidate": candidate_digest, "routed": routed})
    entry = registry.last(workspace.ledger.entries("package"), "package", key=key)
    if entry is not None and _is_whole(workspace, entry.body["package"]):
        return str(entry.body["package"])
    made = workspace.records.put(_made(workspace, candidate, candidate_digest, contract, routed))
    workspace.ledger.append("package", {"contract": contract.name, "candidate": candidate_digest, "package": made, "key": key})
    return made


def load_packaged(blobs: Blobs, package_digest: Digest, *, cache: Path) -> Loaded:
    """A package with its family found by name, for a process that answers. Raises as `serving.scorers.load_package`, and FamilyUnknown."""
    from gonogo.families.registry import find, find_scorer
    from gonogo.ledger.records import Records
    from gonogo.serving.scorers import load_package

    family = Records(blobs).get(Package, package_digest).family
    return load_package(blobs, package_digest, cache=cache, open_scorer=find_scorer(family), load=lambda folder: find(family).load(folder))


def as_trained(workspace: Workspace, candidate: Candidate) -> Contract:
    """The contract that the candidate was trained by: a feature declared anew under its old name would be fed to it unseen.

    Where its sources lie, today's contract says.
    """
    trained = workspace.records.get(Contract, candidate.contract)
    today = workspace.contract.sources
    sources = {
        name: dataclasses.replace(source, read=today[name].read) if name in today else source for name, source in trained.sources.items()
    }
    return dataclasses.replace(trained, sources=sources)


def _routed(today: Contract, trained: Contract) -> tuple[str, ...]:
    """Columns by which traffic is assigned and told apart, of both contracts: a rollout is routed by today's."""
    named = [contract.rollout.bucket_by for contract in (trained, today)]
    named += [column for contract in (trained, today) for slicing in contract.slices for column in slicing.columns]
    return tuple(dict.fromkeys(column for column in named if column))


def _is_whole(workspace: Workspace, stored: Digest) -> bool:
    return workspace.blobs.has(stored) and all(workspace.blobs.has(part) for part in parts(workspace.records.get(Package, stored)))


def parts(package: Package) -> Iterator[Digest]:
    """Every blob that a package names and cannot do without."""
    yield from (package.contract, package.plan, package.probes)
    yield from package.artifact.values()
    yield from package.seeds.values()


def _made(workspace: Workspace, candidate: Candidate, candidate_digest: Digest, contract: Contract, routed: tuple[str, ...]) -> Package:
    from gonogo.data import features
    from gonogo.data.connection import open_connection
    from gonogo.data.sources import read_sources
    from gonogo.workflow.train import load_model

    snapshot = workspace.records.get(Snapshot, candidate.snapshot)
    workspace.progress("package", "reads the sources")
    connection = open_connection(threads=contract.threads)
    wanted = _needed_sources(contract)
    read_sources(wanted, folder=workspace.folder, connection=connection)
    plan = _in_order(features.plan(wanted, connection), snapshot.inputs)
    workspace.progress("package", "asks the model for its probes")
    model = load_model(workspace, candidate, candidate_digest)
    probes = _probes(model, snapshot.inputs, _validate_rows(workspace, snapshot))
    return Package(
        candidate=candidate_digest,
        contract=candidate.contract,
        family=contract.family,
        artifact=dict(candidate.artifact),
        inputs=snapshot.inputs,
        outputs=probes.outputs,
        fields=_fields(contract, plan, connection, routed),
        key=contract.rows.key,
        plan=workspace.records.put(plan),
        seeds={source.name: workspace.blobs.put(_seeds(source, plan, contract, connection)) for source in plan.sources},
        probes=workspace.records.put(probes),
        tolerance=TOLERANCE,
    )


def _needed_sources(contract: Contract) -> Contract:
    """The contract with the sources of its rows and of its features alone."""
    named = {contract.rows.source, *(feature.source for feature in contract.features.values() if feature.source)}
    return dataclasses.replace(contract, sources={name: source for name, source in contract.sources.items() if name in named})


def _in_order(plan: Plan, trained: tuple[Input, ...]) -> Plan:
    """The plan with its inputs in the snapshot's order, which a stored contract has lost. Refuses sources that make others."""
    differing = set(plan.inputs) ^ set(trained)
    if differing:
        raise DataError(
            "The sources make other inputs now than when the candidate was trained.",
            found=", ".join(sorted({one.name for one in differing})),
            expected=", ".join(one.name for one in trained)[:400],
            where="sources",
            next="bring the sources' columns back as they were, or train anew",
        )
    return dataclasses.replace(plan, inputs=trained)


def _fields(contract: Contract, plan: Plan, connection: DuckDBPyConnection, routed: tuple[str, ...]) -> tuple[Field, ...]:
    """What a request holds: the key, what the moment and the features are made of, and by what it is routed."""
    from gonogo.data.planning import field_type
    from gonogo.data.sql import check_expression, column_types, source_table

    types = column_types(connection, f"SELECT * FROM {source_table(contract.rows.source)}")
    by_case = {name.lower(): name for name in types}
    moment = [by_case[name.lower()] for name in check_expression(contract.rows.decided_at, connection, where="rows.decided_at").columns]
    needed = {*contract.rows.key, *moment, *_refused_nulls(plan)}
    names = dict.fromkeys([*contract.rows.key, *moment, *plan.row_columns, *(column for column in routed if column in types)])
    return tuple(Field(name=name, type=field_type(types[name]), needed=name in needed) for name in names)


def _refused_nulls(plan: Plan) -> Iterator[str]:
    """Columns that are an input as they stand, which may not be null."""
    missing = {one.name: one.missing for one in plan.inputs}
    for request in plan.requests:
        is_plain = len(request.columns) == 1 and request.sql.strip().strip('"') == request.columns[0]
        if is_plain and missing[request.name] is Missing.REFUSE:
            yield request.columns[0]


def _seeds(source: EventSource, plan: Plan, contract: Contract, connection: DuckDBPyConnection) -> bytes:
    """The events of a source that a row decided at as_of or later may still see, as an Arrow file, the oldest first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from gonogo.data.expressions import read_events
    from gonogo.types.time import moment_us

    events = read_events(source, connection).combine_chunks()
    if not source.timeless:
        as_of = moment_us(contract.as_of)
        times = {
            name: events[name].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
            for name in ("event_time", "known_at")
            if name in events.column_names
        }
        known = times.get("known_at", times["event_time"])
        keep = pc.less_equal(known, as_of)
        reach = _reach(source.name, plan)
        if reach is not None:
            keep = pc.and_(keep, pc.greater_equal(times["event_time"], as_of - reach))
        order = [("event_time", "ascending")] + ([("known_at", "ascending")] if "known_at" in events.column_names else [])
        events = events.filter(pc.fill_null(keep, False)).sort_by(order)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, events.schema) as writer:
        writer.write_table(events.combine_chunks())
    return bytes(sink.getvalue())


def _reach(source: str, plan: Plan) -> int | None:
    """Microseconds that the longest window over the source looks back; None: without end."""
    spans = [span.us for stream in plan.streams if stream.source == source for feature in stream.features for span in feature.spans]
    known = [us for us in spans if us is not None]
    return max(known) if len(known) == len(spans) else None


def _validate_rows(workspace: Workspace, snapshot: Snapshot) -> list[tuple[Any, ...]]:
    """Rows of validate, evenly spread, of train where that has too few: the test table is opened for measuring alone."""
    from gonogo.data.tables import read_examples

    rows: list[tuple[Any, ...]] = []
    for name in ("validate", "train"):
        inputs = read_examples(snapshot, name, workspace.blobs.open_path).inputs
        rows += _spread(inputs, N_PROBES - len(rows))
    return rows


def _spread(table: pa.Table, n: int) -> list[tuple[Any, ...]]:
    import pyarrow as pa

    n = min(n, table.num_rows)
    taken = table.take(pa.array([i * table.num_rows // n for i in range(n)], pa.int64()))
    columns = [[_json(value) for value in column.to_pylist()] for column in taken.columns]
    return list(zip(*columns, strict=True)) if columns else [()] * n


def _json(value: Any) -> Any:
    """A value as JSON keeps it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    number = float(value)
    return None if number != number else number


def _probes(model: Model, inputs: tuple[Input, ...], rows: Sequence[tuple[Any, ...]]) -> Probes:
    """The rows, and the rows that nobody would send, with the model's own answers. Of the latter those that it refuses are left out."""
    from gonogo.serving.scorers import rows_to_table

    predictions = model.predict(rows_to_table(inputs, rows))
    outputs = tuple(predictions.column_names)
    answers = list(zip(*(predictions.column(name).to_pylist() for name in outputs), strict=True))
    odd_rows, odd_answers = [], []
    for row in _odd_rows(inputs, rows):
        try:
            answered = model.predict(rows_to_table(inputs, [row]))
        except (ColumnMissing, ColumnMistyped):
            raise
        except DataError:
            continue
        odd_rows.append(row)
        odd_answers.append(tuple(answered.column(name)[0].as_py() for name in outputs))
    return Probes(
        inputs=tuple(one.name for one in inputs),
        outputs=outputs,
        rows=(*rows, *odd_rows),
        answers=(*answers, *odd_answers),
    )


def _odd_rows(inputs: tuple[Input, ...], rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Nulls wherever they may be, one by one and all at once; the smallest and largest of all; far beyond them; categories unheard of."""
    usual, may_be_null = rows[0], [one.missing is not Missing.REFUSE for one in inputs]
    yield tuple(None if may else value for may, value in zip(may_be_null, usual, strict=True))
    for place, may in enumerate(may_be_null):
        if may:
            yield (*usual[:place], None, *usual[place + 1 :])
    ends = [_ends(one.kind, [row[place] for row in rows]) for place, one in enumerate(inputs)]
    for end in range(2):
        yield tuple(pair[end] if pair[end] is not None else value for pair, value in zip(ends, usual, strict=True))
    for large in (LARGE, -LARGE, 0.0):
        yield tuple(large if one.kind is Kind.NUMBER else value for one, value in zip(inputs, usual, strict=True))
    yield tuple(UNKNOWN if one.kind is not Kind.NUMBER else value for one, value in zip(inputs, usual, strict=True))


def _ends(kind: Kind, values: Sequence[Any]) -> tuple[Any, Any]:
    """The smallest and the largest value; None for both where none is known."""
    known = sorted((value for value in values if value is not None), key=None if kind is Kind.NUMBER else str)
    return (known[0], known[-1]) if known else (None, None)
