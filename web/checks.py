"""What the web process depends on, as checks with a value and a hint."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import redis
from sqlalchemy import Engine

from brokers.operations import Operations
from brokers.queues import Queue
from brokers.server_doubts import find_doubts
from notifications.blame import step_of
from notifications.verdict.judge import THROTTLED_LEAST_S
from notifications.verdict.sight import quiet_ones, role_trouble, unserved, without_actor
from settings.plugins import Kind, load_kind
from settings.schema import Settings
from stores.redis.errors import answering
from stores.redis.gates import Gates
from stores.redis.registry import Registry
from stores.redis.versions import RedisVersions
from stores.sql.engine import ping
from stores.sql.migrate import pending
from stores.sql.outbox import SqlOutbox
from stores.sql.outcomes import Outcomes
from stores.sql.refusals import Refusals
from sync.causes import OURS_TO_MEND
from sync.ports import Clock
from sync.report import RunState
from web.health import Check, Finding, Status

log = logging.getLogger(__name__)

LOW_DISK_BYTES = 1024**3
# A CMS that restarts is back by then, and workers look every ten seconds.
OUTBOX_PATIENCE_S = 120.0
FAILED_WITHIN = timedelta(hours=1)


def check_redis(client: redis.Redis) -> Finding:
    """It answers, keeps what it is given, and has room."""
    with answering():
        server = client.info()
    for doubt in find_doubts(server):
        status = Status.FAIL if doubt.is_stopping else Status.WARN
        return Finding(status=status, value=doubt.value, unit=doubt.unit, hint=doubt.mend)
    return Finding()


class SqlCheck:
    """It answers and has the schema of this version; a current schema stays current."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_current = False

    def __call__(self) -> Finding:
        if self._is_current:
            ping(self._engine)
            return Finding()
        if missing := pending(self._engine):
            return Finding(
                status=Status.FAIL,
                value=len(missing),
                unit="migrations",
                hint=f"Migrations are missing, from {missing[0]}; run `clubsync migrate`.",
            )
        self._is_current = True
        return Finding()


def check_cms(kind: str, ask: Callable[[], object]) -> Finding:
    """`ask` reads something small from the CMS; what it does not know is an answer too."""
    ask()
    return Finding(value=kind, unit="cms")


def check_outbox(outbox: SqlOutbox, refusals: Refusals) -> Finding:
    """Nothing waits for a CMS that is away, or was until a moment ago, and it refused nothing of it."""
    backlog = outbox.backlog()
    if backlog.oldest_s > OUTBOX_PATIENCE_S:
        return Finding(
            status=Status.WARN,
            value=backlog.count,
            unit="changes waiting for the CMS",
            hint=f"The oldest waits {backlog.oldest_s / 60:.0f} min; they go out once the CMS answers.",
        )
    if refused := refusals.look():
        return Finding(
            status=Status.WARN,
            value=refused.count,
            unit="changes refused by the CMS",
            hint=f"`clubsync runs show {refused.last.run_id}` says why; then `clubsync runs retry`.",
        )
    return Finding(value=backlog.count, unit="changes waiting for the CMS")


def check_role(registry: Registry, role: str, *, consequence: str) -> Finding:
    """At least one process of the role lives, and none waits for something."""
    trouble = role_trouble(registry, role, consequence=consequence)
    count = sum(service.role == role for service in registry.list())
    return Finding(
        status=Status.WARN if trouble else Status.PASS, value=count, unit="processes", hint=trouble
    )


def check_queues(operations: Operations) -> Finding:
    """None is paused; how many messages wait."""
    # A queue can be paused before it was ever used.
    states = operations.queues(sorted({*Queue, *operations.queue_names()}))
    if paused := [state.name for state in states if state.is_paused]:
        names = ", ".join(paused)
        return Finding(
            status=Status.WARN,
            value=len(paused),
            unit="paused queues",
            hint=f"Nothing starts of {names}; `clubsync queues resume NAME` if that is a mistake.",
        )
    return Finding(value=sum(state.depth for state in states), unit="messages waiting")


