"""Who meets whom: a round robin in which nobody plays twice a round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pairings(Generic[T]):
    """One round: (home, away) pairs and those who sit out."""

    pairs: tuple[tuple[T, T], ...]
    byes: tuple[T, ...]


def draw_rounds(sides: Sequence[T], rounds: int) -> list[Pairings[T]]:
    """The circle method, repeated with home and away swapped for as many rounds as asked.

    An odd number of sides gives one bye a round.
    """
    circle: list[T | None] = list(sides)
    if len(circle) % 2:
        circle.append(None)
    if len(circle) < 2:
        return [Pairings((), tuple(sides)) for _ in range(rounds)]
    half, cycle = len(circle) // 2, len(circle) - 1
    drawn = []
    for number in range(rounds):
        pairs: list[tuple[T, T]] = []
        byes: list[T] = []
        for first, second in zip(circle[:half], reversed(circle[half:]), strict=True):
            if first is None or second is None:
                byes.extend(side for side in (first, second) if side is not None)
            else:
                is_swapped = (number + number // cycle) % 2 == 1
                pairs.append((second, first) if is_swapped else (first, second))
        drawn.append(Pairings(tuple(pairs), tuple(byes)))
        circle = [circle[0], circle[-1], *circle[1:-1]]
    return drawn
