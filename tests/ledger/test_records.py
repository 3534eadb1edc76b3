"""Facts about keeping records and finding them again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from gonogo.backends.files import FileBlobs
from gonogo.ledger.records import Records, resolve
from gonogo.types.errors import ArtifactRefused, BlobCorrupt, RecordUnknown
from gonogo.types.evidence import Estimate, Interval, Of
from gonogo.types.record import canonical, digest
from tests.ledger.worlds import entries_of


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    metric: str
    value: float | None
    colour: Colour = Colour.RED
    bins: tuple[float, ...] = ()


ESTIMATE = Estimate(
    metric="log_loss",
    of=Of.DIFFERENCE,
    value=-0.0031,
    interval=Interval(low=-0.0042, high=-0.002, method="cluster-robust t"),
    n_units=60,
    n_rows=53_000,
    measured_in="nats",
    better="lower",
)


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path)


def test_a_record_comes_back_equal_under_its_digest(blobs: FileBlobs) -> None:
    records = Records(blobs)
    for record in (ESTIMATE, Reading(metric="é", value=None, bins=(0.1, 1e-300))):
        stored = records.put(record)
        assert stored == digest(record)
        assert records.get(type(record), stored) == record
        assert blobs.get(stored) == canonical(record)


def test_a_record_that_would_read_back_to_another_digest_is_refused_when_it_is_put(blobs: FileBlobs) -> None:
    with pytest.raises(ArtifactRefused, match="does not read back") as refused:
        Records(blobs).put(Reading(metric="auc", value=1))
    assert '"value":1' in refused.value.found
    assert list(blobs.digests()) == []


def test_unknown_numbers_are_none_and_never_nan(blobs: FileBlobs) -> None:
    with pytest.raises(ValueError, match="nan"):
        Records(blobs).put(Reading(metric="auc", value=float("nan")))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"3",
        b'{"metric":"auc"}',
        b'{"bins":[],"colour":"red","extra":1,"metric":"auc","value":0.5}',
        b'{"bins":[],"colour":"blue","metric":"auc","value":0.5}',
        b'{"bins":[],"colour":"red","metric":7,"value":0.5}',
        b'{"bins":[],"colour":"red","metric":"auc","value":"0.5"}',
        b'{"bins":[],"colour":"red","metric":"auc","value":true}',
        b'{ "bins":[],"colour":"red","metric":"auc","value":0.5}',
        b'{"bins":[],"metric":"auc","value":0.5}',
        b'{"bins":[],"colour":"red","metric":"a","metric":"auc","value":0.5}',
        b'{"bins":[],"colour":"red","metric":"auc","value":NaN}',
    ],
)
def test_what_is_not_exactly_the_canonical_record_is_refused(blobs: FileBlobs, data: bytes) -> None:
    with pytest.raises(ArtifactRefused, match="GNG-A002"):
        Records(blobs).get(Reading, blobs.put(data))


def test_a_record_of_another_type_is_refused(blobs: FileBlobs) -> None:
    records = Records(blobs)
    with pytest.raises(ArtifactRefused):
        records.get(Reading, records.put(ESTIMATE))


def test_changed_bytes_are_corrupt_before_they_are_read_as_a_record(blobs: FileBlobs) -> None:
    records = Records(blobs)
    stored = records.put(ESTIMATE)
    path = blobs.open_path(stored)
    path.chmod(0o644)
    path.write_bytes(canonical(ESTIMATE).replace(b"60", b"90"))
    with pytest.raises(BlobCorrupt):
        records.get(Estimate, stored)


AB, AC, BD = ("sha256:" + pattern * 8 for pattern in ("abcabc12", "abcabc34", "bdbdbdbd"))
ENTRIES = entries_of(("snapshot", {"digest": AB}), ("verdict", {"digests": {"snapshot": AB, "of": [AC]}, "digest": BD}), ("note", {"n": 1}))


@pytest.mark.parametrize(("prefix", "full"), [("abcabc1", AB), ("sha256:abcabc3", AC), ("BDBDBD", BD), (BD, BD)])
def test_a_digest_is_found_by_a_unique_start(prefix: str, full: str) -> None:
    assert resolve(prefix, ENTRIES) == full


def test_a_kind_narrows_the_search_to_what_its_entries_name() -> None:
    assert resolve("abcabc", ENTRIES, kind="snapshot") == AB
    with pytest.raises(RecordUnknown):
        resolve("bdbdbd", ENTRIES, kind="snapshot")


def test_an_ambiguous_start_lists_what_it_fits() -> None:
    with pytest.raises(RecordUnknown, match="2 records") as refused:
        resolve("abcabc", ENTRIES)
    assert AB[:23] in refused.value.found
    assert AC[:23] in refused.value.found


def test_an_unknown_start_lists_what_is_nearest() -> None:
    with pytest.raises(RecordUnknown, match="No records") as refused:
        resolve("bdbdbx", ENTRIES)
    assert refused.value.found == f"{BD[:23]} (nearest)"


@pytest.mark.parametrize("short", ["", "abcab", "sha256:bdbd"])
def test_a_start_of_fewer_than_six_digits_names_nothing(short: str) -> None:
    with pytest.raises(RecordUnknown, match="at least 6 hex digits"):
        resolve(short, ENTRIES)
