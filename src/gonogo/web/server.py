"""How is a folder served: which socket, which processes, and what is said when they stand?"""

from __future__ import annotations

import fcntl
import importlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from gonogo.serving.limits import Buckets
from gonogo.serving.places import Places
from gonogo.serving.settings import Settings, of_environment
from gonogo.serving.workerpage import living
from gonogo.types.contract import Contract
from gonogo.types.errors import ControllerBusy, ExtraMissing, UsageError
from gonogo.web.supervisor import Role, Supervisor

_BACKLOG = 1024
_HANGS_NS = 5_000_000_000  # a worker whose loop has not turned for so long answers nobody
_LOOK_S, _FIRST_LOOK_S = 1.0, 0.05
# Read once before the processes part, so that each of them starts with them in memory.
_BEFORE_FORK = ("uvicorn", "uvloop", "httptools", "msgspec", "uvicorn.protocols.http.httptools_impl", "gonogo.web.worker")


def serve(
    folder: Path | str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    workers: int = 2,
    settings: Settings | None = None,
    say: Callable[[str], None],
) -> int:
    """Answer requests until SIGTERM or SIGINT; 0 if everything under way was answered by then.

    port: 0 for any that is free. say: told where it listens, who answers, and of every process that ended.
    Raises UsageError for an address that cannot be listened on, ControllerBusy where the folder is served already, Unavailable where
    nothing can answer, and whatever packaging a model raises.
    """
    from gonogo.serving.access import check_bind, open_tokens
    from gonogo.workflow.serve import prepare

    if workers < 1:
        raise UsageError("A server without a worker answers nobody.", found=str(workers), expected="1 or more", where="--workers")
    places = Places.of(folder)
    # Decided once, before any process starts: one that comes back must not find an open door where the file of the keys was.
    must_ask = places.keys.exists() or places.oidc.exists()
    check_bind(host, has_auth=must_ask)
    open_tokens(places.oidc)  # what is wrong with it is said here, not by each worker again and again
    listening = _listen(host, port)
    with listening, _only_one(places):
        prepared = prepare(folder, say=say)
        _load()
        _forget_workers(places)
        say(f"gonogo serves {prepared.contract.name} on {_url(listening, host)}")
        say(prepared.note)
        served = _Served(places, workers, say)
        limits = of_environment(settings or Settings(), os.environ)
        buckets = Buckets(workers) if limits.rate_per_s is not None else None
        supervisor = Supervisor(
            roles=(
                *(
                    Role(name=f"worker {n}", work=_worker(Path(folder), n, prepared.contract, listening, limits, must_ask, buckets))
                    for n in range(1, workers + 1)
                ),
                Role(name="controller", work=_controller(Path(folder), prepared.contract.name, listening, limits)),
            ),
            say=say,
            hangs=served.hanging,
            tick=served.tick,
            grace_s=limits.drain_s + 5,
        )
        return supervisor.run()


def _worker(
    folder: Path,
    number: int,
    contract: Contract,
    listening: socket.socket,
    settings: Settings,
    must_ask: bool,
    buckets: Buckets | None,
) -> Callable[[], None]:
    def work() -> None:
        from gonogo.web.worker import work as answer

        answer(folder, number, contract, listening, settings, must_ask=must_ask, buckets=buckets)

    return work


def _controller(folder: Path, contract: str, listening: socket.socket, settings: Settings) -> Callable[[], None]:
    def work() -> None:
        from gonogo.workflow.control import control

        listening.close()  # it answers nobody: the address is free when the workers are gone
        control(folder, contract, prove_every_s=settings.prove_every_s)

    return work


class _Served:
    """What the supervisor looks at: often until everybody is ready, then once a second."""

    def __init__(self, places: Places, workers: int, say: Callable[[str], None]) -> None:
        self._places, self._workers, self._say = places, workers, say
        self._began = time.monotonic()
        self._is_ready = False

    def tick(self) -> float:
        if self._is_ready:
            return _LOOK_S
        ready = [seen for seen in living(self._places.workers) if seen.holds.ready and seen.heartbeat_ns]
        if len(ready) == self._workers:
            self._is_ready = True
            self._say(f"ready after {time.monotonic() - self._began:.1f} s: {self._workers} workers")
        return _LOOK_S if self._is_ready else _FIRST_LOOK_S

    def hanging(self) -> list[str]:
        now = time.monotonic_ns()
        # One that has never beaten is still loading.
        return [
            f"worker {seen.worker}" for seen in living(self._places.workers) if seen.heartbeat_ns and now - seen.heartbeat_ns > _HANGS_NS
        ]


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"Nothing can listen on {host}, port {port}.",
            found=getattr(error, "strerror", None) or str(error),
            expected="an address of this machine and a port that nobody holds",
            where="--host, --port",
            next="choose another port; --port 0 takes any that is free",
        ) from error


def _url(listening: socket.socket, host: str) -> str:
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _only_one:  # noqa: N801  a context, read as a phrase
    """The lock of the one server of a folder; it goes with the process."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        self._places.root.mkdir(parents=True, exist_ok=True)
        self._file = self._places.server_lock.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise ControllerBusy(
                "This folder is served already.",
                found=f"process {holder}" if holder else "another process",
                expected="one server per folder",
                where=str(self._places.server_lock),
                next="stop the other server first; it may serve with more --workers",
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def __exit__(self, *raised: object) -> None:
        if self._file is not None:
            self._file.close()


def _load() -> None:
    # A pool of threads for linear algebra is of no use to a worker, and must not be there when processes are forked.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in _BEFORE_FORK:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if name.startswith("gonogo") and (error.name or "").startswith("gonogo"):
                raise
            raise ExtraMissing(
                f"Serving needs the package {error.name}, which is not installed.",
                found="no such package",
                expected="the extra `serving`",
                next="pip install 'gonogo[serving]'",
            ) from error


def _forget_workers(places: Places) -> None:
    """Pages of workers of an earlier server, which may have had more of them."""
    for path in places.workers.glob("*"):
        path.unlink(missing_ok=True)
