"""The pages about what is synced: accounts and runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from providers.recording import find_recordings
from stores.sql.accounts import AccountFilter
from stores.sql.runs import RunFilter
from stores.timeline import timeline_of_account, timeline_of_run
from sync.cadence import Cadence, judge
from sync.changes import Action
from sync.model import Account, OrganisationKind, RecordKind
from sync.report import Mode, Run, RunState
from web.access import Operator, Reader
from web.api.accounts import VERSIONS_LOOKED_AT, AccountId, AccountQuery
from web.api.deciding import recording_response
from web.api.runs import ChangeQuery, RunQuery
from web.dashboard.pages import render
from web.health import Outage
from web.services import Has, Services

router = APIRouter(include_in_schema=False)

OUTCOMES_SHOWN = 10
TIMELINE_LENGTH = 60


@router.get("/accounts")
def show_accounts(
    request: Request, caller: Reader, services: Has, query: Annotated[AccountQuery, Query()]
) -> Response:
    wanted = AccountFilter(kind=query.type, name=query.q or None, tag=query.tag or None)
    page = services.stores.accounts.list(wanted, limit=query.limit, cursor=query.cursor)
    ids, latest_of = [account.id for account in page.items], services.stores.runs.latest_of
    last = latest_of(ids, each=OUTCOMES_SHOWN)
    good = latest_of(ids, each=OUTCOMES_SHOWN, state=RunState.SUCCEEDED)
    rows = [
        (account, last.get(account.id, [])[::-1], _freshness(services, account, good.get(account.id, ())))
        for account in page.items
    ]
    return render(request, caller, "accounts.html", rows=rows, next_cursor=page.next_cursor)


@router.get("/accounts/{account_id}")
def show_account(
    request: Request, caller: Reader, services: Has, account_id: AccountId, outage: Outage
) -> Response:
    account = services.stores.accounts.find(account_id)
    versions = services.versions.history(VERSIONS_LOOKED_AT)
    latest_of = services.stores.runs.latest_of
    good = latest_of([account_id], each=OUTCOMES_SHOWN, state=RunState.SUCCEEDED).get(account_id, ())
    is_club = account.organisation.kind is OrganisationKind.CLUB
    return render(
        request,
        caller,
        "account.html",
        account=account,
        outcomes=latest_of([account_id], each=OUTCOMES_SHOWN).get(account_id, [])[::-1],
        freshness=_freshness(services, account, good),
        answer=services.why.of_account(account, outage=outage),
        timeline=timeline_of_account(services.stores, account_id, versions, limit=TIMELINE_LENGTH),
        cadence=_cadence(services, account),
        presets=sorted(services.settings().presets),
        modes=[Mode.CLUB if is_club else Mode.ASSOCIATION, Mode.UPDATE, Mode.ONBOARDING],
    )


@router.get("/runs")
def show_runs(
    request: Request, caller: Reader, services: Has, query: Annotated[RunQuery, Query()]
) -> Response:
    wanted = RunFilter(**query.model_dump(exclude={"limit", "cursor"}))
    page = services.stores.runs.list(wanted, limit=query.limit, cursor=query.cursor)
    names = services.sight.names_of(page.items)
    return render(
        request, caller, "runs.html", page=page, names=names, states=list(RunState), modes=list(Mode)
    )


@router.get("/runs/{run_id}")
def show_run(  # noqa: PLR0913, PLR0917  (one parameter an input of the request)
    request: Request,
    caller: Reader,
    services: Has,
    run_id: str,
    query: Annotated[ChangeQuery, Query()],
    outage: Outage,
) -> Response:
    run = services.stores.runs.find(run_id)
    changes = services.stores.changes.of_run(run_id, query.wanted(), limit=query.limit, cursor=query.cursor)
    return render(
        request,
        caller,
        "run.html",
        names=services.sight.names_of([run]),
        run=run,
        progress=services.progress.read(run_id),
        changes=changes,
        kinds=list(RecordKind),
        actions=list(Action),
        notices=services.stores.notices.of_run(run_id),
        timeline=timeline_of_run(services.stores, run),
        decision=services.stores.decisions.find(run_id) if run.plan_hash else None,
        refused=services.stores.refusals.of_run(run_id) if run.delivery else (),
        is_recorded=bool(find_recordings(services.settings().home, run_id)),
        wrote=any(stage.created + stage.updated + stage.removed for stage in run.stages.values()),
        answer=None if run.state.is_final else services.why.of_run(run, outage=outage),
    )


@router.get("/runs/{run_id}/recording")
def download_recording(_caller: Operator, services: Has, run_id: str) -> Response:
    """The provider's answers, for whoever looks at the run elsewhere."""
    services.stores.runs.find(run_id)
    return recording_response(services, run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """When the account was last synced whole, and how old it may be; None where no class matches."""

    at: datetime | None
    target_s: float | None
    age_s: float | None

    @property
    def is_stale(self) -> bool:
        return self.target_s is not None and (self.age_s is None or self.age_s > self.target_s)


def _freshness(services: Services, account: Account, good: Sequence[Run]) -> Fresh:
    """By the account's last runs that succeeded, newest first."""
    settings = services.settings()
    targets = [
        target.target_s
        for target in settings.freshness.values()
        if (not target.types or account.organisation.kind.value in target.types)
        and (not target.tags or set(target.tags) & set(account.tags))
    ]
    whole = {name for name, preset in settings.presets.items() if preset.games}
    at = next((run.finished_at for run in good if run.preset in whole and not run.dry_run), None)
    return Fresh(
        at=at,
        target_s=min(targets, default=None),
        age_s=(services.clock.now() - at).total_seconds() if at else None,
    )


def _cadence(services: Services, account: Account) -> Cadence:
    rules, now = services.settings().cadence, services.clock.now()
    matches = services.stores.matches.near(account.organisation.id, now, days=rules.season_days)
    return judge(matches, now, rules)
