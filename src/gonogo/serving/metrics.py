"""What has this server done, counted over all of its workers?

Each worker owns one small mapped file of doubles and adds to it (a tenth of a microsecond); whoever is asked for `/metrics` reads all files
and adds them up. A worker that dies leaves its counts, the next one in its place goes on from them. The text is Prometheus' own format,
version 0.0.4, written here: twenty lines against the 0.2 s that its client library takes to import.
"""

from __future__ import annotations

import json
import mmap
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gonogo.backends.disk import incoming, storage_errors
from gonogo.serving.service import Sample
from gonogo.types.traffic import AnswerStatus, Arm

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
ENDPOINTS = (
    "predictions", "infer", "invocations", "events", "outcomes", "jobs", "mounted", "describe", "health", "metrics", "openapi", "unknown",
)  # fmt: skip
STATUSES = (200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 409, 411, 413, 415, 422, 429, 500, 503, 504)
BOUNDS_S = (25e-6, 50e-6, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5)
_MAGIC = b"GNGMETR1"
_N_WAYS = len(AnswerStatus)
_PER_CONTRACT = len(Arm) * len(AnswerStatus) + 1 + len(BOUNDS_S) + 2  # answers, refused rows, buckets with +Inf, their sum
_HEAD = 2  # doubles: requests in flight, when the worker began
_ABOUT = {
    "gonogo_requests_total": "Requests that were answered, by what they asked for and the status they got",
    "gonogo_answers_total": "Rows that were answered, by arm and by how the answer came about",
    "gonogo_rows_refused_total": "Rows of requests that were refused before any model saw them",
    "gonogo_request_seconds": "From the request understood to its answer ready, of requests for predictions",
    "gonogo_requests_in_flight": "Requests under way",
    "gonogo_worker_start_time_seconds": "When the worker began, since 1970",
}


class Counters:
    """The counts of one worker. Single writer; the file outlives it.

    >>> import tempfile
    >>> counters = Counters(Path(tempfile.mkdtemp()), 0, ("flights",), started_s=0.0)
    >>> counters.request(ENDPOINTS.index("predictions"), 200)
    >>> counters.close()
    """

    def __init__(self, folder: Path, worker: int, contracts: tuple[str, ...], *, started_s: float) -> None:
        """Open the file of that worker in `folder`, or begin it where it counted something else."""
        self.contracts = contracts
        layout = _layout(contracts)
        path = folder / f"w{worker}"
        with storage_errors(path):
            folder.mkdir(parents=True, exist_ok=True)
            if not _holds(path, layout):
                _begin(path, layout, contracts)
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), 0)
        self._view = memoryview(self._map)
        self._values: Any = self._view[len(layout) :].cast("d")  # Any: to its stub every memoryview is one of bytes
        self._values[0], self._values[1] = 0.0, started_s
        self._status = {status: i for i, status in enumerate(STATUSES)}
        self._base = {name: _contract_at(i) for i, name in enumerate(contracts)}

    def close(self) -> None:
        """Let go of the file."""
        self._values.release()
        self._view.release()
        self._map.close()

    def request(self, endpoint: int, status: int) -> None:
        """One request was answered; `endpoint` is its place in ENDPOINTS."""
        at = self._status.get(status)
        if at is None:
            at = self._status[500 if status >= 500 else 400 if status >= 400 else 200]
        self._values[_HEAD + endpoint * len(STATUSES) + at] += 1.0

    def in_flight(self, change: float) -> None:
        """Requests began or ended."""
        self._values[0] += change

    def of(self, contract: str) -> Tally:
        """The counts of one contract."""
        return Tally(self._values, self._base[contract])


class Tally:
    """What is counted of one contract in one worker."""

    __slots__ = ("_buckets", "_refused", "_values", "at")

    def __init__(self, values: Any, at: int) -> None:
        self._values = values
        self.at = at
        self._refused = at + len(Arm) * len(AnswerStatus)
        self._buckets = self._refused + 1

    def answer(self, arm: int, status: int) -> None:
        """One row was answered."""
        self._values[self.at + arm * _N_WAYS + status] += 1.0

    def refuse(self, n_rows: int = 1) -> None:
        """Rows were refused."""
        self._values[self._refused] += n_rows

    def took(self, seconds: float) -> None:
        """One request for predictions took so long."""
        self._values[self._buckets + bisect_left(BOUNDS_S, seconds)] += 1.0
        self._values[self._buckets + len(BOUNDS_S) + 1] += seconds


class NoCounters(Counters):
    """Counts that nobody reads, where there is no folder for them: in tests, and within another application."""

    def __init__(self, contracts: tuple[str, ...] = ()) -> None:
        self.contracts = contracts
        self._values: Any = memoryview(bytearray(8 * _contract_at(len(contracts)))).cast("d")
        self._status = {status: i for i, status in enumerate(STATUSES)}
        self._base = {name: _contract_at(i) for i, name in enumerate(contracts)}

    def close(self) -> None:
        """Nothing is held."""


