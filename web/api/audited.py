"""The audit line of an act that came through the API."""

from __future__ import annotations

from typing import Any

from web.access import Caller
from web.services import Services

SOURCE = "api"


def note(
    services: Services,
    caller: Caller,
    action: str,
    subject: str | None,
    *,
    source: str = SOURCE,
    **detail: Any,
) -> None:
    """Append who did what; `detail` holds JSON values."""
    if caller.address is not None:
        detail["address"] = caller.address
    services.stores.audit.record(
        actor=caller.name, source=source, action=action, subject=subject, detail=detail
    )
