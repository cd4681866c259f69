"""Versions in memory, under the rules of those in Redis."""

from __future__ import annotations

from collections.abc import Sequence

from settings.reload import Acknowledgement
from settings.versions import Version, VersionConflict
from sync.errors import NotFound


class FakeVersions:
    def __init__(self) -> None:
        self.kept: list[Version] = []
        self.said: dict[str, Acknowledgement] = {}

    def newest_number(self) -> int:
        return len(self.kept)

    def newest(self) -> Version | None:
        return self.kept[-1] if self.kept else None

    def find(self, number: int) -> Version:
        if not 1 <= number <= len(self.kept):
            raise NotFound(f"settings version {number} does not exist")
        return self.kept[number - 1]

    def history(self, limit: int) -> Sequence[Version]:
        return self.kept[::-1][:limit]

    def add(self, version: Version) -> None:
        if version.number != len(self.kept) + 1:
            raise VersionConflict(f"version {version.number} is taken")
        self.kept.append(version)

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        self.said[acknowledgement.process] = acknowledgement
