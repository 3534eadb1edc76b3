"""How does a rollout read in a terminal? Where it stands, what the evidence says, and the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gonogo.cli.text import aligned, short
from gonogo.types.release import Judgement, Phase, Plan, Standing, WatchRuling
from gonogo.types.verdict import SEVERITY, Status

if TYPE_CHECKING:
    from gonogo.workflow.outcomes import Imported
    from gonogo.workflow.release import Opened
    from gonogo.workflow.rollout import Done, Situation, WorkerSeen

_WORD = {Status.PASS: "certified", Status.FAIL: "harm", Status.MISSING: "no evidence"}
_DONE = {
    "hold": "on hold",
    "resume": "resumed",
    "advance": "advanced",
    "approve": "approved",
    "abort": "aborted",
    "rollback": "rolled back",
}


def opened(record: Opened) -> str:
    """What was opened, what its traffic can decide, and what happens next."""
    plan = record.plan
    head = f"OPENED  {record.contract}  rollout {short(record.rollout)}  challenger {short(plan.challenger)} against {short(plan.champion)}"
    stages = "  →  ".join(stage_name(plan, i) for i in range(len(plan.stages)))
    serving = f"{record.workers} workers serve" if record.workers else "nobody serves: nothing moves until somebody does"
    follow = "gonogo rollout status" if record.workers else "gonogo serve"
    lines = [head, f"  {stages}  →  settled", f"  entry {record.entry} of the ledger; {serving}", *preflight(record)]
    return "\n".join([*lines, f"next: {follow}"])


def preflight(record: Opened) -> list[str]:
    """For each watch and stage, what traffic it takes to decide."""
    said, plan = record.preflight, record.plan
    first = {forecast.watch: forecast for forecast in reversed(said.forecasts)}
    rows = [(f"    {watch}", stage_name(plan, f.step), f.sentence, _hours(f.hours_to_certificate)) for watch, f in first.items()]
    never = [f"  cannot be decided: {sentence}" for sentence in (*said.undecidable, *said.unwatched)]
    return [f"  {said.sentence}", *aligned(rows), *never]


def _hours(hours: float | None) -> str:
    return "" if hours is None else f"about {_seconds(int(hours * 3.6e9))}"


def stage_name(plan: Plan, step: int) -> str:
    """A stage in a word or two.

    >>> stage_name.__name__
    'stage_name'
    """
    stage = plan.stages[step]
    if stage.phase is not Phase.CANARY:
        return str(stage.phase.value)
    if plan.moves is None:
        return f"canary {share(stage.share)}"
    return f"canary {share(stage.share)}, then {share(plan.moves.lowest)} to {share(plan.moves.highest)} by {plan.allocation}"


def share(value: float) -> str:
    """A share of traffic.

    >>> share(0.05), share(0.005), share(1.0)
    ('5 %', '0.5 %', '100 %')
    """
    return f"{100 * value:g} %"


def situation(record: Situation) -> str:
    """Where a contract's traffic stands."""
    champion = f"champion {short(record.champion)}" if record.champion else "nothing is released: the baseline answers"
    workers = aligned([_worker(seen) for seen in record.workers]) or ["  nobody serves"]
    if record.standing is None or record.plan is None:
        return "\n".join([f"{record.contract}  {champion}  no rollout", "workers:", *workers, "next: gonogo release"])
    now, plan = record.standing, record.plan
    lines = [
        f"{record.contract}  {standing(now, plan)}  challenger {short(now.challenger)} against {short(now.champion)}",
        f"  why: {now.why}",
        *shares(record, plan),
        *([f"  on hold: {now.held}"] if now.held else []),
        *(["  waits for a person to approve the next stage"] if now.waits_for_approval else []),
        *([f"  waits since {record.waits_since:%H:%M:%S} UTC: {record.waits_for}"] if record.waits_since else []),
        *(judgement(record.judgement, plan) if record.judgement is not None else []),
        *([f"  alarm: {alarm}" for alarm in record.alarms[-5:]]),
        f"{champion}",
        "workers:",
        *workers,
    ]
    return "\n".join([*lines, f"next: {_next(record)}"])


