"""What undo and approval share: changes that a person chose, written stage by stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sync.changes import Action, Change, counts_of
from sync.delivery.undelivered import NOTHING, undelivered_of, with_undelivered
from sync.model import Game, Record, RecordKind, parent_id_of
from sync.ports import Cms, Lease
from sync.report import Outcome, RunState, Stage, StageReport

Key = tuple[RecordKind, str]

# Changes in one transaction; a lease is renewed before each.
_AT_ONCE = 500


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
            # A game may have moved to another grade.
            ids[change.kind].add(record.id if isinstance(record, Game) else parent_id_of(record))
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
    cms: Cms, run_id: str, changes: Mapping[Stage, Sequence[Change]], lease: Lease
) -> Mapping[Stage, StageReport]:
    """Apply each stage's changes in the order of the stages; answers their reports.

    They count what the run wrote before it was interrupted, too.
    """
    refused_counts: dict[Stage, int] = defaultdict(int)
    for stage in Stage:
        for portion in _portions(changes.get(stage, ())):
            lease.renew()
            refused_counts[stage] += len(cms.apply(run_id, stage, portion, fence=lease.fence))
    counts, left = cms.count_changes(run_id), undelivered_of(cms, run_id)
    return {
        stage: with_undelivered(
            _report(len(changes.get(stage, ())), counts.get(stage, {}), refused_counts[stage]),
            left.get(stage, NOTHING),
        )
        for stage in Stage
        if changes.get(stage) or counts.get(stage)
    }


def _report(chosen_count: int, written: Mapping[Action, int], refused_count: int) -> StageReport:
    return StageReport(
        outcome=Outcome.PARTIAL if refused_count else Outcome.SUCCEEDED,
        read=max(chosen_count, sum(written.values())),
        quarantined=refused_count,
        **counts_of(written),
    )


def _portions(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Few enough for one transaction, and no record twice: its second change builds on its first."""
    portion: dict[Key, Change] = {}
    for change in changes:
        key = (change.kind, change.record_id)
        if key in portion or len(portion) == _AT_ONCE:
            yield list(portion.values())
            portion = {}
        portion[key] = change
    if portion:
        yield list(portion.values())


def judge(reports: Mapping[Stage, StageReport], kept: Sequence[Kept]) -> RunState:
    """Partial when anything of what was chosen is not as it was meant to become."""
    is_partial = kept or any(
        report.quarantined or report.waiting or report.refused for report in reports.values()
    )
    return RunState.PARTIAL if is_partial else RunState.SUCCEEDED
