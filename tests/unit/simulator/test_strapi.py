"""The CMS faces: the two dialects, the query language and the traps that were measured on real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from simulator.server import Answer, Request
from simulator.strapi.face import Strapi

BEARER = {"authorization": "Bearer token-1234"}


@pytest.fixture(params=[4, 5])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def strapi(version: int) -> Strapi:
    return Strapi(version)


def call(strapi: Strapi, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    sent = BEARER | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = b"" if body is None else json.dumps(body).encode()
    return strapi.answer(Request(method, f"{strapi.prefix}{path}", sent, raw))


def read(answer: Answer) -> Any:
    assert answer.status in (200, 201), answer.body
    return json.loads(answer.body)


def create(strapi: Strapi, collection: str, **fields: Any) -> Any:
    return read(call(strapi, "POST", collection, {"data": fields}))["data"]


def ref(entry: Any) -> Any:
    """What the version's addresses and relations are written with."""
    return entry.get("documentId", entry["id"])


def names(strapi: Strapi, query: str, collection: str = "grades", field: str = "gradeName") -> list[str]:
    return [
        entry.get("attributes", entry)[field]
        for entry in read(call(strapi, "GET", f"{collection}?{query}"))["data"]
    ]


def error(answer: Answer) -> tuple[int, str, str]:
    told = json.loads(answer.body)["error"]
    return answer.status, told["name"], told["message"]


def test_entries_have_the_shape_of_their_version(strapi: Strapi, version: int) -> None:
    answer = call(strapi, "POST", "grades", {"data": {"gradeName": "A Grade", "gradeId": "7c1d22aa"}})
    entry = json.loads(answer.body)["data"]
    if version == 4:
        assert answer.status == 200
        assert set(entry) == {"id", "attributes"}
        assert entry["attributes"]["gradeName"] == "A Grade"
        assert "publishedAt" not in entry["attributes"]
    else:
        assert answer.status == 201
        assert len(entry["documentId"]) == 24
        assert entry["gradeName"] == "A Grade"
        assert entry["publishedAt"]


def test_relations_appear_only_when_populated(strapi: Strapi, version: int) -> None:
    grade = create(strapi, "grades", gradeName="A Grade")
    team = create(strapi, "teams", teamName="Hawks", grades=[ref(grade)])
    assert "grades" not in team.get("attributes", team)
    shown = read(call(strapi, "GET", f"teams/{ref(team)}?populate[0]=grades.competition&populate[1]=club"))[
        "data"
    ]
    if version == 4:
        assert shown["attributes"]["grades"]["data"][0]["attributes"]["competition"] == {"data": None}
        assert shown["attributes"]["club"] == {"data": None}
    else:
        assert shown["grades"][0]["competition"] is None
        assert shown["club"] is None
    back = read(call(strapi, "GET", f"grades/{ref(grade)}?populate[teams][fields][0]=teamName"))["data"]
    teams = back["teams"] if version == 5 else back["attributes"]["teams"]["data"]
    assert [entry.get("attributes", entry)["teamName"] for entry in teams] == ["Hawks"]
    assert "href" not in teams[0].get("attributes", teams[0])
    assert read(call(strapi, "GET", f"teams/{ref(team)}?populate=*"))


def test_a_plain_array_sets_and_connect_adds(strapi: Strapi, version: int) -> None:
    one, two, three = (create(strapi, "grades", gradeName=name) for name in "ABC")
    team = create(strapi, "teams", teamName="Hawks", grades=[ref(one)])

    def write(value: Any) -> list[str]:
        answer = call(strapi, "PUT", f"teams/{ref(team)}?populate[0]=grades", {"data": {"grades": value}})
        shown = read(answer)["data"]
        grades = shown["grades"] if version == 5 else shown["attributes"]["grades"]["data"]
        return [entry.get("attributes", entry)["gradeName"] for entry in grades]

    def item(entry: Any) -> Any:
        return {"id": entry["id"]} if version == 4 else entry["documentId"]

    assert write({"connect": [item(two)]}) == ["A", "B"]
    assert write({"disconnect": [item(one)]}) == ["B"]
    assert write({"set": [item(three)], "connect": [item(one)]}) == ["C"]
    assert write([ref(one), ref(two)]) == ["A", "B"]
    assert write([]) == []


