"""Who may send: one scheduler of several, as long as it can be sure of it.

The lease is in Redis. The leader trusts it only until a moment by its own clock that
comes before the lease's end, so that a process which stood still sends nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from sync.errors import StoreUnavailable

log = logging.getLogger(__name__)

# Renewed three times a lease: one lost answer does not cost it. Who waits asks twice as often.
RENEWALS = 3
# Two machines' clocks may run at slightly different speeds.
TRUSTED_SHARE = 0.9


class NotLeading(Exception):
    """Another scheduler leads, or this one cannot be sure that it does."""


class Leadership(Protocol):
    def take(self, owner: str, lease_s: float) -> int | None:
        """The term, or None while another one leads. Raises StoreUnavailable."""
        ...

    def give_up(self, owner: str) -> None: ...


class Leader:
    """`owner` names this process; `monotonic` is its clock in seconds."""

    def __init__(
        self, leadership: Leadership, owner: str, *, lease_s: float, monotonic: Callable[[], float]
    ) -> None:
        self._leadership = leadership
        self.owner = owner
        self.lease_s = lease_s
        self._monotonic = monotonic
        self._term: int | None = None
        self._trusted_until = 0.0

    @property
    def term(self) -> int | None:
        """The term in which this process leads; None while it does not, or cannot be sure."""
        return self._term if self._monotonic() < self._trusted_until else None

    def raise_if_not_leading(self) -> None:
        if self.term is None:
            raise NotLeading("this scheduler does not lead")

    def step(self) -> None:
        """Take or renew the lease once; without an answer the trust that is left runs out by itself."""
        asked_at = self._monotonic()
        before = self.term
        try:
            term = self._leadership.take(self.owner, self.lease_s)
        except StoreUnavailable as error:
            log.warning("leadership_unknown", extra={"reason": str(error)})
            return
        self._term = term
        self._trusted_until = asked_at + self.lease_s * TRUSTED_SHARE if term else 0.0
        if term != before:
            event = "leadership_lost" if term is None else "leadership_taken"
            log.info(event, extra={"owner": self.owner, "term": term or before})

    def run(self, stop: threading.Event) -> None:
        """Keep stepping until `stop` is set, then let the next one lead."""
        while not stop.is_set():
            self.step()
            stop.wait(self.lease_s / (RENEWALS if self.term else 2 * RENEWALS))
        self.give_up()

    def give_up(self) -> None:
        self._trusted_until = 0.0
        try:
            self._leadership.give_up(self.owner)
        except StoreUnavailable as error:
            log.warning("leadership_not_given_up", extra={"reason": str(error)})
