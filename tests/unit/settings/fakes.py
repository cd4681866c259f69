"""Versions in memory, under the rules of those in Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from settings.canary import Ending, Outcome, Tally, Trial
from settings.reload import Acknowledgement
from settings.versions import Version, VersionConflict
from sync.errors import NotFound


class FakeVersions:
    def __init__(self) -> None:
        self.kept: list[Version] = []
        self.said: dict[str, Acknowledgement] = {}
        self.counted: dict[int, dict[str, Tally]] = {}
        self.endings: dict[int, Ending] = {}
        self._in_force = 0
        self._trial: Trial | None = None

    def newest_number(self) -> int:
        return len(self.kept)

    def in_force_number(self) -> int:
        return self._in_force

    def in_force(self) -> Version | None:
        return self.find(self._in_force) if self._in_force else None

    def number_for(self, process: str) -> int:
        if self._trial and self._trial.process == process:
            return self._trial.number
        return self._in_force

    def version_for(self, process: str) -> Version | None:
        number = self.number_for(process)
        return self.find(number) if number else None

    def find(self, number: int) -> Version:
        if not 1 <= number <= len(self.kept):
            raise NotFound(f"settings version {number} does not exist")
        return self.kept[number - 1]

    def history(self, limit: int) -> Sequence[Version]:
        return self.kept[::-1][:limit]

    def add(self, version: Version) -> None:
        self._keep(version)
        self._in_force = version.number

    def trial(self) -> Trial | None:
        return self._trial

    def begin_trial(self, version: Version, trial: Trial) -> None:
        if self._trial is not None:
            raise VersionConflict("another version is on trial")
        self._keep(version)
        self._trial = trial

    def move_trial(self, trial: Trial, moved: Trial) -> bool:
        if self._trial != trial:
            return False
        self._trial = moved
        return True

    def end_trial(self, trial: Trial, ending: Ending) -> bool:
        if self._trial != trial:
            return False
        self._trial = None
        self.endings[trial.number] = ending
        if ending.outcome is Outcome.PROMOTED and self._in_force == trial.base:
            self._in_force = trial.number
        return True

    def tallies(self, number: int) -> Mapping[str, Tally]:
        return dict(self.counted.get(number, {}))

    def refusal(self, process: str, number: int) -> str | None:
        said = self.said.get(process)
        return said.reason if said and said.version == number and not said.is_accepted else None

    def _keep(self, version: Version) -> None:
        if version.number != len(self.kept) + 1 or version.instead_of != self._in_force:
            raise VersionConflict(f"version {version.number} is taken")
        self.kept.append(version)

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        self.said[acknowledgement.process] = acknowledgement
