"""`clubsync status`: one verdict on the whole system, and why."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from datetime import timedelta

import click
import redis

from brokers.latency import SYNC_QUEUES
from brokers.operations import Operations
from brokers.queues import Queue
from cli.backend import Backend
from cli.connections import connections, reach_all
from cli.output import as_json, print_json, print_table
from notifications.blame import step_of
from stores.redis.registry import Registry, unserved, without_actor
from stores.sql.engine import ping
from sync.causes import OURS_TO_MEND
from sync.errors import ConfigurationError, StoreUnavailable
from sync.incident import Severity
from sync.report import RunState


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw; `hint` says what to do when it is not good."""

    check: str
    is_good: bool
    value: str
    hint: str = ""


CMS_TIMEOUT_S = 5.0
FAILED_WITHIN = timedelta(hours=1)
# What a check is called here that watches the same as an incident.
CHECKS = {"workers": "worker"}


@click.command()
@as_json
def status(is_json: bool) -> None:
    """Say whether the system works; exit 1 if it does not, with what to do."""
    backend = Backend()
    cms = _cms(backend)
    told = {finding.check for finding in cms}
    findings = [*cms, *(finding for finding in look_around(backend) if finding.check not in told)]
    is_good = all(finding.is_good for finding in findings)
    if is_json:
        print_json({"verdict": "good" if is_good else "act", "checks": [asdict(f) for f in findings]})
    else:
        print_table(
            ["check", "", "value", "what to do"],
            ([f.check, "ok" if f.is_good else "[red]ACT[/]", f.value, f.hint] for f in findings),
        )
    sys.exit(0 if is_good else 1)


def _cms(backend: Backend) -> list[Finding]:
    """Whether the CMS answers, where it is not our own database."""
    settings = backend.settings
    if settings.cms.kind == "embedded":
        return []
    wanted = [one for one in connections(settings, CMS_TIMEOUT_S) if one.name == "cms"]
    return [
        Finding(found.name, is_good=found.is_good, value=found.value, hint=found.advice)
        for found in reach_all(wanted, CMS_TIMEOUT_S)
    ]


def look_around(backend: Backend) -> list[Finding]:
    """What lives, and how the queues stand."""
    sql = _sql(backend)
    findings = [sql]
    try:
        backend.redis.ping()
    except ConfigurationError as error:
        return [*findings, Finding("redis", is_good=False, value="not running", hint=str(error))]
    except redis.RedisError as error:
        return [
            *findings,
            Finding("redis", is_good=False, value=str(error), hint="start it, or mend REDIS_URL"),
        ]
    findings.append(Finding("redis", is_good=True, value="answers"))
    findings += _roles(backend)
    findings += _served(backend)
    failing = _syncs(backend) if sql.is_good else []
    findings += failing
    findings += _queues(backend, tells_dead_syncs=not failing)
    if sql.is_good:
        findings += _incidents(backend, {finding.check for finding in findings if not finding.is_good})
    return findings


def _sql(backend: Backend) -> Finding:
    try:
        ping(backend.stores.engine)
    except (StoreUnavailable, ConfigurationError) as error:
        return Finding("sql", is_good=False, value=str(error), hint="start it, or mend DATABASE_URL")
    return Finding("sql", is_good=True, value="answers")


def _roles(backend: Backend) -> list[Finding]:
    services = Registry(backend.redis, backend.settings.redis.namespace, backend.clock).list()
    wanted = {"worker": "nothing is carried out", "scheduler": "no batch is sent", "web": "no API"}
    found = []
    for role, consequence in wanted.items():
        count = sum(service.role == role for service in services)
        waiting = [one for one in services if one.role == role and one.state.startswith("waiting")]
        if waiting:
            hint = f"{waiting[0].id} is {waiting[0].state}; it goes on by itself once that answers"
            found.append(Finding(role, is_good=False, value=f"{count} alive", hint=hint))
            continue
        hint = "" if count else f"{consequence}: start it with clubsync {role}, or all with clubsync up"
        found.append(Finding(role, is_good=count > 0, value=f"{count} alive", hint=hint))
    return found


def _served(backend: Backend) -> list[Finding]:
    services = Registry(backend.redis, backend.settings.redis.namespace, backend.clock).list()
    hint = "start a worker that does, or clubsync queues purge"
    found = [
        Finding(f"queue {name}", is_good=False, value="no worker serves it", hint=hint)
        for name in unserved(services, Operations(backend.broker).queue_names())
    ]
    for worker, names in without_actor(services).items():
        value = f"serves {', '.join(names)} without an actor"
        found.append(Finding(worker, is_good=False, value=value, hint="start it with this release's code"))
    return found


def _incidents(backend: Backend, told: set[str]) -> list[Finding]:
    """What somebody should act on and no check has told; `clubsync alerts` has what is worth a look."""
    return [
        Finding(incident.key, is_good=False, value=incident.title, hint=f"clubsync alerts show {incident.id}")
        for incident in backend.stores.incidents.current()
        if any(alert.severity is Severity.ERROR for alert in incident.standing)
        and CHECKS.get(incident.key, incident.key.replace(":", " ")) not in told
    ]


def _syncs(backend: Backend) -> list[Finding]:
    """Why our key or proxy made syncs of the last hour fail, unless they succeeded since."""
    since = backend.clock.now() - FAILED_WITHIN
    failed = backend.stores.outcomes.not_made_good(RunState.FAILED, since=since, limit=1, causes=OURS_TO_MEND)
    return [
        Finding("syncs", is_good=False, value=str(run.message), hint=step_of(run.cause))
        for run in failed
        if run.cause is not None
    ]


def _queues(backend: Backend, *, tells_dead_syncs: bool) -> list[Finding]:
    """Dead syncs are not told where they come of a fault that is."""
    found = []
    for state in Operations(backend.broker).queues([queue.value for queue in Queue]):
        problems = []
        if state.is_paused:
            problems.append(("paused", f"clubsync queues resume {state.name}"))
        patience_s = backend.settings.alerts.patience_s(state.name)
        if patience_s is not None and (state.oldest_age_s or 0.0) > patience_s:
            problems.append(
                (f"oldest waits {state.oldest_age_s:.0f} s", "start more workers, or look at them")
            )
        if state.dead and (tells_dead_syncs or state.name not in SYNC_QUEUES):
            problems.append((f"{state.dead} dead", f"clubsync dead list --queue {state.name}"))
        if not state.ledger.is_balanced:
            problems.append(("ledger does not balance", "clubsync queues shows it; report this"))
        value = ", ".join(problem for problem, _ in problems) or f"{state.depth} waiting"
        hint = "; ".join(mend for _, mend in problems)
        found.append(Finding(f"queue {state.name}", is_good=not problems, value=value, hint=hint))
    return found