def test_numbers_and_document_ids_as_references(strapi: Strapi, version: int) -> None:
    grade = create(strapi, "grades", gradeName="A")
    by_number = call(strapi, "POST", "teams", {"data": {"grades": [grade["id"]]}})
    assert by_number.status in (200, 201)
    by_document = call(strapi, "POST", "teams", {"data": {"grades": ["k2x0000000000000000000aa"]}})
    assert error(by_document)[:2] == (400, "ValidationError")
    unknown = call(strapi, "POST", "teams", {"data": {"grades": {"disconnect": [{"id": 999}]}}})
    assert unknown.status in (200, 201)
    deleted = {"data": {"grades": {"disconnect": ["k2x0000000000000000000aa"]}}}
    assert version == 4 or call(strapi, "POST", "teams", deleted).status == 400


def test_a_relation_to_one_lets_go_of_the_former(strapi: Strapi, version: int) -> None:
    one, two = (create(strapi, "clubs", Name=name) for name in "AB")
    team = create(strapi, "teams", club=ref(one))
    shown = read(call(strapi, "PUT", f"teams/{ref(team)}?populate[0]=club", {"data": {"club": ref(two)}}))[
        "data"
    ]
    club = shown["club"] if version == 5 else shown["attributes"]["club"]["data"]
    assert club.get("attributes", club)["Name"] == "B"
    assert names(strapi, "filters[teams][id][$notNull]=true", "clubs", "Name") == ["B"]


def test_puts_are_partial_and_always_move_the_time(strapi: Strapi) -> None:
    team = create(strapi, "teams", teamName="Hawks", teamID="3f00aa10")
    again = read(call(strapi, "PUT", f"teams/{ref(team)}", {"data": {"teamName": "Hawks"}}))["data"]
    old, new = team.get("attributes", team), again.get("attributes", again)
    assert (new["teamName"], new["teamID"]) == ("Hawks", "3f00aa10")
    assert new["updatedAt"] > old["updatedAt"]
    assert call(strapi, "PUT", "teams/999", {"data": {}}).status == 404


def test_deleting_tells_the_truth_in_v4_only() -> None:
    four, five = Strapi(4), Strapi(5)
    old, new = create(four, "grades", gradeName="A"), create(five, "grades", gradeName="A")
    assert [call(four, "DELETE", f"grades/{old['id']}").status for _ in range(2)] == [200, 404]
    assert (call(five, "DELETE", f"grades/{new['id']}").status, names(five, "")) == (204, ["A"])
    assert call(five, "GET", f"grades/{new['id']}").status == 404
    assert call(five, "PUT", f"grades/{new['id']}", {"data": {}}).status == 404
    answers = [call(five, "DELETE", f"grades/{new['documentId']}") for _ in range(2)]
    assert [(answer.status, answer.body) for answer in answers] == [(204, b"")] * 2
    assert names(five, "") == []


def test_pages_are_capped_at_a_hundred_without_a_word(strapi: Strapi) -> None:
    for number in range(130):
        create(strapi, "grades", gradeName=f"{number:03d}")
    first = read(call(strapi, "GET", "grades"))["meta"]["pagination"]
    assert first == {"page": 1, "pageSize": 25, "pageCount": 6, "total": 130}
    capped = read(
        call(strapi, "GET", "grades?pagination[pageSize]=500&sort[0]=gradeName:asc&pagination[page]=2")
    )
    assert capped["meta"]["pagination"] == {"page": 2, "pageSize": 100, "pageCount": 2, "total": 130}
    assert len(capped["data"]) == 30
    offset = read(call(strapi, "GET", "grades?pagination[start]=120&pagination[limit]=50"))
    assert offset["meta"]["pagination"] == {"start": 120, "limit": 50, "total": 130}
    assert call(strapi, "GET", "grades?pagination[start]=1&pagination[page]=1").status == 400


def test_rows_without_a_sort_come_in_any_order(strapi: Strapi) -> None:
    for name in "ABCDEFGH":
        create(strapi, "grades", gradeName=name)
    assert len({tuple(names(strapi, "")) for _ in range(4)}) > 1
    assert names(strapi, "sort[0]=gradeName:desc&pagination[pageSize]=3") == ["H", "G", "F"]
    assert names(strapi, "sort=id:asc")[0] == "A"


