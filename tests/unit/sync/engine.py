"""A sync engine among fakes, and a small world for it to read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import count
from typing import TypeVar
from zoneinfo import ZoneInfo

from sync.context import FanOut, Rules
from sync.model import (
    Account,
    Game,
    GameDay,
    Grade,
    Innings,
    Ladder,
    LadderRow,
    Organisation,
    OrganisationKind,
    Season,
    Team,
)
from sync.report import Mode, Run, RunState
from sync.request import SyncRequest
from sync.run import SyncRun
from tests.fakes import (
    PROVIDER,
    START,
    FakeCheckpoints,
    FakeClock,
    FakeCms,
    FakeDecisions,
    FakeLeases,
    FakeProgress,
    FakeRuns,
    FakeSizes,
    FakeSources,
    FakeStopSignal,
    World,
    map_in_order,
)

ASSOCIATION = "9a3e77d0-0000-4000-8000-000000000001"
HAWKS = "5d10ff00-0000-4000-8000-000000000001"
ASSOCIATION_ACCOUNT = 1
CLUB_ACCOUNT = 2
CLUBS = {HAWKS: "Harbour Hawks", "5d10ff00-0000-4000-8000-000000000002": "Port Pelicans"}

R = TypeVar("R", Season, Grade, Team, Game)

# 18 October 2031 in Sydney, the day of START.
TODAY = date(2031, 10, 18)
ZONE = ZoneInfo("Australia/Melbourne")


def season(number: int = 1, status: str = "ACTIVE", **changes: object) -> Season:
    plain = Season(
        id=f"season-{number}",
        name="Summer 2031/32",
        status=status,
        competition_id="competition-1",
        competition_name="Senior Competition",
        association_id=ASSOCIATION,
        association_name="Harbour District CA",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def grade(number: int = 1, season_id: str = "season-1") -> Grade:
    return Grade(id=f"grade-{number}", name=f"Grade {number}", season_id=season_id)


def team(
    number: int, *, club: str | None = HAWKS, grade_id: str | None = "grade-1", season_id: str = "season-1"
) -> Team:
    return Team(
        id=f"team-{number}",
        name=f"Team {number}",
        season_id=season_id,
        club_id=club,
        club_name=CLUBS.get(club or ""),
        grade_id=grade_id,
    )


def game(
    number: int,
    *,
    home: int = 1,
    away: int = 2,
    day: date | None = TODAY,
    grade_id: str = "grade-1",
    status: str = "UPCOMING",
) -> Game:
    days = () if day is None else (game_day(day),)
    return Game(
        id=f"game-{number}",
        grade_id=grade_id,
        round="Round 1",
        status=status,
        type="oneDay",
        home_id=f"team-{home}",
        away_id=f"team-{away}",
        days=days,
    )


def game_day(day: date) -> GameDay:
    start = datetime.combine(day, time(11), ZONE)
    return GameDay(day=day, start=time(11), utc=start, zone=ZONE.key, ground="Oval 1", venue="Wharf Reserve")


def played(upcoming: Game) -> Game:
    return replace(
        upcoming,
        status="FINAL",
        outcomes={upcoming.home_id: "WON", upcoming.away_id: "LOST"},
        innings=(Innings(team_id=upcoming.home_id, number=1, runs=187, outs=10, overs=41.2),),
    )


def by_id(*records: R) -> dict[str, R]:
    return {record.id: record for record in records}


def small_world() -> World:
    """Two grades: Hawks and Pelicans meet in the first; in the second only strangers play.

    Two games are past, one is today, one to come and one without a day.
    """
    world = World()
    old = season(2, "COMPLETED", updated_at=START - timedelta(days=200))
    world.seasons = by_id(season(1), old)
    world.grades = by_id(grade(1), grade(2), grade(9, "season-2"))
    pelicans = list(CLUBS)[1]
    world.teams = by_id(
        team(1),
        team(2, club=pelicans),
        team(3, club=pelicans),
        team(4, club=None, grade_id="grade-2"),
        team(5, club=pelicans, grade_id="grade-2"),
        team(6, club=pelicans, grade_id=None),
    )
    world.games = by_id(
        played(game(1, day=TODAY - timedelta(days=40))),
        played(game(2, home=2, away=3, day=TODAY - timedelta(days=7))),
        game(3, home=3, away=1),
        game(4, home=1, away=2, day=TODAY + timedelta(days=7)),
        game(5, home=1, away=3, day=None),
        game(6, home=4, away=5, grade_id="grade-2"),
    )
    ladder = Ladder(
        grade_id="grade-1",
        type="overall",
        rows=(
            LadderRow(position=1, team_id="team-1", values={"played": 1, "competitionPoints": 6}),
            LadderRow(position=2, team_id="team-2", values={"played": 1, "competitionPoints": 0}),
        ),
    )
    world.ladders[ladder.id] = ladder
    return world


@dataclass
class Engine:
    """A `SyncRun` whose every port is a fake within reach."""

    world: World = field(default_factory=small_world)
    rules: Rules = field(default_factory=Rules)
    clock: FakeClock = field(default_factory=FakeClock)
    cms: FakeCms = field(default_factory=FakeCms)
    leases: FakeLeases = field(default_factory=FakeLeases)
    runs: FakeRuns = field(default_factory=FakeRuns)
    sizes: FakeSizes = field(default_factory=FakeSizes)
    decisions: FakeDecisions = field(default_factory=FakeDecisions)
    checkpoints: FakeCheckpoints = field(default_factory=FakeCheckpoints)
    stop: FakeStopSignal = field(default_factory=FakeStopSignal)
    progress: FakeProgress = field(default_factory=FakeProgress)
    announced: list[Run] = field(default_factory=list)
    # The stored state of each run when the next one for its account was let in.
    let_in: list[RunState] = field(default_factory=list)
    fan_out: FanOut | None = None

    def __post_init__(self) -> None:
        self.sources = FakeSources(self.world)
        self._numbers = count(1)
        association = Organisation(
            id=ASSOCIATION, kind=OrganisationKind.ASSOCIATION, provider=PROVIDER, name="Harbour District CA"
        )
        club = Organisation(id=HAWKS, kind=OrganisationKind.CLUB, provider=PROVIDER, name="Harbour Hawks")
        for organisation in (association, club):
            self.cms.save_organisation(organisation)
        self.cms.accounts = {
            ASSOCIATION_ACCOUNT: Account(id=ASSOCIATION_ACCOUNT, name="District", organisation=association),
            CLUB_ACCOUNT: Account(id=CLUB_ACCOUNT, name="Hawks", organisation=club),
        }

    @property
    def sync_run(self) -> SyncRun:
        return SyncRun(
            sources=self.sources,
            cms=self.cms,
            leases=self.leases,
            runs=self.runs,
            sizes=self.sizes,
            checkpoints=self.checkpoints,
            clock=self.clock,
            stop=self.stop,
            progress=self.progress,
            map_concurrently=map_in_order,
            announce=self.announced.append,
            let_next=lambda run: self.let_in.append(self.runs.find(run.id).state),
            rules=self.rules,
            fan_out=self.fan_out,
        )

    def request(
        self,
        mode: Mode,
        *,
        account_id: int | None = None,
        organisation_id: str | None = None,
        preset: str = "full",
        is_dry_run: bool = False,
    ) -> SyncRequest:
        return SyncRequest(
            run_id=f"run-{next(self._numbers)}",
            mode=mode,
            requested_at=self.clock.now(),
            preset=preset,
            account_id=account_id,
            organisation_id=organisation_id,
            is_dry_run=is_dry_run,
        )

    def perform(self, request: SyncRequest) -> Run:
        return self.sync_run.perform(request)

    def sync_association(self, preset: str = "full", *, is_dry_run: bool = False) -> Run:
        return self.perform(
            self.request(
                Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT, preset=preset, is_dry_run=is_dry_run
            )
        )

    def sync_club(self, preset: str = "full") -> Run:
        return self.perform(self.request(Mode.CLUB, account_id=CLUB_ACCOUNT, preset=preset))
