"""Whatever a provider sends, there are records, quarantined ones, or a refusal; never a crash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.playcricket import parse as playcricket_parse
from providers.playcricket.identities import Competition
from providers.playhq import fixtures, ladders, parse, wire
from sync.model import Organisation, OrganisationKind, Team
from sync.ports import Fixture, Listing
from tests.unit.providers.mutations import mutated
from tests.unit.providers.playcricket import builders as playcricket
from tests.unit.providers.playhq import builders as playhq

ASSOCIATION = Organisation(id="a", kind=OrganisationKind.ASSOCIATION, provider="playhq")
ZONE = "Australia/Sydney"
INNINGS = playhq.period(playhq.HAWKS, playhq.GULLS, TOTAL_SCORE=187, TOTAL_OUTS=10, TOTAL_OVERS=41.2)
MATCH = {"teams": [{"id": playhq.HAWKS, "outcome": {"statistics": playhq.statistics(TOTAL_GOALS=3)}}]}
V2 = playhq.fixture(playhq.round_(playhq.game(periods=[INNINGS]), playhq.game(id="second", match=MATCH)))
OLD_STANDINGS = [{"team": {"id": playhq.HAWKS}, "played": 6, "ranking": 1}, {"teamId": "b", "ranking": 2}]
CUP = Competition("500", is_cup=True)

Read = Callable[[Any], Listing[Any] | Fixture]


def read_v2(payload: Any) -> Fixture:
    try:
        answer = msgspec.convert(payload, wire.GradeGames)
    except msgspec.ValidationError:
        # The fetcher refuses what does not fit the envelope.
        return Fixture(games=[])
    return fixtures.parse_fixture(answer, "g", default_zone=ZONE)


def listed(read: Read) -> Read:
    return lambda payload: read(payload if isinstance(payload, list) else [payload])


CASES: dict[str, tuple[Any, Read]] = {
    "seasons": ([playhq.season()], listed(lambda items: parse.parse_seasons(items, ASSOCIATION))),
    "registrations": (
        [{"seasonId": "s", "seasonName": "x", "competitionName": "y"}],
        listed(lambda items: Listing(parse.parse_registered_seasons(items, ASSOCIATION))),
    ),
    "grades": ([playhq.grade()], listed(lambda items: parse.parse_grades(items, "s"))),
    "teams": ([playhq.team()], listed(lambda items: parse.parse_teams(items, "s"))),
    "fixture": (V2, read_v2),
    "flat fixture": (
        [playhq.flat_game()],
        listed(lambda items: fixtures.parse_flat_fixture(items, "g", default_zone=ZONE)),
    ),
    "ladders": ([playhq.ladder()], listed(lambda items: ladders.parse_ladders(items, "g"))),
    "old ladders": (
        [{"pool": None, "standings": OLD_STANDINGS}],
        listed(lambda items: ladders.parse_old_ladders(items, "g")),
    ),
    "divisions": (
        [{"id": 1, "name": "x"}],
        listed(lambda items: playcricket_parse.parse_competitions(items, "s")),
    ),
    "competition teams": (
        [playcricket.competition_team()],
        listed(lambda items: playcricket_parse.parse_teams(items, CUP, "s")),
    ),
    "matches": (
        [playcricket.match(), playcricket.result(id=2)],
        listed(lambda items: playcricket_parse.parse_fixture(items, items, CUP)),
    ),
    "tables": ([playcricket.table()], listed(lambda items: playcricket_parse.parse_tables(items, "g"))),
}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_any_payload_is_read_or_quarantined(name: str, data: st.DataObject) -> None:
    payload, read = CASES[name]
    result = read(data.draw(mutated(payload)))
    records = result.games if isinstance(result, Fixture) else result.records
    # A team in several grades comes once for each.
    ids = [(record.id, record.grade_id if isinstance(record, Team) else None) for record in records]
    assert len(ids) == len(set(ids))
    assert all(quarantined.reason for quarantined in result.quarantined)
