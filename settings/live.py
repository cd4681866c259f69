"""Which settings a running process takes over; of the others, it says that it needs a restart.

One table for the processes, the command line and the documentation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum


class ProcessRole(StrEnum):
    WORKER = "worker"
    SCHEDULER = "scheduler"
    WEB = "web"


# Sections or keys. What a role does not use at all is no concern of its restart.
TAKEN_OVER: Mapping[ProcessRole, tuple[str, ...]] = {
    ProcessRole.WORKER: (
        "logging",
        "notifications",
        "alerts",
        "freshness",
        "providers",
        "http",
        "presets",
        "sync",
        "worker.greenlets",
        "worker.reserved_for_urgent",
    ),
    ProcessRole.SCHEDULER: (
        "logging",
        "scheduler.entries",
        "scheduler.holidays",
        "retention",
        "cadence",
        "providers",
        "presets",
        "canary",
        "notifications",
        "alerts",
        "freshness",
    ),
    ProcessRole.WEB: ("logging", "providers", "presets", "cadence", "web.requests_per_s"),
}
UNUSED: Mapping[ProcessRole, tuple[str, ...]] = {
    ProcessRole.WORKER: ("scheduler", "retention", "cadence", "web", "canary"),
    ProcessRole.SCHEDULER: ("cms", "sync", "http", "worker", "web"),
    ProcessRole.WEB: (
        "scheduler",
        "retention",
        "sync",
        "http",
        "notifications",
        "alerts",
        "freshness",
        "worker",
        "canary",
    ),
}
# What a run takes from the settings: two versions that agree in it are the same to a run.
SHAPES_RUNS = ("sync", "presets", "providers", "http", "cms")


def covers(prefixes: Iterable[str], key: str) -> bool:
    """Whether a dotted key is one of the prefixes or below one."""
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in prefixes)


def restarted_by(key: str) -> list[ProcessRole]:
    """The roles that read the key only when they start."""
    return [role for role in ProcessRole if not covers((*TAKEN_OVER[role], *UNUSED[role]), key)]


def untried(keys: Collection[str]) -> dict[str, str]:
    """Of the keys, those that a running worker would prove nothing about, each with the reason."""
    reasons = {}
    for key in keys:
        if covers(UNUSED[ProcessRole.WORKER], key):
            reasons[key] = "no worker uses it"
        elif not covers(TAKEN_OVER[ProcessRole.WORKER], key):
            reasons[key] = "a worker reads it only when it starts"
    return reasons
