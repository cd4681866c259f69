"""A provider from somebody else's package: one association, one season, nothing played yet."""

from __future__ import annotations

from datetime import datetime

from providers.outbound import Outbound
from settings.schema import Settings
from sync.model import Grade, Ladder, Organisation, Season, Team
from sync.ports import Fixture, Listing
from sync.report import RequestCounts


class GolfSource:
    @property
    def requests(self) -> RequestCounts:
        return RequestCounts()

    def fetch_seasons(self, organisation: Organisation) -> Listing[Season]:
        season = Season(
            id="golf-1",
            name="Spring",
            status="ACTIVE",
            competition_id=None,
            competition_name=None,
            association_id=organisation.id,
        )
        return Listing([season])

    def fetch_grades(self, season: Season) -> Listing[Grade]:
        return Listing([Grade(id="golf-grade-1", name="Pennant", season_id=season.id)])

    def fetch_teams(self, season: Season) -> Listing[Team]:
        return Listing([Team(id="golf-team-1", name="Links", season_id=season.id, grade_id="golf-grade-1")])

    def fetch_fixture(self, grade: Grade) -> Fixture:
        return Fixture(games=[])

    def fetch_ladders(self, grade: Grade) -> Listing[Ladder]:
        return Listing([])


def open_source(
    settings: Settings, outbound: Outbound, *, fresh_after: datetime, is_urgent: bool
) -> GolfSource:
    """The entry point `golf` of `clubsync.providers`; invented data need no way out."""
    return GolfSource()
