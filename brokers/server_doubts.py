"""What a Redis server's own settings put at risk: messages thrown away, forgotten or refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Functions and BZPOPMIN's ways are those of this version.
LEAST_VERSION = (7, 0)
# Above it Redis soon refuses writes (noeviction), and with them every new message.
NEARLY_FULL_SHARE = 0.9
FULL_SHARE = 0.99


@dataclass(frozen=True, slots=True)
class Doubt:
    """A setting or figure with its unit, and what to do about it; whether it lets nothing be sent already."""

    value: float | str
    unit: str
    mend: str
    is_stopping: bool = False

    @property
    def said(self) -> str:
        """`aof_enabled 0`, `95 % full`."""
        return f"{self.value} % full" if self.unit == "percent" else f"{self.unit} {self.value}"


def find_doubts(server: Mapping[str, Any]) -> Iterator[Doubt]:
    """What is wrong with a server, the worst first; `server` is its INFO."""
    limit_bytes, used_bytes = server.get("maxmemory", 0), server.get("used_memory", 0)
    share = used_bytes / limit_bytes if limit_bytes else 0.0
    if share > FULL_SHARE:
        mend = (
            "Redis is full and refuses messages and heartbeats; give it more memory (CONFIG SET maxmemory)."
        )
        yield Doubt(round(100 * share), "percent", mend, is_stopping=True)
    version = str(server.get("redis_version", "0.0"))
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_VERSION:
        yield Doubt(version, "redis version", "Redis or Valkey 7.0 or newer is needed.")
    policy = server.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield Doubt(
            policy,
            "maxmemory-policy",
            "Redis may throw messages away; run CONFIG SET maxmemory-policy noeviction.",
        )
    if not server.get("aof_enabled"):
        yield Doubt(0, "aof_enabled", "A restart of Redis loses messages; run CONFIG SET appendonly yes.")
    if NEARLY_FULL_SHARE < share <= FULL_SHARE:
        mend = "Redis is nearly full and will refuse messages; give it more memory."
        yield Doubt(round(100 * share), "percent", mend)
