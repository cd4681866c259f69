"""Numbered settings versions, the one on trial, and what each process says about them."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import redis

from settings.canary import Ending, Outcome, Tally, Trial
from settings.layers import CONFIG_VARIABLE
from settings.live import ProcessRole
from settings.loader import load
from settings.reload import Acknowledgement, Reloader
from settings.versions import History, Version, VersionConflict
from stores.redis.errors import answering
from sync.errors import NotFound, StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_EVERY_S = 1.0

# KEYS: versions, newest, in force, trial. ARGV: number, version, what it replaces, trial or "".
# Answers 0 unless the number is the next one, the other one is in force, and no trial is on where
# another is to begin.
_ADD = """
local newest = redis.call("GET", KEYS[2]) or "0"
local in_force = redis.call("GET", KEYS[3]) or newest
if tonumber(ARGV[1]) ~= tonumber(newest) + 1 or ARGV[3] ~= in_force then
    return 0
end
if ARGV[4] ~= "" then
    if redis.call("EXISTS", KEYS[4]) == 1 then
        return 0
    end
    redis.call("SET", KEYS[4], ARGV[4])
    redis.call("SET", KEYS[3], in_force)
else
    redis.call("SET", KEYS[3], ARGV[1])
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
redis.call("SET", KEYS[2], ARGV[1])
return 1
"""

# KEYS: trial. ARGV: the trial as it was read, what takes its place. Answers whether it did.
_MOVE = """
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call("SET", KEYS[1], ARGV[2])
return 1
"""

# KEYS: trial, in force, endings. ARGV: the trial as it was read, its number, the version to replace
# or "" to take the trial's back, its ending. Answers whether the trial ended by this call.
_END = """
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[3], ARGV[2], ARGV[4])
if ARGV[3] == redis.call("GET", KEYS[2]) then
    redis.call("SET", KEYS[2], ARGV[2])
