"""A CMS that is only planned on: reads see the planned records over the stored ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from threading import Lock
from typing import Any, TypeVar

from sync.by_hand.approval import digest_of, join_digests
from sync.changes import Action, Change
from sync.delegating_cms import DelegatingCms
from sync.model import Game, Grade, Ladder, Organisation, Season, Team
from sync.ports import Fence, FindsRecords, Quarantined
from sync.report import Stage

R = TypeVar("R", Season, Grade, Team, Game, Ladder)
F = TypeVar("F", Season, Grade, Team)


@dataclass(slots=True)
class PlannedCms(DelegatingCms):
    """Takes the place of the CMS in a dry run: the whole plan is made, nothing is written.

    What one stage plans the next one reads, as if it were stored. Only the plan itself is
    kept in the CMS, as the run's diff.
    """

    _planned: dict[type, dict[str, Season | Grade | Team | Game | Ladder]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    _removed: set[str] = field(default_factory=set)
    _digests: list[bytes] = field(default_factory=list)
    _counts: dict[Stage, Counter[Action]] = field(default_factory=lambda: defaultdict(Counter))
    _lock: Lock = field(default_factory=Lock)

    def save_organisation(self, organisation: Organisation) -> None:
        """Nothing is remembered in a dry run."""

    def set_flags(
        self, account_id: int, *, is_setup: bool | None = None, is_updating: bool | None = None
    ) -> None:
        """The account shows nothing of a dry run."""

    def read_seasons(self, association_ids: Collection[str]) -> Mapping[str, Season]:
        stored = self.cms.read_seasons(association_ids)
        return self._over(Season, stored, lambda season: season.association_id in association_ids)

    def read_grades(self, season_ids: Collection[str]) -> Mapping[str, Grade]:
        stored = self.cms.read_grades(season_ids)
        return self._over(Grade, stored, lambda grade: grade.season_id in season_ids)

    def read_teams(self, season_ids: Collection[str]) -> Mapping[str, Team]:
        stored = self.cms.read_teams(season_ids)
        return self._over(Team, stored, lambda team: team.season_id in season_ids)

    def read_games(self, grade_ids: Collection[str]) -> Mapping[str, Game]:
        stored = self.cms.read_games(grade_ids)
        return self._over(Game, stored, lambda game: game.grade_id in grade_ids)

    def find_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        stored = self.cms.find_games(game_ids)
        return self._over(Game, stored, lambda game: game.id in game_ids)

    def find_records(self, record_type: type[F], record_ids: Collection[str]) -> Mapping[str, F]:
        stored = self.cms.find_records(record_type, record_ids) if isinstance(self.cms, FindsRecords) else {}
        return self._over(record_type, stored, lambda record: record.id in record_ids)

    def find_game_grades(self, team_ids: Collection[str], *, since: date) -> Collection[str]:
        return self.cms.find_game_grades(team_ids, since=since)

    def read_removed_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return self.cms.read_removed_games(game_ids)

    def read_ladders(self, grade_ids: Collection[str]) -> Mapping[str, Ladder]:
        stored = self.cms.read_ladders(grade_ids)
        return self._over(Ladder, stored, lambda ladder: ladder.grade_id in grade_ids)

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]:
        """Keep the changes as the run's diff and as the records that later stages read."""
        del fence  # nothing is written that a later holder could have written, too
        self.record_plan(run_id, stage, changes)
        return ()

    def record_plan(self, run_id: str, stage: Stage, changes: Sequence[Change]) -> None:
        self.cms.record_plan(run_id, stage, changes)
        self.note(stage, changes)

    def note(self, stage: Stage, changes: Sequence[Change]) -> None:
        """Let later reads see the changes as if they were stored."""
        with self._lock:
            self._counts[stage].update(change.action for change in changes)
            self._digests += map(digest_of, changes)
            for change in changes:
                if change.after is None:
                    self._removed.add(change.record_id)
                else:
                    self._removed.discard(change.record_id)
                    self._planned[type(change.after)][change.record_id] = change.after

    def plan_hash(self) -> str | None:
        """Names everything that was planned; None while that is nothing."""
        with self._lock:
            return join_digests(self._digests) if self._digests else None

    def count_changes(self, run_id: str) -> Mapping[Stage, Mapping[Action, int]]:
        """The planned ones: a dry run is one attempt, made by this object."""
        del run_id
        return self._counts

    def record_absences(
        self,
        grade_id: str,
        *,
        missing: Collection[str],
        present: Collection[str],
        day: date,
        is_doubtful: bool = False,
    ) -> Mapping[str, int]:
        """The counts as they would be today, recording nothing."""
        del present
        return self.cms.count_absences(grade_id, missing=missing, day=day, is_doubtful=is_doubtful)

    def _over(
        self, kind: type[R], stored: Mapping[str, R], is_asked_for: Callable[[R], bool]
    ) -> Mapping[str, R]:
        with self._lock:
            planned = {
                record_id: record
                for record_id, record in self._planned[kind].items()
                if isinstance(record, kind)
            }
            gone = set(self._removed)
        merged = {**stored, **planned}
        return {
            record_id: record
            for record_id, record in merged.items()
            if record_id not in gone and is_asked_for(record)
        }


@dataclass(slots=True)
class PassingCheckpoints:
    """Checkpoints that end with the attempt: a plan is always made from the start."""

    _done: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def is_done(self, run_id: str, unit: str) -> bool:
        del run_id
        return unit in self._done

    def mark_done(self, run_id: str, unit: str, result: Mapping[str, Any]) -> None:
        del run_id
        self._done[unit] = result

    def mark_all_done(self, run_id: str, results: Mapping[str, Mapping[str, Any]]) -> None:
        del run_id
        self._done.update(results)

    def done(self, run_id: str) -> Mapping[str, Mapping[str, Any]]:
        del run_id
        return dict(self._done)

    def forget(self, run_id: str) -> None:
        del run_id
        self._done.clear()
