"""PlayHQ over real HTTP: paging, which version for which sport, seasons the listing leaves out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from providers.outbound import Outbound
from sync.errors import NotFound, ProviderUnavailable, SyncError, UnexpectedResponse
from sync.model import Innings, Organisation, OrganisationKind, Points
from sync.ports import Source
from tests.contract.providers.benches import SECRET, PlayHQBench, page
from tests.provider_server import ProviderServer, Reply
from tests.unit.providers.playhq import builders as playhq

NEW_SEASON_ID = "2c3f0c11-0000-4000-8000-000000000002"
NEW_GRADES_TARGET = f"/v1/seasons/{NEW_SEASON_ID}/grades"
REGISTRATION = {"seasonId": NEW_SEASON_ID, "seasonName": "Summer 2032/33", "competitionName": "Juniors"}
CLUB = Organisation(id=playhq.CLUB_ID, kind=OrganisationKind.CLUB, provider="playhq")

OpenSource = Callable[..., Source]


@pytest.fixture
def open_source(server: ProviderServer, outbound: Outbound) -> OpenSource:
    """Open a source on a healthy world; settings of PlayHQ may differ."""
    PlayHQBench().serve(server)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return lambda **settings: PlayHQBench(**settings).open(server, outbound, fresh_after=tomorrow)


def team_ids(source: Source) -> list[str]:
    return [team.id for team in source.fetch_teams(PlayHQBench.season).records]


def season_ids(source: Source) -> list[str]:
    return [season.id for season in source.fetch_seasons(PlayHQBench.association).records]


# The requests


def test_requests_carry_key_tenant_and_accept(server: ProviderServer, open_source: OpenSource) -> None:
    open_source(tenant="NZC").fetch_grades(PlayHQBench.season)
    headers = server.seen[0].headers
    assert headers["x-api-key"] == SECRET
    assert headers["x-phq-tenant"] == "nzc"
    assert headers["accept"] == "application/json"


# Pages


def test_all_pages_arrive_and_a_row_on_two_pages_counts_once(
    server: ProviderServer, open_source: OpenSource
) -> None:
    last = page(playhq.team(), playhq.team(id=playhq.GULLS))
    server.script(f"{PlayHQBench.teams_target}?cursor=MTAw", Reply(last))
    assert team_ids(open_source()) == [playhq.HAWKS, playhq.GULLS]


def test_cursor_goes_back_unchanged_but_encoded(server: ProviderServer, open_source: OpenSource) -> None:
    server.script(PlayHQBench.teams_target, Reply(page(playhq.team(), cursor="a+b/c=&d é")))
    encoded = f"{PlayHQBench.teams_target}?cursor=a%2Bb%2Fc%3D%26d+%C3%A9"
    server.script(encoded, Reply(page(playhq.team(id=playhq.GULLS))))
    assert team_ids(open_source()) == [playhq.HAWKS, playhq.GULLS]


def test_cursor_that_came_as_a_number_goes_back_as_its_digits(
    server: ProviderServer, open_source: OpenSource
) -> None:
    first = page(playhq.team())
    first["metadata"] = {"hasMore": True, "nextCursor": 100}
    server.script(PlayHQBench.teams_target, Reply(first))
    server.script(f"{PlayHQBench.teams_target}?cursor=100", Reply(page(playhq.team(id=playhq.GULLS))))
    assert team_ids(open_source()) == [playhq.HAWKS, playhq.GULLS]


def test_end_is_where_no_more_is_announced_whatever_the_cursor(
    server: ProviderServer, open_source: OpenSource
) -> None:
    body = {"data": [playhq.team()], "metadata": {"hasMore": False, "nextCursor": "MTAw"}}
    server.script(PlayHQBench.teams_target, Reply(body))
    assert team_ids(open_source()) == [playhq.HAWKS]
    assert len(server.seen) == 1


def test_empty_page_in_the_middle_is_no_end(server: ProviderServer, open_source: OpenSource) -> None:
    server.script(PlayHQBench.teams_target, Reply(page(cursor="MTAw")))
    assert team_ids(open_source()) == [playhq.GULLS]


@pytest.mark.parametrize("more", ["true", "True", 1])
def test_more_may_be_announced_in_words(
    server: ProviderServer, open_source: OpenSource, more: object
) -> None:
    body = {"data": [playhq.team()], "metadata": {"hasMore": more, "nextCursor": "MTAw"}}
    server.script(PlayHQBench.teams_target, Reply(body))
    last = {"data": [playhq.team(id=playhq.GULLS)], "metadata": {"hasMore": "false", "nextCursor": None}}
    server.script(f"{PlayHQBench.teams_target}?cursor=MTAw", Reply(last))
    assert team_ids(open_source()) == [playhq.HAWKS, playhq.GULLS]


def test_team_in_two_grades_comes_once_for_each(server: ProviderServer, open_source: OpenSource) -> None:
    second = {"id": "second-grade", "name": "B Grade"}
    server.script(
        PlayHQBench.teams_target, Reply(page(playhq.team(), playhq.team(grade=second), playhq.team()))
    )
    listing = open_source().fetch_teams(PlayHQBench.season)
    assert [(team.id, team.grade_id) for team in listing.records] == [
        (playhq.HAWKS, playhq.GRADE_ID),
        (playhq.HAWKS, "second-grade"),
    ]


@pytest.mark.parametrize("cursor", [None, ""])
def test_more_without_a_cursor_fails_the_set(
    server: ProviderServer, open_source: OpenSource, cursor: str | None
) -> None:
    body = {"data": [playhq.team()], "metadata": {"hasMore": True, "nextCursor": cursor}}
    server.script(PlayHQBench.teams_target, Reply(body))
    with pytest.raises(UnexpectedResponse, match="without a cursor"):
        team_ids(open_source())


def test_repeated_cursor_fails_the_set(server: ProviderServer, open_source: OpenSource) -> None:
    server.script(f"{PlayHQBench.teams_target}?cursor=MTAw", Reply(page(playhq.team(), cursor="MTAw")))
    with pytest.raises(UnexpectedResponse, match="came before"):
        team_ids(open_source())


def test_pages_without_end_fail_the_set(server: ProviderServer, open_source: OpenSource) -> None:
    target = PlayHQBench.teams_target
    for number in range(200):
        server.script(target, Reply(page(playhq.team(id=str(number)), cursor=f"c{number}")))
        target = f"{PlayHQBench.teams_target}?cursor=c{number}"
    with pytest.raises(UnexpectedResponse, match="no end after 100 pages"):
        team_ids(open_source())


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Reply(b"", 500), ProviderUnavailable), (Reply(b"{"), UnexpectedResponse), (Reply(b"", 404), NotFound)],
)
def test_listing_with_a_lost_page_is_an_error_not_a_part(
    server: ProviderServer, open_source: OpenSource, fault: Reply, error: type[SyncError]
) -> None:
    server.script(f"{PlayHQBench.teams_target}?cursor=MTAw", fault)
    with pytest.raises(error):
        team_ids(open_source())


def test_listing_that_does_not_tell_whether_it_ends_is_refused(
    server: ProviderServer, open_source: OpenSource
) -> None:
    server.script(PlayHQBench.teams_target, Reply({"data": [playhq.team()]}))
    with pytest.raises(UnexpectedResponse, match="metadata"):
        team_ids(open_source())


# Seasons


def test_zero_seasons_are_an_empty_listing(server: ProviderServer, open_source: OpenSource) -> None:
    server.script(PlayHQBench.seasons_target, Reply(page()))
    assert season_ids(open_source()) == []


def test_season_that_only_registrations_name_is_found(
    server: ProviderServer, open_source: OpenSource
) -> None:
    server.script(PlayHQBench.registrations_target, Reply({"data": [REGISTRATION, REGISTRATION]}))
    server.script(NEW_GRADES_TARGET, Reply(page()))
    listing = open_source().fetch_seasons(PlayHQBench.association)
    assert [season.id for season in listing.records] == [playhq.SEASON_ID, NEW_SEASON_ID]
    assert listing.records[1].name == "Summer 2032/33"
    assert listing.records[1].association_id == playhq.ASSOCIATION_ID
    assert listing.records[1].association_name == listing.records[0].association_name


def test_registered_season_that_does_not_answer_is_left_out(
    server: ProviderServer, open_source: OpenSource
) -> None:
    server.script(PlayHQBench.registrations_target, Reply({"data": [REGISTRATION]}))
    assert season_ids(open_source()) == [playhq.SEASON_ID]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"", 404),
        Reply({"error": "no"}, 403),
        Reply(b"<html>Request blocked</html>", 403, {"Content-Type": "text/html"}),
        Reply(b"", 500),
        Reply(b"<html>"),
        Reply({"data": None}),
    ],
    ids=["404", "403", "403 page", "500", "html", "null"],
)
def test_registrations_that_fail_harm_nothing(
    server: ProviderServer, open_source: OpenSource, reply: Reply
) -> None:
    server.script(PlayHQBench.registrations_target, reply)
    assert season_ids(open_source()) == [playhq.SEASON_ID]
    assert server.targets.count(PlayHQBench.registrations_target) == 1


@pytest.mark.parametrize("entry", [NEW_SEASON_ID, f"{playhq.ASSOCIATION_ID}/{NEW_SEASON_ID}".upper()])
def test_season_of_the_settings_is_found(server: ProviderServer, open_source: OpenSource, entry: str) -> None:
    server.script(NEW_GRADES_TARGET, Reply(page(playhq.grade())))
    source = open_source(extra_season_ids=(entry, playhq.SEASON_ID))
    assert season_ids(source) == [playhq.SEASON_ID, NEW_SEASON_ID]


def test_season_of_the_settings_stays_with_its_association(
    server: ProviderServer, open_source: OpenSource
) -> None:
    server.script(NEW_GRADES_TARGET, Reply(page(playhq.grade())))
    assert season_ids(open_source(extra_season_ids=(f"another/{NEW_SEASON_ID}",))) == [playhq.SEASON_ID]


def test_club_is_asked_for_what_it_lists_only(server: ProviderServer, open_source: OpenSource) -> None:
    target = f"/v1/organisations/{playhq.CLUB_ID}/seasons"
    server.script(target, Reply(page(playhq.season())))
    listing = open_source(extra_season_ids=(NEW_SEASON_ID,)).fetch_seasons(CLUB)
    assert [season.association_id for season in listing.records] == [playhq.ASSOCIATION_ID]
    assert server.targets == [target]


# Which version for which sport

AFL_GAMES = playhq.fixture(playhq.round_(playhq.game(type="afl")))
FLAT = page(playhq.flat_game())
POINTS = {playhq.HAWKS: Points(goals=6, behinds=11, total=47), playhq.GULLS: Points(goals=4, total=30)}


@pytest.mark.parametrize("tenant", ["ca", "nzc", "CA"])
@pytest.mark.parametrize("games", [{"rounds": []}, AFL_GAMES])
def test_cricket_is_read_from_version_2_only(
    server: ProviderServer, open_source: OpenSource, tenant: str, games: object
) -> None:
    server.script(PlayHQBench.games_target, Reply(games))
    server.script(PlayHQBench.ladder_target, Reply({"ladders": []}))
    source = open_source(tenant=tenant)
    source.fetch_fixture(PlayHQBench.grade)
    source.fetch_ladders(PlayHQBench.grade)
    assert not [target for target in server.targets if target.startswith("/v1/grades")]


def test_cricket_keeps_its_innings_apart(open_source: OpenSource) -> None:
    (only,) = open_source().fetch_fixture(PlayHQBench.grade).games
    assert only.innings == (Innings(team_id=playhq.HAWKS, number=1, runs=187, outs=10),)


@pytest.mark.parametrize("tenant", ["afl", "bv", "a-new-one"])
@pytest.mark.parametrize("v2", [Reply(b"", 404), Reply({"rounds": []})], ids=["404", "empty"])
def test_other_sports_fall_back_to_version_1(
    server: ProviderServer, open_source: OpenSource, tenant: str, v2: Reply
) -> None:
    server.script(PlayHQBench.games_target, v2)
    server.script(PlayHQBench.old_games_target, Reply(FLAT))
    (only,) = open_source(tenant=tenant).fetch_fixture(PlayHQBench.grade).games
    assert only.points == POINTS


def test_scores_that_version_2_lacks_come_from_version_1(
    server: ProviderServer, open_source: OpenSource
) -> None:
    server.script(PlayHQBench.games_target, Reply(AFL_GAMES))
    server.script(PlayHQBench.old_games_target, Reply(FLAT))
    (only,) = open_source(tenant="afl").fetch_fixture(PlayHQBench.grade).games
    assert (only.type, only.points, only.days[0].ground) == ("afl", POINTS, "Oval 1")


def test_version_1_is_not_asked_where_version_2_says_it_all(
    server: ProviderServer, open_source: OpenSource
) -> None:
    match = {
        "teams": [
            {"id": playhq.HAWKS, "outcome": {"statistics": playhq.statistics(TOTAL_SCORE=47)}},
            {"id": playhq.GULLS, "outcome": {"statistics": playhq.statistics(TOTAL_SCORE=30)}},
        ]
    }
    games = playhq.fixture(playhq.round_(playhq.game(type="afl", match=match)))
    server.script(PlayHQBench.games_target, Reply(games))
    (only,) = open_source(tenant="afl").fetch_fixture(PlayHQBench.grade).games
    assert only.points == {playhq.HAWKS: Points(total=47), playhq.GULLS: Points(total=30)}
    assert PlayHQBench.old_games_target not in server.targets


def test_empty_fixture_stays_empty_where_version_1_has_none_either(
    server: ProviderServer, open_source: OpenSource
) -> None:
    server.script(PlayHQBench.games_target, Reply({"rounds": []}))
    fixture = open_source(tenant="afl").fetch_fixture(PlayHQBench.grade)
    assert (fixture.games, fixture.quarantined) == ([], [])


def test_grade_that_neither_version_knows_is_not_found(
    server: ProviderServer, open_source: OpenSource
) -> None:
    server.script(PlayHQBench.games_target, Reply(b"", 404))
    server.script(PlayHQBench.ladder_target, Reply(b"", 404))
    source = open_source(tenant="afl")
    with pytest.raises(NotFound):
        source.fetch_fixture(PlayHQBench.grade)
    with pytest.raises(NotFound):
        source.fetch_ladders(PlayHQBench.grade)


def test_ladder_of_other_sports_falls_back_to_version_1(
    server: ProviderServer, open_source: OpenSource
) -> None:
    standing = {"team": {"id": playhq.HAWKS}, "played": 6, "ranking": 1}
    body = {"data": {"grade": {"id": playhq.GRADE_ID}, "ladders": [{"pool": None, "standings": [standing]}]}}
    server.script(PlayHQBench.ladder_target, Reply(b"", 404))
    server.script(PlayHQBench.old_ladder_target, Reply(body))
    (ladder,) = open_source(tenant="bv").fetch_ladders(PlayHQBench.grade).records
    assert ladder.rows[0].values == {"played": 6}


@pytest.mark.parametrize("ladders", [[], None])
def test_grade_without_a_ladder_is_normal(
    server: ProviderServer, open_source: OpenSource, ladders: object
) -> None:
    server.script(PlayHQBench.ladder_target, Reply({"gradeId": playhq.GRADE_ID, "ladders": ladders}))
    listing = open_source(tenant="afl").fetch_ladders(PlayHQBench.grade)
    assert (listing.records, listing.quarantined) == ([], [])


# Names


@pytest.mark.parametrize("teams", [None, []])
def test_names_that_the_fixture_lacks_come_from_the_ladder(
    server: ProviderServer, open_source: OpenSource, teams: object
) -> None:
    fixture = playhq.fixture(playhq.round_(playhq.game()), teams=teams)
    server.script(PlayHQBench.games_target, Reply(fixture))
    names = open_source().fetch_fixture(PlayHQBench.grade).team_names
    assert names == {playhq.HAWKS: "Harbour Hawks 1st XI", playhq.GULLS: "Gulls"}


def test_fixture_stands_without_names_when_there_is_no_ladder(
    server: ProviderServer, open_source: OpenSource
) -> None:
    server.script(PlayHQBench.games_target, Reply(playhq.fixture(playhq.round_(playhq.game()), teams=None)))
    server.script(PlayHQBench.ladder_target, Reply(b"", 404))
    fixture = open_source().fetch_fixture(PlayHQBench.grade)
    assert len(fixture.games) == 1
    assert fixture.team_names == {}
