"""Every refusal as an RFC 9457 problem that lists all mistakes at once."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from dramatiq.errors import BrokerError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from redis import RedisError
from starlette.exceptions import HTTPException

from sync.errors import (
    DeferredError,
    InvalidRequest,
    NotFound,
    Overtaken,
    StoreUnavailable,
    SyncError,
    TransientError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Mistake(BaseModel):
    """One thing that is wrong: where (a JSON pointer, or a parameter's name) and why."""

    pointer: str | None = Field(default=None, examples=["/preset"])
    parameter: str | None = Field(default=None, examples=["limit"])
    detail: str = Field(examples=["'fast' is not a preset; one of data-only, full, minimal, quick"])


class ProblemBody(BaseModel):
    """RFC 9457."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["The request has 1 mistake."])
    instance: str | None = Field(default=None, examples=["/api/v1/syncs"])
    errors: list[Mistake] = []


class Problem(Exception):
    """Raised anywhere below a route, answered as problem+json."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[Mistake] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})


def mistakes(errors: Sequence[Mistake]) -> Problem:
    """A 422 that lists what is wrong with a request."""
    noun = "mistake" if len(errors) == 1 else "mistakes"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"The request has {len(errors)} {noun}.", errors=errors)


def problem_response(problem: Problem, path: str | None = None) -> JSONResponse:
    body = ProblemBody(
        title=problem.status.phrase,
        status=problem.status,
        detail=problem.detail,
        instance=path,
        errors=list(problem.errors),
    )
    return JSONResponse(
        body.model_dump(mode="json", exclude_none=True),
        status_code=problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer these problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return {int(status): {"description": status.phrase, "content": content} for status in statuses}


def install(app: FastAPI) -> None:
    """Answer every exception of a route as a problem."""
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(SyncError, _answer_sync_error)
    app.add_exception_handler(RedisError, _answer_outage)
    app.add_exception_handler(BrokerError, _answer_outage)
    app.add_exception_handler(Exception, _answer_bug)


def _answer(request: Request, problem: Problem) -> Response:
    """As a page to a browser that asked for one, as problem+json to everybody else."""
    is_for_people = "text/html" in request.headers.get("accept", "")
    if is_for_people and not request.scope["path"].startswith(("/api/", "/health", "/metrics", "/static/")):
        page: Response = request.app.state.render_problem(request, problem)
        return page
    return problem_response(problem, request.scope["path"])


def _answer_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 Starlette's handlers take the base type
    return _answer(request, error)


def _answer_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 as above
    return _answer(request, mistakes([mistake_of(item) for item in error.errors()]))


def mistake_of(error: Mapping[str, Any]) -> Mistake:
    """One of pydantic's errors in our form."""
    where, *path = [str(part) for part in error["loc"]] or [""]
    detail = str(error["msg"]).removeprefix("Value error, ")
    if where == "body":
        return Mistake(pointer="/" + "/".join(path), detail=detail)
    return Mistake(parameter="/".join(path) or where, detail=detail)


def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 as above
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.scope['path']}.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible here.",
    }.get(status, str(error.detail))
    return _answer(request, Problem(status, detail, headers=error.headers))


def _answer_sync_error(request: Request, error: Exception) -> Response:
    if isinstance(error, NotFound):
        problem = Problem(HTTPStatus.NOT_FOUND, str(error))
    elif isinstance(error, Overtaken):
        problem = Problem(HTTPStatus.CONFLICT, str(error))
    elif isinstance(error, InvalidRequest):
        problem = mistakes([_mistake_of_reason(reason) for reason in str(error).splitlines()])
    elif isinstance(error, TransientError):
        problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": "5"})
    elif isinstance(error, DeferredError):
        wait = {"Retry-After": str(math.ceil(error.retry_after_s))}
        problem = Problem(HTTPStatus.CONFLICT, f"{error}; try again in a moment.", headers=wait)
    else:
        problem = Problem(HTTPStatus.CONFLICT, str(error))
    return _answer(request, problem)


def _answer_outage(request: Request, error: Exception) -> Response:
    # What an operator's hands on the broker meet comes in Redis's own words.
    log.warning("redis_did_not_answer", extra={"path": request.scope["path"], "reason": str(error)})
    return _answer_sync_error(request, StoreUnavailable("Redis did not answer."))


def _mistake_of_reason(reason: str) -> Mistake:
    """`field: why`, as the messages' door writes it."""
    name, separator, why = reason.partition(": ")
    if separator and name.isidentifier():
        return Mistake(pointer=f"/{name}", detail=why)
    return Mistake(detail=reason)


def _answer_bug(request: Request, error: Exception) -> Response:
    log.error("request_failed", exc_info=error, extra={"path": request.scope["path"]})
    return _answer(
        request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "A fault of clubsync's; its log has the trace.")
    )
