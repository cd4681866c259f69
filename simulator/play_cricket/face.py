"""Play-Cricket's API v3 over the world's cricket: leagues, clubs, matches, results, tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from simulator.answers import json_answer
from simulator.play_cricket import numbers, records
from simulator.play_cricket.numbers import TeamNumbers
from simulator.server import Answer, Request
from simulator.world.model import Association, Club, Game, Grade, Season, Team
from simulator.world.world import World

PREFIX = "/play-cricket/api/v3/"
# Not documented; small enough that tests see several pages.
PAGE_SIZE = 50
_EXPIRED_TOKEN = "expired"  # noqa: S105  (the one token that is refused)
_SITE_TEAMS = re.compile(r"sites/(\d+)/(teams|players)")


class _RefusedError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class PlayCricket:
    def __init__(self, world: World) -> None:
        self._world = world
        self._teams = TeamNumbers()
        self._endpoints: dict[str, Callable[[dict[str, str]], Any]] = {
            "CCBs": self._counties,
            "clubs": self._clubs,
            "league_sites": self._league_sites,
            "competitions": self._competitions,
            "competition_teams": self._competition_teams,
            "matches": self._matches,
            "result_summary": self._results,
            "match_detail": self._match_detail,
            "league_table": self._league_table,
        }

    def answer(self, request: Request) -> Answer:
        """400 for a missing or bad parameter, 401 for a bad token, 404 for an unknown match."""
        query = request.query
        if query.get("api_token", "") in ("", _EXPIRED_TOKEN):
            return json_answer({"error": "Invalid api_token"}, 401)
        name = request.path.removeprefix(PREFIX).removesuffix(".json")
        try:
            site = _SITE_TEAMS.fullmatch(name)
            if site:
                return json_answer(self._site(int(site[1]), site[2]))
            endpoint = self._endpoints.get(name)
            if endpoint is None or not request.path.endswith(".json"):
                return json_answer({"error": "Not Found"}, 404)
            return json_answer(endpoint(query))
        except _RefusedError as refused:
            return json_answer({"error": str(refused)}, refused.status)
        except ValueError as error:
            return json_answer({"error": f"Bad parameter: {error}"}, 400)

    def accounts(self) -> list[dict[str, Any]]:
        """Leagues and clubs as accounts to import: their organisation is the site id."""
        leagues = [
            _account("association", numbers.league_id(home), home.name, []) for home in self._leagues()
        ]
        clubs = [
            _account(
                "club",
                numbers.club_id(club),
                club.name,
                [str(numbers.league_id(home)) for home in self._world.associations_of(club)],
            )
            for home in self._leagues()
            for club in home.clubs
            if club.home_association == home.index
        ]
        return leagues + clubs

    def _counties(self, _query: dict[str, str]) -> Any:
        return {"CCBs": [{"id": 1, "name": "Invented County", "county_id": 1, "status": "New"}]}

    def _clubs(self, _query: dict[str, str]) -> Any:
        clubs = {club.id: club for home in self._leagues() for club in home.clubs}
        return {"clubs": [records.club(club, 1) for club in clubs.values()]}

    def _league_sites(self, _query: dict[str, str]) -> Any:
        return {"leagues": [records.league(home) for home in self._leagues()]}

    def _site(self, site_id: int, what: str) -> Any:
        if what == "players":
            return {"players": []}
        club, homes = self._find_site(site_id)
        teams = {
            self._teams.team_id(team): team
            for home in homes
            for season in home.seasons
            for team in season.teams
            if team.club is club
        }
        return {"teams": [records.team(team, self._teams) for team in teams.values()]}

    def _competitions(self, query: dict[str, str]) -> Any:
        home = self._league(int(_needed(query, "league_id")))
        year, kind = _needed(query, "season"), _needed(query, "competition_type")
        if kind not in ("divisions", "cups"):
            raise _RefusedError(400, "competition_type has to be divisions or cups")
        return {
            "competitions": [
                {"id": numbers.division_id(grade), "name": records.division_name(grade)}
                for grade in _grades(home, year)
                if records.is_cup(grade) == (kind == "cups")
            ]
        }

    def _competition_teams(self, query: dict[str, str]) -> Any:
        grade = self._grade(int(_needed(query, "id")))
        entered = [records.competition_team(team, self._teams) for team in _placed(grade)]
        return {"competition_teams": entered}

    def _matches(self, query: dict[str, str]) -> Any:
        games = self._selected(query)
        return _page(games, query, lambda game: records.match(game, self._teams))

    def _results(self, query: dict[str, str]) -> Any:
        games = [game for game in self._selected(query) if records.is_played(game)]
        return _page(games, query, lambda game: records.result(game, self._teams))

    def _match_detail(self, query: dict[str, str]) -> Any:
        number = int(_needed(query, "match_id"))
        index, serial = numbers.match_place(number)
        home = self._world.association(index) if 0 <= index < len(self._world.plans) else None
        for season in home.seasons if home else []:
            for grade in season.grades:
                if grade.serial == serial and not grade.is_hidden:
                    for game in self._all_games(grade):
                        if numbers.match_id(game) == number:
                            return {"match_details": [records.result(game, self._teams)]}
        raise _RefusedError(404, f"there is no match {number}")

    def _league_table(self, query: dict[str, str]) -> Any:
        """A division's table; cups have none."""
        grade = self._grade(int(_needed(query, "division_id")))
        tables = [] if records.is_cup(grade) else self._world.ladders(grade)[:1]
        return {"league_table": [records.league_table(grade, table, self._teams) for table in tables]}

    def _selected(self, query: dict[str, str]) -> list[Game]:
        """The matches of a site and season, narrowed by the other parameters."""
        club, homes = self._find_site(int(_needed(query, "site_id")))
        year = _needed(query, "season")
        _needed(query, "page")
        games = [game for home in homes for grade in _grades(home, year) for game in self._all_games(grade)]
        if club:
            games = [game for game in games if club in (game.home.club, game.away.club)]
        return [game for game in games if self._fits(game, query)]

    def _fits(self, game: Game, query: dict[str, str]) -> bool:
        division = str(numbers.division_id(game.grade))
        is_cup = records.is_cup(game.grade)
        if query.get("division_id") and (is_cup or query["division_id"] != division):
            return False
        if query.get("cup_id") and (not is_cup or query["cup_id"] != division):
            return False
        if query.get("competition_type", "Cup" if is_cup else "League") != ("Cup" if is_cup else "League"):
            return False
        if query.get("team_id"):
            sides = {str(self._teams.team_id(side)) for side in (game.home, game.away)}
            if query["team_id"] not in sides:
                return False
        return _is_in_window(game, query)

    def _all_games(self, grade: Grade) -> Iterator[Game]:
        """Deleted ones too: the API marks them instead of leaving them out."""
        return (game for round_ in self._world.rounds(grade) for game in round_.games)

    def _leagues(self) -> list[Association]:
        return [
            self._world.association(index)
            for index, plan in enumerate(self._world.plans)
            if plan.sport == "cricket"
        ]

    def _league(self, site_id: int) -> Association:
        index = numbers.league_index(site_id)
        if not 0 <= index < len(self._world.plans) or self._world.plans[index].sport != "cricket":
            raise _RefusedError(403, f"the token does not cover league {site_id}")
        return self._world.association(index)

    def _find_site(self, site_id: int) -> tuple[Club | None, list[Association]]:
        """A club and the leagues it plays in, or None and the league of that site."""
        index, place = numbers.club_place(site_id)
        if 0 <= index < len(self._world.plans) and self._world.plans[index].sport == "cricket":
            home = self._world.association(index)
            own = [club for club in home.clubs if club.home_association == index]
            if place < len(own):
                return own[place], self._world.associations_of(own[place])
        return None, [self._league(site_id)]

    def _grade(self, number: int) -> Grade:
        index, serial = numbers.division_place(number)
        if 0 <= index < len(self._world.plans):
            for season in self._world.association(index).seasons:
                for grade in season.grades:
                    if grade.serial == serial and not grade.is_hidden:
                        return grade
        raise _RefusedError(403, f"the token does not cover division {number}")


