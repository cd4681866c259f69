"""What the commands work on, imported and opened when it is first needed.

A command pays for what it uses: SQLAlchemy, redis-py, dramatiq and the settings take a fifth of a
second each to import.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sync.clock import SystemClock
from sync.errors import ConfigurationError, StoreUnavailable

VERSIONS_KNOWN = 20

if TYPE_CHECKING:
    from redis import Redis

    from brokers.publisher import Publisher
    from brokers.redis import PriorityRedisBroker
    from brokers.removal import Removal
    from settings.schema import Settings
    from settings.versions import Version
    from stores.redis.turns import Turns
    from stores.sql.changes import ChangeEntry
    from stores.sql.outbox import SqlOutbox
    from stores.sql.stores import SqlStores
    from stores.why import Why
    from sync.by_hand.approval_run import ApprovalRun
    from sync.by_hand.run import ByHandRun
    from sync.by_hand.undo_run import UndoRun
    from sync.ports import Cms, Leases, Progressed


class Backend:
    """The database, Redis and the broker, as the settings name them."""

    def __init__(self, settings: Settings | None = None, redis_url: str | None = None) -> None:
        self.settings = settings or load_settings()
        self._redis_url = redis_url
        self.clock = SystemClock()

    @cached_property
    def stores(self) -> SqlStores:
        """The SQL stores; the embedded database is brought up to date by itself.

        Raises ConfigurationError for a configured database that lacks migrations.
        """
        from stores.sql.engine import open_engine
        from stores.sql.migrate import is_current, pending, upgrade
        from stores.sql.stores import open_stores

        settings = self.settings
        engine = open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
        if not is_current(engine):
            if settings.database.url is not None and (missing := pending(engine)):
                raise ConfigurationError(
                    f"the database lacks {len(missing)} migration(s), from {missing[0]}: run clubsync migrate"
                )
            upgrade(engine)
        return open_stores(engine, self.clock)

    @cached_property
    def redis_url(self) -> str:
        """Raises ConfigurationError when none is configured and none runs here."""
        if self._redis_url is not None:
            return self._redis_url
        if self.settings.redis.url is not None:
            return self.settings.redis.url.get_secret_value()
        from brokers import embedded

        found = embedded.discover(self.settings.home)
        if found is None:
            raise ConfigurationError(
                f"nothing runs in {self.settings.home}: start it with clubsync up, or set REDIS_URL"
            )
        return found

    @cached_property
    def in_force(self) -> Settings:
        """The settings with what was set live over them. Raises StoreUnavailable."""
        from settings.loader import load
        from stores.redis.versions import RedisVersions

        newest = RedisVersions(self.redis, self.settings.redis.namespace).in_force()
        return load(overrides=newest.overrides).settings if newest else self.settings

    @cached_property
    def redis(self) -> Redis:
        from brokers.clients import open_client

        return open_client(self.redis_url, max_connections=self.settings.redis.max_connections)

    @cached_property
    def broker(self) -> PriorityRedisBroker:
        """A broker that sends and looks; it carries out nothing."""
        from brokers.chain import open_sender
        from brokers.tracing import trace

        broker = open_sender(self.redis_url, namespace=self.settings.redis.namespace)
        trace(broker, "cli", is_on=self.settings.tracing.is_on)
        return broker

    @cached_property
    def removal(self) -> Removal:
        """What takes messages away for good, and ends their runs."""
        from brokers.removal import Removal

        return Removal(self.broker, runs=self.stores.runs, clock=self.clock)

    @cached_property
    def publisher(self) -> Publisher:
        from brokers.publisher import Publisher

        return Publisher(
            self.broker, runs=self.stores.runs, presets=lambda: self.in_force.presets, clock=self.clock
        )

    @cached_property
    def cms(self) -> Cms:
        """Where accounts live and records go."""
        from cms.registry import CmsContext, behind_outbox, open_cms

        context = CmsContext(settings=self.settings.cms, stores=self.stores, clock=self.clock)
        return behind_outbox(open_cms(context), context, self.outbox)

    @cached_property
    def outbox(self) -> SqlOutbox:
        """What waits for a CMS that is away."""
        from stores.sql.outbox import SqlOutbox

        max_records = self.settings.cms.outbox_max_records
        return SqlOutbox(self.stores.engine, self.clock, max_records=max_records)

    @cached_property
    def by_hand(self) -> ByHandRun:
        """What writes by hand, under the lease that syncs take too."""
        from sync.by_hand.run import ByHandRun

        return ByHandRun(cms=self.cms, runs=self.stores.runs, leases=self._leases, clock=self.clock)

    @cached_property
    def undo_run(self) -> UndoRun:
        """What takes a run back."""
        from sync.by_hand.undo_run import UndoRun

        return UndoRun(by_hand=self.by_hand, history=self.stores.changes)

    @cached_property
    def approval_run(self) -> ApprovalRun:
        """What carries out a plan that waits for a person."""
        from sync.by_hand.approval_run import ApprovalRun

        return ApprovalRun(
            by_hand=self.by_hand,
            plans=self.stores.changes,
            decisions=self.stores.decisions,
            sizes=self.stores.sizes,
            confirmations=self.settings.sync.removal_confirmations,
        )

    @cached_property
    def channel_turns(self) -> Turns:
        """Which channels may be told something."""
        from stores.redis.turns import Turns

        return Turns(self.redis, self.settings.redis.namespace)

    @cached_property
    def why(self) -> Why:
        """What tells why a sync does not run."""
        from functools import partial

        from brokers.messages import message_of
        from brokers.operations import Operations
        from brokers.whereabouts import find_message
        from notifications.blame import step_of
        from notifications.verdict.sight import SILENT_FOR_S
        from providers.hosts import provider_hosts
        from stores.redis.gates import Gates
        from stores.redis.registry import Registry
        from stores.redis.schedule import Schedule
        from stores.why import Why

        namespace = self.settings.redis.namespace
        registry = Registry(self.redis, namespace, self.clock)
        return Why(
            stores=self.stores,
            gates=Gates(self.redis, namespace),
            schedule=Schedule(self.redis, namespace),
            queues=Operations(self.broker),
            find_message=partial(find_message, self.broker),
            message_of=message_of,
            provider_hosts=provider_hosts(self.settings.providers),
            settings=lambda: self.settings,
            clock=self.clock,
            find_silent=lambda: registry.silent(SILENT_FOR_S),
            step_of=step_of,
        )

    def known_versions(self) -> Sequence[Version]:
        """The last versions of the settings; none when no Redis remembers any here."""
        from stores.redis.versions import RedisVersions

        try:
            return RedisVersions(self.redis, self.settings.redis.namespace).history(VERSIONS_KNOWN)
        except (ConfigurationError, StoreUnavailable):
            return []

    def progress_of(self, run_id: str) -> Sequence[Progressed]:
        """How far each stage of a run is that has begun; nothing where no Redis remembers it."""
        from stores.redis.progress import Progress
        from sync.report import Stage

        try:
            latest = Progress(self.redis, self.settings.redis.namespace).read(run_id)
        except (ConfigurationError, StoreUnavailable):
            return []
        return [latest[stage] for stage in Stage if stage in latest]

    @cached_property
    def _leases(self) -> Leases:
        from stores.redis.leases import RedisLeases

        return RedisLeases(self.redis, self.settings.redis.namespace, lease_s=self.settings.sync.lease_s)

    def changes_of(self, run_id: str) -> Iterator[ChangeEntry]:
        """Everything that the run wrote (or, dry, would write), in order."""
        cursor: str | None = None
        while True:
            page = self.stores.changes.of_run(run_id, limit=500, cursor=cursor)
            yield from page.items
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def audit(self, action: str, subject: str | None, detail: Mapping[str, Any]) -> None:
        """Note what the person at this terminal did."""
        self.stores.audit.record(
            actor=getpass.getuser(), source="cli", action=action, subject=subject, detail=detail
        )


def load_settings() -> Settings:
    """The settings in force here. Raises InvalidSettings with every mistake."""
    from settings.loader import load

    return load().settings


def migrate_database(settings: Settings) -> None:
    """Bring the database's tables up to date."""
    from stores.sql.engine import open_engine
    from stores.sql.migrate import upgrade

    upgrade(open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s))
