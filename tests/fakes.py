"""In-memory ports of a run that keep the rules of the real ones; not mocks."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from sync.by_hand.approval import Decision
from sync.changes import Action, Change
from sync.errors import AccountBusy, LeaseLost, NotFound, Stopping
from sync.model import (
    Account,
    Game,
    Grade,
    Ladder,
    Organisation,
    OrganisationKind,
    Record,
    RecordKind,
    Season,
    Team,
    parent_id_of,
)
from sync.ports import Fence, Fixture, Listing, Progressed, Quarantined
from sync.report import RequestCounts, Run, Stage

T = TypeVar("T")
R = TypeVar("R")
Below = TypeVar("Below", Grade, Team, Game)
Found = TypeVar("Found", Season, Grade, Team)

PROVIDER = "playhq"
START = datetime(2031, 10, 18, 2, 0, tzinfo=UTC)


def nothing_fails(operation: str) -> None:
    """The default of every `before` hook: it may raise what an outside would."""


def _moved_below(record: Below, parent_id: str) -> Below:
    if isinstance(record, Game):
        return replace(record, grade_id=parent_id)
    return replace(record, season_id=parent_id)


@dataclass
class FakeClock:
    """Stands still until it is moved."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def pass_days(self, days: int) -> None:
        self.at += timedelta(days=days)


@dataclass
class FakeStopSignal:
    is_stopping: bool = False

    def raise_if_stopping(self) -> None:
        if self.is_stopping:
            raise Stopping("the worker drains", retry_after_s=0)


@dataclass
class World:
    """What a provider publishes; a club's own listing leaves seasons out, as real ones do."""

    seasons: dict[str, Season] = field(default_factory=dict)
    grades: dict[str, Grade] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    games: dict[str, Game] = field(default_factory=dict)
    ladders: dict[str, Ladder] = field(default_factory=dict)
    # What a fixture tells of names where the teams listing has none.
    fixture_names: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, list[Quarantined]] = field(default_factory=dict)
    unlisted_season_ids: set[str] = field(default_factory=set)
    hidden_ids: set[str] = field(default_factory=set)
    # What a provider that marks its deletions says of them; None: this one lists, or does not.
    deleted_ids: set[str] | None = None
    # Further seasons that list a grade or a team, and further grades that list a game, by its id.
    listed_under: dict[str, set[str]] = field(default_factory=dict)

    def below(self, records: Mapping[str, Below], parent_id: str) -> list[Below]:
        """What the parent lists: its own records, and those that others list, too."""
        return [
            _moved_below(record, parent_id)
            for record in records.values()
            if parent_id == parent_id_of(record) or parent_id in self.listed_under.get(record.id, ())
        ]

    def seasons_of(self, organisation: Organisation) -> list[Season]:
        found = [season for season in self.seasons.values() if season.association_id == organisation.id]
        if not found:
            entered = {team.season_id for team in self.teams.values() if team.club_id == organisation.id}
            found = [season for season in self.seasons.values() if season.id in entered]
        return [season for season in found if season.id not in self.unlisted_season_ids]


@dataclass
class FakeSource:
    """Counts its requests; `before` may raise in place of an answer."""

    world: World
    before: Callable[[str], None] = nothing_fails
    asked: list[str] = field(default_factory=list)

    def fetch_seasons(self, organisation: Organisation) -> Listing[Season]:
        self._ask(f"seasons of {organisation.id}", organisation.id)
        return self._listing(organisation.id, self.world.seasons_of(organisation))

    def fetch_grades(self, season: Season) -> Listing[Grade]:
        self._ask(f"grades of {season.id}", season.id)
        return self._listing(f"grades:{season.id}", self.world.below(self.world.grades, season.id))

    def fetch_teams(self, season: Season) -> Listing[Team]:
        self._ask(f"teams of {season.id}", season.id)
        return self._listing(f"teams:{season.id}", self.world.below(self.world.teams, season.id))

    def fetch_fixture(self, grade: Grade) -> Fixture:
        self._ask(f"fixture of {grade.id}", grade.id)
        games = self.world.below(self.world.games, grade.id)
        team_ids = {team_id for game in games for team_id in (game.home_id, game.away_id)}
        names = {i: name for i, name in self.world.fixture_names.items() if i in team_ids}
        return Fixture(
            games,
            names,
            tuple(self.world.unreadable.get(grade.id, ())),
            proves_absence=self.world.deleted_ids is None,
            deleted_ids=self.world.deleted_ids or (),
        )

    def fetch_ladders(self, grade: Grade) -> Listing[Ladder]:
        self._ask(f"ladders of {grade.id}", grade.id)
        found = [ladder for ladder in self.world.ladders.values() if ladder.grade_id == grade.id]
        return self._listing(f"ladders:{grade.id}", found)

    @property
    def requests(self) -> RequestCounts:
        return RequestCounts(sent=len(self.asked))

    def _ask(self, operation: str, record_id: str) -> None:
        self.asked.append(operation)
        self.before(operation)
        if record_id in self.world.hidden_ids:
            raise NotFound(f"{operation}: not found")

    def _listing(self, key: str, records: list[R]) -> Listing[R]:
        return Listing(records, tuple(self.world.unreadable.get(key, ())))


