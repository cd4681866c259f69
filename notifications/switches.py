"""When a channel that was switched off is on again by itself: once its own settings are others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from pydantic import BaseModel, SecretStr

from settings.schema import NotificationsSettings


class Off(Protocol):
    """Why and since when a channel is told nothing; `settings` is the mark of those that it had."""

    @property
    def reason(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def settings(self) -> str: ...


OneOff = TypeVar("OneOff", bound=Off)


def still_off(noted: Mapping[str, OneOff], settings: NotificationsSettings) -> Mapping[str, OneOff]:
    """Those of the channels that were switched off under the settings that they have now."""
    return {name: off for name, off in noted.items() if off.settings == mark_of(settings, name)}


def mark_of(settings: NotificationsSettings, channel: str) -> str:
    """Differs once the channel's settings do, and shows none of them.

    A channel of another package has no section of its own: any change of a notice's settings is one.
    """
    section = getattr(settings, channel, settings)
    part = section if isinstance(section, BaseModel) else settings
    written = json.dumps(part.model_dump(), default=_revealed, sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def _revealed(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
