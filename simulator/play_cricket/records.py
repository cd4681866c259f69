"""Play-Cricket's wire form of each record: text almost everywhere, dates dd/mm/yyyy.

Source: england-and-wales-cricket-board/play-cricket-api-docs, read April 2026.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from simulator.play_cricket import numbers
from simulator.play_cricket.numbers import TeamNumbers
from simulator.world.ladders import Table
from simulator.world.model import Association, Club, Format, Game, Grade, Season, Team

_COLUMNS = {
    "played": "p",
    "won": "w",
    "lost": "l",
    "ties": "t",
    "noResults": "a",
    "competitionPoints": "Pts",
}


def day_text(day: date) -> str:
    return day.strftime("%d/%m/%Y")


def season_label(season: Season) -> str:
    """Play-Cricket's season is a year."""
    return str(season.first_day.year)


def is_cup(grade: Grade) -> bool:
    return grade.game_format is Format.T20


def division_name(grade: Grade) -> str:
    return f"{grade.season.competition_name} {grade.name}"


def league(association: Association) -> dict[str, Any]:
    number = numbers.league_id(association)
    return {
        "league_id": number,
        "name": association.name,
        "subsite_url": f"https://league{number}.play-cricket.com",
    }


def club(record: Club, county_id: int) -> dict[str, Any]:
    return {
        "id": numbers.club_id(record),
        "name": record.name,
        "county_id": county_id,
        "status": "New",
        "last_updated": "01/01/2030",
    }


def team(record: Team, teams: TeamNumbers) -> dict[str, Any]:
    return {
        "id": teams.team_id(record),
        "status": "New",
        "last_updated": day_text(record.created_at.date()),
        "site_id": _club_number(record),
        "team_name": _side_name(record),
        "other_team_name": "",
        "nickname": "",
        "team_captain": "",
    }


def competition_team(record: Team, teams: TeamNumbers) -> dict[str, Any]:
    return {
        "club_id": _club_number(record),
        "club_name": _club_name(record),
        "team_id": teams.team_id(record),
        "team_name": _side_name(record),
    }


def match(record: Game, teams: TeamNumbers) -> dict[str, Any]:
    """A fixture; one that was taken back says so in `status`."""
    grade = record.grade
    association = grade.season.association
    division = str(numbers.division_id(grade))
    day = record.days[0] if record.days else None
    ground = day.ground if day else None
    return {
        "id": numbers.match_id(record),
        "status": "Deleted" if record.is_hidden else "New",
        "published": "Yes",
        "last_updated": day_text(updated_on(record)),
        "league_name": association.name,
        "league_id": str(numbers.league_id(association)),
        "competition_name": division_name(grade),
        "competition_id": division,
        "division_id": "" if is_cup(grade) else division,
        "cup_id": division if is_cup(grade) else "",
        "competition_type": "Cup" if is_cup(grade) else "League",
        "match_type": "Limited Overs",
        "game_type": "Standard",
        "season": season_label(grade.season),
        "match_date": day_text(day.local.date()) if day else "",
        "match_time": day.local.strftime("%H:%M") if day else "",
        "ground_name": ground.venue_name if ground else "",
        "ground_id": str(association.grounds.index(ground) + 1) if ground else "",
        "ground_latitude": str(ground.latitude) if ground else "",
        "ground_longitude": str(ground.longitude) if ground else "",
        **_side(record.home, "home", teams),
        **_side(record.away, "away", teams),
        "umpire_1_name": "",
        "umpire_1_id": "",
    }


