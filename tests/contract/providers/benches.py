"""Each provider as the contract suite sees it: a healthy little world, and how to open a source on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from providers.fetcher import Outbound
from providers.playhq.plugin import open_source as open_playhq
from settings.schema import Settings
from sync.model import Grade, Organisation, OrganisationKind, Season
from sync.ports import Fixture, Listing, Source
from tests.provider_server import ProviderServer, Reply
from tests.unit.providers.playhq import builders as playhq

# Quick retries; a test that waits for a pause sets its own patience.
HTTP = {"retry_base_s": 0.001, "retry_cap_s": 0.002, "max_throttle_wait_s": 2.0}
SECRET = "s3cret-of-ours"

Call = Callable[[Source], Listing[Any] | Fixture]


@dataclass(frozen=True)
class Question:
    """One question to a source and the address that answers it first."""

    call: Call
    target: str


class Bench(Protocol):
    """A provider to be tested."""

    association: Organisation
    questions: Mapping[str, Question]

    def serve(self, server: ProviderServer) -> None:
        """Script a healthy world."""
        ...

    def open(self, server: ProviderServer, outbound: Outbound, *, fresh_after: datetime) -> Source: ...


class PlayHQBench:
    association = Organisation(id=playhq.ASSOCIATION_ID, kind=OrganisationKind.ASSOCIATION, provider="playhq")
    season = Season(
        id=playhq.SEASON_ID,
        name="Summer 2031/32",
        status="ACTIVE",
        competition_id=None,
        competition_name=None,
        association_id=playhq.ASSOCIATION_ID,
    )
    grade = Grade(id=playhq.GRADE_ID, name="A Grade", season_id=playhq.SEASON_ID)

    seasons_target = f"/v1/organisations/{playhq.ASSOCIATION_ID}/seasons"
    registrations_target = f"/v1/organisations/{playhq.ASSOCIATION_ID}/registrations"
    grades_target = f"/v1/seasons/{playhq.SEASON_ID}/grades"
    teams_target = f"/v1/seasons/{playhq.SEASON_ID}/teams"
    games_target = f"/v2/grades/{playhq.GRADE_ID}/games"
    ladder_target = f"/v2/grades/{playhq.GRADE_ID}/ladder"
    old_games_target = f"/v1/grades/{playhq.GRADE_ID}/games"
    old_ladder_target = f"/v1/grades/{playhq.GRADE_ID}/ladder"

    questions: Mapping[str, Question] = {
        "seasons": Question(lambda source: source.fetch_seasons(PlayHQBench.association), seasons_target),
        "grades": Question(lambda source: source.fetch_grades(PlayHQBench.season), grades_target),
        "teams": Question(lambda source: source.fetch_teams(PlayHQBench.season), teams_target),
        "fixture": Question(lambda source: source.fetch_fixture(PlayHQBench.grade), games_target),
        "ladders": Question(lambda source: source.fetch_ladders(PlayHQBench.grade), ladder_target),
    }

    def __init__(self, tenant: str = "ca", **settings: Any) -> None:
        self._playhq = {"tenant": tenant, "api_key": SECRET, "requests_per_s": 1000, **settings}

    def serve(self, server: ProviderServer) -> None:
        names = [{"id": playhq.HAWKS, "name": "Hawks"}, {"id": playhq.GULLS, "name": "Gulls"}]
        innings = playhq.period(playhq.HAWKS, playhq.GULLS, TOTAL_SCORE=187, TOTAL_OUTS=10)
        fixture = playhq.fixture(playhq.round_(playhq.game(periods=[innings])), teams=names)
        server.script(self.seasons_target, Reply(page(playhq.season())))
        server.script(self.registrations_target, Reply({"data": []}))
        server.script(self.grades_target, Reply(page(playhq.grade())))
        server.script(self.teams_target, Reply(page(playhq.team(), cursor="MTAw")))
        server.script(
            f"{self.teams_target}?cursor=MTAw",
            Reply(page(playhq.team(id=playhq.GULLS, name="Gulls", club=None))),
        )
        server.script(self.games_target, Reply(fixture))
        server.script(self.ladder_target, Reply({"ladders": [playhq.ladder()]}))

    def open(self, server: ProviderServer, outbound: Outbound, *, fresh_after: datetime) -> Source:
        settings = Settings.model_validate(
            {"http": HTTP, "providers": {"playhq": {"base_url": server.url, **self._playhq}}}
        )
        return open_playhq(settings, outbound, fresh_after=fresh_after, is_urgent=False)


def page(*items: Any, cursor: str | None = None) -> dict[str, Any]:
    """A PlayHQ page; with a cursor more follow."""
    return {"data": list(items), "metadata": {"hasMore": cursor is not None, "nextCursor": cursor}}
