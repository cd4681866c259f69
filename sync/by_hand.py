"""What undo and approval share: changes that a person chose, written stage by stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sync.changes import Action, Change
from sync.model import Game, Grade, Ladder, Record, RecordKind, Season, Team
from sync.ports import Cms, Fence
from sync.report import Outcome, RunState, Stage, StageReport

Key = tuple[RecordKind, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """A record that is left as it is, and why."""

    kind: RecordKind
    record_id: str
    reason: str


def read_as_stored(cms: Cms, changes: Iterable[Change]) -> tuple[Mapping[Key, Record], Mapping[str, Game]]:
    """The records that the changes are about as they are now, and the soft-deleted games among them."""
    ids: dict[RecordKind, set[str]] = defaultdict(set)
    for change in changes:
        record = change.after or change.before
        if record is not None:
            ids[change.kind].add(_place(record))
    stored: dict[Key, Record] = {}
    for kind, read in (
        (RecordKind.SEASON, cms.read_seasons),
        (RecordKind.GRADE, cms.read_grades),
        (RecordKind.TEAM, cms.read_teams),
        (RecordKind.GAME, cms.find_games),
        (RecordKind.LADDER, cms.read_ladders),
    ):
        found: Mapping[str, Record] = read(ids[kind])
        stored.update({(kind, record_id): record for record_id, record in found.items()})
    return stored, cms.read_removed_games(ids[RecordKind.GAME])


def write_stages(
    cms: Cms, run_id: str, changes: Mapping[Stage, Sequence[Change]], *, fence: Fence
) -> Mapping[Stage, StageReport]:
    """Apply each stage's changes in the order of the stages; answers their reports."""
    reports = {}
    for stage in Stage:
        if wanted := changes.get(stage):
            refused = cms.apply(run_id, stage, wanted, fence=fence)
            written = cms.count_changes(run_id).get(stage, {})
            reports[stage] = StageReport(
                outcome=Outcome.PARTIAL if refused else Outcome.SUCCEEDED,
                read=len(wanted),
                created=written.get(Action.CREATED, 0),
                updated=written.get(Action.UPDATED, 0) + written.get(Action.RESTORED, 0),
                removed=written.get(Action.REMOVED, 0),
                quarantined=len(refused),
            )
    return reports


def judge(reports: Mapping[Stage, StageReport], kept: Sequence[Kept]) -> RunState:
    """Partial when anything of what was chosen is not as it was meant to become."""
    is_partial = kept or any(report.quarantined for report in reports.values())
    return RunState.PARTIAL if is_partial else RunState.SUCCEEDED


def _place(record: Record) -> str:
    """What the CMS finds the record by: a game by its id, others by what holds them."""
    match record:
        case Game():
            return record.id
        case Season():
            return record.association_id
        case Grade() | Team():
            return record.season_id
        case Ladder():
            return record.grade_id
