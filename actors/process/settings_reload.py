"""Keeps a worker's settings up to date as long as it is there; SIGHUP makes it look at once."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from settings.reload import Reloader


def look_on_sighup(reloader: Reloader) -> None:
    """To be called as early as may be, in the main thread: dramatiq's own handler ends the worker.

    dramatiq's master passes SIGHUP on, and goes on waiting for a process that does not end by it.
    """
    signal.signal(signal.SIGHUP, lambda _number, _frame: reloader.ask())


@dataclass(slots=True)
class SettingsReload(Middleware):
    reloader: Reloader
    stopping: threading.Event = field(default_factory=threading.Event)

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        threading.Thread(target=self.reloader.run, args=[self.stopping], name="reloader", daemon=True).start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self.stopping.set()
