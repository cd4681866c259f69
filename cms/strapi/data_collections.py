"""The CMS's own log of runs: one data collection a run, best effort.

Its consumers read `processingTracker`; the five stages that it knows are those of the service
that made it.
"""

from __future__ import annotations

import logging
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any

from cms.local import CmsRefs
from cms.strapi.client import StrapiClient
from cms.strapi.entries import Entry, connection
from cms.strapi.formats import moment
from sync.errors import CmsRefusesKey, NotFound, SyncError
from sync.ports import Clock
from sync.report import Outcome, Run, Stage, StageReport

log = logging.getLogger(__name__)

COLLECTION = "data-collections"
_STAGES = (
    Stage.COMPETITIONS,
    Stage.TEAMS,
    Stage.GAMES,
    Stage.FIXTURE_VALIDATION,
    Stage.FIXTURE_CLEANUP,
)
# A Strapi integer column holds no more; 24 days are long enough.
_MOST_MS = 2**31 - 1

FindAccount = Callable[[int], Entry | None]


class DataCollections:
    """`find_account` answers the CMS's row of an account; never raises.

    `admin_account_id` is the CMS's number of the account that direct runs are logged under.
    """

    def __init__(
        self,
        client: StrapiClient,
        refs: CmsRefs,
        find_account: FindAccount,
        clock: Clock,
        *,
        admin_account_id: int | None,
    ) -> None:
        self._client = client
        self._refs = refs
        self._find_account = find_account
        self._clock = clock
        self._admin_account_id = admin_account_id
        self._is_missing = False
        # Runs whose log failed: only their verdict is tried once more.
        self._failed: set[str] = set()

    def track(self, run: Run) -> None:
        """Log how far the run is: at its start, after each stage, with its verdict. Never raises."""
        if run.dry_run or self._is_missing or (run.id in self._failed and not run.state.is_final):
            return
        try:
            self._write(run)
        except (NotFound, CmsRefusesKey) as error:
            self._is_missing = True
            log.warning("cms_collection_missing", extra={"collection": COLLECTION, "reason": str(error)})
        except SyncError as error:
            # It may have been stored: a second one for the same run would be worse than none.
            self._failed.add(run.id)
            log.warning("cms_data_collection_failed", extra={"reason": str(error)})
        if run.state.is_final:
            self._failed.discard(run.id)

    def _write(self, run: Run) -> None:
        fields = self._fields(run)
        if ref := self._refs.find(COLLECTION, run.id):
            self._client.update(COLLECTION, ref, fields)
        elif run.id not in self._failed:
            account_id = self._admin_account_id if run.account_id is None else run.account_id
            account = None if account_id is None else self._find_account(account_id)
            if account is not None:
                fields["account"] = connection(account.version, [account.ref])
            self._refs.save(COLLECTION, run.id, self._client.create(COLLECTION, fields).ref)

    def _fields(self, run: Run) -> dict[str, Any]:
        began_at = run.started_at or run.requested_at
        took_ms = round((self._clock.now() - began_at).total_seconds() * 1000)
        return {
            "whenWasTheLastCollection": moment(began_at),
            "TimeTaken": min(max(took_ms, 0), _MOST_MS),
            "MemoryUsage": _peak_mb(),
            "processingTracker": _tracker(run),
        }


def _tracker(run: Run) -> Mapping[str, Any]:
    done = [
        stage for stage in _STAGES if stage in run.stages and run.stages[stage].outcome is not Outcome.SKIPPED
    ]
    pending = [] if run.state.is_final else [stage for stage in _STAGES if stage not in run.stages]
    current = pending[0] if pending else (done[-1] if done else None)
    return {
        **{stage.value: _counts(run.stages[stage]) for stage in done},
        "totalStages": len(_STAGES),
        "currentStage": current,
        "completedStages": done,
        "pendingStages": pending,
    }


def _counts(report: StageReport) -> Mapping[str, int]:
    return {
        "itemsFound": report.read,
        "itemsUpdated": report.updated,
        "itemsNew": report.created,
        "itemsDeleted": report.removed,
        "errorsDetected": report.quarantined + (report.outcome is Outcome.FAILED),
    }


def _peak_mb() -> float:
    """Of this process, all its runs together."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)
