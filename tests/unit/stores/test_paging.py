"""Pages and their cursors."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stores.sql.paging import Page, cut_page, read_cursor
from sync.errors import InvalidRequest


def test_last_page_has_no_cursor() -> None:
    assert cut_page([1, 2], 2, lambda row: (row,)) == Page([1, 2], None)


def test_cursor_holds_the_position_of_the_last_shown_row() -> None:
    at = datetime(2031, 10, 18, 12, 0, 0, 250, tzinfo=UTC)
    page = cut_page([(at, "a"), (at, "b"), (at, "c")], 2, lambda row: row)

    assert len(page.items) == 2
    assert page.next_cursor is not None
    assert read_cursor(page.next_cursor, tuple[datetime, str]) == (at, "b")


@pytest.mark.parametrize("cursor", ["", "x", "not a cursor", "W10=", "ä"])
def test_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        read_cursor(cursor, tuple[int])


def test_page_can_show_its_items_otherwise() -> None:
    assert Page([1, 2], "next").map(str) == Page(["1", "2"], "next")
