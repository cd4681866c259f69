"""A run gone through once more against what was stored when it began, writing nothing.

What comes out is compared with what the run did then, so that whoever looks at a night
that went wrong knows whether they see the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from sync.by_hand.approval import digest_of, join_digests
from sync.changes import Action, Change
from sync.concurrency import InThreads
from sync.context import Rules
from sync.dry_run import PassingCheckpoints, PlannedCms
from sync.errors import SyncError
from sync.model import Game
from sync.ports import Cms, Fence, Progressed, Sources
from sync.report import Run, RunState, Stage
from sync.request import SyncRequest
from sync.run import SyncRun


class Past(Protocol):
    """The history, as a replay needs it."""

    def written_since(self, at: datetime) -> Iterable[Change]:
        """What all runs have written since then, oldest first."""
        ...

    def applied_of_run(self, run_id: str) -> Iterable[Change]: ...

    def planned_of_run(self, run_id: str) -> Mapping[Stage, Sequence[Change]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How a run ended this time and what it would write; `only_*` is where that differs from then."""

    run: Run
    changes: Sequence[Change]
    recorded_hash: str
    replayed_hash: str
    only_recorded: Sequence[Change]
    only_replayed: Sequence[Change]

    @property
    def is_same(self) -> bool:
        return self.recorded_hash == self.replayed_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """`sources` answer from a recording alone."""

    sources: Sources
    cms: Cms
    past: Past
    rules: Rules
    presets: Mapping[str, frozenset[Stage]]

    def perform(self, recorded: Run) -> Replayed:
        """Go through the run; one that fails this time ends as a failed run, with its reason."""
        at = recorded.started_at or recorded.requested_at
        plan = ReplayedCms(self.cms)
        plan.take_back(self.past.written_since(at))
        run = self._run(recorded, plan, at)
        then = self._changes_of(recorded)
        known, now = {digest_of(change) for change in then}, {digest_of(change) for change in plan.changes}
        return Replayed(
            run=run,
            changes=plan.changes,
            recorded_hash=join_digests(known),
            replayed_hash=join_digests(now),
            only_recorded=[change for change in then if digest_of(change) not in now],
            only_replayed=[change for change in plan.changes if digest_of(change) not in known],
        )

    def _changes_of(self, recorded: Run) -> Sequence[Change]:
        """What the run wrote; of a dry run, what it would have written."""
        if not recorded.dry_run:
            return list(self.past.applied_of_run(recorded.id))
        return [change for changes in self.past.planned_of_run(recorded.id).values() for change in changes]

    def _run(self, recorded: Run, plan: ReplayedCms, at: datetime) -> Run:
        runs = _OneRun()
        sync_run = SyncRun(
            sources=self.sources,
            cms=plan,
            leases=_OneLease(),
            runs=runs,
            sizes=_NoSizes(),
            checkpoints=PassingCheckpoints(),
            clock=_Then(at),
            stop=_NeverStops(),
            progress=_Unwatched(),
            map_concurrently=InThreads(1),
            announce=lambda run: None,  # noqa: ARG005 - nobody is told
            let_next=lambda run: None,  # noqa: ARG005 - nobody waits
            rules=self.rules,
            presets=self.presets,
        )
        request = SyncRequest(
            run_id=recorded.id,
            mode=recorded.mode,
            requested_at=recorded.requested_at,
            preset=recorded.preset,
            account_id=recorded.account_id,
            organisation_id=recorded.organisation_id if recorded.account_id is None else None,
            provider=recorded.provider,
            is_dry_run=True,
        )
        try:
            return sync_run.perform(request)
        except SyncError as error:
            return replace(runs.find(recorded.id), state=RunState.FAILED, message=str(error))


@dataclass(slots=True)
class ReplayedCms(PlannedCms):
    """Reads what was stored then, and keeps the plan to itself."""

    changes: list[Change] = field(default_factory=list)
    _removed_then: dict[str, Game] = field(default_factory=dict)

    def take_back(self, written_since: Iterable[Change]) -> None:
        """Show each record as it was before its first change since then."""
        seen = set()
        for change in written_since:
            key = (change.kind, change.record_id)
            if key in seen:
                continue
            seen.add(key)
            was_stored = change.action in (Action.UPDATED, Action.REMOVED)
            if was_stored and change.before is not None:
                self._planned[type(change.before)][change.record_id] = change.before
            else:
                self._removed.add(change.record_id)
            if change.action is Action.RESTORED and isinstance(change.before, Game):
                self._removed_then[change.record_id] = change.before

    def read_removed_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        now = self.cms.read_removed_games(game_ids)
        then = {game_id: self._removed_then[game_id] for game_id in game_ids if game_id in self._removed_then}
        return {**now, **then}

    def record_plan(self, run_id: str, stage: Stage, changes: Sequence[Change]) -> None:
        del run_id
        self.note(stage, changes)
        self.changes.extend(changes)


@dataclass(frozen=True, slots=True)
class _Then:
    """The time of the recorded run, so that its windows are the same."""

    at: datetime

    def now(self) -> datetime:
        return self.at


class _OneLease:
    """Nothing is written, so nobody is kept out."""

    fence = Fence("replay", 0)

    @contextmanager
    def hold(self, key: str, *, owner: str) -> Iterator[_OneLease]:
        del key, owner
        yield self

    def join(self, fence: Fence) -> _OneLease:
        del fence
        return self

    def renew(self) -> None:
        pass


class _OneRun:
    """The run's record, in memory."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}

    def request(self, run: Run) -> None:
        self._runs.setdefault(run.id, run)

    def find(self, run_id: str) -> Run:
        return self._runs[run_id]

    def save(self, run: Run) -> None:
        self._runs[run.id] = run


class _NoSizes:
    """What was usual then is not known any more, so no size is doubted."""

    def read(self, key: str) -> Mapping[str, Sequence[int]]:
        del key
        return {}

    def save(self, key: str, sizes: Mapping[str, Sequence[int]]) -> None:
        pass


class _NeverStops:
    def raise_if_stopping(self) -> None:
        pass


class _Unwatched:
    def publish(self, event: Progressed) -> None:
        pass
