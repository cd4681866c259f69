"""From look to look: what opens, worsens and ends an incident, and what is said of it; pure.

A problem opens its incident when it was seen in several looks in a row, or at once when it
is sure, and leaves it after several looks without it. An incident that came back lasts
longer each time, so that what flaps is one incident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from notifications.blame import WHOSE
from notifications.problems import Problem
from settings.schema import AlertsSettings
from sync.incident import Alert, Incident, Severity

# closes_after is doubled so often at most: then it takes most of an hour.
MOST_DOUBLINGS = 4


@dataclass(frozen=True, slots=True)
class Step:
    """An incident after a look; None: a suspicion came to nothing. `changes` are to be told, line by line."""

    incident: Incident | None
    changes: Sequence[str] = ()
    is_opened: bool = False
    is_resolved: bool = False


def follow(known: Incident, problems: Sequence[Problem], now: datetime, rules: AlertsSettings) -> Step:
    """What a look makes of an incident; `problems` are those of its subject."""
    alerts = _followed(known, problems, now, rules)
    before = {alert.kind for alert in known.alerts if alert.is_open}
    open_now = [alert for alert in alerts if alert.is_open]
    if known.opened_at is None and not open_now:
        return Step(replace(known, alerts=tuple(alerts), seen_at=now) if alerts else None)
    severity = max(
        (known.severity, *(alert.severity for alert in open_now)), key=lambda severity: severity.level
    )
    worst = max(problems, key=lambda one: (one.is_sure, one.severity.level), default=None)
    incident = replace(
        known,
        alerts=tuple(alerts),
        severity=severity if known.opened_at else open_severity(open_now),
        # The worst moment names it, also when it fades away.
        title=worst.what if worst and worst.count >= known.count else known.title,
        party=(worst.party if worst and worst.party else known.party),
        count=max(known.count, *(one.count for one in problems)) if problems else known.count,
        seen_at=now if problems else known.seen_at,
    )
    if known.opened_at is None:
        return Step(replace(incident, opened_at=now), _lines(open_now), is_opened=True)
    if not open_now:
        resolved = replace(incident, resolved_at=now)
        return Step(resolved, [f"Resolved after {lasted(resolved, now)}."], is_resolved=True)
    changes = _lines([alert for alert in open_now if alert.kind not in before])
    if severity.level > known.severity.level and not changes:
        changes = [f"It is worse now: {incident.title}"]
    if not changes and _is_due_again(known, now, rules):
        changes = [f"Still so after {lasted(known, now)}: {incident.title}"]
    return Step(incident, changes)


def back_again(over: Incident, suspicion: Incident, now: datetime) -> Step:
    """An incident that opens again shortly after it was over goes on where it was."""
    incident = replace(
        suspicion,
        id=over.id,
        first_seen_at=over.first_seen_at,
        opened_at=over.opened_at,
        told_at=over.told_at,
        flaps=over.flaps + 1,
        revision=over.revision,
        count=max(over.count, suspicion.count),
        severity=max(over.severity, suspicion.severity, key=lambda severity: severity.level),
    )
    lines = [f"Back again after {_span(now - (over.resolved_at or now))}: {suspicion.title}"]
    return Step(incident, lines, is_opened=True)


def subject_of(incident: Incident) -> str:
    """One line: state, what, and for how long."""
    if incident.resolved_at is not None:
        return f"Resolved after {lasted(incident, incident.resolved_at)}: {incident.title}"
    return f"{incident.severity.value.capitalize()}: {incident.title}"


def text_of(incident: Incident, now: datetime) -> str:
    """What, since when, how bad, whose side, and the next step."""
    opened_at = incident.opened_at or incident.first_seen_at
    facts = [f"since {opened_at:%Y-%m-%d %H:%M} UTC ({lasted(incident, now)})", f"incident {incident.key}"]
    if incident.party is not None:
        facts.append(f"side: {WHOSE[incident.party]}")
    if incident.count:
        facts.append(f"{incident.count:,} in all")
    if incident.flaps:
        facts.append(f"came back {incident.flaps} times")
    lines = [subject_of(incident), "; ".join(facts)]
    if incident.resolved_at is None:
        for alert in incident.alerts:
            if alert.is_open:
                lines += [f"• {alert.what}", f"  Next: {alert.step}"]
    return "\n".join(lines)


def lasted(incident: Incident, until: datetime) -> str:
    """How long it has been open."""
    end = incident.resolved_at or until
    return _span(end - (incident.opened_at or incident.first_seen_at))


def open_severity(alerts: Sequence[Alert]) -> Severity:
    """The worst of them."""
    return max((alert.severity for alert in alerts), key=lambda severity: severity.level)


def _followed(
    known: Incident, problems: Sequence[Problem], now: datetime, rules: AlertsSettings
) -> list[Alert]:
    before = {alert.kind: alert for alert in known.alerts}
    found = [_seen(before.pop(one.kind, None), one, now, rules) for one in problems]
    patience = rules.closes_after * 2 ** min(known.flaps, MOST_DOUBLINGS)
    for alert in before.values():
        missed = alert.missed + 1
        if alert.is_open and missed < patience:
            found.append(replace(alert, missed=missed, seen=0))
    return found


def _seen(before: Alert | None, problem: Problem, now: datetime, rules: AlertsSettings) -> Alert:
    seen = before.seen + 1 if before else 1
    return Alert(
        kind=problem.kind,
        severity=problem.severity,
        what=problem.what,
        step=problem.step,
        since=before.since if before else now,
        seen=seen,
        is_open=(before is not None and before.is_open) or problem.is_sure or seen >= rules.opens_after,
    )


def _lines(alerts: Sequence[Alert]) -> list[str]:
    return [f"{alert.what} Next: {alert.step}" for alert in alerts]


def _is_due_again(known: Incident, now: datetime, rules: AlertsSettings) -> bool:
    told_at = known.told_at
    is_bad = known.severity is Severity.ERROR
    return is_bad and told_at is not None and now - told_at >= timedelta(seconds=rules.repeat_s)


def _span(span: timedelta) -> str:
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
