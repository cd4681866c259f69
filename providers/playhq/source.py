"""PlayHQ as a source of a run: which endpoints answer which question, for which sport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace

from providers.playhq.client import PlayHQClient
from providers.playhq.fixtures import add_scores, lacks_scores, parse_fixture, parse_flat_fixture
from providers.playhq.ladders import parse_ladders, parse_old_ladders, parse_standing_names
from providers.playhq.parse import parse_grades, parse_registered_seasons, parse_seasons, parse_teams
from sync.errors import CredentialsRejected, NotFound, ProviderUnavailable, RateLimited, UnexpectedResponse
from sync.model import Grade, Ladder, Organisation, OrganisationKind, Season, Team
from sync.ports import Fixture, Listing
from sync.report import RequestCounts

# Version 1 adds the innings of a cricket game together and shows no error.
CRICKET_TENANTS = frozenset({"ca", "nzc"})


# In place of a digest.
_NO_LADDERS = "none"


class PlayHQSource:
    """Satisfies `sync.ports.Source`.

    Cricket tenants use version 2 only. Elsewhere version 1 stands in where version 2
    answers 404 or has no games, and fills scores in where version 2 has none.
    """

    def __init__(
        self, client: PlayHQClient, *, tenant: str, default_zone: str, extra_season_ids: Sequence[str]
    ) -> None:
        self._client = client
        self._is_cricket = tenant.lower() in CRICKET_TENANTS
        self._default_zone = default_zone
        self._extra_season_ids = extra_season_ids

    @property
    def requests(self) -> RequestCounts:
        return self._client.requests

    @property
    def at_once(self) -> int:
        return self._client.at_once

    def fetch_seasons(self, organisation: Organisation) -> Listing[Season]:
        """Listed seasons; of an association also those that only registrations or settings name.

        The newest season can be missing from the listing although its grades answer
        already. So an unlisted season counts as soon as its grades do.
        """
        if organisation.kind is OrganisationKind.CLUB:
            return self._fetch_listed_seasons(organisation)
        with ThreadPoolExecutor(1) as beside:
            hinted = beside.submit(copy_context().run, self._hinted_seasons, organisation)
            listing = self._fetch_listed_seasons(organisation)
        listed = {season.id for season in listing.records}
        unlisted = [season for season in hinted.result() if season.id not in listed and self._answers(season)]
        # The other answers do not name the association; its listed seasons do.
        name = next((season.association_name for season in listing.records if season.association_name), None)
        named = [replace(season, association_name=season.association_name or name) for season in unlisted]
        return replace(listing, records=[*listing.records, *named])

    def fetch_grades(self, season: Season) -> Listing[Grade]:
        return parse_grades(self._client.fetch_grades(season.id), season.id)

    def fetch_teams(self, season: Season) -> Listing[Team]:
        return parse_teams(self._client.fetch_teams(season.id), season.id)

    def fetch_digest(self, grade: Grade) -> str | None:
        """Of the two answers and the one setting that a cricket grade's records are made from.

        Of other sports None: which answers count depends on what the first one holds.
        """
        if not self._is_cricket:
            return None
        with ThreadPoolExecutor(1) as beside:
            ladders = beside.submit(copy_context().run, self._fetch_ladders_digest, grade)
            games = self._client.fetch_games_digest(grade.id)
        return self._digest_of(games, ladders.result())

    def recall_digests(self, grades: Sequence[Grade]) -> Mapping[str, str]:
        """As `fetch_digest`, of the grades whose two answers are at hand."""
        if not self._is_cricket:
            return {}
        digests = self._client.recall_digests([grade.id for grade in grades])
        return {
            grade.id: self._digest_of(games, ladders or _NO_LADDERS)
            for grade, (games, ladders) in zip(grades, digests, strict=True)
            if games and ladders is not None
        }

    def fetch_fixture(self, grade: Grade) -> Fixture:
        fixture = self._fetch_cricket_fixture(grade) if self._is_cricket else self._fetch_any_fixture(grade)
        return self._with_names(fixture, grade)

    def fetch_ladders(self, grade: Grade) -> Listing[Ladder]:
        try:
            return parse_ladders(self._client.fetch_ladders(grade.id), grade.id)
        except NotFound:
            if self._is_cricket:
                raise
            return parse_old_ladders(self._client.fetch_old_ladders(grade.id), grade.id)

    def _fetch_ladders_digest(self, grade: Grade) -> str:
        try:
            return self._client.fetch_ladders_digest(grade.id)
        except NotFound:
            return _NO_LADDERS

    def _digest_of(self, games: str, ladders: str) -> str:
        return f"{games}:{ladders}:{self._default_zone}"

    def _fetch_listed_seasons(self, organisation: Organisation) -> Listing[Season]:
        return parse_seasons(self._client.fetch_seasons(organisation.id), organisation)

    def _hinted_seasons(self, association: Organisation) -> list[Season]:
        """Seasons that registrations name (a hint, which may fail) and those of the settings."""
        try:
            registered = parse_registered_seasons(
                self._client.fetch_registrations(association.id), association
            )
        except (NotFound, UnexpectedResponse, CredentialsRejected, ProviderUnavailable, RateLimited):
            # A pause that a 429 asked for holds for what is insisted on all the same.
            registered = []
        known = {season.id for season in registered}
        extra = [
            Season(
                id=season_id,
                name="",
                status="",
                competition_id=None,
                competition_name=None,
                association_id=association.id,
            )
            for season_id in self._extra_ids(association)
            if season_id not in known
        ]
        return registered + extra

    def _extra_ids(self, association: Organisation) -> list[str]:
        """From "SEASON", meant for every association, or "ASSOCIATION/SEASON"."""
        entries = (entry.lower().rpartition("/") for entry in self._extra_season_ids)
        return [season_id for owner, _, season_id in entries if owner in ("", association.id)]

    def _answers(self, season: Season) -> bool:
        try:
            self._client.fetch_grades(season.id)
        except (NotFound, UnexpectedResponse):
            return False
        return True

    def _fetch_cricket_fixture(self, grade: Grade) -> Fixture:
        return parse_fixture(self._client.fetch_games(grade.id), grade.id, default_zone=self._default_zone)

    def _fetch_any_fixture(self, grade: Grade) -> Fixture:
        try:
            fixture = self._fetch_cricket_fixture(grade)
        except NotFound:
            return self._fetch_flat_fixture(grade)
        if fixture.quarantined or (fixture.games and not lacks_scores(fixture)):
            return fixture
        try:
            flat = self._fetch_flat_fixture(grade)
        except NotFound:
            return fixture
        return add_scores(fixture, flat) if fixture.games else flat

    def _fetch_flat_fixture(self, grade: Grade) -> Fixture:
        items = self._client.fetch_flat_games(grade.id)
        return parse_flat_fixture(items, grade.id, default_zone=self._default_zone)

    def _with_names(self, fixture: Fixture, grade: Grade) -> Fixture:
        """Names that the fixture lacks, from the ladders; the run reads those anyway."""
        playing = {team_id for game in fixture.games for team_id in (game.home_id, game.away_id)}
        if playing <= fixture.team_names.keys():
            return fixture
        try:
            standings = self._client.fetch_ladders(grade.id)
        except (NotFound, UnexpectedResponse):
            return fixture
        return replace(fixture, team_names={**parse_standing_names(standings), **fixture.team_names})
