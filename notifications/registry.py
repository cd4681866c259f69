"""Opens the channels that are installed and configured."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from notifications.channels import Channel
from settings.schema import NotificationsSettings

log = logging.getLogger(__name__)

GROUP = "clubsync.channels"


@dataclass(frozen=True, slots=True)
class OpenChannels:
    """Channels by name; `unconfigured` are installed without an address, `broken` with the reason."""

    opened: Mapping[str, Channel]
    unconfigured: tuple[str, ...]
    broken: Mapping[str, str]


def open_channels(
    settings: NotificationsSettings, installed: tuple[EntryPoint, ...] | None = None
) -> OpenChannels:
    """Call each entry point `open_channel(settings) -> Channel | None`.

    One that fails is reported, and the others still work.
    """
    opened: dict[str, Channel] = {}
    unconfigured: list[str] = []
    broken: dict[str, str] = {}
    for entry_point in installed if installed is not None else tuple(entry_points(group=GROUP)):
        try:
            channel: Channel | None = entry_point.load()(settings)
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything, or end
            broken[entry_point.name] = f"{type(error).__name__}: {error}"
            log.exception(
                "channel_broken", extra={"channel": entry_point.name, "reason": broken[entry_point.name]}
            )
            continue
        if channel is None:
            unconfigured.append(entry_point.name)
        else:
            opened[entry_point.name] = channel
    return OpenChannels(opened, tuple(unconfigured), broken)
