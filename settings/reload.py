"""New settings without a restart: a changed file, SIGHUP, or a version set by `clubsync config set`.

Everything is loaded anew and validated before anything changes; what is refused leaves the
last good settings in force. Each process says so: ACK with its version, NACK with the reason.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from settings import live, schema_tree
from settings.canary import Trial
from settings.layers import SET_LIVE
from settings.live import ProcessRole
from settings.loader import InvalidSettings, Loaded
from settings.schema import Settings
from settings.versions import History, Version, VersionConflict, still_known
from sync.errors import SyncError

log = logging.getLogger(__name__)

POLL_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What a process says about a version: taken over or, with the reason, refused.

    `is_local` says that its file or its variables are refused, and the version is not.
    `restart_for` names settings that differ from those it started with, and that it reads only then.
    """

    process: str
    version: int
    is_accepted: bool
    at: datetime
    reason: str | None = None
    restart_for: tuple[str, ...] = ()
    is_local: bool = False

    @property
    def trouble(self) -> tuple[str, str] | None:
        """What is wrong, in a few words, and what mends it."""
        if not self.is_accepted and self.is_local:
            return f"{self.process} keeps its last good settings", f"{self.reason}; mend that place"
        if not self.is_accepted:
            mend = "mend it with `clubsync config set`, or go back with `clubsync config rollback`"
            return f"{self.process} refuses version {self.version}", f"{self.reason}; {mend}"
        if self.restart_for:
            return f"{self.process} runs with older {', '.join(self.restart_for)}", "restart that process"
        return None


class Store(Protocol):
    """Where versions are kept; the one on trial is in force for its worker alone."""

    def number_for(self, process: str) -> int:
        """The version that the process should be under; 0 before the first."""
        ...

    def version_for(self, process: str) -> Version | None: ...

    def trial(self) -> Trial | None: ...

    def acknowledge(self, acknowledgement: Acknowledgement) -> None: ...


