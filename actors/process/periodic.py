"""What a worker process does periodically beside its messages."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from sync.errors import SyncError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something to do every `every_s()` seconds, asked anew each time."""

    name: str
    perform: Callable[[], object]
    every_s: Callable[[], float]


@dataclass(slots=True)
class PeriodicTasks(Middleware):
    """Runs each task in a thread of its own until the worker shuts down.

    A failure is logged, and the task runs again after its interval.
    """

    tasks: Sequence[PeriodicTask]
    _stopped: threading.Event = field(default_factory=threading.Event)

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        for task in self.tasks:
            threading.Thread(target=self._run, args=[task], name=task.name, daemon=True).start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._stopped.set()

    def _run(self, task: PeriodicTask) -> None:
        while not self._stopped.wait(task.every_s()):
            try:
                task.perform()
            except SyncError as error:
                log.warning("periodic_task_failed", extra={"task": task.name, "reason": str(error)})
