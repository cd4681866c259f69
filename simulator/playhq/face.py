"""PlayHQ's public tier: its addresses, headers, pages and errors over the world's records."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Collection
from typing import Any

from simulator.answers import error_answer, json_answer
from simulator.playhq import fixtures, flat, ladders, listings
from simulator.server import Answer, Request
from simulator.world.ids import association_index
from simulator.world.model import Season, Team
from simulator.world.world import World

PAGE_SIZE = 100
# A key that used to be good: the face refuses it when any other is accepted.
EXPIRED_KEY = "expired"

_ROUTES: tuple[tuple[str, str], ...] = (
    ("seasons", r"/v1/organisations/([^/]+)/seasons"),
    ("registrations", r"/v1/organisations/([^/]+)/registrations"),
    ("grades", r"/v1/seasons/([^/]+)/grades"),
    ("teams", r"/v1/seasons/([^/]+)/teams"),
    ("fixture", r"/v2/grades/([^/]+)/games"),
    ("ladder", r"/v2/grades/([^/]+)/ladder"),
    ("summary", r"/v2/games/([^/]+)/summary"),
    ("fixture_v1", r"/v1/grades/([^/]+)/games"),
    ("ladder_v1", r"/v1/grades/([^/]+)/ladder"),
    ("summary_v1", r"/v1/games/([^/]+)/summary"),
    ("team_fixture", r"/v1/teams/([^/]+)/fixture"),
    ("statistics", r"/v1/grades/([^/]+)/profiles/statistics"),
)
_PATTERN = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _ROUTES))


def endpoint_of(path: str) -> str | None:
    """The endpoint's short name, for counters; None for an address that the public tier lacks."""
    match = _PATTERN.fullmatch(path)
    return match.lastgroup if match else None


