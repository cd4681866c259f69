"""The pages about what is synced: accounts and runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from stores.sql.accounts import AccountFilter
from stores.sql.runs import RunFilter
from sync.model import Account, OrganisationKind
from sync.report import Mode, Run, RunState
from web.access import Reader
from web.api.accounts import AccountId, AccountQuery
from web.api.paging import ListQuery
from web.api.runs import RunQuery
from web.dashboard.pages import render
from web.services import Has, Services

router = APIRouter(include_in_schema=False)

OUTCOMES_SHOWN = 10
TIMELINE_RUNS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of an account's timeline; `kind` is run, notice or act."""

    at: datetime
    kind: str
    text: str
    href: str | None = None
    state: str = ""


@router.get("/accounts")
def show_accounts(
    request: Request, caller: Reader, services: Has, query: Annotated[AccountQuery, Query()]
) -> Response:
    wanted = AccountFilter(kind=query.type, name=query.q or None, tag=query.tag or None)
    page = services.stores.accounts.list(wanted, limit=query.limit, cursor=query.cursor)
    rows = [(account, _outcomes(services, account)) for account in page.items]
    return render(request, caller, "accounts.html", rows=rows, next_cursor=page.next_cursor)


@router.get("/accounts/{account_id}")
def show_account(request: Request, caller: Reader, services: Has, account_id: AccountId) -> Response:
    account = services.stores.accounts.find(account_id)
    runs = services.stores.runs.list(RunFilter(account_id=account_id), limit=TIMELINE_RUNS).items
    timeline = sorted(_events(services, account, runs), key=lambda event: event.at, reverse=True)
    is_club = account.organisation.kind is OrganisationKind.CLUB
    return render(
        request,
        caller,
        "account.html",
        account=account,
        runs=runs,
        answer=services.why.of_account(account),
        timeline=timeline,
        presets=sorted(services.settings().presets),
        modes=[Mode.CLUB if is_club else Mode.ASSOCIATION, Mode.UPDATE, Mode.ONBOARDING],
    )


@router.get("/runs")
def show_runs(
    request: Request, caller: Reader, services: Has, query: Annotated[RunQuery, Query()]
) -> Response:
    wanted = RunFilter(**query.model_dump(exclude={"limit", "cursor"}))
    page = services.stores.runs.list(wanted, limit=query.limit, cursor=query.cursor)
    return render(request, caller, "runs.html", page=page, states=list(RunState), modes=list(Mode))


@router.get("/runs/{run_id}")
def show_run(
    request: Request, caller: Reader, services: Has, run_id: str, query: Annotated[ListQuery, Query()]
) -> Response:
    run = services.stores.runs.find(run_id)
    return render(
        request,
        caller,
        "run.html",
        run=run,
        progress=services.progress.read(run_id),
        changes=services.stores.changes.of_run(run_id, limit=query.limit, cursor=query.cursor),
        notices=services.stores.notices.of_run(run_id),
        answer=None if run.state.is_final else services.why.of_run(run),
    )


def _outcomes(services: Services, account: Account) -> list[Run]:
    """The account's last runs, oldest first: a strip of what became of them."""
    page = services.stores.runs.list(RunFilter(account_id=account.id), limit=OUTCOMES_SHOWN)
    return list(page.items)[::-1]


def _events(services: Services, account: Account, runs: Sequence[Run]) -> Iterator[Event]:
    for run in runs:
        at = run.finished_at or run.started_at or run.requested_at
        written = sum(stage.created + stage.updated + stage.removed for stage in run.stages.values())
        what = f"{run.mode.value} sync, {run.preset}{', dry run' if run.dry_run else ''}"
        yield Event(
            at=at,
            kind="run",
            text=f"{what}: {written:,} records written" + (f"; {run.message}" if run.message else ""),
            href=f"/runs/{run.id}",
            state=run.state.value,
        )
        for notice in services.stores.notices.of_run(run.id):
            if notice.settled_at is not None:
                text = f"{notice.event} to {notice.channel}: {notice.state}"
                yield Event(at=notice.settled_at, kind="notice", text=text)
    for line in services.stores.audit.list(limit=TIMELINE_RUNS, subject=f"account:{account.id}").items:
        yield Event(at=line.at, kind="act", text=f"{line.actor} ({line.source}): {line.action}")
