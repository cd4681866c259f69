"""The simulator's face and a real Strapi, asked the same questions, answer alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from simulator.server import Request
from simulator.strapi.face import Strapi
from tests.strapi.fixtures import REAL_STRAPIS, OpenRealStrapi
from tests.strapi.tables import TOKEN, FaceTables, RealTables, Tables

# What is another one on each server; of a moment, only whether there is one.
_NUMBERS = frozenset({"id", "documentId"})
_MOMENTS = frozenset({"createdAt", "updatedAt", "publishedAt"})

Pair = tuple[Tables, Tables]


@pytest.fixture(params=REAL_STRAPIS)
def pair(request: pytest.FixtureRequest, open_real_strapi: OpenRealStrapi) -> Pair:
    """A real Strapi and a face with the same rows: two clubs, a grade, 130 teams of one of them."""
    real = open_real_strapi(request.param)
    both = RealTables(real), FaceTables(Strapi(real.version, has_drafts=real.has_drafts))
    for tables in both:
        hawks = tables.create("clubs", {"Name": "Hawks", "PlayHQID": "hawks", "Sport": "Cricket"}, {})
        tables.create("clubs", {"Name": "Terns", "PlayHQID": "terns"}, {})
        tables.create("grades", {"gradeId": "a", "ladder": [{"position": 1}]}, {})
        for number in range(5):
            tables.create("teams", {"teamID": f"t{number:03}", "teamName": "First"}, {"club": [hawks]})
    return both


def ask(tables: Tables, method: str, target: str, body: Any = None, *, token: str | None = TOKEN) -> Any:
    """The status, and the body without what differs by nature."""
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    path = tables.prefix + quote(target, safe="/?&=$[]:,*-._~%")
    answer = tables.answer(Request(method, path, headers, sent))
    try:
        content = json.loads(answer.body)
    except ValueError:
        content = None
    return answer.status, _bare(content)


def _bare(content: Any) -> Any:
    if isinstance(content, list):
        return [_bare(item) for item in content]
    if not isinstance(content, Mapping):
        return content
    if "status" in content and "message" in content:
        # Its words are for people; the path names what is wrong.
        details = content.get("details") or {}
        return content["status"], content["name"], [error["path"] for error in details.get("errors", ())]
    return {
        name: (value is not None) if name in _MOMENTS else _bare(value)
        for name, value in content.items()
        if name not in _NUMBERS
    }


def refs(tables: Tables, collection: str) -> list[str]:
    return [row.ref for row in tables.rows(collection)]


ORDER = {4: "sort[0]=id:asc", 5: "sort[0]=documentId:asc"}
READS = [
    "teams?sort[0]=teamID:asc",
    "teams?sort[0]=teamID:desc&pagination[page]=2&pagination[pageSize]=2",
    "teams?sort[0]=teamID:asc&pagination[page]=9&pagination[pageSize]=2",
    "teams?sort[0]=teamID:asc&pagination[pageSize]=500",
    "teams?sort[0]=teamID:asc&pagination[pageSize]=0",
    "teams?sort[0]=teamID:asc&pagination[page]=0",
    "teams?sort[0]=teamID:asc&pagination[start]=1&pagination[limit]=2",
    "teams?sort[0]=teamID:asc&pagination[withCount]=false",
    "teams?sort[0]=teamID:asc&fields[0]=teamID",
    "teams?sort[0]=teamID:asc&fields[0]=teamID&populate[0]=club",
    "teams?sort[0]=teamID:asc&populate[club][fields][0]=Name",
    "teams?sort[0]=teamID:asc&populate=*",
    "clubs?sort[0]=Name:asc&populate[0]=associations",
    "teams?filters[teamID][$eq]=t001",
    "teams?filters[teamID]=t001",
    "teams?filters[teamID][$in][0]=t001&filters[teamID][$in][1]=t002&sort[0]=teamID:asc",
    "teams?filters[club][PlayHQID][$in][0]=hawks&sort[0]=teamID:asc",
    "teams?filters[club][PlayHQID][$in][0]=terns",
    "teams?filters[teamName][$eqi]=FIRST&sort[0]=teamID:asc",
    "teams?filters[teamName][$contains]=irs&sort[0]=teamID:asc",
    "teams?filters[teamName][$null]=true",
    "clubs?filters[Sport][$null]=true",
    "clubs?filters[Sport][$notNull]=true",
    "clubs?filters[Sport][$ne]=Cricket",
    "clubs?filters[$or][0][Name][$eq]=Hawks&filters[$or][1][Name][$eq]=Terns&sort[0]=Name:asc",
    "teams?filters[nothing][$eq]=1&sort[0]=teamID:asc",
    "teams?filters[teamID][$strange]=1&sort[0]=teamID:asc",
    "teams?sort[0]=nothing:asc",
    "teams?fields[0]=nothing&sort[0]=teamID:asc",
    "teams?populate[0]=nothing&sort[0]=teamID:asc",
    "nothing",
    "teams/99999",
    "teams/abcdefghijklmnopqrstuvwx",
    "teams?filters[id][$eq]=99999",
    "grades",
    "fixtures/nothing",
]


@pytest.mark.parametrize("target", READS)
def test_reads(pair: Pair, target: str) -> None:
    real, face = pair

    assert ask(face, "GET", target) == ask(real, "GET", target)


@pytest.mark.parametrize("count", [100, 101, 130])
def test_long_lists_drop_their_filter(pair: Pair, count: int) -> None:
    real, face = pair
    listed = "&".join(f"filters[teamID][$in][{place}]=x{place}" for place in range(count))
    target = f"teams?sort[0]=teamID:asc&{listed}"

    assert ask(face, "GET", target) == ask(real, "GET", target)


# Left out is what depends on the database: the face is as strict as PostgreSQL, SQLite takes texts of
# any length and plain texts as JSON.
BODIES: list[Any] = [
    {"data": {"teamID": "new"}},
    {"data": {"teamID": None}},
    {"data": {}},
    {},
    {"data": None},
    {"data": []},
    b"{broken",
    {"data": {"teamID": 7}},
    {"data": {"teamID": True}},
    {"data": {"teamID": "x" * 255}},
    {"data": {"nothing": 1}},
    {"data": {"createdAt": "2031-10-18T00:00:00.000Z"}},
    {"data": {"club": 99999}},
    {"data": {"club": {"connect": [99999]}}},
    {"data": {"club": {"disconnect": [99999]}}},
    {"data": {"club": {"disconnect": [{"id": 99999}]}}},
    {"data": {"club": None}},
    {"data": {"grades": []}},
]


@pytest.mark.parametrize("place", range(len(BODIES)))
def test_creations(pair: Pair, place: int) -> None:
    real, face = pair
    told = [ask(tables, "POST", "teams?populate=*", BODIES[place]) for tables in (face, real)]

    assert told[0] == told[1]


VALUES: list[tuple[str, Any]] = [
    *(
        ("finalDaysPlay", value)
        for value in ("2031-10-18", "2031-10-18T23:30:00.000Z", "18/10/2031", "", "2031-13-40", 7, None)
    ),
    *(
        ("dayOne", value)
        for value in (
            "2031-10-18T02:00:00.000Z",
            "2031-10-18T02:00:00+11:00",
            "2031-10-18T02:00:00.123456Z",
            "2031-10-18",
            "Saturday",
            7,
            "",
            None,
        )
    ),
    *(("dateRangeObj", value) for value in (["a"], {"a": 1}, 7, '["a"]', None)),
    *(("isFinished", value) for value in (True, "true", "yes", "t", 0, 1, 2, "1", None)),
]


@pytest.mark.parametrize(("column", "value"), VALUES)
def test_values(pair: Pair, column: str, value: Any) -> None:
    real, face = pair
    body = {"data": {"gameID": "g", column: value}}

    assert ask(face, "POST", "game-meta-datas", body) == ask(real, "POST", "game-meta-datas", body)


@pytest.mark.parametrize(
    ("field", "relations"),
    [
        ("club", [["set", 1]]),
        ("club", [["connect", 1]]),
        ("club", [["connect", 1], ["disconnect", 1]]),
        ("club", [["disconnect", 0]]),
        ("club", [["plain", 1]]),
        ("club", [["both", 1]]),
        ("grades", [["connect", 0]]),
        ("grades", [["connect", 0], ["connect", 0]]),
        ("grades", [["plain", 0], ["set", None]]),
    ],
)
def test_relations(pair: Pair, field: str, relations: list[list[Any]]) -> None:
    told = []
    for tables in pair:
        team = refs(tables, "teams")[0]
        others = tables.rows("clubs" if field == "club" else "grades")
        for spelling, place in relations:
            listed = [] if place is None else [_reference(tables, others[place])]
            value = {
                "plain": listed,
                "set": {"set": listed},
                "connect": {"connect": listed},
                "disconnect": {"disconnect": listed},
                "both": {"connect": listed, "set": []},
            }[spelling]
            ask(tables, "PUT", f"teams/{team}", {"data": {field: value}})
        told.append(ask(tables, "GET", f"teams/{team}?populate[0]={field}"))

    assert told[0] == told[1]


def _reference(tables: Tables, row: Any) -> Any:
    return row.ref if tables.version == 5 else {"id": row.number}


def test_addresses(pair: Pair) -> None:
    """By reference, by number, updated, deleted, and deleted again."""
    told = []
    for tables in pair:
        first, second = tables.rows("teams")[:2]
        told.append(
            [
                ask(tables, "GET", f"teams/{first.ref}"),
                ask(tables, "GET", f"teams/{first.number}"),
                ask(tables, "PUT", f"teams/{first.ref}", {"data": {"teamName": "Second"}}),
                ask(tables, "PUT", f"teams/{first.ref}", {"data": {"nothing": "Second"}}),
                ask(tables, "PUT", "teams/99999", {"data": {"teamName": "Second"}}),
                ask(tables, "DELETE", f"teams/{second.number}"),
                ask(tables, "DELETE", f"teams/{first.ref}"),
                ask(tables, "DELETE", f"teams/{first.ref}"),
                ask(tables, "GET", "teams?sort[0]=teamID:asc"),
                ask(tables, "PATCH", f"teams/{second.ref}")[0],
            ]
        )

    assert told[1] == told[0]


def test_a_write_gives_a_new_number_where_the_real_one_does(pair: Pair) -> None:
    moved = []
    for tables in pair:
        before = tables.rows("clubs")[0]
        ask(tables, "PUT", f"clubs/{before.ref}", {"data": {"Name": "Hawks II"}})
        after = next(row for row in tables.rows("clubs") if row.fields["Name"] == "Hawks II")
        moved.append((after.number == before.number, after.ref == before.ref))

    assert moved[0] == moved[1]


def test_drafts(pair: Pair) -> None:
    told = []
    for tables in pair:
        made = ask(tables, "POST", "clubs?status=draft", {"data": {"Name": "Draft", "publishedAt": None}})
        told.append(
            [
                made,
                ask(tables, "GET", "clubs?filters[Name][$eq]=Draft"),
                ask(tables, "GET", "clubs?filters[Name][$eq]=Draft&status=draft"),
                ask(tables, "GET", "clubs?filters[Name][$eq]=Draft&publicationState=preview"),
            ]
        )

    assert told[1] == told[0]


@pytest.mark.parametrize("token", [None, "wrong"])
@pytest.mark.parametrize(("method", "target"), [("GET", "teams"), ("POST", "teams"), ("GET", "nothing")])
def test_tokens(pair: Pair, token: str | None, method: str, target: str) -> None:
    real, face = pair
    body = {"data": {"teamID": "x"}} if method == "POST" else None

    assert ask(face, method, target, body, token=token) == ask(real, method, target, body, token=token)


def test_address_that_is_too_long(pair: Pair) -> None:
    """Against the servers themselves: the refusal comes from below the API."""
    real, _ = pair
    status, content = ask(real, "GET", f"teams?filters[teamName][$eq]={'x' * 17000}")

    assert (status, content) == (431, None)
