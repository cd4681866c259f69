"""A worker goes round with the outbox until it shuts down, whatever the CMS says."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

import dramatiq
from dramatiq.brokers.stub import StubBroker

from actors.process.outbox_delivery import outbox_delivery
from actors.process.periodic import PeriodicTask, PeriodicTasks
from sync.delivery.deliver import Delivery
from sync.errors import CmsUnavailable, StoreUnavailable, SyncError


@dataclass
class Outbox:
    """A delivery that fails as it is told, and says when it was tried three times."""

    errors: list[SyncError]
    owners: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def deliver(self, *, owner: str) -> int:
        self.owners.append(owner)
        if self.errors:
            raise self.errors.pop(0)
        self.enough.set()
        return 0


def test_worker_tries_again_until_it_shuts_down() -> None:
    outbox = Outbox([CmsUnavailable("away"), StoreUnavailable("no answer")])
    looked = threading.Event()
    deliveries = outbox_delivery(cast("Delivery", outbox), "worker-1", every_s=0.001)
    rounds = PeriodicTasks([deliveries, PeriodicTask("look", looked.set, lambda: 0.001)])
    broker = StubBroker()
    worker = dramatiq.Worker(broker)
    rounds.after_worker_boot(broker, worker)

    assert outbox.enough.wait(30)
    assert looked.wait(30)
    rounds.before_worker_shutdown(broker, worker)
    assert set(outbox.owners) == {"worker-1"}
