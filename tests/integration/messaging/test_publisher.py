from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

import pytest
import redis

from brokers.chain import open_sender
from brokers.messages import parse
from brokers.publisher import Publisher, Receipt
from brokers.redis import PriorityRedisBroker
from sync.errors import InvalidRequest
from sync.report import Mode, RunState
from tests.fakes import FakeRuns
from tests.integration.messaging.waiting import list_waiting

NOW = datetime(2026, 3, 7, 12, 30, tzinfo=UTC)
PRESETS = ("full", "quick", "data-only", "minimal", "validation-only", "home-made")


class StoppedClock:
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def broker(redis_url: str, namespace: str) -> Iterator[PriorityRedisBroker]:
    broker = open_sender(redis_url, namespace=namespace)
    for queue in ("syncs", "updates", "onboarding", "direct", "notifications"):
        broker.declare_queue(queue)
    yield broker
    broker.close()


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture
def publisher(broker: PriorityRedisBroker, runs: FakeRuns) -> Publisher:
    return Publisher(broker, runs=runs, presets=lambda: PRESETS, clock=StoppedClock())


def sync_club(account_id: int, **fields: object) -> dict[str, object]:
    return {"actor": "sync_club", "account_id": account_id, **fields}


def test_sent_request_is_a_queued_run_and_a_message_of_ids_and_options(
    publisher: Publisher, runs: FakeRuns, broker: PriorityRedisBroker
) -> None:
    receipt = publisher.send(parse(sync_club(42, preset="quick", batch_id="night")), requested_by="cli:root")
    assert receipt.run_id is not None
    run = runs.find(receipt.run_id)
    assert (run.mode, run.preset, run.state) == (Mode.CLUB, "quick", RunState.QUEUED)
    assert (run.account_id, run.batch_id, run.requested_at) == (42, "night", NOW)
    [message] = list_waiting(broker, "syncs")
    assert message.message_id == receipt.message_id
    assert message.kwargs == {
        "account_id": 42,
        "preset": "quick",
        "dry_run": False,
        "run_id": receipt.run_id,
        "batch_id": "night",
        "requested_at": "2026-03-07T12:30:00Z",
        "fresh_after": "2026-03-07T12:30:00Z",
    }
    assert message.options["requested_by"] == "cli:root"


def test_unknown_preset_is_refused_with_the_known_ones_and_nothing_is_sent(
    publisher: Publisher, runs: FakeRuns, broker: PriorityRedisBroker
) -> None:
    with pytest.raises(InvalidRequest, match="'speedy' is not known; one of data-only, full, home-made"):
        publisher.send_many([parse(sync_club(1)), parse(sync_club(2, preset="speedy"))])
    assert runs.runs == {}
    assert list_waiting(broker, "syncs") == []


def test_duplicate_names_the_run_that_waits_and_inserts_none(publisher: Publisher, runs: FakeRuns) -> None:
    first = publisher.send(parse(sync_club(42)))
    second = publisher.send(parse(sync_club(42, preset="quick")))
    assert second == Receipt(first.message_id, first.run_id, is_coalesced=True)
    assert list(runs.runs) == [first.run_id]


def test_a_request_after_the_verdict_is_a_new_run_though_the_message_is_not_settled_yet(
    publisher: Publisher, runs: FakeRuns
) -> None:
    first = publisher.send(parse(sync_club(42)))
    assert first.run_id is not None
    publisher.let_next(runs.find(first.run_id))
    second = publisher.send(parse(sync_club(42)))
    assert not second.is_coalesced
    publisher.let_next(runs.find(first.run_id))
    assert publisher.send(parse(sync_club(42))) == Receipt(
        second.message_id, second.run_id, is_coalesced=True
    )


def test_stronger_request_takes_the_place_of_the_waiting_one_under_its_run(
    publisher: Publisher, broker: PriorityRedisBroker
) -> None:
    first = publisher.send(parse(sync_club(42, preset="quick", priority="low")))
    second = publisher.send(parse(sync_club(42, preset="full", priority="urgent")))
    assert (second.run_id, second.is_coalesced) == (first.run_id, True)
    [message] = list_waiting(broker, "syncs")
    assert (message.kwargs["preset"], message.kwargs["run_id"]) == ("full", first.run_id)


