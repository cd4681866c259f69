"""The messaging metrics of all processes, as kept in one Redis hash.

Fields are `queue|actor|event` for counts, `queue|actor|wait|N` for the number of waits in
bucket N (not cumulative), and `queue|actor|wait_sum` for their seconds; `run` likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import redis

# Upper bounds, in seconds, of the histogram buckets; one more holds everything above.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class Series(NamedTuple):
    """What is counted apart. Neither name may hold a `|`."""

    queue: str
    actor: str

    def field(self, name: str, bucket: int | None = None) -> str:
        parts = (self.queue, self.actor, name) if bucket is None else (self.queue, self.actor, name, bucket)
        return "|".join(map(str, parts))


@dataclass(slots=True)
class Histogram:
    """`counts[n]` values were at most `BOUNDS_S[n]` and above the bound before it."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def add(self, other: Histogram) -> None:
        self.counts = [ours + theirs for ours, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum_s += other.sum_s

    def quantile_s(self, share: float) -> float | None:
        """Which value this share of the values does not exceed, as even as its bucket allows.

        None without values; of values above the last bound only that bound is known.
        """
        wanted, seen, below_s = share * self.count, 0, 0.0
        for bound_s, count in zip(BOUNDS_S, self.counts, strict=False):
            if count and seen + count >= wanted:
                return below_s + (bound_s - below_s) * (wanted - seen) / count
            seen += count
            below_s = bound_s
        return BOUNDS_S[-1] if self.count else None


@dataclass(slots=True)
class Totals:
    """Since the counting began: of one queue and actor, over all processes.

    `counts` has sent, started, done, failed (for good), retried, deferred, skipped, dead.
    """

    counts: dict[str, int] = field(default_factory=dict)
    wait: Histogram = field(default_factory=Histogram)
    run: Histogram = field(default_factory=Histogram)


def metrics_key(namespace: str) -> str:
    return f"{{{namespace}}}:metrics"


def read_metrics(client: redis.Redis, *, namespace: str) -> Mapping[Series, Totals]:
    """Everything counted, as of the last flush of each process (about a second ago)."""
    stored = cast("dict[bytes, bytes]", client.hgetall(metrics_key(namespace)))
    totals: dict[Series, Totals] = {}
    for key, value in stored.items():
        queue, actor, name, *bucket = key.decode().split("|")
        one = totals.setdefault(Series(queue, actor), Totals())
        histogram = {"wait": one.wait, "run": one.run}.get(name.removesuffix("_sum"))
        if histogram is None:
            one.counts[name] = int(value)
        elif bucket:
            histogram.counts[int(bucket[0])] = int(value)
        else:
            histogram.sum_s = float(value)
    return totals