def exposition(folder: Path | None, own: Counters, more: Iterable[Sample] = ()) -> bytes:
    """The text of `/metrics`: what all workers of `folder` counted, and what the service adds."""
    files = sorted(folder.glob("w*")) if folder is not None else []
    read = [found for file in files if (found := _read(file)) is not None]
    if not read:
        read = [("0", own.contracts, own._values.tolist())]
    families: dict[str, list[str]] = defaultdict(list)
    kinds: dict[str, str] = {}
    for sample in [*_samples(read), *more]:
        family = _family(sample)
        if family not in kinds:
            kinds[family] = sample.kind
            families[family] = [f"# HELP {family} {_escaped(sample.about)}", f"# TYPE {family} {sample.kind}"]
        labels = ",".join(f'{name}="{_escaped(value, quotes=True)}"' for name, value in sample.labels.items())
        families[family].append(f"{sample.name}{'{' + labels + '}' if labels else ''} {_number(sample.value)}")
    return ("\n".join(line for lines in families.values() for line in lines) + "\n").encode()


def _family(sample: Sample) -> str:
    """A histogram's lines have names of their own under one head."""
    if sample.kind != "histogram":
        return sample.name
    return sample.name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")


def _samples(read: list[tuple[str, tuple[str, ...], list[float]]]) -> Iterator[Sample]:
    """All workers' counts as one; what is no count stands for each worker alone."""
    for worker, _, values in read:
        yield _sample("gonogo_requests_in_flight", {"worker": worker}, values[0], "gauge")
        yield _sample("gonogo_worker_start_time_seconds", {"worker": worker}, values[1], "gauge")
    for e, endpoint in enumerate(ENDPOINTS):
        for s, status in enumerate(STATUSES):
            if total := sum(values[_HEAD + e * len(STATUSES) + s] for _, _, values in read):
                yield _sample("gonogo_requests_total", {"endpoint": endpoint, "status": str(status)}, total, "counter")
    for contract in sorted({name for _, contracts, _ in read for name in contracts}):
        starts = [(values, _contract_at(names.index(contract))) for _, names, values in read if contract in names]
        blocks = [values[at : at + _PER_CONTRACT] for values, at in starts]
        yield from _of_contract(contract, [sum(column) for column in zip(*blocks, strict=True)])


def _of_contract(contract: str, sums: list[float]) -> Iterator[Sample]:
    for arm in Arm:
        for status in AnswerStatus:
            labels = {"contract": contract, "arm": arm.name.lower(), "status": status.name.lower()}
            yield _sample("gonogo_answers_total", labels, sums[arm * len(AnswerStatus) + status], "counter")
    refused = len(Arm) * len(AnswerStatus)
    yield _sample("gonogo_rows_refused_total", {"contract": contract}, sums[refused], "counter")
    so_far = 0.0
    for bound, count in zip((*BOUNDS_S, float("inf")), sums[refused + 1 :], strict=False):
        so_far += count
        labels = {"contract": contract, "le": _number(bound)}
        yield Sample("gonogo_request_seconds_bucket", _ABOUT["gonogo_request_seconds"], labels, so_far, "histogram")
    yield Sample("gonogo_request_seconds_count", "", {"contract": contract}, so_far, "histogram")
    yield Sample("gonogo_request_seconds_sum", "", {"contract": contract}, sums[-1], "histogram")


def _sample(name: str, labels: Mapping[str, str], value: float, kind: str) -> Sample:
    return Sample(name, _ABOUT[name], labels, value, kind)


def _contract_at(index: int) -> int:
    return _HEAD + len(ENDPOINTS) * len(STATUSES) + index * _PER_CONTRACT


def _layout(contracts: tuple[str, ...]) -> bytes:
    """The file's head: what its doubles mean. Another version or other contracts make another layout, and counts begin anew."""
    meaning = json.dumps([ENDPOINTS, STATUSES, BOUNDS_S, contracts]).encode()
    head = _MAGIC + len(meaning).to_bytes(8, "little") + meaning
    return head + bytes(-len(head) % 8)


def _holds(path: Path, layout: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(layout)) == layout
    except FileNotFoundError:
        return False


def _begin(path: Path, layout: bytes, contracts: tuple[str, ...]) -> None:
    with incoming(path.parent) as temporary:
        temporary.file.write(layout + bytes(8 * _contract_at(len(contracts))))
        temporary.keep_as(path.name)


def _read(path: Path) -> tuple[str, tuple[str, ...], list[float]] | None:
    """worker, contracts, doubles; None for a file of another layout, which a worker is about to begin anew."""
    try:
        data = path.read_bytes()
        length = int.from_bytes(data[8:16], "little")
        contracts = tuple(json.loads(data[16 : 16 + length])[3])
        layout = _layout(contracts)
        if not data.startswith(layout):
            return None
        held: Any = memoryview(data)[len(layout) :].cast("d")
        values: list[float] = held.tolist()
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        return None
    return (path.name.removeprefix("w"), contracts, values) if len(values) == _contract_at(len(contracts)) else None


def _number(value: float) -> str:
    """As Prometheus writes it.

    >>> _number(3.0), _number(2.5e-05), _number(float("inf"))
    ('3', '2.5e-05', '+Inf')
    """
    if value == float("inf"):
        return "+Inf"
    if value == float("-inf"):
        return "-Inf"
    if value != value:
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
