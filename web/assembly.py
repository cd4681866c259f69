"""The services of the web process and the checks of its health, built from their parts."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from importlib import metadata

from brokers.dead_index import DeadIndex
from brokers.dead_letters import DeadLetters
from brokers.latency import read_latency
from brokers.mass_retry import MassRetries
from brokers.metrics import read_metrics
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.removal import Removal
from brokers.whereabouts import find_message
from cms.lookups import finder_of
from providers.hosts import provider_hosts
from stores.redis.batches import Batches
from stores.redis.gates import Gates
from stores.redis.idempotency import Answers
from stores.redis.leases import RedisLeases
from stores.redis.progress import Progress
from stores.redis.registry import Registry
from stores.redis.request_limits import RequestLimits
from stores.redis.run_totals import RunTotals
from stores.redis.schedule import Schedule
from stores.redis.trends import Trends
from stores.redis.versions import RedisVersions, open_history
from stores.sql.outbox import SqlOutbox
from stores.sql.tokens import Tokens
from sync.errors import NotFound
from web import checks
from web.api.mass_retries import note_end
from web.foundation import Foundation
from web.health import Check
from web.services import Services

PROVIDERS = "clubsync.providers"


def build_services(foundation: Foundation) -> Services:
    client, namespace, clock = foundation.client, foundation.namespace, foundation.clock
    settings, stores, broker, cms = foundation.settings, foundation.stores, foundation.broker, foundation.cms
    versions, registry = RedisVersions(client, namespace), Registry(client, namespace, clock)
    operations, gates = Operations(broker), Gates(client, namespace)
    letters = DeadLetters(broker)
    dead = DeadIndex(letters)
    return Services(
        loaded=foundation.following.loaded,
        config_number=foundation.following.number,
        versions=versions,
        history=open_history(versions, clock.now),
        providers=sorted(point.name for point in metadata.entry_points(group=PROVIDERS)),
        tokens=Tokens(foundation.engine),
        cms=cms,
        leases=RedisLeases(client, namespace, lease_s=settings.sync.lease_s),
        find_account=cms.find_account,
        find_kinds=finder_of(cms),
        noted_together=foundation.gathered.gathering,
        stores=stores,
        progress=Progress(client, namespace),
        publisher=Publisher(
            broker,
            runs=foundation.gathered.runs,
            presets=lambda: foundation.following.loaded().settings.presets,
            clock=clock,
        ),
        operations=operations,
        letters=letters,
        dead=dead,
        mass_retries=MassRetries(
            broker=broker, letters=letters, index=dead, on_end=partial(note_end, foundation.gathered.audit)
        ),
        removal=Removal(broker, runs=stores.runs, clock=clock),
        find_message=partial(find_message, broker),
        gates=gates,
        provider_hosts=provider_hosts(settings.providers),
        answers=Answers(client, namespace),
        request_limits=RequestLimits(client, namespace),
        clock=clock,
        registry=registry,
        trends=Trends(client, namespace),
        batches=Batches(client, namespace),
        schedule=Schedule(client, namespace),
        read_latency=partial(read_latency, client, namespace=namespace),
        read_metrics=partial(read_metrics, client, namespace=namespace),
        read_run_totals=RunTotals(client, namespace).read,
        checks=_checks(foundation, operations, registry, versions, gates),
    )


def _checks(
    foundation: Foundation, operations: Operations, registry: Registry, versions: RedisVersions, gates: Gates
) -> Sequence[Check]:
    settings, stores, clock = foundation.settings, foundation.stores, foundation.clock
    outbox = SqlOutbox(foundation.engine, clock, max_records=settings.cms.outbox_max_records)
    hosts = provider_hosts(settings.providers)

    def ask_cms() -> None:
        with contextlib.suppress(NotFound):
            foundation.cms.find_account(0)

    return (
        Check(name="redis", ask=partial(checks.check_redis, foundation.client), is_required=True),
        Check(name="sql", ask=checks.SqlCheck(foundation.engine), is_required=True),
        Check(name="cms", ask=partial(checks.check_cms, settings.cms.kind, ask_cms), is_required=True),
        Check(name="outbox", ask=partial(checks.check_outbox, outbox, stores.refusals)),
        Check(
            name="workers",
            ask=partial(checks.check_role, registry, "worker", consequence="nothing is carried out"),
            through="redis",  # a full one refuses heartbeats
        ),
        Check(
            name="scheduler",
            ask=partial(checks.check_role, registry, "scheduler", consequence="no batch is sent"),
            through="redis",
        ),
        Check(name="queues", ask=partial(checks.check_queues, operations)),
        Check(name="served", ask=partial(checks.check_served, registry, operations)),
        Check(name="config", ask=partial(checks.check_config, versions, registry, clock)),
        Check(name="syncs", ask=partial(checks.check_syncs, stores.outcomes, clock)),
        *(
            Check(name=f"provider:{name}", ask=partial(checks.check_provider, gates, name, host))
            for name, host in hosts.items()
        ),
        *checks.plugged_in(settings),
    )
