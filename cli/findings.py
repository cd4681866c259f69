"""What `status` and `doctor` find: the dashboard's own judgement, in a terminal's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from brokers.fingerprints import fingerprint
from brokers.latency import SYNC_QUEUES
from brokers.operations import Operations
from brokers.queues import Queue
from cli.backend import Backend
from notifications.verdict.evidence import Evidence, Level
from notifications.verdict.facts import Facts
from notifications.verdict.judge import judge
from notifications.verdict.sight import Sight
from stores.redis.gates import Gates
from stores.redis.registry import Registry

# Subjects of evidence that are a queue's.
OF_QUEUES = ("queue", "paused", "dead", "ledger", "rate", "slow")
NOTHING = Facts(checks={}, required=(), queues=[], worker_count=0, running=[], paused_by={})


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw; `hint` says what to do when it is not good, `also` what else comes of it."""

    check: str
    level: Level
    value: str
    hint: str = ""
    also: tuple[Finding, ...] = ()

    @property
    def is_good(self) -> bool:
        return self.level is Level.GOOD

    def document(self) -> Mapping[str, Any]:
        """As programs read it."""
        return {
            "check": self.check,
            "is_good": self.is_good,
            "level": self.level.value,
            "value": self.value,
            "hint": self.hint,
            "also": [one.document() for one in self.also],
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """What a command saw itself: what is good, and what is at fault."""

    good: tuple[Finding, ...] = ()
    faults: tuple[Evidence, ...] = ()

    def __add__(self, other: Seen) -> Seen:
        return Seen(self.good + other.good, self.faults + other.faults)


def good(check: str, value: str) -> Seen:
    return Seen(good=(Finding(check, Level.GOOD, value),))


def fault(key: str, level: Level, value: str, hint: str = "") -> Seen:
    """`key` names what is at fault, as the verdict does: what comes of it is told below it."""
    return Seen(faults=(Evidence(key=key, level=level, what=value, step="", href="", command=hint),))


def standing(backend: Backend) -> Facts:
    """How queues, syncs, providers and incidents stand. Raises what Redis and SQL raise."""
    namespace, operations = backend.settings.redis.namespace, Operations(backend.broker)
    sight = Sight(
        stores=backend.stores,
        registry=Registry(backend.redis, namespace, backend.clock),
        operations=operations,
        gates=Gates(backend.redis, namespace),
        sync_queues=SYNC_QUEUES,
        alike=fingerprint,
        settings=lambda: backend.in_force,
        clock=backend.clock,
    )
    return sight.facts({}, (), operations.queues(sorted({*Queue, *operations.queue_names()})))


def judged(seen: Seen, facts: Facts) -> list[Finding]:
    """What is good, then one item a fault, the worst first."""
    faults = [_finding(one) for one in judge(facts, seen.faults).evidence]
    told = {one.check for one in faults}
    quiet = [
        Finding(f"queue {queue.name}", Level.GOOD, f"{queue.depth} waiting")
        for queue in facts.queues
        if f"queue {queue.name}" not in told
    ]
    return [*seen.good, *quiet, *faults]


def worst(findings: Iterable[Finding]) -> Level:
    return max((one.level for one in findings), key=list(Level).index, default=Level.GOOD)


def _finding(evidence: Evidence) -> Finding:
    return Finding(
        _label(evidence.key),
        evidence.level,
        evidence.what.removesuffix(evidence.command).rstrip(),
        evidence.command,
        tuple(_finding(one) for one in evidence.also),
    )


def _label(key: str) -> str:
    subject, _, name = key.partition(":")
    return f"queue {name}" if subject in OF_QUEUES else f"{subject} {name}".strip()
