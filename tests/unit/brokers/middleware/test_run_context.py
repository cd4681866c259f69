from __future__ import annotations

import logging

from dramatiq.broker import MessageProxy

from brokers.middleware.run_context import RunContext
from settings.logs import TextFormatter
from tests.unit.brokers.middleware.settling import RecordingBroker, declare


def logged(event: str) -> str:
    return TextFormatter().format(logging.LogRecord("test", logging.INFO, "", 0, event, None, None))


def test_run_and_account_are_in_every_event_until_the_message_ends() -> None:
    broker = RecordingBroker([RunContext()])
    actor = declare(broker)
    for ends in ("process_message", "skip_message"):
        message = MessageProxy(actor.message(run_id="abc", account_id=42, preset="full"))
        broker.emit_before("process_message", message)
        assert logged("stage_finished").endswith("stage_finished actor=work run_id=abc account_id=42")
        broker.emit_after(ends, message)
        assert logged("idle").endswith(" idle")
