"""A rotated pool of proxies; one that fails is left out for a while."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

# Long enough not to meet a dead proxy at every turn, short enough to see it come back.
RESTS_FOR_S = 60.0


class Rotation(Generic[T]):
    """Hands out members in turn, resting ones last; never refuses."""

    def __init__(self, members: Sequence[T], now_s: Callable[[], float]) -> None:
        self._members = members
        self._now_s = now_s
        self._turns = itertools.count()
        self._rests_until_s = [0.0] * len(members)

    def next(self) -> tuple[int, T]:
        """The next member and its number, by which `rest` knows it."""
        start = next(self._turns)
        order = [(start + step) % len(self._members) for step in range(len(self._members))]
        now_s = self._now_s()
        rested = (number for number in order if self._rests_until_s[number] <= now_s)
        number = next(rested, None)
        if number is None:
            number = min(order, key=lambda number: self._rests_until_s[number])
        return number, self._members[number]

    def rest(self, number: int) -> None:
        """Leave a member out for a while."""
        self._rests_until_s[number] = self._now_s() + RESTS_FOR_S
