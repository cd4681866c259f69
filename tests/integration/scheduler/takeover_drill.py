"""Ticks of several scheduler processes while these, and their Redis, are killed and stopped.

A worker carries the ticks out meanwhile, so that one sent again after it was done would show.
`python -m tests.integration.scheduler.takeover_drill FIRST_SEED SEEDS FAULTS` prints a line for
each seed, with how long each takeover after a `kill -9` took.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import dramatiq
import redis
from dramatiq.middleware import CurrentMessage

from brokers.messages import CheckHealth
from brokers.redis import PriorityRedisBroker
from stores.redis.leadership import Leadership
from stores.redis.schedule import EntryState, Schedule
from sync.errors import StoreUnavailable
from tests.integration.brokers.server import Server
from tests.integration.scheduler.drilled import LEASE_S, entry, set_table

T = TypeVar("T")

EVERY_S = 0.05
ENTRIES = 5
STEADY = {f"checks-{number}": EVERY_S for number in range(ENTRIES)}
VOLATILE = [f"changing-{number}" for number in range(30)]
PERIODS_S = (0.1, 0.15, 0.25)
CHANGE_EVERY_S = 0.1
NAMESPACE = "drill"
DEADLINE_S = 60.0
POLL_S = 0.01
# Longer than ticks are sent ahead: what the next leader sent again is done before the old one wakes.
AHEAD_S = 2 * LEASE_S + 2
STOPPED_S = AHEAD_S + 1
# Until a change has reached whoever leads, on a machine that does much else.
SLACK_S = 5.0


@dataclass
class Drilled:
    """A scheduler process and when it last said that it leads."""

    process: subprocess.Popen[bytes]
    leading_at: float = 0.0
    is_ready: threading.Event = field(default_factory=threading.Event)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == b"ready\n":
                self.is_ready.set()
            else:
                self.leading_at = time.monotonic()


@dataclass(frozen=True)
class Count:
    """What became of the ticks: ids of those that were lost, ran again, or were of no entry's."""

    ticks: int
    lost: frozenset[str]
    doubled: frozenset[str]
    stray: frozenset[str]

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.doubled or self.stray)


@dataclass
class Span:
    """While an entry was in the table with one period."""

    name: str
    every_s: float
    begins_at: datetime
    ends_at: datetime | None = None


