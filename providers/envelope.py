"""The outermost object of an answer."""

from __future__ import annotations

from typing import Any

import msgspec


class Envelope(msgspec.Struct, kw_only=True):
    """What every answer's own shape begins with: an error is no answer, whatever status it came with."""

    error: Any = None

    def __post_init__(self) -> None:
        if self.error:
            raise ValueError("an error came with success")
