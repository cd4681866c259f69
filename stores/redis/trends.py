"""How the last day went minute by minute, and the last month by the half hour, with what was changed when.

Bounded: a field a minute of a day and one a half hour of a month. Whoever records writes the same
numbers for the same minute, so several processes may.

    {ns}:trends:fine     HASH  minute since 1970 -> "enqueued done died waiting dead"
    {ns}:trends:coarse   HASH  half hour since 1970 -> the same: sums, and the last waiting and dead
    {ns}:trends:marks    ZSET  JSON of a Mark by its time
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import redis

from stores.redis.errors import answering

MINUTE_S = 60
COARSE_MINUTES = 30
FINE_KEPT = 24 * 60
COARSE_KEPT = 30 * 48
MARKS_KEPT = 200


class Point(NamedTuple):
    """Messages of a minute or half hour; `waiting` and `dead` as of its end."""

    enqueued: int = 0
    done: int = 0
    died: int = 0
    waiting: int = 0
    dead: int = 0


class Mark(msgspec.Struct, frozen=True):
    """Something that was changed: a deploy."""

    at_s: float
    text: str


class Trends:
    """All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{{{namespace}}}:trends"

    def record(self, minutes: Mapping[int, Point]) -> None:
        """Keep these minutes, by their number since 1970, and the half hours that they are part of."""
        if not minutes:
            return
        newest = max(minutes)
        with answering():
            fields: Mapping[Any, Any] = {str(minute): _text(point) for minute, point in minutes.items()}
            self._client.hset(self._fine, mapping=fields)
            for half_hour in {minute // COARSE_MINUTES for minute in minutes}:
                self._sum_up(half_hour)
            self._trim(self._fine, newest - FINE_KEPT)
            self._trim(self._coarse, newest // COARSE_MINUTES - COARSE_KEPT)

    def fine(self) -> list[tuple[int, Point]]:
        """The last day: seconds since 1970 and the minute's numbers, oldest first."""
        return self._read(self._fine, MINUTE_S)

    def coarse(self) -> list[tuple[int, Point]]:
        """The last month, by the half hour."""
        return self._read(self._coarse, MINUTE_S * COARSE_MINUTES)

    def newest_minute(self) -> int | None:
        """The last minute that was recorded."""
        fine = self.fine()
        return fine[-1][0] // MINUTE_S if fine else None

    def mark_once(self, text: str, at_s: float) -> None:
        """Remember that something was changed; what was marked in these words stays where it is."""
        if any(mark.text == text for mark in self.marks()):
            return
        with answering(), self._client.pipeline() as pipe:
            pipe.zadd(self._marks, {msgspec.json.encode(Mark(at_s, text)): at_s})
            pipe.zremrangebyrank(self._marks, 0, -MARKS_KEPT - 1)
            pipe.execute()

    def marks(self) -> Sequence[Mark]:
        """Oldest first."""
        with answering():
            found: Any = self._client.zrange(self._marks, 0, -1)
        return [msgspec.json.decode(mark, type=Mark) for mark in found]

    def _sum_up(self, half_hour: int) -> None:
        names = [str(half_hour * COARSE_MINUTES + place) for place in range(COARSE_MINUTES)]
        found: Any = self._client.hmget(self._fine, names)
        points = [_point(one) for one in found if one is not None]
        whole = Point(
            enqueued=sum(point.enqueued for point in points),
            done=sum(point.done for point in points),
            died=sum(point.died for point in points),
            waiting=points[-1].waiting,
            dead=points[-1].dead,
        )
        self._client.hset(self._coarse, str(half_hour), _text(whole))

    def _trim(self, name: str, oldest: int) -> None:
        fields: Any = self._client.hkeys(name)
        if old := [field for field in fields if int(field) <= oldest]:
            self._client.hdel(name, *old)

    def _read(self, name: str, unit_s: int) -> list[tuple[int, Point]]:
        with answering():
            found: Any = self._client.hgetall(name)
        return sorted((int(field) * unit_s, _point(value)) for field, value in found.items())

    @property
    def _fine(self) -> str:
        return f"{self._prefix}:fine"

    @property
    def _coarse(self) -> str:
        return f"{self._prefix}:coarse"

    @property
    def _marks(self) -> str:
        return f"{self._prefix}:marks"


def _text(point: Point) -> str:
    return " ".join(map(str, point))


def _point(value: bytes) -> Point:
    return Point(*map(int, value.split()))
