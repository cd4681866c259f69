from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brokers.middleware.audit import Audit
from tests.unit.brokers.middleware.settling import RecordingBroker, declare, proxy


class Lines:
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def record(
        self, *, actor: str, source: str, action: str, subject: str | None, detail: Mapping[str, Any]
    ) -> None:
        self.lines.append({"actor": actor, "source": source, "action": action, "subject": subject, **detail})


def test_line_says_who_asked_for_what_by_which_way() -> None:
    log = Lines()
    broker = RecordingBroker([Audit(log)])
    message = proxy(
        declare(broker), requested_by="api:cms-token", unique_key="account:42", broker_priority="high"
    )
    broker.emit_after("enqueue", message, None)
    assert log.lines == [
        {
            "actor": "cms-token",
            "source": "api",
            "action": "work",
            "subject": "account:42",
            "message_id": message.message_id,
            "priority": "high",
        }
    ]


def test_batch_leaves_one_line() -> None:
    log = Lines()
    broker = RecordingBroker([Audit(log)])
    actor = declare(broker)
    for batch_id in ("monday", "tuesday", "monday"):
        message = actor.message_with_options(kwargs={"batch_id": batch_id}, requested_by="scheduler")
        broker.emit_after("enqueue", message, None)
    assert [(line["action"], line["subject"], line["actor"]) for line in log.lines] == [
        ("send_batch", "batch:monday", "scheduler"),
        ("send_batch", "batch:tuesday", "scheduler"),
    ]


def test_retries_and_messages_that_nobody_asked_for_leave_no_line() -> None:
    log = Lines()
    broker = RecordingBroker([Audit(log)])
    actor = declare(broker)
    for message in (proxy(actor), proxy(actor, requested_by="cli:root", retries=1)):
        broker.emit_after("enqueue", message, 0)
    assert log.lines == []