@pytest.mark.parametrize("spell", [lambda i: f"[{i}]", lambda _: "[]"])
def test_more_than_a_hundred_values_drop_the_filter(strapi: Strapi, spell: Callable[[int], str]) -> None:
    for number in range(3):
        create(strapi, "grades", gradeId=f"g{number}")

    def total(count: int) -> int:
        query = "&".join(f"filters[gradeId][$in]{spell(i)}=g{i}" for i in range(1, count + 1))
        return int(read(call(strapi, "GET", f"grades?{query}"))["meta"]["pagination"]["total"])

    assert total(100) == 2
    assert total(101) == 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filters[gradeName][$eq]=B", "B"),
        ("filters[gradeName]=B", "B"),
        ("filters[gradeName][$eqi]=b", "B"),
        ("filters[gradeName][$ne]=B", "AC"),
        ("filters[gradeName][$gte]=B", "BC"),
        ("filters[gradeName][$between][0]=A&filters[gradeName][$between][1]=B", "AB"),
        ("filters[gradeName][$notIn][0]=A&filters[gradeName][$notIn][1]=C", "B"),
        ("filters[$or][0][gradeName]=A&filters[$or][1][gradeName]=C", "AC"),
        ("filters[$not][gradeName]=A", "BC"),
        ("filters[gradeId][$null]=true", "C"),
        ("filters[gradeId][$notNull]=true", "AB"),
        ("filters[gradeId][$startsWith]=x", "AB"),
        ("filters[teams][teamName][$eq]=Hawks", "A"),
        ("filters[id][$in][0]=1&filters[id][$in][1]=3", "AC"),
    ],
)
def test_filters(strapi: Strapi, query: str, expected: str) -> None:
    first = create(strapi, "grades", gradeName="A", gradeId="x1")
    create(strapi, "grades", gradeName="B", gradeId="x2")
    create(strapi, "grades", gradeName="C")
    create(strapi, "teams", teamName="Hawks", grades=[ref(first)])
    assert "".join(names(strapi, f"{query}&sort=gradeName")) == expected


def test_unknown_names_are_refused_or_dropped_by_version() -> None:
    recent, older, five = Strapi(4), Strapi(4, is_lenient=True), Strapi(5)
    for strapi in (recent, older, five):
        create(strapi, "grades", gradeName="A")
    for query in ("filters[nonsense]=1", "sort[0]=nonsense", "fields[0]=nonsense"):
        assert call(older, "GET", f"grades?{query}").status == 200
        assert error(call(recent, "GET", f"grades?{query}"))[2].startswith("Invalid parameter")
        assert error(call(five, "GET", f"grades?{query}"))[2].startswith("Invalid key")
    for query in ("populate[0]=nonsense", "filters[gradeName][$nonsense]=1"):
        assert call(recent, "GET", f"grades?{query}").status == 200
        assert call(five, "GET", f"grades?{query}").status == 400
    assert call(recent, "POST", "grades", {"data": {"nonsense": 1}}).status == 200
    for name in ("nonsense", "id", "createdAt"):
        assert error(call(five, "POST", "grades", {"data": {name: 1}}))[2] == f"Invalid key {name}"


@pytest.mark.parametrize(
    ("collection", "field", "value", "status"),
    [
        ("game-meta-datas", "finalDaysPlay", "2031-10-18T22:00:00+11:00", 200),
        ("game-meta-datas", "finalDaysPlay", "18/10/2031", 400),
        ("game-meta-datas", "finalDaysPlay", "", 400),
        ("game-meta-datas", "dayOne", "2031-10-18T02:00:00.123Z", 200),
        ("game-meta-datas", "dayOne", "soon", 400),
        ("game-meta-datas", "isDeleted", "yes", 400),
        ("game-meta-datas", "round", 3, 400),
        ("data-collections", "TimeTaken", 2**31, 500),
        ("data-collections", "TimeTaken", "1", 400),
    ],
)
def test_columns_check_their_values(
    strapi: Strapi, collection: str, field: str, value: Any, status: int
) -> None:
    answer = call(strapi, "POST", collection, {"data": {field: value}})
    if status == 200:
        entry = read(answer)["data"]
        assert entry.get("attributes", entry)[field] in ("2031-10-18", "2031-10-18T02:00:00.123Z")
    else:
        assert answer.status == status
        details = json.loads(answer.body)["error"]["details"]
        # Of a day or a moment it does not say which column.
        is_vague = status == 500 or field in ("finalDaysPlay", "dayOne")
        assert details == {} if is_vague else details["errors"][0]["path"] == [field]


