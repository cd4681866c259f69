"""`clubsync doctor`: looks everywhere, explains what it finds, and says the mend."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
import redis

from brokers.server_doubts import find_doubts
from cli.backend import Backend
from cli.connections import connections, reach_all
from cli.output import as_json, console, print_json
from cli.status import Finding, look_around
from settings.schema import Environment
from stores.redis.errors import answering
from stores.redis.leadership import Leadership
from stores.redis.registry import LIFETIME_S, Registry, Service
from stores.redis.schedule import Schedule
from stores.redis.versions import RedisVersions
from stores.sql.tokens import Tokens
from sync.errors import ConfigurationError, StoreUnavailable, SyncError

TIMEOUT_S = 10.0
# Leases, due times and quotas use Redis's clock; what people read and the schedule use ours.
SKEW_S = 2.0
LOW_DISK_BYTES = 1024**3


@click.command(
    epilog="""\b
Examples:
  clubsync doctor                  everything, and what to do about it
  clubsync doctor --json | jq '.findings[] | select(.is_good | not)'
"""
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1),
    default=TIMEOUT_S,
    help="Seconds that a check may take.",
)
@as_json
def doctor(timeout_s: float, is_json: bool) -> None:
    """Find what is wrong, explain it and say the mend; exit 1 if anything is."""
    backend = Backend()
    findings = [*look_around(backend), *_reached(backend, timeout_s), *_examined(backend)]
    problems = [finding for finding in findings if not finding.is_good]
    if is_json:
        print_json({"verdict": "act" if problems else "good", "findings": [asdict(one) for one in findings]})
    else:
        _print(findings, problems)
    sys.exit(1 if problems else 0)


def _print(findings: list[Finding], problems: list[Finding]) -> None:
    terminal = console()
    good = [finding.check for finding in findings if finding.is_good]
    terminal.print(f"[green]good[/]  {', '.join(good)}" if good else "[red]nothing is good[/]")
    for problem in problems:
        terminal.print(f"\n[red]ACT[/]   [bold]{problem.check}[/]: {problem.value}", soft_wrap=True)
        if problem.hint:
            terminal.print(f"      → {problem.hint}", soft_wrap=True)
    if not problems:
        terminal.print("\nNothing is wrong.")


def _reached(backend: Backend, timeout_s: float) -> Iterator[Finding]:
    """What the settings name, from this machine: SQL, CMS, providers, proxies, channels."""
    wanted = [one for one in connections(backend.settings, timeout_s) if one.name not in ("redis", "sql")]
    for found in reach_all(wanted, timeout_s):
        yield Finding(found.name, is_good=found.is_good, value=found.value, hint=found.advice)


def _examined(backend: Backend) -> Iterator[Finding]:
    """What only shows on a closer look; nothing of Redis when it does not answer."""
    yield _disk(backend)
    yield from _access(backend)
    try:
        with answering():
            backend.redis.ping()
    except (ConfigurationError, StoreUnavailable):
        return
    closer: tuple[Callable[[Backend], Iterator[Finding]], ...] = (
        _redis_settings,
        _clocks,
        _versions,
        _config,
        _schedule,
    )
    for look in closer:
        try:
            yield from look(backend)
        except SyncError as error:
            yield Finding(look.__name__.strip("_"), is_good=False, value=str(error))


def _redis_settings(backend: Backend) -> Iterator[Finding]:
    with answering():
        doubts = list(find_doubts(backend.redis.info()))
    for doubt in doubts:
        yield Finding("redis settings", is_good=False, value=f"{doubt.unit}: {doubt.value}", hint=doubt.mend)
    if not doubts:
        yield Finding("redis settings", is_good=True, value="keep what they are given")


def _clocks(backend: Backend) -> Iterator[Finding]:
    """This machine's clock and that of every process, against Redis's."""
    with answering():
        seconds, microseconds = _time_of(backend.redis)
    now = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
    ahead_s = (backend.clock.now() - now).total_seconds()
    wrong = {"this machine": ahead_s} if abs(ahead_s) > SKEW_S else {}
    for service in _services(backend):
        if service.seen_at is None:
            continue
        # A beat is up to its lifetime old, but never of the future.
        beat_ahead_s = (service.seen_at - now).total_seconds()
        if not -LIFETIME_S - SKEW_S < beat_ahead_s < SKEW_S:
            wrong[f"{service.role} on {service.host}"] = beat_ahead_s
    for who, skew_s in wrong.items():
        direction = "ahead of" if skew_s > 0 else "behind"
        yield Finding(
            "clock",
            is_good=False,
            value=f"{who} is {abs(skew_s):.0f} s {direction} Redis",
            hint="schedules fire at the wrong moment; set the clock by NTP (timedatectl set-ntp true)",
        )
    if not wrong:
        yield Finding("clocks", is_good=True, value=f"within {SKEW_S:.0f} s of Redis's")


def _time_of(client: redis.Redis) -> tuple[int, int]:
    answer: Any = client.time()
    return int(answer[0]), int(answer[1])


def _versions(backend: Backend) -> Iterator[Finding]:
    """Every process runs the same release."""
    versions = sorted({service.version for service in _services(backend)})
    if len(versions) < 2:
        yield Finding("releases", is_good=True, value=", ".join(versions) or "no process runs")
        return
    old = [f"{one.role} on {one.host}" for one in _services(backend) if one.version != versions[-1]]
    yield Finding(
        "releases",
        is_good=False,
        value=f"{' and '.join(versions)} run side by side",
        hint=f"restart the older ones: {', '.join(old)}",
    )


def _config(backend: Backend) -> Iterator[Finding]:
    """Every process has taken over the newest settings, and none waits for a restart."""
    versions = RedisVersions(backend.redis, backend.settings.redis.namespace)
    newest = versions.in_force_number()
    problems = []
    for said in versions.acknowledgements(backend.clock.now()):
        if not said.is_accepted and said.version == newest:
            hint = f"{said.reason}; mend it with clubsync config set, or clubsync config rollback"
            problems.append((f"{said.process} refuses version {newest}", hint))
        elif said.restart_for:
            problems.append(
                (f"{said.process} runs with older {', '.join(said.restart_for)}", "restart that process")
            )
    for value, hint in problems:
        yield Finding("config", is_good=False, value=value, hint=hint)
    if not problems:
        yield Finding("config", is_good=True, value=f"version {newest} everywhere")


def _schedule(backend: Backend) -> Iterator[Finding]:
    """One scheduler leads, and no entry has paused itself."""
    namespace = backend.settings.redis.namespace
    if any(one.role == "scheduler" for one in _services(backend)):
        leader = Leadership(backend.redis, namespace).find()
        yield Finding(
            "leader",
            is_good=leader is not None,
            value=leader.owner if leader else "schedulers run, but none leads",
            hint="" if leader else "look at their logs: they cannot reach Redis, or their clocks stand",
        )
    for name, state in Schedule(backend.redis, namespace).states().items():
        if state.pause is not None and state.failures:
            last = state.last.message if state.last else None
            yield Finding(
                f"schedule {name}",
                is_good=False,
                value=f"paused itself after {state.failures} failures" + (f": {last}" if last else ""),
                hint=f"mend the cause, then clubsync schedule resume {name}",
            )


def _access(backend: Backend) -> Iterator[Finding]:
    """Somebody can reach the web from elsewhere."""
    if backend.settings.environment is not Environment.PRODUCTION:
        return
    try:
        is_open = not Tokens(backend.stores.engine).is_empty()
    except (SyncError, ConfigurationError):
        return  # the check of SQL says it
    yield Finding(
        "tokens",
        is_good=is_open,
        value="the API has tokens" if is_open else "none: web answers this machine alone",
        hint="" if is_open else "clubsync tokens add NAME --role admin",
    )


def _disk(backend: Backend) -> Finding:
    home = backend.settings.home
    free_bytes = shutil.disk_usage(home if home.exists() else home.absolute().parent).free
    is_low = free_bytes < LOW_DISK_BYTES
    return Finding(
        "disk",
        is_good=not is_low,
        value=f"{free_bytes / 1024**3:.1f} GB free at {home}",
        hint="make room: Redis and SQLite stop when it is full" if is_low else "",
    )


def _services(backend: Backend) -> list[Service]:
    return list(Registry(backend.redis, backend.settings.redis.namespace, backend.clock).list())
