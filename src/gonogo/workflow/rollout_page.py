"""Write the page of a rollout: what was decided, on what evidence, over time.

The evidence over time is not stored. The judge is a pure function of the plan and of his log, so he is asked again at as many moments as a
drawing can show.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gonogo.evidence.rollout_view import Decision, RolloutView, Spot, Trace
from gonogo.ledger.records import Records, resolve
from gonogo.ledger.rollouts import Course
from gonogo.serving.places import Places
from gonogo.types.candidate import Candidate
from gonogo.types.contract import Contract
from gonogo.types.entry import Entry
from gonogo.types.errors import LogFailed, UsageError
from gonogo.types.record import Digest
from gonogo.types.release import Judgement, Plan, Standing, Watch
from gonogo.workflow.workspace import STATE, open_recorded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPOTS = 120  # of each watch: as many moments as a drawing shows


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stage:
    """A stage that was entered, and where it was left in the judge's log."""

    standing: Standing
    end: int


def rollout_page(folder: Path | str, rollout: str = "") -> Path:
    """The page of a rollout (the digest of its plan or a unique prefix; the newest without one): one self-contained HTML file.

    Raises UsageError where nothing was ever released.
    """
    from gonogo.backends.disk import storage_errors, write_whole
    from gonogo.evidence import rollout_page

    records, ledger = open_recorded(folder)
    view = gather(Path(folder), records, tuple(ledger.entries()), rollout)
    path = Path(folder) / STATE / "pages" / f"rollout-{view.rollout.removeprefix('sha256:')[:12]}.html"
    html = rollout_page.render(view)
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, html.encode())
    return Path(os.path.relpath(path))


def gather(folder: Path, records: Records, entries: tuple[Entry, ...], rollout: str = "") -> RolloutView:
    """Everything that the page of that rollout shows."""
    digest = _wanted(entries, rollout, folder)
    plan = records.get(Plan, digest)
    contract = records.get(Contract, plan.contract)
    story = tuple(_story(entries, plan.contract_name, digest))
    opened = story[0][0]
    lines, missing = _lines(folder, digest)
    offset = _offset(story, lines)
    stages = tuple(_stages(story, len(lines)))
    judged = tuple(_judged(plan, stages, lines)) if len(lines) else ()
    return RolloutView(
        name=plan.contract_name,
        question=contract.question,
        rollout=digest,
        plan=plan,
        standing=story[-1][1],
        decisions=tuple(_decision(entry, standing, opened.at) for entry, standing in story),
        judgements=_last_of_each(records, story, judged),
        traces=_traces(plan, contract, judged, lines, offset - opened.at.timestamp()),
        challenger=_words(records, plan.challenger),
        champion=_words(records, plan.champion),
        no_traces=missing,
    )


def _wanted(entries: tuple[Entry, ...], rollout: str, folder: Path) -> Digest:
    opened = [entry for entry in entries if entry.kind == "rollout_opened"]
    if not opened:
        raise UsageError("Nothing was released here yet.", where=str(folder), next="gonogo release")
    if not rollout:
        newest: Digest = opened[-1].body["rollout"]
        return newest
    return resolve(rollout, opened, kind="rollout_opened")


def _story(entries: tuple[Entry, ...], contract: str, rollout: Digest) -> Iterator[tuple[Entry, Standing]]:
    """What happened to this rollout, alarms included, each with where it stood then."""
    course = Course(contract)
    for entry in entries:
        before = course.standing
        course.take(entry)
        now = course.standing
        if now is None or now.rollout != rollout:
            continue
        if now != before or (entry.kind == "alarm" and entry.body.get("rollout") == rollout):
            yield entry, now


def _decision(entry: Entry, standing: Standing, opened: datetime) -> Decision:
    because, judgement = entry.body.get("because"), entry.body.get("judgement")
    return Decision(
        seq=entry.seq,
        at=entry.at.isoformat(),
        seconds=(entry.at - opened).total_seconds(),
        by=entry.by,
        kind=entry.kind,
        phase=standing.phase.value,
        step=standing.step,
        share=standing.share,
        because=because if isinstance(because, str) else "",
        why=str(entry.body.get("why", "")),
        judgement=judgement if isinstance(judgement, str) else None,
    )


# ── the judge, asked again ──────────────────────────────────────────────────────────────────────────────────────────────────


def _lines(folder: Path, rollout: Digest) -> tuple[NDArray[np.void], str]:
    """The judge's log, and why there is none."""
    import numpy as np

    from gonogo.serving.judgelog import read_blocks
    from gonogo.types.traffic import OBSERVATION

    place = Places.of(folder).judge_of(rollout)
    nothing = np.zeros(0, OBSERVATION)
    if not place.is_dir():
        return nothing, "Nothing was judged yet: there is no judge's log of this rollout here."
    try:
        blocks = [block.observations for block in read_blocks(place)]
    except LogFailed as error:
        return nothing, f"The judge's log cannot be read: {error.message}"
    return np.concatenate([nothing, *blocks]), "" if blocks else "Nothing was judged yet."


