"""What was asked and served: counters, the busiest second, and a bounded log."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

# Enough for a night of 500 accounts; older entries fall out of the log, not of the counters.
_LOG_LENGTH = 50_000
_WINDOW_S = 1.0
# What the demo sends.
OPEN_KEY = "simulator"
_TOKEN = re.compile(r"(api_token=)[^&]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One request: `at_s` is when it arrived (Unix time), `took_s` until its answer was sent."""

    at_s: float
    method: str
    target: str
    endpoint: str
    status: int
    key: str
    fault: str | None
    served_bytes: int
    took_s: float


@dataclass(slots=True)
class _Busiest:
    """The most requests seen within any window of one second."""

    recent: deque[float] = field(default_factory=deque)
    most: int = 0

    def add(self, at_s: float) -> None:
        self.recent.append(at_s)
        while at_s - self.recent[0] >= _WINDOW_S:
            self.recent.popleft()
        self.most = max(self.most, len(self.recent))


class Stats:
    """Arrival times decide about rates: an answer's latency doesn't blur them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._requests = 0
        self._served_bytes = 0
        self._conditional_hits = 0
        self._in_flight = 0
        self._most_in_flight = 0
        self._endpoints: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._keys: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._busiest: dict[str, _Busiest] = {"*": _Busiest()}
        self._log: deque[Entry] = deque(maxlen=_LOG_LENGTH)

    def arrived(self, key: str, at_s: float) -> None:
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)
        self._busiest["*"].add(at_s)
        self._busiest.setdefault(key, _Busiest()).add(at_s)

    def served(self, entry: Entry) -> None:
        self._in_flight = max(0, self._in_flight - 1)
        self._requests += 1
        self._served_bytes += entry.served_bytes
        self._conditional_hits += entry.status == 304
        self._endpoints[entry.endpoint] += 1
        self._statuses[entry.status] += 1
        self._keys[entry.key] += 1
        if entry.fault:
            self._faults[entry.fault] += 1
        self._log.append(entry)

    def summary(self) -> dict[str, Any]:
        """`max_in_1s` counts arrivals; `max_in_1s_by_key` the same for each key."""
        return {
            "requests": self._requests,
            "in_flight": self._in_flight,
            "max_in_flight": self._most_in_flight,
            "max_in_1s": self._busiest["*"].most,
            "max_in_1s_by_key": {key: seen.most for key, seen in self._busiest.items() if key != "*"},
            "conditional_hits": self._conditional_hits,
            "served_bytes": self._served_bytes,
            "by_endpoint": dict(self._endpoints),
            "by_status": {str(status): count for status, count in sorted(self._statuses.items())},
            "by_key": dict(self._keys),
            "by_fault": dict(self._faults),
        }

    def log(self, limit: int, since_s: float = 0.0) -> list[dict[str, Any]]:
        """The latest entries in order of their end, at most `limit`."""
        entries = [entry for entry in self._log if entry.at_s >= since_s]
        return [asdict(entry) for entry in entries[-limit:]]


def masked(key: str | None) -> str:
    """The last four characters tell keys apart and give none away; our own key is no secret."""
    if key == OPEN_KEY:
        return OPEN_KEY
    return f"…{key[-4:]}" if key else "none"


def without_token(target: str) -> str:
    """The address as it may be shown: Play-Cricket's credential stands in the query."""
    return _TOKEN.sub(r"\1…", target)


def most_within(times_s: list[float], window_s: float = _WINDOW_S) -> int:
    """The most of the ascending times that lie within one half-open window."""
    return max(
        (index + 1 - bisect_right(times_s, at - window_s) for index, at in enumerate(times_s)), default=0
    )
