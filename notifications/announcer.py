"""One message to each channel that is to hear of a finished run."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Protocol

from notifications.notice import event_of, notice_of
from settings.schema import RouteSettings
from sync.report import Run

log = logging.getLogger(__name__)


class Publish(Protocol):
    def __call__(self, *, event: str, channel: str, run_id: str) -> None:
        """Send a SendNotification message; one that waits already is not sent twice."""
        ...


class Announcer:
    """Knows who hears of what; `channels` are those that can be reached."""

    def __init__(self, publish: Publish, routes: RouteSettings, channels: Collection[str]) -> None:
        self._publish = publish
        self._routes = routes
        self._channels = channels

    def announce(self, run: Run) -> None:
        """Send one message for each routed channel; call it after the run's flags are written.

        Repeatable: deliveries of one run are told apart by run, event and channel. What
        nobody hears is logged.
        """
        event = event_of(run)
        reached = [name for name in getattr(self._routes, event) if name in self._channels]
        for channel in reached:
            self._publish(event=event, channel=channel, run_id=run.id)
        if not reached:
            log.info("notice_only_logged", extra={"notice": event, "subject": notice_of(run).subject})
