"""A worker's entry in the registry: there from its first beat to its end."""

from __future__ import annotations

from dataclasses import dataclass

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from actors.start_up import StartUp
from stores.redis.registry import Heartbeat


@dataclass(slots=True)
class Attendance(Middleware):
    """The heartbeat beats already while the worker waits for what it needs."""

    heartbeat: Heartbeat
    start_up: StartUp

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self.start_up.is_done()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self.heartbeat.stop()
