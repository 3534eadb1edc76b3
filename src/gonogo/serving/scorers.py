"""Does a packaged model answer as it did when it was packaged, and what does an answer cost here?

Every byte is verified before it is read, and nothing answers before the stored probes have come out the same. The family's own scorer
answers single rows without the libraries that trained the model; where it has none, `Model.predict` does, behind the same face.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.ledger.artifacts import restore_artifact
from gonogo.ledger.records import Records
from gonogo.types.errors import PackageRefused
from gonogo.types.package import Package, Probes
from gonogo.types.snapshot import Kind

if TYPE_CHECKING:
    import pyarrow as pa

    from gonogo.backends.protocols import Blobs
    from gonogo.types.protocols import Model, Scorer
    from gonogo.types.record import Digest
    from gonogo.types.snapshot import Input

Row = Sequence[Any]
Answered = tuple[Any, ...]  # one value per output
MANY = 32  # rows of the second measurement
PAYS = 3.0  # rows together must cost so many times less than alone before they wait for one another


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What scoring takes on this machine: the least of several measurements, for the rest is the neighbours'."""

    one_us: float  # a row alone
    many_us: float  # each of 32 rows together

    @property
    def batches_one_turn(self) -> bool:
        """Whether rows that arrive in one turn of the event loop are better scored together."""
        return self.many_us < self.one_us / PAYS


class Loaded:
    """A model that has proved itself. Pure; threads may share it unless `is_foreign`.

    score:      values in the order of `package.inputs` (None for null) → one value per output. Raises DataError as the family's codec.
    score_rows: the same for many rows; each answer is the one that the row gets alone.
    """

    def __init__(self, digest: Digest, package: Package, scorer: Scorer, *, is_foreign: bool, cost: Cost) -> None:
        self.digest = digest
        self.package = package
        self.candidate = package.candidate
        self.inputs = package.inputs
        self.outputs = package.outputs
        self.is_foreign = is_foreign  # the training library answers: of unknown cost, and it may not like threads
        self.cost = cost
        self.score: Callable[[Row], Answered]
        self.score_rows: Callable[[Sequence[Row]], list[Answered]]
        self.score, self.score_rows = _fitted(package.inputs, scorer)

    @property
    def batches_one_turn(self) -> bool:
        """Whether rows that arrive in one turn of the event loop are better scored together."""
        return self.cost.batches_one_turn


def load_package(
    blobs: Blobs, digest: Digest, *, cache: Path, open_scorer: Callable[[Path], Scorer | None], load: Callable[[Path], Model]
) -> Loaded:
    """The packaged model, restored, warmed and proved by its probes.

    cache:       a folder of files that may be lost; the artifact is restored below it.
    open_scorer: the family's (`families.registry.find_scorer`). load: the family's codec, called only where there is no scorer.
    Raises PackageRefused where a probe comes out otherwise; BlobCorrupt, RecordUnknown and ArtifactRefused for lost or foreign bytes.
    """
    records = Records(blobs)
    package = records.get(Package, digest)
    probes = records.get(Probes, package.probes)
    folder = restore_artifact(blobs, package.artifact, cache / package.candidate.removeprefix("sha256:"))
    own = open_scorer(folder)
    scorer: Scorer = own or ModelScorer(load(folder), package.inputs, package.outputs)
    if tuple(scorer.outputs) != package.outputs:
        raise _refused(package, found=", ".join(scorer.outputs), expected=", ".join(package.outputs))
    score, score_rows = _fitted(package.inputs, scorer)
    _prove(package, probes, score, score_rows)
    return Loaded(digest, package, scorer, is_foreign=own is None, cost=_cost(probes.rows, score, score_rows))


def prove_again(blobs: Blobs, loaded: Loaded) -> None:
    """Does a model that was loaded before still answer its probes? Raises PackageRefused."""
    _prove(loaded.package, Records(blobs).get(Probes, loaded.package.probes), loaded.score, loaded.score_rows)


