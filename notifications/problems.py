"""What somebody should know of: from what one look saw to problems by subject; pure.

Each problem says what, how bad, whose side it is on and the next step; since when is kept
with its incident. The thresholds are those of the settings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from notifications.blame import Failing
from notifications.subjects import channel_key, queue_key
from settings.canary import Ending, Outcome
from settings.schema import AlertsSettings
from sync.causes import Party
from sync.counting import counted, counted_are
from sync.incident import Severity

# A forgotten pause was forced open after two hours by the service before this one.
PAUSED_ERROR_S = 7200.0
# However quick an account's syncs are, one of ten minutes is not stuck.
LEAST_STUCK_S = 600.0
# Waiting for longer, with nothing at work, is no matter of turns.
STALLED_AFTER_S = 60.0
# Below one message a minute a rate says nothing.
LEAST_RATE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """A queue at one look; rates a minute over the window, `usual_rate` over the rest of the hour.

    `pressing` are the waiting messages above low priority.
    """

    name: str
    is_paused: bool = False
    waiting: int = 0
    pressing: int = 0
    leased: int = 0
    oldest_age_s: float = 0.0
    done: int = 0
    died: int = 0
    rate: float = 0.0
    usual_rate: float = 0.0
    is_balanced: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFacts:
    """A run at work, and how long its account's runs take at most (None: unknown)."""

    run_id: str
    subject: str
    elapsed_s: float
    usual_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one look saw.

    `open_breakers` are providers that are left alone for now; `refusing` are the channels
    that refused notices, `switched_off` those that want no more, each with the reason, and
    `waiting_notices` how many wait for each;
    `canaries` are versions of the settings whose trial ended a short while ago; `refused_changes`
    are those that the CMS refused when they were brought there, `refused_last` tells of the last.
    """

    queues: Sequence[QueueFacts] = ()
    failing: Sequence[Failing] = ()
    running: Sequence[RunningFacts] = ()
    open_breakers: Collection[str] = ()
    taking_workers: int = 1
    has_leader: bool = True
    troubled_entries: Mapping[str, str] = field(default_factory=dict)
    stale_count: int = 0
    stalest: Sequence[str] = ()
    refusing: Mapping[str, str] | None = None
    switched_off: Mapping[str, str] | None = None
    waiting_notices: Mapping[str, int] | None = None
    canaries: Sequence[Ending] = ()
    refused_changes: int = 0
    refused_last: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`is_sure` needs no second look; `count` is how many failures it stands for."""

    key: str
    kind: str
    severity: Severity
    what: str
    step: str
    party: Party | None = None
    is_sure: bool = False
    count: int = 0


def find_problems(facts: Facts, rules: AlertsSettings) -> Sequence[Problem]:
    """Everything that is beyond its threshold."""
    found = [*_processes(facts), *_runs(facts, rules), *_breakers(facts), *_stuck(facts, rules)]
    for queue in facts.queues:
        found += _queue(queue, rules, has_worker=facts.taking_workers > 0)
    return [
        *found,
        *_entries(facts),
        *_freshness(facts),
        *_channels(facts),
        *_refused(facts),
        *_canaries(facts),
    ]


def stuck_after_s(usual_s: float | None, rules: AlertsSettings) -> float:
    """From when on a run is stuck whose account's runs take `usual_s` at most (None: unknown)."""
    if usual_s is None:
        return rules.stuck_s
    return max(LEAST_STUCK_S, rules.stuck_factor * usual_s)


def _processes(facts: Facts) -> Iterator[Problem]:
    if not facts.taking_workers:
        waiting = sum(queue.waiting for queue in facts.queues)
        yield Problem(
            key="workers",
            kind="no_worker",
            severity=Severity.ERROR,
            what=f"No worker takes messages; {waiting:,} wait.",
            step="Start one with `clubsync worker`, or end the quiet with `clubsync workers quiet ID --off`.",
        )
    if not facts.has_leader:
        yield Problem(
            key="scheduler",
            kind="no_leader",
            severity=Severity.ERROR,
            what="No scheduler leads: no batch is sent, no lease of a dead worker is recovered.",
            step="Start one with `clubsync scheduler`; its log says why it ended.",
        )


def _entries(facts: Facts) -> Iterator[Problem]:
    for name, trouble in facts.troubled_entries.items():
        yield Problem(
            key=f"schedule:{name}",
            kind="entry_troubled",
            severity=Severity.WARNING,
            what=f"The schedule's entry {name} {trouble}.",
            step=f"See `clubsync schedule list`; once it is mended, `clubsync schedule resume {name}`.",
            is_sure=True,
        )


