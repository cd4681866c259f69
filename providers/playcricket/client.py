"""Play-Cricket's API v3: addresses, parameters, paging and nothing of what the records mean."""

from __future__ import annotations

from typing import Any

from providers.playcricket.wire import Competitions, CompetitionTeams, Leagues, LeagueTables, Page
from providers.ports import Fetches
from sync.errors import UnexpectedResponse
from sync.report import RequestCounts

# A league site has 1,000 results or more a season; the size of a page is not documented.
MAX_PAGES = 200
# Each call of a table recalculates it; leagues hardly change at all.
TABLE_LASTS_S = 3600.0
LEAGUES_LAST_S = 24 * 3600.0


class PlayCricketClient:
    """One run's calls. Every method raises what `Fetcher.fetch` raises."""

    def __init__(self, fetcher: Fetches) -> None:
        self._fetcher = fetcher

    @property
    def requests(self) -> RequestCounts:
        return self._fetcher.requests

    def fetch_leagues(self) -> list[Any]:
        return self._fetcher.fetch(
            "/league_sites.json", Leagues, operation="fetch leagues", lasts_s=LEAGUES_LAST_S
        ).leagues

    def fetch_competitions(self, league_id: str, year: str, kind: str) -> list[Any]:
        """`kind` is "divisions" or "cups"."""
        return self._fetcher.fetch(
            "/competitions.json",
            Competitions,
            operation=f"fetch {kind} of league {league_id} in {year}",
            params=(("league_id", league_id), ("season", year), ("competition_type", kind)),
        ).competitions

    def fetch_competition_teams(self, competition_id: str) -> list[Any]:
        return self._fetcher.fetch(
            "/competition_teams.json",
            CompetitionTeams,
            operation=f"fetch teams of competition {competition_id}",
            params=(("id", competition_id),),
        ).competition_teams

    def fetch_matches(self, site_id: str, year: str, *narrowing: tuple[str, str]) -> list[Any]:
        """Fixtures of a site in a year; `narrowing` is ("division_id", …) or ("cup_id", …)."""
        return self._fetch_pages("matches", site_id, year, narrowing)

    def fetch_results(self, site_id: str, year: str, *narrowing: tuple[str, str]) -> list[Any]:
        return self._fetch_pages("result_summary", site_id, year, narrowing)

    def fetch_table(self, division_id: str) -> list[Any]:
        return self._fetcher.fetch(
            "/league_table.json",
            LeagueTables,
            operation=f"fetch table of division {division_id}",
            params=(("division_id", division_id),),
            lasts_s=TABLE_LASTS_S,
        ).league_table

    def _fetch_pages(
        self, endpoint: str, site_id: str, year: str, narrowing: tuple[tuple[str, str], ...]
    ) -> list[Any]:
        """All items of all pages; a set that cannot be completed is an error, never a part."""
        of = ", ".join(f"{name} {value}" for name, value in (("site", site_id), *narrowing))
        operation = f"fetch {endpoint} of {of} in {year}"
        items: list[Any] = []
        before: list[Any] = []
        for number in range(1, MAX_PAGES + 1):
            page = self._fetcher.fetch(
                f"/{endpoint}.json",
                Page,
                operation=f"{operation}, page {number}",
                params=(("site_id", site_id), ("season", year), *narrowing, ("page", str(number))),
            )
            if page.data and page.data == before:
                raise UnexpectedResponse(f"{operation}: page {number} repeats the page before")
            before = page.data
            items += page.data
            if not page.has_next_page:
                return items
            if not page.data:
                raise UnexpectedResponse(f"{operation}: page {number} is empty, and more are announced")
        raise UnexpectedResponse(f"{operation}: no end after {MAX_PAGES} pages")
