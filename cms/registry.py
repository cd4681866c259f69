"""Opens the CMS that the settings name; a stranger's package adds one as an entry point.

An adapter registers `open_cms(context: CmsContext) -> sync.ports.Cms` under its kind in
the group `clubsync.cms`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from cms.local import LocalStores
from settings.schema import CmsSettings
from sync.errors import ConfigurationError
from sync.ports import Clock, Cms

GROUP = "clubsync.cms"


@dataclass(frozen=True, slots=True, kw_only=True)
class CmsContext:
    """What an adapter may need: its settings, the local stores and the clock."""

    settings: CmsSettings
    stores: LocalStores
    clock: Clock


OpenCms = Callable[[CmsContext], Cms]


def open_cms(context: CmsContext) -> Cms:
    """Raises ConfigurationError for a kind that no installed package offers."""
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    entry = installed.get(context.settings.kind)
    if entry is None:
        raise ConfigurationError(
            f"cms.kind: {context.settings.kind!r} is not installed; one of {', '.join(sorted(installed))}"
        )
    adapter: OpenCms = entry.load()
    return adapter(context)


def installed_kinds() -> tuple[str, ...]:
    """The kinds that can be opened."""
    return tuple(sorted(entry.name for entry in entry_points(group=GROUP)))
