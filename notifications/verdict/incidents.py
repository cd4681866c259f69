"""Open incidents as evidence, and the page on which one goes on with each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from notifications.verdict.evidence import Evidence, Level
from sync.incident import Alert, Incident, Severity

PAGES = {
    "workers": "/workers",
    "scheduler": "/workers",
    "stuck": "/runs?state=running",
    "freshness": "/accounts",
    "schedule": "/schedules",
    "channel": "/config",
    "canary": "/config",
}
# What else has incidents are those whose fault failing runs are.
PAGE_OF_FAILURES = "/runs?state=failed"
# What is wrong with a queue is kept in one incident; here each has an item of its own.
SUBJECTS = {
    "paused": "paused",
    "messages_failing": "dead",
    "dead_letters": "dead",
    "ledger": "ledger",
    "slow": "rate",
}
LEVELS = {Severity.WARNING: Level.LOOK, Severity.ERROR: Level.ACT}


def href_of(incident: Incident) -> str:
    """Where its cause can be seen."""
    subject, _, name = incident.key.partition(":")
    if subject == "queue":
        return f"/queues#{name}"
    return PAGES.get(subject, PAGE_OF_FAILURES)


def incident_evidence(incidents: Sequence[Incident]) -> Iterator[Evidence]:
    """What the last look still saw of each, and is more than a remark."""
    for incident in incidents:
        for alert in incident.standing:
            if (level := LEVELS.get(alert.severity)) is not None:
                yield Evidence(
                    key=_key(incident, alert),
                    level=level,
                    what=f"{alert.what} {alert.step}",
                    step="See it",
                    href=href_of(incident),
                    command=alert.step,
                    since=incident.opened_at,
                )


def _key(incident: Incident, alert: Alert) -> str:
    """A queue may be paused, have dead letters and lose messages, each for itself."""
    name = incident.key.partition(":")[2]
    subject = SUBJECTS.get(alert.kind)
    return f"{subject}:{name}" if subject else incident.key
