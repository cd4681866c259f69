"""One word about the whole service, with its evidence and the next step. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from notifications.verdict.evidence import Evidence, Level
from notifications.verdict.facts import SLOW_AFTER_S, Facts
from notifications.verdict.incidents import incident_evidence
from notifications.verdict.merging import confirmed, one_each
from notifications.verdict.queues import queue_evidence
from sync.causes import Party
from sync.counting import counted
from sync.report import Run

# Without one of these roles nothing is done at all, or nothing by itself.
IDLE_WITHOUT = ("workers", "scheduler")
# A single failed sync tells of itself; from three on something is the matter with all of them.
TROUBLE_LEAST = 3
# Most pauses are over before anybody could look.
THROTTLED_LEAST_S = 30.0
# What a check's evidence is about, where it is not called so.
KEYS = {"outbox": "cms"}
# The subjects of the keys that are judged anew for each view.
SEEN_LIVE = frozenset(
    {"queue", "paused", "dead", "ledger", "workers", "stuck", "provider", *(party.value for party in Party)}
)


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
        *queue_evidence(facts),
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


def _workers(facts: Facts) -> Iterator[Evidence]:
    if facts.quiet:
        waiting = sum(queue.depth for queue in facts.queues)
        yield Evidence(
            key="workers",
            level=Level.ACT if waiting else Level.LOOK,
            what=f"{', '.join(facts.quiet)} {'is' if len(facts.quiet) == 1 else 'are'} quiet, and no other "
            f"worker lives: nothing is started; {waiting:,} {'waits' if waiting == 1 else 'wait'}.",
            step="Wake it",
            href="/workers",
            command=f"clubsync workers quiet {facts.quiet[0]} --off",
        )
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
