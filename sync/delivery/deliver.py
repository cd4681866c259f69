"""Brings what waits in the outbox to the CMS, once it is back, without asking any provider.

What the CMS refuses for good holds up nothing else: it is kept with the reason, and its run
comes to its verdict with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sync.by_hand.writing import read_as_stored
from sync.changes import Change
from sync.delivery.outbox import Outbox, Waiting
from sync.errors import AccountBusy
from sync.model import RecordKind
from sync.plan import plan_upserts
from sync.ports import Cms, Leases

log = logging.getLogger(__name__)

# One writer at a time, over all processes: the order is the point.
_LEASE = "outbox"
_BATCH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """`cms` is the CMS itself; `settle` gives a run of which nothing waits any more its verdict.

    It answers False while the run still works and will come to its verdict by itself.
    """

    cms: Cms
    outbox: Outbox
    leases: Leases
    settle: Callable[[str], bool]

    def deliver(self, *, owner: str) -> int:
        """Bring what waits, parents first; answers how many changes. `owner` names this process.

        Nothing is done while another process delivers. Raises CmsUnavailable as long as the
        CMS is away; what it has got by then waits no more.
        """
        if self.outbox.is_empty():
            self._settle_runs()
            return 0
        delivered = 0
        try:
            with self.leases.hold(_LEASE, owner=owner) as lease:
                while batch := self.outbox.first(_BATCH):
                    for (run_id, stage, _), group in groupby(batch, key=_unit):
                        lease.renew()
                        together = list(group)
                        changes = self._plan(together)
                        refused = self.cms.apply(run_id, stage, changes, fence=lease.fence)
                        self._sort_out(together, {record.record_id: record.reason for record in refused})
                        delivered += len(together)
        except AccountBusy:
            return delivered
        self._settle_runs()
        log.info("outbox_delivered", extra={"changes": delivered})
        return delivered

    def _sort_out(self, brought: Sequence[Waiting], reasons: Mapping[str | None, str]) -> None:
        refused = [(one, reasons[one.change.record_id]) for one in brought if one.change.record_id in reasons]
        for one, reason in refused:
            fields = {"run_id": one.run_id, "record": one.change.record_id, "reason": reason}
            log.warning("delivery_refused", extra=fields)
        self.outbox.refuse(refused)
        self.outbox.remove([one for one in brought if one.change.record_id not in reasons])

    def _plan(self, waiting: Sequence[Waiting]) -> Sequence[Change]:
        """What still differs: the CMS may have got it before it went away, or from somebody else."""
        kind = waiting[0].change.kind
        wanted = {one.change.record_id: one for one in waiting}
        found, removed = read_as_stored(self.cms, [one.change for one in waiting])
        stored = {record_id: record for (_, record_id), record in found.items()}
        records: Sequence[Any] = [one.record for one in waiting if one.record is not None]
        gone: Mapping[str, Any] = removed if kind is RecordKind.GAME else {}
        upserts = plan_upserts(records, stored, gone).changes
        return [
            *(replace(change, cause=wanted[change.record_id].change.cause) for change in upserts),
            *(
                replace(one.change, before=stored[record_id])
                for record_id, one in wanted.items()
                if one.record is None and record_id in stored
            ),
        ]

    def _settle_runs(self) -> None:
        for run_id in self.outbox.runs():
            if not self.outbox.count_waiting(run_id) and self.settle(run_id):
                self.outbox.forget_run(run_id)


def _unit(waiting: Waiting) -> tuple[str, Any, RecordKind]:
    return waiting.run_id, waiting.stage, waiting.change.kind
