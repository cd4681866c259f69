"""One word about the whole service, with its evidence and the next step. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from brokers.operations import QueueState
from brokers.queues import Priority
from notifications.problems import STALLED_AFTER_S, stuck_after_s
from settings.schema import AlertsSettings
from sync.incident import Incident
from sync.report import Run
from web.dashboard.evidence import Evidence, Level
from web.dashboard.incidents import incident_evidence

# Without one of these roles nothing is done at all, or nothing by itself.
IDLE_WITHOUT = ("workers", "scheduler")
# A single failed sync tells of itself; from three on something is the matter with all of them.
TROUBLE_LEAST = 3
RATES_MINUTES = 5
# The service before this one called a job stuck that had been active for so long.
SLOW_AFTER_S = 30 * 60


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
class Trouble:
    """Syncs that failed in the last hour, or are put off now, for one reason; an example of them."""

    count: int
    is_put_off: bool
    message: str
    run_id: str


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
    processes that stopped to beat a short while ago without saying so. `incidents` are the open
    ones, `rules` the thresholds that opened them.
    """

    checks: Mapping[str, Mapping[str, Any]]
    required: Sequence[str]
    queues: Sequence[QueueState]
    worker_count: int
    running: Sequence[Running]
    paused_by: Mapping[str, str]
    troubles: Sequence[Trouble] = ()
    succeeded_count: int = 0
    silent: Sequence[str] = ()
    slow: Sequence[Slow] = ()
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


def judge(facts: Facts) -> Verdict:
    """The worst of everything that was found, worst first."""
    found = [
        *_checks(facts),
        *_queues(facts),
        *_stuck(facts),
        *_slow(facts),
        *_troubles(facts),
        *_silent(facts),
        *incident_evidence(facts.incidents),
    ]
    ordered = sorted(found, key=lambda one: list(Level).index(one.level), reverse=True)
    level = ordered[0].level if ordered else Level.GOOD
    return Verdict(level=level, headline=HEADLINES[level], evidence=ordered)


def _checks(facts: Facts) -> Iterator[Evidence]:
    is_out = any(facts.checks.get(name, {}).get("status") == "fail" for name in facts.required)
    for name, check in facts.checks.items():
        # While Redis is gone, whatever is asked of it fails too, and tells nothing more.
        if is_out and check["status"] == "fail" and name not in facts.required:
            continue
        # What is the matter with a queue is told below, queue by queue.
        if check["status"] == "pass" or name == "queues":
            continue
        is_urgent = (check["status"] == "fail" and name in facts.required) or name in IDLE_WITHOUT
        hint = str(check.get("output", "It does not answer."))
        yield Evidence(
            level=Level.ACT if is_urgent else Level.LOOK,
            what=f"{name}: {hint}",
            step="See all checks",
            href="/workers#checks",
        )


def _queues(facts: Facts) -> Iterator[Evidence]:
    for queue in facts.queues:
        yield from _flow(queue, facts)
        yield from _failures(queue, facts.rules)
        if queue.dead:
            yield Evidence(
                level=Level.LOOK,
                what=f"{queue.dead:,} dead letters in {queue.name}.",
                step="See why, then retry or delete them",
                href=f"/dead?queue={queue.name}",
            )
        if not queue.ledger.is_balanced:
            yield Evidence(
                level=Level.ACT,
                what=f"The ledger of {queue.name} does not balance: messages are unaccounted for.",
                step="Compare the ledger's columns and keep Redis's data",
                href="/queues",
            )


