"""The CMS's own callbacks as a channel: it hears that an account's run ended, once."""

from __future__ import annotations

from collections.abc import Callable

from notifications.delivery import Runs
from notifications.notice import Notice
from sync.errors import InvalidRequest
from sync.report import Run


class CmsCallback:
    """`tell` calls the CMS's routes (`cms.registry.Listener.run_ended`).

    They are GETs that change state and may start work of the CMS: called twice is worse than
    not at all, so that only what surely did not arrive is tried again.
    """

    name = "cms"
    must_not_repeat = True

    def __init__(self, tell: Callable[[Run], None], runs: Runs) -> None:
        self._tell = tell
        self._runs = runs

    def send(self, notice: Notice) -> str:
        """Answers the notice's key, as the CMS has no reference of its own."""
        if notice.run_id is None:
            raise InvalidRequest(f"{notice.event}: the CMS is told of runs only")
        self._tell(self._runs.find(notice.run_id))
        return notice.key
