"""What is installed: providers, CMSs, channels, health checks, stages, presets."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from settings.plugins import installed
from web.access import Reader
from web.api.shapes import Paged

router = APIRouter(prefix="/plugins", tags=["settings"])


class PluginBody(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    kind: str = Field(examples=["providers"])
    name: str = Field(examples=["playhq"])
    package: str = Field(examples=["clubsync"])
    version: str = Field(examples=["0.1.0"])
    target: str = Field(description="what is loaded", examples=["providers.playhq.plugin:open_source"])
    health: str = Field(description="ok, or what is broken", examples=["ok"])


@router.get("", summary="List plugins")
def list_plugins(_caller: Reader) -> Paged[PluginBody]:
    """Every entry point that adds something, and whether it can be imported."""
    return Paged(items=installed_plugins(), next_cursor=None)


def installed_plugins() -> list[PluginBody]:
    return [PluginBody.model_validate(plugin) for plugin in installed()]
