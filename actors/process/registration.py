"""A worker's entry in the registry, from its first heartbeat to its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from actors.process.foundation import Foundation
from stores.redis.registry import BEAT_EVERY_S, Heartbeat, Registry, Service


@dataclass(slots=True)
class Registration(Middleware):
    """Lists the worker while it waits for what it needs, shows it as running once it has booted.

    `queues_without_actor` are those of its queues whose messages nothing here could carry out.
    """

    foundation: Foundation
    queues: tuple[str, ...] = ()
    queues_without_actor: tuple[str, ...] = ()
    _heartbeat: Heartbeat = field(init=False)

    def __post_init__(self) -> None:
        registry = Registry(self.foundation.client, self.foundation.namespace, self.foundation.clock)
        self._heartbeat = Heartbeat(registry, self._entry, every_s=BEAT_EVERY_S)

    def begin(self) -> None:
        self._heartbeat.start()

    def show_queues(self, broker: Broker) -> None:
        """To be called once all actors are declared."""
        with_actor = {actor.queue_name for actor in broker.actors.values()}
        self.queues = tuple(sorted(broker.queues))
        self.queues_without_actor = tuple(sorted(set(broker.queues) - with_actor))

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self.foundation.start_up.is_done()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._heartbeat.stop()

    def _entry(self) -> Service:
        return replace(
            self.foundation.process,
            config_version=self.foundation.reloader.in_force.number,
            state=self.foundation.start_up.state,
            queues=self.queues,
            queues_without_actor=self.queues_without_actor,
        )
