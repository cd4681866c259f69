"""Which games of a grade's fixture belong to this grade, where some are stored in another one.

They may have moved here, be listed in both, or be another provider's. A game that two grades
list belongs to the one with the smaller id. So a game is taken over when this grade comes
first, or when the other one does not list it any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sync.belonging import find_stored, is_foreign, refusal
from sync.context import Context
from sync.errors import CredentialsRejected, NotFound, ProviderUnavailable, UnexpectedResponse
from sync.model import Game, Grade, RecordKind, Season, Team
from sync.ports import Quarantined


@dataclass(frozen=True, slots=True)
class Assigned:
    """What of a fixture's games is stored in their grade, and what is not."""

    own: dict[str, Game]
    # Those of the own ones that are stored, here or in another grade until now, or soft-deleted.
    stored: dict[str, Game]
    removed: Mapping[str, Game] = field(default_factory=dict)
    # Games that belong to another grade, and teams that are stored in another season.
    left: set[str] = field(default_factory=set)
    teams_elsewhere: Collection[str] = ()
    refused: list[Quarantined] = field(default_factory=list)


def assign_games(
    context: Context, grade: Grade, games: Mapping[str, Game], stored: Mapping[str, Game]
) -> Assigned:
    """Part a grade's fetched games; `stored` are those that are stored in it.

    Raises what defers a run.
    """
    found = Assigned(own=dict(games), stored=dict(stored))
    found = _without_foreign_teams(context, grade, found)
    unknown = found.own.keys() - stored.keys()
    if not unknown:
        return found
    held = context.cms.find_games(unknown)
    removed = context.cms.read_removed_games(unknown - held.keys())
    others = _Others(context, grade)
    for game_id, game in {**removed, **held}.items():
        if (season := others.foreign_season(game.grade_id)) is not None:
            del found.own[game_id]
            found.refused.append(refusal(context, RecordKind.GAME, game_id, season))
        elif game_id in held and others.keeps(game):
            del found.own[game_id]
            found.left.add(game_id)
        elif game_id in held:
            found.stored[game_id] = game
    return Assigned(found.own, found.stored, removed, found.left, found.teams_elsewhere, found.refused)


def _without_foreign_teams(context: Context, grade: Grade, games: Assigned) -> Assigned:
    known = context.scope.teams[grade.season_id]
    needed = {team_id for game in games.own.values() for team_id in (game.home_id, game.away_id)}
    elsewhere = find_stored(context, Team, needed - known.keys())
    if not elsewhere:
        return games
    seasons = find_stored(context, Season, {team.season_id for team in elsewhere.values()})
    foreign = {
        team_id: season
        for team_id, team in elsewhere.items()
        if (season := seasons.get(team.season_id)) is not None and is_foreign(context, season)
    }
    own = dict(games.own)
    refused = []
    for game in games.own.values():
        if theirs := {game.home_id, game.away_id} & foreign.keys():
            team_id = min(theirs)
            del own[game.id]
            told = refusal(context, RecordKind.TEAM, team_id, foreign[team_id])
            reason = f"team {team_id}: {told.reason}"
            refused.append(Quarantined(kind=RecordKind.GAME, record_id=game.id, reason=reason))
    return Assigned(own, games.stored, teams_elsewhere=elsewhere.keys(), refused=refused)


class _Others:
    """The other grades that hold games of this one's fixture; each is asked once."""

    def __init__(self, context: Context, grade: Grade) -> None:
        self._context = context
        self._grade = grade
        self._known: dict[str, tuple[Grade | None, Season | None]] = {}
        # By grade the games that it lists; None where it may list any.
        self._listed: dict[str, Collection[str] | None] = {}

    def foreign_season(self, grade_id: str) -> Season | None:
        """The season of a grade that is another provider's; None of one's own."""
        _, season = self._find(grade_id)
        return season if season is not None and is_foreign(self._context, season) else None

    def keeps(self, game: Game) -> bool:
        """Whether a stored game belongs to its grade although this grade lists it."""
        other, season = self._find(game.grade_id)
        if other is None or self._grade.id < other.id or other.id == self._grade.id:
            return False
        rules = self._context.rules
        if season is not None and not self._context.window.keeps(season, rules.extra_season_ids):
            # Nobody looks at it any more.
            return False
        if other.id not in self._listed:
            self._listed[other.id] = self._fetch_ids(other)
        listed = self._listed[other.id]
        return listed is None or game.id in listed

    def _find(self, grade_id: str) -> tuple[Grade | None, Season | None]:
        """A grade of this run without its season, another one with it."""
        if grade_id not in self._known:
            grade, season = self._context.scope.grades.get(grade_id), None
            if grade is None and (grade := find_stored(self._context, Grade, [grade_id]).get(grade_id)):
                season = find_stored(self._context, Season, [grade.season_id]).get(grade.season_id)
            self._known[grade_id] = grade, season
        return self._known[grade_id]

    def _fetch_ids(self, grade: Grade) -> Collection[str] | None:
        try:
            fixture = self._context.source.fetch_fixture(grade)
        except NotFound:
            return ()
        except (ProviderUnavailable, UnexpectedResponse, CredentialsRejected):
            # Its own run tells of this; until it can be asked the game stays where it is.
            return None
        unreadable = [record.record_id for record in fixture.quarantined]
        named = [record_id for record_id in unreadable if record_id is not None]
        if len(named) < len(unreadable):
            return None
        return {game.id for game in fixture.games}.union(fixture.undecided_ids, named)