def result(record: Game, teams: TeamNumbers) -> dict[str, Any]:
    """A match with its result, innings and points."""
    code, applied_to = _result(record)
    first = record.innings[0].team_id if record.innings else None
    return match(record, teams) | {
        "toss_won_by_team_id": "",
        "toss": "",
        "batted_first": str(teams.team_id(record.side(first))) if first else "",
        "no_of_overs": "20" if record.kind is Format.T20 else "40",
        "balls_per_innings": "",
        "no_of_innings": "2" if record.kind is Format.TWO_DAY else "1",
        "result": code,
        "result_description": _description(record, code, applied_to),
        "result_applied_to": str(teams.team_id(applied_to)) if applied_to else "",
        "home_confirmed": "true",
        "away_confirmed": "",
        "result_locked": "false",
        "scorecard_locked": "false",
        "match_notes": "<p>Entered after the game.</p>" if record.round.number == 1 else "",
        "points": [
            {
                "team_id": teams.team_id(side),
                "game_points": "20" if side is applied_to else "0",
                "penalty_points": "0",
                "bonus_points_together": "0",
                "bonus_points_batting": "0",
                "bonus_points_bowling": "0",
                "bonus_points_2nd_innings_together": "0",
            }
            for side in (record.home, record.away)
        ],
        "innings": [
            {
                "team_batting_id": str(teams.team_id(record.side(innings.team_id))),
                "innings_number": (place + 2) // 2,
                "runs": str(innings.runs),
                "wickets": str(innings.outs),
                "overs": f"{innings.overs:g}",
                "declared": False,
                "total_extras": "0",
                "revised_target_runs": "",
                "revised_target_overs": "",
            }
            for place, innings in enumerate(record.innings)
        ],
    }


def league_table(record: Grade, table: Table, teams: TeamNumbers) -> dict[str, Any]:
    """Dynamic columns: their meaning stands in `headings`."""
    headings = {"column_1": "Team"}
    headings |= {f"column_{place}": label for place, label in enumerate(_COLUMNS.values(), 2)}
    return {
        "id": numbers.division_id(record),
        "name": division_name(record),
        "headings": headings,
        "values": [
            {
                "position": str(position),
                "team_id": str(teams.team_id(row.team)),
                "column_1": f"{_club_name(row.team)} - {_side_name(row.team)}",
                **{f"column_{place}": str(row.values.get(key, 0)) for place, key in enumerate(_COLUMNS, 2)},
            }
            for position, row in enumerate(table.rows, 1)
        ],
        "key": "p - Played, w - Won, l - Lost, t - Tied, a - Abandoned, Pts - Points",
    }


def is_played(record: Game) -> bool:
    return not record.is_hidden and record.status not in ("UPCOMING", "PENDING")


def updated_on(record: Game) -> date:
    return record.updated_at.date()


def parse_day(text: str) -> date:
    """Raises ValueError for anything but dd/mm/yyyy, with or without a time."""
    form = "%d/%m/%YT%H:%M:%S" if "T" in text else "%d/%m/%Y"
    return datetime.strptime(text, form).date()  # noqa: DTZ007  (only the day is used)


def _result(record: Game) -> tuple[str, Team | None]:
    """The code, and the team that it is about."""
    if record.status == "ABANDONED":
        return "A", None
    if record.status == "CANCELLED":
        return "C", None
    for side in (record.home, record.away):
        code = record.outcomes.get(side.id, "")
        if code == "LOST_BY_FORFEIT":
            # The documentation has "Con", recorded answers have "CON" too.
            return ("Con" if record.round.number % 2 else "CON"), side
    for side in (record.home, record.away):
        if record.outcomes.get(side.id, "").startswith("WON"):
            return "W", side
    codes = set(record.outcomes.values())
    if codes == {"TIED"}:
        return "T", None
    return ("D", None) if any(code.startswith("DR") for code in codes) else ("P", None)


def _description(record: Game, code: str, applied_to: Team | None) -> str:
    words = {"W": "Won", "A": "Abandoned", "C": "Cancelled", "T": "Tied", "D": "Drawn", "P": "In progress"}
    verb = words.get(code, "Conceded")
    return f"{_club_name(applied_to)} - {verb}" if applied_to else f"Match {verb} in {record.round.name}"


def _side(side: Team, where: str, teams: TeamNumbers) -> dict[str, str]:
    return {
        f"{where}_club_name": _club_name(side),
        f"{where}_club_id": str(_club_number(side)),
        f"{where}_team_name": _side_name(side),
        f"{where}_team_id": str(teams.team_id(side)),
    }


def _club_name(side: Team) -> str:
    return side.club.name if side.club else side.season.association.name


def _club_number(side: Team) -> int:
    """A side without a club belongs to the league's own site."""
    return numbers.club_id(side.club) if side.club else numbers.league_id(side.season.association)


def _side_name(side: Team) -> str:
    """The name without the club's: "2nd XI"."""
    stem = side.club.name.rsplit(" ", 1)[0] if side.club else ""
    return side.name.removeprefix(f"{stem} ")
