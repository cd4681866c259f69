"""The periodic task that brings what waits in the outbox to the CMS, once it is back."""

from __future__ import annotations

import logging

from actors.process.periodic import PeriodicTask
from sync.delivery.deliver import Delivery
from sync.errors import CmsUnavailable

log = logging.getLogger(__name__)

# Looking costs one small question to the database while nothing waits.
_EVERY_S = 10.0


def outbox_delivery(delivery: Delivery, owner: str, *, every_s: float = _EVERY_S) -> PeriodicTask:
    """Every worker looks; of several one delivers. `owner` names this process."""

    def deliver() -> None:
        try:
            delivery.deliver(owner=owner)
        except CmsUnavailable as error:
            # Known to whoever is on call; nothing failed here.
            log.info("cms_still_away", extra={"reason": str(error)})

    return PeriodicTask("outbox_delivery", deliver, lambda: every_s)
