"""How long syncs waited and ran: by the minute for a day, by the half hour for a month.

Histograms of small counts, to which every process adds what it saw, so that any span of any number
of processes merges by adding up. A hash holds an hour of minutes or a day of half hours, a field is
`moment|wait|N` for bucket N (not cumulative; `run` likewise), and a hash that is too old expires.

    {ns}:latency:fine:{hour since 1970}    HASH  minute since 1970 | wait or run | bucket -> count
    {ns}:latency:coarse:{day since 1970}   HASH  half hour since 1970 | wait or run | bucket -> count
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis

from brokers.messages import MESSAGES, SyncMessage
from brokers.metrics import Histogram

HOUR_S = 3600
DAY_S = 24 * HOUR_S

# Queues whose messages somebody asked for; grades, notices and checks would blur what that took.
SYNC_QUEUES = frozenset(kind.queue_name.value for kind in MESSAGES.values() if issubclass(kind, SyncMessage))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grain:
    """One histogram for each `unit_s`; those of `hash_s` share a hash, which is kept for `kept_s`."""

    name: str
    unit_s: int
    hash_s: int
    kept_s: int

    def key(self, namespace: str, at_s: float) -> str:
        return f"{{{namespace}}}:latency:{self.name}:{int(at_s) // self.hash_s}"


FINE = Grain(name="fine", unit_s=60, hash_s=HOUR_S, kept_s=DAY_S + HOUR_S)
COARSE = Grain(name="coarse", unit_s=1800, hash_s=DAY_S, kept_s=31 * DAY_S)
GRAINS = (FINE, COARSE)


@dataclass(slots=True)
class Latency:
    """How long the messages of one moment, or of several, waited to start and then ran."""

    wait: Histogram = field(default_factory=Histogram)
    run: Histogram = field(default_factory=Histogram)

    def add(self, other: Latency) -> None:
        self.wait.add(other.wait)
        self.run.add(other.run)


class LatencyNotes:
    """What this process saw and has not written yet. Not for several threads at once."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._counts: Counter[tuple[int, str, int]] = Counter()

    def note(self, name: str, buckets: Mapping[int, int], at_s: float) -> None:
        """Add these counts, by bucket, to `wait` or `run` at that time."""
        minute = int(at_s) // FINE.unit_s
        for bucket, count in buckets.items():
            self._counts[minute, name, bucket] += count

    def put(self, pipeline: redis.client.Pipeline) -> None:
        """Let the pipeline write everything; after it was carried out, call `forget`."""
        keys = {}
        for (minute, name, bucket), count in self._counts.items():
            at_s = minute * FINE.unit_s
            for grain in GRAINS:
                key = grain.key(self._namespace, at_s)
                pipeline.hincrby(key, f"{at_s // grain.unit_s}|{name}|{bucket}", count)
                keys[key] = grain.hash_s + grain.kept_s
        for key, kept_s in keys.items():
            pipeline.expire(key, kept_s)

    def forget(self) -> None:
        self._counts.clear()


def read_latency(
    client: redis.Redis, *, namespace: str, grain: Grain, since_s: float, until_s: float
) -> dict[int, Latency]:
    """By the moments' seconds since 1970, those that something happened in. Raises redis.RedisError."""
    pipeline = client.pipeline(transaction=False)
    for at_s in range(int(since_s) // grain.hash_s * grain.hash_s, int(until_s) + 1, grain.hash_s):
        pipeline.hgetall(grain.key(namespace, at_s))
    found: dict[int, Latency] = {}
    stored: list[dict[bytes, Any]] = pipeline.execute()
    for fields in stored:
        for name, count in fields.items():
            moment, kind, bucket = name.decode().split("|")
            at_s = int(moment) * grain.unit_s
            if since_s - grain.unit_s < at_s <= until_s:
                latency = found.setdefault(at_s, Latency())
                histogram = latency.wait if kind == "wait" else latency.run
                histogram.counts[int(bucket)] += int(count)
    return found


def merged(latencies: Iterable[Latency]) -> Latency:
    """All of them as one."""
    whole = Latency()
    for latency in latencies:
        whole.add(latency)
    return whole
