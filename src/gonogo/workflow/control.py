"""Who moves the traffic, and on what? The controller: one process per folder, one thread, fifty turns a second, or two when it is quiet.

Each turn does the same: read what is new in the ledger, take what has come of traffic and outcomes, ask the judge, write down what follows
from it, and only then change the route. Nothing is remembered that is not in the ledger or in the judge's log, so a controller that was
killed anywhere goes on from there. When it cannot write, it gives no sign of life, and the workers go back to the champion by themselves.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gonogo.gates import rollout
from gonogo.gates.rollout import Act, Move
from gonogo.ledger.rollouts import KINDS, history
from gonogo.serving.jobs import starter
from gonogo.serving.places import Places
from gonogo.serving.route import RouteWriter
from gonogo.serving.segments import segments_of
from gonogo.serving.settings import PROVE_EVERY_S
from gonogo.serving.workerpage import is_silent, living
from gonogo.types.contract import Contract
from gonogo.types.entry import Entry
from gonogo.types.errors import ControllerBusy, GonogoError, HouseError, LedgerBusy, LogFailed, PolicyFailed, PolicyUnknown, StorageFailed
from gonogo.types.package import Package
from gonogo.types.record import Digest, canonical
from gonogo.types.release import Judgement, Phase, Plan, Standing
from gonogo.types.verdict import Status
from gonogo.workflow import routes
from gonogo.workflow.following import Following
from gonogo.workflow.waiting import behind, say_waiting, unready

if TYPE_CHECKING:
    from gonogo.types.allocation import Allotment
    from gonogo.workflow.allocating import Allocating
    from gonogo.workflow.trial import Trial

TURN_S, QUIET_TURN_S = 0.02, 0.4
_LOOK_S, _QUIET_LOOK_S = 0.004, 0.05  # between two turns: an order is not kept waiting for the next one
_QUIET_NS = 1_000_000_000  # so long after the last row and the last entry
ARCHIVE_EVERY_S, ARCHIVE_ANYWAY_S = 60.0, 600.0
_FOLDED = (*KINDS, "training", "package")
_JUDGE_EVERY_NS = 200_000_000  # without a new line that could decide; harm is asked about at once
_NO_JUDGE = "The judge's loops are being read, which takes a second, or compiled, which takes a minute once on a machine."
_TRIED = (Phase.REGISTERED, Phase.SHADOW, Phase.CANARY, Phase.FULL)
_MOST_DEATHS, _DEATHS_WITHIN_NS = 3, 60_000_000_000
_SHOW_EVERY_NS = 1_000_000_000
_CLOCK = "the clocks disagree"
_LOCK_WAIT_S = 2.0  # an order that found no controller may be setting the route itself, or the last controller is still ending


class Controller:
    """The one hand on a folder's traffic."""

    def __init__(
        self,
        folder: Path | str,
        contract: str,
        *,
        prove_every_s: float = PROVE_EVERY_S,
        wait_s: float = 0.0,
        clock: Callable[[], int] = time.monotonic_ns,
        say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
    ) -> None:
        """Take the folder's lock. contract: the name of the contract that is served. Raises ControllerBusy where another one has it.

        prove_every_s: how often the rollback target is looked at while a rollout is under way. wait_s: for whoever has the lock.
        """
        from gonogo.backends.files import FileBlobs
        from gonogo.backends.sqlite import SqliteLog
        from gonogo.ledger.ledger import Ledger
        from gonogo.ledger.records import Records

        self.folder, self.places, self.contract = Path(folder), Places.of(folder), contract
        self._clock, self._say = clock, say
        self._prove_every_ns = int(prove_every_s * 1e9)
        self._lock = take_lock(self.places, wait_s=wait_s)
        state = self.folder / ".gonogo"
        self.blobs = FileBlobs(state / "blobs")
        self.records = Records(self.blobs)
        path = state / "ledger.sqlite"
        self.ledger = Ledger(SqliteLog(path, timeout_s=1.0), by=f"controller@{platform.node() or 'unknown'}", now=lambda: datetime.now(UTC))
        self._following = Following(self.ledger, path)
        self._route = RouteWriter(self.places.route)
        self._entries: list[Entry] = []
        self._office: routes.Office | None = None
        self._packages: dict[Digest, Digest] = {}
        self._plan: Plan | None = None
        self._trial: Trial | None = None
        self._judgement: Judgement | None = None
        self._allocating: Allocating | None = None
        self._judged_ns = self._shown_ns = self._proved_ns = 0
        self._moved_ns = clock()
        self._no_judge: GonogoError | None = None
        self._alarms: dict[str, int] = {}
        self._said_trouble = ""
        self._waits_for, self._said_wait = "", "?"  # what an earlier controller waited for is no news of this one
        self._late = ""  # who was waited for when the newest judgement would have moved something
        self._pids: dict[int, int] = {}
        self._pids_of: tuple[Digest, int] = ("", -1)  # the rollout and the step in which deaths are counted
        self._deaths: list[int] = []
        self._calling: threading.Thread | None = None

    # ── one turn ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def turn(self) -> None:
        """Everything that is to be done now. Raises only what ends the controller: a ledger that cannot be believed."""
        now = self._clock()
        self._waits_for = ""
        try:
            self._read_ledger()
            is_watched = self._watch(now)
            self._set_route()
            self._say_wait()
        except (LedgerBusy, StorageFailed, LogFailed) as error:
            # No sign of life: two seconds later the champion answers alone, whatever the route says.
            self._in_trouble(error)
            return
        self._said_trouble = ""
        if is_watched:
            self._route.renew(self._clock())

    def rest(self, since_s: float, *, ended: Callable[[], bool] = lambda: False) -> None:
        """Wait for the next turn, or until something was written into the ledger. since_s: `time.monotonic` when this turn began.

        While nothing moves turns are rare, for most of what an idle server takes is to wake up and find nothing; the first row ends that.
        """
        is_quiet = self._clock() - self._moved_ns > _QUIET_NS
        until_s, look_s = since_s + (QUIET_TURN_S if is_quiet else TURN_S), _QUIET_LOOK_S if is_quiet else _LOOK_S
        if is_quiet:  # one look's time at least: news that cannot be read yet, half a row say, must not keep it turning
            time.sleep(look_s)
        while (left := until_s - time.monotonic()) > 0 and not self._is_called(is_quiet) and not ended():
            time.sleep(min(left, look_s))

    def _is_called(self, is_quiet: bool) -> bool:
        # In trouble the news could not be read: to ask at once again would be all that this process does.
        if self._said_trouble:
            return False
        return self._following.has_news or (is_quiet and self._trial is not None and self._trial.has_news)

    @property
    def standing(self) -> Standing | None:
        """Of the rollout that is under way; None where none is."""
        now = self._office.standing if self._office else None
        return now if now is not None and now.is_under_way else None

    def close(self) -> None:
        """Give the lock back; the lease runs out by itself."""
        self._drop_trial()
        self._route.close()
        self._lock.close()

    # ── the ledger ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_ledger(self) -> None:
        new = self._following.refresh()
        if not new and self._office is not None:
            return
        self._moved_ns = self._clock()
        self._entries += [entry for entry in new if entry.kind in _FOLDED and entry.body.get("contract") == self.contract]
        self._packages = routes.packages(self._entries)
        self._office = routes.office(self._entries, self.contract)
        now = self.standing
        if now is None:
            self._plan = None
            self._set_route()  # before anything is tidied up: nobody is answered by the challenger in the meantime
            self._drop_trial()
            self._calling = None
            return
        if self._plan is None or self._trial is None or self._trial.rollout != now.rollout:
            self._plan = self.records.get(Plan, now.rollout)
            self._drop_trial()
        if self._trial is not None and now.phase is not Phase.REGISTERED:
            self._judge_stage(self._plan, now)

    def _judge_stage(self, plan: Plan, now: Standing) -> None:
        if self._trial is None:
            self._trial = self._open_trial(plan, now)
        elif self._trial.stage != (now.step, now.phase, now.start):
            self._trial.enter(now, self._epoch_of_stage(now))
            self._judgement = None

    def _open_trial(self, plan: Plan, now: Standing) -> Trial:
        from gonogo.families.registry import find
        from gonogo.workflow.losses import metrics_of
        from gonogo.workflow.trial import Trial

        contract = self.records.get(Contract, plan.contract)
        package = self.records.get(Package, self._package_of(plan.challenger))
        return Trial(
            self.places,
            plan,
            now,
            metrics=metrics_of(find(contract.family), plan.losses) if plan.losses else (),
            output=package.outputs[0],
            absent=contract.outcome.absent,
            columns=tuple(contract.outcome.columns),
            epoch=self._epoch_of_stage(now),
            now_ns=self._clock(),
        )

    def _epoch_of_stage(self, now: Standing) -> int:
        """Of the route when the stage began: a policy that moves the share moves it on within the stage."""
        happened = history(self._entries, self.contract)
        epochs = [h.standing.epoch for h in happened if h.standing.rollout == now.rollout and h.standing.step == now.step]
        return min(epochs, default=now.epoch)

    def _drop_trial(self) -> None:
        if self._trial is not None:
            self._trial.close()
        self._trial = self._judgement = self._allocating = None
        self._alarms = {}

    def _package_of(self, candidate: Digest) -> Digest:
        if candidate not in self._packages:
            raise HouseError(
                "A candidate that the ledger names was never packaged.", found=candidate, next="gonogo serve and gonogo release package it"
            )
        return self._packages[candidate]

    # ── judging ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _watch(self, now_ns: int) -> bool:
        """Ask the judge what came, and do what follows. False: somebody is tried, and his judge is not there yet."""
        now = self.standing
        if now is None or self._plan is None:
            return True
        if self._have_died(now, now_ns):
            self._act(self._plan, now, _deadly(now), self._judgement)
            return True
        if now.phase is Phase.REGISTERED:
            self._begin(self._plan, now)
            return True
        if self._trial is None:
            if not self._has_judge(self._plan):
                self._waits_for = _NO_JUDGE
                return False
            self._judge_stage(self._plan, now)
        assert self._trial is not None
        try:
            told = self._trial.read(now_ns, now.epoch)
        except LogFailed:
            self._drop_trial()  # what was read and not written down is read again
            self._office = None
            raise
        if self._trial.has_moved:
            self._moved_ns = now_ns
        if not now.held and (why := self._trial.keeps_time(self._resumed(now))):
            self._act(self._plan, now, Move(act=Act.HOLD, because="signal", why=why, alarm=_CLOCK), None)
            self._trial.asked_about_time()
            return True
        if self._is_due(told, now_ns):
            self._judge(self._plan, now, now_ns)
        self._waits_for = self._late
        self._prove_target(self._plan, now_ns)
        return True

    def _have_died(self, now: Standing, now_ns: int) -> bool:
        """Do workers die, again and again? What a process was asked when it died is in no log: the judge cannot see it."""
        seen = {page.worker: page.pid for page in living(self.places.workers)}
        if (now.rollout, now.step) != self._pids_of:  # who died before has died of something else
            self._pids_of, self._deaths = (now.rollout, now.step), []
        elif now.phase in _TRIED:
            self._deaths += [now_ns for worker, pid in seen.items() if self._pids.get(worker, pid) != pid]
        self._pids.update(seen)
        self._deaths = [at for at in self._deaths if now_ns - at < _DEATHS_WITHIN_NS]
        return len(self._deaths) >= _MOST_DEATHS

    def _resumed(self, now: Standing) -> int:
        """The last entry by which a person let this rollout go on after they had been asked about the clocks; 0 for none."""
        asked = found = 0
        for entry in self._entries:
            if entry.seq > now.opened_seq and entry.body.get("rollout") == now.rollout:
                if entry.kind == "rollout_held":
                    asked = entry.seq if str(entry.body.get("why", "")).startswith("Clock: ") else 0
                elif entry.kind == "rollout_resumed" and asked:
                    found, asked = entry.seq, 0
        return found

    def _is_due(self, told: int, now_ns: int) -> bool:
        assert self._trial is not None
        if self._judgement is None or (told and self._trial.decided):
            return True
        return bool(told) and now_ns - self._judged_ns >= _JUDGE_EVERY_NS

    def _judge(self, plan: Plan, now: Standing, now_ns: int) -> None:
        assert self._trial is not None
        self._judgement, self._judged_ns, self._late = self._trial.judgement(), now_ns, ""
        move = rollout.next_step(plan, now, self._judgement)
        self._act(plan, now, move, self._judgement)
        if move.act in (Act.STAY, Act.WAIT):
            self._allocate(plan, now)
        if now_ns - self._shown_ns >= _SHOW_EVERY_NS:
            self._shown_ns = now_ns
            self._show(now)

    def _allocate(self, plan: Plan, now: Standing) -> None:
        """Where a policy moves the share: does it, now that a period has closed?"""
        periods = self._trial.periods if self._trial is not None else None
        if periods is None:
            return
        if self._allocating is None:
            from gonogo.workflow.allocating import Allocating

            self._allocating = Allocating(plan)
        try:
            moved = self._allocating.move(now, periods, self._judgement, self._entries)
        except (PolicyUnknown, PolicyFailed) as error:  # the share stays where it is, and the judge goes on
            self._raise_alarm(now, "policy", f"{error.message} Found: {error.found}")
            return
        if moved is not None:
            self._act(plan, now, moved[0], self._judgement, moved[1])

    def _begin(self, plan: Plan, now: Standing) -> None:
        ready, why = self._readiness(plan)
        self._late = ""
        self._act(plan, now, rollout.begin(plan, now, ready, why=why), None)
        self._waits_for = why or self._late

    def _readiness(self, plan: Plan) -> tuple[Status, str]:
        """Has every worker loaded both models, and did they answer their probes? And is there a judge?"""
        champion, challenger = self._package_of(plan.champion), self._package_of(plan.challenger)
        workers = living(self.places.workers)
        for seen in workers:
            if challenger in seen.holds.refused:
                return Status.FAIL, f"Worker {seen.worker} refuses the challenger: {seen.holds.refused[challenger]}"
            if champion in seen.holds.refused:
                return Status.ERROR, f"Worker {seen.worker} refuses the rollback target: {seen.holds.refused[champion]}"
        if not self._has_judge(plan):
            return Status.MISSING, _NO_JUDGE
        lacks = unready(workers, {"champion": champion, "challenger": challenger}, self._clock())
        return Status.MISSING if lacks else Status.PASS, lacks

    def _has_judge(self, plan: Plan) -> bool:
        """The first time on a machine his loops are compiled, which takes ten seconds: in a thread, for nobody waits to go back."""
        if self._calling is None:
            self._calling = threading.Thread(target=self._call_judge, args=(plan,), name="gonogo-judge", daemon=True)
            self._calling.start()
        if self._no_judge is not None:
            raise self._no_judge  # which ends this process: without a judge nobody is tried, and the next controller calls him again
        return not self._calling.is_alive()

    def _call_judge(self, plan: Plan) -> None:
        """Let the judge look at one line that says nothing."""
        from gonogo.workflow.trial import warm

        try:
            warm(plan)
        except GonogoError as error:
            self._no_judge = error

    def _prove_target(self, plan: Plan, now_ns: int) -> None:
        """Can the one that is brought back still be loaded by a worker that starts now?"""
        now = self.standing
        if now is None or now_ns - self._proved_ns < self._prove_every_ns:
            return
        self._proved_ns = now_ns
        found = _missing_of(self.blobs, self.records, self._package_of(plan.champion))
        refused = [seen for seen in living(self.places.workers) if self._package_of(plan.champion) in seen.holds.refused]
        if refused and not found:
            found = f"worker {refused[0].worker}: {refused[0].holds.refused[self._package_of(plan.champion)]}"
        if not found:
            return
        why = f"The rollback target cannot be loaded: {found}"
        if not now.held:
            self._act(plan, now, Move(act=Act.HOLD, because="signal", why=why, alarm="rollback target"), self._judgement)
        else:
            self._raise_alarm(now, "rollback target", why)

    # ── acting: the ledger, then the route ──────────────────────────────────────────────────────────────────────────────

    def _act(self, plan: Plan, now: Standing, move: Move, judgement: Judgement | None, allotment: Allotment | None = None) -> None:
        if move.alarm:
            self._raise_alarm(now, move.alarm, move.why)
        if move.act in (Act.STAY, Act.WAIT):
            return
        # Forward only with everybody: each living worker gives signs of life and follows the present epoch.
        if move.act in (Act.STEP, Act.RELEASE) and (late := behind(living(self.places.workers), now.epoch, self._clock())):
            self._late = late
            return
        self._record(plan, now, move, judgement, allotment)
        self._read_ledger()
        self._set_route()
        if self._trial is not None:
            self._show(now)

    def _record(self, plan: Plan, now: Standing, move: Move, judgement: Judgement | None, allotment: Allotment | None) -> None:
        """The judgement, then the entry that names it. After a crash in between the same comes out again, or the entry is there."""
        assert self._office is not None
        stored = None
        if judgement is not None:
            if self._trial is not None:
                self._trial.sync()
            stored = self.records.put(judgement)
        kind, body = rollout.entry_of(
            move,
            plan,
            now,
            epoch=self._office.epoch + 1,
            judgement=judgement if stored else None,
            judgement_digest=stored,
            allotment_digest=None if allotment is None else self.records.put(allotment),
        )
        entry = self.ledger.append(kind, body)
        self._say(
            json.dumps({"at": entry.at.isoformat(), "entry": entry.seq, "kind": kind, "why": move.why, "to": move.to and move.to.value})
        )

    def _set_route(self) -> None:
        """The route that follows from the ledger, once every worker holds what it names. Back needs nobody's consent."""
        if self._office is None:
            return
        wanted = routes.route(self._office, self._plan, self._package_of)
        current = self._route.current()
        if wanted == current:
            return
        if current is not None and wanted.share > current.share:
            workers = [seen for seen in living(self.places.workers) if not is_silent(seen, self._clock())]
            if not all(set(wanted.packages[:2]) <= set(seen.holds.ready) for seen in workers):
                self._waits_for = unready(workers, dict(zip(("champion", "challenger"), wanted.packages, strict=False)), self._clock())
                wanted = replace(current, load=tuple(dict.fromkeys((*current.load, *wanted.packages))))
                if wanted == current:
                    return
        self._route.write(wanted)

    # ── telling people ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _raise_alarm(self, now: Standing, what: str, why: str) -> None:
        """Once per stage and matter: a person is told, not flooded."""
        about = "".join(c for c in what if not c.isdigit())
        if about in self._alarms:
            return
        raised = any(
            e.kind == "alarm" and e.seq > now.since_seq and e.body.get("about") == about and e.body.get("rollout") == now.rollout
            for e in self._following.entries[-200:]
        )
        self._alarms[about] = self._clock()
        if not raised:
            body = {"contract": self.contract, "rollout": now.rollout, "what": what, "about": about, "why": why}
            self.ledger.append("alarm", body)
            self._say(json.dumps({"alarm": what, "why": why}))

    def _show(self, now: Standing) -> None:
        """The newest judgement, for whoever looks: `rollout status`, the page, `rollout advance`."""
        if self._judgement is None:
            return
        path = self.places.judge_of(now.rollout) / "latest.json"
        temporary = path.with_suffix(".new")
        temporary.write_bytes(canonical(self._judgement))
        temporary.replace(path)

    def _say_wait(self) -> None:
        if self._waits_for == self._said_wait:
            return
        say_waiting(self.places, self._waits_for)
        self._said_wait = self._waits_for
        if self._waits_for:
            self._say(json.dumps({"waits": self._waits_for}))

    def _in_trouble(self, error: GonogoError) -> None:
        if error.message == self._said_trouble:
            return
        self._said_trouble = error.message
        self._say(json.dumps({"trouble": error.as_record()}))
        self._waits_for = f"{error.message} {error.found}".strip()
        with contextlib.suppress(StorageFailed):  # of a disk that takes nothing the workers' lease tells
            self._say_wait()


