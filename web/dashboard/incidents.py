"""Open incidents as evidence, and the page on which one goes on with each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sync.incident import Alert, Incident, Severity
from web.dashboard.evidence import Evidence, Level

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
LEVELS = {Severity.WARNING: Level.LOOK, Severity.ERROR: Level.ACT}


def href_of(incident: Incident) -> str:
    """Where its cause can be seen."""
    subject, _, name = incident.key.partition(":")
    if subject == "queue":
        return f"/queues#{name}"
    return PAGES.get(subject, PAGE_OF_FAILURES)


def incident_evidence(incidents: Sequence[Incident]) -> Iterator[Evidence]:
    """What is told of each that is more than a remark."""
    for incident in incidents:
        if (level := LEVELS.get(incident.severity)) is not None:
            yield Evidence(
                level=level,
                what=" ".join([incident.title, *_step(incident)]),
                step="See it",
                href=href_of(incident),
                since=incident.opened_at,
            )


def _step(incident: Incident) -> Iterator[str]:
    """The next step of the worst that is wrong with it."""
    open_ones = [alert for alert in incident.alerts if alert.is_open]
    if open_ones:
        worst: Alert = max(open_ones, key=lambda alert: alert.severity.level)
        yield worst.step
