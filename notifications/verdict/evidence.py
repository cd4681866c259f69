"""What a verdict rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Level(StrEnum):
    GOOD = "good"
    LOOK = "look"
    ACT = "act"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen, why it matters, and where to go next; since when, where that is known.

    `key` names what is at fault, in the words of the incidents; `also` is what else comes of it.
    `step` leads to the dashboard's page `href`, `command` is what one does in a terminal.
    """

    key: str
    level: Level
    what: str
    step: str
    href: str
    command: str = ""
    since: datetime | None = None
    also: tuple[Evidence, ...] = ()
