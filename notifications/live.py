"""The channels and routes in force, replaced as one when the settings change."""

from __future__ import annotations

from notifications.announcer import Announcer, Publish
from notifications.delivery import Deliveries, Delivery, Names, Runs
from notifications.registry import open_channels
from settings.schema import NotificationsSettings
from sync.report import Run


class LiveNotifications:
    """An announcer and a delivery under the settings that were applied last."""

    def __init__(
        self,
        settings: NotificationsSettings,
        publish: Publish,
        runs: Runs,
        deliveries: Deliveries,
        name_of: Names,
    ) -> None:
        self._publish = publish
        self._runs = runs
        self._deliveries = deliveries
        self._name_of = name_of
        self.apply(settings)

    def apply(self, settings: NotificationsSettings) -> None:
        """Open the channels anew; notices on their way end on the old ones."""
        channels = open_channels(settings).opened
        announcer = Announcer(self._publish, settings.routes, channels.keys())
        self._in_force = announcer, Delivery(channels, self._runs, self._deliveries, self._name_of)

    def announce(self, run: Run) -> None:
        """See `notifications.announcer.Announcer.announce`."""
        announcer, _ = self._in_force
        announcer.announce(run)

    def deliver(self, event: str, channel: str, run_id: str) -> None:
        """See `notifications.delivery.Delivery.deliver`."""
        _, delivery = self._in_force
        delivery.deliver(event, channel, run_id)