def check_served(registry: Registry, operations: Operations) -> Finding:
    """Every queue has a worker that takes messages, and every worker an actor for each of its queues."""
    if quiet := quiet_ones(operations.workers()):
        hint = f"All workers are quiet: nothing is started; `clubsync workers quiet {quiet[0]} --off`."
        return Finding(status=Status.WARN, value=len(quiet), unit="quiet workers", hint=hint)
    services = registry.list()
    for worker, names in without_actor(services).items():
        hint = f"{worker} serves {', '.join(names)} but has no actor for it: its messages would die there."
        return Finding(status=Status.WARN, value=len(names), unit="queues without actor", hint=hint)
    if lonely := unserved(services, operations.queue_names()):
        hint = f"No worker serves {', '.join(lonely)}; start one that does, or purge what waits."
        return Finding(status=Status.WARN, value=len(lonely), unit="queues without worker", hint=hint)
    return Finding(value=sum(bool(service.queues) for service in services), unit="workers")


def check_config(versions: RedisVersions, registry: Registry, clock: Clock) -> Finding:
    """Every living process has taken over the newest settings, and none waits for a restart."""
    newest = versions.in_force_number()
    said = versions.acknowledgements(clock.now(), living=registry.living())
    troubles = [one.trouble for one in said if one.trouble and (one.is_accepted or one.version == newest)]
    if troubles:
        what, mend = troubles[0]
        return Finding(status=Status.WARN, value=newest, unit="version", hint=f"{what}: {mend}.")
    return Finding(value=newest, unit="version")


def check_syncs(outcomes: Outcomes, clock: Clock) -> Finding:
    """No sync of the last hour failed by our key or proxy, but for accounts that succeeded since."""
    since = clock.now() - FAILED_WITHIN
    failed = outcomes.not_made_good(RunState.FAILED, since=since, limit=1, causes=OURS_TO_MEND)
    if failed and failed[0].cause is not None:
        hint = f"{failed[0].message}. {step_of(failed[0].cause)}"
        return Finding(status=Status.WARN, value=failed[0].provider, unit="provider", hint=hint)
    return Finding()


def check_provider(gates: Gates, provider: str, host: str) -> Finding:
    """Its breaker is closed and it does not throttle; the provider itself is not asked, that costs quota."""
    if open_s := gates.breaker_open_s(host):
        hint = f"{host} does not answer; it is asked again by itself. See whether the provider is down."
        return Finding(status=Status.WARN, value=round(open_s), unit="s until the next try", hint=hint)
    pauses_s = [quota.paused_s for quota in gates.quotas() if quota.provider == provider]
    if (paused_s := max(pauses_s, default=0.0)) > THROTTLED_LEAST_S:
        hint = "It throttles: everybody who uses its key pauses, and goes on by itself."
        return Finding(status=Status.WARN, value=round(paused_s), unit="s of pause", hint=hint)
    return Finding(value=host, unit="host")


def check_disk(folder: Path) -> Finding:
    free_bytes = shutil.disk_usage(folder if folder.exists() else folder.absolute().parent).free
    free_gb = round(free_bytes / 1024**3, 1)
    if free_bytes < LOW_DISK_BYTES:
        return Finding(
            status=Status.WARN, value=free_gb, unit="GB", hint=f"The disk of {folder} is nearly full."
        )
    return Finding(value=free_gb, unit="GB")


def open_disk_check(settings: Settings) -> Callable[[], Finding]:
    """The entry point `disk` of `clubsync.checks`."""
    return partial(check_disk, settings.home)


def plugged_in(settings: Settings) -> list[Check]:
    """The checks that packages add, ours among them: `open_check(settings)` answers what to ask.

    One that cannot be imported or opened fails by itself, with the reason.
    """
    loaded = load_kind(Kind.CHECKS)
    found = [Check(name=name, ask=partial(_fail, reason)) for name, reason in loaded.broken.items()]
    for name, open_check in loaded.working.items():
        try:
            found.append(Check(name=name, ask=open_check(settings)))
        except (Exception, SystemExit) as error:
            log.exception("plugin_broken", extra={"kind": Kind.CHECKS.value, "plugin": name})
            found.append(Check(name=name, ask=partial(_fail, f"broken: {type(error).__name__}: {error}")))
    return found


def _fail(reason: str) -> Finding:
    return Finding(status=Status.FAIL, hint=reason)
