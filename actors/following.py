"""Keeps a worker's settings up to date: there as long as the worker is."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from settings.reload import Reloader


@dataclass(slots=True)
class Following(Middleware):
    reloader: Reloader
    stopping: threading.Event = field(default_factory=threading.Event)

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        threading.Thread(target=self.reloader.run, args=[self.stopping], name="reloader", daemon=True).start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self.stopping.set()