end
return 1
"""

# What a process said that has not spoken since is no news of a living one.
ACKNOWLEDGEMENT_LIFETIME = timedelta(days=1)
# Longer than anybody compares a version with the one before.
TALLY_LIFETIME_S = 7 * 24 * 3600


def open_reloader(
    client: redis.Redis, namespace: str, role: ProcessRole, process: str, now: Callable[[], datetime]
) -> Reloader:
    """What keeps the settings of a process up to date; it has loaded them under their version.

    Raises InvalidSettings and StoreUnavailable.
    """
    versions = RedisVersions(client, namespace)
    path = os.environ.get(CONFIG_VARIABLE)
    return Reloader(open_history(versions, now), versions, role, process, Path(path) if path else None, now)


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
    """Satisfies `settings.versions.Versions`, `settings.reload.Store` and `settings.canary.Trials`.

    Raises StoreUnavailable.
    """

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{{{namespace}}}:settings:"
        self._versions = self._prefix + "versions"
        self._newest = self._prefix + "newest"
        self._in_force = self._prefix + "in_force"
        self._trial = self._prefix + "trial"
        self._endings = self._prefix + "endings"
        self._acknowledgements = self._prefix + "acknowledgements"
        self._add = client.register_script(_ADD)
        self._move = client.register_script(_MOVE)
        self._end = client.register_script(_END)

    def newest_number(self) -> int:
        """The highest that was given; 0 before the first version."""
        with answering():
            number: Any = self._client.get(self._newest)
        return int(number or 0)

    def in_force_number(self) -> int:
        """0 before the first version."""
        return self._standing()[0]

    def in_force(self) -> Version | None:
        number = self.in_force_number()
        return self.find(number) if number else None

    def number_for(self, process: str) -> int:
        """One command, so cheap enough to ask every second."""
        number, trial = self._standing()
        return trial.number if trial is not None and trial.process == process else number

    def version_for(self, process: str) -> Version | None:
        number = self.number_for(process)
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
        """Raises VersionConflict, see `settings.versions.Versions`."""
        self._keep(version, trial=b"")

    def trial(self) -> Trial | None:
        return self._standing()[1]

    def begin_trial(self, version: Version, trial: Trial) -> None:
        """Raises VersionConflict, see `settings.versions.Versions`."""
        self._keep(version, trial=msgspec.json.encode(trial))

    def move_trial(self, trial: Trial, moved: Trial) -> bool:
        with answering():
            found = self._move(
                keys=[self._trial], args=[msgspec.json.encode(trial), msgspec.json.encode(moved)]
            )
        return bool(found)

    def end_trial(self, trial: Trial, ending: Ending) -> bool:
        replaced = str(trial.base) if ending.outcome is Outcome.PROMOTED else ""
        with answering():
            found = self._end(
                keys=[self._trial, self._in_force, self._endings],
                args=[msgspec.json.encode(trial), trial.number, replaced, msgspec.json.encode(ending)],
            )
        return bool(found)

    def endings(self) -> Mapping[int, Ending]:
        """How each version that was ever on trial ended, by its number."""
        with answering():
            found: Any = self._client.hvals(self._endings)
        endings = [msgspec.json.decode(text, type=Ending) for text in found]
        return {ending.number: ending for ending in endings}

    def count_attempt(self, number: int, process: str, *, has_failed: bool) -> None:
        """Note that an attempt under a version ended."""
        key = self._tally_key(number)
        with answering(), self._client.pipeline() as pipeline:
            pipeline.hincrby(key, f"{'failed' if has_failed else 'succeeded'} {process}")
            pipeline.expire(key, TALLY_LIFETIME_S)
            pipeline.execute()

    def tallies(self, number: int) -> Mapping[str, Tally]:
        """What each process attempted under a version, by its name."""
        with answering():
            found: Any = self._client.hgetall(self._tally_key(number))
        tallies: dict[str, Tally] = {}
        for field, count in found.items():
            what, _, process = field.decode().partition(" ")
            one = Tally(failed=int(count)) if what == "failed" else Tally(succeeded=int(count))
            tallies[process] = tallies.get(process, Tally()) + one
        return tallies

    def refusal(self, process: str, number: int) -> str | None:
        """Why the process does not take the version over, if it said so."""
        with answering():
            text: Any = self._client.hget(self._acknowledgements, process)
        if text is None:
            return None
        said = msgspec.json.decode(text, type=Acknowledgement)
        return said.reason if said.version == number and not said.is_accepted else None

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        with answering():
            text = msgspec.json.encode(acknowledgement)
            self._client.hset(self._acknowledgements, acknowledgement.process, text)

    def acknowledgements(self, now: datetime, *, living: Collection[str]) -> Sequence[Acknowledgement]:
        """What each of the living processes said last, by its name; words of long gone ones are dropped."""
        with answering():
            texts: Any = self._client.hgetall(self._acknowledgements)
        said = [msgspec.json.decode(text, type=Acknowledgement) for text in texts.values()]
        gone = [one.process for one in said if now - one.at > ACKNOWLEDGEMENT_LIFETIME]
        if gone:
            with answering():
                self._client.hdel(self._acknowledgements, *gone)
        return sorted((one for one in said if one.process in living), key=lambda one: one.process)

    def _standing(self) -> tuple[int, Trial | None]:
        """The version in force, and the trial beside it."""
        with answering():
            found: Any = self._client.mget(self._in_force, self._newest, self._trial)
        in_force, newest, trial = found
        number = int(in_force or newest or 0)
        return number, msgspec.json.decode(trial, type=Trial) if trial else None

    def _keep(self, version: Version, *, trial: bytes) -> None:
        with answering():
            is_kept = self._add(
                keys=[self._versions, self._newest, self._in_force, self._trial],
                args=[version.number, msgspec.json.encode(version), version.instead_of, trial],
            )
        if not is_kept:
            raise VersionConflict(
                f"somebody else changed the settings meanwhile, so {version.number} is taken: "
                "look at what is in force and repeat"
            )

    def _tally_key(self, number: int) -> str:
        return f"{self._prefix}tally:{number}"
