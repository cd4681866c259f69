"""The export holds what is stored of one organisation, in the shape that programs read."""

from __future__ import annotations

import json

import pytest

from stores.sql.stores import SqlStores
from sync.errors import NotFound
from sync.model import Organisation, OrganisationKind, Record
from sync.ports import Fence
from sync.report import Stage
from tests.records import created, game, grade, ladder, removed, season, team

CLUB, ASSOCIATION = OrganisationKind.CLUB, OrganisationKind.ASSOCIATION
FENCE = Fence("playhq:association-1", 1)


@pytest.fixture
def filled(stores: SqlStores) -> SqlStores:
    """Two grades of an association: one with the club, one of strangers; a regraded game; a removed one."""
    records: list[Record] = [
        season(),
        season("season-2", status="COMPLETED"),
        season("elsewhere", association_id="association-2"),
        *(grade(), grade("grade-2"), grade("grade-3")),
        *(team("home"), team("away", club_id="club-2"), team("third", club_id="club-3")),
        *(team("x", club_id="club-4", grade_id="grade-2"), team("y", club_id="club-5", grade_id="grade-2")),
        *(game(), game("neighbours", home_id="away", away_id="third"), game("gone")),
        game("regraded", grade_id="grade-3", home_id="x", away_id="home"),
        game("strangers", grade_id="grade-2", home_id="x", away_id="y"),
        *(ladder(), ladder("grade-2")),
    ]
    stores.mirror.apply("run-1", Stage.GAMES, [created(record) for record in records], fence=FENCE)
    stores.mirror.apply("run-1", Stage.GAMES, [removed(game("gone"))], fence=FENCE)
    stores.organisations.save(
        Organisation(id="club-1", kind=CLUB, provider="playhq", association_ids=("association-1",))
    )
    return stores


def ids(export: dict[str, list[dict[str, object]]]) -> dict[str, list[object]]:
    return {
        name: [document.get("id", document.get("grade_id")) for document in export[name]] for name in export
    }


def test_club_exports_its_own_games_and_everything_they_need(filled: SqlStores) -> None:
    assert ids(filled.exports.read(CLUB, "club-1")) == {  # type: ignore[arg-type]  # documents are mappings
        "seasons": ["season-1", "season-2"],
        "grades": ["grade-1", "grade-3"],
        "teams": ["away", "home", "third", "x"],
        "games": ["game-1", "regraded"],
        "ladders": ["grade-1"],
    }


def test_what_the_provider_never_told_of_a_season_is_null(stores: SqlStores) -> None:
    bare = season("bare", name="", status="", competition_id=None, competition_name=None)
    stores.mirror.apply("run-1", Stage.COMPETITIONS, [created(bare)], fence=FENCE)
    stores.organisations.save(Organisation(id="association-1", kind=ASSOCIATION, provider="playhq"))

    (exported,) = stores.exports.read(ASSOCIATION, "association-1")["seasons"]
    assert [exported[key] for key in ("name", "status", "competition_id")] == [None, None, None]


def test_association_exports_everything_of_its_seasons(filled: SqlStores) -> None:
    assert ids(filled.exports.read(ASSOCIATION, "association-1")) == {  # type: ignore[arg-type]  # documents are mappings
        "seasons": ["season-1", "season-2"],
        "grades": ["grade-1", "grade-2", "grade-3"],
        "teams": ["away", "home", "third", "x", "y"],
        "games": ["game-1", "neighbours", "regraded", "strangers"],
        "ladders": ["grade-1", "grade-2"],
    }


def test_documents_have_the_shapes_that_programs_read(filled: SqlStores) -> None:
    export = filled.exports.read(CLUB, "club-1")

    assert export["seasons"][0] == {
        "id": "season-1",
        "name": "Summer 2031/32",
        "status": "ACTIVE",
        "competition_id": "competition-1",
        "competition_name": "Senior Competition",
        "association_id": "association-1",
        "association_name": "Harbour Cricket",
        "first_day": "2031-10-04",
        "last_day": None,
    }
    assert export["games"][0] == {
        "id": "game-1",
        "grade_id": "grade-1",
        "round": "Round 3",
        "status": "FINAL",
        "type": "twoDay",
        "first_day": "2031-10-18",
        "last_day": "2031-10-25",
        "days": [
            {
                "date": "2031-10-18",
                "time": "11:00",
                "utc": "2031-10-18T00:00:00Z",
                "zone": "Australia/Sydney",
                "ground": "Oval 1",
                "venue": "Harbour Park",
            },
            {"date": "2031-10-25", "time": None, "utc": None, "zone": None, "ground": None, "venue": None},
        ],
        "home_id": "home",
        "away_id": "away",
        "outcomes": {"home": "WON", "away": "LOST"},
        "url": "https://example.test/game-1",
        "innings": [{"team_id": "home", "number": 1, "runs": 187, "outs": 9, "overs": 41.2}],
        "points": {"away": {"goals": 3, "behinds": 2, "total": 20}},
    }
    assert export["ladders"][0] == {
        "grade_id": "grade-1",
        "type": "twoDay",
        "pool_id": None,
        "rows": [
            {"position": 1, "team_id": "home", "values": {"W": 3, "NRR": 1.25, "FORM": "WWL", "BYE": None}},
            {"position": 2, "team_id": "away", "values": {"W": 1, "NRR": -0.5, "FORM": "LLW", "BYE": None}},
        ],
    }


@pytest.mark.parametrize(("kind", "organisation_id"), [(CLUB, "club-1"), (ASSOCIATION, "association-1")])
def test_stream_is_the_same_export_as_one_json_text(
    filled: SqlStores, kind: OrganisationKind, organisation_id: str
) -> None:
    text = "".join(filled.exports.stream(kind, organisation_id))

    assert json.loads(text) == filled.exports.read(kind, organisation_id)


def test_organisation_without_records_exports_empty_lists(stores: SqlStores) -> None:
    stores.organisations.save(Organisation(id="new", kind=CLUB, provider="playhq"))

    assert stores.exports.read(CLUB, "new") == {
        "seasons": [],
        "grades": [],
        "teams": [],
        "games": [],
        "ladders": [],
    }


def test_unknown_organisation_is_not_found(stores: SqlStores) -> None:
    with pytest.raises(NotFound, match="nothing is stored of club nobody"):
        stores.exports.read(CLUB, "nobody")
