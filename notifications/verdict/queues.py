"""What the queues say: paused, unserved, stalled, late, full, failing, unbalanced."""

from __future__ import annotations

from collections.abc import Iterator

from notifications.problems import STALLED_AFTER_S
from notifications.queue_state import LOW, QueueState
from notifications.verdict.evidence import Evidence, Level
from notifications.verdict.facts import Facts, Pause
from settings.schema import AlertsSettings
from sync.counting import counted

# Over which the rates of a queue are counted.
RATES_MINUTES = 5


def queue_evidence(facts: Facts) -> Iterator[Evidence]:
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


def _flow(queue: QueueState, facts: Facts) -> Iterator[Evidence]:
    """The first of what may hold a queue up."""
    age_s = queue.oldest_age_s or 0.0
    patience_s, limit = facts.rules.patience_s(queue.name), facts.rules.usual_backlog(queue.name)
    if queue.is_paused:
        yield _paused(queue, facts.paused_by.get(queue.name), age_s)
    elif queue.name in facts.unserved:
        yield _unserved(queue, age_s)
    elif queue.depth and age_s > STALLED_AFTER_S and queue.leased == 0 and queue.done_per_minute == 0:
        why = "no worker lives" if facts.worker_count == 0 else "nothing of it has started for five minutes"
        yield Evidence(
            key=f"queue:{queue.name}",
            level=Level.ACT,
            what=f"{_waiting(queue, age_s)}, and {why}.",
            step="Look at the workers",
            href="/workers",
            command="clubsync workers",
        )
    elif patience_s is not None and age_s > patience_s:
        yield Evidence(
            key=f"queue:{queue.name}",
            level=Level.ACT if age_s > 2 * patience_s else Level.LOOK,
            what=f"{_waiting(queue, age_s)}.",
            step="Start more workers, or see what runs",
            href="/workers",
            command="clubsync workers",
        )
    elif limit is not None and (pressing := _pressing(queue)) > limit:
        is_bad = pressing > facts.rules.backlog_error_factor * limit and age_s > STALLED_AFTER_S
        yield Evidence(
            key=f"queue:{queue.name}",
            level=Level.ACT if is_bad else Level.LOOK,
            what=f"{pressing:,} wait in {queue.name} above low priority; usual are up to {limit}.",
            step="See who sends them",
            href="/runs?state=queued",
            command="clubsync runs list --state queued",
        )


def _paused(queue: QueueState, pause: Pause | None, age_s: float) -> Evidence:
    what = f"{queue.name} is paused{f' by {pause.by}' if pause else ''}"
    return Evidence(
        key=f"paused:{queue.name}",
        level=Level.LOOK if queue.depth == 0 or age_s < STALLED_AFTER_S else Level.ACT,
        what=f"{what}; {_wait(queue)}.",
        step="Resume it",
        href=f"/queues#{queue.name}",
        command=f"clubsync queues resume {queue.name}",
        since=pause.at if pause else None,
    )


def _unserved(queue: QueueState, age_s: float) -> Evidence:
    return Evidence(
        key=f"queue:{queue.name}",
        level=Level.ACT if queue.depth and age_s > STALLED_AFTER_S else Level.LOOK,
        what=f"No worker serves {queue.name}; {_wait(queue)} there. "
        "Start one that does, or purge what waits.",
        step="See who serves what",
        href="/workers",
        command="clubsync workers",
    )


def _wait(queue: QueueState) -> str:
    return f"{queue.depth:,} {'waits' if queue.depth == 1 else 'wait'}"


def _waiting(queue: QueueState, age_s: float) -> str:
    minutes = round(age_s / 60)
    if queue.depth == 1:
        return f"{_wait(queue)} in {queue.name}, for {minutes} min"
    return f"{_wait(queue)} in {queue.name}, the oldest for {minutes} min"


def _pressing(queue: QueueState) -> int:
    return sum(count for priority, count in queue.waiting.items() if priority != LOW)


def _failures(queue: QueueState, rules: AlertsSettings) -> Iterator[Evidence]:
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
