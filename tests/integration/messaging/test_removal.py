"""Messages taken away by hand, on a real Redis, and what becomes of the runs they were for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from brokers.chain import open_sender
from brokers.messages import parse
from brokers.publisher import Publisher
from brokers.redis import PURGE_CHUNK, PriorityRedisBroker
from brokers.removal import Removal, Removed
from tests.fakes import FakeRuns

NOW = datetime(2026, 3, 7, 12, 30, tzinfo=UTC)


class StoppedClock:
    def now(self) -> datetime:
        return NOW


@dataclass
class CancelledRuns:
    """Notes which runs end, and with what words."""

    ended: list[str] = field(default_factory=list)
    said: set[str] = field(default_factory=set)

    def cancel(
        self, run_ids: Sequence[str], *, at: datetime, message: str, is_begun_too: bool = False
    ) -> int:
        assert (at, is_begun_too) == (NOW, True)
        self.ended += run_ids
        self.said.add(message)
        return len(run_ids)


@pytest.fixture
def broker(redis_url: str, namespace: str) -> Iterator[PriorityRedisBroker]:
    broker = open_sender(redis_url, namespace=namespace)
    yield broker
    broker.close()
    broker.client.close()


@pytest.fixture
def publisher(broker: PriorityRedisBroker) -> Publisher:
    return Publisher(broker, runs=FakeRuns(), presets=lambda: ("full",), clock=StoppedClock())


@pytest.fixture
def runs() -> CancelledRuns:
    return CancelledRuns()


@pytest.fixture
def removal(broker: PriorityRedisBroker, runs: CancelledRuns) -> Removal:
    return Removal(broker, runs=runs, clock=StoppedClock())


def test_a_purge_ends_every_run_whose_message_it_took(
    publisher: Publisher, removal: Removal, runs: CancelledRuns
) -> None:
    count = PURGE_CHUNK + 1
    asked = [parse({"actor": "sync_club", "account_id": number}) for number in range(1, count + 1)]
    receipts = publisher.send_many(asked[:-1])
    receipts.append(publisher.send(asked[-1], delay_s=3600))
    kept = publisher.send(parse({"actor": "update_account", "account_id": 1_000_000}))
    assert removal.purge("syncs", by="ann") == Removed(count, count)
    assert sorted(runs.ended) == sorted(receipt.run_id or "" for receipt in receipts)
    assert runs.said == {"cancelled by ann, who purged the queue syncs"}
    assert kept.run_id not in runs.ended


def test_a_run_goes_on_whose_notice_is_taken_away(
    publisher: Publisher, removal: Removal, runs: CancelledRuns
) -> None:
    publisher.notify(event="sync_failed", channel="slack", run_id="run-1", about=None)
    assert removal.purge("notifications", by="ann") == Removed(1, 0)
    assert runs.ended == []


def test_messages_deleted_by_id_end_their_runs_too(
    publisher: Publisher, removal: Removal, runs: CancelledRuns
) -> None:
    receipt = publisher.send(parse({"actor": "sync_club", "account_id": 42}))
    places = {"syncs": [receipt.message_id, "unknown"]}
    assert removal.delete_by_id(places, by="ann") == Removed(1, 1)
    assert removal.delete_by_id(places, by="ann") == Removed()
    assert runs.ended == [receipt.run_id]
    assert runs.said == {"cancelled by ann, who deleted its message"}
