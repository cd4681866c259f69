"""Each provider as the contract suite sees it: a healthy little world, and how to open a source on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from providers.playcricket.plugin import open_source as open_playcricket
from providers.playhq.plugin import open_source as open_playhq
from providers.ports import Opens
from settings.schema import Settings
from sync.model import Grade, Organisation, OrganisationKind, Season
from sync.ports import Fixture, Listing, Source
from tests.provider_server import ProviderServer, Reply
from tests.unit.providers.playcricket import builders as playcricket
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
    # Whether a short Retry-After is honoured as such; some providers ask for a minute always.
    waits_out_short_throttling: bool

    def serve(self, server: ProviderServer) -> None:
        """Script a healthy world."""
        ...

    def open(self, server: ProviderServer, outbound: Opens, *, fresh_after: datetime) -> Source: ...


class PlayHQBench:
    waits_out_short_throttling = True
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

    def open(self, server: ProviderServer, outbound: Opens, *, fresh_after: datetime) -> Source:
        settings = Settings.model_validate(
            {"http": HTTP, "providers": {"playhq": {"base_url": server.url, **self._playhq}}}
        )
        return open_playhq(settings, outbound, fresh_after=fresh_after, is_urgent=False)


class PlayHQOldBench(PlayHQBench):
    """A sport other than cricket, of whose grades only version 1 knows."""

    questions: Mapping[str, Question] = {
        **PlayHQBench.questions,
        "fixture": Question(PlayHQBench.questions["fixture"].call, PlayHQBench.old_games_target),
        "ladders": Question(PlayHQBench.questions["ladders"].call, PlayHQBench.old_ladder_target),
    }

    def __init__(self) -> None:
        super().__init__(tenant="afl")

    def serve(self, server: ProviderServer) -> None:
        super().serve(server)
        standings = [{"team": {"id": playhq.HAWKS, "name": "Hawks"}, "played": 6, "ranking": 1}]
        server.script(self.games_target, Reply({"error": "not found"}, 404))
        server.script(self.ladder_target, Reply({"error": "not found"}, 404))
        server.script(self.old_games_target, Reply(page(playhq.flat_game())))
        server.script(
            self.old_ladder_target, Reply({"data": {"ladders": [{"pool": None, "standings": standings}]}})
        )


def page(*items: Any, cursor: str | None = None) -> dict[str, Any]:
    """A PlayHQ page; with a cursor more follow."""
    return {"data": list(items), "metadata": {"hasMore": cursor is not None, "nextCursor": cursor}}


class PlayCricketBench:
    waits_out_short_throttling = False
    year = datetime.now(UTC).year
    association = Organisation(id="900", kind=OrganisationKind.ASSOCIATION, provider="playcricket")
    club = Organisation(id="11", kind=OrganisationKind.CLUB, provider="playcricket")
    season = Season(
        id=f"900-{year}",
        name=str(year),
        status="ACTIVE",
        competition_id="900",
        competition_name=None,
        association_id="900",
    )
    division = Grade(id="81000", name="Division 2", season_id=season.id)
    cup = Grade(id="500", name="Cup", season_id=season.id)

    def __init__(self) -> None:
        self.questions: Mapping[str, Question] = {
            "seasons": Question(
                lambda source: source.fetch_seasons(self.association),
                self.competitions(self.year, "divisions"),
            ),
            "seasons of a club": Question(
                lambda source: source.fetch_seasons(self.club), self.matches(f"site_id=11&season={self.year}")
            ),
            "grades": Question(
                lambda source: source.fetch_grades(self.season), self.competitions(self.year, "divisions")
            ),
            "teams": Question(
                lambda source: source.fetch_teams(self.season), target("competition_teams", "id=81000")
            ),
            "fixture": Question(lambda source: source.fetch_fixture(self.division), self.results(2)),
            "ladders": Question(
                lambda source: source.fetch_ladders(self.division),
                target("league_table", "division_id=81000"),
            ),
        }

    def competitions(self, year: int, kind: str) -> str:
        return target("competitions", f"league_id=900&season={year}&competition_type={kind}")

    def matches(self, query: str, page_number: int = 1) -> str:
        return target("matches", f"{query}&page={page_number}")

    def results(self, page_number: int) -> str:
        query = f"site_id=900&season={self.year}&division_id=81000&page={page_number}"
        return target("result_summary", query)

    def serve(self, server: ProviderServer) -> None:
        nothing = Reply({"competitions": []})
        server.script(
            target("league_sites", ""), Reply({"leagues": [{"league_id": 900, "name": "Weald League"}]})
        )
        for year in (self.year - 1, self.year, self.year + 1):
            for kind in ("divisions", "cups"):
                server.script(self.competitions(year, kind), nothing)
            server.script(self.matches(f"site_id=11&season={year}"), Reply(pages()))
        division, cup = {"id": 81000, "name": "Division 2"}, {"id": 500, "name": "Cup"}
        server.script(self.competitions(self.year, "divisions"), Reply({"competitions": [division]}))
        server.script(self.competitions(self.year, "cups"), Reply({"competitions": [cup]}))
        server.script(self.matches(f"site_id=11&season={self.year}"), Reply(pages(playcricket.match())))
        for competition_id in (81000, 500):
            entered = [playcricket.competition_team(), playcricket.competition_team(team_id=122)]
            server.script(
                target("competition_teams", f"id={competition_id}"), Reply({"competition_teams": entered})
            )
        of_division = f"site_id=900&season={self.year}&division_id=81000"
        of_cup = f"site_id=900&season={self.year}&cup_id=500"
        server.script(self.matches(of_division), Reply(pages(playcricket.match(), has_next_page=True)))
        server.script(self.matches(of_division, 2), Reply(pages(playcricket.match(id=2))))
        server.script(self.results(1), Reply(pages(playcricket.result(), has_next_page="true")))
        server.script(self.results(2), Reply(pages(playcricket.result(id=3), has_next_page="false")))
        server.script(self.matches(of_cup), Reply(pages(playcricket.match(id=4))))
        server.script(target("result_summary", f"{of_cup}&page=1"), Reply(pages()))
        server.script(
            target("league_table", "division_id=81000"), Reply({"league_table": [playcricket.table()]})
        )

    def open(self, server: ProviderServer, outbound: Opens, *, fresh_after: datetime) -> Source:
        settings = Settings.model_validate(
            {
                "http": HTTP,
                "providers": {
                    "playcricket": {"base_url": server.url, "api_token": SECRET, "requests_per_s": 1000}
                },
            }
        )
        return open_playcricket(settings, outbound, fresh_after=fresh_after, is_urgent=False)


def target(endpoint: str, query: str) -> str:
    """An address of Play-Cricket; its token comes last."""
    return f"/{endpoint}.json?{query}{'&' if query else ''}api_token={SECRET}"


def pages(*items: Any, has_next_page: bool | str = False) -> dict[str, Any]:
    """A Play-Cricket page."""
    return {"has_next_page": has_next_page, "data": list(items)}
