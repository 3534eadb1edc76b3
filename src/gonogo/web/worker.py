"""What does one process do that answers requests?

It holds the models that the route names, each proved by its probes before it may answer, follows the route at every request, and says on
its page what it holds and follows. What is new is loaded in a thread: nobody waits for it.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gonogo.backends.files import FileBlobs
from gonogo.ledger.records import Records
from gonogo.serving.access import Access, is_loopback, open_tokens
from gonogo.serving.answer import Answerer
from gonogo.serving.app import App
from gonogo.serving.connection import config
from gonogo.serving.features import Features, features_of
from gonogo.serving.keys import KeyRing
from gonogo.serving.limits import Buckets, Rate
from gonogo.serving.metrics import Counters
from gonogo.serving.online_log import OnlineLog
from gonogo.serving.places import Places
from gonogo.serving.predictionlog import PredictionLog
from gonogo.serving.route import Route, RouteReader
from gonogo.serving.scorers import Loaded, prove_again
from gonogo.serving.service import Jobs, Sample, Served
from gonogo.serving.service import Route as Path_
from gonogo.serving.settings import PROVE_EVERY_S, Settings
from gonogo.serving.shadow import Shadow
from gonogo.serving.workerpage import Holds, WorkerPage
from gonogo.types.contract import Contract
from gonogo.types.errors import BlobCorrupt, GonogoError, PackageRefused, RecordUnknown
from gonogo.types.package import Package
from gonogo.types.record import Digest
from gonogo.web.releases import release_routes
from gonogo.web.served import ServedContract
from gonogo.workflow.jobs import open_jobs

if TYPE_CHECKING:
    import pyarrow as pa


BEAT_S = 0.01  # how often a worker looks at the route beside its requests, and says that it lives …
QUIET_BEAT_S = 0.1  # … and when nothing was asked, and nothing has changed, for a second: it leaves the processor alone
_QUIET_NS = 1_000_000_000
_TRY_AGAIN_NS = 2_000_000_000  # a package that could not be read, e.g. while its blob is restored


class Worker:
    """All that one process serves: `serving.service.Service`."""

    def __init__(self, folder: Path, number: int, contract: Contract, *, prove_every_s: float = PROVE_EVERY_S) -> None:
        """contract: by which it is answered. prove_every_s: how often what is held must answer its probes again.

        Raises LogFailed where another process writes under this worker's name for too long."""
        self.places = Places.of(folder)
        self.folder, self.number = folder, number
        self.page = WorkerPage(self.places.workers, number)
        self.reader = RouteReader(self.places.route)
        self.log = PredictionLog(self.places.log, f"w{number}", wait_s=5.0)
        self.shadow = Shadow(self.log)
        self._features: dict[tuple[Any, ...], Features] = {}
        self._online = OnlineLog(self.log, archive=self.places.archive, features=self.features)
        self.answerer = Answerer(contract, route=self.reader.current, log=self.log, shadow=self.shadow, catch_up=self._online.catch_up)
        self._blobs = FileBlobs(folder / ".gonogo" / "blobs")
        self._records = Records(self._blobs)
        self._served: Mapping[str, Served] = {
            contract.name: ServedContract(contract, self.answerer, self.log, self._online, features=self.features)
        }
        self._jobs = open_jobs(folder)
        self._refused: dict[Digest, str] = {}
        self._refused_ns = 0
        self._loading: threading.Thread | None = None
        self._loaded: dict[Digest, Loaded] = {}
        self._seen, self._stirred_ns = (0, 0, True), 0
        self._prove_every_ns, self._proved_ns = int(prove_every_s * 1e9), time.monotonic_ns()

    # ── Service ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def contracts(self) -> Mapping[str, Served]:
        """The one contract of the folder."""
        return self._served

    @property
    def jobs(self) -> Jobs | None:
        """Rows that are scored later, in a process of the lowest priority."""
        return self._jobs

    @property
    def routes(self) -> tuple[Path_, ...]:
        """Releases and rollbacks."""
        return release_routes(self.folder, self.answerer.name)

    def features(self) -> tuple[Features, ...]:
        """Those of every model that is held, each once."""
        return tuple(self._features.values())

    def samples(self) -> Iterable[Sample]:
        """What the workers' pages say, for `/metrics`."""
        from gonogo.serving.workerpage import living

        now = time.monotonic_ns()
        for seen in living(self.places.workers):
            labels = {"worker": str(seen.worker)}
            yield Sample("gonogo_shadow_drops_total", "Requests that the other arm was not shown", labels, seen.drops, "counter")
            yield Sample("gonogo_unlogged_total", "Answers that could not be logged", labels, seen.unlogged, "counter")
            yield Sample("gonogo_route_epoch", "The epoch of the route that the worker follows", labels, seen.epoch)
        yield Sample("gonogo_watched", "1 while the controller gives signs of life", {}, float(self.reader.is_watched(now)))

    # ── following ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def load_first(self) -> None:
        """Load who answers by the route before the first request. A model that is refused is said on the page; others may answer.

        What is only to be made ready comes after: one that kills its process while it is loaded must not keep everybody from answering.
        """
        route = self.reader.current(time.monotonic_ns())
        if route is not None:
            self._load([package for package in (route.champion_package, route.challenger_package) if package])

    def beat(self) -> None:
        """One look at the route: what is new is loaded, what is old let go, and the page says so. By the thread that answers."""
        now = time.monotonic_ns()
        self._online.catch_up(now)
        route = self.reader.current(now)
        if route is not None and self._loading is None:
            self._follow(route, now)
        if self._loading is None and now - self._proved_ns >= self._prove_every_ns:
            self._proved_ns = now
            self._loading = threading.Thread(target=self._prove_again, name="gonogo-prove", daemon=True)
            self._loading.start()
        if self._loading is not None and not self._loading.is_alive():
            self._loading = None
        seen = self.answerer.n_answered, self.reader.version, self._loading is None
        if seen != self._seen:
            self._seen, self._stirred_ns = seen, now
        self.page.beat(
            now,
            follows=self.reader.version,
            epoch=route.epoch if route is not None else 0,
            in_flight=self.answerer.in_flight,
            drops=self.shadow.drops,
            unlogged=self.answerer.n_unlogged,
            answered=self.answerer.n_answered,
        )

    @property
    def is_quiet(self) -> bool:
        """Has nothing been asked, and nothing changed, for a second?"""
        return time.monotonic_ns() - self._stirred_ns > _QUIET_NS

    def _follow(self, route: Route, now: int) -> None:
        wanted = route.packages
        for package in self.answerer.held:
            if package not in wanted and route.champion_package in self.answerer.held:
                self.answerer.drop(package)
                self._loaded.pop(package, None)
                self._say_holds()
        if any(package not in wanted for package in self._refused):
            # Released again, it is tried again: an old refusal would bring it back before it was looked at.
            self._refused = {package: why for package, why in self._refused.items() if package in wanted}
            self._say_holds()
        if any(package in self._refused for package in wanted) and now - self._refused_ns > _TRY_AGAIN_NS:
            held = self.answerer.held  # of these only the next proof says that they are well again
            self._refused, self._refused_ns = {package: why for package, why in self._refused.items() if package in held}, now
        lacking = [package for package in wanted if package not in self.answerer.held and package not in self._refused]
        if lacking:
            self._refused_ns = now
            self._loading = threading.Thread(target=self._load, args=(lacking,), name="gonogo-load", daemon=True)
            self._loading.start()

    def _load(self, packages: Sequence[Digest]) -> None:
        for package in packages:
            try:
                self._hold(package)
                self._refused.pop(package, None)
            except GonogoError as error:
                self._refused = {**self._refused, package: f"{error.code}: {error.message} {error.found}".strip()[:300]}
            except Exception as error:  # a model of a plugin may raise anything: it is refused, and this worker goes on
                self._refused = {**self._refused, package: f"{type(error).__name__}: {error}"[:300]}
            self._say_holds()

    def _prove_again(self) -> None:
        """Do the models that are held still answer as they did? The challenger that does not answers nobody from now on.

        A champion that does not is said on the page, which holds the rollout and raises an alarm: without it nobody would answer. A
        foreign model may be asked by one thread at a time, and that one answers callers: it is proved when it is loaded.
        """
        for digest, loaded in tuple(self._loaded.items()):
            if loaded.is_foreign or digest not in self.answerer.held:
                continue
            try:
                prove_again(self._blobs, loaded)
                if digest in self._refused:
                    self._refused = {package: why for package, why in self._refused.items() if package != digest}
                    self._say_holds()
            except (PackageRefused, RecordUnknown, BlobCorrupt) as error:
                self._refused = {**self._refused, digest: f"{error.code}: {error.message} {error.found}".strip()[:300]}
                self._refused_ns = time.monotonic_ns()
                route = self.reader.current(time.monotonic_ns())
                if route is not None and digest != route.champion_package:
                    self.answerer.drop(digest)
                self._say_holds()

    def _hold(self, digest: Digest) -> None:
        from gonogo.data.planning import Plan
        from gonogo.workflow.package import load_packaged

        model = load_packaged(self._blobs, digest, cache=self.places.models / f"w{self.number}")
        package = model.package
        trained = self._records.get(Contract, package.contract)
        # Two models of one plan read one state: what one has seen of a request, the other need not look up again.
        key = (package.plan, tuple(sorted(package.seeds.items())), package.fields, trained.rows.decided_at, trained.freshness)
        features = self._features.get(key)
        if features is None:
            features = features_of(package, self._records.get(Plan, package.plan), trained, self._seeds(package))
            self._features = {**self._features, key: features}
            self._online.open(features)
            features.warm()
        self.answerer.hold(model, features)
        self._loaded[digest] = model

    def _seeds(self, package: Package) -> dict[str, pa.Table]:
        if not package.seeds:
            return {}
        import pyarrow as pa

        found = {}
        for source, digest in package.seeds.items():
            with pa.memory_map(str(self._blobs.open_path(digest))) as file:
                found[source] = pa.ipc.open_file(file).read_all()
        return found

    def _say_holds(self) -> None:
        self.page.hold(Holds(ready=self.answerer.held, refused=self._refused))

    def resume_jobs(self) -> None:
        """Go on with what was left when the last server ended."""
        self._jobs.resume()

    def close(self) -> None:
        """Write down what is left, and be gone."""
        self.shadow.close()
        self.log.close()
        self.page.close()


