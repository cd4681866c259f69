from __future__ import annotations

import pytest

from notifications.delivery import Delivery
from sync.errors import NotFound, TransientError
from tests.unit.notifications.fakes import Chat, KnownRuns, Records


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def delivery(chat: Chat, records: Records) -> Delivery:
    return Delivery({"slack": chat}, KnownRuns(), records, lambda _run: "Northside CC")


def test_a_notice_is_sent_once_however_often_the_message_runs(
    delivery: Delivery, chat: Chat, records: Records
) -> None:
    for _ in range(3):
        delivery.deliver("sync_succeeded", "slack", "r1")
    assert [notice.subject for notice in chat.notices] == ["Sync of club 3 (Northside CC) succeeded"]
    assert records.references == {("r1", "sync_succeeded", "slack"): "ts1"}


def test_a_failed_attempt_leaves_no_record_and_the_next_one_sends(
    delivery: Delivery, chat: Chat, records: Records
) -> None:
    chat.is_down = True
    with pytest.raises(TransientError):
        delivery.deliver("sync_succeeded", "slack", "r1")
    assert records.references == {}
    chat.is_down = False
    delivery.deliver("sync_succeeded", "slack", "r1")
    assert len(chat.notices) == 1


def test_a_channel_that_is_gone_is_no_error(delivery: Delivery, records: Records) -> None:
    delivery.deliver("sync_succeeded", "mail", "r1")
    assert records.references == {}


def test_an_unknown_run_is_permanent(delivery: Delivery) -> None:
    with pytest.raises(NotFound):
        delivery.deliver("sync_succeeded", "slack", "r2")
