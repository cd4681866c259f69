"""How everything around stands: what `clubsync status` shows, and `doctor` beside what it examines."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import redis

from brokers.server_doubts import find_doubts
from cli.backend import Backend
from cli.connections import Connection, connections, reach_all
from cli.findings import NOTHING, Finding, Seen, fault, good, judged, standing, worst
from cli.output import print_json
from cli.tables import Painted, console, print_table
from notifications.verdict.evidence import Level
from notifications.verdict.judge import HEADLINES
from notifications.verdict.sight import role_trouble
from stores.redis.registry import Registry
from stores.redis.versions import RedisVersions
from stores.sql.engine import ping
from sync.errors import ConfigurationError, StoreUnavailable

CMS_TIMEOUT_S = 5.0
LOW_DISK_BYTES = 1024**3
COLOURS = {Level.GOOD: "green", Level.LOOK: "yellow", Level.ACT: "red"}
WORDS = {
    Level.GOOD: Painted("ok", ""),
    Level.LOOK: Painted("LOOK", COLOURS[Level.LOOK]),
    Level.ACT: Painted("ACT", COLOURS[Level.ACT]),
}
# A role by the name that its incidents have, and what is missing without it.
ROLES = {
    "worker": ("workers", "nothing is carried out"),
    "scheduler": ("scheduler", "no batch is sent"),
    "web": ("web", "there is no API and no dashboard"),
}


def show_status(*, is_json: bool) -> bool:
    """Print one verdict on the whole system, and why; whether nobody has to act."""
    backend = Backend()
    findings = look_around(backend, _cms(backend))
    verdict = worst(findings)
    if is_json:
        print_json({"verdict": verdict.value, "checks": [one.document() for one in findings]})
    else:
        console().print(HEADLINES[verdict], style=f"bold {COLOURS[verdict]}")
        print_table(["check", "", "value", "what to do"], (row for one in findings for row in _rows(one)))
    return verdict is not Level.ACT


def outage(backend: Backend) -> str | None:
    """What stops every sync, in a sentence; None when Redis and the CMS answer and have room."""
    stopping = [one for one in (_redis(backend) + _cms(backend)).faults if one.key in ("redis", "cms")]
    return f"{stopping[0].key}: {stopping[0].what}" if stopping else None


def _rows(finding: Finding) -> list[list[str | Painted]]:
    """An item, and below it what comes of it."""
    also: list[list[str | Painted]] = [[f"  {one.check}", "↳", one.value, one.hint] for one in finding.also]
    return [[finding.check, WORDS[finding.level], finding.value, finding.hint], *also]


def look_around(backend: Backend, seen: Seen) -> list[Finding]:
    """How everything stands, judged as the dashboard does, beside what was `seen` already."""
    sql, answers = _sql(backend), _redis(backend)
    seen += sql + answers + _disk(backend)
    if answers.faults and answers.faults[0].key == "redis":
        return judged(seen, NOTHING)
    seen += _roles(backend) + _config(backend)
    return judged(seen, NOTHING if sql.faults else standing(backend))


def reached(wanted: Sequence[Connection], timeout_s: float) -> Seen:
    """What the settings name, asked from this machine."""
    seen = Seen()
    for found in reach_all(wanted, timeout_s):
        subject, _, name = found.name.partition(" ")
        if found.is_good:
            seen += good(found.name, found.value)
        elif subject == "proxy":
            # All of them are one matter: syncs fail by whichever is their turn.
            seen += fault(subject, Level.ACT, found.value, found.advice)
        else:
            level = Level.LOOK if subject == "channel" else Level.ACT
            seen += fault(f"{subject}:{name}" if name else subject, level, found.value, found.advice)
    return seen


def _cms(backend: Backend) -> Seen:
    settings = backend.settings
    if settings.cms.kind == "embedded":  # the database itself
        return Seen()
    wanted = [one for one in connections(settings, CMS_TIMEOUT_S) if one.name == "cms"]
    return reached(wanted, CMS_TIMEOUT_S)


def _sql(backend: Backend) -> Seen:
    try:
        ping(backend.stores.engine)
    except (StoreUnavailable, ConfigurationError) as error:
        return fault("sql", Level.ACT, str(error), "start it, or mend DATABASE_URL")
    return good("sql", "answers")


def _redis(backend: Backend) -> Seen:
    """That it answers, has room and keeps what it is given."""
    try:
        server = backend.redis.info()
    except ConfigurationError as error:
        return fault("redis", Level.ACT, "not running", str(error))
    except redis.RedisError as error:
        return fault("redis", Level.ACT, str(error), "start it, or mend REDIS_URL")
    seen = Seen()
    for doubt in find_doubts(server):
        key, level = ("redis", Level.ACT) if doubt.is_stopping else ("redis settings", Level.LOOK)
        seen += fault(key, level, doubt.said, doubt.mend)
    return (
        seen if seen.faults else good("redis", "answers") + good("redis settings", "keep what they are given")
    )


def _roles(backend: Backend) -> Seen:
    registry, seen = Registry(backend.redis, backend.settings.redis.namespace, backend.clock), Seen()
    for role, (key, consequence) in ROLES.items():
        trouble = role_trouble(registry, role, consequence=consequence)
        count = sum(service.role == role for service in registry.list())
        hint = "" if count else f"clubsync {role}, or all with clubsync up"
        seen += fault(key, Level.ACT, trouble, hint) if trouble else good(role, f"{count} alive")
    return seen


def _config(backend: Backend) -> Seen:
    """Every living process has taken over the newest settings, and none waits for a restart."""
    versions = RedisVersions(backend.redis, backend.settings.redis.namespace)
    newest, seen = versions.in_force_number(), Seen()
    registry = Registry(backend.redis, backend.settings.redis.namespace, backend.clock)
    for said in versions.acknowledgements(backend.clock.now(), living=registry.living()):
        if said.trouble and (said.is_accepted or said.version == newest):
            seen += fault("config", Level.LOOK, *said.trouble)
    return seen if seen.faults else good("config", f"version {newest} everywhere")


def _disk(backend: Backend) -> Seen:
    home = backend.settings.home
    free_bytes = shutil.disk_usage(home if home.exists() else home.absolute().parent).free
    value = f"{free_bytes / 1024**3:.1f} GB free at {home}"
    if free_bytes < LOW_DISK_BYTES:
        return fault("disk", Level.LOOK, value, "make room: Redis and SQLite stop when it is full")
    return good("disk", value)
