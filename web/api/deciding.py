"""What a person decides about a run: approve or reject what waits, retry, take back, look at it again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, Field

from providers.replaying import replay, require_recordings
from stores.sql.documents import act_document, decision_document, replay_document
from sync.by_hand.approval import DecisionVerdict
from sync.by_hand.run import Act
from sync.model import RecordKind
from sync.report import Guard, Stage
from web.access import Caller, Operator, Reader
from web.api.audited import SOURCE, note
from web.api.bodies import Body, documented_body, read_json
from web.api.once import Asking, IdempotencyKey, once
from web.api.shapes import Done, PlannedBody, RunBody
from web.api.syncs import RunId
from web.problems import Problem, documented
from web.services import Has, Services

router = APIRouter(prefix="/runs", tags=["runs"])

# An answer names so many of what it concerned; /changes pages through all of them.
SHOWN = 100

IfMatch = Annotated[
    str | None,
    Header(max_length=100, description="the ETag of the plan that was looked at; another plan answers 412"),
]
DECIDE_EXAMPLES = {"exactly this plan": {"plan_hash": "9f1c2b7a40d3e655"}}
DECIDING = documented(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.PRECONDITION_REQUIRED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)


class Decide(Body):
    """Which plan is decided about; the header If-Match says the same."""

    plan_hash: str | None = Field(default=None, max_length=100, examples=["9f1c2b7a40d3e655"])


class DecisionBody(BaseModel):
    """What was decided, by whom; the first decision about a plan stays."""

    run_id: str
    plan_hash: str
    verdict: DecisionVerdict
    decided_by: str = Field(examples=["api:anna"])
    at: Any = Field(examples=["2031-10-18T09:12:00Z"])
    act_id: str | None = Field(description="the run that wrote what was approved")


class KeptBody(BaseModel):
    """A record that stays as it is, and why."""

    kind: RecordKind
    record_id: str
    reason: str = Field(examples=["it was edited since"])


class HoldBody(BaseModel):
    """What one guard held back."""

    guard: Guard
    stage: Stage
    where: str = Field(examples=["grade A Grade (7d1f…)"])
    reason: str = Field(examples=["30 of 50 stored are missing from the listing"])
    change_count: int


class PlanBody(BaseModel):
    """What waits of a run, as an approval would write it now."""

    run_id: str
    plan_hash: str
    decision: DecisionBody | None = Field(description="null while nobody has decided")
    is_outdated: bool = Field(description="a dry run's plan whose records have changed since is refused")
    holds: list[HoldBody]
    change_count: int
    changes: list[PlannedBody] = Field(description=f"the first {SHOWN}; all of them: /runs/{{id}}/changes")
    kept_count: int
    kept: list[KeptBody] = Field(description=f"the first {SHOWN} that have changed since")


class ActBody(BaseModel):
    """What was written by hand, and by which run."""

    run: RunBody | None = Field(description="null when nothing was left to write")
    is_repeat: bool = Field(description="it was done before: nothing was written now")
    change_count: int
    changes: list[PlannedBody] = Field(description=f"the first {SHOWN}")
    kept_count: int
    kept: list[KeptBody] = Field(description=f"the first {SHOWN} that stay as they are")


class ReplayBody(BaseModel):
    """How a recorded run ends this time; it wrote nothing."""

    run: RunBody
    is_same: bool = Field(description="whether it would write exactly what it wrote then")
    recorded_hash: str
    replayed_hash: str
    only_recorded: list[PlannedBody] = Field(description=f"the first {SHOWN} that it would not write now")
    only_replayed: list[PlannedBody] = Field(description=f"the first {SHOWN} that it did not write then")


async def _read_decide(request: Request) -> Decide:
    return await read_json(request, Decide) if await request.body() else Decide()


Decided = Annotated[Decide, Depends(_read_decide)]


@router.get("/{run_id}/plan", summary="What waits of a run", responses=DECIDING)
def show_plan(run_id: RunId, response: Response, _caller: Reader, services: Has) -> PlanBody:
    """What the guards held back, or a dry run's plan, and what of it has changed since."""
    proposal = services.approvals.plan(run_id)
    response.headers["ETag"] = f'"{proposal.plan_hash}"'
    document = act_document(Act(run=None, choice=proposal.choice))
    return PlanBody.model_validate(
        {
            **_shown(document),
            "run_id": run_id,
            "plan_hash": proposal.plan_hash,
            "decision": decision_document(proposal.decision) if proposal.decision else None,
            "is_outdated": proposal.is_outdated,
            "holds": [HoldBody.model_validate(hold, from_attributes=True) for hold in proposal.run.holds],
        }
    )


