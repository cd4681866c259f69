"""One word about the whole service, with its evidence and the next step. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from notifications.problems import STALLED_AFTER_S, stuck_after_s
from notifications.verdict.evidence import Evidence, Level
from notifications.verdict.incidents import incident_evidence
from notifications.verdict.merging import confirmed, one_each
from settings.schema import AlertsSettings
from sync.causes import Party
from sync.counting import counted
from sync.incident import Incident
from sync.report import Run

# Without one of these roles nothing is done at all, or nothing by itself.
IDLE_WITHOUT = ("workers", "scheduler")
# A single failed sync tells of itself; from three on something is the matter with all of them.
TROUBLE_LEAST = 3
RATES_MINUTES = 5
# Batches run at it; `brokers.queues.Priority`.
LOW = "low"
# Most pauses are over before anybody could look.
THROTTLED_LEAST_S = 30.0
# What a check's evidence is about, where it is not called so.
KEYS = {"outbox": "cms"}
# The subjects of the keys that are judged anew for each view.
SEEN_LIVE = frozenset(
    {"queue", "paused", "dead", "ledger", "workers", "stuck", "provider", *(party.value for party in Party)}
)
# The service before this one called a job stuck that had been active for so long.
SLOW_AFTER_S = 30 * 60


class Balance(Protocol):
    @property
    def is_balanced(self) -> bool: ...


class QueueLook(Protocol):
    """`brokers.states.QueueState`; priorities are compared by their names."""

    @property
    def name(self) -> str: ...
    @property
    def waiting(self) -> Mapping[Any, int]: ...
    @property
    def depth(self) -> int: ...
    @property
    def leased(self) -> int: ...
    @property
    def dead(self) -> int: ...
    @property
    def oldest_age_s(self) -> float | None: ...
    @property
    def is_paused(self) -> bool: ...
    @property
    def done_per_minute(self) -> float: ...
    @property
    def died_per_minute(self) -> float: ...
    @property
    def ledger(self) -> Balance: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running sync, and how long its account's syncs usually take at most (None: unknown)."""

    run: Run
    elapsed: timedelta
    usual: timedelta | None

    def is_stuck(self, rules: AlertsSettings) -> bool:
        """Judged by the account's own history: a big association may take long every night."""
        usual_s = self.usual.total_seconds() if self.usual is not None else None
        return self.elapsed.total_seconds() > stuck_after_s(usual_s, rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Who paused a queue, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Syncs that failed in the last hour, or are put off now, for one reason; an example of them.

    `key` names what is at fault, `step` says what to do about it; `is_hopeless` is what fails
    every sync until a person has mended it.
    """

    key: str
    count: int
    is_put_off: bool
    message: str
    run_id: str
    step: str = ""
    is_hopeless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """Messages of a queue that are no syncs, and run for longer than any should."""

    queue: str
    count: int
    longest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`checks` is the health report; `paused_by` tells who paused a queue, where it is known.

    `succeeded_count` is of the last hour, as far as it matters beside the troubles. `silent` are
    processes that stopped to beat a short while ago without saying so. `unserved` are queues without
    a worker, `without_actor` what workers serve but cannot carry out. `throttled_s` says for how long
    providers are left alone yet. `held` are syncs of which a guard held something back, newest first.
    `names` are those of accounts, as far as they are kept here.
    `incidents` are the open ones, `rules` the thresholds that opened them.
    """

    checks: Mapping[str, Mapping[str, Any]]
    required: Sequence[str]
    queues: Sequence[QueueLook]
    worker_count: int
    running: Sequence[Running]
    paused_by: Mapping[str, Pause]
    troubles: Sequence[Trouble] = ()
    succeeded_count: int = 0
    silent: Sequence[str] = ()
    slow: Sequence[Slow] = ()
    unserved: Collection[str] = ()
    without_actor: Mapping[str, Sequence[str]] = field(default_factory=dict)
    throttled_s: Mapping[str, float] = field(default_factory=dict)
    held: Sequence[Run] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    sync_queues: frozenset[str] = frozenset()
    incidents: Sequence[Incident] = ()
    rules: AlertsSettings = field(default_factory=AlertsSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    level: Level
    headline: str
    evidence: Sequence[Evidence]


HEADLINES = {
    Level.GOOD: "All is well",
    Level.LOOK: "Have a look when you can",
    Level.ACT: "Somebody should act now",
}


def judge(facts: Facts, beside: Iterable[Evidence] = ()) -> Verdict:
    """The worst of everything that was found, one item a fault, worst first.

    `beside` is what somebody saw who looked closer than the facts do.
    """
    live = [
        *beside,
        *_checks(facts),
        *_queues(facts),
        *_workers(facts),
        *_stuck(facts),
        *_slow(facts),
        *_troubles(facts),
        *_throttled(facts),
        *_held(facts),
        *_silent(facts),
    ]
    found = confirmed(live, incident_evidence(facts.incidents), SEEN_LIVE)
    evidence = one_each(found, facts.sync_queues)
    level = evidence[0].level if evidence else Level.GOOD
    return Verdict(level=level, headline=HEADLINES[level], evidence=evidence)


def _checks(facts: Facts) -> Iterator[Evidence]:
    is_out = any(facts.checks.get(name, {}).get("status") == "fail" for name in facts.required)
    for name, check in facts.checks.items():
        # While Redis is gone, whatever is asked of it fails too, and tells nothing more.
        if is_out and check["status"] == "fail" and name not in facts.required:
            continue
        # Queues, who serves them, why syncs fail and who throttles are told below, one by one.
        if check["status"] == "pass" or name in ("queues", "served", "syncs"):
            continue
        if name.removeprefix("provider:") in facts.throttled_s:
            continue
        is_urgent = (check["status"] == "fail" and name in facts.required) or name in IDLE_WITHOUT
        hint = str(check.get("output", "It does not answer."))
        yield Evidence(
            key=KEYS.get(name, name),
            level=Level.ACT if is_urgent else Level.LOOK,
            what=f"{name}: {hint}",
            step="See all checks",
            href="/workers#checks",
            command=str(check.get("command", "")),
        )


def _queues(facts: Facts) -> Iterator[Evidence]:
    for queue in facts.queues:
        yield from _flow(queue, facts)
        yield from _failures(queue, facts.rules)
        if queue.dead:
            yield Evidence(
                key=f"dead:{queue.name}",
                level=Level.LOOK,
                what=f"{counted(queue.dead, 'dead letter')} in {queue.name}.",
                step="See why, then retry or delete them",
                href=f"/dead?queue={queue.name}",
                command=f"clubsync dead list --queue {queue.name}",
            )
        if not queue.ledger.is_balanced:
            yield Evidence(
                key=f"ledger:{queue.name}",
                level=Level.ACT,
                what=f"The ledger of {queue.name} does not balance: messages are unaccounted for.",
                step="Compare the ledger's columns and keep Redis's data",
                href="/queues",
                command="clubsync queues --json, for a developer",
            )


def _flow(queue: QueueLook, facts: Facts) -> Iterator[Evidence]:
    age_s = queue.oldest_age_s or 0.0
    key, name = f"queue:{queue.name}", queue.name
    waiting = f"{queue.depth:,} wait in {name}, the oldest for {round(age_s / 60)} min"
    if queue.depth == 1:
        waiting = f"1 waits in {name}, for {round(age_s / 60)} min"
    if queue.is_paused:
        pause = facts.paused_by.get(name)
        what = f"{name} is paused{f' by {pause.by}' if pause else ''}"
        level = Level.LOOK if queue.depth == 0 or age_s < STALLED_AFTER_S else Level.ACT
        yield Evidence(
            key=f"paused:{name}",
            level=level,
            what=f"{what}; {queue.depth:,} {'waits' if queue.depth == 1 else 'wait'}.",
            step="Resume it",
            href=f"/queues#{name}",
            command=f"clubsync queues resume {name}",
            since=pause.at if pause else None,
        )
    elif name in facts.unserved:
        yield Evidence(
            key=key,
            level=Level.ACT if queue.depth and age_s > STALLED_AFTER_S else Level.LOOK,
            what=f"No worker serves {name}; {queue.depth:,} {'waits' if queue.depth == 1 else 'wait'} there. "
            "Start one that does, or purge what waits.",
            step="See who serves what",
            href="/workers",
            command="clubsync workers",
        )
    elif queue.depth and age_s > STALLED_AFTER_S and queue.leased == 0 and queue.done_per_minute == 0:
        why = "no worker lives" if facts.worker_count == 0 else "nothing of it has started for five minutes"
        yield Evidence(
            key=key,
            level=Level.ACT,
            what=f"{waiting}, and {why}.",
            step="Look at the workers",
            href="/workers",
            command="clubsync workers",
        )
    elif (patience_s := facts.rules.patience_s(name)) is not None and age_s > patience_s:
        level = Level.ACT if age_s > 2 * patience_s else Level.LOOK
        yield Evidence(
            key=key,
            level=level,
            what=f"{waiting}.",
            step="Start more workers, or see what runs",
            href="/workers",
            command="clubsync workers",
        )
    elif (limit := facts.rules.usual_backlog(name)) is not None and _pressing(queue) > limit:
        pressing = _pressing(queue)
        is_bad = pressing > facts.rules.backlog_error_factor * limit and age_s > STALLED_AFTER_S
        level = Level.ACT if is_bad else Level.LOOK
        yield Evidence(
            key=key,
            level=level,
            what=f"{pressing:,} wait in {name} above low priority; usual are up to {limit}.",
            step="See who sends them",
            href="/runs?state=queued",
            command="clubsync runs list --state queued",
        )


def _pressing(queue: QueueLook) -> int:
    return sum(count for priority, count in queue.waiting.items() if priority != LOW)


def _failures(queue: QueueLook, rules: AlertsSettings) -> Iterator[Evidence]:
    done, died = queue.done_per_minute * RATES_MINUTES, queue.died_per_minute * RATES_MINUTES
    total = done + died
    if total < rules.failure_least or died / total <= rules.failure_share:
        return
    yield Evidence(
        key=f"dead:{queue.name}",
        level=Level.ACT if died / total > rules.failure_error_share else Level.LOOK,
        what=f"{died:.0f} of the last {total:.0f} messages of {queue.name} died.",
        step="See their errors",
        href=f"/dead?queue={queue.name}",
        command=f"clubsync dead list --queue {queue.name}",
    )


def _workers(facts: Facts) -> Iterator[Evidence]:
    for worker, names in facts.without_actor.items():
        yield Evidence(
            key=f"worker:{worker}",
            level=Level.LOOK,
            what=f"{worker} serves {', '.join(names)} but has no actor for it: its messages would die there.",
            step="Start it with this release's code",
            href="/workers",
            command="clubsync workers",
        )


def _stuck(facts: Facts) -> Iterator[Evidence]:
    for one in facts.running:
        if one.is_stuck(facts.rules):
            minutes = round(one.elapsed.total_seconds() / 60)
            of = _subject(one.run, facts)
            yield Evidence(
                key="stuck",
                level=Level.LOOK,
                what=f"The sync of {of} has run for {minutes} min, far longer than it usually does.",
                step="See where it is",
                href=f"/runs/{one.run.id}",
                command=f"clubsync runs show {one.run.id}",
            )


def _subject(run: Run, facts: Facts) -> str:
    if run.account_id is None:
        return f"organisation {run.organisation_id}"
    return facts.names.get(run.account_id, f"account {run.account_id}")


def _slow(facts: Facts) -> Iterator[Evidence]:
    for one in facts.slow:
        have = "has" if one.count == 1 else "have"
        longest = "" if one.count == 1 else ", the longest"
        yield Evidence(
            key=f"slow:{one.queue}",
            level=Level.LOOK,
            what=f"{counted(one.count, 'message')} of {one.queue} {have} run for more than "
            f"{SLOW_AFTER_S // 60} min{longest} for {round(one.longest_s / 60)} min.",
            step="See what runs, and on which worker",
            href="/workers",
            command="clubsync workers",
        )


def _troubles(facts: Facts) -> Iterator[Evidence]:
    ended = facts.succeeded_count + sum(one.count for one in facts.troubles)
    for one in facts.troubles:
        is_most = one.count >= TROUBLE_LEAST and one.count > facts.rules.failure_error_share * ended
        syncs = counted(one.count, "sync")
        put_off = f"{syncs} {'is' if one.count == 1 else 'are'} put off"
        what = put_off if one.is_put_off else f"{syncs} failed in the last hour"
        yield Evidence(
            key=one.key,
            level=Level.ACT if is_most or one.is_hopeless else Level.LOOK,
            what=f"{what}: {one.message.removesuffix('.')}. {one.step}".rstrip(),
            step="See the last one",
            href=f"/runs/{one.run_id}",
            command=one.step or f"clubsync runs show {one.run_id}",
        )


def _throttled(facts: Facts) -> Iterator[Evidence]:
    for provider, left_s in facts.throttled_s.items():
        if left_s > THROTTLED_LEAST_S:
            yield Evidence(
                key=f"provider:{provider}",
                level=Level.LOOK,
                what=f"{provider} throttles: everybody who uses its key pauses for "
                f"{max(1, round(left_s / 60))} min more. It goes on by itself.",
                step="See the quota",
                href="/#providers",
                command="clubsync runs list --state deferred",
            )


def _held(facts: Facts) -> Iterator[Evidence]:
    if facts.held:
        newest = facts.held[0]
        of = _subject(newest, facts)
        others = f" and {len(facts.held) - 1:,} more" if len(facts.held) > 1 else ""
        yield Evidence(
            key="held",
            level=Level.LOOK,
            what=f"A guard held back what the sync of {of}{others} would write; it waits for a person.",
            step="Approve or reject it",
            href=f"/runs/{newest.id}#plan",
            command=f"clubsync runs show {newest.id}",
        )


def _silent(facts: Facts) -> Iterator[Evidence]:
    by_origin: dict[str, list[str]] = {}
    for process in facts.silent:
        by_origin.setdefault(process.rpartition(":")[0], []).append(process)
    for origin, processes in by_origin.items():
        fell = f"{processes[-1]} fell silent without saying that it ends"
        role, _, host = origin.partition(":")
        often = f"A {role} on {host} fell silent {len(processes)} times in a quarter of an hour"
        yield Evidence(
            key=f"silent:{origin}",
            level=Level.LOOK,
            what=f"{fell if len(processes) == 1 else often}; its log or the machine's says why.",
            step="See which processes live",
            href="/workers",
            command="clubsync workers",
        )
