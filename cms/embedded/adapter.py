"""The embedded CMS: accounts and records in this service's own database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TypeVar

from cms.kept_here import KeptHere
from sync.changes import Change
from sync.model import Game, Grade, Ladder, OrganisationKind, Season, Team
from sync.ports import Fence, Quarantined
from sync.report import Stage

F = TypeVar("F", Season, Grade, Team)


class EmbeddedCms(KeptHere):
    """Satisfies `sync.ports.Cms`, where each promise is written down."""

    def find_kinds(self, account_ids: Collection[int]) -> Mapping[int, OrganisationKind]:
        """The kinds of those of the accounts that exist."""
        return self._stores.accounts.find_kinds(account_ids)

    def read_seasons(self, association_ids: Collection[str]) -> Mapping[str, Season]:
        return self._stores.mirror.read_seasons(association_ids)

    def read_grades(self, season_ids: Collection[str]) -> Mapping[str, Grade]:
        return self._stores.mirror.read_grades(season_ids)

    def read_teams(self, season_ids: Collection[str]) -> Mapping[str, Team]:
        return self._stores.mirror.read_teams(season_ids)

    def read_games(self, grade_ids: Collection[str]) -> Mapping[str, Game]:
        return self._stores.mirror.read_games(grade_ids)

    def find_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return self._stores.mirror.find_games(game_ids)

    def find_records(self, record_type: type[F], record_ids: Collection[str]) -> Mapping[str, F]:
        return self._stores.mirror.find_records(record_type, record_ids)

    def find_game_grades(self, team_ids: Collection[str], *, since: date) -> Collection[str]:
        return self._stores.mirror.find_game_grades(team_ids, since=since)

    def read_removed_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return self._stores.mirror.read_removed_games(game_ids)

    def read_ladders(self, grade_ids: Collection[str]) -> Mapping[str, Ladder]:
        return self._stores.mirror.read_ladders(grade_ids)

    def digest_grade(self, grade_id: str) -> str:
        return self._stores.mirror.digest_grade(grade_id)

    def digest_grades(self, grade_ids: Sequence[str]) -> Mapping[str, str]:
        return self._stores.mirror.digest_grades(grade_ids)

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]:
        return self._stores.mirror.apply(run_id, stage, changes, fence=fence)
