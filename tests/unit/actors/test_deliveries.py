"""A worker goes round with the outbox until it shuts down, whatever the CMS says."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

import dramatiq
from dramatiq.brokers.stub import StubBroker

from actors.deliveries import Deliveries
from sync.delivery import Delivery
from sync.errors import CmsUnavailable, StoreUnavailable, SyncError


@dataclass
class Rounds:
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
    rounds = Rounds([CmsUnavailable("away"), StoreUnavailable("no answer")])
    deliveries = Deliveries(cast("Delivery", rounds), owner="worker-1", every_s=0.001)
    broker = StubBroker()
    worker = dramatiq.Worker(broker)
    deliveries.after_worker_boot(broker, worker)

    assert rounds.enough.wait(30)
    deliveries.before_worker_shutdown(broker, worker)
    assert set(rounds.owners) == {"worker-1"}
