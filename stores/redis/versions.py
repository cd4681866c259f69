"""Numbered settings versions, and what each process says about the newest one."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import redis

from settings.layers import CONFIG_VARIABLE
from settings.loader import load
from settings.reload import Acknowledgement, Reloader
from settings.versions import History, Version, VersionConflict
from stores.redis.errors import answering
from sync.errors import NotFound, StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_EVERY_S = 1.0

# KEYS: versions, newest. ARGV: number, version. Answers 0 unless the number is the next one.
_ADD = """
local newest = tonumber(redis.call("GET", KEYS[2]) or "0")
if tonumber(ARGV[1]) ~= newest + 1 then
    return 0
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
redis.call("SET", KEYS[2], ARGV[1])
return 1
"""

# What a process said that has not spoken since is no news of a living one.
ACKNOWLEDGEMENT_LIFETIME = timedelta(days=1)


def open_reloader(client: redis.Redis, namespace: str, process: str, now: Callable[[], datetime]) -> Reloader:
    """What keeps the settings of a process up to date; it has loaded them under their version.

    Raises InvalidSettings and StoreUnavailable.
    """
    versions = RedisVersions(client, namespace)
    path = os.environ.get(CONFIG_VARIABLE)
    return Reloader(open_history(versions, now), versions, process, Path(path) if path else None, now)


def when_redis_answers(open_it: Callable[[], T], stopping: threading.Event) -> T | None:
    """Try once a second until Redis answers; None when the process is to stop before that."""
    while not stopping.is_set():
        try:
            return open_it()
        except StoreUnavailable as error:
            log.warning("waiting_for_redis", extra={"reason": str(error)})
            stopping.wait(RETRY_EVERY_S)
    return None


def open_history(versions: RedisVersions, now: Callable[[], datetime]) -> History:
    """The versions beside the layers that this process loads."""
    return History(versions, lambda overrides: load(overrides=overrides), now)


class RedisVersions:
    """Satisfies `settings.versions.Versions` and `settings.reload.Store`. Raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        prefix = f"{{{namespace}}}:settings:"
        self._versions = prefix + "versions"
        self._newest = prefix + "newest"
        self._acknowledgements = prefix + "acknowledgements"
        self._add = client.register_script(_ADD)

    def newest_number(self) -> int:
        """0 before the first version; cheap enough to ask for every second."""
        with answering():
            number: Any = self._client.get(self._newest)
        return int(number or 0)

    def newest(self) -> Version | None:
        number = self.newest_number()
        return self.find(number) if number else None

    def find(self, number: int) -> Version:
        """Raises NotFound."""
        with answering():
            text: Any = self._client.hget(self._versions, str(number))
        if text is None:
            raise NotFound(f"settings version {number} does not exist")
        return msgspec.json.decode(text, type=Version)

    def history(self, limit: int) -> Sequence[Version]:
        """Newest first."""
        newest = self.newest_number()
        numbers = [str(number) for number in range(newest, max(newest - limit, 0), -1)]
        if not numbers:
            return []
        with answering():
            texts: Any = self._client.hmget(self._versions, numbers)
        return [msgspec.json.decode(text, type=Version) for text in texts if text is not None]

    def add(self, version: Version) -> None:
        """Raises VersionConflict unless its number follows the newest one's."""
        with answering():
            added = self._add(
                keys=[self._versions, self._newest], args=[version.number, msgspec.json.encode(version)]
            )
        if not added:
            raise VersionConflict(f"version {version.number} is taken: look at the newest one and repeat")

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        with answering():
            text = msgspec.json.encode(acknowledgement)
            self._client.hset(self._acknowledgements, acknowledgement.process, text)

    def acknowledgements(self, now: datetime) -> Sequence[Acknowledgement]:
        """What each process said last, by its name; those of long gone ones are dropped."""
        with answering():
            texts: Any = self._client.hgetall(self._acknowledgements)
        said = [msgspec.json.decode(text, type=Acknowledgement) for text in texts.values()]
        gone = [one.process for one in said if now - one.at > ACKNOWLEDGEMENT_LIFETIME]
        if gone:
            with answering():
                self._client.hdel(self._acknowledgements, *gone)
        return sorted((one for one in said if one.process not in gone), key=lambda one: one.process)
