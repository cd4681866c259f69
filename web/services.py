"""What the web process is made of; `__main__` builds it, tests build another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from brokers.dead_index import DeadIndex
from brokers.dead_letters import DeadLetters
from brokers.fingerprints import fingerprint
from brokers.latency import SYNC_QUEUES
from brokers.mass_retry import MassRetries
from brokers.messages import message_of
from brokers.metrics import Series, Totals
from brokers.operations import Operations
from brokers.removal import Removal
from brokers.whereabouts import Whereabouts
from cms.lookups import FindKinds
from notifications.blame import step_of
from notifications.verdict.sight import SILENT_FOR_S, Sight
from settings.loader import Loaded
from settings.schema import Settings
from settings.versions import History
from stores.redis.batches import Batches
from stores.redis.gates import Gates
from stores.redis.idempotency import Answers
from stores.redis.progress import Progress
from stores.redis.registry import Registry
from stores.redis.request_limits import RequestLimits
from stores.redis.run_totals import Counted
from stores.redis.schedule import Schedule
from stores.redis.trends import Trends
from stores.redis.versions import RedisVersions
from stores.sql.stores import SqlStores
from stores.sql.tokens import Tokens
from stores.why import Why
from sync.by_hand.approval_run import ApprovalRun
from sync.by_hand.run import ByHandRun
from sync.by_hand.undo_run import UndoRun
from sync.model import Account
from sync.ports import Clock, Cms, Leases
from web.health import Check
from web.ports import Publisher, ReadLatency


@dataclass(frozen=True, kw_only=True)
class Services:
    """`loaded` answers the settings in force now; `providers` names the installed ones.

    `config_number` is that of their version, 0 until it is known.
    `find_account` asks the CMS, `find_kinds` for the kinds of many accounts. What is sent
    inside `noted_together` has its runs and audit lines written at its end. `find_message`
    finds the message of a unique key.
    `stopping` is set when the process drains.
    """

    loaded: Callable[[], Loaded]
    config_number: Callable[[], int]
    versions: RedisVersions
    history: History
    providers: Collection[str]
    cms: Cms
    leases: Leases
    find_account: Callable[[int], Account]
    find_kinds: FindKinds
    noted_together: Callable[[], AbstractContextManager[None]]
    tokens: Tokens
    stores: SqlStores
    progress: Progress
    publisher: Publisher
    operations: Operations
    letters: DeadLetters
    dead: DeadIndex
    mass_retries: MassRetries
    removal: Removal
    find_message: Callable[[str], Whereabouts | None]
    gates: Gates
    provider_hosts: Mapping[str, str]
    answers: Answers
    request_limits: RequestLimits
    checks: Sequence[Check]
    clock: Clock
    registry: Registry
    trends: Trends
    batches: Batches
    schedule: Schedule
    read_latency: ReadLatency
    read_metrics: Callable[[], Mapping[Series, Totals]]
    read_run_totals: Callable[[], Mapping[Counted, float]]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def settings(self) -> Settings:
        return self.loaded().settings

    @property
    def by_hand(self) -> ByHandRun:
        """What people have written, in this process and at once: they wait for the answer."""
        return ByHandRun(cms=self.cms, runs=self.stores.runs, leases=self.leases, clock=self.clock)

    @property
    def approvals(self) -> ApprovalRun:
        return ApprovalRun(
            by_hand=self.by_hand,
            plans=self.stores.changes,
            decisions=self.stores.decisions,
            sizes=self.stores.sizes,
            confirmations=self.settings().sync.removal_confirmations,
        )

    @property
    def why(self) -> Why:
        return Why(
            stores=self.stores,
            gates=self.gates,
            schedule=self.schedule,
            queues=self.operations,
            find_message=self.find_message,
            message_of=message_of,
            provider_hosts=self.provider_hosts,
            settings=self.settings,
            clock=self.clock,
            find_silent=lambda: self.registry.silent(SILENT_FOR_S),
            step_of=step_of,
        )

    @property
    def sight(self) -> Sight:
        return Sight(
            stores=self.stores,
            registry=self.registry,
            operations=self.operations,
            gates=self.gates,
            sync_queues=SYNC_QUEUES,
            alike=fingerprint,
            settings=self.settings,
            clock=self.clock,
        )

    @property
    def undos(self) -> UndoRun:
        return UndoRun(by_hand=self.by_hand, history=self.stores.changes)


async def _services(request: Request) -> Services:
    # Async only to be answered in the event loop: a thread would cost more than the look.
    services: Services = request.app.state.services
    return services


Has = Annotated[Services, Depends(_services)]
