"""A worker's entry in the registry, from its first heartbeat to its end."""

from __future__ import annotations

from dataclasses import dataclass

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from actors.process.start_up import StartUp
from stores.redis.registry import Heartbeat


@dataclass(slots=True)
class Registration(Middleware):
    """Shows the worker as running once it has booted, and ends its heartbeat when it shuts down.

    The heartbeat began earlier: a worker that waits for what it needs is listed too.
    """

    heartbeat: Heartbeat
    start_up: StartUp

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self.start_up.is_done()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self.heartbeat.stop()
