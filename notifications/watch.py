"""Looks at the system once an interval, keeps its incidents, and lets people know.

One process an interval looks: the leading scheduler, or a worker when none leads. It also
wakes channels that notices wait for, so that what a channel missed while it was down is
told, and tells them itself when no worker lives that could.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from notifications.announcer import Publish
from notifications.delivery import Outbox
from notifications.digests import Batches, Digests
from notifications.digests import Outcomes as BatchOutcomes
from notifications.incidents import Step, back_again, follow, subject_of, text_of
from notifications.look import Freshness, Look, Operations, Refusals
from notifications.look import Notices as LookedAtNotices
from notifications.look import Outcomes as LookedAtOutcomes
from notifications.notice import ALERT
from notifications.problems import Facts, Problem, find_problems
from notifications.routing import ways
from notifications.subjects import channel_key
from notifications.switches import Off
from settings.canary import Ending
from settings.schema import AlertsSettings, RouteSettings, Settings
from sync.errors import SyncError
from sync.incident import Incident
from sync.ports import Clock

log = logging.getLogger(__name__)

# Who acted, in the audit.
WATCH = "watch"


class Incidents(Protocol):
    """`stores.sql.incidents.Incidents`."""

    def current(self) -> Sequence[Incident]: ...

    def latest_over(self, key: str, *, since: datetime) -> Incident | None: ...

    def save(self, incident: Incident) -> None: ...

    def drop(self, incident_id: str) -> None: ...


class Waiting(Outbox, Protocol):
    def due_channels(self) -> Mapping[str, int]: ...


class Audit(Protocol):
    def record(
        self, *, actor: str, source: str, action: str, subject: str | None, detail: Mapping[str, Any]
    ) -> None: ...


class Tell(Protocol):
    """The channels in force (`notifications.live.LiveNotifications`)."""

    @property
    def channels(self) -> frozenset[str]: ...

    def drain(self, channel: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """`claim` says whether this process is the one to look in this interval; `look` sees what is."""

    settings: Callable[[], Settings]
    claim: Callable[[float], bool]
    look: Callable[[Settings], Facts]
    incidents: Incidents
    notices: Waiting
    audit: Audit
    publish: Publish
    tell: Tell
    digests: Digests
    clock: Clock

    def turn(self) -> bool:
        """Look if nobody has in this interval; whether it did. Raises StoreUnavailable."""
        settings = self.settings()
        if not self.claim(settings.alerts.every_s):
            return False
        facts = self.look(settings)
        self._follow_incidents(find_problems(facts, settings.alerts), settings)
        notifications = settings.notifications
        self.digests.tell_finished(
            notifications.routes, self.tell.channels, digest_from=notifications.digest_from
        )
        self._wake_channels(has_worker=facts.taking_workers > 0)
        return True

    def _follow_incidents(self, problems: Sequence[Problem], settings: Settings) -> None:
        by_key: dict[str, list[Problem]] = defaultdict(list)
        for problem in problems:
            by_key[problem.key].append(problem)
        known = {incident.key: incident for incident in self.incidents.current()}
        for key in {**known, **by_key}:
            self._follow(known.get(key) or self._suspicion(by_key[key]), by_key.get(key, []), settings)

    def _suspicion(self, problems: Sequence[Problem]) -> Incident:
        first, now = problems[0], self.clock.now()
        return Incident(
            id=uuid.uuid4().hex,
            key=first.key,
            severity=first.severity,
            title=first.what,
            party=first.party,
            alerts=(),
            first_seen_at=now,
            seen_at=now,
        )

    def _follow(self, known: Incident, problems: Sequence[Problem], settings: Settings) -> None:
        now, rules = self.clock.now(), settings.alerts
        step = follow(known, problems, now, rules)
        if step.incident is None:
            self.incidents.drop(known.id)
            return
        if known.opened_at is None and step.is_opened:
            step = self._opened(known, step, rules)
        incident = step.incident
        assert incident is not None  # noqa: S101  an opened one is one
        is_told = incident.opened_at is not None and (
            bool(step.changes) or text_of(incident, now) != text_of(known, now)
        )
        if is_told:
            told_at = now if step.changes else incident.told_at
            incident = replace(incident, revision=incident.revision + 1, told_at=told_at)
        self.incidents.save(incident)
        if is_told:
            self._tell(incident, step.changes, settings.notifications.routes)
        if step.is_opened or step.is_resolved or incident.severity.level > known.severity.level:
            self._note(incident, step)

    def _opened(self, known: Incident, step: Step, rules: AlertsSettings) -> Step:
        """The step as it is, or, of an incident that was over a short while ago, as its return."""
        now = self.clock.now()
        over = self.incidents.latest_over(known.key, since=now - timedelta(seconds=rules.repeat_s))
        if over is None or step.incident is None:
            return step
        self.incidents.drop(known.id)
        return back_again(over, step.incident, now)

    def _tell(self, incident: Incident, changes: Sequence[str], routes: Mapping[str, RouteSettings]) -> None:
        now = self.clock.now()
        for channel, way in ways(routes, event=ALERT, severity=incident.severity, now=now).items():
            if channel not in self.tell.channels or (way.not_before and not changes):
                continue
            if incident.key == channel_key(channel):
                continue  # what is wrong with a channel is told by the others
            # Counts alone are no news: one row a channel tells them, again and again.
            about = f"{incident.id}:{incident.revision if changes else 'counts'}"
            self.notices.add(
                key=f"incident:{about}",
                channel=channel,
                event=ALERT,
                severity=incident.severity,
                subject=subject_of(incident),
                text=text_of(incident, now),
                fields=_fields(incident, changes),
                incident_id=incident.id,
                not_before=way.not_before,
                is_renewed=not changes,
            )
            if way.not_before is None:
                self.publish(event=ALERT, channel=channel, run_id=None, about=about)

    def _note(self, incident: Incident, step: Step) -> None:
        is_over = incident.resolved_at is not None
        action = "incident_resolved" if is_over else "incident_opened" if step.is_opened else "incident_worse"
        detail = {"incident": incident.id, "severity": incident.severity.value, "what": incident.title}
        self.audit.record(actor=WATCH, source="alerts", action=action, subject=incident.key, detail=detail)
        log.warning(action, extra={"key": incident.key, **detail})

    def _wake_channels(self, *, has_worker: bool) -> None:
        for channel, count in self.notices.due_channels().items():
            log.info("channel_woken", extra={"channel": channel, "notices": count})
            if has_worker:
                self.publish(event="waiting", channel=channel, run_id=None, about=uuid.uuid4().hex)
                continue
            try:
                self.tell.drain(channel)
            except SyncError as error:
                log.warning("channel_waits", extra={"channel": channel, "reason": str(error)})


def _fields(incident: Incident, changes: Sequence[str]) -> Mapping[str, Any]:
    return {
        "change": "\n".join(changes) or None,
        "key": incident.key,
        "state": "resolved" if incident.resolved_at else "open",
        "party": incident.party.value if incident.party else None,
        "count": incident.count,
        "opened_at": incident.opened_at.isoformat() if incident.opened_at else None,
        "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
        "alerts": [{"kind": alert.kind, "what": alert.what, "step": alert.step} for alert in incident.alerts],
    }


class WatchedStores(Protocol):
    """`stores.sql.stores.SqlStores`."""

    @property
    def outcomes(self) -> WatchedOutcomes: ...
    @property
    def freshness(self) -> Freshness: ...
    @property
    def notices(self) -> WatchedNotices: ...
    @property
    def refusals(self) -> Refusals: ...
    @property
    def incidents(self) -> Incidents: ...
    @property
    def audit(self) -> Audit: ...


class WatchedOutcomes(LookedAtOutcomes, BatchOutcomes, Protocol): ...


class WatchedNotices(Waiting, LookedAtNotices, Protocol): ...


def open_watch(  # noqa: PLR0913  everything that a look needs of the outside
    *,
    settings: Callable[[], Settings],
    stores: WatchedStores,
    operations: Operations,
    batches: Batches,
    claim: Callable[[float], bool],
    breaker_open_s: Callable[[str], float],
    find_leader: Callable[[], object | None],
    troubled_entries: Callable[[], Mapping[str, str]],
    hosts_of: Callable[[Settings], Mapping[str, str]],
    canary_endings: Callable[[], Mapping[int, Ending]],
    switched_off: Callable[[], Mapping[str, Off]],
    tell: Tell,
    publish: Publish,
    clock: Clock,
) -> Watch:
    """A watch over these stores and queues; entry points hand in what only they may import."""
    return Watch(
        settings=settings,
        claim=claim,
        look=Look(
            operations=operations,
            outcomes=stores.outcomes,
            freshness=stores.freshness,
            notices=stores.notices,
            refusals=stores.refusals,
            breaker_open_s=breaker_open_s,
            find_leader=find_leader,
            troubled_entries=troubled_entries,
            hosts_of=hosts_of,
            canary_endings=canary_endings,
            switched_off=switched_off,
            clock=clock,
        ),
        incidents=stores.incidents,
        notices=stores.notices,
        audit=stores.audit,
        publish=publish,
        tell=tell,
        digests=Digests(batches, stores.outcomes, stores.notices, publish, clock),
        clock=clock,
    )
