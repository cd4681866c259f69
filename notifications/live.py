"""The channels, routes and words in force, replaced as one when the settings change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from notifications.announcer import Announcer, Failures, Grouping, OpenIncidents, Publish, SizeOfBatch
from notifications.channels import Channel
from notifications.delivery import Delivery, Outbox, Runs, Turns
from notifications.registry import open_channels
from settings.schema import Settings
from sync.errors import NotFound
from sync.model import Account
from sync.ports import Clock
from sync.report import Run


class Accounts(Protocol):
    def find(self, account_id: int) -> Account:
        """Raises NotFound."""
        ...

    def find_name(self, account_id: int) -> str | None: ...


class Stores(Protocol):
    """What is remembered of runs, notices and problems (`stores.sql.stores.SqlStores`)."""

    @property
    def runs(self) -> Runs: ...
    @property
    def notices(self) -> Outbox: ...
    @property
    def outcomes(self) -> Failures: ...
    @property
    def incidents(self) -> OpenIncidents: ...
    @property
    def accounts(self) -> Accounts: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What notifications need of the outside; `own_channels` are those that no plugin opens."""

    stores: Stores
    turns: Turns
    publish: Publish
    size_of_batch: SizeOfBatch
    clock: Clock
    own_channels: Mapping[str, Channel] = field(default_factory=dict)


class LiveNotifications:
    """An announcer and a delivery under the settings that were applied last."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._ports = ports
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Open the channels anew; notices on their way end on the old ones."""
        ports, notifications = self._ports, settings.notifications
        channels = {**open_channels(notifications).opened, **ports.own_channels}
        announcer = Announcer(
            ports.publish,
            ports.stores.notices,
            Grouping(
                ports.stores.outcomes,
                ports.stores.incidents,
                settings.alerts,
                ports.size_of_batch,
                notifications.digest_from,
            ),
            notifications.routes,
            channels.keys(),
            name_of=self._name_of,
            tags_of=self._tags_of,
            clock=ports.clock,
        )
        delivery = Delivery(
            channels,
            notifications,
            runs=ports.stores.runs,
            outbox=ports.stores.notices,
            turns=ports.turns,
            name_of=self._name_of,
            clock=ports.clock,
        )
        self._in_force = announcer, delivery, frozenset(channels)

    @property
    def channels(self) -> frozenset[str]:
        """The names of those that can be reached."""
        return self._in_force[2]

    def announce(self, run: Run) -> None:
        """See `notifications.announcer.Announcer.announce`."""
        self._in_force[0].announce(run)

    def deliver(self, event: str, channel: str, run_id: str | None) -> None:
        """See `notifications.delivery.Delivery.deliver`."""
        self._in_force[1].deliver(event, channel, run_id)

    def drain(self, channel: str) -> None:
        """See `notifications.delivery.Delivery.drain`."""
        self._in_force[1].drain(channel)

    def _name_of(self, run: Run) -> str | None:
        accounts = self._ports.stores.accounts
        return accounts.find_name(run.account_id) if run.account_id is not None else None

    def _tags_of(self, run: Run) -> Collection[str]:
        """None where the account is kept by the CMS alone."""
        try:
            return self._ports.stores.accounts.find(run.account_id or 0).tags
        except NotFound:
            return ()
