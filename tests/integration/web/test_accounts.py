from __future__ import annotations

import json

import httpx
import pytest

from stores.sql.accounts import AccountFilter
from tests.integration.web.conftest import ASSOCIATION_ID, CLUB_ID, Site

ACCOUNTS = "/api/v1/accounts"
OTHER_ID = "11111111-2222-4333-8444-555555555555"
THIRD_ID = "22222222-2222-4333-8444-555555555555"


def ids(answer: httpx.Response) -> list[int]:
    return [account["id"] for account in answer.json()["items"]]


def test_accounts_come_in_pages(client: httpx.Client) -> None:
    first = client.get(ACCOUNTS, params={"limit": 1})
    second = client.get(ACCOUNTS, params={"limit": 1, "cursor": first.json()["next_cursor"]})
    assert (ids(first), ids(second)) == ([1], [2])
    assert second.json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("params", "expected"),
    [({"type": "club"}, [1]), ({"q": "north"}, [2]), ({"organisation_id": CLUB_ID}, [1]), ({"tag": "x"}, [])],
)
def test_filters_narrow_the_list(client: httpx.Client, params: dict[str, str], expected: list[int]) -> None:
    assert ids(client.get(ACCOUNTS, params=params)) == expected


@pytest.mark.parametrize("cursor", ["x", "bnVsbA==", "é", "WyJhIl0=", "W10="])
def test_a_foreign_cursor_is_a_mistake(client: httpx.Client, cursor: str) -> None:
    answer = client.get(ACCOUNTS, params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/cursor"


def test_an_account_is_added_and_audited(client: httpx.Client, site: Site) -> None:
    body = {
        "type": "club",
        "name": "City",
        "organisation": OTHER_ID.upper(),
        "associations": [ASSOCIATION_ID],
    }
    answer = client.post(ACCOUNTS, json=body)
    assert answer.status_code == 201
    shown = client.get(answer.headers["location"]).json()
    assert (shown["name"], shown["organisation_id"]) == ("City", OTHER_ID)
    assert shown["association_ids"] == [ASSOCIATION_ID]
    (line,) = site.stores.audit.list(limit=9).items
    assert (line.actor, line.source, line.action) == ("local", "api", "account_added")


def test_every_mistake_of_a_new_account_is_listed(client: httpx.Client) -> None:
    body = {"type": "team", "name": "", "organisation": "abc", "provider": "nobody"}
    answer = client.post(ACCOUNTS, json=body)
    assert answer.status_code == 422
    pointers = {mistake["pointer"] for mistake in answer.json()["errors"]}
    assert pointers == {"/type", "/name", "/organisation", "/provider"}


def test_an_organisation_has_one_account(client: httpx.Client) -> None:
    answer = client.post(ACCOUNTS, json={"type": "club", "name": "Rovers", "organisation": CLUB_ID})
    assert answer.status_code == 422
    assert "has account 1 already" in answer.text


def test_a_csv_is_imported(client: httpx.Client) -> None:
    text = f'Type,Name,organisation,associations,tags\nclub,City,{OTHER_ID},"{ASSOCIATION_ID}","a, b"\n'
    answer = client.post(f"{ACCOUNTS}/import", content=text, headers={"Content-Type": "text/csv"})
    assert (answer.status_code, answer.json()) == (201, {"imported": 1, "ids": [3]})
    assert client.get(f"{ACCOUNTS}/3").json()["tags"] == ["a", "b"]


def test_json_lines_are_imported(client: httpx.Client) -> None:
    lines = [
        {"type": "club", "name": "City", "organisation": OTHER_ID, "tags": ["a"]},
        {"type": "association", "name": "Southern", "provider": "playhq", "organisation": THIRD_ID},
    ]
    content = "\n".join(map(json.dumps, lines))
    assert client.post(f"{ACCOUNTS}/import", content=content).json()["imported"] == 2


def test_nothing_is_imported_unless_every_line_is_right(client: httpx.Client, site: Site) -> None:
    text = (
        "type,name,organisation\n"
        f"club,City,{OTHER_ID}\n"
        f"team,,{THIRD_ID}\n"
        f"club,City again,{OTHER_ID}\n"
        f"club,Rovers,{CLUB_ID}\n"
        "club,Town,not-an-id\n"
    )
    answer = client.post(f"{ACCOUNTS}/import", content=text)
    assert answer.status_code == 422
    details = [mistake["detail"] for mistake in answer.json()["errors"]]
    assert [detail.partition(":")[0] for detail in details] == [
        "line 3",
        "line 3",
        "line 4",
        "line 5",
        "line 6",
    ]
    assert "in line 2 already" in details[2]
    assert site.stores.accounts.count(AccountFilter()) == 2


@pytest.mark.parametrize("content", [b"", b"type,name,organisation\n", b"{", b"{}\n[]\n", b'a"b\n"', b"\xff"])
def test_what_is_no_list_of_accounts_is_a_mistake(client: httpx.Client, content: bytes) -> None:
    assert client.post(f"{ACCOUNTS}/import", content=content).status_code in (400, 422)
