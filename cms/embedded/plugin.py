"""The entry point of the embedded CMS."""

from __future__ import annotations

from cms.embedded.adapter import EmbeddedCms
from cms.registry import CmsContext
from sync.ports import Cms


def open_cms(context: CmsContext) -> Cms:
    return EmbeddedCms(context.stores)
