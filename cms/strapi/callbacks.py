"""The CMS's own routes that are told of a run's end; a CMS without them is told nothing."""

from __future__ import annotations

import logging

import httpx

from cms.strapi.client import StrapiClient
from sync.errors import NotFound, SyncError
from sync.report import Mode, Run, RunState

log = logging.getLogger(__name__)

# Both are GETs that change state: called once, whatever they answer.
_ENDED = "account/AccountSchedulerToFalse"
_FIRST_SYNC_DONE = "account/setCompleteEmail"


class Callbacks:
    def __init__(self, client: StrapiClient) -> None:
        self._client = client

    def run_ended(self, run: Run, account_number: int) -> None:
        """Tell the CMS that an account's run has ended; an onboarding only when it was complete.

        A route that fails or does not exist is logged. Raises CmsUnavailable when the CMS
        surely did not hear of it.
        """
        if run.mode is Mode.ONBOARDING:
            if run.state is RunState.SUCCEEDED:
                self._call(_FIRST_SYNC_DONE, account_number)
        else:
            self._call(_ENDED, account_number)

    def _call(self, route: str, account_number: int) -> None:
        try:
            self._client.call(f"{route}/{account_number}")
        except NotFound:
            log.info("cms_route_missing", extra={"route": route})
        except SyncError as error:
            if isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
                raise
            log.warning("cms_route_failed", extra={"route": route, "reason": str(error)})
