"""Every accepted set of settings has a number, an author, a time and a reason, and can be restored.

A version keeps its values without secrets: those belong to files and variables, are never
set live, and stay what they are when an old version is restored. What differs by nature
from process to process (addresses of the platform's servers, ports) is no part of a version.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from settings import layers, live, problems, schema_tree
from settings.canary import Tally, Trial
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
    """`overrides` are the live ones, dotted keys to values; `values` is everything, flat.

    `instead_of` is the version that was in force when it came, 0 if there was none.
    """

    number: int
    fingerprint: str
    author: str
    at: datetime
    reason: str
    overrides: Mapping[str, Any]
    values: Mapping[str, Any]
    instead_of: int = 0

    @property
    def earlier(self) -> int:
        """The number of the version to compare it with; 0 for the first."""
        return self.instead_of or self.number - 1


@dataclass(frozen=True, slots=True)
class Difference:
    key: str
    before: Any
    after: Any


class Versions(Protocol):
    """Where versions are kept. Raises StoreUnavailable.

    The newest one is in force, unless it is on trial on one worker or was taken back.
    """

    def newest_number(self) -> int:
        """The highest that was given; 0 before the first."""
        ...

    def in_force(self) -> Version | None: ...

    def trial(self) -> Trial | None: ...

    def find(self, number: int) -> Version:
        """Raises NotFound."""
        ...

    def history(self, limit: int) -> Sequence[Version]:
        """Newest first."""
        ...

    def add(self, version: Version) -> None:
        """Put a version in force.

        Raises VersionConflict unless its number follows the newest one's, and the version that it
        comes instead of is still in force.
        """
        ...

    def begin_trial(self, version: Version, trial: Trial) -> None:
        """Keep a version that only the trial's worker takes over. Raises VersionConflict as `add` does,
        and while another trial is on.
        """
        ...

    def tallies(self, number: int) -> Mapping[str, Tally]: ...


def diff(before: Version | None, after: Version) -> list[Difference]:
    """What differs, key by key; `before` None stands for nothing at all."""
    old = before.values if before else {}
    keys = [*after.values, *(key for key in old if key not in after.values)]
    return [
        Difference(key, old.get(key), after.values.get(key))
        for key in keys
        if old.get(key) != after.values.get(key)
    ]


def still_known(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Stored overrides without those of settings that this release does not have any more."""
    return {key: value for key, value in overrides.items() if schema_tree.find(key) is not None}