class Drill:
    """Two or three schedulers, one worker and a Redis of their own; use it as a context manager."""

    def __init__(self, folder: Path, *, schedulers: int, seed: int) -> None:
        self.dice = random.Random(seed)
        self.server = Server(folder)
        self.takeovers_s: list[float] = []
        self._client = redis.Redis.from_url(self.server.url, socket_timeout=5)
        self._schedule = Schedule(self._client, NAMESPACE)
        self._leadership = Leadership(self._client, NAMESPACE)
        self._done: Counter[str] = Counter()
        self._worker = self._start_worker()
        self._table = dict(STEADY)
        self._spans: list[Span] = []
        set_table(self._client, NAMESPACE, self._table)
        self._schedulers: list[Drilled] = []
        for _ in range(schedulers):
            self._spawn()
        _wait_for(lambda: len(self._states()) == ENTRIES)
        self._began = {name: state.cursor_at for name, state in self._states().items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for drilled in self._schedulers:
            drilled.process.kill()
            drilled.process.communicate()
        self._worker.stop()
        self._client.close()
        self.server.kill()

    @property
    def done(self) -> int:
        return len(self._done)

    @property
    def faults(self) -> Mapping[str, Callable[[], None]]:
        return {
            "kill the leader": self.kill_the_leader,
            "stop the leader": self.stop_the_leader,
            "end the leader in order": self.end_the_leader,
            "restart Redis": self.restart_redis,
            "stall Redis": self.stall_redis,
            "pause Redis": self.pause_redis,
        }

    def kill_the_leader(self) -> None:
        leader = self._leader()
        killed_at = time.monotonic()
        leader.process.kill()
        self.takeovers_s.append(self._wait_for_a_takeover_since(killed_at, leader))
        self._replace(leader)

    def stop_the_leader(self) -> None:
        """Another one leads, and what was half done is done before the stopped one wakes."""
        leader = self._leader()
        stopped_at = time.monotonic()
        leader.process.send_signal(signal.SIGSTOP)
        self._wait_for_a_takeover_since(stopped_at, leader)
        time.sleep(STOPPED_S)
        leader.process.send_signal(signal.SIGCONT)

    def end_the_leader(self) -> None:
        leader = self._leader()
        ended_at = time.monotonic()
        leader.process.terminate()
        assert leader.process.wait(DEADLINE_S) == 0
        self._wait_for_a_takeover_since(ended_at, leader)
        self._replace(leader)

    def restart_redis(self) -> None:
        self.server.kill()
        self.server.start()

    def stall_redis(self, for_s: float = 10.0) -> None:
        self.server.signal(signal.SIGSTOP)
        time.sleep(for_s)
        self.server.signal(signal.SIGCONT)

    def pause_redis(self, for_s: float = 10.0) -> None:
        with redis.Redis.from_url(self.server.url) as client:
            client.client_pause(round(for_s * 1000))
        time.sleep(for_s)

    @contextmanager
    def changing_tables(self) -> Iterator[None]:
        """Meanwhile an entry is added, removed or timed anew every 100 ms."""
        ending, dice = threading.Event(), random.Random(self.dice.random())

        def change() -> None:
            while not ending.wait(CHANGE_EVERY_S):
                self._change(dice.choice(VOLATILE), dice.choice((None, *PERIODS_S)))

        changing = threading.Thread(target=change)
        changing.start()
        try:
            yield
        finally:
            ending.set()
            changing.join()

    def _change(self, name: str, every_s: float | None) -> None:
        table = {known: period for known, period in self._table.items() if known != name}
        if every_s is not None:
            table[name] = every_s
        if table == self._table:
            return
        if every_s is not None:
            self._spans.append(Span(name, every_s, datetime.now(UTC)))
        # Whether a Redis that is down has taken it shows the next change, which is whole.
        with suppress(redis.RedisError):
            set_table(self._client, NAMESPACE, table)
            self._table = table
            for span in self._spans:
                if span.ends_at is None and table.get(span.name) != span.every_s:
                    span.ends_at = datetime.now(UTC)

    def rest(self) -> None:
        """A moment of the leader's work that differs each time, a tick half done among them."""
        self._leader()
        time.sleep(self.dice.uniform(0.0, 1.0))

    def count(self) -> Count:
        """Kill all schedulers, let the worker do what was sent, and compare with the entries."""
        for drilled in self._schedulers:
            drilled.process.kill()
            drilled.process.wait()
        expected, allowed = set(self._expected()), set(self._allowed())
        _wait_for(lambda: self._queued() == 0)
        return Count(
            ticks=len(self._done),
            lost=frozenset(expected - self._done.keys()),
            doubled=frozenset(name for name, times in self._done.items() if times > 1),
            stray=frozenset(self._done.keys() - allowed),
        )

    def _expected(self) -> Iterator[str]:
        """Of the entries that nobody changed."""
        for name, every_s in STEADY.items():
            state, began = self._states()[name], self._began[name]
            assert state.cursor_at is not None
            assert began is not None
            for tick in entry(name, every_s).ticks(began, state.cursor_at):
                if tick.at != state.pending_at:  # that one waits for the next leader
                    yield tick.id

    def _allowed(self) -> Iterator[str]:
        slack, ahead, now = timedelta(seconds=SLACK_S), timedelta(seconds=AHEAD_S), datetime.now(UTC)
        for name, every_s in STEADY.items():
            began = self._began[name]
            assert began is not None
            for tick in entry(name, every_s).ticks(began - timedelta(minutes=1), now + ahead):
                yield tick.id
        for span in self._spans:
            last = (span.ends_at or now) + ahead + slack
            for tick in entry(span.name, span.every_s).ticks(span.begins_at, last):
                yield tick.id

    def _queued(self) -> int:
        return int(self._client.hlen(f"{{{NAMESPACE}}}:values"))

    def _states(self) -> Mapping[str, EntryState]:
        return self._schedule.states()

    def _leader(self) -> Drilled:
        """The process that leads now; it is waited for."""

        def find() -> Drilled | None:
            try:
                leader = self._leadership.find()
            except StoreUnavailable:
                return None
            owner = leader.owner if leader else ""
            named = [one for one in self._schedulers if owner.endswith(f":{one.process.pid}")]
            return named[0] if named and named[0].leading_at else None

        return _wait_for(find)

    def _wait_for_a_takeover_since(self, moment: float, old: Drilled) -> float:
        """After how many seconds another one led."""
        others = [one for one in self._schedulers if one is not old]
        later = _wait_for(lambda: [one.leading_at for one in others if one.leading_at > moment])
        return min(later) - moment

    def _replace(self, dead: Drilled) -> None:
        dead.process.communicate()
        self._schedulers.remove(dead)
        self._spawn()

    def _spawn(self) -> None:
        module = "tests.integration.scheduler.drilled"
        command = [sys.executable, "-m", module, self.server.url, NAMESPACE]
        drilled = Drilled(subprocess.Popen(command, stdout=subprocess.PIPE))
        threading.Thread(target=drilled.listen, daemon=True).start()
        self._schedulers.append(drilled)
        assert drilled.is_ready.wait(DEADLINE_S)

    def _start_worker(self) -> dramatiq.Worker:
        broker = PriorityRedisBroker(url=self.server.url, namespace=NAMESPACE, middleware=[CurrentMessage()])

        @dramatiq.actor(
            broker=broker, actor_name=CheckHealth.actor_name, queue_name=CheckHealth.queue_name.value
        )
        def check_health(**_: Any) -> None:
            message = CurrentMessage.get_current_message()
            assert message is not None
            self._done[uuid.UUID(message.message_id).hex] += 1

        worker = dramatiq.Worker(broker, worker_threads=2)
        worker.start()
        return worker


def _wait_for(find: Callable[[], T | None]) -> T:
    end = time.monotonic() + DEADLINE_S
    while not (found := find()):
        if time.monotonic() > end:
            raise AssertionError(f"still {found!r} after {DEADLINE_S} s")
        time.sleep(POLL_S)
    return found


def main(first_seed: int, seeds: int, faults: int) -> None:
    """Faults in an order that follows from the seed, two and three schedulers in turn, the table changing."""
    for seed in range(first_seed, first_seed + seeds):
        with tempfile.TemporaryDirectory() as folder:
            with Drill(Path(folder), schedulers=2 + seed % 2, seed=seed) as drill:
                names = drill.dice.choices(sorted(drill.faults), k=faults)
                with drill.changing_tables():
                    for name in names:
                        drill.rest()
                        drill.faults[name]()
                    drill.rest()
                count = drill.count()
            takeovers = " ".join(f"{takeover_s:.2f}" for takeover_s in drill.takeovers_s)
            sys.stdout.write(
                f"seed {seed}: {dict(Counter(names))}: {count.ticks} ticks, {len(count.lost)} lost,"
                f" {len(count.doubled)} doubled, {len(count.stray)} stray; takeovers in s: {takeovers}\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:4]))
