"""A scheduler process for the drill; arguments: Redis's URL, namespace, seconds between ticks, entries.

It leads or waits like the real one and sends each tick as a health check. Prints `ready` once it
has started, and `leading` each time it takes over.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
import uuid

from brokers.clients import open_client
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.redis import PriorityRedisBroker
from scheduler.actions import Actions
from scheduler.batches import Batches
from scheduler.leader import Leader
from scheduler.outlook import Outlook
from scheduler.schedule import Entry
from scheduler.ticker import Ticker
from settings.schema import ScheduleEntry
from stores.redis.batches import Batches as BatchStore
from stores.redis.leadership import Leadership
from stores.redis.schedule import Schedule
from stores.sql.engine import open_engine
from stores.sql.runs import Runs
from sync.clock import SystemClock

LEASE_S = 0.5
PASS_S = 0.02


def entries(every_s: float, count: int) -> list[Entry]:
    """Entries that tick faster than the settings allow."""
    usual = ScheduleEntry(every_s=1, action="check_health", coalesce=False, catch_up_s=600)
    return [Entry(f"checks-{n}", usual.model_copy(update={"every_s": every_s})) for n in range(count)]


def main(url: str, namespace: str, every_s: float, count: int) -> None:
    clock = SystemClock()
    client = open_client(url, max_connections=8)
    runs = Runs(open_engine(f"sqlite:///{tempfile.mkdtemp()}/unused.db", busy_timeout_s=1))
    broker = PriorityRedisBroker(url=url, namespace=namespace)
    publisher = Publisher(broker, runs=runs, presets=tuple, clock=clock)
    leader = Leader(
        Leadership(client, namespace), uuid.uuid4().hex, lease_s=LEASE_S, monotonic=time.monotonic
    )
    batches = Batches(
        accounts=lambda: (),
        outlook=Outlook,
        publisher=publisher,
        withdraw=Operations(broker).withdraw,
        store=BatchStore(client, namespace),
        runs=runs,
        clock=clock,
    )
    actions = Actions(
        batches=batches,
        publisher=publisher,
        note=lambda **_: None,
        housework={},
        quota_share=lambda: 0.5,
        clock=clock,
    )
    ticker = Ticker(Schedule(client, namespace), leader, actions, clock, _nobody_hears)
    threading.Thread(target=leader.run, args=[threading.Event()], daemon=True).start()
    _say("ready")
    term, pause = None, threading.Event()
    while True:
        if leader.term not in (None, term):
            term = leader.term
            _say("leading")
        for entry in entries(every_s, count):
            ticker.sweep(entry)
        pause.wait(PASS_S)


def _nobody_hears(entry_id: str, reason: str) -> None:
    """No entry of the drill fails."""


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
