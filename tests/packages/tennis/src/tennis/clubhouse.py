"""A CMS that is a JSON file: records as documents; CLUBHOUSE_FILE names it.

What it has no place for (accounts, history, fences, absences) it leaves to clubsync's own stores.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

import msgspec

from cms.local import LocalStores
from cms.registry import CmsContext
from sync.changes import Action, Change
from sync.model import (
    Account,
    Game,
    Grade,
    Ladder,
    Organisation,
    OrganisationKind,
    Record,
    RecordKind,
    Season,
    Team,
)
from sync.ports import Fence, Quarantined
from sync.report import Stage

R = TypeVar("R", Season, Grade, Team, Game, Ladder)

_KINDS: Mapping[type[Record], str] = {
    Season: "season",
    Grade: "grade",
    Team: "team",
    Game: "game",
    Ladder: "ladder",
}


@dataclass
class Clubhouse:
    """Satisfies `sync.ports.Cms`; one process at a time."""

    file: Path
    stores: LocalStores
    _lock: RLock = field(default_factory=RLock)

    def find_account(self, account_id: int) -> Account:
        return self.stores.accounts.find(account_id)

    def find_organisation(self, kind: OrganisationKind, organisation_id: str) -> Organisation | None:
        return self.stores.organisations.find(kind, organisation_id)

    def save_organisation(self, organisation: Organisation) -> None:
        self.stores.organisations.save(organisation)

    def set_flags(
        self, account_id: int, *, is_setup: bool | None = None, is_updating: bool | None = None
    ) -> None:
        self.stores.accounts.set_flags(account_id, is_setup=is_setup, is_updating=is_updating)

    def read_seasons(self, association_ids: Collection[str]) -> Mapping[str, Season]:
        return self._read(Season, lambda season: season.association_id in association_ids)

    def read_grades(self, season_ids: Collection[str]) -> Mapping[str, Grade]:
        return self._read(Grade, lambda grade: grade.season_id in season_ids)

    def read_teams(self, season_ids: Collection[str]) -> Mapping[str, Team]:
        return self._read(Team, lambda team: team.season_id in season_ids)

    def read_games(self, grade_ids: Collection[str]) -> Mapping[str, Game]:
        return self._read(Game, lambda game: game.grade_id in grade_ids)

    def find_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return self._read(Game, lambda game: game.id in game_ids)

    def read_removed_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return self._read(Game, lambda game: game.id in game_ids, shelf="removed")

    def read_ladders(self, grade_ids: Collection[str]) -> Mapping[str, Ladder]:
        return self._read(Ladder, lambda ladder: ladder.grade_id in grade_ids)

    def find_game_grades(self, team_ids: Collection[str], *, since: date) -> Collection[str]:
        games = self._read(
            Game,
            lambda game: (
                bool({game.home_id, game.away_id} & set(team_ids))
                and (game.last_day is None or game.last_day >= since)
            ),
        )
        return {game.grade_id for game in games.values()}

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]:
        self.stores.mirror.check_fence(fence)
        refused, written = [], []
        with self._lock:
            shelves = self._load()
            for change in sorted(changes, key=lambda change: list(RecordKind).index(change.kind)):
                if missing := _missing_parents(shelves, change):
                    refused.append(
                        Quarantined(
                            kind=change.kind,
                            record_id=change.record_id,
                            reason=f"not stored: {', '.join(missing)}",
                        )
                    )
                    continue
                _put(shelves, change)
                written.append(change)
            self.file.write_text(json.dumps(shelves, indent=1))
        self.stores.changes.record(run_id, stage, written, is_applied=True)
        return refused

    def record_plan(self, run_id: str, stage: Stage, changes: Sequence[Change]) -> None:
        self.stores.changes.record(run_id, stage, changes, is_applied=False)

    def count_changes(self, run_id: str) -> Mapping[Stage, Mapping[Action, int]]:
        return self.stores.changes.count_written(run_id)

    def record_absences(
        self,
        grade_id: str,
        *,
        missing: Collection[str],
        present: Collection[str],
        day: date,
        is_doubtful: bool = False,
    ) -> Mapping[str, int]:
        return self.stores.absences.record(
            grade_id, missing=missing, present=present, day=day, is_doubtful=is_doubtful
        )

    def count_absences(
        self, grade_id: str, *, missing: Collection[str], day: date, is_doubtful: bool = False
    ) -> Mapping[str, int]:
        del grade_id
        return self.stores.absences.count(missing=missing, day=day, is_doubtful=is_doubtful)

    def _read(
        self, record_type: type[R], is_wanted: Callable[[R], bool], *, shelf: str | None = None
    ) -> Mapping[str, R]:
        with self._lock:
            documents = self._load().get(shelf or _KINDS[record_type], {})
        records = [msgspec.convert(document, record_type) for document in documents.values()]
        return {record.id: record for record in records if is_wanted(record)}

    def _load(self) -> dict[str, dict[str, Any]]:
        shelves: dict[str, dict[str, Any]] = json.loads(self.file.read_text()) if self.file.exists() else {}
        return shelves


def open_cms(context: CmsContext) -> Clubhouse:
    """The entry point `clubhouse` of `clubsync.cms`."""
    return Clubhouse(Path(os.environ["CLUBHOUSE_FILE"]), context.stores)


def _put(shelves: dict[str, dict[str, Any]], change: Change) -> None:
    shelf = shelves.setdefault(change.kind.value, {})
    removed = shelves.setdefault("removed", {})
    if change.action is Action.REMOVED:
        if change.record_id in shelf:
            removed[change.record_id] = shelf.pop(change.record_id)
    else:
        shelf[change.record_id] = msgspec.to_builtins(change.after)
        if change.kind is RecordKind.GAME:
            removed.pop(change.record_id, None)


def _missing_parents(shelves: Mapping[str, Mapping[str, Any]], change: Change) -> list[str]:
    match change.after:
        case Grade(season_id=parent) | Team(season_id=parent):
            needed = [("season", parent)]
        case Ladder(grade_id=parent):
            needed = [("grade", parent)]
        case Game(grade_id=parent, home_id=home, away_id=away):
            needed = [("grade", parent), ("team", home), ("team", away)]
        case _:
            needed = []
    return [f"{kind} {record_id}" for kind, record_id in needed if record_id not in shelves.get(kind, {})]
