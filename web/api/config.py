"""The settings in force, without their secrets."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from settings.loader import masked
from web.access import Reader
from web.services import Has

router = APIRouter(prefix="/config", tags=["settings"])


class ConfigBody(BaseModel):
    version: str = Field(description="differs when any value differs that is not a secret")
    values: dict[str, Any] = Field(description="secrets are masked")
    origins: dict[str, str] = Field(
        description="the file or variable that gave a value; the defaults gave the others",
        examples=[{"web.port": "PORT"}],
    )


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
    loaded = services.loaded()
    etag = f'"{loaded.fingerprint}"'
    if if_none_match == etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return ConfigBody(
        version=loaded.fingerprint, values=masked(loaded.settings), origins=dict(loaded.origins)
    )
