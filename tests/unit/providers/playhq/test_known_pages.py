"""Pages of a listing that was read before are asked side by side; only what they lead to now counts."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Barrier
from typing import Any

import msgspec

from providers.playhq.client import PlayHQClient
from providers.playhq.wire import Page
from providers.ports import Params
from sync.errors import NotFound
from sync.report import RequestCounts

PATIENCE_S = 30.0


def page(*items: str, then: str | None = None) -> Page:
    listing = {"data": list(items), "metadata": {"hasMore": then is not None, "nextCursor": then}}
    return msgspec.convert(listing, Page)


class Provider:
    """Pages by cursor, those of the last listing and those of now; the first asks meet at a barrier."""

    def __init__(self, last: dict[str, Page], now: dict[str, Page], *, at_once: int) -> None:
        self.last = last
        self.now = now
        self.asked: list[str] = []
        self.barrier = Barrier(at_once, timeout=PATIENCE_S)

    @property
    def requests(self) -> RequestCounts:
        return RequestCounts(sent=len(self.asked))

    def recall(self, path: str, shape: type[Any], *, params: Params = ()) -> Any:
        return self.last.get(dict(params).get("cursor", ""))

    def fetch(
        self,
        path: str,
        shape: type[Any],
        *,
        operation: str,
        params: Params = (),
        is_hint: bool = False,
        lasts_s: float = 0.0,
    ) -> Any:
        cursor = dict(params).get("cursor", "")
        self.asked.append(cursor)
        if "known before" in operation:
            self.barrier.wait()
        if cursor not in self.now:
            raise NotFound(operation)
        return self.now[cursor]

    @property
    def at_once(self) -> int:
        return 1

    def fetch_digest(self, path: str, shape: type[Any], *, operation: str) -> str:
        raise NotImplementedError

    def recall_digests(self, paths: Sequence[str]) -> Sequence[str | None]:
        raise NotImplementedError


def test_known_pages_are_asked_side_by_side() -> None:
    pages = {"": page("a", then="2"), "2": page("b", then="3"), "3": page("c")}
    provider = Provider(pages, pages, at_once=3)
    assert PlayHQClient(provider).fetch_teams("season") == ["a", "b", "c"]
    assert sorted(provider.asked[:3]) == ["", "2", "3"]


def test_a_listing_that_has_other_pages_now_is_read_by_its_own_cursors() -> None:
    last = {"": page("a", then="2"), "2": page("b")}
    now = {"": page("a", then="x"), "x": page("c")}
    provider = Provider(last, now, at_once=2)
    assert PlayHQClient(provider).fetch_teams("season") == ["a", "c"]


def test_one_page_is_not_asked_twice() -> None:
    provider = Provider({"": page("a")}, {"": page("a")}, at_once=1)
    assert PlayHQClient(provider).fetch_teams("season") == ["a"]
    assert provider.asked == [""]
