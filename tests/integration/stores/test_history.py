"""What is remembered of changes, acts, notices and batches."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stores.sql.batches import Batch
from stores.sql.documents import change_document
from stores.sql.stores import SqlStores
from sync.changes import Change
from sync.errors import NotFound
from sync.model import RecordKind
from sync.ports import Fence
from sync.report import Mode, Run, RunState, Stage
from tests.integration.stores.conftest import NOW
from tests.records import created, game, grade, removed, season, team, updated

FENCE = Fence("playhq:club-1", 1)
MOVED = updated(game(), game(round="Final"))


@pytest.fixture
def written(stores: SqlStores) -> SqlStores:
    """Two runs of account 42: one that filled the mirror, one that moved a game."""
    for number in (1, 2):
        stores.runs.request(
            Run(
                id=f"run-{number}",
                mode=Mode.CLUB,
                preset="full",
                state=RunState.RUNNING,
                requested_at=NOW,
                account_id=42,
            )
        )
    family = [created(record) for record in (season(), grade(), team("home"), team("away"), game())]
    stores.mirror.apply("run-1", Stage.GAMES, family, fence=FENCE)
    stores.mirror.apply("run-2", Stage.GAMES, [MOVED], fence=FENCE)
    return stores


def test_run_lists_its_changes_in_order(written: SqlStores) -> None:
    first = written.changes.of_run("run-1", limit=3)
    rest = written.changes.of_run("run-1", limit=3, cursor=first.next_cursor)

    kinds = [entry.change.kind.value for entry in (*first.items, *rest.items)]
    assert kinds == ["season", "grade", "team", "team", "game"]
    assert rest.next_cursor is None


def test_change_comes_back_whole(written: SqlStores) -> None:
    (entry,) = written.changes.of_run("run-2", limit=10).items

    assert entry.change == MOVED
    assert (entry.stage, entry.account_id, entry.is_applied) == (Stage.GAMES, 42, True)


def test_change_document_shows_record_field_before_after_and_cause(written: SqlStores) -> None:
    (entry,) = written.changes.of_run("run-2", limit=10).items
    document = change_document(entry)

    assert document["record_id"] == "game-1"
    assert document["action"] == "updated"
    assert document["fields"] == [{"name": "round", "before": "Round 3", "after": "Final"}]
    assert document["before"]["days"][0]["start"] == document["after"]["days"][0]["start"] == "11:00"
    assert document["cause"] == "provider"


def test_account_timeline_is_newest_first(written: SqlStores) -> None:
    newest = written.changes.of_account(42, limit=2)
    older = written.changes.of_account(42, limit=10, cursor=newest.next_cursor)

    assert [entry.run_id for entry in newest.items] == ["run-2", "run-1"]
    assert len(older.items) == 4
    assert not written.changes.of_account(43, limit=10).items


def test_record_has_a_history_of_its_own(written: SqlStores) -> None:
    history = written.changes.of_record(RecordKind.GAME, "game-1", limit=10).items

    assert [entry.change.action.value for entry in history] == ["updated", "created"]


def test_applied_changes_of_a_run_leave_out_its_dry_diff(written: SqlStores) -> None:
    written.changes.record("run-2", Stage.FIXTURE_CLEANUP, [removed(game())], is_applied=False)

    applied: list[Change] = list(written.changes.applied_of_run("run-2"))
    assert applied == [MOVED]
    assert len(written.changes.of_run("run-2", limit=10).items) == 2


def test_audit_is_listed_newest_first_and_by_subject(stores: SqlStores) -> None:
    for number, subject in enumerate(("account:1", "account:2", "account:1")):
        stores.audit.record(
            actor="ann", source="cli", action="sync_club", subject=subject, detail={"number": number}
        )
    page = stores.audit.list(limit=2)
    rest = stores.audit.list(limit=2, cursor=page.next_cursor)

    assert [entry.detail["number"] for entry in (*page.items, *rest.items)] == [2, 1, 0]
    assert [entry.detail["number"] for entry in stores.audit.list(limit=9, subject="account:1").items] == [
        2,
        0,
    ]
    assert page.items[0].at > rest.items[0].at


def test_batches_are_kept_and_listed_newest_first(stores: SqlStores) -> None:
    batches = [
        Batch(
            id=f"batch-{number}",
            requested_at=NOW + timedelta(days=number),
            preset="full",
            spread_s=7200.0,
            account_count=500,
            filter={"tag": "vip"},
        )
        for number in range(3)
    ]
    for batch in batches:
        stores.batches.save(batch)
    page = stores.batches.list(limit=2)

    assert list(page.items) == [batches[2], batches[1]]
    assert list(stores.batches.list(limit=2, cursor=page.next_cursor).items) == [batches[0]]
    assert stores.batches.find("batch-1") == batches[1]
    with pytest.raises(NotFound):
        stores.batches.find("batch-9")
