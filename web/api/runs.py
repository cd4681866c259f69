"""The runs: list, show, and every field that one changed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from stores.sql.changes import ChangeFilter
from stores.sql.documents import change_document, refusal_document, run_document
from stores.sql.runs import RunFilter
from stores.timeline import timeline_of_run
from sync.changes import Action
from sync.model import RecordKind
from sync.report import Mode, RunState, Stage
from web.access import Reader
from web.api.orders import LARGEST_ACCOUNT_ID
from web.api.paging import ListQuery
from web.api.shapes import ChangeBody, EventBody, Paged, RefusalBody, RunBody, TimelineBody
from web.api.syncs import RunId
from web.problems import documented
from web.services import Has

router = APIRouter(prefix="/runs", tags=["runs"])


class RunQuery(ListQuery):
    """Narrowed by every filter that is given."""

    state: RunState | None = None
    mode: Mode | None = None
    account_id: int | None = Field(default=None, ge=1, le=LARGEST_ACCOUNT_ID)
    organisation_id: str | None = Field(default=None, max_length=100)
    batch_id: str | None = Field(default=None, max_length=100)
    requested_since: AwareDatetime | None = Field(default=None, examples=["2031-10-18T00:00:00Z"])


@router.get("", summary="List runs")
def list_runs(_caller: Reader, services: Has, query: Annotated[RunQuery, Query()]) -> Paged[RunBody]:
    """Newest first."""
    wanted = RunFilter(**query.model_dump(exclude={"limit", "cursor"}))
    page = services.stores.runs.list(wanted, limit=query.limit, cursor=query.cursor)
    return Paged[RunBody].of(page.map(run_document))


@router.get("/{run_id}", summary="A run", responses=documented(HTTPStatus.NOT_FOUND))
def show_run(run_id: RunId, _caller: Reader, services: Has) -> RunBody:
    """The same as `/syncs/{id}`."""
    return RunBody.model_validate(run_document(services.stores.runs.find(run_id)))


class ChangeQuery(ListQuery):
    """Narrowed by every filter that is given."""

    kind: RecordKind | None = None
    record_id: str | None = Field(default=None, max_length=200)
    action: Action | None = None
    stage: Stage | None = None
    applied: bool | None = Field(default=None, description="false: what is planned or held back")

    def wanted(self) -> ChangeFilter:
        return ChangeFilter(
            kind=self.kind,
            record_id=self.record_id,
            action=self.action,
            stage=self.stage,
            is_applied=self.applied,
        )


@router.get("/{run_id}/changes", summary="What a run wrote", responses=documented(HTTPStatus.NOT_FOUND))
def list_run_changes(
    run_id: RunId, _caller: Reader, services: Has, query: Annotated[ChangeQuery, Query()]
) -> Paged[ChangeBody]:
    """Field by field, in the order of writing; of a dry run what would be written (`applied` false)."""
    services.stores.runs.find(run_id)
    page = services.stores.changes.of_run(run_id, query.wanted(), limit=query.limit, cursor=query.cursor)
    return Paged[ChangeBody].of(page.map(change_document))


class RefusedBody(BaseModel):
    items: list[RefusalBody]


@router.get(
    "/{run_id}/refused", summary="What the CMS refused of a run", responses=documented(HTTPStatus.NOT_FOUND)
)
def list_refused(run_id: RunId, _caller: Reader, services: Has) -> RefusedBody:
    """Changes that waited for a CMS that was away, and that it refused then; parents first.

    They wait for a POST to /retry, or for a newer change of the same record.
    """
    services.stores.runs.find(run_id)
    refused = services.stores.refusals.of_run(run_id)
    return RefusedBody(items=[RefusalBody.model_validate(refusal_document(one)) for one in refused])


@router.get(
    "/{run_id}/timeline", summary="What happened to a run", responses=documented(HTTPStatus.NOT_FOUND)
)
def show_run_timeline(run_id: RunId, _caller: Reader, services: Has) -> TimelineBody:
    """From the request to the notices, and what people decided about it, oldest first."""
    events = timeline_of_run(services.stores, services.stores.runs.find(run_id))
    return TimelineBody(items=[EventBody.model_validate(event) for event in events])