def shares(record: Situation, plan: Plan) -> list[str]:
    """Where a policy moves the share: its bounds, its last moves and why, and whether it may move now."""
    if plan.moves is None:
        return []
    moves = plan.moves
    bounds = f"{share(moves.lowest)} to {share(moves.highest)}, by {share(moves.step)} in {_seconds(moves.every_us)} at most"
    course = " → ".join(share(move.share) for move in record.shares[-8:])
    lines = [f"  share: {course or share(0.0)}  ({plan.allocation} by {moves.reward!r}; {bounds})"]
    lines += aligned([(f"    {m.at[11:19]}", share(m.share), m.because, m.why) for m in record.shares[-4:]])
    return [*lines, f"  the share stays: {record.frozen}"] if record.frozen else lines


def standing(now: Standing, plan: Plan) -> str:
    """Phase, stage and share."""
    if now.phase is Phase.CANARY:
        return f"canary {share(now.share)}, stage {now.step + 1} of {len(plan.stages)}"
    return str(now.phase.value).replace("_", " ")


def judgement(record: Judgement, plan: Plan) -> list[str]:
    """What the evidence of the stage says, the worst first."""
    stage = plan.stages[record.step]
    worst_first = sorted(record.rulings, key=lambda r: -SEVERITY.index(r.status))
    return [
        f"  {record.sentence}",
        *aligned([_ruling(r) for r in worst_first]),
        f"  baked {_seconds(record.baked_us)} of {_seconds(stage.bake_us)}; "
        f"{100 * record.alpha_spent:.2g} % of the {100 * plan.alpha:g} % error budget could be spent by now",
    ]


def _ruling(ruling: WatchRuling) -> tuple[str, ...]:
    value = "–" if ruling.value is None else f"{ruling.value:.4g}"
    ends = f" [{_end(ruling.low)}, {_end(ruling.high)}]" if ruling.low is not None or ruling.high is not None else ""
    return (
        f"    {_WORD.get(ruling.status, ruling.status.value)}",
        ruling.watch,
        f"{ruling.metric} {value}{ends}",
        f"{ruling.n_challenger:,} against {ruling.n_champion:,} units",
    )


def _end(value: float | None) -> str:
    return "…" if value is None else f"{value:.4g}"


def _seconds(us: int) -> str:
    """A stretch of time as a person says it.

    >>> _seconds(90_000_000), _seconds(7_200_000_000), _seconds(500_000)
    ('1.5 min', '2 h', '0.5 s')
    """
    seconds = us / 1e6
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _worker(seen: WorkerSeen) -> tuple[str, ...]:
    state = "no sign of life" if seen.is_silent else f"follows epoch {seen.epoch}"
    refused = "; ".join(f"refuses {short(package)}: {why}" for package, why in seen.refused.items())
    return (f"  worker {seen.worker}", f"process {seen.pid}", state, f"{len(seen.ready)} models ready", refused)


def _next(record: Situation) -> str:
    now = record.standing
    assert now is not None
    if not now.is_under_way:
        return "gonogo release" if now.phase is Phase.ROLLED_BACK else "nothing: it is released; gonogo rollback still brings it back"
    if not record.workers:
        return "gonogo serve: nothing moves while nobody serves"
    if now.held:
        return "gonogo rollout resume --why …, or gonogo rollout abort --why …"
    if now.waits_for_approval:
        return "gonogo rollout approve --why …"
    return "wait: it moves by evidence alone; gonogo rollback CONTRACT --why … brings it back at once"


def imported(record: Imported) -> str:
    """What became of a file of outcomes."""
    left_out = [f"{n:,} {what}" for n, what in ((record.n_repeated, "repeated"), (record.n_unknown, "not known yet")) if n]
    said = f"{record.n_taken:,} of {record.n_rows:,} outcomes taken from {record.source}"
    if record.before:
        said = f"{record.source} was taken before; nothing was written"
    return "\n".join([said + (f" ({', '.join(left_out)})" if left_out else ""), "next: gonogo rollout status"])


def commanded(record: Done) -> str:
    """What an order came to, and who follows it."""
    now = record.standing
    where = "" if now is None else f"  {now.phase.value.replace('_', ' ')} at {share(now.share)}, epoch {now.epoch}"
    workers = ", ".join(map(str, record.workers))
    confirmed = (
        f"confirmed by worker{'s' if len(record.workers) > 1 else ''} {workers} within {record.seconds:g} s"
        if record.workers
        else "nobody serves: whoever starts to serve follows it"
    )
    return "\n".join(
        [
            f"{_DONE[record.command].upper()}  {record.contract}{where}  champion {short(record.champion)}",
            f"  entry {record.entry} of the ledger; {confirmed}",
            "next: gonogo rollout status",
        ]
    )
