"""The embedded CMS: accounts and records in this service's own database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from cms.local import LocalStores
from sync.changes import Action, Change
from sync.model import Account, Game, Grade, Ladder, Organisation, OrganisationKind, Season, Team
from sync.ports import Fence, Quarantined
from sync.report import Stage


class EmbeddedCms:
    """Satisfies `sync.ports.Cms`, where each promise is written down."""

    def __init__(self, stores: LocalStores) -> None:
        self._stores = stores

    def find_account(self, account_id: int) -> Account:
        return self._stores.accounts.find(account_id)

    def find_kinds(self, account_ids: Collection[int]) -> Mapping[int, OrganisationKind]:
        """The kinds of those of the accounts that exist."""
        return self._stores.accounts.find_kinds(account_ids)

    def find_organisation(self, kind: OrganisationKind, organisation_id: str) -> Organisation | None:
        return self._stores.organisations.find(kind, organisation_id)

    def save_organisation(self, organisation: Organisation) -> None:
        self._stores.organisations.save(organisation)

    def set_flags(
        self, account_id: int, *, is_setup: bool | None = None, is_updating: bool | None = None
    ) -> None:
        self._stores.accounts.set_flags(account_id, is_setup=is_setup, is_updating=is_updating)

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

    def find_game_grades(self, team_ids: Collection[str], *, since: date) -> Collection[str]:
        return self._stores.mirror.find_game_grades(team_ids, since=since)

    def read_removed_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return self._stores.mirror.read_removed_games(game_ids)

    def read_ladders(self, grade_ids: Collection[str]) -> Mapping[str, Ladder]:
        return self._stores.mirror.read_ladders(grade_ids)

    def digest_grade(self, grade_id: str) -> str:
        return self._stores.mirror.digest_grade(grade_id)

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]:
        return self._stores.mirror.apply(run_id, stage, changes, fence=fence)

    def record_plan(self, run_id: str, stage: Stage, changes: Sequence[Change]) -> None:
        self._stores.changes.record(run_id, stage, changes, is_applied=False)

    def count_changes(self, run_id: str) -> Mapping[Stage, Mapping[Action, int]]:
        return self._stores.changes.count_written(run_id)

    def record_absences(
        self,
        grade_id: str,
        *,
        missing: Collection[str],
        present: Collection[str],
        day: date,
        is_doubtful: bool = False,
    ) -> Mapping[str, int]:
        return self._stores.absences.record(
            grade_id, missing=missing, present=present, day=day, is_doubtful=is_doubtful
        )

    def count_absences(
        self, grade_id: str, *, missing: Collection[str], day: date, is_doubtful: bool = False
    ) -> Mapping[str, int]:
        del grade_id  # the port names it for CMSs that need it
        return self._stores.absences.count(missing=missing, day=day, is_doubtful=is_doubtful)
