"""What all runs came to since the counting began: the numbers behind `/metrics`.

One hash; its fields are the labels and the name of what is counted, parted by `|`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import redis

from stores.redis.errors import answering
from sync.report import Run

RECORD_COUNTS = ("read", "created", "updated", "unchanged", "removed", "quarantined", "held")
REQUEST_COUNTS = ("sent", "cache_hits", "not_modified", "retried", "throttled")


class Counted(NamedTuple):
    """A number's name (`runs`, `seconds`, `records`, `requests`) and its labels.

    runs: mode, outcome; seconds: mode; records: mode, one of RECORD_COUNTS;
    requests: provider, one of REQUEST_COUNTS.
    """

    name: str
    labels: tuple[str, ...]


class RunTotals:
    """Raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._key = f"{{{namespace}}}:run_totals"

    def add(self, run: Run) -> None:
        """Count a finished run; a dry run wrote nothing and counts none of its records."""
        with answering(), self._client.pipeline(transaction=False) as pipeline:
            for counted, number in _numbers(run):
                field = "|".join((counted.name, *counted.labels))
                if isinstance(number, float):
                    pipeline.hincrbyfloat(self._key, field, number)
                else:
                    pipeline.hincrby(self._key, field, number)
            pipeline.execute()

    def read(self) -> Mapping[Counted, float]:
        with answering():
            stored: Any = self._client.hgetall(self._key)
        totals = {}
        for field, number in stored.items():
            name, *labels = field.decode().split("|")
            totals[Counted(name, tuple(labels))] = float(number)
        return totals


def _numbers(run: Run) -> Iterator[tuple[Counted, float]]:
    mode = run.mode.value
    yield Counted("runs", (mode, run.state.value)), 1
    if run.duration_s is not None:
        yield Counted("seconds", (mode,)), float(run.duration_s)
    if run.provider is not None:
        for kind in REQUEST_COUNTS:
            if number := getattr(run.requests, kind):
                yield Counted("requests", (run.provider, kind)), number
    if not run.dry_run:
        for kind in RECORD_COUNTS:
            if number := sum(getattr(report, kind) for report in run.stages.values()):
                yield Counted("records", (mode, kind)), number