def test_a_restart_takes_the_place_of_the_same_sync_and_of_no_stronger_one(
    publisher: Publisher, broker: PriorityRedisBroker
) -> None:
    first = publisher.send(parse(sync_club(42)))
    again = publisher.send(parse(sync_club(42, restart=True)))
    assert again.run_id == first.run_id
    [message] = list_waiting(broker, "syncs")
    assert message.kwargs["restart"] is True

    onboarding = publisher.send(parse({"actor": "onboard_account", "account_id": 43}))
    publisher.send(parse(sync_club(43, restart=True)))
    [message] = list_waiting(broker, "onboarding")
    assert (message.kwargs["run_id"], "restart" in message.kwargs) == (onboarding.run_id, False)


def test_member_of_a_spread_batch_starts_when_somebody_asks_for_it(
    publisher: Publisher, broker: PriorityRedisBroker
) -> None:
    [member] = publisher.send_many([parse(sync_club(42, batch_id="night"))], delays_s=[7200.0])
    asked = publisher.send(parse(sync_club(42)))
    assert (asked.run_id, asked.is_coalesced) == (member.run_id, True)
    assert [message.message_id for message in list_waiting(broker, "syncs")] == [member.message_id]


def test_dry_run_and_real_run_are_never_one_job(publisher: Publisher) -> None:
    first = publisher.send(parse(sync_club(42, dry_run=True)))
    second = publisher.send(parse(sync_club(42)))
    assert not second.is_coalesced
    assert second.run_id != first.run_id


def test_sending_under_the_same_id_again_changes_nothing(
    publisher: Publisher, runs: FakeRuns, broker: PriorityRedisBroker
) -> None:
    message_id = "0b7d9a7e-5f38-4d0c-9a53-7d1b2c3d4e5f"
    receipts = {
        publisher.send(parse({"actor": "sync_club_direct", "organisation_id": "abc"}), message_id=message_id)
        for _ in range(2)
    }
    assert receipts == {Receipt(message_id, message_id.replace("-", ""))}
    assert len(runs.runs) == 1
    assert len(list_waiting(broker, "direct")) == 1


def test_many_are_sent_each_with_its_own_delay(
    publisher: Publisher,
    runs: FakeRuns,
    redis_client: redis.Redis,
    namespace: str,
    broker: PriorityRedisBroker,
) -> None:
    requests = [parse(sync_club(number)) for number in range(1, 1301)]
    receipts = publisher.send_many(requests, delays_s=(float(number) for number in range(1300)))
    assert [runs.find(receipt.run_id or "").account_id for receipt in receipts] == list(range(1, 1301))
    assert len(list_waiting(broker, "syncs")) == 1
    delayed = f"{{{namespace}}}:q:syncs:delayed"
    [(_, first_ms)] = cast("list[tuple[bytes, float]]", redis_client.zrange(delayed, 0, 0, withscores=True))
    [(_, last_ms)] = cast("list[tuple[bytes, float]]", redis_client.zrange(delayed, -1, -1, withscores=True))
    spread_ms = last_ms - first_ms
    assert 1_290_000 < spread_ms < 1_310_000


def test_batch_takes_turns_with_single_requests(publisher: Publisher, broker: PriorityRedisBroker) -> None:
    publisher.send_many([parse(sync_club(number, batch_id="night")) for number in range(1, 51)])
    publisher.send(parse(sync_club(99)))
    order = [message.kwargs["account_id"] for message in list_waiting(broker, "syncs")]
    assert order.index(99) <= 2


def test_notification_has_no_run(publisher: Publisher, runs: FakeRuns) -> None:
    request = parse({"actor": "send_notification", "event": "run_finished", "channel": "slack"})
    assert publisher.send(request).run_id is None
    assert runs.runs == {}
