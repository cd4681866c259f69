"""The settings: those in force, their versions, and changing them while everything runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from settings.loader import InvalidSettings, masked
from settings.reload import Acknowledgement
from settings.versions import Version, VersionConflict, diff
from web.access import Admin, Reader
from web.api.audited import note
from web.api.bodies import Body, documented_body, read_json
from web.api.canary import choose_worker
from web.api.paging import ListQuery
from web.api.shapes import Paged
from web.problems import Mistake, Problem, documented, mistakes
from web.services import Has, Services

router = APIRouter(prefix="/config", tags=["settings"])

IfMatch = Annotated[
    str | None,
    Header(max_length=100, description="the ETag that was looked at; another one in force answers 412"),
]
CHANGE_EXAMPLES = {
    "slower": {"changes": {"providers.playhq.requests_per_s": 2.5}, "reason": "the provider asked for it"},
    "on one worker first": {
        "changes": {"http.read_timeout_s": 10},
        "reason": "a faster verdict",
        "canary_s": 300,
    },
    "back to the file's value": {"unset": ["providers.playhq.requests_per_s"], "reason": "solved"},
}


class ConfigBody(BaseModel):
    number: int = Field(description="the version that this web process runs under; 0 until it is known")
    version: str = Field(description="differs when any value differs that is not a secret")
    values: dict[str, Any] = Field(description="secrets are masked")
    origins: dict[str, str] = Field(
        description="the file or variable that gave a value; the defaults gave the others",
        examples=[{"web.port": "PORT"}],
    )


class DifferenceBody(BaseModel):
    key: str = Field(examples=["web.requests_per_s"])
    before: Any
    after: Any


class VersionBody(BaseModel):
    """A numbered set of settings, and how it differs from the one before."""

    number: int
    author: str
    at: datetime
    reason: str
    differences: list[DifferenceBody]


class AcknowledgementBody(BaseModel):
    """What a process says about a version: taken over, or refused with the reason."""

    process: str
    version: int
    is_accepted: bool
    at: datetime
    reason: str | None
    restart_for: list[str] = Field(
        description="settings that differ from those it started with, and that it reads only then"
    )
    is_local: bool = Field(description="its file or its variables are refused, not the version")


class ConfigChange(Body):
    """Live settings over all others, for all processes."""

    changes: dict[str, Any] = Field(default_factory=dict, description="dotted keys to values")
    unset: list[StrictStr] = Field(default_factory=list, description="keys whose live value is dropped")
    reason: StrictStr = Field(max_length=500)
    canary_s: float | None = Field(
        default=None, gt=0, le=7 * 86_400, description="try it on one worker for so long first"
    )
    worker: StrictStr | None = Field(
        default=None, max_length=200, description="with canary_s: on this one, as /workers names it"
    )
    preview: StrictBool = Field(default=False, description="answer what would change; change nothing")


class Restore(Body):
    version: StrictInt = Field(ge=1, le=2**31 - 1)
    preview: StrictBool = Field(default=False, description="answer what would change; change nothing")


@router.get(
    "",
    summary="The settings",
    response_model=ConfigBody,
    responses={304: {"description": "Unchanged since that ETag"}},
)
def show_config(
    response: Response,
    _caller: Reader,
    services: Has,
    if_none_match: Annotated[str | None, Header(max_length=100)] = None,
) -> Any:
    """What is in force in the web process, and where each value came from."""
    etag = _etag(services)
    if if_none_match == etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    response.headers["ETag"] = etag
    loaded = services.loaded()
    return ConfigBody(
        number=services.config_number(),
        version=loaded.fingerprint,
        values=masked(loaded.settings),
        origins=dict(loaded.origins),
    )


@router.get("/versions", summary="List versions of the settings")
def list_versions(_caller: Reader, services: Has, query: Annotated[ListQuery, Query()]) -> Paged[VersionBody]:
    """Newest first; this list has one page."""
    return Paged(
        items=version_bodies(services.versions.history(query.limit + 1))[: query.limit], next_cursor=None
    )


@router.get("/versions/{number}", summary="A version", responses=documented(HTTPStatus.NOT_FOUND))
def show_version(
    _caller: Reader, services: Has, number: Annotated[int, Path(ge=1, le=2**31 - 1)]
) -> VersionBody:
    version = services.versions.find(number)
    before = services.versions.find(version.earlier) if number > 1 else None
    return _version_body(version, before)


@router.get("/acknowledgements", summary="What the processes say")
def list_acknowledgements(_caller: Reader, services: Has) -> Paged[AcknowledgementBody]:
    """The last word of each process about the settings."""
    found = services.versions.acknowledgements(services.clock.now(), living=services.registry.living())
    return Paged(items=[_acknowledgement_body(one) for one in found], next_cursor=None)


async def _read_change(request: Request) -> ConfigChange:
    return await read_json(request, ConfigChange)


CHANGING = documented(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)


@router.patch(
    "",
    summary="Change the settings",
    openapi_extra=documented_body(ConfigChange, CHANGE_EXAMPLES),
    responses={**CHANGING, **documented(HTTPStatus.NOT_FOUND)},
)
def change_config(
    response: Response,
    caller: Admin,
    services: Has,
    change: Annotated[ConfigChange, Depends(_read_change)],
    if_match: IfMatch = None,
) -> VersionBody:
    """Validate first, then put a new version in force; every process takes it over within a second.

    With `canary_s` one worker takes it over, and the version is taken back or promoted by itself.
    """
    expected = _expected(services, if_match)
    before = services.versions.in_force()
    try:
        if change.preview:
            return _version_body(services.history.preview(change.changes, unset=change.unset), before)
        if change.canary_s is not None:
            return _try_out(response, services, caller, change, change.canary_s, expected)
        version = services.history.change(
            change.changes, unset=change.unset, author=caller.name, reason=change.reason, expected=expected
        )
    except InvalidSettings as error:
        raise _refused(error, f"/{'changes' if change.changes else 'unset'}") from error
    except VersionConflict as error:
        raise _conflict(error, if_match) from error
    return _changed(response, services, caller, version, before)


def _try_out(  # noqa: PLR0913, PLR0917 - the same as the route's
    response: Response,
    services: Services,
    caller: Admin,
    change: ConfigChange,
    canary_s: float,
    expected: int | None,
) -> VersionBody:
    trial = services.history.try_out(
        change.changes,
        process=choose_worker(services, change.worker),
        for_s=canary_s,
        unset=change.unset,
        author=caller.name,
        reason=change.reason,
        expected=expected,
    )
    body = _version_body(services.versions.find(trial.number), services.versions.find(trial.base))
    keys = [difference.key for difference in body.differences]
    note(
        services,
        caller,
        "config_canary_begun",
        str(trial.number),
        reason=trial.reason,
        worker=trial.process,
        keys=keys,
    )
    response.headers["Location"] = "/api/v1/config/canary"
    return body


async def _read_restore(request: Request) -> Restore:
    return await read_json(request, Restore)


@router.post(
    "/rollback",
    summary="Restore a version",
    openapi_extra=documented_body(Restore, {"the third": {"version": 3}}),
    responses={**CHANGING, **documented(HTTPStatus.NOT_FOUND)},
)
def roll_back(
    response: Response,
    caller: Admin,
    services: Has,
    order: Annotated[Restore, Depends(_read_restore)],
    if_match: IfMatch = None,
) -> VersionBody:
    """Restore an earlier version as a new one; one that is on trial is taken back by it."""
    expected = _expected(services, if_match)
    before = services.versions.in_force()
    if order.preview:
        return _version_body(preview_restore(services, order.version), before)
    try:
        version = restore(services, order.version, author=caller.name, expected=expected)
    except VersionConflict as error:
        raise _conflict(error, if_match) from error
    return _changed(response, services, caller, version, before)


def restore(services: Services, number: int, *, author: str, expected: int | None) -> Version:
    """Raises NotFound, VersionConflict, and Problem 422 when it would no longer be valid."""
    try:
        return services.history.rollback(number, author=author, expected=expected)
    except InvalidSettings as error:
        raise _refused(error, "/version") from error


def preview_restore(services: Services, number: int) -> Version:
    """What restoring a version would make. Raises NotFound, and Problem 422 as `restore` does."""
    try:
        return services.history.preview_rollback(number)
    except InvalidSettings as error:
        raise _refused(error, "/version") from error


def version_bodies(history: Sequence[Version]) -> list[VersionBody]:
    """Versions, newest first, each with what it changed; that of the last is not told."""
    known = {version.number: version for version in history}
    return [_version_body(version, known.get(version.earlier)) for version in history]


def _version_body(version: Version, before: Version | None) -> VersionBody:
    # The first one differs from nothing in every setting, which would tell nobody anything.
    changed = diff(before, version) if before else []
    return VersionBody(
        number=version.number,
        author=version.author,
        at=version.at,
        reason=version.reason,
        differences=[DifferenceBody(key=one.key, before=one.before, after=one.after) for one in changed],
    )


def _acknowledgement_body(one: Acknowledgement) -> AcknowledgementBody:
    return AcknowledgementBody(
        process=one.process,
        version=one.version,
        is_accepted=one.is_accepted,
        at=one.at,
        reason=one.reason,
        restart_for=list(one.restart_for),
        is_local=one.is_local,
    )


def _etag(services: Services) -> str:
    return f'"{services.config_number()}-{services.loaded().fingerprint}"'


def _expected(services: Services, if_match: str | None) -> int | None:
    if if_match is None or if_match == "*":
        return None
    if if_match != _etag(services):
        raise Problem(HTTPStatus.PRECONDITION_FAILED, "Other settings are in force: look again, then repeat.")
    return services.config_number()


def _conflict(error: VersionConflict, if_match: str | None) -> Problem:
    status = HTTPStatus.CONFLICT if if_match is None else HTTPStatus.PRECONDITION_FAILED
    return Problem(status, f"{error}.")


def _refused(error: InvalidSettings, pointer: str) -> Problem:
    return mistakes([Mistake(pointer=pointer, detail=str(problem)) for problem in error.problems])


def _changed(
    response: Response, services: Services, caller: Admin, version: Version, before: Version | None
) -> VersionBody:
    body = _version_body(version, before)
    keys = [difference.key for difference in body.differences]
    note(services, caller, "config_changed", f"config:{version.number}", reason=version.reason, keys=keys)
    response.headers["Location"] = f"/api/v1/config/versions/{version.number}"
    return body
