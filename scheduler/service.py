"""The scheduler process: it leads or waits, and while it leads it sweeps the table.

APScheduler runs the sweeps, in memory; what must survive is in Redis. Each entry and each
chore has a job of its own, so that a long batch holds up nothing else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from scheduler.leader import Leader, NotLeading
from scheduler.requests import Requests
from scheduler.schedule import Entry, table
from scheduler.ticker import Ticker
from settings.scheduling import SchedulerSettings
from sync.errors import SyncError

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 1.0
FINISH_EVERY_S = 5.0
TAKE_BACK_EVERY_S = 0.5
MOST_THREADS = 16
# The machine's clock was set when it moved by so much more or less than time went on.
CLOCK_STEP_S = 2.0


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that whoever leads does every `every_s`: recovering leases, clearing up."""

    name: str
    every_s: float
    perform: Callable[[], object]


class Every(BaseTrigger):  # type: ignore[misc] # APScheduler ships no types
    """So long after each turn: what a clock that jumped forward passed over needs no turns of its own."""

    def __init__(self, seconds: float) -> None:
        self._pause = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return now if previous is None else now + self._pause


class Clock(Protocol):
    def read(self) -> None:
        """Compare with the time that all processes share. Raises StoreUnavailable."""
        ...


class Service:
    """`start` returns at once; `stop` ends the sweeps, lets the next one lead and
    waits for both; it is repeatable.
    """

    def __init__(
        self, leader: Leader, ticker: Ticker, requests: Requests, chores: Sequence[Chore], clock: Clock
    ) -> None:
        self._clock = clock
        self._leader = leader
        self._ticker = ticker
        self._requests = requests
        self._chores = chores
        self._table: Mapping[str, Entry] = {}
        self._stopping = threading.Event()
        self._leading = threading.Thread(target=leader.run, args=[self._stopping], name="leader", daemon=True)
        self._keeping = threading.Thread(target=self._keep_time, name="timekeeper", daemon=True)
        self._jobs = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(MOST_THREADS)},
            # A sweep does all that is due, so a missed one needs no other in its place.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self, settings: SchedulerSettings) -> None:
        self._leading.start()
        self._jobs.start()
        self._keeping.start()
        self._repeat("requests", SWEEP_EVERY_S, lambda: self._requests.answer(self._table))
        # Beside the others: a batch that is being sent must hear of its end.
        self._repeat("cancellations", SWEEP_EVERY_S, self._requests.cancel)
        self._repeat("begun batches", FINISH_EVERY_S, self._requests.finish)
        self._repeat("sent ahead", TAKE_BACK_EVERY_S, lambda: self._ticker.take_back(self._table))
        for chore in self._chores:
            self._repeat(f"chore:{chore.name}", chore.every_s, chore.perform)
        self.apply(settings)
        self._repeat("removed", SWEEP_EVERY_S, lambda: self._ticker.forget_removed(self._table.keys()))

    def apply(self, settings: SchedulerSettings) -> None:
        """Put another table in place; entries that stay the same go on undisturbed."""
        before, entries = self._table, table(settings)
        for name in before.keys() - entries.keys():
            self._jobs.remove_job(f"entry:{name}")
        # Known before it is swept: none that comes back is taken for one that is gone.
        self._table = entries
        for name, entry in entries.items():
            if before.get(name) != entry:
                self._repeat(f"entry:{name}", SWEEP_EVERY_S, partial(self._ticker.sweep, entry))

    def stop(self) -> None:
        if self._jobs.running:
            self._jobs.shutdown(wait=True)
        self._stopping.set()
        for thread in (self._leading, self._keeping):
            if thread.is_alive():
                thread.join()

    def _keep_time(self) -> None:
        """APScheduler waits for times of this machine's clock: after that was set back it would wait on."""
        known_s = time.time() - time.monotonic()
        while not self._stopping.wait(SWEEP_EVERY_S / 2):
            try:
                self._clock.read()
            except SyncError as error:
                log.warning("clock_not_read", extra={"reason": str(error)})
            ahead_s = time.time() - time.monotonic()
            if abs(ahead_s - known_s) > CLOCK_STEP_S:
                log.warning("clock_was_set", extra={"by_s": round(ahead_s - known_s, 3)})
                for job in self._jobs.get_jobs():
                    job.modify(next_run_time=datetime.now(UTC))
            known_s = ahead_s

    def _repeat(self, job_id: str, every_s: float, perform: Callable[[], object]) -> None:
        work = partial(self._lead, job_id, perform)
        self._jobs.add_job(work, Every(every_s), id=job_id, replace_existing=True)

    def _lead(self, job_id: str, perform: Callable[[], object]) -> None:
        if self._leader.term is None:
            return
        try:
            perform()
        except NotLeading:
            log.info("job_left_to_the_next_leader", extra={"job": job_id})
        except SyncError as error:
            log.warning("job_failed", extra={"job": job_id, "reason": str(error)})
        except Exception:
            # Whatever is wrong with one of them, the others go on, and it is tried again.
            log.exception("job_is_broken", extra={"job": job_id})
