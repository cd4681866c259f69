"""What the web process depends on, as checks with a value and a hint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import redis
from sqlalchemy import Engine

from stores.redis.errors import answering
from stores.redis.registry import Registry
from stores.sql.engine import ping
from stores.sql.migrate import pending
from web.health import Finding, Status

LOW_DISK_BYTES = 1024**3
# Above it Redis refuses writes (noeviction), and with them every new message.
REDIS_MEMORY_SHARE = 0.9


def check_redis(client: redis.Redis) -> Finding:
    """It answers, keeps what it is given, and has room."""
    with answering():
        server = client.info()
    policy = server.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return Finding(
            status=Status.WARN,
            value=policy,
            unit="maxmemory-policy",
            hint="Redis may throw messages away; run CONFIG SET maxmemory-policy noeviction.",
        )
    if not server.get("aof_enabled"):
        return Finding(
            status=Status.WARN,
            value=0,
            unit="aof_enabled",
            hint="A restart of Redis loses messages; run CONFIG SET appendonly yes.",
        )
    limit_bytes, used_bytes = server.get("maxmemory", 0), server["used_memory"]
    if limit_bytes and used_bytes > REDIS_MEMORY_SHARE * limit_bytes:
        share = round(100 * used_bytes / limit_bytes)
        hint = "Redis is nearly full and will refuse messages; give it more memory."
        return Finding(status=Status.WARN, value=share, unit="percent", hint=hint)
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


def check_role(registry: Registry, role: str, *, consequence: str) -> Finding:
    """At least one process of the role lives."""
    count = sum(service.role == role for service in registry.list())
    if count == 0:
        return Finding(
            status=Status.WARN,
            value=0,
            unit="processes",
            hint=f"No {role} runs, so {consequence}; start one with `clubsync {role}`.",
        )
    return Finding(value=count, unit="processes")


def check_disk(folder: Path) -> Finding:
    free_bytes = shutil.disk_usage(folder if folder.exists() else folder.absolute().parent).free
    free_gb = round(free_bytes / 1024**3, 1)
    if free_bytes < LOW_DISK_BYTES:
        return Finding(
            status=Status.WARN, value=free_gb, unit="GB", hint=f"The disk of {folder} is nearly full."
        )
    return Finding(value=free_gb, unit="GB")
