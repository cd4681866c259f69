"""A recorded run gone through again, offline: the same questions, the same answers, nothing written.

What comes out is what the run would write today, given what it was answered then; so a
run that went wrong at night can be looked at as often as it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import SecretStr

from cli.backend import Backend
from cms.registry import CmsContext, open_cms
from providers.recording import ReplayedOutbound, find_recordings
from providers.registry import InstalledSources, load_plugins
from settings.schema import Settings
from sync.changes import Change
from sync.concurrency import InThreads
from sync.dry_run import PassingCheckpoints, PlannedCms
from sync.errors import NotFound
from sync.ports import Fence, Progressed
from sync.report import Run, Stage
from sync.run import SyncRequest, SyncRun

# Nothing is sent there: it stands where a provider's settings need something.
_NOWHERE = "http://replayed.invalid"


def replay(backend: Backend, run_id: str) -> tuple[Run, Sequence[Change]]:
    """The run as it ends this time, and what it would write. Raises NotFound without a recording.

    A failing run raises what it failed of.
    """
    recorded = backend.stores.runs.find(run_id)
    paths = find_recordings(backend.settings.home, run_id)
    if not paths:
        raise NotFound(
            f"there is no recording of run {run_id} in {backend.settings.home}: "
            "runs are recorded while http.records_runs is on"
        )
    settings = _without_network(backend.settings)
    clock = _Then(recorded.started_at or recorded.requested_at)
    plan = _CapturedPlan(open_cms(CmsContext(settings=settings.cms, stores=backend.stores, clock=clock)))
    sync_run = SyncRun(
        sources=InstalledSources(load_plugins(), ReplayedOutbound(paths), settings),
        cms=plan,
        leases=_OneLease(),
        runs=_OneRun(),
        sizes=_NoSizes(),
        checkpoints=PassingCheckpoints(),
        clock=clock,
        stop=_NeverStops(),
        progress=_Unwatched(),
        map_concurrently=InThreads(1),
        announce=lambda run: None,  # noqa: ARG005 - nobody is told
    )
    run = sync_run.perform(
        SyncRequest(
            run_id=run_id,
            mode=recorded.mode,
            requested_at=recorded.requested_at,
            preset=recorded.preset,
            account_id=recorded.account_id,
            organisation_id=recorded.organisation_id,
            provider=recorded.provider,
            is_dry_run=True,
        )
    )
    return run, plan.changes


def _without_network(settings: Settings) -> Settings:
    """The settings with an address and a key for each provider that has none here."""
    providers = settings.providers
    playhq = providers.playhq.model_copy(update={"base_url": providers.playhq.base_url or _NOWHERE})
    token = providers.playcricket.api_token or SecretStr("replayed")
    playcricket = providers.playcricket.model_copy(update={"api_token": token})
    return settings.model_copy(
        update={
            "http": settings.http.model_copy(update={"records_runs": False}),
            "providers": providers.model_copy(update={"playhq": playhq, "playcricket": playcricket}),
        }
    )


@dataclass(slots=True)
class _CapturedPlan(PlannedCms):
    """Reads what is stored, and keeps the plan to itself."""

    changes: list[Change] = field(default_factory=list)

    def record_plan(self, run_id: str, stage: Stage, changes: Sequence[Change]) -> None:
        del run_id, stage
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
