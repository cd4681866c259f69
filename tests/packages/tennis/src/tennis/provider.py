"""A provider with one association: a season, two teams and the game between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from providers.ports import Opens
from settings.schema import Settings
from sync.model import Game, GameDay, Grade, Ladder, LadderRow, Organisation, Season, Team
from sync.ports import Fixture, Listing
from sync.report import RequestCounts


@dataclass
class TennisSource:
    """A real one would ask `outbound` for a fetcher and count what it sends."""

    requests: RequestCounts

    def fetch_seasons(self, organisation: Organisation) -> Listing[Season]:
        season = Season(
            id="summer",
            name="Summer",
            status="ACTIVE",
            competition_id="pennant",
            competition_name="Pennant",
            association_id=organisation.id,
        )
        return Listing([season])

    def fetch_grades(self, season: Season) -> Listing[Grade]:
        return Listing([Grade(id="singles", name="Singles", season_id=season.id)])

    def fetch_teams(self, season: Season) -> Listing[Team]:
        names = {"baseliners": "Baseliners", "volleyers": "Volleyers"}
        return Listing(
            [
                Team(id=team_id, name=name, season_id=season.id, grade_id="singles")
                for team_id, name in names.items()
            ]
        )

    def fetch_fixture(self, grade: Grade) -> Fixture:
        day = GameDay(
            day=date(2031, 10, 18),
            start=time(9, 0),
            zone="Australia/Melbourne",
            utc=datetime(2031, 10, 17, 22, 0, tzinfo=UTC),
            ground="Court 1",
            venue=None,
        )
        game = Game(
            id="final",
            grade_id=grade.id,
            round="Final",
            status="UPCOMING",
            type="singles",
            home_id="baseliners",
            away_id="volleyers",
            days=(day,),
        )
        return Fixture(games=[game])

    def fetch_ladders(self, grade: Grade) -> Listing[Ladder]:
        row = LadderRow(position=1, team_id="baseliners", values={"PTS": 4})
        return Listing([Ladder(grade_id=grade.id, rows=(row,))])


def open_source(
    settings: Settings, outbound: Opens, *, fresh_after: datetime, is_urgent: bool
) -> TennisSource:
    """The entry point `tennis` of `clubsync.providers`; these data need no way out."""
    return TennisSource(RequestCounts())