def _runs(facts: Facts, rules: AlertsSettings) -> Iterator[Problem]:
    for group in facts.failing:
        if group.run_count < rules.grouped_from:
            continue
        is_bad = group.total >= rules.failure_least and group.share > rules.failure_error_share
        yield Problem(
            key=group.key,
            kind="runs_failing",
            severity=Severity.ERROR if is_bad else Severity.WARNING,
            what=group.sentence,
            step=group.step,
            party=group.party,
            is_sure=True,
            count=group.run_count,
        )


def _breakers(facts: Facts) -> Iterator[Problem]:
    for provider in facts.open_breakers:
        yield Problem(
            key=f"provider:{provider}",
            kind="breaker_open",
            severity=Severity.WARNING,
            what=f"{provider} kept failing and is left alone for a minute at a time.",
            step="See whether the provider says that it is down. It is asked again by itself.",
            party=Party.PROVIDER,
            is_sure=True,
        )


def _stuck(facts: Facts, rules: AlertsSettings) -> Iterator[Problem]:
    stuck = [run for run in facts.running if run.elapsed_s > stuck_after_s(run.usual_s, rules)]
    if stuck:
        worst = max(stuck, key=lambda run: run.elapsed_s)
        whose = "its account" if len(stuck) == 1 else "their accounts"
        usual = f", usually at most {_minutes(worst.usual_s)}" if worst.usual_s is not None else ""
        yield Problem(
            key="stuck",
            kind="stuck",
            severity=Severity.WARNING,
            what=(
                f"{_taking(len(stuck))} far longer than usual for {whose}; {worst.subject} has run "
                f"for {_minutes(worst.elapsed_s)}{usual}."
            ),
            step=f"`clubsync runs show {worst.run_id}` says where it is.",
        )


def _queue(queue: QueueFacts, rules: AlertsSettings, *, has_worker: bool) -> Iterator[Problem]:
    yield from _flow(queue, rules, has_worker=has_worker)
    total = queue.done + queue.died
    if total >= rules.failure_least and queue.died / total > rules.failure_share:
        is_bad = queue.died / total > rules.failure_error_share
        yield _of_queue(
            queue,
            "messages_failing",
            Severity.ERROR if is_bad else Severity.WARNING,
            f"{queue.died:,} of the last {total:,} messages of {queue.name} died.",
            f"`clubsync dead list --queue {queue.name}` has their errors.",
        )
    if queue.died >= rules.dead_letters:
        yield _of_queue(
            queue,
            "dead_letters",
            Severity.WARNING,
            f"{counted(queue.died, 'new dead letter')} in {queue.name} within {_minutes(rules.window_s)}.",
            f"`clubsync dead list --queue {queue.name}`; retry them once their cause is mended.",
        )
    if not queue.is_balanced:
        yield _of_queue(
            queue,
            "ledger",
            Severity.ERROR,
            f"The ledger of {queue.name} does not balance: messages are unaccounted for.",
            "Keep `clubsync queues --json`, purge nothing, tell a developer.",
        )


def _flow(queue: QueueFacts, rules: AlertsSettings, *, has_worker: bool) -> Iterator[Problem]:
    age_s = queue.oldest_age_s
    waiting = f"{queue.waiting:,} wait in {queue.name}, the oldest for {_minutes(age_s)}"
    if queue.is_paused:
        if queue.waiting and age_s > rules.paused_s:
            yield _of_queue(
                queue,
                "paused",
                Severity.ERROR if age_s > PAUSED_ERROR_S else Severity.WARNING,
                f"{queue.name} is paused, perhaps by mistake: {waiting}.",
                f"`clubsync queues resume {queue.name}`; "
                f"`clubsync audit --subject {queue.name}` says who paused it.",
            )
        return
    limit_s = rules.patience_s(queue.name)
    if has_worker and queue.waiting and age_s > STALLED_AFTER_S and not queue.leased and not queue.done:
        yield _of_queue(
            queue,
            "stalled",
            Severity.ERROR,
            f"{waiting}, and nothing of it starts although workers live.",
            "`clubsync workers`: does any of them serve this queue? Restart one that does not.",
        )
    elif limit_s is not None and age_s > limit_s:
        yield _of_queue(
            queue,
            "oldest_age",
            Severity.ERROR if age_s > 2 * limit_s else Severity.WARNING,
            f"{waiting}; it should be at most {_minutes(limit_s)}.",
            "Start more workers, or see what runs: `clubsync queues`, `clubsync runs list --state running`.",
        )
    backlog = rules.usual_backlog(queue.name)
    if backlog is not None and queue.pressing > backlog:
        yield _of_queue(
            queue,
            "backlog",
            Severity.ERROR if queue.pressing > rules.backlog_error_factor * backlog else Severity.WARNING,
            f"{queue.pressing:,} messages above low priority wait in {queue.name}; {backlog} are usual.",
            "`clubsync runs list --state queued` says whose they are; more workers take them sooner.",
        )
    if queue.waiting and queue.usual_rate >= LEAST_RATE and queue.rate < rules.slow_share * queue.usual_rate:
        yield _of_queue(
            queue,
            "slow",
            Severity.WARNING,
            f"{queue.name} is done at {queue.rate:.1f} a minute, usually {queue.usual_rate:.1f}; {waiting}.",
            "`clubsync runs list --state deferred`: does a provider throttle? If not, see the workers' load.",
        )


