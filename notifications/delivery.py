"""Carries one notice of one run to one channel, once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

from notifications.channels import Channel
from notifications.notice import notice_of
from sync.report import Run

log = logging.getLogger(__name__)


class Runs(Protocol):
    def find(self, run_id: str) -> Run:
        """Raises NotFound."""
        ...


class Deliveries(Protocol):
    """The record of what was told to whom; run, event and channel are the key."""

    def find(self, run_id: str, event: str, channel: str) -> str | None:
        """The channel's reference when it was delivered, else None."""
        ...

    def record(self, run_id: str, event: str, channel: str, reference: str) -> None:
        """Remember a delivery; repeatable."""
        ...


class Names(Protocol):
    def __call__(self, run: Run) -> str | None:
        """The name of the run's account or organisation, if it is known."""
        ...


class Delivery:
    """What the actor `send_notification` does."""

    def __init__(
        self, channels: Mapping[str, Channel], runs: Runs, deliveries: Deliveries, name_of: Names
    ) -> None:
        self._channels = channels
        self._runs = runs
        self._deliveries = deliveries
        self._name_of = name_of

    def deliver(self, event: str, channel: str, run_id: str) -> None:
        """Send the notice unless it was delivered before, and record it.

        A channel that is not configured any more is logged, not an error. Raises NotFound
        for an unknown run, and what the channel raises. A worker that dies between sending
        and recording sends again: the notice's key lets the receiver see it.
        """
        fields = {"channel": channel, "notice": event, "run_id": run_id}
        if channel not in self._channels:
            log.warning("notice_without_channel", extra=fields)
            return
        if self._deliveries.find(run_id, event, channel) is not None:
            log.info("notice_already_delivered", extra=fields)
            return
        run = self._runs.find(run_id)
        reference = self._channels[channel].send(notice_of(run, name=self._name_of(run)))
        self._deliveries.record(run_id, event, channel, reference)
        log.info("notice_delivered", extra={**fields, "reference": reference})
