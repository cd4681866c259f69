"""One item for each fault: what tells of the same, or comes of it, stands below it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from notifications.verdict.evidence import Evidence, Level
from sync.causes import Party

LEVELS = list(Level)
# While these are at fault nothing that is kept in them is worth more than a remark.
STORES = ("redis", "sql")
PROXY = Party.PROXY.value
NOTICES = "dead:notifications"
# Whoever's fault it is that syncs fail, their queues' dead letters come of it.
FAILING_SYNCS = (*(party.value for party in Party if party is not Party.PROVIDER), "provider:")


def one_each(found: Iterable[Evidence], sync_queues: frozenset[str]) -> list[Evidence]:
    """An item for each fault, the worst first."""
    merged = _merged(found)
    items: list[Evidence] = []
    placed: set[str] = set()
    for root in merged:
        if any(_follows(root, other, sync_queues) for other in merged):
            continue
        own = [one for one in merged if one.key not in placed and _follows(one, root, sync_queues)]
        placed.update(one.key for one in own)
        items.append(_with_consequences(root, own))
    return _worst_first(items)


def confirmed(
    live: Sequence[Evidence], told: Iterable[Evidence], seen_live: frozenset[str]
) -> list[Evidence]:
    """What is seen now, as bad and as old as the incidents say; and incidents of what only they see.

    `seen_live` are the keys' subjects that are judged anew for each view: an incident about one of
    them that is not seen any more is over, although nobody has closed it yet.
    """
    incidents = {one.key: one for one in _merged(told)}
    found = []
    for one in live:
        incident = incidents.get(one.key)
        level = max((one.level, incident.level), key=LEVELS.index) if incident else one.level
        found.append(replace(one, level=level, since=one.since or incident.since) if incident else one)
    keys = {one.key for one in live}
    only_told = [one for key, one in incidents.items() if key not in keys]
    return found + [one for one in only_told if one.key.partition(":")[0] not in seen_live]


def _worst_first(found: Iterable[Evidence]) -> list[Evidence]:
    return sorted(found, key=lambda one: -LEVELS.index(one.level))


def _merged(found: Iterable[Evidence]) -> list[Evidence]:
    """By key: the worst leads, and knows since when."""
    by_key: dict[str, list[Evidence]] = {}
    for one in found:
        by_key.setdefault(one.key, []).append(one)
    merged = []
    for alike in by_key.values():
        first, *others = _worst_first(alike)
        since = min((one.since for one in alike if one.since is not None), default=None)
        merged.append(replace(first, since=since, also=(*first.also, *others)))
    return merged


def _follows(one: Evidence, other: Evidence, sync_queues: frozenset[str]) -> bool:
    """Whether the other is why there is the one."""
    subject, _, name = one.key.partition(":")
    is_bad = other.level is Level.ACT
    return any(
        (
            is_bad and other.key in STORES and one.key not in STORES and subject != "disk",
            is_bad and other.key == "workers" and subject in ("queue", "rate", "stuck"),
            is_bad and other.key == "workers" and one.key.startswith("silent:worker"),
            is_bad and other.key == "scheduler" and one.key.startswith("silent:scheduler"),
            other.key == f"paused:{name}" and subject in ("queue", "rate"),
            other.key == f"queue:{name}" and subject == "rate",
            other.key.startswith("channel:") and one.key == NOTICES,
            # Through a proxy that fails no provider is reached.
            is_bad and other.key == PROXY and subject == "provider",
            other.key.startswith(FAILING_SYNCS) and subject == "dead" and name in sync_queues,
        )
    )


def _with_consequences(root: Evidence, own: Sequence[Evidence]) -> Evidence:
    below = [part for one in own for part in (replace(one, also=()), *one.also)]
    level = max((root.level, *(one.level for one in own)), key=LEVELS.index)
    return replace(root, level=level, also=(*root.also, *below))
