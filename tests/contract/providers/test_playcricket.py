"""What is Play-Cricket's own: numbered pages, years, divisions and cups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from providers.outbound import Outbound
from sync.errors import NotFound, UnexpectedResponse
from sync.ports import Source
from tests.contract.providers.benches import PlayCricketBench, pages, target
from tests.provider_server import ProviderServer, Reply
from tests.unit.providers.playcricket import builders as playcricket

BENCH = PlayCricketBench()
OF_DIVISION = f"site_id=900&season={BENCH.year}&division_id=81000"
UNKNOWN = Reply({"error": "not found"}, 404)


@pytest.fixture
def source(server: ProviderServer, outbound: Outbound) -> Source:
    BENCH.serve(server)
    return BENCH.open(server, outbound, fresh_after=datetime.now(UTC) + timedelta(days=1))


def test_page_that_comes_again_fails_the_set(server: ProviderServer, source: Source) -> None:
    """As of a server that does not know what a page is: two requests tell, not two hundred."""
    same = Reply(pages(playcricket.match(), has_next_page=True))
    for number in range(1, 200):
        server.script(BENCH.matches(OF_DIVISION, number), same)
    with pytest.raises(UnexpectedResponse, match="page 2 repeats the page before"):
        source.fetch_fixture(BENCH.division)
    assert len([asked for asked in server.targets if asked.startswith("/matches")]) == 2


@pytest.mark.parametrize("more", ["maybe", "", 2, None])
def test_page_that_does_not_tell_whether_it_is_the_last_is_refused(
    server: ProviderServer, source: Source, more: object
) -> None:
    body = {"has_next_page": more, "data": [playcricket.match()]}
    server.script(BENCH.matches(OF_DIVISION), Reply(body))
    with pytest.raises(UnexpectedResponse, match="breaks its contract"):
        source.fetch_fixture(BENCH.division)


def test_league_without_cups_has_its_divisions(server: ProviderServer, source: Source) -> None:
    server.script(BENCH.competitions(BENCH.year, "cups"), UNKNOWN)
    assert [grade.id for grade in source.fetch_grades(BENCH.season).records] == ["81000"]
    assert {team.grade_id for team in source.fetch_teams(BENCH.season).records} == {"81000"}
    assert source.fetch_ladders(BENCH.division).records


def test_year_that_is_not_known_yet_has_no_season(server: ProviderServer, source: Source) -> None:
    for year in (BENCH.year - 1, BENCH.year + 1):
        server.script(BENCH.competitions(year, "divisions"), UNKNOWN)
        server.script(BENCH.matches(f"site_id=11&season={year}"), UNKNOWN)
    for organisation in (BENCH.association, BENCH.club):
        assert [season.id for season in source.fetch_seasons(organisation).records] == [BENCH.season.id]


def test_league_that_is_not_known_this_year_is_not_known(server: ProviderServer, source: Source) -> None:
    server.script(BENCH.competitions(BENCH.year, "divisions"), UNKNOWN)
    with pytest.raises(NotFound):
        source.fetch_seasons(BENCH.association)


@pytest.mark.parametrize(
    "fault", [UNKNOWN, Reply({"error": "not yours"}, 403), Reply({"leagues": None}), Reply(b"", 500)]
)
def test_leagues_that_are_not_told_cost_the_name_only(
    server: ProviderServer, source: Source, fault: Reply
) -> None:
    server.script(target("league_sites", ""), fault)
    (season,) = source.fetch_seasons(BENCH.association).records
    assert (season.id, season.association_name) == (BENCH.season.id, None)


def test_team_in_two_divisions_comes_once_for_each(server: ProviderServer, source: Source) -> None:
    divisions = [{"id": 81000, "name": "Division 2"}, {"id": 82000, "name": "Twenty20"}]
    server.script(BENCH.competitions(BENCH.year, "divisions"), Reply({"competitions": divisions}))
    server.script(
        target("competition_teams", "id=82000"),
        Reply({"competition_teams": [playcricket.competition_team()]}),
    )
    placed = [(team.id, team.grade_id) for team in source.fetch_teams(BENCH.season).records]
    assert ("111", "81000") in placed
    assert ("111", "82000") in placed
