"""PlayHQ's public API: paths, paging and nothing of what the records mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from providers.playhq.wire import GradeGames, GradeLadders, OldGradeLadders, Page, UnpagedList
from providers.ports import Fetches, Params
from sync.concurrency import InThreads
from sync.errors import NotFound, UnexpectedResponse
from sync.report import RequestCounts

# The largest known season has 10 pages of about 100 teams.
MAX_PAGES = 100
# The quota decides how many of them go out; more would only wait.
PAGES_AT_ONCE = 8


class PlayHQClient:
    """One run's calls. Every method raises what `Fetcher.fetch` raises."""

    def __init__(self, fetcher: Fetches) -> None:
        self._fetcher = fetcher

    @property
    def requests(self) -> RequestCounts:
        return self._fetcher.requests

    @property
    def at_once(self) -> int:
        return self._fetcher.at_once

    def fetch_seasons(self, organisation_id: str) -> list[Any]:
        return self._fetch_pages(
            f"/v1/organisations/{quote(organisation_id, safe='')}/seasons",
            f"fetch seasons of organisation {organisation_id}",
        )

    def fetch_registrations(self, organisation_id: str) -> list[Any]:
        """Open registration forms; undocumented, so it is asked once and never insisted on."""
        return self._fetcher.fetch(
            f"/v1/organisations/{quote(organisation_id, safe='')}/registrations",
            UnpagedList,
            operation=f"fetch registrations of organisation {organisation_id}",
            is_hint=True,
        ).data

    def fetch_grades(self, season_id: str) -> list[Any]:
        return self._fetch_pages(
            f"/v1/seasons/{quote(season_id, safe='')}/grades", f"fetch grades of season {season_id}"
        )

    def fetch_teams(self, season_id: str) -> list[Any]:
        return self._fetch_pages(
            f"/v1/seasons/{quote(season_id, safe='')}/teams", f"fetch teams of season {season_id}"
        )

    def fetch_games(self, grade_id: str) -> GradeGames:
        path, operation = _games_of(grade_id)
        return self._fetcher.fetch(path, GradeGames, operation=operation)

    def fetch_games_digest(self, grade_id: str) -> str:
        """Of the answer that `fetch_games` reads."""
        path, operation = _games_of(grade_id)
        return self._fetcher.fetch_digest(path, GradeGames, operation=operation)

    def recall_digests(self, grade_ids: Sequence[str]) -> Sequence[tuple[str | None, str | None]]:
        """Of each grade what `fetch_games_digest` and `fetch_ladders_digest` would answer, if it is at hand.

        Empty for what the provider does not know.
        """
        paths = [path for grade_id in grade_ids for path, _ in (_games_of(grade_id), _ladders_of(grade_id))]
        digests = self._fetcher.recall_digests(paths)
        return list(zip(digests[::2], digests[1::2], strict=True))

    def fetch_flat_games(self, grade_id: str) -> list[Any]:
        """Version 1; wrong for cricket, whose innings it adds together."""
        return self._fetch_pages(
            f"/v1/grades/{quote(grade_id, safe='')}/games", f"fetch games (v1) of grade {grade_id}"
        )

    def fetch_ladders(self, grade_id: str) -> list[Any]:
        path, operation = _ladders_of(grade_id)
        return self._fetcher.fetch(path, GradeLadders, operation=operation).ladders or []

    def fetch_ladders_digest(self, grade_id: str) -> str:
        """Of the answer that `fetch_ladders` reads."""
        path, operation = _ladders_of(grade_id)
        return self._fetcher.fetch_digest(path, GradeLadders, operation=operation)

    def fetch_old_ladders(self, grade_id: str) -> list[Any]:
        """Version 1, for sports other than cricket."""
        answer = self._fetcher.fetch(
            f"/v1/grades/{quote(grade_id, safe='')}/ladder",
            OldGradeLadders,
            operation=f"fetch ladders (v1) of grade {grade_id}",
        )
        ladders = answer.data.get("ladders")
        return ladders if isinstance(ladders, list) else []

    def _fetch_pages(self, path: str, operation: str) -> list[Any]:
        """All items of all pages; a set that cannot be completed is an error, never a part."""
        self._ask_known_pages(path, operation)
        items: list[Any] = []
        params: Params = ()
        cursors: set[str] = set()
        for page_number in range(1, MAX_PAGES + 1):
            page = self._fetcher.fetch(
                path, Page, operation=f"{operation}, page {page_number}", params=params
            )
            items += page.data
            if not page.metadata.has_more:
                return items
            cursor = page.metadata.cursor
            if not cursor:
                raise UnexpectedResponse(f"{operation}: more pages are announced without a cursor")
            if cursor in cursors:
                raise UnexpectedResponse(f"{operation}: the cursor of page {page_number} came before")
            cursors.add(cursor)
            params = (("cursor", cursor),)
        raise UnexpectedResponse(f"{operation}: no end after {MAX_PAGES} pages")

    def _ask_known_pages(self, path: str, operation: str) -> None:
        """Ask the pages of the last listing side by side, so that going through them waits for one only.

        Nothing is taken from them here: whether the listing still has these pages, its own cursors tell.
        """

        def ask(params: Params) -> None:
            try:
                self._fetcher.fetch(path, Page, operation=f"{operation}, a page known before", params=params)
            except (NotFound, UnexpectedResponse):
                # Then the listing has other pages by now.
                return

        known = self._known_pages(path)
        if len(known) > 1:
            for _ in InThreads(PAGES_AT_ONCE)(ask, known):
                pass

    def _known_pages(self, path: str) -> list[Params]:
        """The first page and those that its cursors led to at the last listing."""
        known: list[Params] = []
        params: Params = ()
        while params not in known and (page := self._fetcher.recall(path, Page, params=params)) is not None:
            known.append(params)
            if not page.metadata.has_more or not page.metadata.cursor:
                break
            params = (("cursor", page.metadata.cursor),)
        return known


def _games_of(grade_id: str) -> tuple[str, str]:
    """Path and operation."""
    return f"/v2/grades/{quote(grade_id, safe='')}/games", f"fetch games of grade {grade_id}"


def _ladders_of(grade_id: str) -> tuple[str, str]:
    """Path and operation."""
    return f"/v2/grades/{quote(grade_id, safe='')}/ladder", f"fetch ladders of grade {grade_id}"