@dataclass
class FakeSources:
    world: World
    before: Callable[[str], None] = nothing_fails
    opened: list[FakeSource] = field(default_factory=list)
    # What other providers publish.
    others: dict[str, World] = field(default_factory=dict)

    def open(
        self,
        provider: str,
        *,
        run_id: str,
        fresh_after: datetime,
        is_urgent: bool,
        is_patient: bool = False,
        is_helping: bool = False,
    ) -> FakeSource:
        source = FakeSource({PROVIDER: self.world, **self.others}[provider], self.before)
        self.opened.append(source)
        return source

    @property
    def asked(self) -> list[str]:
        return [operation for source in self.opened for operation in source.asked]


@dataclass
class FakeCms:
    """Refuses records whose parents are not stored and writers whose fence is old."""

    accounts: dict[int, Account] = field(default_factory=dict)
    organisations: dict[tuple[OrganisationKind, str], Organisation] = field(default_factory=dict)
    seasons: dict[str, Season] = field(default_factory=dict)
    grades: dict[str, Grade] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    games: dict[str, Game] = field(default_factory=dict)
    ladders: dict[str, Ladder] = field(default_factory=dict)
    removed: dict[str, Game] = field(default_factory=dict)
    absences: dict[str, set[date]] = field(default_factory=lambda: defaultdict(set))
    doubtful_absences: dict[str, set[date]] = field(default_factory=lambda: defaultdict(set))
    history: list[tuple[str, Stage, Change]] = field(default_factory=list)
    plans: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    plan_stages: dict[str, dict[Stage, list[Change]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    flag_writes: list[tuple[int, bool | None, bool | None]] = field(default_factory=list)
    refused_ids: set[str] = field(default_factory=set)
    before: Callable[[str], None] = nothing_fails
    after: Callable[[str], None] = nothing_fails
    _fences: dict[str, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def find_account(self, account_id: int) -> Account:
        self.before("find_account")
        if account_id not in self.accounts:
            raise NotFound(f"account {account_id}")
        return self.accounts[account_id]

    def find_organisation(self, kind: OrganisationKind, organisation_id: str) -> Organisation | None:
        return self.organisations.get((kind, organisation_id))

    def save_organisation(self, organisation: Organisation) -> None:
        key = (organisation.kind, organisation.id)
        known = self.organisations.get(key, organisation)
        self.organisations[key] = replace(
            organisation,
            name=organisation.name or known.name,
            association_ids=organisation.association_ids or known.association_ids,
        )

    def set_flags(
        self, account_id: int, *, is_setup: bool | None = None, is_updating: bool | None = None
    ) -> None:
        self.before("set_flags")
        account = self.find_account(account_id)
        self.accounts[account_id] = replace(
            account,
            is_setup=account.is_setup if is_setup is None else is_setup,
            is_updating=account.is_updating if is_updating is None else is_updating,
        )
        self.flag_writes.append((account_id, is_setup, is_updating))

    def read_seasons(self, association_ids: Collection[str]) -> Mapping[str, Season]:
        return {s.id: s for s in self.seasons.values() if s.association_id in association_ids}

    def read_grades(self, season_ids: Collection[str]) -> Mapping[str, Grade]:
        return {g.id: g for g in self.grades.values() if g.season_id in season_ids}

    def read_teams(self, season_ids: Collection[str]) -> Mapping[str, Team]:
        return {t.id: t for t in self.teams.values() if t.season_id in season_ids}

    def read_games(self, grade_ids: Collection[str]) -> Mapping[str, Game]:
        self.before("read_games")
        with self._lock:
            return {g.id: g for g in self.games.values() if g.grade_id in grade_ids}

    def find_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return {game_id: self.games[game_id] for game_id in game_ids if game_id in self.games}

    def find_records(self, record_type: type[Found], record_ids: Collection[str]) -> Mapping[str, Found]:
        tables: Sequence[dict[str, Any]] = (self.seasons, self.grades, self.teams)
        found = (table[record_id] for table in tables for record_id in record_ids if record_id in table)
        return {record.id: record for record in found if isinstance(record, record_type)}

    def find_game_grades(self, team_ids: Collection[str], *, since: date) -> Collection[str]:
        return {
            game.grade_id
            for game in self.games.values()
            if (game.home_id in team_ids or game.away_id in team_ids)
            and (game.last_day is None or game.last_day >= since)
        }

    def read_removed_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return {game_id: self.removed[game_id] for game_id in game_ids if game_id in self.removed}

    def read_ladders(self, grade_ids: Collection[str]) -> Mapping[str, Ladder]:
        return {ladder.id: ladder for ladder in self.ladders.values() if ladder.grade_id in grade_ids}

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]:
        self.before("apply")
        with self._lock:
            if self._fences.get(fence.key, 0) > fence.token:
                raise LeaseLost(f"a later run has written to {fence.key}", retry_after_s=0)
            self._fences[fence.key] = fence.token
            refused = [
                Quarantined(kind=change.kind, record_id=change.record_id, reason=reason)
                for change in sorted(changes, key=lambda change: list(RecordKind).index(change.kind))
                if (reason := self._write(run_id, stage, change)) is not None
            ]
        self.after("apply")
        return refused

    def record_plan(self, run_id: str, stage: Stage, changes: Sequence[Change]) -> None:
        self.plans[run_id].extend(changes)
        self.plan_stages[run_id][stage].extend(changes)

    def count_changes(self, run_id: str) -> Mapping[Stage, Mapping[Action, int]]:
        written = {
            (stage, change.action, change.kind, change.record_id)
            for owner, stage, change in self.history
            if owner == run_id
        }
        counts: dict[Stage, Counter[Action]] = defaultdict(Counter)
        for stage, action, _, _ in written:
            counts[stage][action] += 1
        return counts

    def record_absences(
        self,
        grade_id: str,
        *,
        missing: Collection[str],
        present: Collection[str],
        day: date,
        is_doubtful: bool = False,
    ) -> Mapping[str, int]:
        self.before("record_absences")
        for game_id in present:
            self.absences.pop(game_id, None)
            self.doubtful_absences.pop(game_id, None)
        for game_id in missing:
            (self.doubtful_absences if is_doubtful else self.absences)[game_id].add(day)
        return {game_id: len(self._days_missing(game_id, is_doubtful=is_doubtful)) for game_id in missing}

    def count_absences(
        self, grade_id: str, *, missing: Collection[str], day: date, is_doubtful: bool = False
    ) -> Mapping[str, int]:
        return {
            game_id: sum(before < day for before in self._days_missing(game_id, is_doubtful=is_doubtful)) + 1
            for game_id in missing
        }

    def _days_missing(self, game_id: str, *, is_doubtful: bool) -> set[date]:
        certain = self.absences.get(game_id, set())
        return certain | self.doubtful_absences.get(game_id, set()) if is_doubtful else certain

    def stored(self) -> dict[str, dict[str, Any]]:
        """Everything stored, for comparing one state with another."""
        return {
            "seasons": dict(self.seasons),
            "grades": dict(self.grades),
            "teams": dict(self.teams),
            "games": dict(self.games),
            "ladders": dict(self.ladders),
        }

    def _write(self, run_id: str, stage: Stage, change: Change) -> str | None:
        if change.record_id in self.refused_ids:
            return "the CMS does not like it"
        if change.after is None:
            assert change.kind is RecordKind.GAME, "only games are ever removed"
            self.removed[change.record_id] = self.games.pop(change.record_id)
        elif reason := self._missing_parent(change.after):
            return reason
        else:
            self._table(change.kind)[change.record_id] = change.after
            if change.kind is RecordKind.GAME:
                self.removed.pop(change.record_id, None)
        self.history.append((run_id, stage, change))
        return None

    def _missing_parent(self, record: Record) -> str | None:
        if isinstance(record, Grade | Team) and record.season_id not in self.seasons:
            return f"season {record.season_id} is not stored"
        if isinstance(record, Game | Ladder) and record.grade_id not in self.grades:
            return f"grade {record.grade_id} is not stored"
        if isinstance(record, Game):
            for team_id in (record.home_id, record.away_id):
                if team_id not in self.teams:
                    return f"team {team_id} is not stored"
        return None

    def _table(self, kind: RecordKind) -> dict[str, Any]:
        tables: Mapping[RecordKind, dict[str, Any]] = {
            RecordKind.SEASON: self.seasons,
            RecordKind.GRADE: self.grades,
            RecordKind.TEAM: self.teams,
            RecordKind.GAME: self.games,
            RecordKind.LADDER: self.ladders,
        }
        return tables[kind]


@dataclass
class FakeLease:
    leases: FakeLeases
    owner: str
    fence: Fence

    def renew(self) -> None:
        self.leases.before("renew")
        if self.leases.holders.get(self.fence.key) != self.fence.token:
            raise LeaseLost(f"{self.fence.key} is held by somebody else", retry_after_s=0)


@dataclass
class FakeLeases:
    holders: dict[str, int] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    before: Callable[[str], None] = nothing_fails
    _token: int = 0

    @contextmanager
    def hold(self, key: str, *, owner: str) -> Iterator[FakeLease]:
        if self.owners.get(key, owner) != owner:
            raise AccountBusy(f"{key} is being synced", retry_after_s=1)
        fence = self.pass_on(key, owner)
        try:
            yield FakeLease(self, owner, fence)
        finally:
            if self.holders.get(key) == fence.token:
                del self.holders[key], self.owners[key]

    def join(self, fence: Fence) -> FakeLease:
        return FakeLease(self, self.owners.get(fence.key, ""), fence)

    def pass_on(self, key: str, owner: str) -> Fence:
        """Give the lease to an owner, whoever held it: as after its time has run out."""
        self._token += 1
        self.holders[key] = self._token
        self.owners[key] = owner
        return Fence(key, self._token)


@dataclass
class FakeRuns:
    runs: dict[str, Run] = field(default_factory=dict)
    saved: list[Run] = field(default_factory=list)

    def request(self, run: Run) -> None:
        self.runs.setdefault(run.id, run)

    def request_many(self, requested: Sequence[Run]) -> None:
        for run in requested:
            self.request(run)

    def find(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise NotFound(f"run {run_id}")
        return self.runs[run_id]

    def save(self, run: Run) -> None:
        assert run.id in self.runs
        self.runs[run.id] = run
        self.saved.append(run)

    def find_act(self, of_run_id: str, preset: str) -> Run | None:
        acts = [run for run in self.runs.values() if (run.of_run_id, run.preset) == (of_run_id, preset)]
        return acts[-1] if acts else None


@dataclass
class FakeSizes:
    sizes: dict[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)

    def read(self, key: str) -> Mapping[str, Sequence[int]]:
        return self.sizes.get(key, {})

    def save(self, key: str, sizes: Mapping[str, Sequence[int]]) -> None:
        self.sizes[key] = sizes


@dataclass
class FakeDecisions:
    decisions: dict[str, Decision] = field(default_factory=dict)

    def find(self, run_id: str) -> Decision | None:
        return self.decisions.get(run_id)

    def decide(self, decision: Decision) -> Decision:
        return self.decisions.setdefault(decision.run_id, decision)


@dataclass
class FakeCheckpoints:
    units: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    before: Callable[[str], None] = nothing_fails

    def is_done(self, run_id: str, unit: str) -> bool:
        return unit in self.units[run_id]

    def mark_done(self, run_id: str, unit: str, result: Mapping[str, Any]) -> None:
        self.before(f"mark_done {unit}")
        self.units[run_id][unit] = result

    def mark_all_done(self, run_id: str, results: Mapping[str, Mapping[str, Any]]) -> None:
        for unit, result in results.items():
            self.mark_done(run_id, unit, result)

    def done(self, run_id: str) -> Mapping[str, Mapping[str, Any]]:
        return dict(self.units[run_id])

    def forget(self, run_id: str) -> None:
        self.units.pop(run_id, None)


@dataclass
class FakeGathers:
    """Claims do not lapse here; `lapse` does what time does."""

    pending: dict[str, set[str]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    claimed: set[tuple[str, str]] = field(default_factory=set)
    # Called in place of waiting: whoever else works, works now.
    meanwhile: Callable[[], None] = lambda: None

    def open(self, run_id: str, units: Collection[str], *, token: int) -> None:
        self.pending[run_id] = set(units)
        self.tokens[run_id] = token
        self.lapse(run_id)

    def claim(self, run_id: str, unit: str, *, token: int) -> bool:
        is_free = unit in self.pending.get(run_id, ()) and (run_id, unit) not in self.claimed
        if not is_free or self.tokens[run_id] != token:
            return False
        self.claimed.add((run_id, unit))
        return True

    def settle(self, run_id: str, unit: str, *, is_done: bool) -> int:
        self.claimed.discard((run_id, unit))
        if is_done:
            self.pending.get(run_id, set()).discard(unit)
        return len(self.pending.get(run_id, ()))

    def wait(self, run_id: str, *, timeout_s: float) -> Collection[str]:
        self.meanwhile()
        return set(self.pending.get(run_id, ()))

    def close(self, run_id: str) -> None:
        self.pending.pop(run_id, None)

    def lapse(self, run_id: str) -> None:
        self.claimed = {(owner, unit) for owner, unit in self.claimed if owner != run_id}


@dataclass
class FakeProgress:
    events: list[Progressed] = field(default_factory=list)

    def publish(self, event: Progressed) -> None:
        self.events.append(event)


def map_in_order(work: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
    """One at a time, so that a test knows what came first."""
    return map(work, items)
