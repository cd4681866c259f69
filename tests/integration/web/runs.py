"""Runs that wrote something, or that hold something back, for the tests of their routes and pages."""

from __future__ import annotations

from datetime import UTC, date, datetime

from stores.sql.stores import SqlStores
from sync.by_hand.approval import hash_of
from sync.changes import Change
from sync.plan import plan_removals
from sync.ports import Fence
from sync.report import (
    Guard,
    Hold,
    Mode,
    Outcome,
    RequestCounts,
    Run,
    RunState,
    Stage,
    StageReport,
)
from tests.integration.web.conftest import CLUB_ID
from tests.records import created, game, grade, season, team, updated

AT = datetime(2031, 10, 18, 1, 0, tzinfo=UTC)
FENCE = Fence(f"playhq:{CLUB_ID}", 1)
HELD = plan_removals([game("game-1"), game("game-2")], cause="missing from the fixture on 3 days").changes
MOVED = updated(game("game-3"), game("game-3", round="Final"))


def a_run(run_id: str, **changes: object) -> Run:
    values: dict[str, object] = {
        "id": run_id,
        "mode": Mode.CLUB,
        "preset": "full",
        "state": RunState.SUCCEEDED,
        "requested_at": AT,
        "started_at": AT,
        "finished_at": AT.replace(minute=1),
        "account_id": 1,
        "organisation_id": CLUB_ID,
        "provider": "playhq",
    }
    return Run(**{**values, **changes})  # type: ignore[arg-type]


def store_family(stores: SqlStores) -> None:
    """Three games and what they refer to, written by run `first`."""
    stores.runs.save(a_run("first"))
    records = (
        season(),
        grade(),
        team("home"),
        team("away"),
        game("game-1"),
        game("game-2"),
        game("game-3"),
    )
    assert stores.mirror.apply("first", Stage.GAMES, [created(one) for one in records], fence=FENCE) == []


def hold_removals(stores: SqlStores) -> Run:
    """Run `held`: it moved a game, and its guard holds the removal of two others back."""
    store_family(stores)
    removals = Hold(
        guard=Guard.REMOVALS,
        stage=Stage.FIXTURE_CLEANUP,
        where="removals",
        reason="2 removals are held back: more than 10% of 3 games",
        change_count=2,
    )
    run = a_run(
        "held",
        state=RunState.PARTIAL,
        stages={
            Stage.GAMES: StageReport(outcome=Outcome.SUCCEEDED, read=3, updated=1, unchanged=2, duration_s=4),
            Stage.FIXTURE_CLEANUP: StageReport(
                outcome=Outcome.PARTIAL, read=2, held=2, plan_hash=hash_of(HELD), message="held back"
            ),
        },
        requests=RequestCounts(sent=12, cache_hits=3),
        holds=(removals,),
        plan_hash=hash_of(HELD),
        message="fixture-cleanup: removals: 2 removals are held back: more than 10% of 3 games",
    )
    stores.runs.save(run)
    stores.mirror.apply("held", Stage.GAMES, [MOVED], fence=FENCE)
    for day in range(3):
        stores.absences.record(
            "grade-1", missing=["game-1", "game-2"], present=[], day=date(2031, 10, 16 + day)
        )
    stores.changes.record("held", Stage.FIXTURE_CLEANUP, HELD, is_applied=False)
    return run


def plan_dry(stores: SqlStores, *changes: Change) -> Run:
    """Run `dry`: it would write these changes."""
    run = a_run("dry", dry_run=True, plan_hash=hash_of(changes))
    stores.runs.save(run)
    stores.changes.record("dry", Stage.GAMES, changes, is_applied=False)
    return run