def test_long_texts_and_json_texts_differ_by_version() -> None:
    four, five = Strapi(4), Strapi(5)
    long = {"data": {"gradeName": "x" * 256}}
    assert (call(four, "POST", "grades", long).status, call(five, "POST", "grades", long).status) == (
        500,
        400,
    )
    assert create(four, "grades", ladder="[1]")["attributes"]["ladder"] == "[1]"
    assert create(five, "grades", ladder="[1]")["ladder"] == [1]
    assert call(five, "POST", "grades", {"data": {"ladder": "text"}}).status == 500


def test_bad_bodies_and_tokens_have_their_names(strapi: Strapi) -> None:
    assert error(call(strapi, "POST", "grades", {"gradeName": "A"}))[:2] == (400, "ValidationError")
    assert call(strapi, "POST", "grades", {"data": []}).status == 400
    broken = strapi.answer(Request("POST", f"{strapi.prefix}grades", BEARER, b"{"))
    assert error(broken)[:2] == (400, "SyntaxError")
    assert error(call(strapi, "GET", "nonsense"))[:2] == (404, "NotFoundError")
    assert call(strapi, "PATCH", "grades").status == 405
    for token, status in (("", 403), ("Bearer wrong", 401), ("Bearer read-only", 403)):
        assert call(strapi, "POST", "grades", {"data": {}}, authorization=token).status == status
    assert call(strapi, "GET", "grades", authorization="Bearer read-only").status == 200


def test_publishing_in_v5_gives_a_new_number_each_time() -> None:
    five = Strapi(5, has_drafts=True)
    entry = create(five, "grades", gradeName="A")
    path = f"grades/{entry['documentId']}"
    again = read(call(five, "PUT", path, {"data": {"gradeName": "B"}}))["data"]
    assert again["id"] != entry["id"]
    read(call(five, "PUT", f"{path}?status=draft", {"data": {"gradeName": "C"}}))
    assert read(call(five, "GET", path))["data"]["gradeName"] == "B"
    draft = read(call(five, "GET", f"{path}?status=draft"))["data"]
    assert (draft["gradeName"], draft["publishedAt"]) == ("C", None)
    assert read(call(five, "PUT", path, {"data": {}}))["data"]["gradeName"] == "C"


def test_drafts_hide_until_they_are_asked_for() -> None:
    five, four = Strapi(5, has_drafts=True), Strapi(4, has_drafts=True)
    draft = read(call(five, "POST", "grades?status=draft", {"data": {"gradeName": "A"}}))["data"]
    assert call(five, "GET", f"grades/{draft['documentId']}").status == 404
    assert names(five, "status=draft") == ["A"]
    assert names(five, "") == []
    kept = create(four, "grades", gradeName="A", publishedAt=None)
    assert kept["attributes"]["publishedAt"] is None
    assert names(four, "") == []
    assert names(four, "publicationState=preview") == ["A"]
    assert call(four, "GET", f"grades/{kept['id']}").status == 200


def test_the_v4_form_can_be_asked_of_v5() -> None:
    five = Strapi(5)
    entry = create(five, "grades", gradeName="A")
    answer = call(five, "GET", f"grades/{entry['documentId']}", strapi_response_format="v4")
    shown = read(answer)["data"]
    assert shown["documentId"] == entry["documentId"]
    assert shown["attributes"]["gradeName"] == "A"


def test_the_light_list_of_games_keeps_to_teams_and_days(strapi: Strapi) -> None:
    team, other = (create(strapi, "teams", teamName=name) for name in "AB")
    for game_id, day, side in (
        ("g1", "2031-10-18", team),
        ("g2", "2031-12-18", team),
        ("g3", "2031-10-18", other),
    ):
        create(strapi, "game-meta-datas", gameID=game_id, dayOne=f"{day}T00:00:00Z", teams=[ref(side)])
    query = f"teamIds[]={team['id']}&fromDate=2031-10-01&toDate=2031-10-31&page=1&pageSize=500"
    told = read(call(strapi, "GET", f"fixtures/validation?{query}"))
    assert [game["gameID"] for game in told["data"]] == ["g1"]
    assert told["meta"]["pagination"]["pageSize"] == 500
