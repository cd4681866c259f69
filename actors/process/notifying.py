"""Whom a worker tells: the channels of its notifications, and the watch it keeps while no scheduler leads."""

from __future__ import annotations

from actors.process.foundation import Foundation
from actors.process.periodic import PeriodicTask
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.redis import PriorityRedisBroker
from cms.registry import listener_of
from notifications.cms_callback import CmsCallback
from notifications.live import LiveNotifications, Ports
from notifications.watch import open_watch
from providers.hosts import provider_hosts
from stores.redis.batches import Batches
from stores.redis.gates import Gates
from stores.redis.leadership import Leadership
from stores.redis.looks import Looks
from stores.redis.schedule import Schedule
from stores.redis.turns import Turns
from stores.redis.versions import RedisVersions
from sync.ports import Cms

# Of the leader's intervals, so that mostly the leader is the first of its interval.
_WATCHES_EVERY = 1.5


def open_notifications(foundation: Foundation, publisher: Publisher, cms: Cms) -> LiveNotifications:
    tell_cms = listener_of(cms)
    own = {"cms": CmsCallback(tell_cms, foundation.stores.runs)} if tell_cms else {}
    return LiveNotifications(
        foundation.settings,
        Ports(
            stores=foundation.stores,
            turns=Turns(foundation.client, foundation.namespace),
            publish=publisher.notify,
            size_of_batch=Batches(foundation.client, foundation.namespace).size_of,
            clock=foundation.clock,
            own_channels=own,
        ),
    )


def watch_task(
    foundation: Foundation,
    broker: PriorityRedisBroker,
    publisher: Publisher,
    notifications: LiveNotifications,
) -> PeriodicTask:
    """Looks for problems in the scheduler's place while none leads."""
    watch = open_watch(
        settings=lambda: foundation.in_force,
        stores=foundation.stores,
        operations=Operations(broker),
        batches=Batches(foundation.client, foundation.namespace),
        claim=Looks(foundation.client, foundation.namespace).claim,
        breaker_open_s=Gates(foundation.client, foundation.namespace).breaker_open_s,
        find_leader=Leadership(foundation.client, foundation.namespace).find,
        troubled_entries=Schedule(foundation.client, foundation.namespace).troubled,
        hosts_of=lambda now: provider_hosts(now.providers),
        canary_endings=RedisVersions(foundation.client, foundation.namespace).endings,
        switched_off=Turns(foundation.client, foundation.namespace).switched_off,
        tell=notifications,
        publish=publisher.notify,
        clock=foundation.clock,
    )
    return PeriodicTask("watch", watch.turn, lambda: _WATCHES_EVERY * foundation.in_force.alerts.every_s)