@dataclass(frozen=True, slots=True)
class Subscription:
    prefixes: tuple[str, ...]
    apply: Callable[[Settings], None]


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings of this process and their version's number; replaced as one.

    `alike` are the recent versions under which a run does the same.
    """

    loaded: Loaded
    number: int
    overrides: Mapping[str, Any]
    alike: frozenset[int]


class Reloader:
    """Holds what is in force in this process, which the registry knows as `process`."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a process is, and what it goes by
        self,
        history: History,
        store: Store,
        role: ProcessRole,
        process: str,
        file: Path | None,
        now: Callable[[], datetime],
    ) -> None:
        """Loads for the first time. Raises InvalidSettings and StoreUnavailable."""
        self._history = history
        self._store = store
        self._role = role
        self._process = process
        self._file = file
        self._now = now
        self._asked = threading.Event()
        self._subscriptions: list[Subscription] = []
        self._followers: list[Callable[[InForce], None]] = []
        self._looking = threading.Lock()
        self._seen_file = _file_state(file)
        while True:
            wanted = store.version_for(process)
            overrides = still_known(wanted.overrides) if wanted else {}
            loaded = history.load(overrides)
            try:
                version = history.enrol(
                    loaded, overrides, author=process, reason="started with these settings"
                )
            except VersionConflict:
                continue  # somebody changed them in between
            break
        self._started_with = loaded
        self.in_force = InForce(loaded, version.number, overrides, history.alike(loaded))
        self._seen_number = max(version.number, wanted.number if wanted else 0)
        self._acknowledge(version.number)

    def subscribe(self, *prefixes: str, apply: Callable[[Settings], None]) -> None:
        """Call `apply` with the new settings whenever one below the prefixes changed.

        Prefixes are sections or keys, as `logging` or `scheduler.entries`.
        """
        self._subscriptions.append(Subscription(prefixes, apply))

    def follow(self, apply: Callable[[InForce], None]) -> None:
        """Call `apply` now, and with each new version, before the subscriptions."""
        self._followers.append(apply)
        apply(self.in_force)

    def ask(self) -> None:
        """Reload at the next look, whatever changed; safe in a signal handler."""
        self._asked.set()

    def look(self) -> None:
        """Reload if the file or the version in force changed, or somebody asked.

        Raises StoreUnavailable; then the next look tries again.
        """
        with self._looking:
            while True:
                file, number = _file_state(self._file), self._store.number_for(self._process)
                if (file, number) == (self._seen_file, self._seen_number) and not self._asked.is_set():
                    return
                try:
                    self._reload()
                except VersionConflict:
                    continue  # somebody changed them in between
                self._asked.clear()
                # A changed file may have become a version by this very look.
                self._seen_file, self._seen_number = file, max(number, self.in_force.number)
                return

    def run(self, stop: threading.Event) -> None:
        """Keep looking until `stop` is set."""
        while not stop.wait(POLL_EVERY_S):
            try:
                self.look()
            except SyncError as error:
                log.warning("settings_not_looked_at", extra={"reason": str(error)})

    def _reload(self) -> None:
        wanted = self._store.version_for(self._process)
        overrides = still_known(wanted.overrides) if wanted else {}
        number = wanted.number if wanted else 0
        before = self.in_force
        try:
            loaded = self._history.load(overrides)
        except InvalidSettings as error:
            log.error("settings_refused", extra={"reason": str(error)})  # noqa: TRY400  the text says it all
            is_local = all(problem.place != SET_LIVE for problem in error.problems)
            self._acknowledge(number, reason=str(error), is_local=is_local)
            return
        if overrides == before.overrides and not self._is_on_trial(number):
            reason = "its file changed" if loaded.fingerprint != before.loaded.fingerprint else "reloaded"
            number = self._history.enrol(loaded, overrides, author=self._process, reason=reason).number
        changed = _changed_keys(before.loaded, loaded)
        self.in_force = InForce(loaded, number, overrides, self._history.alike(loaded))
        for follower in self._followers:
            follower(self.in_force)
        failures = self._apply(changed)
        log.info("settings_reloaded", extra={"version": number, "changed": list(changed)})
        self._acknowledge(number, reason="; ".join(failures) or None)

    def _apply(self, changed: Collection[str]) -> list[str]:
        failures = []
        for subscription in self._subscriptions:
            if not any(live.covers(subscription.prefixes, key) for key in changed):
                continue
            try:
                subscription.apply(self.in_force.loaded.settings)
            except Exception as error:
                # One part that cannot take over must not keep the others from it.
                log.exception("settings_not_applied", extra={"part": subscription.prefixes})
                failures.append(f"{', '.join(subscription.prefixes)}: {type(error).__name__}: {error}")
        return failures

    def _is_on_trial(self, number: int) -> bool:
        # What its file adds to a version on trial is no version for everybody.
        trial = self._store.trial()
        return trial is not None and trial.number == number

    def _acknowledge(self, number: int, *, reason: str | None = None, is_local: bool = False) -> None:
        differing = _changed_keys(self._started_with, self.in_force.loaded)
        self._store.acknowledge(
            Acknowledgement(
                process=self._process,
                version=number,
                is_accepted=reason is None,
                at=self._now(),
                reason=reason,
                restart_for=tuple(key for key in differing if self._role in live.restarted_by(key)),
                is_local=is_local,
            )
        )


def _changed_keys(before: Loaded, after: Loaded) -> tuple[str, ...]:
    # Secrets among them: a new key must reach its client although it makes no version.
    old = dict(schema_tree.leaves(before.settings.model_dump()))
    new = dict(schema_tree.leaves(after.settings.model_dump()))
    return tuple(key for key in {**old, **new} if old.get(key) != new.get(key))


def _file_state(path: Path | None) -> tuple[int, ...]:
    """What differs after any change of a file, also of a link to it; empty while it is missing."""
    if path is None:
        return ()
    try:
        state = path.stat()
    except OSError:
        return ()
    return (state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino, state.st_dev)