def _stages(story: tuple[tuple[Entry, Standing], ...], n_lines: int) -> Iterator[_Stage]:
    entered = [standing for entry, standing in story if entry.kind in ("rollout_step", "release") and standing.step >= 0]
    last = story[-1]
    final = int(last[0].body.get("cut", n_lines)) if not last[1].is_under_way else n_lines
    first = {standing.step: standing for standing in reversed(entered)}  # a policy may enter its own stage again
    steps = sorted(first)
    for step, following in zip(steps, [*steps[1:], None], strict=False):
        yield _Stage(standing=first[step], end=first[following].start if following is not None else final)


def _judged(plan: Plan, stages: tuple[_Stage, ...], lines: NDArray[np.void]) -> Iterator[Judgement]:
    """What the judge says at many moments of every stage."""
    from gonogo.gates.judge import Judge

    n = sum(max(0, stage.end - stage.standing.start) for stage in stages)
    for stage in stages:
        now, there = stage.standing, max(0, stage.end - stage.standing.start)
        if not there or now.step >= len(plan.stages):
            continue
        judge = Judge(plan, now.step, now.certified, epoch=now.epoch, first_epoch=now.first_epoch, start=now.start)
        looks = max(8, round(SPOTS * there / n))
        cuts = sorted({now.start + (there * k) // looks for k in range(1, looks + 1)})
        at = now.start
        for cut in cuts:
            judge.take(lines[at:cut])
            at = cut
            yield judge.judgement()


def _traces(plan: Plan, contract: Contract, judged: tuple[Judgement, ...], lines: NDArray[np.void], offset_s: float) -> tuple[Trace, ...]:
    import numpy as np

    from gonogo.gates.plan import label

    units = _units(contract)
    read_ns = np.maximum.accumulate(lines["at_ns"])  # lines of several workers, and of answers that were told later
    return tuple(
        Trace(
            watch=label(watch),
            metric=watch.metric,
            slice=watch.slice,
            margin=_margin(watch),
            measured_in=_measured_in(watch, units),
            spots=spots,
        )
        for watch in plan.watches
        if (spots := tuple(_spots(watch, label(watch), judged, read_ns, offset_s)))
    )


def _spots(watch: Watch, name: str, judged: tuple[Judgement, ...], read_ns: NDArray[np.int64], offset_s: float) -> Iterator[Spot]:
    for judgement in judged:
        ruling = next((one for one in judgement.rulings if one.watch == name), None)
        if ruling is None:
            continue
        yield Spot(
            seconds=float(read_ns[judgement.cut - 1]) / 1e9 + offset_s,
            step=judgement.step,
            harm=_share_of(ruling.log10_e_harm, watch.alpha_harm),
            safe=_share_of(ruling.log10_e_safe, watch.alpha_certificate),
            value=ruling.value,
            low=ruling.low,
            high=ruling.high,
        )


def _share_of(log10_e: float | None, alpha: float) -> float | None:
    """1 where the evidence reaches its threshold."""
    return None if log10_e is None else log10_e / math.log10(1 / alpha)


def _margin(watch: Watch) -> float | None:
    from gonogo.gates.plan import QUANTILES

    if watch.kind == "loss":
        return watch.at_most
    if watch.metric in QUANTILES and watch.ratio_at_most is None:
        return 1 - QUANTILES[watch.metric]  # so many answers may be slower than the stated milliseconds
    return watch.ratio_at_most if watch.ratio_at_most is not None else watch.rate_at_most


def _measured_in(watch: Watch, units: dict[str, str]) -> str:
    from gonogo.gates.plan import QUANTILES

    if watch.kind == "loss":
        return units.get(watch.metric, "")
    if watch.ratio_at_most is None:
        return f"share of units slower than {watch.at_most:g} ms" if watch.metric in QUANTILES else "share of units"
    return "ratio" if watch.kind == "distribution" else "ratio; a share while the champion has none"


def _units(contract: Contract) -> dict[str, str]:
    from gonogo.families.registry import find

    return {metric.name: metric.measured_in for metric in find(contract.family).metrics}


def _offset(story: tuple[tuple[Entry, Standing], ...], lines: NDArray[np.void]) -> float:
    """What is added to seconds of the machine's own clock for the wall's: the entries were written when their last line had been read."""
    if not len(lines):
        return 0.0
    ends = [(entry, entry.body.get("cut")) for entry, _ in story]
    found = [
        entry.at.timestamp() - float(lines["at_ns"][cut - 1]) / 1e9 for entry, cut in ends if isinstance(cut, int) and 0 < cut <= len(lines)
    ]
    if found:
        return statistics.median(found)
    began = next((entry for entry, standing in story if standing.step == 0), story[0][0])
    return began.at.timestamp() - float(lines["at_ns"][0]) / 1e9


def _last_of_each(records: Records, story: tuple[tuple[Entry, Standing], ...], judged: tuple[Judgement, ...]) -> tuple[Judgement, ...]:
    """Of each stage the judgement that ended it, as recorded; of the one that still runs the newest."""
    last = {judgement.step: judgement for judgement in judged}
    for entry, _ in story:
        digest = entry.body.get("judgement")
        if isinstance(digest, str):
            recorded = records.get(Judgement, digest)
            last[recorded.step] = recorded
    return tuple(last[step] for step in sorted(last))


def _words(records: Records, candidate: Digest) -> str:
    return records.get(Candidate, candidate).learner.replace("_", " ")