@router.post(
    "/{run_id}/approve",
    summary="Approve what waits of a run",
    openapi_extra=documented_body(Decide, DECIDE_EXAMPLES),
    responses=DECIDING,
)
def approve(  # noqa: PLR0913, PLR0917 - each is a part of the request
    run_id: RunId,
    caller: Operator,
    services: Has,
    decide: Decided,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> ActBody:
    """Write exactly the plan with this hash, as a run of its own.

    Held changes whose records changed since stay as they are. A dry run's plan is written
    whole, or refused once a record has changed. A second approval writes nothing and names
    the run of the first.
    """
    plan_hash = _wanted_hash(decide, if_match)

    def do() -> ActBody:
        return _act_body(
            approve_plan(services, caller, SOURCE, run_id, _looked_at(services, run_id, plan_hash))
        )

    return once(services, Asking(caller, idempotency_key), f"approve {run_id} {plan_hash}", ActBody, do)


@router.post(
    "/{run_id}/reject",
    summary="Reject what waits of a run",
    openapi_extra=documented_body(Decide, DECIDE_EXAMPLES),
    responses=DECIDING,
)
def reject(  # noqa: PLR0913, PLR0917 - each is a part of the request
    run_id: RunId,
    caller: Operator,
    services: Has,
    decide: Decided,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> DecisionBody:
    """Decide that the plan is never written. A decision that was made before stays, and is answered."""
    plan_hash = _wanted_hash(decide, if_match)

    def do() -> DecisionBody:
        looked_at = _looked_at(services, run_id, plan_hash)
        return DecisionBody.model_validate(reject_plan(services, caller, SOURCE, run_id, looked_at))

    return once(services, Asking(caller, idempotency_key), f"reject {run_id} {plan_hash}", DecisionBody, do)


@router.post("/{run_id}/undo", summary="Take a run back", responses=DECIDING)
def undo(run_id: RunId, caller: Operator, services: Has, idempotency_key: IdempotencyKey = None) -> ActBody:
    """Restore what the run changed, as a run of its own that can be undone, too.

    Records that were edited since stay as they are, and are named.
    """
    asking = Asking(caller, idempotency_key)
    return once(
        services,
        asking,
        f"undo {run_id}",
        ActBody,
        lambda: _act_body(undo_run(services, caller, SOURCE, run_id)),
    )


@router.post("/{run_id}/retry", summary="Bring to the CMS again what it refused of a run", responses=DECIDING)
def retry(run_id: RunId, caller: Operator, services: Has, idempotency_key: IdempotencyKey = None) -> Done:
    """After somebody mended why: what is listed under /refused waits for the CMS again.

    Workers bring it there within seconds, as far as it still differs; then the run comes to
    its verdict anew. `count` 0: nothing was left.
    """
    asking = Asking(caller, idempotency_key)
    return once(
        services, asking, f"retry {run_id}", Done, lambda: retry_refused(services, caller, SOURCE, run_id)
    )


@router.post("/{run_id}/replay", summary="Go through a recorded run again", responses=DECIDING)
def replay_run(
    run_id: RunId, caller: Operator, services: Has, idempotency_key: IdempotencyKey = None
) -> ReplayBody:
    """Offline, from what it was answered then and what was stored then; it writes nothing.

    404 when no recording of the run is on this machine.
    """
    asking = Asking(caller, idempotency_key)
    return once(
        services,
        asking,
        f"replay {run_id}",
        ReplayBody,
        lambda: ReplayBody.model_validate(replay_recorded(services, caller, SOURCE, run_id)),
    )


@router.get(
    "/{run_id}/recording",
    summary="What a run was answered",
    response_class=Response,
    responses={
        200: {"content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}}},
        **documented(HTTPStatus.NOT_FOUND),
    },
)
def download_recording(run_id: RunId, _caller: Operator, services: Has) -> Response:
    """The provider's answers as gzipped JSON lines, without secrets and people's names."""
    services.stores.runs.find(run_id)
    return recording_response(services, run_id)


def approve_plan(services: Services, caller: Caller, source: str, run_id: str, plan_hash: str) -> Act:
    """Approve, and note who did."""
    act = services.approvals.approve(run_id, plan_hash=plan_hash, decided_by=f"{source}:{caller.name}")
    if act.run is not None and not act.is_repeat:
        detail = {"approval_id": act.run.id, "plan_hash": plan_hash}
        note(services, caller, "runs_approve", f"run:{run_id}", source=source, **detail)
    return act


def reject_plan(
    services: Services, caller: Caller, source: str, run_id: str, plan_hash: str
) -> dict[str, Any]:
    """Reject, and note who did; the decision that holds."""
    approvals = services.approvals
    known = services.stores.decisions.find(run_id)
    decision = approvals.reject(run_id, plan_hash=plan_hash, decided_by=f"{source}:{caller.name}")
    if known is None:
        note(services, caller, "runs_reject", f"run:{run_id}", source=source, plan_hash=plan_hash)
    return decision_document(decision)


def undo_run(services: Services, caller: Caller, source: str, run_id: str) -> Act:
    """Take the run back, and note who did."""
    act = services.undos.undo(run_id)
    if act.run is not None:
        note(services, caller, "runs_undo", f"run:{run_id}", source=source, undo_id=act.run.id)
    return act


def retry_refused(services: Services, caller: Caller, source: str, run_id: str) -> Done:
    """Let what the CMS refused of the run wait for it again, and note who did. Raises NotFound."""
    services.stores.runs.find(run_id)
    count = services.stores.refusals.retry(run_id)
    if count:
        note(services, caller, "runs_retry", f"run:{run_id}", source=source, count=count)
        return Done(detail=f"{count} changes wait for the CMS again.", count=count)
    return Done(detail="Nothing that the CMS refused is left of this run.", count=0)


def replay_recorded(services: Services, caller: Caller, source: str, run_id: str) -> dict[str, Any]:
    """Replay, and note who did."""
    recorded = services.stores.runs.find(run_id)
    replayed = replay(recorded, settings=services.settings(), cms=services.cms, past=services.stores.changes)
    note(services, caller, "runs_replay", f"run:{run_id}", source=source, is_same=replayed.is_same)
    document = replay_document(replayed)
    return {
        "run": document,
        **{key: document[key] for key in ("is_same", "recorded_hash", "replayed_hash")},
        **{key: document[key][:SHOWN] for key in ("only_recorded", "only_replayed")},
    }


def recording_response(services: Services, run_id: str) -> Response:
    """The recording as a download. Raises NotFound."""
    paths = require_recordings(services.settings().home, run_id)
    # Gzip members one after the other are one gzip file.
    bundle = b"".join(path.read_bytes() for path in paths)
    name = f"attachment; filename=run-{run_id}.jsonl.gz"
    return Response(bundle, media_type="application/gzip", headers={"Content-Disposition": name})


def _wanted_hash(decide: Decide, if_match: str | None) -> str:
    """Raises Problem 428 when neither says which plan was looked at."""
    found = {given for given in (decide.plan_hash, (if_match or "").strip('"') or None) if given}
    if not found:
        raise Problem(
            HTTPStatus.PRECONDITION_REQUIRED,
            "Say which plan you have looked at: `plan_hash`, or If-Match with the ETag of /plan.",
        )
    if len(found) > 1:
        raise Problem(HTTPStatus.PRECONDITION_FAILED, "plan_hash and If-Match name different plans.")
    return found.pop()


def _looked_at(services: Services, run_id: str, plan_hash: str) -> str:
    """The hash, if it is that of the run's plan. Raises NotFound and Problem 412."""
    run = services.stores.runs.find(run_id)
    if run.plan_hash not in (None, plan_hash):
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED, f"The plan of run {run_id} is {run.plan_hash}, not {plan_hash}."
        )
    return plan_hash


def _act_body(act: Act) -> ActBody:
    document = act_document(act)
    run = document if act.run else None
    return ActBody.model_validate({**_shown(document), "run": run, "is_repeat": act.is_repeat})


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    changes, kept = document["changes"], document["kept"]
    return {
        "change_count": len(changes),
        "changes": changes[:SHOWN],
        "kept_count": len(kept),
        "kept": kept[:SHOWN],
    }
