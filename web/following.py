"""The settings of this process, followed while it runs; those it started with until Redis answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from settings.loader import InvalidSettings, Loaded
from settings.reload import Reloader
from sync.errors import StoreUnavailable

log = logging.getLogger(__name__)

ASK_AGAIN_S = 1.0


class Following:
    """Opens the reloader as soon as it can be, and lets it run in a thread of its own."""

    def __init__(self, loaded: Loaded, open_reloader: Callable[[], Reloader]) -> None:
        self._started_with = loaded
        self._open_reloader = open_reloader
        self._reloader: Reloader | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settings", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def ask(self) -> None:
        """Reload at the next look, whatever changed; safe in a signal handler."""
        if self._reloader is not None:
            self._reloader.ask()

    def loaded(self) -> Loaded:
        """What is in force now."""
        return self._reloader.in_force.loaded if self._reloader else self._started_with

    def number(self) -> int:
        """The number of their version; 0 until Redis has answered."""
        return self._reloader.in_force.number if self._reloader else 0

    def _run(self) -> None:
        while self._reloader is None:
            try:
                self._reloader = self._open_reloader()
            except (StoreUnavailable, InvalidSettings) as error:
                log.warning("settings_not_followed", extra={"reason": str(error)})
                if self._stopping.wait(ASK_AGAIN_S):
                    return
        self._reloader.run(self._stopping)