def _rate(settings: Settings, buckets: Buckets | None, number: int) -> Rate | None:
    if settings.rate_per_s is None:
        return None
    return Rate(per_s=settings.rate_per_s, burst_s=settings.burst_s, buckets=buckets, worker=number)


async def _beat(worker: Worker) -> None:
    while True:
        worker.beat()
        await asyncio.sleep(QUIET_BEAT_S if worker.is_quiet else BEAT_S)


def work(
    folder: Path, number: int, contract: Contract, listening: socket.socket, settings: Settings, *, must_ask: bool, buckets: Buckets | None
) -> None:
    """Answer until SIGTERM: then what is under way is finished, and nothing new is taken.

    buckets: of the rate that all workers share; None where there is none.
    must_ask: there were keys or a provider when the server started, so somebody must say who they are whatever has become of the files.
    """
    import uvicorn
    import uvloop

    worker = Worker(folder, number, contract, prove_every_s=settings.prove_every_s)
    worker.load_first()
    worker.beat()  # from here on somebody looks whether it still moves: one that hangs before its loop begins is replaced too
    # A worker that comes back finds what is left of the keys: where others can reach it, that must not open the door.
    must_ask = must_ask or not is_loopback(listening.getsockname()[0])
    access = Access(keys=KeyRing(worker.places.keys), tokens=open_tokens(worker.places.oidc), hosts=settings.hosts, must_ask=must_ask)
    app = App(
        worker,
        settings=settings,
        access=access,
        counters=Counters(worker.places.metrics, number, (contract.name,), started_s=time.time()),
        counters_folder=worker.places.metrics,
        rate=_rate(settings, buckets, number),
    )
    if number == 1:
        worker.resume_jobs()
    server = uvicorn.Server(config(app))
    # What is loaded by now stays: the collector need not look at it again, and pages stay shared between processes.
    gc.collect()
    gc.freeze()

    async def serve() -> None:
        beating = asyncio.get_running_loop().create_task(_beat(worker))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: _drain(app, server))
        try:
            await server._serve([listening])
        finally:
            beating.cancel()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    worker.close()


def _drain(app: App, server: Any) -> None:
    app.drain()
    server.should_exit = True
