"""The CMS behind Strapi's REST API, version 4 or 5.

Strapi's rows hold display texts and short codes. What a provider sends is kept whole in
the local mirror, and the rows are its projection: a record counts as stored when both
agree, so that a row that somebody edited or deleted is found and put right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TypeVar

from cms.kept_here import KeptHere
from cms.local import LocalStores
from cms.strapi.accounts import Accounts
from cms.strapi.callbacks import Callbacks
from cms.strapi.client import StrapiClient
from cms.strapi.club_links import ClubLinks
from cms.strapi.data_collections import DataCollections
from cms.strapi.drift import as_in_cms
from cms.strapi.formats import short_code
from cms.strapi.projection import ASSOCIATIONS, Projection, Row, game_collection
from cms.strapi.upserts import Done, Refused, Result, Upserts
from settings.schema import StrapiSettings
from sync.changes import Action, Change
from sync.model import (
    Account,
    Game,
    Grade,
    Ladder,
    Record,
    RecordKind,
    Season,
    Team,
)
from sync.ports import Clock, Fence, Quarantined
from sync.report import Run, Stage

R = TypeVar("R", bound=Record)
F = TypeVar("F", Season, Grade, Team)


class StrapiCms(KeptHere):
    """Satisfies `sync.ports.Cms`, where each promise is written down."""

    def __init__(
        self, client: StrapiClient, stores: LocalStores, settings: StrapiSettings, clock: Clock
    ) -> None:
        super().__init__(stores)
        self._client = client
        self._clock = clock
        self._accounts = Accounts(client, stores)
        self._callbacks = Callbacks(client)
        self._projection = Projection(settings)
        self._upserts = Upserts(client, stores.cms_refs, self._claim, concurrency=settings.write_concurrency)
        self._club_links = ClubLinks(client)
        self._data_collections = DataCollections(
            client,
            stores.cms_refs,
            self._accounts.find_row,
            clock,
            admin_account_id=settings.admin_account_id,
        )
        self._logs_runs = settings.data_collections
        self._sports: dict[str, str | None] = {}

    def close(self) -> None:
        """Close the connections to the CMS."""
        self._client.close()

    def find_account(self, account_id: int) -> Account:
        return self._accounts.find(account_id)

    def set_flags(
        self, account_id: int, *, is_setup: bool | None = None, is_updating: bool | None = None
    ) -> None:
        self._accounts.set_flags(account_id, is_setup=is_setup, is_updating=is_updating)

    def run_ended(self, run: Run) -> None:
        """Tell the CMS that an account's run has ended. Raises CmsUnavailable when it did not hear of it."""
        if run.account_id is None or run.mode.is_direct or run.dry_run:
            return
        number = self._accounts.find_number(run.account_id)
        if number is not None:
            self._callbacks.run_ended(run, number)

    def track(self, run: Run) -> None:
        """Keep the CMS's own log of the run, where the settings ask for one. Never raises."""
        if self._logs_runs:
            self._data_collections.track(run)

    def read_seasons(self, association_ids: Collection[str]) -> Mapping[str, Season]:
        return self._as_in_cms(self._stores.mirror.read_seasons(association_ids))

    def read_grades(self, season_ids: Collection[str]) -> Mapping[str, Grade]:
        return self._as_in_cms(self._stores.mirror.read_grades(season_ids))

    def read_teams(self, season_ids: Collection[str]) -> Mapping[str, Team]:
        return self._as_in_cms(self._stores.mirror.read_teams(season_ids))

    def read_games(self, grade_ids: Collection[str]) -> Mapping[str, Game]:
        return self._as_in_cms(self._stores.mirror.read_games(grade_ids))

    def find_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return self._as_in_cms(self._stores.mirror.find_games(game_ids))

    def find_records(self, record_type: type[F], record_ids: Collection[str]) -> Mapping[str, F]:
        """As the provider sent them, whatever has become of their rows."""
        return self._stores.mirror.find_records(record_type, record_ids)

    def find_game_grades(self, team_ids: Collection[str], *, since: date) -> Collection[str]:
        return self._stores.mirror.find_game_grades(team_ids, since=since)

    def read_removed_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return self._stores.mirror.read_removed_games(game_ids)

    def read_ladders(self, grade_ids: Collection[str]) -> Mapping[str, Ladder]:
        return self._stores.mirror.read_ladders(grade_ids)

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]:
        mirror = self._stores.mirror
        mirror.check_fence(fence)
        by_kind: dict[RecordKind, list[Change]] = defaultdict(list)
        for change in changes:
            by_kind[change.kind].append(change)
        refused: list[Quarantined] = []
        # Parents first; each kind is taken over before its children are looked up.
        for kind in RecordKind:
            accepted, orphans = mirror.without_orphans(by_kind[kind])
            refused += orphans
            written, seen = [], []
            for change, result in self._write(kind, accepted):
                if isinstance(result, Refused):
                    refused.append(Quarantined(kind=kind, record_id=change.record_id, reason=result.reason))
                elif result is Done.UNCHANGED and change.action is Action.CREATED:
                    seen.append(change)
                else:
                    written.append(replace(change, action=_action(change, result)))
            if written or seen:
                mirror.follow(run_id, stage, written, seen=seen, fence=fence)
        return refused

    def _claim(self, collection: str, keys: Sequence[str]) -> Collection[str]:
        return self._stores.cms_refs.claim(collection, keys, now=self._clock.now())

    def _as_in_cms(self, mirrored: Mapping[str, R]) -> Mapping[str, R]:
        """The mirrored records as the CMS has them; those that it lacks are left out."""
        found: dict[str, R] = {}
        for rows in _by_collection(self._rows(list(mirrored.values()))):
            stored = self._upserts.find([row for _, row in rows])
            for record_id, row in rows:
                entries = stored.get(row.key)
                if entries and (record := as_in_cms(mirrored[record_id], row, entries[0])) is not None:
                    found[record_id] = record
        return found

    def _write(self, kind: RecordKind, changes: Sequence[Change]) -> Sequence[tuple[Change, Result]]:
        if kind is RecordKind.LADDER:
            return self._write_ladders(changes)
        by_id = {change.record_id: change for change in changes}
        records = [record for change in changes if (record := change.after or change.before) is not None]
        results: list[tuple[Change, Result]] = []
        for rows in _by_collection(self._rows(records)):
            own = [by_id[record_id] for record_id, _ in rows]
            prepared = [self._prepared(by_id[record_id], row) for record_id, row in rows]
            written = self._upserts.write(prepared)
            results += [(change, _told(change, result)) for change, result in zip(own, written, strict=True)]
        if kind is RecordKind.TEAM:
            self._club_links.add(
                [
                    change.after
                    for change, result in results
                    if isinstance(change.after, Team) and not isinstance(result, Refused)
                ]
            )
        return results

    def _prepared(self, change: Change, row: Row) -> Row:
        if change.action is not Action.REMOVED:
            return row
        return self._projection.removal(row, reason=change.cause, at=self._clock.now())

    def _write_ladders(self, changes: Sequence[Change]) -> Sequence[tuple[Change, Result]]:
        """A grade's row holds all its ladders, so that one of them changes the whole column."""
        by_grade: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            if isinstance(change.after, Ladder):
                by_grade[change.after.grade_id].append(change)
        if not by_grade:
            return []
        grades = self._stores.mirror.find_records(Grade, by_grade)
        ladders: dict[str, dict[str, Ladder]] = defaultdict(dict)
        for ladder in self._stores.mirror.read_ladders(by_grade).values():
            ladders[ladder.grade_id][ladder.id] = ladder
        for change in changes:
            if isinstance(change.after, Ladder):
                ladders[change.after.grade_id][change.record_id] = change.after
        team_ids = {row.team_id for own in ladders.values() for ladder in own.values() for row in ladder.rows}
        names = {team.id: team.name for team in self._stores.mirror.find_records(Team, team_ids).values()}
        rows = [
            self._projection.ladders(grade, list(ladders[grade_id].values()), names)
            for grade_id, grade in grades.items()
        ]
        results = dict(zip(grades, self._upserts.write(rows), strict=True))
        return [
            (change, _told(change, results[grade_id])) for grade_id, own in by_grade.items() for change in own
        ]

    def _rows(self, records: Sequence[Record]) -> Sequence[tuple[str, Row]]:
        rows: list[tuple[str, Row]] = []
        games = [record for record in records if isinstance(record, Game)]
        collections = self._game_collections({game.grade_id for game in games})
        team_ids = {team_id for game in games for team_id in (game.home_id, game.away_id)}
        names = {team.id: team.name for team in self._stores.mirror.find_records(Team, team_ids).values()}
        for record in records:
            match record:
                case Season():
                    rows.append((record.id, self._projection.season(record)))
                case Grade():
                    rows.append((record.id, self._projection.grade(record)))
                case Team():
                    rows.append((record.id, self._projection.team(record)))
                case Game():
                    collection = collections[record.grade_id]
                    row = self._projection.game(record, collection=collection, team_names=names)
                    rows.append((record.id, row))
                case Ladder():
                    pass
        return rows

    def _game_collections(self, grade_ids: Collection[str]) -> Mapping[str, str]:
        grades = self._stores.mirror.find_records(Grade, grade_ids)
        seasons = self._stores.mirror.find_records(Season, {grade.season_id for grade in grades.values()})
        found = {}
        for grade_id in grade_ids:
            season = seasons.get(grades[grade_id].season_id) if grade_id in grades else None
            found[grade_id] = game_collection(self._sport(season.association_id) if season else None)
        return found

    def _sport(self, association_id: str) -> str | None:
        """What the CMS says of the association; it does not change while a process lives."""
        if association_id not in self._sports:
            code = short_code(association_id)
            entries = self._client.find_by_endings(ASSOCIATIONS, "href", [code]).get(code)
            self._sports[association_id] = entries[0].fields.get("Sport") if entries else None
        return self._sports[association_id]


def _by_collection(rows: Sequence[tuple[str, Row]]) -> Sequence[Sequence[tuple[str, Row]]]:
    found: dict[str, list[tuple[str, Row]]] = defaultdict(list)
    for record_id, row in rows:
        found[row.collection].append((record_id, row))
    return list(found.values())


def _told(change: Change, result: Result) -> Result:
    """A row that is not there is no obstacle to its removal, and one to anything else."""
    if result is not Done.ABSENT or change.action is Action.REMOVED:
        return result
    return Refused("the CMS does not have the grade, and makes its grades itself")


def _action(change: Change, result: Result) -> Action:
    """What was done in the CMS: a row that was there before is updated, whoever made it."""
    if result is Done.CREATED and change.action is Action.UPDATED:
        return Action.CREATED
    if result is Done.UPDATED and change.action is Action.CREATED and change.kind is not RecordKind.LADDER:
        return Action.UPDATED
    return change.action
