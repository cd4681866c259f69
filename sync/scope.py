"""What one run is about: an organisation's associations, seasons, grades, teams and games.

An association's scope is everything of its kept seasons. A club's cuts across them: the
grades that hold one of its teams, the games that one of them plays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sync.model import Game, Grade, Organisation, OrganisationKind, Season, Team
from sync.ports import Cms
from sync.window import Window


@dataclass(slots=True)
class Scope:
    """Filled by the collecting stages as they go, or by `read_stored` when they do not run."""

    organisation: Organisation
    associations: tuple[Organisation, ...] = ()
    seasons: dict[str, Season] = field(default_factory=dict)
    grades: dict[str, Grade] = field(default_factory=dict)
    # By season: what is stored once the teams stage is through, and what was listed.
    teams: dict[str, dict[str, Team]] = field(default_factory=dict)
    listed_teams: dict[str, dict[str, Team]] = field(default_factory=dict)
    # Grades in which a club's teams are listed; a team may be in several.
    own_grade_ids: set[str] = field(default_factory=set)
    # Grades of a club's stored games that its teams have left since.
    former_grade_ids: frozenset[str] = frozenset()

    @property
    def is_club(self) -> bool:
        return self.organisation.kind is OrganisationKind.CLUB

    def is_own(self, team: Team) -> bool:
        return team.club_id == self.organisation.id

    def own_grades_of(self, teams: Iterable[Team]) -> set[str]:
        """The grades of those of the teams that are the club's."""
        return {team.grade_id for team in teams if self.is_own(team) and team.grade_id is not None}

    def own_team_ids(self) -> frozenset[str]:
        return frozenset(
            team.id for teams in self.teams.values() for team in teams.values() if self.is_own(team)
        )

    def grades_in_scope(self) -> list[Grade]:
        """Without those of seasons whose teams are not known."""
        if not self.is_club:
            return [grade for grade in self.grades.values() if grade.season_id in self.teams]
        wanted = set(self.former_grade_ids | self.own_grade_ids)
        for teams in self.teams.values():
            wanted |= self.own_grades_of(teams.values())
        return [
            grade for grade in self.grades.values() if grade.id in wanted and grade.season_id in self.teams
        ]

    def games_in_scope(self, games: Mapping[str, Game]) -> dict[str, Game]:
        if not self.is_club:
            return dict(games)
        own = self.own_team_ids()
        return {game.id: game for game in games.values() if game.home_id in own or game.away_id in own}

    def read_seasons(self, cms: Cms, window: Window, extra_season_ids: frozenset[str]) -> None:
        """Take seasons and grades from the CMS, for runs that do not collect them."""
        self.associations = associations_known(self.organisation)
        stored = cms.read_seasons([association.id for association in self.associations])
        # Another provider's association may have the same id.
        providers = (None, self.organisation.provider)
        self.seasons = {
            season.id: season
            for season in stored.values()
            if season.provider in providers and window.keeps(season, extra_season_ids)
        }
        self.grades = dict(cms.read_grades(list(self.seasons)))

    def read_teams(self, cms: Cms, window: Window) -> None:
        """Take the teams from the CMS, for runs that do not collect them."""
        for season_id in self.seasons:
            self.teams[season_id] = dict(cms.read_teams([season_id]))
        self.find_former_grades(cms, window)

    def find_former_grades(self, cms: Cms, window: Window) -> None:
        """Remember where a club's teams played before they were re-graded.

        Their older games stay there: results are still corrected and games still removed.
        """
        if self.is_club and (own := self.own_team_ids()):
            self.former_grade_ids = frozenset(cms.find_game_grades(own, since=window.first_day))


def associations_known(organisation: Organisation) -> tuple[Organisation, ...]:
    """The associations that publish the organisation's seasons; itself, if it is one."""
    if organisation.kind is OrganisationKind.ASSOCIATION:
        return (organisation,)
    return tuple(
        Organisation(id=association_id, kind=OrganisationKind.ASSOCIATION, provider=organisation.provider)
        for association_id in organisation.association_ids
    )