def _needed(query: dict[str, str], name: str) -> str:
    if not query.get(name):
        raise _RefusedError(400, f"{name} is required")
    return query[name]


def _grades(home: Association, year: str) -> list[Grade]:
    seasons: list[Season] = [season for season in home.seasons if records.season_label(season) == year]
    return [grade for season in seasons for grade in season.grades if not grade.is_hidden]


def _placed(grade: Grade) -> list[Team]:
    return [team for team in grade.season.teams if team.grade is grade]


def _is_in_window(game: Game, query: dict[str, str]) -> bool:
    """Entry dates are half-open midnights: equal dates select nothing."""
    updated = records.updated_on(game)
    if query.get("from_entry_date") and updated < records.parse_day(query["from_entry_date"]):
        return False
    if query.get("end_entry_date") and updated >= records.parse_day(query["end_entry_date"]):
        return False
    day = game.days[0].local.date() if game.days else None
    if query.get("from_match_date") and (day is None or day < records.parse_day(query["from_match_date"])):
        return False
    return not (
        query.get("end_match_date") and (day is None or day > records.parse_day(query["end_match_date"]))
    )


def _page(games: list[Game], query: dict[str, str], shape: Callable[[Game], dict[str, Any]]) -> Any:
    number = int(query["page"])
    if number < 1:
        raise _RefusedError(400, "page starts at 1")
    start, end = (number - 1) * PAGE_SIZE, number * PAGE_SIZE
    return {"has_next_page": end < len(games), "data": [shape(game) for game in games[start:end]]}


def _account(kind: str, site_id: int, name: str, associations: list[str]) -> dict[str, Any]:
    return {
        "type": kind,
        "id": str(site_id),
        "organisation": str(site_id),
        "name": name,
        "provider": "playcricket",
        "associations": associations,
    }
