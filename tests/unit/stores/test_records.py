"""Records survive the way through JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from stores.sql.records import field_documents, from_document, to_document
from sync.changes import FieldChange
from sync.model import GameDay, Record, Season
from tests.records import game, grade, ladder, season, team

RECORDS: tuple[Record, ...] = (season(), grade(), team(), game(), ladder())


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_record_comes_back_from_json(record: Record) -> None:
    text = json.dumps(to_document(record))

    assert from_document(type(record), json.loads(text)) == record


def test_days_and_times_are_written_for_readers() -> None:
    day = to_document(game())["days"][0]

    assert (day["day"], day["start"], day["utc"]) == ("2031-10-18", "11:00", "2031-10-18T00:00:00Z")


def test_odd_seconds_are_kept() -> None:
    days = (replace(game().days[0], start=time(11, 0, 30)),)

    assert from_document(type(game()), to_document(game(days=days))).days == days


def test_hint_of_a_season_is_not_stored() -> None:
    hinted = season(updated_at=datetime(2031, 10, 1, tzinfo=UTC))

    assert "updated_at" not in to_document(hinted)
    assert from_document(Season, to_document(hinted)).updated_at is None


def test_ladder_keeps_the_order_of_its_columns() -> None:
    row = to_document(ladder())["rows"][0]

    assert list(row["values"]) == ["W", "NRR", "FORM", "BYE"]


def test_field_that_holds_days_is_written_like_the_record() -> None:
    changed = FieldChange("days", (), game().days)
    (document,) = field_documents([changed])

    assert document["before"] == ()
    assert [day["start"] for day in document["after"]] == ["11:00", None]


def test_field_documents_can_be_written_again() -> None:
    once = field_documents([FieldChange("days", game().days, ())])
    again = field_documents([FieldChange(**document) for document in once])

    assert again[0]["before"][0]["start"] == "11:00"


def test_game_day_without_a_time_stays_without() -> None:
    days = (GameDay(day=game().days[0].day),)

    assert from_document(type(game()), to_document(game(days=days))).days == days