def control(folder: Path, contract: str, *, prove_every_s: float = PROVE_EVERY_S) -> None:
    """Turn until SIGTERM."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    signal.signal(signal.SIGINT, lambda number, frame: ended.append(number))
    controller = Controller(folder, contract, prove_every_s=prove_every_s, wait_s=_LOCK_WAIT_S)
    archiving = Archiving(controller.places.log, starter([sys.executable, "-m", "gonogo.workflow.archive", str(folder)]))
    try:
        while not ended:
            began = time.monotonic()
            controller.turn()
            archiving.look(began)
            controller.rest(began, ended=lambda: bool(ended))
    finally:
        controller.close()


class Archiving:
    """Closed segments of the log become tables, in a process of its own: traffic waits for no table, and its libraries end with it."""

    def __init__(self, log: Path, start: Callable[[], None]) -> None:
        """log: the folder of the segments. start: begins such a process, if the last one has ended."""
        self._log, self._start = log, start
        self._seen: dict[str, list[int]] = {}
        self._looked_s = self._started_s = time.monotonic()

    def look(self, now_s: float) -> None:
        """Begin, if it is time. A segment that closes is followed by a new one: without any there is nothing to do but to delete what has
        become old, and to try again what failed, which can wait."""
        if now_s - self._looked_s < ARCHIVE_EVERY_S:
            return
        self._looked_s = now_s
        seen = {writer: list(numbers) for writer, numbers in segments_of(self._log).items()}
        if seen != self._seen or now_s - self._started_s >= ARCHIVE_ANYWAY_S:
            self._seen, self._started_s = seen, now_s
            self._start()


def take_lock(places: Places, *, wait_s: float = 0.0) -> IO[str]:
    """The lock of whoever may change the route; given back when the file is closed, or its process ends.

    Raises ControllerBusy where another one still has it after `wait_s`.
    """
    places.root.mkdir(parents=True, exist_ok=True)
    file = places.controller_lock.open("a+")
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(_LOOK_S)
                continue
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise ControllerBusy(
            "Another controller moves the traffic of this folder.",
            found=f"process {holder}" if holder else "another process",
            expected="one controller per folder",
            where=str(places.controller_lock),
            next="stop the other server, or leave it to that one",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _deadly(now: Standing) -> Move:
    """Whether it is the challenger that kills them is not known. That it must not go on is."""
    why = f"Workers died {_MOST_DEATHS} times within a minute while the challenger was tried ({now.phase.value}, {now.share:.0%})."
    return Move(act=Act.ROLLBACK, because="harm", to=Phase.ROLLED_BACK, why=why, alarm="workers die")


def _missing_of(blobs: Any, records: Any, digest: Digest) -> str:
    """What of a package is not there or damaged, in words; "" if it is whole."""
    try:
        package = records.get(Package, digest)
        for part in (package.contract, package.plan, package.probes, *package.artifact.values(), *package.seeds.values()):
            blobs.open_path(part)
    except GonogoError as error:
        return f"{error.message} {error.where}".strip()
    return ""
