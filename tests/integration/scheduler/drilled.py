"""A scheduler process for the drill; arguments: Redis's URL and namespace.

Its table is in Redis (`set_table`), and may change at any moment. It leads or waits like the real
one and sends each tick as a health check, until SIGTERM. Prints `ready` once it has started, and
`leading` each time it takes over.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import redis

from brokers.clients import open_client
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.redis import PriorityRedisBroker
from scheduler.actions import Actions
from scheduler.batches import Batches
from scheduler.leader import Leader, NotLeading
from scheduler.outlook import Outlook
from scheduler.schedule import Entry
from scheduler.ticker import Ticker
from settings.scheduling import ScheduleEntry
from stores.redis.batches import Batches as BatchStore
from stores.redis.leadership import Leadership
from stores.redis.schedule import Schedule
from stores.sql.engine import open_engine
from stores.sql.runs import Runs
from sync.clock import SystemClock
from sync.errors import StoreUnavailable

_SET = """
if tonumber(redis.call("HGET", KEYS[1], "number") or 0) < tonumber(ARGV[1]) then
    redis.call("HSET", KEYS[1], "number", ARGV[1], "table", ARGV[2])
end
"""
LEASE_S = 0.5
PASS_S = 0.02


def set_table(client: redis.Redis, namespace: str, every_s: Mapping[str, float]) -> None:
    """Give all schedulers of the drill another table: seconds between ticks by entry."""
    # One that a stalled server finds late must not undo a later one.
    client.eval(_SET, 1, f"{namespace}:table", str(time.monotonic_ns()), json.dumps(every_s))


def entry(name: str, every_s: float) -> Entry:
    """One that may tick faster than the settings allow."""
    usual = ScheduleEntry(every_s=1, action="check_health", coalesce=False, catch_up_s=600)
    return Entry(name, usual.model_copy(update={"every_s": every_s}))


def main(url: str, namespace: str) -> None:
    clock = SystemClock()
    client = open_client(url, max_connections=8)
    runs = Runs(open_engine(f"sqlite:///{tempfile.mkdtemp()}/unused.db", busy_timeout_s=1))
    broker = PriorityRedisBroker(url=url, namespace=namespace)
    publisher = Publisher(broker, runs=runs, presets=tuple, clock=clock)
    owner = f"{uuid.uuid4().hex}:{os.getpid()}"
    leader = Leader(Leadership(client, namespace), owner, lease_s=LEASE_S, monotonic=time.monotonic)
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
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    leading = threading.Thread(target=leader.run, args=[stopping])
    leading.start()
    _say("ready")
    term, known = None, dict[str, Entry]()
    while not stopping.wait(PASS_S):
        if leader.term not in (None, term):
            term = leader.term
            _say("leading")
        with suppress(StoreUnavailable, NotLeading, redis.RedisError):  # tried again with the next sweep
            known = table(client, namespace, known)
            ticker.forget_removed(known.keys())
            for name in known:
                # As with jobs of their own: none begins after it was taken out.
                if (swept := table(client, namespace, known).get(name)) is not None:
                    ticker.sweep(swept)
    leading.join()


def table(client: redis.Redis, namespace: str, known: Mapping[str, Entry]) -> dict[str, Entry]:
    """The table in force; entries that stay as they are keep what they have worked out."""
    text: Any = client.hget(f"{namespace}:table", "table")
    return {
        name: known[name]
        if name in known and known[name].settings.every_s == every_s
        else entry(name, every_s)
        for name, every_s in json.loads(text).items()
    }


def _nobody_hears(entry_id: str, reason: str) -> None:
    """No entry of the drill fails."""


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
