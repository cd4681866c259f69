"""A closer look everywhere: what `clubsync doctor` finds, explains and says the mend of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import redis
from rich.markup import escape

from cli.backend import Backend
from cli.connections import connections
from cli.findings import Finding, Seen, fault, good
from cli.output import print_json
from cli.surroundings import WORDS, look_around, reached
from cli.tables import console, printable
from notifications.verdict.evidence import Level
from settings.schema import Environment
from stores.redis.errors import answering
from stores.redis.leadership import Leadership
from stores.redis.registry import LIFETIME_S, Registry, Service
from stores.redis.schedule import Schedule
from stores.sql.tokens import Tokens
from sync.errors import ConfigurationError, StoreUnavailable, SyncError

# Leases, due times and quotas use Redis's clock; what people read and the schedule use ours.
SKEW_S = 2.0


def show_examination(timeout_s: float, *, is_json: bool) -> bool:
    """Print what is wrong everywhere, why, and the mend; whether nothing is."""
    backend = Backend()
    wanted = [one for one in connections(backend.settings, timeout_s) if one.name not in ("redis", "sql")]
    findings = look_around(backend, reached(wanted, timeout_s) + _examined(backend))
    problems = [finding for finding in findings if not finding.is_good]
    if is_json:
        verdict = "act" if problems else "good"
        print_json({"verdict": verdict, "findings": [one.document() for one in findings]})
    else:
        _print(findings, problems)
    return not problems


def _print(findings: list[Finding], problems: list[Finding]) -> None:
    terminal = console()
    well = [finding.check for finding in findings if finding.is_good]
    terminal.print(f"[green]good[/]  {', '.join(well)}" if well else "[red]nothing is good[/]")
    for problem in problems:
        word = WORDS[problem.level]
        terminal.print(f"\n[{word.style}]{word.text}[/]  {_said(problem)}", soft_wrap=True)
        if problem.hint:
            terminal.print(f"      → {_as_it_is(problem.hint)}", soft_wrap=True)
        for one in problem.also:
            terminal.print(f"      ↳ {_said(one)}", soft_wrap=True)
    if not problems:
        terminal.print("\nNothing is wrong.")


def _said(finding: Finding) -> str:
    return f"[bold]{_as_it_is(finding.check)}[/]: {_as_it_is(finding.value)}"


def _as_it_is(text: str) -> str:
    return escape(printable(text))


def _examined(backend: Backend) -> Seen:
    """What only shows on a closer look; nothing of Redis when it does not answer."""
    seen = _access(backend)
    try:
        with answering():
            backend.redis.ping()
    except (ConfigurationError, StoreUnavailable):
        return seen
    for look in (_clocks, _versions, _schedule):
        try:
            seen += look(backend)
        except SyncError as error:
            seen += fault(look.__name__.strip("_"), Level.ACT, str(error))
    return seen


def _clocks(backend: Backend) -> Seen:
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
    seen = Seen()
    for who, skew_s in wrong.items():
        value = f"{who} is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} Redis"
        hint = "schedules fire at the wrong moment; set the clock by NTP (timedatectl set-ntp true)"
        seen += fault("clock", Level.ACT, value, hint)
    return seen if wrong else good("clocks", f"within {SKEW_S:.0f} s of Redis's")


def _time_of(client: redis.Redis) -> tuple[int, int]:
    answer: Any = client.time()
    return int(answer[0]), int(answer[1])


def _versions(backend: Backend) -> Seen:
    """Every process runs the same release."""
    versions = sorted({service.version for service in _services(backend)})
    if len(versions) < 2:
        return good("releases", ", ".join(versions) or "no process runs")
    old = [f"{one.role} on {one.host}" for one in _services(backend) if one.version != versions[-1]]
    value = f"{' and '.join(versions)} run side by side"
    return fault("releases", Level.LOOK, value, f"restart the older ones: {', '.join(old)}")


def _schedule(backend: Backend) -> Seen:
    """One scheduler leads, and no entry has paused itself."""
    namespace, seen = backend.settings.redis.namespace, Seen()
    if any(one.role == "scheduler" for one in _services(backend)):
        if leader := Leadership(backend.redis, namespace).find():
            seen += good("leader", leader.owner)
        else:
            hint = "look at their logs: they cannot reach Redis, or their clocks stand"
            seen += fault("leader", Level.ACT, "schedulers run, but none leads", hint)
    for name, state in Schedule(backend.redis, namespace).states().items():
        if state.pause is not None and state.failures:
            last = f": {state.last.message}" if state.last and state.last.message else ""
            value = f"paused itself after {state.failures} failures{last}"
            hint = f"mend the cause, then clubsync schedule resume {name}"
            seen += fault(f"schedule:{name}", Level.LOOK, value, hint)
    return seen


def _access(backend: Backend) -> Seen:
    """Somebody can reach the web from elsewhere."""
    if backend.settings.environment is not Environment.PRODUCTION:
        return Seen()
    try:
        is_closed = Tokens(backend.stores.engine).is_empty()
    except (SyncError, ConfigurationError):
        return Seen()  # the check of SQL says it
    if is_closed:
        hint = "clubsync tokens add NAME --role admin"
        return fault("tokens", Level.LOOK, "none: web answers this machine alone", hint)
    return good("tokens", "the API has tokens")


def _services(backend: Backend) -> list[Service]:
    return list(Registry(backend.redis, backend.settings.redis.namespace, backend.clock).list())
