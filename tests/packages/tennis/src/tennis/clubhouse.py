"""A CMS that is a JSON file: records as documents; CLUBHOUSE_FILE names it.

What it has no place for (accounts, history, fences, absences) it leaves to clubsync's own stores.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

import msgspec

from cms.kept_here import KeptHere
from cms.local import LocalStores
from cms.registry import CmsContext
from sync.changes import Action, Change
from sync.model import (
    Game,
    Grade,
    Ladder,
    Record,
    RecordKind,
    Season,
    Team,
)
from sync.ports import Fence, Quarantined
from sync.report import Stage

R = TypeVar("R", Season, Grade, Team, Game, Ladder)
F = TypeVar("F", Season, Grade, Team)

_KINDS: Mapping[type[Record], str] = {
    Season: "season",
    Grade: "grade",
    Team: "team",
    Game: "game",
    Ladder: "ladder",
}


class Clubhouse(KeptHere):
    """Satisfies `sync.ports.Cms`; one process at a time."""

    def __init__(self, file: Path, stores: LocalStores) -> None:
        super().__init__(stores)
        self._file = file
        self._lock = RLock()

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

    def find_records(self, record_type: type[F], record_ids: Collection[str]) -> Mapping[str, F]:
        return self._read(record_type, lambda record: record.id in record_ids)

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
        self._stores.mirror.check_fence(fence)
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
            self._file.write_text(json.dumps(shelves, indent=1))
        self._stores.changes.record(run_id, stage, written, is_applied=True)
        return refused

    def _read(
        self, record_type: type[R], is_wanted: Callable[[R], bool], *, shelf: str | None = None
    ) -> Mapping[str, R]:
        with self._lock:
            documents = self._load().get(shelf or _KINDS[record_type], {})
        records = [msgspec.convert(document, record_type) for document in documents.values()]
        return {record.id: record for record in records if is_wanted(record)}

    def _load(self) -> dict[str, dict[str, Any]]:
        shelves: dict[str, dict[str, Any]] = json.loads(self._file.read_text()) if self._file.exists() else {}
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