def _flow(queue: QueueState, facts: Facts) -> Iterator[Evidence]:
    age_s = queue.oldest_age_s or 0.0
    waiting = f"{queue.depth:,} wait in {queue.name}, the oldest for {round(age_s / 60)} min"
    if queue.is_paused:
        by = facts.paused_by.get(queue.name)
        what = f"{queue.name} is paused{f' by {by}' if by else ''}"
        level = Level.LOOK if queue.depth == 0 or age_s < STALLED_AFTER_S else Level.ACT
        yield Evidence(level=level, what=f"{what}; {queue.depth:,} wait.", step="Resume it", href="/queues")
    elif queue.depth and age_s > STALLED_AFTER_S and queue.leased == 0 and queue.done_per_minute == 0:
        why = "no worker lives" if facts.worker_count == 0 else "nothing of it has started for five minutes"
        yield Evidence(
            level=Level.ACT, what=f"{waiting}, and {why}.", step="Look at the workers", href="/workers"
        )
    elif (patience_s := facts.rules.patience_s(queue.name)) is not None and age_s > patience_s:
        level = Level.ACT if age_s > 2 * patience_s else Level.LOOK
        yield Evidence(
            level=level, what=f"{waiting}.", step="Start more workers, or see what runs", href="/workers"
        )
    elif (limit := facts.rules.usual_backlog(queue.name)) is not None and _pressing(queue) > limit:
        pressing = _pressing(queue)
        is_bad = pressing > facts.rules.backlog_error_factor * limit and age_s > STALLED_AFTER_S
        level = Level.ACT if is_bad else Level.LOOK
        yield Evidence(
            level=level,
            what=f"{pressing:,} wait in {queue.name} above low priority; usual are up to {limit}.",
            step="See who sends them",
            href="/runs?state=queued",
        )


def _pressing(queue: QueueState) -> int:
    return sum(count for priority, count in queue.waiting.items() if priority is not Priority.LOW)


def _failures(queue: QueueState, rules: AlertsSettings) -> Iterator[Evidence]:
    done, died = queue.done_per_minute * RATES_MINUTES, queue.died_per_minute * RATES_MINUTES
    total = done + died
    if total < rules.failure_least or died / total <= rules.failure_share:
        return
    yield Evidence(
        level=Level.ACT if died / total > rules.failure_error_share else Level.LOOK,
        what=f"{died:.0f} of the last {total:.0f} messages of {queue.name} died.",
        step="See their errors",
        href=f"/dead?queue={queue.name}",
    )


def _stuck(facts: Facts) -> Iterator[Evidence]:
    for one in facts.running:
        if one.is_stuck(facts.rules):
            minutes = round(one.elapsed.total_seconds() / 60)
            of = f"account {one.run.account_id}" if one.run.account_id else str(one.run.organisation_id)
            yield Evidence(
                level=Level.LOOK,
                what=f"The sync of {of} has run for {minutes} min, far longer than it usually does.",
                step="See where it is",
                href=f"/runs/{one.run.id}",
            )


def _slow(facts: Facts) -> Iterator[Evidence]:
    for one in facts.slow:
        yield Evidence(
            level=Level.LOOK,
            what=f"{one.count:,} messages of {one.queue} have run for more than {SLOW_AFTER_S // 60} min, "
            f"the longest for {round(one.longest_s / 60)} min.",
            step="See what runs, and on which worker",
            href="/workers",
        )


def _troubles(facts: Facts) -> Iterator[Evidence]:
    ended = facts.succeeded_count + sum(one.count for one in facts.troubles)
    for one in facts.troubles:
        is_most = one.count >= TROUBLE_LEAST and one.count > facts.rules.failure_error_share * ended
        syncs = "sync is" if one.count == 1 else "syncs are"
        failed = "1 sync failed" if one.count == 1 else f"{one.count:,} syncs failed"
        what = f"{one.count:,} {syncs} put off" if one.is_put_off else f"{failed} in the last hour"
        yield Evidence(
            level=Level.ACT if is_most else Level.LOOK,
            what=f"{what}: {one.message}",
            step="See the last one",
            href=f"/runs/{one.run_id}",
        )


def _silent(facts: Facts) -> Iterator[Evidence]:
    for process in facts.silent:
        yield Evidence(
            level=Level.LOOK,
            what=f"{process} fell silent without saying that it ends; others do its work.",
            step="See which processes live",
            href="/workers",
        )