def _fitted(inputs: tuple[Input, ...], scorer: Scorer) -> tuple[Callable[[Row], Answered], Callable[[Sequence[Row]], list[Answered]]]:
    """The scorer, fed with rows of the package's inputs: it may read fewer of them."""
    ours, theirs = [one.name for one in inputs], [one.name for one in scorer.inputs]
    if ours == theirs:
        return scorer.score, scorer.score_rows
    pick = _picker([ours.index(name) for name in theirs])
    return lambda row: scorer.score(pick(row)), lambda rows: scorer.score_rows([pick(row) for row in rows])


def _picker(places: list[int]) -> Callable[[Row], Row]:
    if len(places) < 2:
        return lambda row: [row[place] for place in places]
    return itemgetter(*places)


def _prove(
    package: Package, probes: Probes, score: Callable[[Row], Answered], score_rows: Callable[[Sequence[Row]], list[Answered]]
) -> None:
    if probes.inputs != tuple(one.name for one in package.inputs) or not probes.rows or len(probes.rows) != len(probes.answers):
        raise _refused(
            package, found=f"{len(probes.rows)} probes of {', '.join(probes.inputs)[:80]}", expected="probes of the package's inputs"
        )
    together = score_rows(probes.rows)
    for place, (row, expected) in enumerate(zip(probes.rows, probes.answers, strict=True)):
        alone = score(row)
        if together[place] != alone:
            raise _refused(package, found=f"probe {place}: {together[place]} among others, {alone} alone", expected="one answer to one row")
        if not _are_equal(alone, expected, package.tolerance):
            raise _refused(package, found=f"probe {place}: {alone}", expected=f"{expected}, within {package.tolerance:g}")


def _are_equal(ours: Answered, theirs: Answered, tolerance: float) -> bool:
    return len(ours) == len(theirs) and all(_is_equal(a, b, tolerance) for a, b in zip(ours, theirs, strict=True))


def _is_equal(ours: Any, theirs: Any, tolerance: float) -> bool:
    if isinstance(ours, float) and isinstance(theirs, int | float):
        return math.isfinite(ours) and abs(ours - theirs) <= tolerance
    return bool(ours == theirs)


def _refused(package: Package, *, found: str, expected: str) -> PackageRefused:
    return PackageRefused(
        f"The packaged model {package.candidate[:19]} does not answer its probes as it did when it was packaged.",
        found=found,
        expected=expected,
        where=f"probes {package.probes[:19]}",
        next="package it again with the versions that are installed here; if it differs again, do not serve it on this machine",
    )


def _cost(rows: Sequence[Row], score: Callable[[Row], Answered], score_rows: Callable[[Sequence[Row]], list[Answered]]) -> Cost:
    many = [rows[i % len(rows)] for i in range(MANY)]
    return Cost(
        one_us=min(_microseconds(lambda: [score(row) for row in many]) for _ in range(3)) / MANY,
        many_us=min(_microseconds(lambda: score_rows(many)) for _ in range(5)) / MANY,
    )


def _microseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - started) / 1e3


class ModelScorer:
    """A model with the face of a scorer: rows become a table, and its `predict` answers."""

    def __init__(self, model: Model, inputs: tuple[Input, ...], outputs: tuple[str, ...]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self._model = model

    def score(self, row: Row) -> Answered:
        """The answer to one row. Raises what `Model.predict` raises."""
        return self.score_rows([row])[0]

    def score_rows(self, rows: Sequence[Row]) -> list[Answered]:
        """The answers to many rows."""
        if not rows:
            return []
        predictions = self._model.predict(rows_to_table(self.inputs, rows))
        return list(zip(*(predictions.column(name).to_pylist() for name in self.outputs), strict=True))


def rows_to_table(inputs: tuple[Input, ...], rows: Sequence[Row]) -> pa.Table:
    """The rows as a model reads them: numbers as float64, all else as text."""
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else [()] * len(inputs)
    return pa.table({one.name: _column(one.kind, values) for one, values in zip(inputs, columns, strict=True)})


def _column(kind: Kind, values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    if kind is Kind.NUMBER:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
