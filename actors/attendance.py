"""A worker's entry in the registry: there as long as the worker is."""

from __future__ import annotations

from dataclasses import dataclass

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from stores.redis.registry import Heartbeat


@dataclass(slots=True)
class Attendance(Middleware):
    heartbeat: Heartbeat

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self.heartbeat.start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self.heartbeat.stop()
