from __future__ import annotations

import pytest

from notifications.delivery import Delivery
from notifications.notice import Notice
from sync.errors import NotFound, TransientError
from sync.report import Run
from tests.unit.notifications.builders import finished


class KnownRuns:
    def find(self, run_id: str) -> Run:
        if run_id != "r1":
            raise NotFound(f"run {run_id} does not exist")
        return finished()


class Records:
    """Keeps deliveries as the SQL store does: one a run, event and channel."""

    def __init__(self) -> None:
        self.references: dict[tuple[str, str, str], str] = {}

    def find(self, run_id: str, event: str, channel: str) -> str | None:
        return self.references.get((run_id, event, channel))

    def record(self, run_id: str, event: str, channel: str, reference: str) -> None:
        self.references.setdefault((run_id, event, channel), reference)


class Chat:
    name = "slack"

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.is_down = False

    def send(self, notice: Notice) -> str:
        if self.is_down:
            raise TransientError("the chat is down")
        self.notices.append(notice)
        return f"ts{len(self.notices)}"


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
