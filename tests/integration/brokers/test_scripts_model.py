"""Whatever the order of calls, a message is in exactly one place and the ledger balances.

A hypothesis state machine drives the Lua scripts on a real server, with the clock in its own
hands, beside a model that says where every message must be.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from brokers.connection import Link, dialler
from brokers.scripts import DELETE, ENQUEUE, PURGE, RECOVER, RELEASE, RETURN, WORK, Script

LEASE_MS = 10_000
MOST_DEATHS = 3

queues = st.sampled_from(["one", "two"])
ids = st.sampled_from([f"m{number}" for number in range(8)])
processes = st.sampled_from(["p1", "p2", "p3"])
levels = st.integers(0, 3)
fairs = st.sampled_from(["-", "a", "b"])
uniques = st.sampled_from(["-", "-", "u1", "u2"])
delays = st.sampled_from([0, 0, 100, 5_000, 20_000])


@dataclass
class Entry:
    """Where the model has a message."""

    place: str  # waiting, delayed, leased, dead
    level: int
    unique: str
    strength: int
    due_ms: int = 0
    backs_off: bool = False
    lease: tuple[str, int] = ("", 0)
    deaths: int = 0


@dataclass
class Counts:
    enqueued: int = 0
    done: int = 0
    coalesced: int = 0
    deleted: int = 0


@dataclass
class Lease:
    queue: str
    message_id: str
    process: str
    fetch: int


@dataclass
class Call:
    script: Script
    arguments: list[Any] = field(default_factory=list)


class BrokerModel(RuleBasedStateMachine):
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.client: Any = redis.Redis.from_url(self.url)
        self.ns = f"{{model{uuid.uuid4().hex}}}"
        self.link = Link(dialler(self.client, self.ns), self.ns)
        self.now = 1_000_000
        self.number = 0
        self.entries: dict[tuple[str, str], Entry] = {}
        self.counts = {"one": Counts(), "two": Counts()}
        self.held: dict[str, tuple[str, str]] = {}
        self.leases: list[Lease] = []
        self.beats: dict[str, int] = {}
        self.suspects: set[str] = set()
        self.paused: set[str] = set()
        self.limits: dict[str, int] = {}
        self.last: Call | None = None

    def teardown(self) -> None:
        self.link.close()
        for key in self.client.scan_iter(f"{self.ns}*", count=1000):
            self.client.delete(key)
        self.client.close()

    def run(self, script: Script, *arguments: Any) -> Any:
        return self.link.run(script, (self.now, *arguments))

    def run_numbered(self, script: Script, sender: str, *arguments: Any) -> Any:
        self.number += 1
        self.last = Call(script, [self.now, sender, self.number, *arguments])
        return self.link.run(script, self.last.arguments)

    def holder_of(self, unique: str) -> tuple[str, str] | None:
        key = self.held.get(unique)
        entry = self.entries.get(key) if key else None
        return key if entry and entry.place != "dead" and entry.unique == unique else None

    # -- the model of what the scripts promise

    def enter(self, key: tuple[str, str], entry: Entry, delay: int, *, is_new: bool = True) -> None:
        entry.place = "delayed" if delay else "waiting"
        entry.due_ms = self.now + delay
        self.entries[key] = entry
        if is_new and entry.unique != "-" and self.holder_of(entry.unique) is None:
            self.held[entry.unique] = key

    def hurry(self, key: tuple[str, str], level: int, delay: int | None) -> bool:
        entry = self.entries[key]
        if entry.place not in ("waiting", "delayed"):
            return False
        entry.level = min(entry.level, level)
        if entry.place == "delayed" and not entry.backs_off and delay is not None:
            entry.due_ms = min(entry.due_ms, self.now + delay)
            if entry.due_ms <= self.now:
                entry.place = "waiting"
        if level == 0:
            entry.place = "waiting"
        return True

    def promote(self) -> None:
        for entry in self.entries.values():
            if entry.place == "delayed" and entry.due_ms <= self.now:
                entry.place = "waiting"

    def current(self, lease: Lease) -> Entry | None:
        entry = self.entries.get((lease.queue, lease.message_id))
        if entry and entry.place == "leased" and entry.lease == (lease.process, lease.fetch):
            return entry
        return None

    # -- calls

    @rule(
        queue=queues,
        message_id=ids,
        level=levels,
        fair=fairs,
        unique=uniques,
        strength=st.integers(0, 2),
        delay=delays,
    )
    def enqueue(
        self, *, queue: str, message_id: str, level: int, fair: str, unique: str, strength: int, delay: int
    ) -> None:
        message_id = f"{queue}-{message_id}"
        value = f"{level} 0 {fair} {unique} {strength} - 0 1 0\nbody"
        answer = self.run_numbered(ENQUEUE, "sender", queue, message_id, delay, "", value)[0]
        key = (queue, message_id)
        holder = self.holder_of(unique)
        old = self.entries.get(key)
        if holder == key:
            holder = None
        is_stronger = holder is not None and strength > self.entries[holder].strength
        if holder is not None and (self.hurry(holder, level, delay) or not is_stronger):
            self.counts[queue].enqueued += 1
            self.counts[queue].coalesced += 1
            assert answer == [holder[1].encode(), b"-", int(is_stronger)]
        elif old is None:
            assert answer == 0
            self.counts[queue].enqueued += 1
            self.held.pop(unique, None)
            self.enter(key, Entry("", level, unique, strength), delay)
        elif old.place == "dead":
            assert answer == 0
            self.enter(key, Entry("", level, unique, strength), delay)
        else:
            assert answer == 1

    @rule(queue=queues, message_id=ids, level=levels, fair=fairs, unique=uniques, delay=delays)
    def send_again(
        self, *, queue: str, message_id: str, level: int, fair: str, unique: str, delay: int
    ) -> None:
        """A retry: of the latest lease of the message, which may be over."""
        message_id = f"{queue}-{message_id}"
        lease = next(
            (one for one in reversed(self.leases) if (one.queue, one.message_id) == (queue, message_id)), None
        )
        if lease is None:
            return
        entry = self.current(lease)
        unique = entry.unique if entry else unique  # a retry keeps its key
        value = f"{level} 0 {fair} {unique} 0 - 0 1 0\nbody"
        claim = f"{lease.process} {lease.fetch}"
        answer = self.run_numbered(ENQUEUE, "sender", queue, message_id, delay, claim, value)
        assert answer == [0 if entry else 1]
        if entry:
            again = Entry("", level, unique, 0, backs_off=delay > 0)
            # What has let others in stands for them no more.
            self.enter((queue, message_id), again, delay, is_new=False)

    @rule(unique=uniques)
    def release(self, unique: str) -> None:
        """The run of the message that holds the key has come to its verdict."""
        holder = self.holder_of(unique)
        assert self.run(RELEASE, unique, "-") == int(holder is not None)
        self.held.pop(unique, None)

    @rule(queue=queues, message_id=ids, level=levels, unique=uniques, strength=st.integers(0, 2))
    def upgrade(self, queue: str, message_id: str, level: int, unique: str, strength: int) -> None:
        """A stronger request takes the place of the one that holds its key, if that still waits."""
        message_id = f"{queue}-{message_id}"
        key = (queue, message_id)
        entry = self.entries.get(key)
        if entry is None or unique == "-" or entry.unique != unique:
            return
        value = f"{level} 0 - {unique} {strength} - 0 1 0\nbody"
        answer = self.run_numbered(ENQUEUE, "sender", queue, message_id, 0, "upgrade", value)
        if self.hurry(key, level, None):
            assert answer == [0]
            entry.strength = strength
            self.held[unique] = key
        else:
            assert answer == [1]

    @rule(process=processes, want=st.integers(0, 4), common=st.integers(0, 4), served=st.sets(queues))
    def work(self, process: str, want: int, common: int, served: set[str]) -> None:
        """At most `common` of what is lent is of normal or low priority."""
        if process not in self.beats:
            self.beat(process)
        number, _, found = self.run_numbered(WORK, process, want, common, " ".join(served))
        self.promote()
        everything, pressing = 0, 0
        for queue in served - self.paused:
            waiting = [e.level for (q, _), e in self.entries.items() if q == queue and e.place == "waiting"]
            leased = sum(q == queue and e.place == "leased" for (q, _), e in self.entries.items())
            limit = self.limits.get(queue)
            room = len(waiting) if limit is None else max(0, min(len(waiting), limit - leased))
            everything += room
            pressing += min(room, sum(level < 2 for level in waiting))
        taken = [
            self.entries[found[i].decode(), found[i + 1].decode()].level for i in range(0, len(found), 3)
        ]
        assert sum(level > 1 for level in taken) <= common
        assert len(taken) >= min(want, pressing)
        assert len(taken) <= min(want, everything)
        if common >= want or not pressing:
            assert len(taken) == min(want, everything, max(common, pressing))
        for i in range(0, len(found), 3):
            queue, message_id = found[i].decode(), found[i + 1].decode()
            entry = self.entries[queue, message_id]
            assert entry.place == "waiting"
            entry.place, entry.lease = "leased", (process, number)
            self.leases.append(Lease(queue, message_id, process, number))

    @rule(data=st.data(), how=st.sampled_from(["ack", "ack", "nack", "back"]))
    def settle(self, data: st.DataObject, how: str) -> None:
        """Of any lease there ever was: most are over, and must not be settled twice."""
        if not self.leases:
            return
        lease = data.draw(st.sampled_from(self.leases))
        settled = (how, lease.queue, lease.message_id, lease.fetch, "{}")
        self.run_numbered(WORK, lease.process, 0, 0, "", *settled)
        entry = self.current(lease)
        self.promote()
        if entry is None:
            return
        if how == "ack":
            del self.entries[lease.queue, lease.message_id]
            self.counts[lease.queue].done += 1
        else:
            entry.place = "dead" if how == "nack" else "waiting"

    @rule()
    def repeat_the_last_call(self) -> None:
        """Its answer was lost, so it comes again: nothing changes."""
        if self.last is not None:
            answer = self.link.run(self.last.script, self.last.arguments)
            assert answer in ([1], [-1, -1, []], 0)

    @rule(process=processes)
    def beat(self, process: str) -> None:
        self.beats[process] = self.now + LEASE_MS
        self.client.sadd(f"{self.ns}:processes", process)
        self.client.set(f"{self.ns}:process:{process}", "{}")

    @rule()
    def recover(self) -> None:
        """Leases end by a key's expiry; here the model's clock lets the keys go."""
        silent = {name for name, ends in self.beats.items() if ends < self.now}
        for process in silent:
            self.client.delete(f"{self.ns}:process:{process}")
        found = self.run(RECOVER, MOST_DEATHS, *self.suspects)[1]
        for lost in silent & self.suspects:
            del self.beats[lost]
            for entry in self.entries.values():
                if entry.place == "leased" and entry.lease[0] == lost:
                    entry.deaths += 1
                    entry.place = "dead" if entry.deaths >= MOST_DEATHS else "waiting"
        assert {name.decode() for name in found} == silent - self.suspects
        self.suspects = silent - self.suspects

    @rule(ms=st.sampled_from([1, 99, 3_000, 12_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(process=processes, held=st.sets(ids), leaves=st.booleans())
    def give_back(self, *, process: str, held: set[str], leaves: bool) -> None:
        if process not in self.beats:
            return
        held = {f"{queue}-{message_id}" for queue in ("one", "two") for message_id in held}
        self.run_numbered(RETURN, process, "leave" if leaves else "stay", *held)
        for (_, message_id), entry in self.entries.items():
            if entry.place == "leased" and entry.lease[0] == process and message_id not in held:
                entry.place = "waiting"
        if leaves and not any(e.place == "leased" and e.lease[0] == process for e in self.entries.values()):
            del self.beats[process]
        elif leaves:  # it went without handing back what it held: keep the model simple
            self.beat(process)

    @rule(queue=queues, places=st.sets(st.sampled_from(["waiting", "delayed", "leased", "dead"])))
    def purge(self, queue: str, places: set[str]) -> None:
        self.run(PURGE, queue, 1000, *places)
        self.remove([key for key, e in self.entries.items() if key[0] == queue and e.place in places])

    @rule(queue=queues, message_id=ids)
    def delete(self, queue: str, message_id: str) -> None:
        message_id = f"{queue}-{message_id}"
        self.run(DELETE, queue, message_id)
        entry = self.entries.get((queue, message_id))
        if entry is not None and entry.place != "leased":
            self.remove([(queue, message_id)])

    def remove(self, keys: list[tuple[str, str]]) -> None:
        for key in keys:
            del self.entries[key]
            self.counts[key[0]].deleted += 1

    @rule(queue=queues)
    def pause_or_resume(self, queue: str) -> None:
        if queue in self.paused:
            self.client.hdel(f"{self.ns}:rules", f"paused:{queue}")
        else:
            self.client.hset(f"{self.ns}:rules", f"paused:{queue}", 1)
        self.paused ^= {queue}

    @rule(queue=queues, limit=st.none() | st.integers(0, 3))
    def set_limit(self, queue: str, limit: int | None) -> None:
        if limit is None:
            self.client.hdel(f"{self.ns}:rules", f"limit:{queue}")
            self.limits.pop(queue, None)
        else:
            self.client.hset(f"{self.ns}:rules", f"limit:{queue}", limit)
            self.limits[queue] = limit

    # -- what must hold after every call

    @invariant()
    def every_message_is_where_the_model_has_it(self) -> None:
        for queue in ("one", "two"):
            expected = {
                message_id: (entry.place, entry.level if entry.place == "waiting" else None)
                for (name, message_id), entry in self.entries.items()
                if name == queue
            }
            found: dict[str, tuple[str, int | None]] = {}
            for message_id, place in self.places_of(queue):
                assert message_id not in found, f"{message_id} is in two places"
                found[message_id] = place
            assert found == expected
            assert set(self.ids_in("values", queue)) == set(expected)

    def places_of(self, queue: str) -> Iterator[tuple[str, tuple[str, int | None]]]:
        prefix = f"{self.ns}:q:{queue}:"
        for level in range(4):
            for message_id in self.client.zrange(f"{prefix}waiting:{level}", 0, -1):
                yield message_id.decode(), ("waiting", level)
        for place in ("delayed", "dead"):
            for message_id in self.client.zrange(f"{prefix}{place}", 0, -1):
                yield message_id.decode(), (place, None)
        for message_id in self.ids_in("leased", queue):
            yield message_id, ("leased", None)

    def ids_in(self, key: str, queue: str) -> Iterator[str]:
        for place in self.client.hkeys(f"{self.ns}:{key}"):
            name, _, message_id = place.decode().partition("/")
            if name == queue:
                yield message_id

    @invariant()
    def the_ledger_balances(self) -> None:
        for queue, counts in self.counts.items():
            leased = sum(name == queue and e.place == "leased" for (name, _), e in self.entries.items())
            for name, number in {**vars(counts), "leased": leased}.items():
                kept_count = self.client.hget(f"{self.ns}:counts", f"{queue}/{name}")
                assert int(kept_count or 0) == number, f"{name} of {queue}"
            kept = sum(name == queue for name, _ in self.entries)
            assert counts.enqueued == counts.done + counts.coalesced + counts.deleted + kept

    @invariant()
    def what_waits_can_be_found(self) -> None:
        """The indexes that fetch and the sleep of idle processes rely on."""
        for queue in ("one", "two"):
            for level in range(4):
                if self.client.zcard(f"{self.ns}:q:{queue}:waiting:{level}"):
                    assert self.client.zscore(f"{self.ns}:ready:{level}", queue) is not None
            first = self.client.zrange(f"{self.ns}:q:{queue}:delayed", 0, 0, withscores=True)
            due = self.client.zscore(f"{self.ns}:due", queue)
            assert due == (first[0][1] if first else None)

    @invariant()
    def a_unique_key_is_held_by_one_live_message(self) -> None:
        holders = self.client.hgetall(f"{self.ns}:unique")
        for unique, holder in holders.items():
            queue, _, _, _, message_id = holder.decode().split(" ")
            assert self.holder_of(unique.decode()) == (queue, message_id)
        held = {unique for unique in self.held if self.holder_of(unique)}
        assert {unique.decode() for unique in holders} == held


@pytest.mark.parametrize(
    "examples", [40, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_no_message_is_lost_or_in_two_places(redis_url: str, examples: int) -> None:
    model = type("Model", (BrokerModel,), {"url": redis_url})
    run_state_machine_as_test(model, settings=settings(max_examples=examples, stateful_step_count=40))
