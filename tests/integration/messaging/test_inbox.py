from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from brokers import inbox as inbox_module
from brokers.chain import open_sender
from brokers.dead_letters import DeadLetters
from brokers.inbox import GROUP, Inbox
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.redis import PriorityRedisBroker
from sync.errors import StoreUnavailable
from sync.report import Run
from tests.conftest import Eventually
from tests.fakes import FakeRuns
from tests.integration.messaging.waiting import list_waiting

NOW = datetime(2026, 3, 7, 12, 30, tzinfo=UTC)


class StoppedClock:
    def now(self) -> datetime:
        return NOW


class Door:
    """An inbox that can run and be stopped, and the stream before it."""

    def __init__(self, broker: PriorityRedisBroker, runs: FakeRuns, client: redis.Redis) -> None:
        self.broker = broker
        self.client = client
        self.operations = Operations(broker)
        self.letters = DeadLetters(broker)
        publisher = Publisher(broker, runs=runs, presets=lambda: ("full", "quick"), clock=StoppedClock())
        self.inbox = Inbox(broker, publisher, runs=runs)
        self.thread = threading.Thread(target=self.inbox.run)

    def put(self, message: object) -> str:
        text = message if isinstance(message, str | bytes) else json.dumps(message)
        entry_id = self.client.xadd(self.inbox.stream, {"message": text})
        assert isinstance(entry_id, bytes)
        return entry_id.decode()

    def left(self) -> int:
        return int(str(self.client.xlen(self.inbox.stream)))

    def stop(self) -> None:
        self.inbox.stop()
        if self.thread.is_alive():
            self.thread.join()


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture(autouse=True)
def brief_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "BLOCK_MS", 50)
    monkeypatch.setattr(inbox_module, "OUTAGE_PAUSE_S", 0.01)


@pytest.fixture
def door(redis_url: str, namespace: str, runs: FakeRuns, redis_client: redis.Redis) -> Iterator[Door]:
    broker = open_sender(redis_url, namespace=namespace)
    door = Door(broker, runs, redis_client)
    yield door
    door.stop()
    broker.close()


def test_stream_has_the_public_name(door: Door, namespace: str) -> None:
    assert door.inbox.stream == f"{namespace}:inbox"


def test_entry_becomes_a_message_and_a_queued_run_and_leaves_the_stream(
    door: Door, runs: FakeRuns, eventually: Eventually
) -> None:
    door.put({"actor": "sync_club", "account_id": 42, "preset": "quick", "priority": "urgent"})
    door.thread.start()
    eventually(lambda: door.left() == 0)
    [message] = list_waiting(door.broker, "syncs")
    assert (message.actor_name, message.kwargs["account_id"]) == ("sync_club", 42)
    assert message.options["requested_by"] == "inbox"
    assert [run.preset for run in runs.runs.values()] == ["quick"]


@pytest.mark.parametrize(
    ("sent", "queue", "reasons"),
    [
        (
            {"actor": "sync_club", "account_id": 0, "colour": "red"},
            "syncs",
            ["account_id:", "colour: unknown"],
        ),
        (
            {"actor": "update_account", "account_id": 3, "preset": "speedy"},
            "updates",
            ["'speedy' is not known"],
        ),
        ({"actor": "sync_everything"}, "syncs", ["'sync_everything' is not known"]),
        ("{half", "syncs", ["not JSON"]),
        ("[1, 2]", "syncs", ["a JSON object is expected, not list"]),
        (b"\xff\xfe", "syncs", ["not JSON"]),
    ],
)
def test_invalid_entry_goes_to_the_dead_letters_with_every_reason(
    door: Door, runs: FakeRuns, eventually: Eventually, *, sent: object, queue: str, reasons: list[str]
) -> None:
    door.put(sent)
    door.thread.start()
    eventually(lambda: door.left() == 0)
    [letter] = door.letters.latest(queue)
    assert letter.reason["kind"] == "refused"
    assert all(reason in letter.reason["error"] for reason in reasons)
    assert runs.runs == {}
    assert door.operations.ledger(queue).is_balanced


def test_entry_without_the_field_is_refused_by_name(door: Door, eventually: Eventually) -> None:
    door.client.xadd(door.inbox.stream, {"body": "{}"})
    door.thread.start()
    eventually(lambda: door.left() == 0)
    [letter] = door.letters.latest("syncs")
    assert "no field `message`, only body" in letter.reason["error"]


def test_refused_entry_can_be_edited_and_retried(door: Door, eventually: Eventually) -> None:
    door.put({"actor": "sync_club", "account_id": 0})
    door.thread.start()
    eventually(lambda: door.left() == 0)
    assert door.letters.retry(door.letters.latest("syncs"), kwargs={"account_id": 42}) == 1
    [message] = list_waiting(door.broker, "syncs")
    assert (message.actor_name, message.kwargs) == ("sync_club", {"account_id": 42})


def take_as_a_consumer_that_dies(door: Door) -> None:
    door.client.xgroup_create(door.inbox.stream, GROUP, id="0", mkstream=True)
    door.client.xreadgroup(GROUP, "dead", {door.inbox.stream: ">"})


def test_entries_of_a_dead_consumer_are_taken_over(
    door: Door, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "CLAIM_AFTER_S", 0.0)
    door.put({"actor": "sync_club", "account_id": 42})
    take_as_a_consumer_that_dies(door)
    door.thread.start()
    eventually(lambda: door.left() == 0)
    assert len(list_waiting(door.broker, "syncs")) == 1


def test_crash_between_sending_and_acknowledging_never_doubles_a_sync(
    door: Door, runs: FakeRuns, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "CLAIM_AFTER_S", 0.0)
    entry_id = door.put({"actor": "sync_club", "account_id": 42})
    take_as_a_consumer_that_dies(door)
    fields = {b"message": json.dumps({"actor": "sync_club", "account_id": 42}).encode()}
    door.thread.start()
    eventually(lambda: door.left() == 0)
    [run_id] = runs.runs
    door.stop()
    # Its message is done and forgotten by the time the same entry comes again.
    door.broker.flush("syncs")
    again = Inbox(door.broker, door.inbox._publisher, runs=runs)
    again._deliver([(entry_id.encode(), fields)], is_repeated=True)
    assert list_waiting(door.broker, "syncs") == []
    assert list(runs.runs) == [run_id]


def test_outage_of_the_run_store_is_waited_out(
    door: Door, runs: FakeRuns, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "CLAIM_AFTER_S", 0.0)
    outages = iter([True, True])
    request = runs.request

    def fail_twice(run: Run) -> None:
        if next(outages, False):
            raise StoreUnavailable("database is locked")
        request(run)

    monkeypatch.setattr(runs, "request", fail_twice)
    door.put({"actor": "sync_club", "account_id": 42})
    door.thread.start()
    eventually(lambda: door.left() == 0)
    assert len(list_waiting(door.broker, "syncs")) == 1
    assert len(runs.runs) == 1


def test_deleted_stream_is_made_again(door: Door, eventually: Eventually) -> None:
    door.thread.start()
    eventually(lambda: door.client.exists(door.inbox.stream))
    door.client.delete(door.inbox.stream)
    door.put({"actor": "sync_club", "account_id": 42})
    eventually(lambda: door.left() == 0)
    assert len(list_waiting(door.broker, "syncs")) == 1
