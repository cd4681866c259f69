"""Counts how attempts end under each version of the settings, for whoever compares versions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from dramatiq.middleware import TimeLimitExceeded

from sync.errors import DeferredError, StoreUnavailable

log = logging.getLogger(__name__)


class CountAttempt(Protocol):
    def __call__(self, number: int, process: str, *, has_failed: bool) -> None:
        """Note that an attempt under version `number` ended. Raises StoreUnavailable."""
        ...


@dataclass(slots=True)
class Attempt:
    """One that ended well although not all of it did may say so."""

    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class Attempts:
    """Those of this process; `version` answers the number in force."""

    count: CountAttempt
    process: str
    version: Callable[[], int]

    @contextmanager
    def counted(self, version: int | None = None) -> Iterator[Attempt]:
        """Count what happens within, unless it is only put off or cut short by the worker's end."""
        number = version or self.version()
        attempt = Attempt()
        try:
            yield attempt
        except DeferredError:
            raise
        except (Exception, TimeLimitExceeded):
            self._note(number, has_failed=True)
            raise
        self._note(number, has_failed=attempt.has_failed)

    def _note(self, number: int, *, has_failed: bool) -> None:
        try:
            self.count(number, self.process, has_failed=has_failed)
        except StoreUnavailable as error:
            # The work is done; only the comparison lacks it.
            log.warning("attempt_not_counted", extra={"version": number, "reason": str(error)})
