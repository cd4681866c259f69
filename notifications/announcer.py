"""Who is to hear of a finished run: one notice for each channel that a route leads to."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from notifications.delivery import Names, Outbox
from notifications.notice import ALERT, BATCH_FINISHED, Notice, notice_of
from notifications.routing import Way, uses_tags, ways
from notifications.subjects import subject_key
from settings.schema import AlertsSettings, RouteSettings
from sync.causes import Cause
from sync.incident import Severity
from sync.ports import Clock
from sync.report import Run

log = logging.getLogger(__name__)


class Publish(Protocol):
    def __call__(self, *, event: str, channel: str, run_id: str | None, about: str | None) -> None:
        """Send a SendNotification message; one that waits already is not sent twice."""
        ...


class Tags(Protocol):
    def __call__(self, run: Run) -> Collection[str]:
        """The tags of the run's account."""
        ...


class Failures(Protocol):
    def count_alike(self, provider: str | None, cause: Cause, *, since: datetime) -> int:
        """How many runs that cause ended since then."""
        ...


class SizeOfBatch(Protocol):
    def __call__(self, batch_id: str, /) -> int:
        """How many accounts it has; 0 for one that is forgotten."""
        ...


class OpenIncidents(Protocol):
    def is_open(self, key: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Grouping:
    """When a run is one of many, which one digest or one incident tells."""

    failures: Failures
    incidents: OpenIncidents
    alerts: AlertsSettings
    size_of_batch: SizeOfBatch
    digest_from: int

    def has_digest(self, run: Run) -> bool:
        """Whether its batch is so large that its good runs are not told one by one."""
        return run.batch_id is not None and self.size_of_batch(run.batch_id) >= self.digest_from

    def incident_of(self, run: Run, now: datetime) -> str | None:
        """The subject of the incident that tells of this failure, or None."""
        if run.cause is None or run.dry_run or (key := subject_key(run.cause, run.provider)) is None:
            return None
        since = now - timedelta(seconds=self.alerts.window_s)
        alike = self.failures.count_alike(run.provider, run.cause, since=since)
        return key if alike >= self.alerts.grouped_from or self.incidents.is_open(key) else None


class Announcer:
    """Knows who hears of what; `channels` are those that can be reached."""

    def __init__(  # noqa: PLR0913  what an announcement depends on
        self,
        publish: Publish,
        outbox: Outbox,
        grouping: Grouping,
        routes: Mapping[str, RouteSettings],
        channels: Collection[str],
        *,
        name_of: Names,
        tags_of: Tags,
        clock: Clock,
    ) -> None:
        self._publish = publish
        self._outbox = outbox
        self._grouping = grouping
        self._routes = routes
        self._channels = channels
        self._name_of = name_of
        self._tags_of = tags_of
        self._clock = clock

    def announce(self, run: Run) -> None:
        """Note a notice for each routed channel and send it off; call it after the run's flags are written.

        Repeatable: a notice is told apart by run, event and channel. Left to others are the
        good runs of a large batch, which its digest tells, and failures like many others, which
        their incident tells. What nobody hears is logged.
        """
        notice = notice_of(run, name=self._name_of(run))
        tags = self._tags_of(run) if uses_tags(self._routes) else ()
        found = self._ways(notice.event, notice.severity, tags)
        reached = {channel: way for channel, way in found.items() if channel in self._channels}
        group = self._group_of(run, notice) if any(way.is_grouped for way in reached.values()) else None
        for channel, way in reached.items():
            is_grouped = way.is_grouped and group is not None and channel in group.channels
            self._put(run, notice, channel, way.not_before, group.name if group and is_grouped else None)
        if not reached:
            log.info("notice_only_logged", extra={"notice": notice.event, "subject": notice.subject})

    def _ways(self, event: str, severity: Severity, tags: Collection[str] = ()) -> Mapping[str, Way]:
        return ways(self._routes, event=event, severity=severity, tags=tags, now=self._clock.now())

    def _put(
        self, run: Run, notice: Notice, channel: str, not_before: datetime | None, left_to: str | None
    ) -> None:
        self._outbox.add(
            key=notice.key,
            channel=channel,
            event=notice.event,
            severity=notice.severity,
            subject=notice.subject,
            text=notice.text,
            fields=notice.fields,
            run_id=run.id,
            not_before=not_before,
            left_to=left_to,
        )
        if left_to is None and not_before is None:
            self._publish(event=notice.event, channel=channel, run_id=run.id, about=None)

    def _group_of(self, run: Run, notice: Notice) -> _Group | None:
        """What tells of this run among others, and the channels that it reaches."""
        if notice.severity is Severity.INFO:
            if not self._grouping.has_digest(run):
                return None
            return _Group(f"the digest of batch {run.batch_id}", self._ways(BATCH_FINISHED, notice.severity))
        key = self._grouping.incident_of(run, self._clock.now())
        return _Group(f"the incident of {key}", self._ways(ALERT, notice.severity)) if key else None


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    channels: Collection[str]
