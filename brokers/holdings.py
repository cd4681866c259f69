"""What a worker process holds, and how much more it may take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from brokers.delivery import Delivery


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many messages a process carries out at once.

    Common ones, of normal or low priority, leave `reserved` of the slots to urgent and high ones;
    never more than half of them, so that a process with one slot does all work.
    """

    slots: int
    reserved: int = 0

    @property
    def common_slots(self) -> int:
        return self.slots - min(self.reserved, self.slots // 2)


class Room(NamedTuple):
    """How many messages may be taken now, and how many of them may be common."""

    want: int
    common: int


NO_ROOM = Room(0, 0)


class Holdings:
    """Deliveries by id and fetch: a retry without delay may be here before its first one is settled.

    Each change is one step of a dictionary, so several threads may make them.
    """

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self._deliveries: dict[tuple[str, int], Delivery] = {}
        self._common: dict[tuple[str, int], None] = {}

    def __iter__(self) -> Iterator[Delivery]:
        return iter(list(self._deliveries.values()))

    def add(self, delivery: Delivery) -> None:
        if delivery.lent.is_common:
            self._common[delivery.key] = None
        self._deliveries[delivery.key] = delivery

    def drop(self, delivery: Delivery) -> None:
        self._deliveries.pop(delivery.key, None)
        self._common.pop(delivery.key, None)

    def room(self, most: int) -> Room:
        """What up to `most` free slots may take."""
        want = max(0, min(most, self.capacity.slots - len(self._deliveries)))
        return Room(want, max(0, min(want, self.capacity.common_slots - len(self._common))))