class History:
    """Numbers what is loaded, and changes what is in force; `load` is this process's."""

    def __init__(self, versions: Versions, load: Load, now: Callable[[], datetime]) -> None:
        self._versions = versions
        self.load = load
        self._now = now

    def enrol(self, loaded: Loaded, overrides: Mapping[str, Any], *, author: str, reason: str) -> Version:
        """The version that the loaded settings are: a known one, or a new one made by their coming.

        Raises VersionConflict if somebody has set other overrides since they were loaded.
        """
        while True:
            # First, so that whatever is added after it is noticed when this version is added.
            replaced = self._versions.in_force()
            known = self._versions.history(HISTORY_SEARCHED)
            for version in known:
                if version.fingerprint == loaded.fingerprint:
                    return version
            if replaced is not None and still_known(replaced.overrides) != overrides:
                raise VersionConflict("the settings were changed while they were read")
            values = version_values(loaded.settings)
            version = self._draft(replaced, values, overrides, author=author, reason=reason)
            try:
                self._versions.add(version)
            except VersionConflict:
                continue  # another process was faster, perhaps with the same settings
            return version

    def alike(self, loaded: Loaded) -> frozenset[int]:
        """The recent versions under which a run does just what it does under the loaded settings."""
        mine = _shaping_runs(version_values(loaded.settings))
        recent = self._versions.history(HISTORY_SEARCHED)
        return frozenset(one.number for one in recent if _shaping_runs(one.values) == mine)

    def preview(self, changes: Mapping[str, Any], *, unset: Collection[str] = ()) -> Version:
        """What a change would make, not stored.

        `changes` maps dotted keys to values or to text as in a variable; the overrides of the
        `unset` keys are dropped. Raises InvalidSettings.
        """
        now = self._versions.in_force()
        return self._validated(now, _changed(now, changes, unset), author="", reason="")

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

        Without it the change goes on top of whatever somebody else changes at the same moment.
        Raises InvalidSettings and VersionConflict, that also while a version is on trial.
        """
        while True:
            now = self._in_force(expected)
            self._refuse_beside_a_trial()
            version = self._validated(now, _changed(now, changes, unset), author=author, reason=reason)
            try:
                self._versions.add(version)
            except VersionConflict:
                if expected is not None:
                    raise
                continue
            return version

    def try_out(  # noqa: PLR0913 - a change, and where and how long it is tried
        self,
        changes: Mapping[str, Any],
        *,
        process: str,
        for_s: float,
        author: str,
        reason: str,
        unset: Collection[str] = (),
        expected: int | None = None,
    ) -> Trial:
        """Set live overrides for one worker; `settings.canary` says how that ends.

        Raises InvalidSettings, also for what a running worker proves nothing about, and
        VersionConflict.
        """
        now = self._in_force(expected)
        self._refuse_beside_a_trial()
        if now is None:
            raise VersionConflict("no process has numbered its settings yet: start a worker first")
        version = self._validated(now, _changed(now, changes, unset), author=author, reason=reason)
        changed = [difference.key for difference in diff(now, version)]
        problems_found = [
            Problem(
                ORIGIN,
                key,
                problems.show(key, version.values.get(key)),
                f"cannot be tried on one worker: {why}",
            )
            for key, why in live.untried(changed).items()
        ]
        if problems_found or not changed:
            raise InvalidSettings(problems_found or [Problem(ORIGIN, "", None, "changes nothing to try")])
        trial = Trial(
            number=version.number,
            base=now.number,
            process=process,
            begun_at=self._now(),
            for_s=for_s,
            author=author,
            reason=reason,
            past=self._versions.tallies(now.number),
        )
        self._versions.begin_trial(version, trial)
        return trial

    def preview_rollback(self, number: int) -> Version:
        """What restoring a version would make, not stored. Raises NotFound and InvalidSettings."""
        return self._restored(self._versions.in_force(), number, author="")

    def rollback(self, number: int, *, author: str, expected: int | None = None) -> Version:
        """Restore a version as a new one, by live overrides over whatever the layers say now.

        Settings that this release does not know any more are left out, and its reason says so. It
        comes into force also while a version is on trial, which then ends.
        Raises NotFound, InvalidSettings and VersionConflict.
        """
        now = self._in_force(expected)
        version = self._restored(now, number, author=author)
        self._versions.add(version)
        return version

    def _in_force(self, expected: int | None) -> Version | None:
        now = self._versions.in_force()
        number = now.number if now else 0
        if expected is not None and expected != number:
            raise VersionConflict(f"version {number} is in force, not {expected}: look at it and repeat")
        return now

    def _refuse_beside_a_trial(self) -> None:
        if trial := self._versions.trial():
            raise VersionConflict(
                f"version {trial.number} of {trial.author} is on trial on {trial.process} until "
                f"{trial.ends_at:%H:%M:%S} UTC: wait, or end it with clubsync config canary"
            )

    def _restored(self, now: Version | None, number: int, *, author: str) -> Version:
        wanted = self._versions.find(number)
        gone = [key for key, value in wanted.values.items() if value != {} and schema_tree.find(key) is None]
        reason = f"restores version {number}"
        if gone:
            reason += f", without {', '.join(gone)}: this release has no such setting"
        return self._validated(now, self._overrides_for(now, wanted), author=author, reason=reason)

    def _overrides_for(self, now: Version | None, wanted: Version) -> dict[str, Any]:
        """The live overrides that turn what is in force into a version, secrets left alone."""
        beneath = version_values(self.load({}).settings)
        current = still_known(now.overrides) if now else {}
        overrides = {key: value for key, value in current.items() if key in wanted.values}
        for key, value in wanted.values.items():
            if _stays(key, value) or (now and now.values.get(key) == value):
                continue
            if beneath.get(key) == value:
                overrides.pop(key, None)
            else:
                overrides[key] = value
        return overrides

    def _validated(
        self, now: Version | None, overrides: Mapping[str, Any], *, author: str, reason: str
    ) -> Version:
        after = version_values(self.load(overrides).settings)
        # As they were validated: text from a command line has become numbers and lists.
        plain = {key: after.get(key, value) for key, value in overrides.items()}
        if now is not None:
            # This process may have other variables than those that work: only what it changes counts.
            before = version_values(self.load(still_known(now.overrides)).settings)
            changed = {key: value for key, value in after.items() if before.get(key) != value}
            kept = {key: value for key, value in now.values.items() if key in after or key not in before}
            after = {**kept, **changed}
        return self._draft(now, after, plain, author=author, reason=reason)

    def _draft(
        self,
        now: Version | None,
        values: Mapping[str, Any],
        overrides: Mapping[str, Any],
        *,
        author: str,
        reason: str,
    ) -> Version:
        return Version(
            number=self._versions.newest_number() + 1,
            fingerprint=fingerprint_of(values),
            author=author,
            at=self._now(),
            reason=reason,
            overrides=dict(overrides),
            values=dict(values),
            instead_of=now.number if now else 0,
        )


def _stays(key: str, value: Any) -> bool:
    """Whether restoring a version leaves the key alone: a secret, a hidden part of one, or unknown now."""
    return schema_tree.find(key) is None or schema_tree.is_secret(key) or problems.MASK in str(value)


def _shaping_runs(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if live.covers(live.SHAPES_RUNS, key)}


def _changed(now: Version | None, given: Mapping[str, Any], unset: Collection[str]) -> dict[str, Any]:
    changes = dict(_single(given))
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
    overrides = still_known(now.overrides) if now else {}
    refused += [
        Problem(ORIGIN, key, None, "is not set live; nothing to unset")
        for key in unset
        if not any(_is_within(known, key) for known in overrides)
    ]
    if refused:
        raise InvalidSettings(refused)
    return {
        key: value
        for key, value in {**overrides, **changes}.items()
        if not any(_is_within(key, dropped) for dropped in unset)
    }


def _single(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A whole table, as a preset or an entry of the schedule, is the settings in it."""
    for key, value in given.items():
        if schema_tree.find(key) is None:
            yield from schema_tree.leaves(layers.read_overrides({key: value}).tree)
        else:
            yield key, value


def _is_within(key: str, table: str) -> bool:
    return key == table or key.startswith(f"{table}.")
