"""The accounts: list, add, import, show."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from stores.sql.account_files import Providers, read_account
from stores.sql.account_files import import_accounts as add_all
from stores.sql.accounts import AccountFilter
from stores.sql.documents import account_document, change_document, run_document
from stores.sql.runs import RunFilter
from stores.timeline import timeline_of_account
from sync.errors import InvalidRequest
from sync.model import OrganisationKind
from web.access import Operator, Reader
from web.api import bodies
from web.api.audited import note
from web.api.bodies import documented_body, read_json
from web.api.orders import LARGEST_ACCOUNT_ID
from web.api.paging import ListQuery
from web.api.runs import ChangeQuery
from web.api.shapes import AnswerBody, ChangeBody, EventBody, Paged, RunBody, TimelineBody
from web.health import Outage
from web.problems import Problem, documented
from web.services import Has, Services

router = APIRouter(prefix="/accounts", tags=["accounts"])

# Settings change seldom; older versions than these are on their own page.
VERSIONS_LOOKED_AT = 20

AccountId = Annotated[int, Path(ge=1, le=LARGEST_ACCOUNT_ID, examples=[42])]
NEW_EXAMPLES = {
    "a club": {
        "type": "club",
        "name": "Rovers",
        "provider": "playhq",
        "organisation": "8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10",
        "tags": ["trial"],
    }
}
IMPORT_EXAMPLE = """type,name,provider,organisation,associations,tags,plan
club,Rovers,playhq,8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10,,"trial, north",gold
"""


class AccountBody(BaseModel):
    """A customer, and the organisation that it points at."""

    model_config = ConfigDict(extra="allow")

    id: int = Field(examples=[42])
    type: OrganisationKind
    name: str = Field(examples=["Rovers"])
    provider: str = Field(examples=["playhq"])
    organisation_id: str = Field(examples=["8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10"])
    organisation_name: str | None
    association_ids: list[str] = Field(description="of a club; empty until given or learned by a sync")
    plan: str | None = Field(description="what the customer pays for", examples=["gold"])
    tags: list[str]
    is_setup: bool
    is_updating: bool


class NewAccountBody(bodies.Body):
    """An account to be added; the provider is the configured default when left out."""

    type: str = Field(examples=["club"])
    name: str = Field(examples=["Rovers"])
    organisation: str = Field(examples=["8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10"])
    provider: str | None = Field(default=None, examples=["playhq"])
    associations: list[str] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    plan: str | None = Field(default=None, max_length=100, examples=["gold"])


class Imported(BaseModel):
    imported: int = Field(examples=[2])
    ids: list[int] = Field(examples=[[42, 43]])


class AccountQuery(ListQuery):
    """Narrowed by every filter that is given."""

    type: OrganisationKind | None = None
    provider: str | None = Field(default=None, max_length=40)
    tag: str | None = Field(default=None, max_length=100)
    plan: str | None = Field(default=None, max_length=100)
    q: str | None = Field(default=None, max_length=100, description="any part of the name")
    organisation_id: str | None = Field(default=None, max_length=100)


@router.get("", summary="List accounts")
def list_accounts(
    _caller: Reader, services: Has, query: Annotated[AccountQuery, Query()]
) -> Paged[AccountBody]:
    """Accounts by id."""
    wanted = AccountFilter(
        kind=query.type,
        provider=query.provider,
        tag=query.tag,
        plan=query.plan,
        name=query.q,
        organisation_id=query.organisation_id,
    )
    page = services.stores.accounts.list(wanted, limit=query.limit, cursor=query.cursor)
    return Paged[AccountBody].of(page.map(account_document))


async def _read_new(request: Request) -> NewAccountBody:
    return await read_json(request, NewAccountBody)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Add an account",
    openapi_extra=documented_body(NewAccountBody, NEW_EXAMPLES),
    responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
)
def add_account(
    response: Response, caller: Operator, services: Has, new: Annotated[NewAccountBody, Depends(_read_new)]
) -> AccountBody:
    """Add one account. A club's associations may be left out: they are learned from its seasons."""
    account, reasons = read_account(new.model_dump(), _providers(services))
    if account is None:
        raise InvalidRequest("\n".join(reasons))
    added = services.stores.accounts.add(account)
    note(services, caller, "account_added", f"account:{added.id}", **new.model_dump(exclude_none=True))
    response.headers["Location"] = f"/api/v1/accounts/{added.id}"
    return AccountBody.model_validate(account_document(added))


