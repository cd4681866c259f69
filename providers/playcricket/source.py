"""Play-Cricket as a source of a run: leagues are associations, divisions and cups are grades."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from providers.payload import optional_identifier, text
from providers.playcricket.client import PlayCricketClient
from providers.playcricket.identities import Competition, LeagueYear, league_year
from providers.playcricket.parse import parse_competitions, parse_fixture, parse_tables, parse_teams
from sync.errors import CredentialsRejected, NotFound, ProviderUnavailable, UnexpectedResponse
from sync.model import Grade, Ladder, Organisation, OrganisationKind, Season, Team
from sync.ports import Fixture, Listing
from sync.report import RequestCounts

T = TypeVar("T")

DIVISIONS, CUPS = "divisions", "cups"


class PlayCricketSource:
    """Satisfies `sync.ports.Source`. Friendlies belong to no league and are left out."""

    def __init__(self, client: PlayCricketClient, *, today: date) -> None:
        self._client = client
        self._today = today

    @property
    def requests(self) -> RequestCounts:
        return self._client.requests

    def fetch_seasons(self, organisation: Organisation) -> Listing[Season]:
        """Last year's, this year's and next year's seasons, as far as there is anything in them."""
        if organisation.kind is OrganisationKind.CLUB:
            leagues = self._in_each_year(lambda year: self._leagues_of_club(organisation.id, year))
            return Listing([self._season(league, name) for league, name in leagues])
        own = self._in_each_year(lambda year: self._years_of_league(organisation.id, year))
        name = self._league_name(organisation.id)
        return Listing([self._season(league, name) for league in own])

    def fetch_grades(self, season: Season) -> Listing[Grade]:
        league = league_year(season.id)
        items = [item for kind in (DIVISIONS, CUPS) for item in self._competitions(league, kind)]
        return parse_competitions(items, season.id)

    def fetch_teams(self, season: Season) -> Listing[Team]:
        """The teams of every division and cup, those in several divisions once for each; a request each."""
        league = league_year(season.id)
        competitions = [
            Competition(competition_id, is_cup=kind == CUPS)
            for kind in (DIVISIONS, CUPS)
            for competition_id in self._competition_ids(league, kind)
        ]
        listings = [
            parse_teams(self._client.fetch_competition_teams(competition.id), competition, season.id)
            for competition in competitions
        ]
        return Listing(
            [team for listing in listings for team in listing.records],
            [entry for listing in listings for entry in listing.quarantined],
        )

    def fetch_fixture(self, grade: Grade) -> Fixture:
        league = league_year(grade.season_id)
        competition = self._competition(grade, league)
        narrowing = ("cup_id" if competition.is_cup else "division_id", grade.id)
        return parse_fixture(
            self._client.fetch_matches(league.league_id, league.year, narrowing),
            self._client.fetch_results(league.league_id, league.year, narrowing),
            competition,
        )

    def fetch_ladders(self, grade: Grade) -> Listing[Ladder]:
        """The table of a division; cups have none."""
        if self._competition(grade, league_year(grade.season_id)).is_cup:
            return Listing(())
        return parse_tables(self._client.fetch_table(grade.id), grade.id)

    def _competition(self, grade: Grade, league: LeagueYear) -> Competition:
        # The list of cups was fetched with the grades, so this costs no request.
        return Competition(grade.id, is_cup=grade.id in self._competition_ids(league, CUPS))

    def _competition_ids(self, league: LeagueYear, kind: str) -> list[str]:
        grades = parse_competitions(self._competitions(league, kind), league.season_id)
        return [grade.id for grade in grades.records]

    def _competitions(self, league: LeagueYear, kind: str) -> list[Any]:
        try:
            return self._client.fetch_competitions(league.league_id, league.year, kind)
        except NotFound:
            if kind == CUPS:
                # Many leagues play none.
                return []
            raise

    def _in_each_year(self, ask: Callable[[str], Sequence[T]]) -> list[T]:
        """What is found in this year, and in the last and the next as far as they are known."""
        found: list[T] = []
        for step in (-1, 0, 1):
            try:
                found += ask(str(self._today.year + step))
            except NotFound:
                if step == 0:
                    raise
        return found

    def _years_of_league(self, league_id: str, year: str) -> Sequence[LeagueYear]:
        """The year, if the league has any competition in it."""
        league = LeagueYear(league_id, year)
        return [league] if any(self._competitions(league, kind) for kind in (DIVISIONS, CUPS)) else []

    def _leagues_of_club(self, club_id: str, year: str) -> list[tuple[LeagueYear, str | None]]:
        """The leagues that a club's matches of a year belong to."""
        leagues: dict[LeagueYear, str | None] = {}
        for match in self._client.fetch_matches(club_id, year):
            if isinstance(match, dict) and (league_id := optional_identifier(match, "league_id")):
                leagues.setdefault(LeagueYear(league_id, year), text(match, "league_name"))
        return list(leagues.items())

    def _league_name(self, league_id: str) -> str | None:
        """A club's token may not list leagues; the name is a nicety."""
        try:
            leagues = self._client.fetch_leagues()
        except (NotFound, CredentialsRejected, UnexpectedResponse, ProviderUnavailable):
            return None
        named = (league for league in leagues if isinstance(league, dict))
        return next(
            (
                text(league, "name")
                for league in named
                if optional_identifier(league, "league_id") == league_id
            ),
            None,
        )

    def _season(self, league: LeagueYear, league_name: str | None) -> Season:
        year = int(league.year)
        status = "ACTIVE" if year == self._today.year else "COMPLETED"
        return Season(
            id=league.season_id,
            name=league.year,
            status="UPCOMING" if year > self._today.year else status,
            competition_id=league.league_id,
            competition_name=league_name,
            association_id=league.league_id,
            association_name=league_name,
            updated_at=datetime(year, 12, 31, tzinfo=UTC) if year < self._today.year else None,
        )
