"""Records to test with: a season with one grade, two teams and one game."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from sync.changes import Action, Change
from sync.model import (
    Game,
    GameDay,
    Grade,
    Innings,
    Ladder,
    LadderRow,
    Points,
    Record,
    RecordKind,
    Season,
    Team,
)
from sync.plan import differing_fields

KINDS = {
    Season: RecordKind.SEASON,
    Grade: RecordKind.GRADE,
    Team: RecordKind.TEAM,
    Game: RecordKind.GAME,
    Ladder: RecordKind.LADDER,
}


def season(season_id: str = "season-1", **fields: Any) -> Season:
    known = {
        "name": "Summer 2031/32",
        "status": "ACTIVE",
        "competition_id": "competition-1",
        "competition_name": "Senior Competition",
        "association_id": "association-1",
        "association_name": "Harbour Cricket",
        "first_day": date(2031, 10, 4),
    }
    return Season(id=season_id, **{**known, **fields})


def grade(grade_id: str = "grade-1", **fields: Any) -> Grade:
    return Grade(id=grade_id, **{"name": "A Grade", "season_id": "season-1", "url": "/a-grade", **fields})


def team(team_id: str = "home", **fields: Any) -> Team:
    known = {
        "name": "Hawks 1st XI",
        "season_id": "season-1",
        "club_id": "club-1",
        "club_name": "Hawks",
        "grade_id": "grade-1",
    }
    return Team(id=team_id, **{**known, **fields})


def game(game_id: str = "game-1", **fields: Any) -> Game:
    """A two-day game with everything a game can carry."""
    known = {
        "grade_id": "grade-1",
        "round": "Round 3",
        "status": "FINAL",
        "type": "twoDay",
        "home_id": "home",
        "away_id": "away",
        "days": (
            GameDay(
                day=date(2031, 10, 18),
                start=time(11, 0),
                utc=datetime(2031, 10, 18, 0, 0, tzinfo=UTC),
                zone="Australia/Sydney",
                ground="Oval 1",
                venue="Harbour Park",
            ),
            GameDay(day=date(2031, 10, 25)),
        ),
        "outcomes": {"home": "WON", "away": "LOST"},
        "innings": (Innings(team_id="home", number=1, runs=187, outs=9, overs=41.2),),
        "points": {"away": Points(goals=3, behinds=2, total=20)},
        "url": "https://example.test/game-1",
    }
    return Game(id=game_id, **{**known, **fields})


def ladder(grade_id: str = "grade-1", **fields: Any) -> Ladder:
    rows = (
        LadderRow(position=1, team_id="home", values={"W": 3, "NRR": 1.25, "FORM": "WWL", "BYE": None}),
        LadderRow(position=2, team_id="away", values={"W": 1, "NRR": -0.5, "FORM": "LLW", "BYE": None}),
    )
    return Ladder(grade_id=grade_id, **{"type": "twoDay", "rows": rows, **fields})


def created(record: Record) -> Change:
    return Change(
        kind=KINDS[type(record)], record_id=record.id, action=Action.CREATED, before=None, after=record
    )


def updated(before: Record, after: Record) -> Change:
    return Change(
        kind=KINDS[type(after)],
        record_id=after.id,
        action=Action.UPDATED,
        before=before,
        after=after,
        fields=differing_fields(before, after),
    )


def removed(record: Record, cause: str = "missing for 3 days") -> Change:
    return Change(
        kind=KINDS[type(record)],
        record_id=record.id,
        action=Action.REMOVED,
        before=record,
        after=None,
        cause=cause,
    )


def restored(record: Record) -> Change:
    return Change(
        kind=KINDS[type(record)], record_id=record.id, action=Action.RESTORED, before=record, after=record
    )