def _of_queue(queue: QueueFacts, kind: str, severity: Severity, what: str, step: str) -> Problem:
    return Problem(key=queue_key(queue.name), kind=kind, severity=severity, what=what, step=step)


def _freshness(facts: Facts) -> Iterator[Problem]:
    if facts.stale_count:
        yield Problem(
            key="freshness",
            kind="freshness",
            severity=Severity.WARNING,
            what=(
                f"{counted_are(facts.stale_count, 'account')} older than the target: "
                f"{', '.join(facts.stalest)}."
            ),
            step="`clubsync alerts stale` lists them; `clubsync runs list --account ID` says why.",
            count=facts.stale_count,
        )


def _channels(facts: Facts) -> Iterator[Problem]:
    for channel, reason in (facts.refusing or {}).items():
        yield Problem(
            key=channel_key(channel),
            kind="channel_refuses",
            severity=Severity.ERROR,
            what=f"{channel} refuses notices: {reason}.",
            step="Mend its settings, then `clubsync dead retry --queue notifications`.",
            is_sure=True,
        )
    off, waiting = facts.switched_off or {}, facts.waiting_notices or {}
    for channel, reason in off.items():
        kept = f" {counted_are(waiting[channel], 'notice')} kept for it." if channel in waiting else ""
        yield Problem(
            key=channel_key(channel),
            kind="channel_off",
            severity=Severity.ERROR,
            what=f"{channel} is switched off, because it wants no more notices: {reason}.{kept}",
            step=f"Give it another address, or, when it takes notices again, "
            f"`clubsync notices switch-on {channel}`.",
            is_sure=True,
        )
    for channel, count in waiting.items():
        if channel in off:
            continue
        yield Problem(
            key=channel_key(channel),
            kind="channel_down",
            severity=Severity.WARNING,
            what=f"{counted_are(count, 'notice')} kept for {channel}, which does not answer.",
            step="Nothing is lost: they are told as a summary when it is back.",
        )


def _refused(facts: Facts) -> Iterator[Problem]:
    if facts.refused_changes:
        yield Problem(
            key="cms",
            kind="cms_refused",
            severity=Severity.WARNING,
            what=f"The CMS refused {facts.refused_changes:,} changes that had waited for it,"
            f" the last {facts.refused_last}.",
            step="Mend what it refuses, then `clubsync runs retry ID`; the next sync tries them as well.",
            party=Party.CMS,
            is_sure=True,
            count=facts.refused_changes,
        )


def _canaries(facts: Facts) -> Iterator[Problem]:
    """Told once each; over when they are old news, for nothing is left to be mended."""
    for ending in facts.canaries:
        is_withdrawn = ending.outcome is Outcome.WITHDRAWN
        became = "was taken back" if is_withdrawn else "is in force everywhere"
        yield Problem(
            key=f"canary:{ending.number}",
            kind=f"canary_{ending.outcome.value}",
            severity=Severity.WARNING if is_withdrawn else Severity.INFO,
            what=f"Version {ending.number} of the settings {became} after its trial: {ending.reason}.",
            step=(
                "`clubsync config history` has what it changed; mend that before it is tried again."
                if is_withdrawn
                else "Nothing; `clubsync config history` has what it changed."
            ),
            is_sure=True,
        )


def _taking(count: int) -> str:
    return f"{counted(count, 'run')} {'takes' if count == 1 else 'take'}"


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
