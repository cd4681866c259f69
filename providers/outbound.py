"""Opens the way out: a door to each upstream, a fetcher for each run."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Self
from weakref import WeakValueDictionary, finalize

from providers.door import Door, Timing
from providers.fetcher import Fetcher
from providers.lookout import Lookout
from providers.ports import ORDINARY, Answers, Breakers, Conduct, Fetches, Ledgers, Opens, Tape
from providers.transport import open_client
from providers.turnstile import Turnstile
from providers.upstream import Upstream
from settings.schema import HttpSettings

_Way = tuple[Upstream, HttpSettings]


class Outbound:
    """Opens fetchers; keeps the connections of each upstream as long as it lives itself."""

    def __init__(
        self,
        *,
        ledgers: Ledgers,
        answers: Answers,
        breakers: Breakers,
        timing: Timing | None = None,
    ) -> None:
        self._ledgers = ledgers
        self._answers = answers
        self._breakers = breakers
        self._lookout = Lookout(answers)
        self._timing = timing or Timing()
        self._doors: dict[_Way, Door] = {}
        # Of predecessors and successors, too: one way has one door, whoever opens it.
        self._alive: WeakValueDictionary[_Way, Door] = WeakValueDictionary()
        self._lock = Lock()

    def open(  # noqa: PLR0913 - the shape of `Opens`
        self,
        upstream: Upstream,
        settings: HttpSettings,
        *,
        fresh_after: datetime,
        is_urgent: bool,
        tape: Tape | None = None,
        conduct: Conduct = ORDINARY,
    ) -> Fetcher:
        """A fetcher for one run; answers stored since `fresh_after` are used unasked."""
        return Fetcher(
            self._door(upstream, settings),
            fresh_after=fresh_after,
            is_urgent=is_urgent,
            timing=self._timing,
            tape=tape,
            conduct=conduct,
        )

    def successor(self) -> Self:
        """For other settings: shares all, but keeps only doors that it opens itself.

        So the doors of replaced settings close with the last run that goes by them.
        """
        successor = copy.copy(self)
        successor._doors = {}  # noqa: SLF001  one of its own kind
        return successor

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for door in self._doors.values():
                door.http.close()
            self._doors.clear()

    def _door(self, upstream: Upstream, settings: HttpSettings) -> Door:
        with self._lock:
            # Also for a door that is open: its limits may have been changed and changed back.
            ledger = self._ledgers.ledger(
                upstream.quota_name,
                requests_per_s=upstream.requests_per_s,
                concurrency=upstream.concurrency,
            )
            door = self._alive.get((upstream, settings))
            if door is None:
                door = Door(
                    upstream=upstream,
                    settings=settings,
                    http=open_client(settings),
                    ledger=ledger,
                    turnstile=Turnstile(
                        ledger, max_pause_s=settings.max_throttle_wait_s, sleep=self._timing.sleep
                    ),
                    breaker=self._breakers.breaker(upstream.host),
                    answers=self._answers,
                    lookout=self._lookout,
                )
                # Not at exit: the system closes what is open then.
                finalize(door, door.http.close).atexit = False
                self._alive[upstream, settings] = door
            self._doors[upstream, settings] = door
            return door


@dataclass(frozen=True, slots=True)
class ConductedOutbound:
    """Opens fetchers that all behave alike. Satisfies `providers.ports.Opens`."""

    outbound: Opens
    conduct: Conduct

    def open(  # noqa: PLR0913 - the shape of `Opens`
        self,
        upstream: Upstream,
        settings: HttpSettings,
        *,
        fresh_after: datetime,
        is_urgent: bool,
        tape: Tape | None = None,
        conduct: Conduct = ORDINARY,  # noqa: ARG002 - its own takes the place
    ) -> Fetches:
        return self.outbound.open(
            upstream,
            settings,
            fresh_after=fresh_after,
            is_urgent=is_urgent,
            tape=tape,
            conduct=self.conduct,
        )
