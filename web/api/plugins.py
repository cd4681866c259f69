"""What is installed: providers, CMSs, channels."""

from __future__ import annotations

from importlib.metadata import entry_points

from fastapi import APIRouter
from pydantic import BaseModel, Field

from web.access import Reader
from web.api.shapes import Paged

router = APIRouter(prefix="/plugins", tags=["settings"])

PREFIX = "clubsync."


class PluginBody(BaseModel):
    kind: str = Field(examples=["providers"])
    name: str = Field(examples=["playhq"])
    package: str | None = Field(examples=["clubsync"])
    version: str | None = Field(examples=["0.1.0"])
    target: str = Field(description="what is loaded", examples=["providers.playhq.plugin:open_source"])


@router.get("", summary="List plugins")
def list_plugins(_caller: Reader) -> Paged[PluginBody]:
    """Every entry point that adds a provider, a CMS or a channel; none is loaded to list it."""
    return Paged(items=installed_plugins(), next_cursor=None)


def installed_plugins() -> list[PluginBody]:
    installed = entry_points()
    groups = sorted(group for group in installed.groups if group.startswith(PREFIX))
    points = [point for group in groups for point in installed.select(group=group)]
    return [
        PluginBody(
            kind=point.group.removeprefix(PREFIX),
            name=point.name,
            package=point.dist.name if point.dist else None,
            version=point.dist.version if point.dist else None,
            target=point.value,
        )
        for point in points
    ]
