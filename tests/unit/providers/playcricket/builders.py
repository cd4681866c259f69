"""Play-Cricket payloads in the shapes of its documentation; all data invented."""

from __future__ import annotations

from typing import Any


def match(**changes: Any) -> dict[str, Any]:
    return {
        "id": 7000001,
        "status": "New",
        "published": "Yes",
        "last_updated": "11/04/2031",
        "league_name": "Weald League",
        "league_id": "900",
        "competition_name": "Division 2",
        "competition_id": "81000",
        "division_id": "81000",
        "competition_type": "League",
        "match_type": "Limited Overs",
        "game_type": "Standard",
        "season": "2031",
        "match_date": "07/06/2031",
        "match_time": "13:00",
        "ground_name": "Mill Lane",
        "ground_id": "61",
        "ground_latitude": "51.2",
        "ground_longitude": "0.4",
        "home_club_name": "Weald CC",
        "home_club_id": "11",
        "home_team_name": "1st XI",
        "home_team_id": "111",
        "away_club_name": "Down CC",
        "away_club_id": "12",
        "away_team_name": "2nd XI",
        "away_team_id": "122",
        "umpire_1_name": "",
        "umpire_1_id": "",
        **changes,
    }


def result(**changes: Any) -> dict[str, Any]:
    return match(
        **{
            "result": "W",
            "result_description": "Weald CC - Won",
            "result_applied_to": "111",
            "match_notes": "<p>Rain</p>",
            "points": [{"team_id": 111, "game_points": "20"}],
            "innings": [
                innings("111", 1, "180", "7", "40"),
                innings("122", 2, "120", "10", "33.4"),
            ],
            **changes,
        }
    )


def innings(team_id: Any, number: Any, runs: Any, wickets: Any, overs: Any) -> dict[str, Any]:
    return {
        "team_batting_id": team_id,
        "innings_number": number,
        "runs": runs,
        "wickets": wickets,
        "overs": overs,
        "declared": False,
        "total_extras": "5",
        "revised_target_runs": "",
    }


def competition_team(**changes: Any) -> dict[str, Any]:
    return {"club_id": 11, "club_name": "Weald CC", "team_id": 111, "team_name": "1st XI", **changes}


def table(**changes: Any) -> dict[str, Any]:
    return {
        "id": 81000,
        "name": "Division 2",
        "headings": {"column_1": "Team", "column_2": "p", "column_3": "Pts"},
        "values": [
            {
                "position": "1",
                "team_id": "111",
                "column_1": "Weald CC - 1st XI",
                "column_2": "6",
                "column_3": "120",
            },
            {
                "position": "2",
                "team_id": 122,
                "column_1": "Down CC - 2nd XI",
                "column_2": "6",
                "column_3": "98.5",
            },
        ],
        "key": "p - Played, Pts - Points",
        **changes,
    }
