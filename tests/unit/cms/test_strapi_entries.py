"""One shape for the entries of both versions."""

from __future__ import annotations

from typing import Any

import pytest

from cms.strapi.entries import Version, connection, read_entry
from sync.errors import UnexpectedResponse

V4: dict[str, Any] = {
    "id": 41,
    "attributes": {
        "gameID": "e1e1e1e1",
        "dateRangeObj": [{"id": 1}],
        "teams": {"data": [{"id": 7, "attributes": {"teamName": "Hawks"}}]},
        "grade": {"data": None},
    },
}
V5: dict[str, Any] = {
    "id": 88,
    "documentId": "abcdefghijklmnopqrstuvwx",
    "gameID": "e1e1e1e1",
    "dateRangeObj": [{"id": 1}],
    "teams": [{"id": 19, "documentId": "bcdefghijklmnopqrstuvwxy", "teamName": "Hawks"}],
    "grade": None,
}
V5_IN_V4_FORM: dict[str, Any] = {**V4, "documentId": "abcdefghijklmnopqrstuvwx"}
RELATIONS = ("teams", "grade", "hidden")


@pytest.mark.parametrize(
    ("raw", "version", "ref", "team_ref"),
    [
        (V4, Version.V4, "41", "7"),
        (V5, Version.V5, "abcdefghijklmnopqrstuvwx", "bcdefghijklmnopqrstuvwxy"),
        (V5_IN_V4_FORM, Version.V5, "abcdefghijklmnopqrstuvwx", "7"),
    ],
)
def test_entries_of_both_versions_look_the_same(
    raw: dict[str, Any], version: Version, ref: str, team_ref: str
) -> None:
    entry = read_entry(raw, RELATIONS)

    assert (entry.version, entry.ref) == (version, ref)
    assert entry.fields["gameID"] == "e1e1e1e1"
    assert entry.fields["dateRangeObj"] == [{"id": 1}]
    assert [(team.ref, team.fields["teamName"]) for team in entry.relations["teams"]] == [(team_ref, "Hawks")]
    assert entry.relations["grade"] == ()
    assert "hidden" not in entry.relations


def test_number_spelled_as_a_text_is_a_number() -> None:
    assert read_entry({"id": "41", "attributes": {}}).number == 41


@pytest.mark.parametrize("raw", [None, [], {"id": "x"}, {"attributes": {}}, "x"])
def test_what_is_no_entry_is_refused(raw: Any) -> None:
    with pytest.raises(UnexpectedResponse):
        read_entry(raw)


def test_relations_are_connected_and_disconnected_never_set() -> None:
    assert connection(Version.V4, ["3"]) == {"connect": [{"id": 3}]}
    assert connection(Version.V5, ["a"], ["b"]) == {"connect": ["a"], "disconnect": ["b"]}
