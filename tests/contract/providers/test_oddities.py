"""What is odd and yet in order, over the wire: every provider's own form of it is read, none is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from providers.outbound import Outbound
from sync.ports import Source
from tests.contract.providers.benches import (
    Bench,
    PlayCricketBench,
    PlayHQBench,
    PlayHQOldBench,
    page,
    pages,
    target,
)
from tests.provider_server import ProviderServer, Reply
from tests.unit.providers.playcricket import builders as playcricket
from tests.unit.providers.playhq import builders as playhq

FORFEITED = [
    {"id": playhq.HAWKS, "isHomeTeam": True, "outcome": "WON_BY_FORFEIT"},
    {"id": playhq.GULLS, "isHomeTeam": False, "outcome": "LOST_BY_FORFEIT"},
]
UNHEARD_OF = [
    {"id": playhq.HAWKS, "isHomeTeam": True, "outcome": "WON_ON_PENALTIES_TWICE"},
    {"id": playhq.GULLS, "isHomeTeam": False, "outcome": "LOST_ON_PENALTIES_TWICE"},
]


def opened(bench: Bench, server: ProviderServer, outbound: Outbound) -> Source:
    return bench.open(server, outbound, fresh_after=datetime.now(UTC) + timedelta(days=1))


def of(source: Source, bench: PlayHQBench | PlayCricketBench) -> Any:
    return source.fetch_fixture(bench.grade if isinstance(bench, PlayHQBench) else bench.division)


@pytest.mark.parametrize("bench", [PlayHQBench(), PlayHQOldBench()], ids=["v2", "v1"])
def test_team_without_a_club_or_a_grade_is_a_team(
    bench: PlayHQBench, server: ProviderServer, outbound: Outbound
) -> None:
    bench.serve(server)
    server.script(bench.teams_target, Reply(page(playhq.team(club=None), cursor="MTAw")))
    bare = {"id": playhq.GULLS, "createdAt": "2031-08-05T02:00:00.000Z", "club": None, "grade": None}
    server.script(f"{bench.teams_target}?cursor=MTAw", Reply(page(bare)))
    listing = opened(bench, server, outbound).fetch_teams(bench.season)

    assert not listing.quarantined
    assert [(team.id, team.club_id, team.grade_id) for team in listing.records] == [
        (playhq.HAWKS, None, playhq.GRADE_ID),
        (playhq.GULLS, None, None),
    ]


def test_cricket_knows_byes_two_days_forfeits_and_words_nobody_has_heard_of(
    server: ProviderServer, outbound: Outbound
) -> None:
    bench = PlayHQBench()
    bench.serve(server)
    # Two Saturdays in Melbourne, whose second one begins on a Friday in UTC.
    days = [
        {"day": 2, "dateTime": "2031-10-24T23:30:00.000Z", "playingSurfaceId": playhq.SURFACE_ID},
        {"day": 1, "dateTime": "2031-10-18T02:00:00.000Z", "playingSurfaceId": playhq.SURFACE_ID},
    ]
    games = [
        playhq.game(id="two-days", type="twoDay", schedule=days, status="LUNCH"),
        playhq.game(id="forfeit", teams=FORFEITED, periods=[]),
        playhq.game(id="unheard-of", teams=UNHEARD_OF, type="hundred"),
    ]
    byes = [{"teamID": playhq.HAWKS}, {"teamId": playhq.GULLS}]
    server.script(bench.games_target, Reply(playhq.fixture(playhq.round_(*games, byes=byes))))
    fixture = of(opened(bench, server, outbound), bench)

    assert not fixture.quarantined
    found = {game.id: game for game in fixture.games}
    assert found.keys() == {"two-days", "forfeit", "unheard-of"}
    assert [day.day for day in found["two-days"].days] == [date(2031, 10, 18), date(2031, 10, 25)]
    assert found["two-days"].status == "LUNCH"
    assert found["forfeit"].outcomes[playhq.HAWKS] == "WON_BY_FORFEIT"
    assert found["unheard-of"].outcomes[playhq.GULLS] == "LOST_ON_PENALTIES_TWICE"


def test_other_sports_know_forfeits_and_words_nobody_has_heard_of(
    server: ProviderServer, outbound: Outbound
) -> None:
    bench = PlayHQOldBench()
    bench.serve(server)
    late = {"date": "2031-10-18", "time": None, "timezone": None}
    first = page(playhq.flat_game(id="forfeit", competitors=FORFEITED, schedule=late), cursor="MTAw")
    last = page(
        playhq.flat_game(id="forfeit", competitors=FORFEITED, schedule=late),
        playhq.flat_game(id="unheard-of", competitors=UNHEARD_OF, status="QUARTER_TIME", venue=None),
    )
    server.script(bench.old_games_target, Reply(first))
    server.script(f"{bench.old_games_target}?cursor=MTAw", Reply(last))
    fixture = of(opened(bench, server, outbound), bench)

    assert not fixture.quarantined
    assert [(game.id, game.status, game.outcomes[playhq.HAWKS]) for game in fixture.games] == [
        ("forfeit", "FINAL", "WON_BY_FORFEIT"),
        ("unheard-of", "QUARTER_TIME", "WON_ON_PENALTIES_TWICE"),
    ]
    assert [game.first_day for game in fixture.games] == [date(2031, 10, 18)] * 2


def test_play_cricket_knows_concessions_and_codes_nobody_has_heard_of(
    server: ProviderServer, outbound: Outbound
) -> None:
    bench = PlayCricketBench()
    bench.serve(server)
    of_division = f"site_id=900&season={bench.year}&division_id=81000"
    server.script(bench.matches(of_division), Reply(pages(playcricket.match(id=2, match_time=""))))
    odd = [
        playcricket.result(id=3, result="Con", innings=[], points=[]),
        playcricket.result(id=4, result="Zz", status="Odd"),
    ]
    server.script(bench.results(1), Reply(pages(*odd)))
    fixture = of(opened(bench, server, outbound), bench)

    assert not fixture.quarantined
    assert {game.id for game in fixture.games} == {"2", "3", "4"}
    assert all(game.first_day == date(2031, 6, 7) for game in fixture.games)
    by_id = {game.id: game for game in fixture.games}
    assert "Zz" in {*by_id["4"].outcomes.values(), by_id["4"].status}


@pytest.mark.parametrize(
    "bench", [PlayHQBench(), PlayHQOldBench(), PlayCricketBench()], ids=lambda bench: type(bench).__name__
)
def test_no_ladder_is_normal(
    bench: PlayHQBench | PlayCricketBench, server: ProviderServer, outbound: Outbound
) -> None:
    bench.serve(server)
    if isinstance(bench, PlayCricketBench):
        server.script(target("league_table", "division_id=81000"), Reply({"league_table": []}))
        grade = bench.division
    else:
        server.script(bench.ladder_target, Reply({"ladders": []}))
        server.script(bench.old_ladder_target, Reply({"data": {"ladders": []}}))
        grade = bench.grade
    listing = opened(bench, server, outbound).fetch_ladders(grade)
    assert (listing.records, listing.quarantined) == ([], [])