class PlayHQ:
    """`api_keys` empty accepts every key but the expired one."""

    def __init__(self, world: World, api_keys: Collection[str] = ()) -> None:
        self._world = world
        self._api_keys = frozenset(api_keys)
        self._endpoints: dict[str, Callable[[str, str], Any]] = {
            "seasons": self._seasons,
            "registrations": self._registrations,
            "grades": self._grades,
            "teams": self._teams,
            "fixture": self._fixture,
            "ladder": self._ladder,
            "summary": self._summary,
            "fixture_v1": self._fixture_v1,
            "ladder_v1": self._ladder_v1,
            "summary_v1": self._summary_v1,
            "team_fixture": self._team_fixture,
            "statistics": self._statistics,
        }

    def refuse(self, request: Request) -> Answer | None:
        """The refusal of a request with a bad method, key or tenant header."""
        if request.method not in ("GET", "HEAD"):
            return error_answer(405, "Method Not Allowed")
        key = request.headers.get("x-api-key", "")
        is_good = key in self._api_keys if self._api_keys else key not in ("", EXPIRED_KEY)
        if not is_good:
            return error_answer(403, "Forbidden")
        if not request.headers.get("x-phq-tenant"):
            return error_answer(400, "Missing header x-phq-tenant")
        return None

    def answer(self, request: Request) -> Answer:
        """The answer for a request that was not refused."""
        match = _PATTERN.fullmatch(request.path)
        if match is None or match.lastgroup is None:
            return error_answer(404, "Not Found")
        record_id = next(group for group in match.groups()[match.lastindex or 0 :] if group)
        shape = self._endpoints[match.lastgroup](record_id, request.headers["x-phq-tenant"])
        if shape is None:
            return error_answer(404, "Not Found")
        if isinstance(shape, list):
            return _page(shape, request.query.get("cursor"))
        return json_answer(shape)

    def version(self, request: Request) -> int:
        """Changes when the answer to the request may have changed."""
        match = _PATTERN.fullmatch(request.path)
        record_id = request.path.split("/")[3] if match else ""
        index = association_index(record_id) or 0
        # A club's answers span its home and the association next to it.
        return self._world.version(index) + self._world.version(index + 1)

    def _seasons(self, record_id: str, tenant: str) -> list[Any] | None:
        listed = self._organisation_seasons(record_id, tenant)
        if listed is None:
            return None
        return [listings.season(season, self._world.today) for season in listed if season.is_listed]

    def _registrations(self, record_id: str, tenant: str) -> dict[str, Any] | None:
        listed = self._organisation_seasons(record_id, tenant)
        if listed is None:
            return None
        is_open = {"ACTIVE", "UPCOMING"}
        today = self._world.today
        return {"data": [listings.registration(each) for each in listed if each.status(today) in is_open]}

    def _organisation_seasons(self, record_id: str, tenant: str) -> list[Season] | None:
        """Of an association all its seasons, of a club those that list it and name one of its teams."""
        association = self._world.find_association(record_id)
        if association:
            return association.seasons if association.tenant == tenant else []
        club = self._world.find_club(record_id)
        if club is None:
            return None
        return [
            season
            for home in self._world.associations_of(club)
            if home.tenant == tenant
            for season in home.seasons
            if season.is_in_club_listings and any(team.club is club for team in season.teams)
        ]

    def _grades(self, record_id: str, tenant: str) -> list[Any] | None:
        season = self._world.find_season(record_id)
        if season is None:
            return None
        if season.association.tenant != tenant:
            return []
        return [listings.grade(grade) for grade in season.grades if not grade.is_hidden]

    def _teams(self, record_id: str, tenant: str) -> list[Any] | None:
        season = self._world.find_season(record_id)
        if season is None:
            return None
        if season.association.tenant != tenant:
            return []
        return [listings.team(team) for team in season.teams]

    def _fixture(self, record_id: str, tenant: str) -> dict[str, Any] | None:
        grade = self._world.find_grade(record_id)
        if grade is None:
            return None
        is_ours = grade.season.association.tenant == tenant
        return fixtures.fixture(grade, self._world.rounds(grade) if is_ours else [])

    def _ladder(self, record_id: str, tenant: str) -> dict[str, Any] | None:
        grade = self._world.find_grade(record_id)
        if grade is None:
            return None
        is_ours = grade.season.association.tenant == tenant
        return ladders.ladders(grade, self._world.ladders(grade) if is_ours else [])

    def _fixture_v1(self, record_id: str, tenant: str) -> list[Any] | None:
        grade = self._world.find_grade(record_id)
        if grade is None:
            return None
        if grade.season.association.tenant != tenant:
            return []
        return [flat.flat_game(game, has_grade=False) for game in self._world.games(grade)]

    def _ladder_v1(self, record_id: str, tenant: str) -> dict[str, Any] | None:
        grade = self._world.find_grade(record_id)
        if grade is None:
            return None
        is_ours = grade.season.association.tenant == tenant
        return {"data": flat.flat_ladders(grade, self._world.ladders(grade) if is_ours else [])}

    def _team_fixture(self, record_id: str, tenant: str) -> list[Any] | None:
        team = self._world.find_team(record_id)
        if team is None:
            return None
        if team.season.association.tenant != tenant:
            return []
        return [
            flat.flat_game(game, has_grade=True)
            for grade in team.season.grades
            if not grade.is_hidden and _is_entered(team, grade.entrants)
            for game in self._world.games(grade)
            if team in (game.home, game.away)
        ]

    def _summary(self, record_id: str, tenant: str) -> dict[str, Any] | None:
        game = self._world.find_game(record_id)
        if game is None or game.grade.season.association.tenant != tenant:
            return None
        return {"data": fixtures.summary(game)}

    def _summary_v1(self, record_id: str, tenant: str) -> dict[str, Any] | None:
        game = self._world.find_game(record_id)
        if game is None or game.grade.season.association.tenant != tenant:
            return None
        return {"data": flat.flat_game(game, has_grade=True)}

    def _statistics(self, record_id: str, _tenant: str) -> dict[str, Any] | None:
        """People are never invented: the listing is always empty."""
        if self._world.find_grade(record_id) is None:
            return None
        return {"data": {"statistics": []}, "metadata": {"hasMore": False, "nextCursor": None}}


def _is_entered(team: Team, entrants: list[Team]) -> bool:
    return any(team is entrant for entrant in entrants)


def _page(items: list[Any], cursor: str | None) -> Answer:
    """One page of a listing; the cursor is the base64 of where the next one starts."""
    try:
        start = int(b64decode(cursor, validate=True)) if cursor else 0
    except (ValueError, Base64Error):
        return error_answer(400, "Invalid cursor")
    end = start + PAGE_SIZE
    has_more = end < len(items)
    next_cursor = b64encode(str(end).encode()).decode() if has_more else None
    return json_answer(
        {"data": items[start:end], "metadata": {"hasMore": has_more, "nextCursor": next_cursor}}
    )