async def _read_text(request: Request) -> str:
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "The file is not UTF-8 text.") from error


@router.post(
    "/import",
    status_code=HTTPStatus.CREATED,
    summary="Import accounts",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"text/csv": {"schema": {"type": "string"}, "example": IMPORT_EXAMPLE}},
        }
    },
    responses=documented(HTTPStatus.BAD_REQUEST),
)
def import_accounts(caller: Operator, services: Has, text: Annotated[str, Depends(_read_text)]) -> Imported:
    """Add all accounts of a CSV (with a first line of names) or JSON lines body, or none.

    Every mistake of the whole file is in the one answer, with its line.
    """
    added = add_all(services.stores.accounts, text, _providers(services))
    ids = [account.id for account in added]
    note(services, caller, "accounts_imported", None, count=len(ids), first_id=ids[0], last_id=ids[-1])
    return Imported(imported=len(ids), ids=ids)


@router.get("/{account_id}", summary="An account", responses=documented(HTTPStatus.NOT_FOUND))
def show_account(account_id: AccountId, _caller: Reader, services: Has) -> AccountBody:
    return AccountBody.model_validate(account_document(services.stores.accounts.find(account_id)))


@router.get("/{account_id}/runs", summary="An account's runs", responses=documented(HTTPStatus.NOT_FOUND))
def list_account_runs(
    account_id: AccountId, _caller: Reader, services: Has, query: Annotated[ListQuery, Query()]
) -> Paged[RunBody]:
    """Newest first."""
    services.stores.accounts.find(account_id)
    page = services.stores.runs.list(RunFilter(account_id=account_id), limit=query.limit, cursor=query.cursor)
    return Paged[RunBody].of(page.map(run_document))


@router.get(
    "/{account_id}/changes", summary="What its runs wrote", responses=documented(HTTPStatus.NOT_FOUND)
)
def list_account_changes(
    account_id: AccountId, _caller: Reader, services: Has, query: Annotated[ChangeQuery, Query()]
) -> Paged[ChangeBody]:
    """Newest first; with `kind` and `record_id` one record's history."""
    services.stores.accounts.find(account_id)
    page = services.stores.changes.of_account(
        account_id, query.wanted(), limit=query.limit, cursor=query.cursor
    )
    return Paged[ChangeBody].of(page.map(change_document))


@router.get(
    "/{account_id}/why", summary="Why isn't this running?", responses=documented(HTTPStatus.NOT_FOUND)
)
def explain_account(account_id: AccountId, _caller: Reader, services: Has, outage: Outage) -> AnswerBody:
    """The one gate that holds the account's sync up, with when it should open."""
    account = services.stores.accounts.find(account_id)
    return AnswerBody.model_validate(services.why.of_account(account, outage=outage))


@router.get(
    "/{account_id}/timeline",
    summary="What happened around an account",
    responses=documented(HTTPStatus.NOT_FOUND),
)
def show_account_timeline(
    account_id: AccountId, _caller: Reader, services: Has, query: Annotated[ListQuery, Query()]
) -> TimelineBody:
    """Runs, changes, versions of the settings, notices and acts of people, newest first."""
    services.stores.accounts.find(account_id)
    versions = services.versions.history(VERSIONS_LOOKED_AT)
    events = timeline_of_account(services.stores, account_id, versions, limit=query.limit)
    return TimelineBody(items=[EventBody.model_validate(event) for event in events])


def _providers(services: Services) -> Providers:
    return Providers(installed=services.providers, default=services.settings().providers.default)
