"""What all runs of a process share for one upstream, and the clock they go by."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from providers.asking import Asking
from providers.lookout import Lookout
from providers.ports import Answers, Breaker, Ledger
from providers.turnstile import Turnstile
from providers.upstream import Upstream
from settings.schema import HttpSettings
from sync.ports import StopSignal

# Soon enough to leave a draining worker time for handing over.
LOOKS_AT_STOP_EVERY_S = 0.5


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Clock, sleep and chance; `random_share` is between 0 and 1."""

    now: Callable[[], datetime] = _utc_now
    sleep: Callable[[float], None] = time.sleep
    random_share: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Door:
    """The way through to one upstream, with everything that guards it."""

    upstream: Upstream
    settings: HttpSettings
    http: httpx.Client
    ledger: Ledger
    turnstile: Turnstile
    breaker: Breaker
    answers: Answers
    lookout: Lookout
    asking: Asking = field(default_factory=Asking)


def stoppable_sleep(stop: StopSignal) -> Callable[[float], None]:
    """A sleep for workers: it ends early, with Stopping, once the worker drains."""

    def sleep(for_s: float) -> None:
        ends_at_s = time.monotonic() + for_s
        while (left_s := ends_at_s - time.monotonic()) > 0:
            stop.raise_if_stopping()
            time.sleep(min(left_s, LOOKS_AT_STOP_EVERY_S))

    return sleep
