"""Every accepted set of settings has a number, an author, a time and a reason, and can be restored.

A version keeps its values without secrets: those belong to files and variables, are never
set live, and stay what they are when an old version is restored. What differs by nature
from process to process (addresses of the platform's servers, ports) is no part of a version.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from settings import problems, schema_tree
from settings.loader import InvalidSettings, Loaded, fingerprint_of, version_values
from settings.problems import Problem
from sync.errors import PermanentError

Load = Callable[[Mapping[str, Any]], Loaded]  # all layers anew, under the given live overrides
ORIGIN = "config set"
# A process that comes back with settings older than this many versions gets a new number.
HISTORY_SEARCHED = 20


class VersionConflict(PermanentError):
    """Somebody else changed the settings in between: look again, then repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """`overrides` are the live ones, dotted keys to values; `values` is everything, flat."""

    number: int
    fingerprint: str
    author: str
    at: datetime
    reason: str
    overrides: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    key: str
    before: Any
    after: Any


class Versions(Protocol):
    """Where versions are kept; the newest one is in force. Raises StoreUnavailable."""

    def newest(self) -> Version | None: ...

    def find(self, number: int) -> Version:
        """Raises NotFound."""
        ...

    def history(self, limit: int) -> Sequence[Version]:
        """Newest first."""
        ...

    def add(self, version: Version) -> None:
        """Raises VersionConflict unless its number follows the newest one's."""
        ...


def diff(before: Version | None, after: Version) -> list[Difference]:
    """What differs, key by key; `before` None stands for nothing at all."""
    old = before.values if before else {}
    keys = [*after.values, *(key for key in old if key not in after.values)]
    return [
        Difference(key, old.get(key), after.values.get(key))
        for key in keys
        if old.get(key) != after.values.get(key)
    ]


class History:
    """Numbers what is loaded, and changes what is in force; `load` is this process's."""

    def __init__(self, versions: Versions, load: Load, now: Callable[[], datetime]) -> None:
        self._versions = versions
        self.load = load
        self._now = now

    def enrol(self, loaded: Loaded, overrides: Mapping[str, Any], *, author: str, reason: str) -> Version:
        """The version that the loaded settings are: a known one, or a new one made by their coming."""
        while True:
            known = self._versions.history(HISTORY_SEARCHED)
            for version in known:
                if version.fingerprint == loaded.fingerprint:
                    return version
            newest = known[0] if known else None
            values = version_values(loaded.settings)
            version = self._draft(newest, values, overrides, author=author, reason=reason)
            try:
                self._versions.add(version)
            except VersionConflict:
                continue  # another process was faster, perhaps with the same settings
            return version

    def preview(self, changes: Mapping[str, Any], *, unset: Collection[str] = ()) -> Version:
        """What a change would make, not stored.

        `changes` maps dotted keys to values or to text as in a variable; the overrides of the
        `unset` keys are dropped. Raises InvalidSettings.
        """
        newest = self._versions.newest()
        return self._validated(newest, _changed(newest, changes, unset), author="", reason="")

    def change(
        self,
        changes: Mapping[str, Any],
        *,
        author: str,
        reason: str,
        unset: Collection[str] = (),
        expected: int | None = None,
    ) -> Version:
        """Set live overrides for all processes; `expected` is the number the author looked at.

        Raises InvalidSettings and VersionConflict.
        """
        newest = self._newest(expected)
        version = self._validated(newest, _changed(newest, changes, unset), author=author, reason=reason)
        self._versions.add(version)
        return version

    def preview_rollback(self, number: int) -> Version:
        """What restoring a version would make, not stored. Raises NotFound and InvalidSettings."""
        newest = self._versions.newest()
        overrides = self._overrides_for(newest, self._versions.find(number))
        return self._validated(newest, overrides, author="", reason="")

    def rollback(self, number: int, *, author: str, expected: int | None = None) -> Version:
        """Restore a version as a new one, by live overrides over whatever the layers say now.

        Raises NotFound, InvalidSettings and VersionConflict.
        """
        newest = self._newest(expected)
        overrides = self._overrides_for(newest, self._versions.find(number))
        version = self._validated(newest, overrides, author=author, reason=f"restores version {number}")
        self._versions.add(version)
        return version

    def _newest(self, expected: int | None) -> Version | None:
        newest = self._versions.newest()
        number = newest.number if newest else 0
        if expected is not None and expected != number:
            raise VersionConflict(f"version {number} is in force, not {expected}: look at it and repeat")
        return newest

    def _overrides_for(self, newest: Version | None, wanted: Version) -> dict[str, Any]:
        """The live overrides that turn what is in force into a version, secrets left alone."""
        beneath = version_values(self.load({}).settings)
        overrides = dict(newest.overrides) if newest else {}
        for key, value in wanted.values.items():
            if schema_tree.is_secret(key) or (newest and newest.values.get(key) == value):
                continue
            if beneath.get(key) == value:
                overrides.pop(key, None)
            else:
                overrides[key] = value
        return overrides

    def _validated(
        self, newest: Version | None, overrides: Mapping[str, Any], *, author: str, reason: str
    ) -> Version:
        after = version_values(self.load(overrides).settings)
        # As they were validated: text from a command line has become numbers and lists.
        plain = {key: after.get(key, value) for key, value in overrides.items()}
        if newest is not None:
            # This process may have other variables than those that work: only what it changes counts.
            before = version_values(self.load(newest.overrides).settings)
            changed = {key: value for key, value in after.items() if before.get(key) != value}
            kept = {key: value for key, value in newest.values.items() if key in after or key not in before}
            after = {**kept, **changed}
        return self._draft(newest, after, plain, author=author, reason=reason)

    def _draft(
        self,
        newest: Version | None,
        values: Mapping[str, Any],
        overrides: Mapping[str, Any],
        *,
        author: str,
        reason: str,
    ) -> Version:
        return Version(
            number=newest.number + 1 if newest else 1,
            fingerprint=fingerprint_of(values),
            author=author,
            at=self._now(),
            reason=reason,
            overrides=dict(overrides),
            values=dict(values),
        )


def _changed(newest: Version | None, changes: Mapping[str, Any], unset: Collection[str]) -> dict[str, Any]:
    refused = [
        Problem(ORIGIN, key, problems.show(key, value), "is a secret: set it in a file or a variable")
        for key, value in changes.items()
        if schema_tree.is_secret(key)
    ]
    refused += [
        Problem(ORIGIN, key, problems.show(key, value), "differs from process to process: set its variable")
        for key, value in changes.items()
        if schema_tree.is_local(key)
    ]
    overrides = dict(newest.overrides) if newest else {}
    refused += [
        Problem(ORIGIN, key, None, "is not set live; nothing to unset")
        for key in unset
        if key not in overrides
    ]
    if refused:
        raise InvalidSettings(refused)
    return {key: value for key, value in {**overrides, **changes}.items() if key not in unset}
